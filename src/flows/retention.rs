//! What is kept so long and no longer: old audit entries, ended sessions, networks, replaced session ids, letters and pins go, a bounded
//! number at a time. How long is policy (`retention.*`); policy revisions never go.

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        audit::{
            Event,
            seal::{Seal, made_at},
        },
        time::{Span, Timestamp},
    },
    store::{Conn, StoreError, accounts, audit::seals, changes, outbox, policies, sessions},
};

/// Rows that one write removes at most: what waits behind it does not wait long.
const BATCH: i64 = 1_000;
/// Writes of one kind in a run at most; the next run goes on.
const ROUNDS: usize = 5;
/// Audit entries, and seals over them, that a run removes at most.
const MOST_ENTRIES: u64 = 5_000;
const MOST_SEALS: i64 = 500;
/// Change notices are read within seconds.
const CHANGES_KEPT: Span = Span::from_secs(3_600);
/// So many of the newest stay however old they are.
const CHANGES_KEPT_ALWAYS: i64 = 1_000;

/// How many rows a run removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub audit: usize,
    pub sessions: usize,
    pub known_networks: usize,
    pub tokens: usize,
    pub mail: usize,
    pub pins: usize,
}

/// Removes what is older than the policy keeps it; the job calls it.
pub async fn remove_old(ctx: &Ctx) -> Result<Removed, FlowError> {
    let keep = ctx.current_policy().await?.everyone().retention;
    let now = ctx.now();
    let before = |kept: Option<Span>| kept.map(|kept| now.saturating_sub(kept));
    let removed = Removed {
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
    let notices = now.saturating_sub(CHANGES_KEPT);
    ctx.store
        .write(move |c| changes::prune(c, notices, CHANGES_KEPT_ALWAYS))
        .await?;
    if removed != Removed::default() {
        tracing::info!(
            audit = removed.audit,
            sessions = removed.sessions,
            known_networks = removed.known_networks,
            tokens = removed.tokens,
            mail = removed.mail,
            pins = removed.pins,
            "removed what was kept long enough"
        );
    }
    Ok(removed)
}

/// The beginning of an instant's day: the audit goes by whole days, so that its removal is not an entry of every minute.
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
            let some = self.store.write(move |c| purge(c, before, BATCH)).await?;
            removed += some;
            if i64::try_from(some).unwrap_or(0) < BATCH {
                break;
            }
        }
        count(kind, removed);
        Ok(removed)
    }

    /// By whole seals, so that what stays can still be verified; the newest one stays however old it is. With an entry of its own: that the
    /// trail has a beginning is part of the trail.
    async fn remove_audit(&self, before: Option<Timestamp>) -> Result<usize, FlowError> {
        let Some(before) = before else { return Ok(0) };
        let (flow, now) = (self.clone(), self.now());
        let removed = self
            .store
            .write(move |c| {
                let Some(last) = last_due(c, before)? else { return Ok(0) };
                let removed = seals::remove_through(c, &last)?;
                let detail = serde_json::json!({
                    "before": before.to_rfc3339(), "removed": removed, "through_seal": last.number, "digest": last.digest,
                });
                let entry = flow.entry_of(&Acting::system(), Event::AuditPurged, None, detail);
                flow.record(c, now, &entry)?;
                Ok::<_, StoreError>(removed)
            })
            .await?;
        count("audit", removed);
        Ok(removed)
    }
}

/// The last of the oldest seals whose entries all were made before `before`, as many as one run removes.
fn last_due(c: &mut Conn, before: Timestamp) -> Result<Option<Seal>, StoreError> {
    let newest = seals::newest(c)?.map(|seal| seal.number);
    let (mut last, mut entries) = (None, 0);
    for seal in seals::list(c, 0, MOST_SEALS)? {
        let beyond = entries > 0 && entries + seal.entries > MOST_ENTRIES;
        if beyond || made_at(seal.last) >= before || Some(seal.number) == newest {
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
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_before_the_epoch_too() {
        let day = |text: &str| Timestamp::parse_rfc3339(text).map(day_of);
        assert_eq!(
            day("2026-11-22T00:00:00Z"),
            Timestamp::parse_rfc3339("2026-11-22T00:00:00Z")
        );
        assert_eq!(
            day("2026-11-22T23:59:59.999999Z"),
            Timestamp::parse_rfc3339("2026-11-22T00:00:00Z")
        );
        assert_eq!(
            day("1969-12-31T01:00:00Z"),
            Timestamp::parse_rfc3339("1969-12-31T00:00:00Z")
        );
    }
}
