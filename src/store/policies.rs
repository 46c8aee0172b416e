//! Which policy holds, and which held before? Revisions are written once and never changed (but for the confirmation
//! of a provisional one). Beside them: the keys that each running instance has pinned by its environment, and drafts in `drafts`.
use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce},
    conn::MultiBackend,
    instant::At,
    per_backend::Both,
    schema::{pins, policies},
    text,
};
use crate::domain::{
    policy::{Pins, PolicyDocument, diff::Change, provisional},
    time::Timestamp,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    result::{DatabaseErrorKind, Error as DieselError},
};

pub mod drafts;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub revision: i64,
    pub at: Timestamp,
    pub author: String,
    pub reason: String,
    /// initial, saved, restored, imported, reset, reverted
    pub kind: String,
    pub document: PolicyDocument,
    /// To the revision before.
    pub changes: Vec<Change>,
    /// A provisional one: past this and unconfirmed, the revision before is in force.
    pub confirm_by: Option<Timestamp>,
    pub confirmed: bool,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = policies, treat_none_as_default_value = false)]
struct Record {
    revision: i64,
    saved_at: At,
    author: String,
    reason: String,
    kind: String,
    document: String,
    changes: String,
    confirm_by: Option<At>,
    confirmed: bool,
}

impl Record {
    fn of(revision: &Revision) -> Record {
        Record {
            revision: revision.revision,
            saved_at: revision.at.into(),
            author: text::clean(&revision.author).into_owned(),
            reason: text::clean(&revision.reason).into_owned(),
            kind: revision.kind.clone(),
            document: revision.document.to_json().to_string(),
            changes: changes_text(&revision.changes),
            confirm_by: revision.confirm_by.map(At::from),
            confirmed: revision.confirmed,
        }
    }

    fn read(self) -> Result<Revision, StoreError> {
        let number = self.revision;
        let corrupt = |what: &str| StoreError::Corrupt(format!("policy revision {number}: {what}"));
        Ok(Revision {
            revision: number,
            at: self.saved_at.into(),
            author: self.author,
            reason: self.reason,
            kind: self.kind,
            document: document_of(&self.document).ok_or_else(|| corrupt("its document"))?,
            changes: changes_of(&self.changes).ok_or_else(|| corrupt("its changes"))?,
            confirm_by: self.confirm_by.map(Timestamp::from),
            confirmed: self.confirmed,
        })
    }
}

fn document_of(text: &str) -> Option<PolicyDocument> {
    let json = serde_json::from_str(text).ok()?;
    PolicyDocument::from_json(&json).ok()
}

fn changes_text(changes: &[Change]) -> String {
    serde_json::Value::Array(changes.iter().map(Change::to_json).collect()).to_string()
}

fn changes_of(text: &str) -> Option<Vec<Change>> {
    let changes: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    changes.iter().map(Change::from_json).collect()
}

impl Revision {
    /// Until when it holds without being confirmed; `None`: for good.
    pub fn provisional_until(&self) -> Option<Timestamp> {
        self.confirm_by.filter(|_| !self.confirmed)
    }
}

/// What holds at `now`, and the newest revision if that is another: a provisional one that nobody confirmed in time.
pub struct Standing {
    pub in_force: Revision,
    /// Still to be undone.
    pub lapsed: Option<Revision>,
}

/// INVARIANT: nothing is saved on top of a provisional revision, so the one before it always holds for good.
pub fn standing(c: &mut Conn, now: Timestamp) -> Result<Option<Standing>, StoreError> {
    let Some(newest) = latest(c)? else { return Ok(None) };
    if newest
        .provisional_until()
        .is_none_or(|by| !provisional::lapsed_at(by, now))
    {
        return Ok(Some(Standing {
            in_force: newest,
            lapsed: None,
        }));
    }
    Ok(Some(Standing {
        in_force: before(c, &newest)?,
        lapsed: Some(newest),
    }))
}

/// The revision that comes back when a provisional one is not confirmed.
pub fn before(c: &mut Conn, provisional: &Revision) -> Result<Revision, StoreError> {
    find(c, provisional.revision - 1)?.ok_or_else(|| {
        StoreError::Corrupt(format!(
            "policy revision {}: the one before it is missing",
            provisional.revision
        ))
    })
}

pub fn latest(c: &mut Conn) -> Result<Option<Revision>, StoreError> {
    let row = policies::table
        .order(policies::revision.desc())
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

pub fn find(c: &mut Conn, revision: i64) -> Result<Option<Revision>, StoreError> {
    let row = policies::table
        .find(revision)
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

/// Newest first, below `before`.
pub fn list(c: &mut Conn, before: Option<i64>, limit: i64) -> Result<Vec<Revision>, StoreError> {
    let mut rows = policies::table.into_boxed::<MultiBackend>();
    if let Some(before) = before {
        rows = rows.filter(policies::revision.lt(before));
    }
    let rows: Vec<Record> = rows
        .order(policies::revision.desc())
        .limit(limit.max(0))
        .select(Record::as_select())
        .load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// Conflict unless `base` is the latest one (0: there is none) and this the next.
pub fn insert(c: &mut Conn, revision: &Revision, base: i64) -> Result<(), StoreError> {
    const CONFLICT: StoreError = StoreError::Conflict("policy revision");
    let latest = policies::table
        .select(diesel::dsl::max(policies::revision))
        .first::<Option<i64>>(c.db())?;
    if latest.unwrap_or(0) != base || revision.revision != base + 1 {
        return Err(CONFLICT);
    }
    match diesel::insert_into(policies::table)
        .values(Record::of(revision))
        .execute(c.db())
    {
        Ok(_) => announce(c, ChangeKind::Policy, &revision.revision.to_string()),
        // Somebody else's save of the same number committed after we looked.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Err(CONFLICT),
        Err(other) => Err(other.into()),
    }
}

/// Confirms a provisional revision in time. False: it is not provisional, confirmed already, or `now` is too late.
pub fn confirm(c: &mut Conn, revision: i64, now: Timestamp) -> Result<bool, StoreError> {
    let provisional = policies::table
        .find(revision)
        .filter(policies::confirmed.eq(false))
        .filter(policies::confirm_by.ge(At::from(now)));
    let done = diesel::update(provisional)
        .set(policies::confirmed.eq(true))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Policy, &revision.to_string())?;
    }
    Ok(done)
}

/// Takes a provisional revision's time away, so that it can no longer be confirmed: before it is undone, in the same write.
/// Conflict: it was confirmed or undone meanwhile.
pub fn withdraw(c: &mut Conn, revision: i64) -> Result<(), StoreError> {
    let waiting = policies::table
        .find(revision)
        .filter(policies::confirmed.eq(false))
        .filter(policies::confirm_by.is_not_null());
    let none: Option<At> = None;
    match diesel::update(waiting)
        .set(policies::confirm_by.eq(none))
        .execute(c.db())?
    {
        1 => Ok(()),
        _ => Err(StoreError::Conflict("policy revision")),
    }
}

/// What an instance has pinned, as of `at`; said again from time to time, so that a dead instance's pins fade.
pub fn publish_pins(c: &mut Conn, instance: &str, pinned: &Pins, at: Timestamp) -> Result<(), StoreError> {
    // Pins are settings like those of the scope "everyone", and written alike.
    let document = PolicyDocument {
        everyone: pinned.clone(),
        ..PolicyDocument::default()
    };
    let row = (
        pins::published_at.eq(At::from(at)),
        pins::document.eq(document.to_json().to_string()),
    );
    let upsert = diesel::insert_into(pins::table)
        .values((pins::instance.eq(instance), row.clone()))
        .on_conflict(pins::instance)
        .do_update()
        .set(row);
    Both(upsert).execute(c.db())?;
    Ok(())
}

/// What the instances heard of at or after `fresh_since` have pinned, by instance.
pub fn pins(c: &mut Conn, fresh_since: Timestamp) -> Result<Vec<(String, Pins)>, StoreError> {
    let rows: Vec<(String, String)> = pins::table
        .filter(pins::published_at.ge(At::from(fresh_since)))
        .order(pins::instance)
        .select((pins::instance, pins::document))
        .load(c.db())?;
    rows.into_iter()
        .map(|(instance, text)| {
            let document = document_of(&text).ok_or_else(|| StoreError::Corrupt("an instance's pins".into()))?;
            Ok((instance, document.everyone))
        })
        .collect()
}

/// Forgets instances not heard of since `before`, longest ago first, at most `limit`.
pub fn purge_pins(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let gone: Vec<String> = pins::table
        .filter(pins::published_at.lt(At::from(before)))
        .order(pins::published_at)
        .limit(limit)
        .select(pins::instance)
        .load(c.db())?;
    Ok(diesel::delete(pins::table.filter(pins::instance.eq_any(gone))).execute(c.db())?)
}

pub fn withdraw_pins(c: &mut Conn, instance: &str) -> Result<(), StoreError> {
    diesel::delete(pins::table.find(instance)).execute(c.db())?;
    Ok(())
}
