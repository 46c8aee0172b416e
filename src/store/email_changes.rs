//! Which new e-mail addresses wait for their confirmations? One an account; a newer request replaces it, and one that took effect or was
//! refused is gone.
use super::{
    Conn, StoreError, accounts as account_rows, instant::At, per_backend::purge_oldest, schema::email_changes, text,
};
use crate::domain::{
    account::AccountId,
    email_change::{Confirmations, Side},
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChange {
    pub account: AccountId,
    pub old: Option<String>,
    pub new: String,
    /// Digest of the token that was sent to the new address.
    pub new_digest: String,
    /// Digest of the token that was sent to the old address.
    pub old_digest: String,
    pub requested_at: Timestamp,
    pub new_confirmed_at: Option<Timestamp>,
    pub old_confirmed_at: Option<Timestamp>,
}

impl EmailChange {
    pub fn confirmations(&self) -> Confirmations {
        Confirmations {
            new: self.new_confirmed_at.is_some(),
            old: self.old_confirmed_at.is_some(),
            has_old: self.old.is_some(),
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = email_changes, treat_none_as_default_value = false)]
struct Record {
    account_id: String,
    old_email: Option<String>,
    new_email: String,
    new_digest: String,
    old_digest: String,
    requested_at: At,
    new_confirmed_at: Option<At>,
    old_confirmed_at: Option<At>,
}

impl Record {
    fn read(self) -> Result<EmailChange, StoreError> {
        Ok(EmailChange {
            account: account_rows::id_of(&self.account_id)?,
            old: self.old_email,
            new: self.new_email,
            new_digest: self.new_digest,
            old_digest: self.old_digest,
            requested_at: self.requested_at.into(),
            new_confirmed_at: self.new_confirmed_at.map(Timestamp::from),
            old_confirmed_at: self.old_confirmed_at.map(Timestamp::from),
        })
    }
}

/// The account has none ([`delete`]).
pub fn insert(c: &mut Conn, change: &EmailChange) -> Result<(), StoreError> {
    diesel::insert_into(email_changes::table)
        .values(Record {
            account_id: change.account.0.to_string(),
            old_email: change.old.as_deref().map(|old| text::clean(old).into_owned()),
            new_email: text::clean(&change.new).into_owned(),
            new_digest: change.new_digest.clone(),
            old_digest: change.old_digest.clone(),
            requested_at: change.requested_at.into(),
            new_confirmed_at: change.new_confirmed_at.map(At::from),
            old_confirmed_at: change.old_confirmed_at.map(At::from),
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

/// The change that a link is about, and whose link it is.
pub fn find_by_digest(c: &mut Conn, digest: &str) -> Result<Option<(EmailChange, Side)>, StoreError> {
    let row = email_changes::table
        .filter(
            email_changes::new_digest
                .eq(digest)
                .or(email_changes::old_digest.eq(digest)),
        )
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    let change = row.map(Record::read).transpose()?;
    Ok(change.map(|change| {
        let side = if change.new_digest == digest {
            Side::New
        } else {
            Side::Old
        };
        (change, side)
    }))
}

/// The account's row is held, and the change was read since.
pub fn confirm(c: &mut Conn, account: AccountId, side: Side, at: Timestamp) -> Result<(), StoreError> {
    let row = diesel::update(email_changes::table.find(account.0.to_string()));
    let at = At::from(at);
    match side {
        Side::New => row.set(email_changes::new_confirmed_at.eq(at)).execute(c.db())?,
        Side::Old => row.set(email_changes::old_confirmed_at.eq(at)).execute(c.db())?,
    };
    Ok(())
}

/// False: there was none.
pub fn delete(c: &mut Conn, account: AccountId) -> Result<bool, StoreError> {
    Ok(diesel::delete(email_changes::table.find(account.0.to_string())).execute(c.db())? == 1)
}

pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(email_changes::table).execute(c.db())?;
    Ok(())
}

/// Forgets those asked for before `before`, the oldest first, about `limit` at most.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, email_changes.requested_at before before, limit))
}
