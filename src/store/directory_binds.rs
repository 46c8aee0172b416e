//! Passwords that were tried at directories. All instances count in one row for each person, so
//! that together they stay below the limit at which the directory locks the account.
use super::{
    Conn, StoreError,
    conn::AnyConn,
    instant::StoredInstant,
    per_backend::{PreparedStatement, purge_oldest},
    schema::directory_binds,
    text,
};
use crate::domain::time::{Span, Timestamp};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, upsert::excluded};

/// Time after which a try without an answer counts as refused: its sign-in has given up.
const ANSWER_TIME: Span = Span::from_secs(10);

/// The result of [`reserve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindReservation {
    /// The password may be tried. [`settle_refused`] or [`clear`] completes the reservation.
    Granted,
    /// The directory refused as many passwords as the limit allows.
    Limited,
    /// Tries that wait for their answer fill the limit. It may have room after their answers.
    Waiting,
}

/// The instants of a person's tries, in microseconds.
#[derive(Default)]
struct AttemptBudget {
    refused: Vec<i64>,
    waiting: Vec<i64>,
}

impl AttemptBudget {
    /// Reads a row. A row with one list is from an earlier version, which did not distinguish
    /// attempts.
    fn parse(stored: &str) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt("the binds of a person".into());
        if let Ok((refused, waiting)) = serde_json::from_str(stored) {
            return Ok(Self { refused, waiting });
        }
        let refused = serde_json::from_str(stored).map_err(corrupt)?;
        Ok(Self {
            refused,
            waiting: Vec::new(),
        })
    }

    /// Forgets what is older than `window`, and counts tries that were given up.
    fn settle(&mut self, now: Timestamp, window: Span) {
        let given_up = now.saturating_sub(ANSWER_TIME).as_micros();
        self.refused
            .extend(self.waiting.iter().filter(|at| **at <= given_up).copied());
        self.waiting.retain(|at| *at > given_up);
        let start = now.saturating_sub(window).as_micros();
        self.refused.retain(|at| *at > start);
    }

    fn save(&self, c: &mut Conn, subject: &str, now: Timestamp) -> Result<(), StoreError> {
        let text = serde_json::json!([self.refused, self.waiting]).to_string();
        diesel::update(directory_binds::table.find(subject))
            .set((
                directory_binds::instants.eq(text),
                directory_binds::last_at.eq(StoredInstant::from(now)),
            ))
            .execute(c.db())?;
        Ok(())
    }
}

/// Reserves one try of a password, unless there were `limit` within `window` before `now`. The
/// row is locked, so that parallel attempts are counted one after the other. Call it in a write.
pub fn reserve(
    c: &mut Conn,
    subject: &str,
    now: Timestamp,
    window: Span,
    limit: u32,
) -> Result<BindReservation, StoreError> {
    let subject = text::clean(subject);
    let mut tries = lock(c, &subject, now)?;
    tries.settle(now, window);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if tries.refused.len() >= limit {
        return Ok(BindReservation::Limited);
    }
    if tries.refused.len() + tries.waiting.len() >= limit {
        return Ok(BindReservation::Waiting);
    }
    tries.waiting.push(now.as_micros());
    tries.save(c, &subject, now)?;
    Ok(BindReservation::Granted)
}

/// Counts a try that was reserved at `reserved` as refused by the directory. Call it in a write.
pub fn settle_refused(c: &mut Conn, subject: &str, reserved: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    let subject = text::clean(subject);
    let mut tries = lock(c, &subject, now)?;
    // It is not there if a right password cleared the count, which the directory did too.
    if let Some(place) = tries.waiting.iter().position(|at| *at == reserved.as_micros()) {
        tries.waiting.swap_remove(place);
    }
    tries.refused.push(reserved.as_micros());
    tries.save(c, &subject, now)
}

/// Returns the instants of the refused tries within `window` before `now`.
pub fn list_refused(c: &mut Conn, subject: &str, now: Timestamp, window: Span) -> Result<Vec<Timestamp>, StoreError> {
    let stored: Option<String> = directory_binds::table
        .find(text::clean(subject).as_ref())
        .select(directory_binds::instants)
        .first(c.db())
        .optional()?;
    let mut tries = stored.map_or_else(|| Ok(AttemptBudget::default()), |stored| AttemptBudget::parse(&stored))?;
    tries.settle(now, window);
    Ok(tries.refused.into_iter().map(Timestamp::from_micros).collect())
}

/// The tries of one person.
pub struct StoredBinds {
    /// The person, as given to [`reserve`].
    pub subject: String,
    /// The latest try.
    pub last_at: Timestamp,
    tries: AttemptBudget,
}

impl StoredBinds {
    /// Returns the instants of the refused tries within `window` before `now`.
    pub fn refused(mut self, now: Timestamp, window: Span) -> Vec<Timestamp> {
        self.tries.settle(now, window);
        self.tries.refused.into_iter().map(Timestamp::from_micros).collect()
    }
}

/// Lists the people whose last try was after `since`, latest first, at most `limit`.
pub fn list_recent(c: &mut Conn, since: Timestamp, limit: i64) -> Result<Vec<StoredBinds>, StoreError> {
    let rows: Vec<(String, String, StoredInstant)> = directory_binds::table
        .filter(directory_binds::last_at.gt(StoredInstant::from(since)))
        .order((directory_binds::last_at.desc(), directory_binds::subject))
        .limit(limit)
        .load(c.db())?;
    let read = |(subject, instants, last_at): (String, String, StoredInstant)| {
        Ok(StoredBinds {
            subject,
            last_at: last_at.into(),
            tries: AttemptBudget::parse(&instants)?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Forgets the tries of a person after the right password, as directories do.
pub fn clear(c: &mut Conn, subject: &str) -> Result<(), StoreError> {
    diesel::delete(directory_binds::table.find(text::clean(subject).as_ref())).execute(c.db())?;
    Ok(())
}

/// Deletes rows whose last try was before `before`, about `limit` of them; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, directory_binds.last_at before before, limit))
}

/// Reads the row of a person and locks it; it is inserted if it is missing. This is one statement,
/// because another sign-in may delete the row at any time before it is locked.
fn lock(c: &mut Conn, subject: &str, now: Timestamp) -> Result<AttemptBudget, StoreError> {
    macro_rules! statement {
        () => {
            PreparedStatement(
                diesel::insert_into(directory_binds::table)
                    .values((
                        directory_binds::subject.eq(subject),
                        directory_binds::instants.eq("[[],[]]"),
                        directory_binds::last_at.eq(StoredInstant::from(now)),
                    ))
                    .on_conflict(directory_binds::subject)
                    .do_update()
                    .set(directory_binds::subject.eq(excluded(directory_binds::subject)))
                    .returning(directory_binds::instants),
            )
        };
    }
    let stored: String = match c.db() {
        AnyConn::Postgres(c) => statement!().get_result(c)?,
        AnyConn::Sqlite(c) => statement!().get_result(c)?,
    };
    AttemptBudget::parse(&stored)
}

#[cfg(test)]
mod tests;
