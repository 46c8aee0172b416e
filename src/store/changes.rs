//! Announcements of changes to other instances. Every write that a cache may hold adds a numbered
//! row in the same transaction; numbers have no gaps and follow the order of commits. `notify`
//! transports them.
pub use super::change_kind::ChangeKind;

use super::{
    Conn, StoreError,
    conn::AnyConn,
    instant::StoredInstant,
    per_backend::{PreparedStatement, insert_rows, notify},
    schema::{change_counter, changes},
};
use crate::domain::time::Timestamp;
use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

/// The channel that carries the latest number of `changes`.
pub(super) const CHANNEL: &str = "nightlatch";
/// More announcements than this in one transaction become a single "everything".
const TOO_MANY: usize = 500;
/// More rows than this are not read: clearing everything is cheaper.
const MISSED_LIMIT: i64 = 10_000;

/// One announced change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its number; the order of commits.
    pub seq: i64,
    /// The [`super::Store::writer`] of the process that wrote it.
    pub writer: String,
    /// What changed.
    pub kind: ChangeKind,
    /// The ID of what changed.
    pub key: String,
}

/// The changes that a server has not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissedChanges {
    /// All rows since then, oldest first.
    Rows(Vec<ChangeRow>),
    /// The rows were deleted, are too many, or belong to another database: clear everything.
    TooOld,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = changes, treat_none_as_default_value = false)]
struct NewChangeRow {
    seq: i64,
    changed_at: StoredInstant,
    writer: String,
    kind: String,
    subject: String,
}

/// Tells the other instances to forget `key` when this transaction commits. Repetitions have no
/// effect.
pub fn announce(c: &mut Conn, kind: ChangeKind, key: &str) -> Result<(), StoreError> {
    if !c.writing {
        return Err(StoreError::Corrupt("a change was announced outside of a write".into()));
    }
    if !c.pending.iter().any(|(known, at)| *known == kind && at == key) {
        c.pending.push((kind, key.to_owned()));
    }
    if c.pending.len() > TOO_MANY {
        c.pending = vec![(ChangeKind::All, String::new())];
    }
    Ok(())
}

/// Writes the transaction's announcements. This comes last, because the counter's row is locked
/// from here to the commit.
pub(super) fn flush(c: &mut Conn) -> Result<(), StoreError> {
    let pending = std::mem::take(&mut c.pending);
    let Ok(count) = i64::try_from(pending.len()) else {
        return Ok(());
    };
    if count == 0 {
        return Ok(());
    }
    let at = super::meta::now(c)?;
    let writer = c.writer().to_owned();
    let advance = diesel::update(change_counter::table)
        .set(change_counter::seq.eq(change_counter::seq + count))
        .returning(change_counter::seq);
    let last: i64 = PreparedStatement(advance).get_result(c.db())?;
    let rows: Vec<NewChangeRow> = pending
        .into_iter()
        .zip(last - count + 1..)
        .map(|((kind, subject), seq)| NewChangeRow {
            seq,
            changed_at: at.into(),
            writer: writer.clone(),
            kind: kind.as_str().to_owned(),
            subject,
        })
        .collect();
    insert_rows!(c.db(), changes::table, rows)?;
    notify(c.db(), CHANNEL, &last.to_string())
}

/// Returns the number of the latest change; 0 if there is none.
pub fn latest_seq(c: &mut Conn) -> Result<i64, StoreError> {
    latest_seq_on(c.db())
}

pub(super) fn latest_seq_on(c: &mut AnyConn) -> Result<i64, StoreError> {
    Ok(change_counter::table.select(change_counter::seq).first(c)?)
}

/// Lists the announcements after `seq`.
pub fn list_since(c: &mut Conn, seq: i64) -> Result<MissedChanges, StoreError> {
    // Twice, because a commit may fall between the two statements of one reading.
    for _ in 0..2 {
        let rows: Vec<NewChangeRow> = changes::table
            .filter(changes::seq.gt(seq))
            .order(changes::seq)
            .limit(MISSED_LIMIT + 1)
            .select(NewChangeRow::as_select())
            .load(c.db())?;
        if let Some(first) = rows.first() {
            let complete = first.seq == seq + 1 && rows.len() <= MISSED_LIMIT as usize;
            return Ok(if complete {
                MissedChanges::Rows(rows.into_iter().map(parse_row).collect())
            } else {
                MissedChanges::TooOld
            });
        }
        if latest_seq(c)? == seq {
            return Ok(MissedChanges::Rows(Vec::new()));
        }
    }
    Ok(MissedChanges::TooOld)
}

fn parse_row(row: NewChangeRow) -> ChangeRow {
    ChangeRow {
        seq: row.seq,
        writer: row.writer,
        kind: ChangeKind::parse(&row.kind),
        key: row.subject,
    }
}

/// Deletes rows written before `before`, but never the newest `keep`.
pub fn prune(c: &mut Conn, before: Timestamp, keep: i64) -> Result<usize, StoreError> {
    let latest = latest_seq(c)?;
    let old = changes::table
        .filter(changes::changed_at.lt(StoredInstant::from(before)))
        .filter(changes::seq.le(latest.saturating_sub(keep.max(0))));
    Ok(diesel::delete(old).execute(c.db())?)
}
