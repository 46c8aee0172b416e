//! Trusted browsers, which are not asked for a second factor again. Tokens are stored as digests;
//! `flows::factors` decides whether one is still valid.
use super::{
    Conn, StoreError, accounts as account_rows, instant::StoredInstant, per_backend::purge_oldest,
    schema::trusted_browsers, text,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

/// A trusted browser of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedBrowser {
    /// Its identity, for people and pages.
    pub id: Uuid,
    /// Digest of the token in its cookie.
    pub digest: String,
    /// Its account.
    pub account: AccountId,
    /// When the password was set with which it was trusted; another password ends the trust.
    pub password_changed_at: Timestamp,
    /// The browser's description.
    pub label: String,
    /// When a second factor was proved in it.
    pub made_at: Timestamp,
    /// The latest sign-in in which it replaced a factor.
    pub last_used_at: Timestamp,
    /// Last instant at which it is valid.
    pub expires_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = trusted_browsers)]
struct TrustedBrowserRow {
    id: String,
    digest: String,
    account_id: String,
    password_changed_at: StoredInstant,
    label: String,
    made_at: StoredInstant,
    last_used_at: StoredInstant,
    expires_at: StoredInstant,
}

impl TrustedBrowserRow {
    fn read(self) -> Result<TrustedBrowser, StoreError> {
        Ok(TrustedBrowser {
            id: Uuid::parse_str(&self.id).map_err(|_| StoreError::Corrupt("a trusted browser's id".into()))?,
            digest: self.digest,
            account: account_rows::parse_id(&self.account_id)?,
            password_changed_at: self.password_changed_at.into(),
            label: self.label,
            made_at: self.made_at.into(),
            last_used_at: self.last_used_at.into(),
            expires_at: self.expires_at.into(),
        })
    }
}

/// Inserts a trusted browser.
pub fn insert(c: &mut Conn, browser: &TrustedBrowser) -> Result<(), StoreError> {
    let row = TrustedBrowserRow {
        id: browser.id.to_string(),
        digest: browser.digest.clone(),
        account_id: browser.account.0.to_string(),
        password_changed_at: browser.password_changed_at.into(),
        label: text::clean(&browser.label).into_owned(),
        made_at: browser.made_at.into(),
        last_used_at: browser.last_used_at.into(),
        expires_at: browser.expires_at.into(),
    };
    diesel::insert_into(trusted_browsers::table)
        .values(row)
        .execute(c.db())?;
    Ok(())
}

/// Finds the browser of a token, valid or not.
pub fn find(c: &mut Conn, digest: &str) -> Result<Option<TrustedBrowser>, StoreError> {
    let row: Option<TrustedBrowserRow> = trusted_browsers::table
        .filter(trusted_browsers::digest.eq(text::clean(digest).into_owned()))
        .select(TrustedBrowserRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(TrustedBrowserRow::read).transpose()
}

/// Lists an account's browsers, the newest first.
pub fn of_account(c: &mut Conn, account: AccountId) -> Result<Vec<TrustedBrowser>, StoreError> {
    let rows: Vec<TrustedBrowserRow> = trusted_browsers::table
        .filter(trusted_browsers::account_id.eq(account.0.to_string()))
        .order((trusted_browsers::made_at.desc(), trusted_browsers::id.desc()))
        .select(TrustedBrowserRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(TrustedBrowserRow::read).collect()
}

/// Records that a browser replaced a factor.
pub fn note_use(c: &mut Conn, id: Uuid, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(trusted_browsers::table.find(id.to_string()))
        .set(trusted_browsers::last_used_at.eq(StoredInstant::from(at)))
        .execute(c.db())?;
    Ok(())
}

/// Deletes an account's browser. Returns false if the account has no such browser.
pub fn delete(c: &mut Conn, account: AccountId, id: Uuid) -> Result<bool, StoreError> {
    let own = trusted_browsers::table
        .find(id.to_string())
        .filter(trusted_browsers::account_id.eq(account.0.to_string()));
    Ok(diesel::delete(own).execute(c.db())? == 1)
}

/// Deletes an account's browsers; returns their number.
pub fn delete_of_account(c: &mut Conn, account: AccountId) -> Result<usize, StoreError> {
    let own = trusted_browsers::table.filter(trusted_browsers::account_id.eq(account.0.to_string()));
    Ok(diesel::delete(own).execute(c.db())?)
}

/// Deletes all of them.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(trusted_browsers::table).execute(c.db())?;
    Ok(())
}

/// Deletes those that expired before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, trusted_browsers.expires_at before before, limit))
}
