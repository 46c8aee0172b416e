//! Shipping the audit: the sealed entries in their order, and how far each target has them. A lease
//! lets one instance at a time ship to a target; its number fences off an instance that was too
//! slow.
use super::{AuditListRow, corrupt, seals, seals::sealed_text};
use crate::{
    domain::{
        audit::{
            AuditRecord,
            shipping::{SealedRecord, ShippingPlace, ShippingState, TargetName},
        },
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        instant::StoredInstant,
        per_backend::PortableStatement,
        schema::{audit, audit_seals, audit_targets},
    },
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper, dsl::sql, sql_types,
};
use std::sync::Arc;
use uuid::Uuid;

/// Seals that are read for one batch.
const SEALS: i64 = 100;

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_targets)]
struct TargetRow {
    seal: i64,
    entry_id: Option<String>,
    position: i64,
    shipped: i64,
    missed_seals: i64,
    shipped_at: Option<StoredInstant>,
    failures: i64,
    fault_at: Option<StoredInstant>,
    fault: Option<String>,
    retry_at: Option<StoredInstant>,
    lease: i64,
    leased_until: Option<StoredInstant>,
}

impl TargetRow {
    fn read(self) -> Result<ShippingState, StoreError> {
        let entry = self.entry_id.as_deref().map(Uuid::parse_str).transpose();
        Ok(ShippingState {
            place: ShippingPlace {
                seal: self.seal,
                entry: entry.map_err(|_| corrupt("place in a target"))?,
                position: u64::try_from(self.position).map_err(|_| corrupt("place in a target"))?,
            },
            shipped: self.shipped,
            missed_seals: self.missed_seals,
            shipped_at: self.shipped_at.map(Timestamp::from),
            failures: self.failures,
            fault_at: self.fault_at.map(Timestamp::from),
            fault: self.fault,
            retry_at: self.retry_at.map(Timestamp::from),
            lease: self.lease,
            leased_until: self.leased_until.map(Timestamp::from),
        })
    }
}

/// Finds what is stored about a target.
pub fn find(c: &mut Conn, target: &TargetName) -> Result<Option<ShippingState>, StoreError> {
    let row: Option<TargetRow> = audit_targets::table
        .find(target.as_str())
        .select(TargetRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(TargetRow::read).transpose()
}

/// Stores a target that begins after that seal, unless it is stored already.
pub fn insert(c: &mut Conn, target: &TargetName, after_seal: i64) -> Result<(), StoreError> {
    let row = (
        audit_targets::name.eq(target.as_str()),
        audit_targets::seal.eq(after_seal),
    );
    let insert = diesel::insert_into(audit_targets::table)
        .values(row)
        .on_conflict_do_nothing();
    PortableStatement(insert).execute(c.db())?;
    Ok(())
}

/// Takes the next lease of a target after `last` until `until`, unless another instance holds one
/// at `now`. Returns whether it was taken.
pub fn lease(
    c: &mut Conn,
    target: &TargetName,
    last: i64,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    // An end that is too far away was made by a clock that has been set back since.
    let far = StoredInstant::from(until.saturating_add(until.since(now)));
    let (now, until) = (StoredInstant::from(now), StoredInstant::from(until));
    let free = audit_targets::leased_until
        .is_null()
        .or(audit_targets::leased_until.lt(now))
        .or(audit_targets::leased_until.gt(far));
    let target = audit_targets::table
        .find(target.as_str())
        .filter(audit_targets::lease.eq(last))
        .filter(free);
    let taken = diesel::update(target)
        .set((
            audit_targets::lease.eq(last + 1),
            audit_targets::leased_until.eq(Some(until)),
        ))
        .execute(c.db())?;
    Ok(taken == 1)
}

/// Writes under a lease what was confirmed, and holds the lease until `until`. Returns false if
/// another instance has taken the target over.
pub fn advance(
    c: &mut Conn,
    target: &TargetName,
    lease: i64,
    step: &ShippingStep,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let place = step.place;
    let held = audit_targets::table
        .find(target.as_str())
        .filter(audit_targets::lease.eq(lease));
    let moved = diesel::update(held)
        .set((
            audit_targets::seal.eq(place.seal),
            audit_targets::entry_id.eq(place.entry.map(|id| id.to_string())),
            audit_targets::position.eq(i64::try_from(place.position).unwrap_or(i64::MAX)),
            audit_targets::shipped.eq(audit_targets::shipped + step.records),
            audit_targets::missed_seals.eq(audit_targets::missed_seals + step.missed_seals),
            audit_targets::shipped_at.eq(Some(StoredInstant::from(now))),
            audit_targets::failures.eq(0),
            audit_targets::fault_at.eq(None::<StoredInstant>),
            audit_targets::fault.eq(None::<String>),
            audit_targets::retry_at.eq(None::<StoredInstant>),
            audit_targets::leased_until.eq(Some(StoredInstant::from(until))),
        ))
        .execute(c.db())?;
    Ok(moved == 1)
}

/// What one confirmed batch changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShippingStep {
    /// The place after the batch.
    pub place: ShippingPlace,
    /// The number of records in it.
    pub records: i64,
    /// The number of seals before it that had been removed.
    pub missed_seals: i64,
}

/// Ends a lease, so that any instance may go on.
pub fn release(c: &mut Conn, target: &TargetName, lease: i64) -> Result<(), StoreError> {
    let held = audit_targets::table
        .find(target.as_str())
        .filter(audit_targets::lease.eq(lease));
    diesel::update(held)
        .set(audit_targets::leased_until.eq(None::<StoredInstant>))
        .execute(c.db())?;
    Ok(())
}

/// Records under a lease that an attempt failed, and ends the lease. `fault` must contain no
/// secret. The first instant of an unbroken row of faults stays.
pub fn record_fault(
    c: &mut Conn,
    target: &TargetName,
    lease: i64,
    fault: &str,
    now: Timestamp,
    retry_at: Timestamp,
) -> Result<(), StoreError> {
    let held = || {
        audit_targets::table
            .find(target.as_str())
            .filter(audit_targets::lease.eq(lease))
    };
    diesel::update(held().filter(audit_targets::fault_at.is_null()))
        .set(audit_targets::fault_at.eq(Some(StoredInstant::from(now))))
        .execute(c.db())?;
    diesel::update(held())
        .set((
            audit_targets::failures.eq(audit_targets::failures + 1),
            audit_targets::fault.eq(Some(fault)),
            audit_targets::retry_at.eq(Some(StoredInstant::from(retry_at))),
            audit_targets::leased_until.eq(None::<StoredInstant>),
        ))
        .execute(c.db())?;
    Ok(())
}

/// The entries that follow a place.
#[derive(Debug, Clone, PartialEq)]
pub struct ShippingBatch {
    /// The entries, in the order of seals and IDs.
    pub records: Vec<SealedRecord>,
    /// The place after them; it may be later even if there are none.
    pub end: ShippingPlace,
    /// The number of seals between the place and the first entry that had been removed. No other
    /// seals are missing among the entries.
    pub missed_seals: i64,
}

/// Reads at most `limit` entries after a place, from few seals.
pub fn read_batch(c: &mut Conn, from: ShippingPlace, limit: usize) -> Result<ShippingBatch, StoreError> {
    let mut batch = ShippingBatch {
        records: Vec::new(),
        end: from,
        missed_seals: 0,
    };
    let mut last = seals::list(c, from.seal - 1, 1)?
        .first()
        .filter(|seal| seal.number == from.seal)
        .map(|seal| seal.last);
    for seal in seals::list(c, from.seal, SEALS)? {
        let left = limit - batch.records.len();
        if left == 0 {
            break;
        }
        let skipped = seal.number - batch.end.seal - 1;
        if skipped > 0 && !batch.records.is_empty() {
            break;
        }
        if skipped > 0 {
            batch.missed_seals += skipped;
            batch.end = ShippingPlace::after_seal(seal.number - 1);
        }
        let entries = list_sealed(c, batch.end.entry.or(last), seal.last, left)?;
        let (found, before) = (entries.len(), batch.end.position);
        let seal = Arc::new(seal);
        batch.records.extend(
            (before + 1..)
                .zip(entries)
                .map(|(position, (row, sealed))| SealedRecord {
                    record: row,
                    sealed,
                    seal: seal.clone(),
                    position,
                }),
        );
        let next = batch
            .records
            .last()
            .filter(|_| found > 0)
            .map(SealedRecord::place_after);
        batch.end = match next {
            Some(place) if found == left && place.seal < seal.number => place,
            Some(_) | None => ShippingPlace::after_seal(seal.number),
        };
        last = Some(seal.last);
    }
    Ok(batch)
}

fn list_sealed(
    c: &mut Conn,
    after: Option<Uuid>,
    until: Uuid,
    limit: usize,
) -> Result<Vec<(AuditRecord, String)>, StoreError> {
    let rows: Vec<AuditListRow> = audit::table
        .filter(audit::id.gt(after.unwrap_or_default().to_string()))
        .filter(audit::id.le(until.to_string()))
        .order(audit::id)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(AuditListRow::as_select())
        .load(c.db())?;
    let read = |row: AuditListRow| {
        let (_, sealed) = sealed_text(&row)?;
        Ok((row.read()?, sealed))
    };
    rows.into_iter().map(read).collect()
}

/// Returns the number of sealed entries after a place, and the ID of the first seal's first entry
/// among them.
pub fn measure_lag(c: &mut Conn, place: ShippingPlace) -> Result<(u64, Option<Uuid>), StoreError> {
    let entries: i64 = audit_seals::table
        .filter(audit_seals::number.gt(place.seal))
        .select(sql::<sql_types::BigInt>("CAST(coalesce(sum(entries), 0) AS BIGINT)"))
        .first(c.db())?;
    let entries = u64::try_from(entries).unwrap_or(0).saturating_sub(place.position);
    let next = seals::list(c, place.seal, 1)?.first().map(|seal| seal.first);
    Ok((entries, place.entry.or(next).filter(|_| entries > 0)))
}
