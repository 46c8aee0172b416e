//! Which lockouts are still to be told to the owners of the names that were tried? Whether there is such an account is looked up when a
//! row is taken, not when it is queued.
use super::{Conn, StoreError, instant::At, schema::lockout_notices, text};
use crate::domain::time::Timestamp;
use diesel::{Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use std::net::IpAddr;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockoutNotice {
    pub id: Uuid,
    /// The name key of what was tried.
    pub account_key: String,
    /// Of the counter, of which this name may have had only some.
    pub failures: i32,
    /// Where the failure came from that began it.
    pub ip: Option<IpAddr>,
    /// The address is locked, not the name.
    pub by_address: bool,
    pub began_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = lockout_notices, treat_none_as_default_value = false)]
struct Record {
    id: String,
    account_key: String,
    failures: i32,
    ip: Option<String>,
    by_address: bool,
    began_at: At,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a lockout notice's {what}"))
}

impl Record {
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

pub fn queue(c: &mut Conn, notice: &LockoutNotice) -> Result<(), StoreError> {
    let row = Record {
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

/// The oldest that wait, at most `limit`: looked at without a write, and [`take`]n one by one.
pub fn waiting(c: &mut Conn, limit: i64) -> Result<Vec<LockoutNotice>, StoreError> {
    let rows: Vec<Record> = lockout_notices::table
        .order((lockout_notices::began_at, lockout_notices::id))
        .limit(limit)
        .select(Record::as_select())
        .load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// Takes it out of the queue, inside the write that tells of it. False: somebody else did.
pub fn take(c: &mut Conn, id: Uuid) -> Result<bool, StoreError> {
    let row = lockout_notices::table.find(id.to_string());
    Ok(diesel::delete(row).execute(c.db())? == 1)
}
