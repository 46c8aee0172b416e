//! Which new e-mail addresses wait to be confirmed, or could still be taken back? One an account; a newer request replaces it.
use super::{Conn, StoreError, accounts as account_rows, instant::At, schema::email_changes, text};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChange {
    pub account: AccountId,
    pub old: Option<String>,
    pub new: String,
    /// Digest of the token that was sent to the new address.
    pub confirm_digest: String,
    /// Digest of the token that was sent to the old address.
    pub cancel_digest: String,
    pub requested_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = email_changes, treat_none_as_default_value = false)]
struct Record {
    account_id: String,
    old_email: Option<String>,
    new_email: String,
    confirm_digest: String,
    cancel_digest: String,
    requested_at: At,
    confirmed_at: Option<At>,
}

impl Record {
    fn read(self) -> Result<EmailChange, StoreError> {
        Ok(EmailChange {
            account: account_rows::id_of(&self.account_id)?,
            old: self.old_email,
            new: self.new_email,
            confirm_digest: self.confirm_digest,
            cancel_digest: self.cancel_digest,
            requested_at: self.requested_at.into(),
            confirmed_at: self.confirmed_at.map(Timestamp::from),
        })
    }
}

/// In place of the account's earlier one, whose links are dead from now on.
pub fn replace(c: &mut Conn, change: &EmailChange) -> Result<(), StoreError> {
    delete(c, change.account)?;
    diesel::insert_into(email_changes::table)
        .values(Record {
            account_id: change.account.0.to_string(),
            old_email: change.old.as_deref().map(|old| text::clean(old).into_owned()),
            new_email: text::clean(&change.new).into_owned(),
            confirm_digest: change.confirm_digest.clone(),
            cancel_digest: change.cancel_digest.clone(),
            requested_at: change.requested_at.into(),
            confirmed_at: change.confirmed_at.map(At::from),
        })
        .execute(c.db())?;
    Ok(())
}

pub fn find(c: &mut Conn, account: AccountId) -> Result<Option<EmailChange>, StoreError> {
    let row = email_changes::table
        .find(account.0.to_string())
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

pub fn find_by_confirm(c: &mut Conn, digest: &str) -> Result<Option<EmailChange>, StoreError> {
    let row = email_changes::table
        .filter(email_changes::confirm_digest.eq(digest))
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

pub fn find_by_cancel(c: &mut Conn, digest: &str) -> Result<Option<EmailChange>, StoreError> {
    let row = email_changes::table
        .filter(email_changes::cancel_digest.eq(digest))
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

/// False: it was confirmed, replaced or taken back before.
pub fn confirm(c: &mut Conn, digest: &str, at: Timestamp) -> Result<bool, StoreError> {
    let waiting = email_changes::table
        .filter(email_changes::confirm_digest.eq(digest))
        .filter(email_changes::confirmed_at.is_null());
    let done = diesel::update(waiting)
        .set(email_changes::confirmed_at.eq(At::from(at)))
        .execute(c.db())?;
    Ok(done == 1)
}

/// False: there was none.
pub fn delete(c: &mut Conn, account: AccountId) -> Result<bool, StoreError> {
    Ok(diesel::delete(email_changes::table.find(account.0.to_string())).execute(c.db())? == 1)
}

pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(email_changes::table).execute(c.db())?;
    Ok(())
}

/// Forgets those asked for before `before`.
pub fn purge(c: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(
        diesel::delete(email_changes::table.filter(email_changes::requested_at.lt(At::from(before))))
            .execute(c.db())?,
    )
}
