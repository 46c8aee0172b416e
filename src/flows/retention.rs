//! Removing data whose retention is over: audit entries, ended sessions, networks, replaced session
//! tokens, emails and pins, a bounded number at a time. The policy sets the times (`retention.*`);
//! policy revisions are kept forever.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        audit::{
            Event,
            seal::{Seal, entry_time},
        },
        time::{Span, Timestamp},
    },
    store::{Conn, StoreError, accounts, audit::seals, changes, outbox, policies, sessions},
};

/// Maximum number of rows that one write removes, so that other writes do not wait long.
const BATCH: i64 = 1_000;
/// Maximum number of writes of one kind in a run; the next run continues.
const ROUNDS: usize = 5;
/// Maximum number of audit entries, and of seals over them, that a run removes.
const MAX_ENTRIES: u64 = 5_000;
const MAX_SEALS: i64 = 500;
/// How long change announcements are kept; servers read them within seconds.
const CHANGE_RETENTION: Span = Span::from_secs(3_600);
/// Number of the newest announcements that are kept at any age.
const MIN_CHANGES: i64 = 1_000;

/// The number of rows that a run removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemovedCounts {
    /// Audit entries.
    pub audit: usize,
    /// Ended sessions.
    pub sessions: usize,
    /// Networks of sign-ins.
    pub known_networks: usize,
    /// Replaced tokens.
    pub tokens: usize,
    /// Records of emails.
    pub mail: usize,
    /// Pins of removed servers.
    pub pins: usize,
}

/// Empties SQLite's write-ahead log, where deleted data remains after secure_delete has overwritten
/// it in the file. Called by a job.
pub async fn empty_log(ctx: &Ctx) -> Result<(), FlowError> {
    Ok(ctx.store.empty_log().await?)
}

/// Removes what is older than the policy allows. Called by a job.
pub async fn remove_old(ctx: &Ctx) -> Result<RemovedCounts, FlowError> {
    let keep = ctx.current_policy().await?.everyone().retention;
    let now = ctx.now();
    ctx.live.long_actions.forget_old(now);
    let before = |kept: Option<Span>| kept.map(|kept| now.saturating_sub(kept));
    let removed = RemovedCounts {
        audit: ctx.remove_audit(before(keep.audit).map(day_of)).await?,
        sessions: ctx
            .remove("sessions", before(keep.sessions), sessions::purge_ended)
            .await?,
        known_networks: ctx
            .remove("known_networks", before(keep.known_networks), accounts::purge_networks)
            .await?,
        tokens: ctx
            .remove("tokens", before(keep.tokens), sessions::purge_tokens)
            .await?,
        mail: ctx.remove("mail", before(keep.mail), outbox::purge).await?,
        pins: ctx.remove("pins", before(keep.pins), policies::purge_pins).await?,
    };
    let cutoff = now.saturating_sub(CHANGE_RETENTION);
    ctx.store
        .write(move |connection| changes::prune(connection, cutoff, MIN_CHANGES))
        .await?;
    if removed != RemovedCounts::default() {
        tracing::info!(
            audit = removed.audit,
            sessions = removed.sessions,
            known_networks = removed.known_networks,
            tokens = removed.tokens,
            mail = removed.mail,
            pins = removed.pins,
            "removed records whose retention is over"
        );
    }
    Ok(removed)
}

/// Returns the beginning of an instant's day. The audit is removed by whole days, so that the
/// removal does not add an entry every minute.
fn day_of(at: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(DAY) * DAY)
}

impl Ctx {
    async fn remove(
        &self,
        kind: &'static str,
        before: Option<Timestamp>,
        purge: fn(&mut Conn, Timestamp, i64) -> Result<usize, StoreError>,
    ) -> Result<usize, FlowError> {
        let Some(before) = before else { return Ok(0) };
        let mut removed = 0;
        for _ in 0..ROUNDS {
            let some = self
                .store
                .write(move |connection| purge(connection, before, BATCH))
                .await?;
            removed += some;
            if i64::try_from(some).unwrap_or(0) < BATCH {
                break;
            }
        }
        count(kind, removed);
        Ok(removed)
    }

    /// Removes audit entries by whole seals, so that the rest can still be verified; the newest
    /// seal stays at any age. The removal is recorded, because the beginning of the log is part of
    /// the log.
    async fn remove_audit(&self, before: Option<Timestamp>) -> Result<usize, FlowError> {
        let Some(before) = before else { return Ok(0) };
        let removed = self.write_as_system(move |w| {
            let Some(last) = last_due(w.connection, before)? else {
                return Ok(0);
            };
            let removed = seals::remove_through(w.connection, &last)?;
            w.record(&w.entry(Event::AuditPurged).with_detail(serde_json::json!({
                "before": before.to_rfc3339(), "removed": removed, "through_seal": last.number, "digest": last.digest,
            })))?;
            Ok(removed)
        });
        let removed = removed.await?;
        count("audit", removed);
        Ok(removed)
    }
}

/// Returns the last of the oldest seals whose entries were all made before `before`, limited to one
/// run.
fn last_due(connection: &mut Conn, before: Timestamp) -> Result<Option<Seal>, StoreError> {
    let newest = seals::find_newest(connection)?.map(|seal| seal.number);
    let (mut last, mut entries) = (None, 0);
    for seal in seals::list(connection, 0, MAX_SEALS)? {
        let beyond = entries > 0 && entries + seal.entries > MAX_ENTRIES;
        if beyond || entry_time(seal.last) >= before || Some(seal.number) == newest {
            break;
        }
        entries += seal.entries;
        last = Some(seal);
    }
    Ok(last)
}

fn count(kind: &'static str, removed: usize) {
    let removed = u64::try_from(removed).unwrap_or(u64::MAX);
    metrics::counter!("nightlatch_removed_rows_total", "kind" => kind).increment(removed);
}

#[cfg(test)]
mod tests;
