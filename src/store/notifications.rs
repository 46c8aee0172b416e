//! Notifications that accounts have switched off, and what the latest ones were about; also the
//! devices that an account is known by, and the links for reporting a sign-in.
use super::{
    Conn, StoreError, accounts as account_rows,
    instant::StoredInstant,
    per_backend::{PortableStatement, purge_oldest},
    schema::{disavowals, known_devices, notices, outbox},
    text,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

/// Lists the codes of the kinds that the account has switched off.
pub fn list_switched_off(c: &mut Conn, account: AccountId) -> Result<Vec<String>, StoreError> {
    Ok(notices::table
        .filter(notices::account_id.eq(account.0.to_string()))
        .filter(notices::off.eq(true))
        .order(notices::kind)
        .select(notices::kind)
        .load(c.db())?)
}

/// Switches a kind of notification off or on for an account.
pub fn set_switch(c: &mut Conn, account: AccountId, kind: &str, off: bool) -> Result<(), StoreError> {
    let row = (
        notices::account_id.eq(account.0.to_string()),
        notices::kind.eq(kind),
        notices::off.eq(off),
    );
    let upsert = diesel::insert_into(notices::table)
        .values(row)
        .on_conflict((notices::account_id, notices::kind))
        .do_update()
        .set(notices::off.eq(off));
    PortableStatement(upsert).execute(c.db())?;
    Ok(())
}

/// Finds what the latest email of this kind was about.
pub fn find_latest(c: &mut Conn, account: AccountId, kind: &str) -> Result<Option<Timestamp>, StoreError> {
    let about: Option<Option<StoredInstant>> = notices::table
        .find((account.0.to_string(), kind))
        .select(notices::about)
        .first(c.db())
        .optional()?;
    Ok(about.flatten().map(Timestamp::from))
}

/// Records what the latest notification of a kind was about.
pub fn set_latest(c: &mut Conn, account: AccountId, kind: &str, about: Timestamp) -> Result<(), StoreError> {
    let row = (
        notices::account_id.eq(account.0.to_string()),
        notices::kind.eq(kind),
        notices::off.eq(false),
        notices::about.eq(Some(StoredInstant::from(about))),
    );
    let upsert = diesel::insert_into(notices::table)
        .values(row)
        .on_conflict((notices::account_id, notices::kind))
        .do_update()
        .set(notices::about.eq(Some(StoredInstant::from(about))));
    PortableStatement(upsert).execute(c.db())?;
    Ok(())
}

/// Returns whether an email of this kind was queued for the account after `since`.
pub fn has_email_since(c: &mut Conn, account: AccountId, kind: &str, since: Timestamp) -> Result<bool, StoreError> {
    let found = outbox::table
        .filter(outbox::account_id.eq(account.0.to_string()))
        .filter(outbox::queued_at.gt(StoredInstant::from(since)))
        .filter(outbox::kind.eq(kind))
        .select(outbox::id)
        .first::<String>(c.db())
        .optional()?;
    Ok(found.is_some())
}

/// Returns whether the account is known by this device; `None`: it is known by no device.
pub fn knows_device(c: &mut Conn, account: AccountId, device: &str) -> Result<Option<bool>, StoreError> {
    let known: Vec<String> = known_devices::table
        .filter(known_devices::account_id.eq(account.0.to_string()))
        .select(known_devices::device)
        .load(c.db())?;
    let device = text::clean(device);
    Ok((!known.is_empty()).then(|| known.iter().any(|known| *known == device)))
}

/// Records that an account signed in with a device.
pub fn remember_device(c: &mut Conn, account: AccountId, device: &str, at: Timestamp) -> Result<(), StoreError> {
    let row = (
        known_devices::account_id.eq(account.0.to_string()),
        known_devices::device.eq(text::clean(device).into_owned()),
        known_devices::seen_at.eq(StoredInstant::from(at)),
    );
    let upsert = diesel::insert_into(known_devices::table)
        .values(row)
        .on_conflict((known_devices::account_id, known_devices::device))
        .do_update()
        .set(known_devices::seen_at.eq(StoredInstant::from(at)));
    PortableStatement(upsert).execute(c.db())?;
    Ok(())
}

/// Removes a device that the account was known by.
pub fn forget_device(c: &mut Conn, account: AccountId, device: &str) -> Result<(), StoreError> {
    let device = text::clean(device).into_owned();
    diesel::delete(known_devices::table.find((account.0.to_string(), device))).execute(c.db())?;
    Ok(())
}

/// A link in an email, and the sign-in that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInReportLink {
    /// The digest of the link's token.
    pub digest: String,
    /// The account.
    pub account: AccountId,
    /// When the sign-in happened.
    pub made_at: Timestamp,
    /// The device of the sign-in, as described to its owner.
    pub device: String,
    /// The address of the sign-in.
    pub ip: String,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = disavowals)]
struct ReportLinkRow {
    digest: String,
    account_id: String,
    made_at: StoredInstant,
    device: String,
    ip: String,
}

/// Stores the link with which an owner reports a sign-in.
pub fn add_report_link(c: &mut Conn, link: &SignInReportLink) -> Result<(), StoreError> {
    diesel::insert_into(disavowals::table)
        .values(ReportLinkRow {
            digest: link.digest.clone(),
            account_id: link.account.0.to_string(),
            made_at: link.made_at.into(),
            device: text::clean(&link.device).into_owned(),
            ip: link.ip.clone(),
        })
        .execute(c.db())?;
    Ok(())
}

/// Finds a link by its digest.
pub fn find_report_link(c: &mut Conn, digest: &str) -> Result<Option<SignInReportLink>, StoreError> {
    let row: Option<ReportLinkRow> = disavowals::table
        .find(digest)
        .select(ReportLinkRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(|row| {
        Ok(SignInReportLink {
            account: account_rows::parse_id(&row.account_id)?,
            digest: row.digest,
            made_at: row.made_at.into(),
            device: row.device,
            ip: row.ip,
        })
    })
    .transpose()
}

/// Deletes all such links of the account; using one consumes them all.
pub fn delete_report_links(c: &mut Conn, account: AccountId) -> Result<(), StoreError> {
    diesel::delete(disavowals::table.filter(disavowals::account_id.eq(account.0.to_string()))).execute(c.db())?;
    Ok(())
}

/// Deletes all links.
pub fn drop_report_links(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(disavowals::table).execute(c.db())?;
    Ok(())
}

/// Deletes links made before `before`, the oldest first, about `limit` at most.
pub fn purge_report_links(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, disavowals.made_at before before, limit))
}

/// Deletes devices last seen before `before`, the oldest first, about `limit` at most.
pub fn purge_devices(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, known_devices.seen_at before before, limit))
}
