//! Sealing audit entries, and verifying the seals. `domain::audit::seal` defines them.

use crate::{
    domain::{
        audit::{
            AuditFilter, AuditRecord, Event,
            seal::{Seal, SealBreak, entry_time},
        },
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError},
    store::{
        StoreError,
        audit::{self, seals},
        meta,
    },
};
use uuid::Uuid;

/// Maximum number of entries of one seal, which bounds the cost of a run.
const ENTRIES: i64 = 1_000;
const SEALS: usize = 20;
/// Maximum number of removals that are read, newest first: the latest one ends where the log
/// begins.
const REMOVALS: i64 = 100;
/// The row with the number of the newest seal: without it, the removal of the newest seals would
/// go unnoticed.
const NEWEST: &str = "audit.newest_seal";
/// A younger entry may still be part of an earlier transaction that has not been committed.
const SETTLED: Span = Span::from_secs(60);

/// Seals entries that are old enough; returns their number.
pub async fn seal_due(ctx: &Ctx) -> Result<u64, FlowError> {
    let now = ctx.now();
    let until = last_id_of(now.saturating_sub(SETTLED));
    let mut sealed = 0;
    for _ in 0..SEALS {
        let made = ctx
            .store
            .write(move |connection| {
                let newest = seals::find_newest(connection)?;
                let entries = seals::list_entries(connection, newest.as_ref().map(|seal| seal.last), until, ENTRIES)?;
                let seal = Seal::seal_entries(newest.as_ref(), &entries, now);
                if let Some(seal) = &seal {
                    seals::insert(connection, seal)?;
                    meta::set(connection, NEWEST, &seal.number.to_string())?;
                }
                Ok::<_, StoreError>(seal)
            })
            .await;
        match made {
            Ok(Some(seal)) => sealed += seal.entries,
            // Another instance is sealing.
            Ok(None) | Err(StoreError::Conflict(_)) => break,
            Err(fault) => return Err(fault.into()),
        }
    }
    let newest = ctx.store.read(seals::find_newest).await?;
    newest
        .iter()
        .for_each(|seal| ctx.live.note_sealed(entry_time(seal.last)));
    Ok(sealed)
}

/// Returns the highest ID of that millisecond.
fn last_id_of(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0xff; 10]).into_uuid()
}

/// The result of verifying all seals.
#[derive(Debug, Default)]
pub struct SealReport {
    /// The number of verified seals.
    pub seals: u64,
    /// The number of entries under them.
    pub entries: u64,
    /// The number of newer entries, which are not sealed yet.
    pub unsealed: i64,
    /// The time from the first to the last sealed entry.
    pub covered: Option<(Timestamp, Timestamp)>,
    /// The newest seal's digest; stored elsewhere, it protects the whole chain.
    pub digest: Option<String>,
    /// Whether the requested digest is part of the chain.
    pub known: bool,
    /// The faults, oldest first.
    pub faults: Vec<SealFault>,
}

/// A difference from the sealed state.
#[derive(Debug)]
pub enum SealFault {
    /// A seal with its fault.
    Seal(Seal, SealBreak),
    /// The number of entries before the first seal.
    Before(i64),
    /// A seal, and the number of its entries whose search columns were changed.
    Hidden(Seal, usize),
    /// The oldest seal, if earlier ones were removed without a record.
    Beginning(Seal),
    /// The number of the last seal that is left (0: none), and of the newest one that was made.
    End { left: i64, made: i64 },
}

impl std::fmt::Display for SealFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seal(seal, SealBreak::Chain) => {
                write!(
                    f,
                    "seal {} does not follow the one before it: a seal was changed or removed",
                    seal.number
                )
            }
            Self::Seal(seal, SealBreak::Entries { found }) => {
                let (from, until) = (entry_time(seal.first).to_rfc3339(), entry_time(seal.last).to_rfc3339());
                write!(f, "seal {}, from {from} to {until}: ", seal.number)?;
                match (*found, seal.entries) {
                    (found, sealed) if found < sealed => write!(f, "{} of {sealed} entries are gone", sealed - found),
                    (found, sealed) if found > sealed => write!(f, "{} entries were inserted later", found - sealed),
                    _ => f.write_str("entries were changed"),
                }
            }
            Self::Before(entries) => write!(f, "{entries} entries are before the first seal"),
            Self::Hidden(seal, entries) => write!(
                f,
                "seal {}: the columns that searches use were changed in {entries} of its entries",
                seal.number
            ),
            Self::Beginning(seal) => write!(
                f,
                "the log begins with seal {}, and no record says that earlier seals were removed",
                seal.number
            ),
            Self::End { left: 0, made } => write!(f, "no seal is left of {made} that were made"),
            Self::End { left, made } => write!(
                f,
                "the log ends with seal {left}, but seal {made} was made: newer seals were removed"
            ),
        }
    }
}

/// Compares every sealed entry with its seal. `noted`: a digest that must be part of the chain.
pub async fn verify(ctx: &Ctx, noted: Option<&str>) -> Result<SealReport, FlowError> {
    let mut verified = SealReport::default();
    let mut before: Option<Seal> = None;
    loop {
        let after = before.as_ref().map_or(0, |seal| seal.number);
        let page = ctx
            .store
            .read(move |connection| seals::list(connection, after, ENTRIES))
            .await?;
        if page.is_empty() {
            break;
        }
        for seal in page {
            verified.take(ctx, before.as_ref(), &seal).await?;
            verified.known |= noted.is_some_and(|noted| noted.eq_ignore_ascii_case(&seal.digest));
            before = Some(seal);
        }
    }
    let last = before.as_ref().map(|seal| seal.last);
    verified.unsealed = ctx
        .store
        .read(move |connection| seals::count_after(connection, last))
        .await?;
    let left = before.as_ref().map(|seal| seal.number);
    verified.faults.extend(find_missing_end(ctx, left).await?);
    verified.digest = before.map(|seal| seal.digest);
    Ok(verified)
}

/// Returns whether retention recorded that it removed exactly the seals before `oldest`.
async fn is_removal_recorded(ctx: &Ctx, oldest: &Seal) -> Result<bool, FlowError> {
    let removals = list_removals(ctx).await?;
    Ok(removals.iter().any(|removal| {
        removal.detail["through_seal"] == oldest.number - 1 && removal.detail["digest"] == oldest.previous
    }))
}

/// Compares the last seal that is left with the newest one that was made. Retention may have
/// removed all of them.
async fn find_missing_end(ctx: &Ctx, left: Option<i64>) -> Result<Option<SealFault>, FlowError> {
    let made = ctx.store.read(|connection| meta::get(connection, NEWEST)).await?;
    let made = made.and_then(|number| number.parse::<i64>().ok()).unwrap_or_default();
    let removed = match left {
        Some(left) => left < made,
        None => {
            made > 0
                && !list_removals(ctx)
                    .await?
                    .iter()
                    .any(|removal| removal.detail["through_seal"] == made)
        }
    };
    let left = left.unwrap_or_default();
    Ok(removed.then_some(SealFault::End { left, made }))
}

/// Lists the latest removals that retention recorded.
async fn list_removals(ctx: &Ctx) -> Result<Vec<AuditRecord>, FlowError> {
    let filter = AuditFilter {
        events: vec![Event::AuditPurged],
        limit: REMOVALS,
        ..AuditFilter::default()
    };
    let removals = ctx
        .store
        .read(move |connection| audit::list(connection, &filter))
        .await?;
    Ok(removals.items)
}

impl SealReport {
    async fn take(&mut self, ctx: &Ctx, before: Option<&Seal>, seal: &Seal) -> Result<(), FlowError> {
        let (after, last) = (before.map(|seal| seal.last), seal.last);
        if before.is_none() {
            let first = seal.first;
            let strays = ctx
                .store
                .read(move |connection| seals::count_before(connection, first))
                .await?;
            self.faults.extend((strays > 0).then_some(SealFault::Before(strays)));
            if seal.number > 1 && !is_removal_recorded(ctx, seal).await? {
                self.faults.push(SealFault::Beginning(seal.clone()));
            }
        }
        // One more than a seal can have, so that inserted entries are noticed.
        let limit = i64::try_from(seal.entries).unwrap_or(i64::MAX).saturating_add(ENTRIES);
        let entries = ctx
            .store
            .read(move |connection| seals::list_entries(connection, after, last, limit))
            .await?;
        let broken = seal.check(before, &entries);
        self.faults
            .extend(broken.map(|broken| SealFault::Seal(seal.clone(), broken)));
        let hidden = ctx
            .store
            .read(move |c| seals::count_hidden(c, after, last, limit))
            .await?;
        self.faults
            .extend((hidden > 0).then(|| SealFault::Hidden(seal.clone(), hidden)));
        self.seals += 1;
        self.entries += seal.entries;
        let from = self.covered.map_or_else(|| entry_time(seal.first), |(from, _)| from);
        self.covered = Some((from, entry_time(seal.last)));
        Ok(())
    }
}
