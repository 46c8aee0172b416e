//! The storage format of an instant: a TIMESTAMP in UTC with exactly six digits of fraction on
//! SQLite (so that text order is time order), the native eight bytes on Postgres. The parser is our
//! own, because chrono's format parser would dominate every list.
use super::conn::MultiBackend;
use crate::domain::time::Timestamp;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types,
    sqlite::Sqlite,
};
use std::io::Write;

/// Microseconds from 1970 to 2000, the epoch of Postgres.
const PG_EPOCH: i64 = 946_684_800_000_000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: outside of them, text order is not time
/// order.
const MIN: i64 = -62_135_596_800_000_000;
const MAX: i64 = 253_402_300_799_999_999;

/// A [`Timestamp`] as a column value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(super) struct StoredInstant(i64);

impl From<Timestamp> for StoredInstant {
    fn from(at: Timestamp) -> Self {
        StoredInstant(at.as_micros().clamp(MIN, MAX))
    }
}

impl From<StoredInstant> for Timestamp {
    fn from(at: StoredInstant) -> Self {
        Timestamp::from_micros(at.0)
    }
}

impl StoredInstant {
    pub(super) fn naive(self) -> NaiveDateTime {
        // Within MIN…MAX every instant has a date; the default is never used.
        DateTime::from_timestamp_micros(self.0).unwrap_or_default().naive_utc()
    }

    fn parse(text: &str) -> Option<StoredInstant> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<u32> {
            bytes.get(from..to)?.iter().try_fold(0_u32, |n, digit| {
                let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
                Some(n * 10 + u32::from(digit))
            })
        };
        let fraction = match bytes.len() {
            19 => 0,
            // Up to six digits; one of SQLite's own functions writes three.
            21..=26 if bytes[19] == b'.' => {
                number(20, bytes.len())? * 10_u32.pow(u32::try_from(26 - bytes.len()).ok()?)
            }
            _ => return None,
        };
        let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
        let at = date.and_hms_micro_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, fraction)?;
        Some(StoredInstant(at.and_utc().timestamp_micros()))
    }
}

impl std::fmt::Display for StoredInstant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.naive();
        write!(f, "{:04}-{:02}-{:02} ", at.year(), at.month(), at.day())?;
        write!(
            f,
            "{:02}:{:02}:{:02}.{:06}",
            at.hour(),
            at.minute(),
            at.second(),
            at.nanosecond() / 1000
        )
    }
}

impl ToSql<sql_types::Timestamp, Pg> for StoredInstant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&(self.0 - PG_EPOCH).to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for StoredInstant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_string());
        Ok(IsNull::No)
    }
}

impl ToSql<sql_types::Timestamp, MultiBackend> for StoredInstant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((sql_types::Timestamp, self));
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Timestamp, Pg> for StoredInstant {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let bytes: [u8; 8] = value.as_bytes().try_into()?;
        Ok(StoredInstant(i64::from_be_bytes(bytes).saturating_add(PG_EPOCH)))
    }
}

impl FromSql<sql_types::Timestamp, Sqlite> for StoredInstant {
    fn from_sql(mut value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        StoredInstant::parse(value.read_text()).ok_or_else(|| "an instant is not written as such".into())
    }
}

impl FromSql<sql_types::Timestamp, MultiBackend> for StoredInstant {
    fn from_sql(value: <MultiBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<StoredInstant, sql_types::Timestamp>()
    }
}

/// Parses the database's own text of an instant (`substr(CAST(… AS TEXT) …)`).
pub(super) fn parse_text(text: &str) -> Option<Timestamp> {
    StoredInstant::parse(text).map(Timestamp::from)
}
