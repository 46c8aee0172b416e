//! The revisions of the policy. They are written once and never changed, except for the
//! confirmation of a provisional one. This table also has the pins of each running instance;
//! `drafts` has the drafts.
use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce},
    conn::MultiBackend,
    instant::StoredInstant,
    per_backend::PortableStatement,
    schema::{pins, policies},
    text,
};
use crate::domain::{
    policy::{Pins, PolicyDocument, Revision, diff::Change, provisional},
    time::Timestamp,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    result::{DatabaseErrorKind, Error as DieselError},
};

pub mod drafts;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = policies, treat_none_as_default_value = false)]
struct RevisionRow {
    revision: i64,
    saved_at: StoredInstant,
    author: String,
    reason: String,
    kind: String,
    document: String,
    changes: String,
    confirm_by: Option<StoredInstant>,
    confirmed: bool,
}

impl RevisionRow {
    fn from_revision(revision: &Revision) -> RevisionRow {
        RevisionRow {
            revision: revision.revision,
            saved_at: revision.at.into(),
            author: text::clean(&revision.author).into_owned(),
            reason: text::clean(&revision.reason).into_owned(),
            kind: revision.kind.clone(),
            document: revision.document.to_json().to_string(),
            changes: changes_text(&revision.changes),
            confirm_by: revision.confirm_by.map(StoredInstant::from),
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
            document: parse_document(&self.document).ok_or_else(|| corrupt("its document"))?,
            changes: parse_changes(&self.changes).ok_or_else(|| corrupt("its changes"))?,
            confirm_by: self.confirm_by.map(Timestamp::from),
            confirmed: self.confirmed,
        })
    }
}

fn parse_document(text: &str) -> Option<PolicyDocument> {
    let json = serde_json::from_str(text).ok()?;
    PolicyDocument::from_json(&json).ok()
}

fn changes_text(changes: &[Change]) -> String {
    serde_json::Value::Array(changes.iter().map(Change::to_json).collect()).to_string()
}

fn parse_changes(text: &str) -> Option<Vec<Change>> {
    let changes: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    changes.iter().map(Change::from_json).collect()
}

/// The revision in force at `now`, and the newest one if it differs: a provisional one that was not
/// confirmed in time.
pub struct PolicyState {
    /// The revision in force.
    pub in_force: Revision,
    /// The lapsed revision that must still be reverted.
    pub lapsed: Option<Revision>,
}

/// INVARIANT: nothing is saved on top of a provisional revision, so the previous one is always
/// final.
pub fn find_state(c: &mut Conn, now: Timestamp) -> Result<Option<PolicyState>, StoreError> {
    let Some(newest) = find_latest(c)? else { return Ok(None) };
    if newest
        .provisional_until()
        .is_none_or(|by| !provisional::lapsed_at(by, now))
    {
        return Ok(Some(PolicyState {
            in_force: newest,
            lapsed: None,
        }));
    }
    Ok(Some(PolicyState {
        in_force: find_before(c, &newest)?,
        lapsed: Some(newest),
    }))
}

/// Finds the revision that applies again when a provisional one is not confirmed.
pub fn find_before(c: &mut Conn, provisional: &Revision) -> Result<Revision, StoreError> {
    find(c, provisional.revision - 1)?.ok_or_else(|| {
        StoreError::Corrupt(format!(
            "policy revision {}: the one before it is missing",
            provisional.revision
        ))
    })
}

/// Finds the newest revision; `None` before the first save.
pub fn find_latest(c: &mut Conn) -> Result<Option<Revision>, StoreError> {
    let row = policies::table
        .order(policies::revision.desc())
        .select(RevisionRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(RevisionRow::read).transpose()
}

/// Finds a revision by number.
pub fn find(c: &mut Conn, revision: i64) -> Result<Option<Revision>, StoreError> {
    let row = policies::table
        .find(revision)
        .select(RevisionRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(RevisionRow::read).transpose()
}

/// The newest revision saved at or before an instant; `None`: the defaults applied then.
pub fn find_at(c: &mut Conn, at: Timestamp) -> Result<Option<Revision>, StoreError> {
    let row = policies::table
        .filter(policies::saved_at.le(StoredInstant::from(at)))
        .order(policies::revision.desc())
        .select(RevisionRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(RevisionRow::read).transpose()
}

/// Lists revisions, newest first, below `before`.
pub fn list(c: &mut Conn, before: Option<i64>, limit: i64) -> Result<Vec<Revision>, StoreError> {
    let mut rows = policies::table.into_boxed::<MultiBackend>();
    if let Some(before) = before {
        rows = rows.filter(policies::revision.lt(before));
    }
    let rows: Vec<RevisionRow> = rows
        .order(policies::revision.desc())
        .limit(limit.max(0))
        .select(RevisionRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(RevisionRow::read).collect()
}

/// Inserts a revision. Conflict unless `base` is the latest one (0: there is none) and this is the
/// next.
pub fn insert(c: &mut Conn, revision: &Revision, base: i64) -> Result<(), StoreError> {
    const CONFLICT: StoreError = StoreError::Conflict("policy revision");
    let latest = policies::table
        .select(diesel::dsl::max(policies::revision))
        .first::<Option<i64>>(c.db())?;
    if latest.unwrap_or(0) != base || revision.revision != base + 1 {
        return Err(CONFLICT);
    }
    match diesel::insert_into(policies::table)
        .values(RevisionRow::from_revision(revision))
        .execute(c.db())
    {
        Ok(_) => announce(c, ChangeKind::Policy, &revision.revision.to_string()),
        // Another save with the same number was committed after the check.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Err(CONFLICT),
        Err(other) => Err(other.into()),
    }
}

/// Confirms a provisional revision in time. Returns false if it is not provisional, already
/// confirmed, or `now` is too late.
pub fn confirm(c: &mut Conn, revision: i64, now: Timestamp) -> Result<bool, StoreError> {
    let provisional = policies::table
        .find(revision)
        .filter(policies::confirmed.eq(false))
        .filter(policies::confirm_by.ge(StoredInstant::from(now)));
    let done = diesel::update(provisional)
        .set(policies::confirmed.eq(true))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Policy, &revision.to_string())?;
    }
    Ok(done)
}

/// Removes a provisional revision's time, so that it can no longer be confirmed, before it is
/// reverted in the same write. Conflict: it was confirmed or reverted in the meantime.
pub fn withdraw(c: &mut Conn, revision: i64) -> Result<(), StoreError> {
    let waiting = policies::table
        .find(revision)
        .filter(policies::confirmed.eq(false))
        .filter(policies::confirm_by.is_not_null());
    let none: Option<StoredInstant> = None;
    match diesel::update(waiting)
        .set(policies::confirm_by.eq(none))
        .execute(c.db())?
    {
        1 => Ok(()),
        _ => Err(StoreError::Conflict("policy revision")),
    }
}

/// Publishes the pins of an instance, as of `at`. This is repeated, so that the pins of a stopped
/// instance expire.
pub fn publish_pins(c: &mut Conn, instance: &str, pinned: &Pins, at: Timestamp) -> Result<(), StoreError> {
    // Pins are stored like settings of the scope "everyone".
    let document = PolicyDocument {
        everyone: pinned.clone(),
        ..PolicyDocument::default()
    };
    let row = (
        pins::published_at.eq(StoredInstant::from(at)),
        pins::document.eq(document.to_json().to_string()),
    );
    let upsert = diesel::insert_into(pins::table)
        .values((pins::instance.eq(instance), row.clone()))
        .on_conflict(pins::instance)
        .do_update()
        .set(row);
    PortableStatement(upsert).execute(c.db())?;
    Ok(())
}

/// Lists the pins of instances that published at or after `fresh_since`.
pub fn list_pins(c: &mut Conn, fresh_since: Timestamp) -> Result<Vec<(String, Pins)>, StoreError> {
    let rows: Vec<(String, String)> = pins::table
        .filter(pins::published_at.ge(StoredInstant::from(fresh_since)))
        .order(pins::instance)
        .select((pins::instance, pins::document))
        .load(c.db())?;
    rows.into_iter()
        .map(|(instance, text)| {
            let document = parse_document(&text).ok_or_else(|| StoreError::Corrupt("an instance's pins".into()))?;
            Ok((instance, document.everyone))
        })
        .collect()
}

/// Deletes instances that have not published since `before`, longest ago first, at most `limit`.
pub fn purge_pins(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let gone: Vec<String> = pins::table
        .filter(pins::published_at.lt(StoredInstant::from(before)))
        .order(pins::published_at)
        .limit(limit)
        .select(pins::instance)
        .load(c.db())?;
    Ok(diesel::delete(pins::table.filter(pins::instance.eq_any(gone))).execute(c.db())?)
}

/// Deletes the pins of a server that stops.
pub fn withdraw_pins(c: &mut Conn, instance: &str) -> Result<(), StoreError> {
    diesel::delete(pins::table.find(instance)).execute(c.db())?;
    Ok(())
}
