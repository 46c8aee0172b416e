//! Links for enrolling a second factor: digests only, one per account.
use super::{
    Conn, StoreError, accounts as account_rows, instant::StoredInstant, per_backend::purge_oldest,
    schema::enrolment_links, text,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

/// A link that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentLink {
    /// Digest of its token.
    pub digest: String,
    /// The account that may enrol a factor.
    pub account: AccountId,
    /// The address to which it was sent; `None`: an administrator passed it on.
    pub email: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Last instant at which it works.
    pub expires_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = enrolment_links, treat_none_as_default_value = false)]
struct EnrolmentLinkRow {
    digest: String,
    account_id: String,
    email: Option<String>,
    made_at: StoredInstant,
    expires_at: StoredInstant,
}

impl EnrolmentLinkRow {
    fn read(self) -> Result<EnrolmentLink, StoreError> {
        Ok(EnrolmentLink {
            account: account_rows::parse_id(&self.account_id)?,
            digest: self.digest,
            email: self.email,
            made_at: self.made_at.into(),
            expires_at: self.expires_at.into(),
        })
    }
}

/// Inserts a link in place of the account's earlier one.
pub fn replace(c: &mut Conn, link: &EnrolmentLink) -> Result<(), StoreError> {
    delete_of_account(c, link.account)?;
    let row = EnrolmentLinkRow {
        digest: link.digest.clone(),
        account_id: link.account.0.to_string(),
        email: link.email.as_deref().map(|email| text::clean(email).into_owned()),
        made_at: link.made_at.into(),
        expires_at: link.expires_at.into(),
    };
    diesel::insert_into(enrolment_links::table)
        .values(row)
        .execute(c.db())?;
    Ok(())
}

/// Finds a link without consuming it.
pub fn find(c: &mut Conn, digest: &str) -> Result<Option<EnrolmentLink>, StoreError> {
    let row: Option<EnrolmentLinkRow> = enrolment_links::table
        .find(text::clean(digest).into_owned())
        .select(EnrolmentLinkRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(EnrolmentLinkRow::read).transpose()
}

/// Finds an account's link, even if it has expired.
pub fn find_of_account(c: &mut Conn, account: AccountId) -> Result<Option<EnrolmentLink>, StoreError> {
    let row: Option<EnrolmentLinkRow> = enrolment_links::table
        .filter(enrolment_links::account_id.eq(account.0.to_string()))
        .select(EnrolmentLinkRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(EnrolmentLinkRow::read).transpose()
}

/// Lists those of these accounts that have a valid link at `now`.
pub fn accounts_with_link(c: &mut Conn, accounts: &[AccountId], now: Timestamp) -> Result<Vec<AccountId>, StoreError> {
    let rows: Vec<String> = enrolment_links::table
        .filter(enrolment_links::account_id.eq_any(accounts.iter().map(|id| id.0.to_string())))
        .filter(enrolment_links::expires_at.ge(StoredInstant::from(now)))
        .select(enrolment_links::account_id)
        .load(c.db())?;
    rows.iter().map(|id| account_rows::parse_id(id)).collect()
}

/// Consumes a link; only one of several callers gets true.
pub fn redeem(c: &mut Conn, digest: &str) -> Result<bool, StoreError> {
    Ok(diesel::delete(enrolment_links::table.find(text::clean(digest).into_owned())).execute(c.db())? == 1)
}

/// Deletes an account's link.
pub fn delete_of_account(c: &mut Conn, account: AccountId) -> Result<(), StoreError> {
    let own = enrolment_links::table.filter(enrolment_links::account_id.eq(account.0.to_string()));
    diesel::delete(own).execute(c.db())?;
    Ok(())
}

/// Deletes all of them.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(enrolment_links::table).execute(c.db())?;
    Ok(())
}

/// Deletes links that expired before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, enrolment_links.expires_at before before, limit))
}
