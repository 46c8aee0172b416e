//! What must the other instances forget? Every write that a cache may hold leaves a numbered row here, in the same
//! transaction; numbers have no gaps and follow the order of commits. How the news travels is in `notify`.
use super::{
    Conn, StoreError,
    conn::AnyConn,
    instant::At,
    notify::CHANNEL,
    per_backend::{Prepared, insert_rows, notify},
    schema::{change_counter, changes},
};
use crate::domain::time::Timestamp;
use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

/// More announcements than this in one transaction become a single "everything".
const TOO_MANY: usize = 500;
/// More rows than this are not read: dropping everything is cheaper.
const MISSED_LIMIT: i64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    Session,
    Account,
    Policy,
    Application,
    Lockout,
    All,
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Session => "session",
            ChangeKind::Account => "account",
            ChangeKind::Policy => "policy",
            ChangeKind::Application => "application",
            ChangeKind::Lockout => "lockout",
            ChangeKind::All => "all",
        }
    }

    /// A kind that this program does not know was written by a newer one: then everything is to be dropped.
    fn parse(text: &str) -> ChangeKind {
        match text {
            "session" => ChangeKind::Session,
            "account" => ChangeKind::Account,
            "policy" => ChangeKind::Policy,
            "application" => ChangeKind::Application,
            "lockout" => ChangeKind::Lockout,
            _ => ChangeKind::All,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub seq: i64,
    /// [`super::Store::writer`] of the process that wrote it.
    pub writer: String,
    pub kind: ChangeKind,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// Everything since, oldest first.
    Rows(Vec<ChangeRow>),
    /// Pruned, too many, or another database than before: drop everything.
    TooOld,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = changes, treat_none_as_default_value = false)]
struct Record {
    seq: i64,
    changed_at: At,
    writer: String,
    kind: String,
    subject: String,
}

/// Tells the other instances, when this transaction commits, to forget `key`. Saying it twice is saying it once.
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

/// Writes the transaction's announcements: last of all, for the counter's row is held from here to the commit.
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
    let last: i64 = Prepared(advance).get_result(c.db())?;
    let rows: Vec<Record> = pending
        .into_iter()
        .zip(last - count + 1..)
        .map(|((kind, subject), seq)| Record {
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

pub fn latest_seq(c: &mut Conn) -> Result<i64, StoreError> {
    latest_seq_of(c.db())
}

pub(super) fn latest_seq_of(c: &mut AnyConn) -> Result<i64, StoreError> {
    Ok(change_counter::table.select(change_counter::seq).first(c)?)
}

/// What was announced after `seq`.
pub fn since(c: &mut Conn, seq: i64) -> Result<Missed, StoreError> {
    // Twice, because a commit may fall between the two statements of one look.
    for _ in 0..2 {
        let rows: Vec<Record> = changes::table
            .filter(changes::seq.gt(seq))
            .order(changes::seq)
            .limit(MISSED_LIMIT + 1)
            .select(Record::as_select())
            .load(c.db())?;
        if let Some(first) = rows.first() {
            let complete = first.seq == seq + 1 && rows.len() <= MISSED_LIMIT as usize;
            return Ok(if complete {
                Missed::Rows(rows.into_iter().map(change_of).collect())
            } else {
                Missed::TooOld
            });
        }
        if latest_seq(c)? == seq {
            return Ok(Missed::Rows(Vec::new()));
        }
    }
    Ok(Missed::TooOld)
}

fn change_of(row: Record) -> ChangeRow {
    ChangeRow {
        seq: row.seq,
        writer: row.writer,
        kind: ChangeKind::parse(&row.kind),
        key: row.subject,
    }
}

/// Forgets rows written before `before`, but never the newest `keep`.
pub fn prune(c: &mut Conn, before: Timestamp, keep: i64) -> Result<usize, StoreError> {
    let latest = latest_seq(c)?;
    let old = changes::table
        .filter(changes::changed_at.lt(At::from(before)))
        .filter(changes::seq.le(latest.saturating_sub(keep.max(0))));
    Ok(diesel::delete(old).execute(c.db())?)
}
