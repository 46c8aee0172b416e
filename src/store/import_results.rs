//! Results of imports of accounts, kept for an hour by the form that asked for them.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    per_backend::{PortableStatement, purge_oldest},
    schema::import_results,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use uuid::Uuid;

/// The form that asked for an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportSubmission {
    /// Who sent it. Nobody else gets the result.
    pub owner: AccountId,
    /// The form's key.
    pub key: Uuid,
}

/// An import that was begun, and its result once there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRecord {
    /// When it was begun.
    pub begun_at: Timestamp,
    /// What was done, as JSON; `None`: it is not done yet.
    pub summary: Option<String>,
    /// The one-time passwords, sealed, and the ID of the key that sealed them.
    pub passwords: Option<(String, String)>,
    /// When they were first fetched.
    pub fetched_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = import_results)]
struct ImportRow {
    begun_at: StoredInstant,
    summary: Option<String>,
    sealed_passwords: Option<String>,
    key_id: Option<String>,
    fetched_at: Option<StoredInstant>,
}

impl ImportSubmission {
    fn row_key(&self) -> (String, String) {
        (self.owner.0.to_string(), self.key.to_string())
    }
}

/// Records that an import was begun, unless it is recorded.
pub fn begin(c: &mut Conn, submission: &ImportSubmission, at: Timestamp) -> Result<(), StoreError> {
    let (owner, key) = submission.row_key();
    let row = (
        import_results::account_id.eq(owner),
        import_results::submission.eq(key),
        import_results::begun_at.eq(StoredInstant::from(at)),
    );
    let insert = diesel::insert_into(import_results::table)
        .values(row)
        .on_conflict_do_nothing();
    PortableStatement(insert).execute(c.db())?;
    Ok(())
}

/// Finds an import.
pub fn find(c: &mut Conn, submission: &ImportSubmission) -> Result<Option<ImportRecord>, StoreError> {
    let row: Option<ImportRow> = import_results::table
        .find(submission.row_key())
        .select(ImportRow::as_select())
        .first(c.db())
        .optional()?;
    Ok(row.map(|row| ImportRecord {
        begun_at: row.begun_at.into(),
        summary: row.summary,
        passwords: row.sealed_passwords.zip(row.key_id),
        fetched_at: row.fetched_at.map(Timestamp::from),
    }))
}

/// Stores the result of an import that [`begin`] recorded. `passwords`: sealed, and the ID of the
/// key.
pub fn finish(
    c: &mut Conn,
    submission: &ImportSubmission,
    summary: &str,
    passwords: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    let (sealed, key_id) = passwords.unzip();
    diesel::update(import_results::table.find(submission.row_key()))
        .set((
            import_results::summary.eq(summary),
            import_results::sealed_passwords.eq(sealed),
            import_results::key_id.eq(key_id),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Forgets an import that came to nothing, so that the form can be sent again.
pub fn forget_unfinished(c: &mut Conn, submission: &ImportSubmission) -> Result<(), StoreError> {
    let meant = import_results::table.find(submission.row_key());
    diesel::delete(meant.filter(import_results::summary.is_null())).execute(c.db())?;
    Ok(())
}

/// Records when the passwords were fetched for the first time.
pub fn note_fetched(c: &mut Conn, submission: &ImportSubmission, at: Timestamp) -> Result<(), StoreError> {
    let meant = import_results::table.find(submission.row_key());
    diesel::update(meant.filter(import_results::fetched_at.is_null()))
        .set(import_results::fetched_at.eq(StoredInstant::from(at)))
        .execute(c.db())?;
    Ok(())
}

/// Deletes the passwords that were first fetched before `before`; returns how many lists.
pub fn drop_fetched_passwords(c: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let fetched = import_results::table
        .filter(import_results::sealed_passwords.is_not_null())
        .filter(import_results::fetched_at.lt(StoredInstant::from(before)));
    let nothing: (Option<String>, Option<String>) = (None, None);
    Ok(diesel::update(fetched)
        .set((
            import_results::sealed_passwords.eq(nothing.0),
            import_results::key_id.eq(nothing.1),
        ))
        .execute(c.db())?)
}

/// Deletes imports that began before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, import_results.begun_at before before, limit))
}

/// Deletes all of them.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(import_results::table).execute(c.db())?;
    Ok(())
}
