//! Forms that were sent, and their results, kept for an hour by account and key.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    per_backend::{PortableStatement, purge_oldest},
    schema::form_submissions,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper,
};
use uuid::Uuid;

/// A form that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormSubmission {
    /// Who sent it. Nobody else gets the result.
    pub owner: AccountId,
    /// The form's key.
    pub key: Uuid,
}

/// A form whose act was begun, and its result once there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormRecord {
    /// The address to which it was sent.
    pub route: String,
    /// When its act was begun.
    pub begun_at: Timestamp,
    /// What was done, as JSON; `None`: it is not done yet.
    pub outcome: Option<String>,
    /// The secrets of the result, sealed, and the ID of the key that sealed them.
    pub secrets: Option<(String, String)>,
    /// When they were first fetched.
    pub fetched_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = form_submissions)]
struct FormRow {
    route: String,
    begun_at: StoredInstant,
    outcome: Option<String>,
    sealed_secrets: Option<String>,
    key_id: Option<String>,
    fetched_at: Option<StoredInstant>,
}

impl FormSubmission {
    fn row_key(&self) -> (String, String) {
        (self.owner.0.to_string(), self.key.to_string())
    }
}

/// Records that the act of a form was begun. Returns false if that is recorded already.
pub fn begin(c: &mut Conn, submission: &FormSubmission, route: &str, at: Timestamp) -> Result<bool, StoreError> {
    let (owner, key) = submission.row_key();
    let row = (
        form_submissions::account_id.eq(owner),
        form_submissions::submission.eq(key),
        form_submissions::route.eq(route),
        form_submissions::begun_at.eq(StoredInstant::from(at)),
    );
    let insert = diesel::insert_into(form_submissions::table)
        .values(row)
        .on_conflict_do_nothing();
    Ok(PortableStatement(insert).execute(c.db())? == 1)
}

/// Finds a form.
pub fn find(c: &mut Conn, submission: &FormSubmission) -> Result<Option<FormRecord>, StoreError> {
    let row: Option<FormRow> = form_submissions::table
        .find(submission.row_key())
        .select(FormRow::as_select())
        .first(c.db())
        .optional()?;
    Ok(row.map(|row| FormRecord {
        route: row.route,
        begun_at: row.begun_at.into(),
        outcome: row.outcome,
        secrets: row.sealed_secrets.zip(row.key_id),
        fetched_at: row.fetched_at.map(Timestamp::from),
    }))
}

/// Stores the result of an act that [`begin`] recorded. `secrets`: sealed, and the ID of the key.
pub fn finish(
    c: &mut Conn,
    submission: &FormSubmission,
    outcome: &str,
    secrets: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    let (sealed, key_id) = secrets.unzip();
    diesel::update(form_submissions::table.find(submission.row_key()))
        .set((
            form_submissions::outcome.eq(outcome),
            form_submissions::sealed_secrets.eq(sealed),
            form_submissions::key_id.eq(key_id),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Forgets an act that came to nothing, so that the form can be sent again.
pub fn forget_unfinished(c: &mut Conn, submission: &FormSubmission) -> Result<(), StoreError> {
    let meant = form_submissions::table.find(submission.row_key());
    diesel::delete(meant.filter(form_submissions::outcome.is_null())).execute(c.db())?;
    Ok(())
}

/// Forgets this form if it was begun before `before`, or is not done and was begun before
/// `unfinished_before`.
pub fn forget_stale(
    c: &mut Conn,
    submission: &FormSubmission,
    before: Timestamp,
    unfinished_before: Timestamp,
) -> Result<(), StoreError> {
    let begun = form_submissions::begun_at;
    let is_lost = form_submissions::outcome
        .is_null()
        .and(begun.lt(StoredInstant::from(unfinished_before)));
    let meant = form_submissions::table.find(submission.row_key());
    diesel::delete(meant.filter(begun.lt(StoredInstant::from(before)).or(is_lost))).execute(c.db())?;
    Ok(())
}

/// Records when the secrets were fetched for the first time.
pub fn note_fetched(c: &mut Conn, submission: &FormSubmission, at: Timestamp) -> Result<(), StoreError> {
    let meant = form_submissions::table.find(submission.row_key());
    diesel::update(meant.filter(form_submissions::fetched_at.is_null()))
        .set(form_submissions::fetched_at.eq(StoredInstant::from(at)))
        .execute(c.db())?;
    Ok(())
}

/// Deletes the secrets that were first fetched before `before`; returns of how many forms.
pub fn drop_fetched_secrets(c: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let fetched = form_submissions::table
        .filter(form_submissions::sealed_secrets.is_not_null())
        .filter(form_submissions::fetched_at.lt(StoredInstant::from(before)));
    let nothing: (Option<String>, Option<String>) = (None, None);
    Ok(diesel::update(fetched)
        .set((
            form_submissions::sealed_secrets.eq(nothing.0),
            form_submissions::key_id.eq(nothing.1),
        ))
        .execute(c.db())?)
}

/// Deletes forms that were begun before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, form_submissions.begun_at before before, limit))
}

/// Deletes all of them.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(form_submissions::table).execute(c.db())?;
    Ok(())
}
