//! Which letters does somebody want none of, and what was the latest about? Also the devices an account is known by, and the links by
//! which a sign-in is disowned.
use super::{
    Conn, StoreError, accounts as account_rows,
    instant::At,
    per_backend::{Both, purge_oldest},
    schema::{disavowals, known_devices, notices, outbox},
    text,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

/// Codes of the kinds that the account has switched off.
pub fn switched_off(c: &mut Conn, account: AccountId) -> Result<Vec<String>, StoreError> {
    Ok(notices::table
        .filter(notices::account_id.eq(account.0.to_string()))
        .filter(notices::off.eq(true))
        .order(notices::kind)
        .select(notices::kind)
        .load(c.db())?)
}

pub fn switch(c: &mut Conn, account: AccountId, kind: &str, off: bool) -> Result<(), StoreError> {
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
    Both(upsert).execute(c.db())?;
    Ok(())
}

/// What the latest letter of this kind was about.
pub fn latest(c: &mut Conn, account: AccountId, kind: &str) -> Result<Option<Timestamp>, StoreError> {
    let about: Option<Option<At>> = notices::table
        .find((account.0.to_string(), kind))
        .select(notices::about)
        .first(c.db())
        .optional()?;
    Ok(about.flatten().map(Timestamp::from))
}

pub fn set_latest(c: &mut Conn, account: AccountId, kind: &str, about: Timestamp) -> Result<(), StoreError> {
    let row = (
        notices::account_id.eq(account.0.to_string()),
        notices::kind.eq(kind),
        notices::off.eq(false),
        notices::about.eq(Some(At::from(about))),
    );
    let upsert = diesel::insert_into(notices::table)
        .values(row)
        .on_conflict((notices::account_id, notices::kind))
        .do_update()
        .set(notices::about.eq(Some(At::from(about))));
    Both(upsert).execute(c.db())?;
    Ok(())
}

/// Whether a letter of this kind was written to the account after `since`.
pub fn written_since(c: &mut Conn, account: AccountId, kind: &str, since: Timestamp) -> Result<bool, StoreError> {
    let found = outbox::table
        .filter(outbox::account_id.eq(account.0.to_string()))
        .filter(outbox::queued_at.gt(At::from(since)))
        .filter(outbox::kind.eq(kind))
        .select(outbox::id)
        .first::<String>(c.db())
        .optional()?;
    Ok(found.is_some())
}

/// Whether the account is known by this device; `None`: it is known by none at all.
pub fn knows_device(c: &mut Conn, account: AccountId, device: &str) -> Result<Option<bool>, StoreError> {
    let known: Vec<String> = known_devices::table
        .filter(known_devices::account_id.eq(account.0.to_string()))
        .select(known_devices::device)
        .load(c.db())?;
    let device = text::clean(device);
    Ok((!known.is_empty()).then(|| known.iter().any(|known| *known == device)))
}

pub fn remember_device(c: &mut Conn, account: AccountId, device: &str, at: Timestamp) -> Result<(), StoreError> {
    let row = (
        known_devices::account_id.eq(account.0.to_string()),
        known_devices::device.eq(text::clean(device).into_owned()),
        known_devices::seen_at.eq(At::from(at)),
    );
    let upsert = diesel::insert_into(known_devices::table)
        .values(row)
        .on_conflict((known_devices::account_id, known_devices::device))
        .do_update()
        .set(known_devices::seen_at.eq(At::from(at)));
    Both(upsert).execute(c.db())?;
    Ok(())
}

/// The account is known by this device no more.
pub fn forget_device(c: &mut Conn, account: AccountId, device: &str) -> Result<(), StoreError> {
    let device = text::clean(device).into_owned();
    diesel::delete(known_devices::table.find((account.0.to_string(), device))).execute(c.db())?;
    Ok(())
}

/// A link that a letter carries, and the sign-in that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disavowal {
    pub digest: String,
    pub account: AccountId,
    pub made_at: Timestamp,
    pub device: String,
    pub ip: String,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = disavowals)]
struct Record {
    digest: String,
    account_id: String,
    made_at: At,
    device: String,
    ip: String,
}

pub fn add_disavowal(c: &mut Conn, link: &Disavowal) -> Result<(), StoreError> {
    diesel::insert_into(disavowals::table)
        .values(Record {
            digest: link.digest.clone(),
            account_id: link.account.0.to_string(),
            made_at: link.made_at.into(),
            device: text::clean(&link.device).into_owned(),
            ip: link.ip.clone(),
        })
        .execute(c.db())?;
    Ok(())
}

pub fn find_disavowal(c: &mut Conn, digest: &str) -> Result<Option<Disavowal>, StoreError> {
    let row: Option<Record> = disavowals::table
        .find(digest)
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(|row| {
        Ok(Disavowal {
            account: account_rows::id_of(&row.account_id)?,
            digest: row.digest,
            made_at: row.made_at.into(),
            device: row.device,
            ip: row.ip,
        })
    })
    .transpose()
}

/// Every link of the account is used up with one.
pub fn delete_disavowals(c: &mut Conn, account: AccountId) -> Result<(), StoreError> {
    diesel::delete(disavowals::table.filter(disavowals::account_id.eq(account.0.to_string()))).execute(c.db())?;
    Ok(())
}

pub fn drop_disavowals(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(disavowals::table).execute(c.db())?;
    Ok(())
}

/// Forgets links made before `before`, the oldest first, about `limit` at most.
pub fn purge_disavowals(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, disavowals.made_at before before, limit))
}

/// Forgets devices last seen before `before`, the oldest first, about `limit` at most.
pub fn purge_devices(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, known_devices.seen_at before before, limit))
}
