//! Shipping sealed audit entries to the targets of the configuration, in order and at least once:
//! the place of a target moves only after the receiver has confirmed. One instance at a time ships
//! to a target; a receiver that is away delays nothing else.

use crate::{
    domain::{
        audit::{
            seal::entry_time,
            shipping::{AuditTarget, SealedRecord, ShippingPlace, ShippingStart, ShippingState, TargetName},
        },
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError, Read, Write},
    shipping::{Shipper, ShippingFault, ShippingOrigin},
    store::audit::{
        seals,
        shipping::{self as rows, ShippingBatch, ShippingStep},
    },
};
use std::time::Duration;

/// How long an instance holds a target from one confirmation to the next. It is longer than an
/// attempt with its write can take.
const LEASE: Span = Span::from_secs(30);
/// Most entries of one batch.
const BATCH: usize = 200;
/// Most batches of one run.
const BATCHES: usize = 100;
/// Longest pause after a fault that may pass by itself.
const MAX_PAUSE_SECS: i64 = 60;
/// Pause after a fault that only a change at the receiver ends.
const CHANGE_PAUSE: i64 = 300;
/// Age of an entry from which a target is late. Entries are sealed within two minutes.
const LATE: Span = Span::from_secs(600);

/// Prepares a shipper for each target of the configuration.
pub fn make_shippers(ctx: &Ctx) -> Vec<Shipper> {
    let host = ctx.config.public_url.as_ref().and_then(|url| url.host_str());
    let installation = ShippingOrigin {
        url: ctx.config.base_url(),
        hostname: host.unwrap_or_default().to_owned(),
    };
    let targets = ctx.config.audit_targets.iter();
    targets
        .map(|target| Shipper::new(target.clone(), installation.clone()))
        .collect()
}

/// Ships what is due to one target. A fault of the receiver is recorded, not returned. Called by a
/// job.
pub async fn ship_due(ctx: &Ctx, shipper: &Shipper) -> Result<(), FlowError> {
    let Some(mut turn) = begin_turn(ctx, shipper).await? else {
        return Ok(());
    };
    for _ in 0..BATCHES {
        let place = turn.state.place;
        let batch = ctx
            .read(move |r| Ok(rows::read_batch(r.connection, place, BATCH)?))
            .await?;
        if batch.end == place {
            break;
        }
        if !turn.ship(batch).await? {
            return Ok(());
        }
    }
    let (name, lease) = (turn.name(), turn.lease);
    ctx.write_as_system(move |w| Ok(rows::release(w.connection, &name, lease)?))
        .await
}

/// One instance's turn at a target.
struct ShippingTurn<'a> {
    ctx: &'a Ctx,
    shipper: &'a Shipper,
    state: ShippingState,
    lease: i64,
}

/// Takes the lease of a target, if there is something to ship and it is time.
async fn begin_turn<'a>(ctx: &'a Ctx, shipper: &'a Shipper) -> Result<Option<ShippingTurn<'a>>, FlowError> {
    let target = shipper.target();
    if ctx.live.is_stopping() {
        return Ok(None);
    }
    let name = target.name.clone();
    let stored = ctx.read(move |r| r.shipping_state(&name)).await?;
    let (state, newest) = match stored {
        (Some(state), newest) => (state, newest),
        (None, _) => {
            let (name, start) = (target.name.clone(), target.start);
            ctx.write_as_system(move |w| w.begin_target(&name, start)).await?;
            return Ok(None);
        }
    };
    let now = ctx.now();
    // An instant that is too far away was written by a clock that has been set back since.
    let waits = |until: Option<Timestamp>, most: Span| {
        until.is_some_and(|until| now < until && until <= now.saturating_add(most).saturating_add(most))
    };
    let is_paused = waits(state.retry_at, Span::from_secs(CHANGE_PAUSE)) || waits(state.leased_until, LEASE);
    if state.place.seal >= newest || is_paused {
        return Ok(None);
    }
    let (name, last) = (target.name.clone(), state.lease);
    let until = now.saturating_add(LEASE);
    let taken = ctx
        .write_as_system(move |w| Ok(rows::lease(w.connection, &name, last, now, until)?))
        .await?;
    Ok(taken.then_some(ShippingTurn {
        ctx,
        shipper,
        lease: last + 1,
        state,
    }))
}

impl ShippingTurn<'_> {
    fn name(&self) -> TargetName {
        self.shipper.target().name.clone()
    }

    /// Sends a batch, or as much of it as fits. Returns whether the turn goes on.
    async fn ship(&mut self, batch: ShippingBatch) -> Result<bool, FlowError> {
        let ShippingBatch {
            mut records,
            mut end,
            missed_seals,
        } = batch;
        let fitting = Shipper::batch_len(&records);
        if fitting < records.len() {
            records.truncate(fitting);
            end = records.last().map_or(end, SealedRecord::place_after);
        }
        if !records.is_empty() {
            let now = self.ctx.now();
            let sent = tokio::select! {
                sent = self.shipper.send(&records, now) => sent,
                () = wait_for_stop(self.ctx) => {
                    let (name, lease) = (self.name(), self.lease);
                    let release = move |w: &mut Write<'_>| Ok(rows::release(w.connection, &name, lease)?);
                    self.ctx.write_as_system(release).await?;
                    return Ok(false);
                }
            };
            if let Err(fault) = sent {
                self.note_fault(&fault).await?;
                return Ok(false);
            }
        }
        let step = ShippingStep {
            place: end,
            records: i64::try_from(records.len()).unwrap_or(i64::MAX),
            missed_seals,
        };
        self.advance(step).await
    }

    /// Writes what was confirmed. Returns false if another instance has the target now.
    async fn advance(&mut self, step: ShippingStep) -> Result<bool, FlowError> {
        let (name, lease, now) = (self.name(), self.lease, self.ctx.now());
        let until = now.saturating_add(LEASE);
        let moved = self
            .ctx
            .write_as_system(move |w| Ok(rows::advance(w.connection, &name, lease, &step, now, until)?))
            .await?;
        let target = self.shipper.target().name.as_str();
        metrics::counter!("nightlatch_audit_shipped_total", "target" => target.to_owned())
            .increment(u64::try_from(step.records).unwrap_or(0));
        if step.missed_seals > 0 {
            tracing::error!(
                target_name = target,
                seals = step.missed_seals,
                "audit entries were removed by retention before they were shipped"
            );
        }
        if moved && self.state.fault.take().is_some() {
            tracing::info!(target_name = target, "the audit is shipped again");
        }
        self.state.place = step.place;
        self.state.failures = 0;
        Ok(moved)
    }

    async fn note_fault(&self, fault: &ShippingFault) -> Result<(), FlowError> {
        let target = self.shipper.target().name.as_str();
        metrics::counter!("nightlatch_audit_shipping_faults_total", "target" => target.to_owned()).increment(1);
        if self.state.fault.is_none() {
            tracing::warn!(target_name = target, %fault, "the audit cannot be shipped and will be retried");
        }
        let now = self.ctx.now();
        let retry_at = now.saturating_add(pause_after(fault, self.state.failures));
        let (name, lease, words) = (self.name(), self.lease, fault.to_string());
        self.ctx
            .write_as_system(move |w| Ok(rows::record_fault(w.connection, &name, lease, &words, now, retry_at)?))
            .await
    }
}

/// Returns how long to wait after a fault that followed `failures` others.
fn pause_after(fault: &ShippingFault, failures: i64) -> Span {
    Span::from_secs(match fault.needs_change() {
        true => CHANGE_PAUSE,
        false => MAX_PAUSE_SECS.min(1 << failures.clamp(0, 6)),
    })
}

async fn wait_for_stop(ctx: &Ctx) {
    while !ctx.live.is_stopping() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Read<'_> {
    /// Returns what is stored about a target, and the number of the newest seal.
    fn shipping_state(&mut self, name: &TargetName) -> Result<(Option<ShippingState>, i64), FlowError> {
        let newest = seals::find_newest(self.connection)?.map_or(0, |seal| seal.number);
        Ok((rows::find(self.connection, name)?, newest))
    }
}

impl Write<'_> {
    /// Stores a new target with the place where it begins.
    fn begin_target(&mut self, name: &TargetName, start: ShippingStart) -> Result<(), FlowError> {
        let after = match start {
            ShippingStart::Oldest => seals::list(self.connection, 0, 1)?.first().map(|seal| seal.number - 1),
            ShippingStart::Now => seals::find_newest(self.connection)?.map(|seal| seal.number),
        };
        Ok(rows::insert(self.connection, name, after.unwrap_or(0))?)
    }
}

/// The state of a target, for people and monitoring.
pub struct TargetReport {
    /// The target as configured.
    pub target: AuditTarget,
    /// What was shipped so far; `None`: no server has begun with it yet.
    pub state: Option<ShippingState>,
    /// The number of sealed entries that wait.
    pub waiting: u64,
    /// The age of the oldest of them; zero if none waits.
    pub age: Span,
}

impl TargetReport {
    /// Returns whether someone should look: attempts fail, entries are late, or some were lost.
    pub fn needs_attention(&self) -> bool {
        let state = self.state.as_ref();
        self.age > LATE || state.is_some_and(|state| state.fault.is_some() || state.missed_seals > 0)
    }
}

/// Reports on every target of the configuration, by name.
pub async fn list_targets(ctx: &Ctx) -> Result<Vec<TargetReport>, FlowError> {
    let targets = ctx.config.audit_targets.clone();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    ctx.read(move |r| targets.into_iter().map(|target| r.target_report(target)).collect())
        .await
}

impl Read<'_> {
    fn target_report(&mut self, target: AuditTarget) -> Result<TargetReport, FlowError> {
        let state = rows::find(self.connection, &target.name)?;
        let place = match (&state, target.start) {
            (Some(state), _) => Some(state.place),
            (None, ShippingStart::Oldest) => Some(ShippingPlace::default()),
            (None, ShippingStart::Now) => None,
        };
        let (waiting, oldest) = match place {
            Some(place) => rows::measure_lag(self.connection, place)?,
            None => (0, None),
        };
        let age = oldest.map_or(Span::ZERO, |id| self.now.since(entry_time(id)).max(Span::ZERO));
        Ok(TargetReport {
            target,
            state,
            waiting,
            age,
        })
    }
}
