//! Queued notices of lockouts for the owners of the names that were tried. Whether an account
//! exists is looked up when a row is taken, not when it is queued.
use super::{Conn, StoreError, instant::StoredInstant, schema::lockout_notices, text};
use crate::domain::time::Timestamp;
use diesel::{Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use std::net::IpAddr;
use uuid::Uuid;

/// A notification about a lock that a job still has to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockoutNotice {
    /// Its ID.
    pub id: Uuid,
    /// The name key of the name that was tried.
    pub account_key: String,
    /// The failures of the counter, of which this name may have had only some.
    pub failures: i32,
    /// The IP address of the failure that began the lock.
    pub ip: Option<IpAddr>,
    /// Whether the address is locked, not the name.
    pub by_address: bool,
    /// When the lock began.
    pub began_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = lockout_notices, treat_none_as_default_value = false)]
struct LockoutNoticeRow {
    id: String,
    account_key: String,
    failures: i32,
    ip: Option<String>,
    by_address: bool,
    began_at: StoredInstant,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a lockout notice's {what}"))
}

impl LockoutNoticeRow {
    fn read(self) -> Result<LockoutNotice, StoreError> {
        let ip = self.ip.map(|ip| ip.parse().map_err(|_| corrupt("address")));
        Ok(LockoutNotice {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("id"))?,
            account_key: self.account_key,
            failures: self.failures,
            ip: ip.transpose()?,
            by_address: self.by_address,
            began_at: self.began_at.into(),
        })
    }
}

/// Queues a notification.
pub fn queue(c: &mut Conn, notice: &LockoutNotice) -> Result<(), StoreError> {
    let row = LockoutNoticeRow {
        id: notice.id.to_string(),
        account_key: text::clean(&notice.account_key).into_owned(),
        failures: notice.failures,
        ip: notice.ip.map(|ip| ip.to_string()),
        by_address: notice.by_address,
        began_at: notice.began_at.into(),
    };
    diesel::insert_into(lockout_notices::table)
        .values(row)
        .execute(c.db())?;
    Ok(())
}

/// Lists the oldest waiting notices, at most `limit`, without a write; each is then [`take`]n.
pub fn list_waiting(c: &mut Conn, limit: i64) -> Result<Vec<LockoutNotice>, StoreError> {
    let rows: Vec<LockoutNoticeRow> = lockout_notices::table
        .order((lockout_notices::began_at, lockout_notices::id))
        .limit(limit)
        .select(LockoutNoticeRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(LockoutNoticeRow::read).collect()
}

/// Takes a notice out of the queue, inside the write that sends it. Returns false if another
/// instance took it.
pub fn take(c: &mut Conn, id: Uuid) -> Result<bool, StoreError> {
    let row = lockout_notices::table.find(id.to_string());
    Ok(diesel::delete(row).execute(c.db())? == 1)
}
