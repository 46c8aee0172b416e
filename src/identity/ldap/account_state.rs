//! The state of an account in its directory, read from its entry without a bind: Active Directory,
//! 389 Directory Server, OpenLDAP with ppolicy, and shadow accounts.

use super::{entry::DirectoryEntry, refusal::DirectoryRefusal};
use crate::domain::time::Timestamp;

/// Attributes that contain the state; most are operational and must be requested by name.
pub(super) const STATE_ATTRIBUTES: [&str; 6] = [
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdAccountLockedTime",
    "nsAccountLock",
    "shadowExpire",
];

/// Bit of `userAccountControl`: the account is disabled.
const DISABLED: i64 = 0x2;
/// Bit of `msDS-User-Account-Control-Computed`: the account is locked.
const LOCKED: i64 = 0x10;
/// Value of `pwdAccountLockedTime` for an account that an administrator locked.
const LOCKED_FOR_GOOD: &str = "000001010000Z";
/// Seconds from 1601, the epoch of FILETIME, to 1970.
const FILETIME_EPOCH_SECS: i64 = 11_644_473_600;
/// Seconds of a day.
const DAY_SECS: i64 = 86_400;

/// Returns why the account cannot be used at `now`; `None`: it can.
pub(super) fn read_state(entry: &DirectoryEntry, now: Timestamp) -> Option<DirectoryRefusal> {
    let control = entry.number("userAccountControl").unwrap_or(0);
    let computed = entry.number("msDS-User-Account-Control-Computed").unwrap_or(0);
    let locked = entry.text("pwdAccountLockedTime");
    let is_closed = entry
        .text("nsAccountLock")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if control & DISABLED != 0 || is_closed || locked == Some(LOCKED_FOR_GOOD) {
        Some(DirectoryRefusal::Disabled)
    } else if has_expired(entry, now) {
        Some(DirectoryRefusal::AccountExpired)
    } else if computed & LOCKED != 0 || locked.is_some() {
        Some(DirectoryRefusal::Locked)
    } else {
        None
    }
}

fn has_expired(entry: &DirectoryEntry, now: Timestamp) -> bool {
    let now_secs = now.as_micros().div_euclid(1_000_000);
    // 0 and the largest number mean never.
    let by_date = entry
        .number("accountExpires")
        .filter(|ticks| *ticks != 0 && *ticks != i64::MAX)
        .is_some_and(|ticks| ticks / 10_000_000 - FILETIME_EPOCH_SECS <= now_secs);
    // Days since 1970; negative numbers mean never.
    let by_shadow = entry
        .number("shadowExpire")
        .filter(|days| *days > 0)
        .is_some_and(|days| days.saturating_mul(DAY_SECS) <= now_secs);
    by_date || by_shadow
}
