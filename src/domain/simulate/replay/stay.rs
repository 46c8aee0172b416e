//! The simulation of one recorded session under a draft: with `judge` at every recorded request,
//! and with the lifetimes' candidates between them.

use std::net::IpAddr;

use super::outcome::{Certainty, ReplayedEnd};
use crate::{
    account::AccountId,
    activity::RequestKind,
    factor::{EnrolledFactors, Proofs},
    policy::{
        Scope,
        effective::{ActivityMeasure, ActivityPolicy, EffectivePolicy, IdleTimeout, ValidationMode},
    },
    session::{
        AccountState, Binding, DeviceEvidence, EndReason, LifeFacts, LifetimeEnd, LiveEffect, RequestFacts,
        SessionFacts, SessionId, SessionVerdict, TokenFacts, candidates, judge,
    },
    time::{Span, Timestamp},
};

/// A recorded session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// The owner.
    pub account: AccountId,
    /// Its owner's name.
    pub name: String,
    /// The address of its sign-in.
    pub signed_in_ip: IpAddr,
    /// The address of its latest request.
    pub ip: IpAddr,
    /// The browser of its sign-in.
    pub user_agent: Option<String>,
    /// Whether it is bound to a device, which proved itself with every request.
    pub is_device_bound: bool,
    /// The sign-in, the latest activity and the latest sign of an open window.
    pub life: LifeFacts,
    /// How much later than recorded its latest activity may have been, because activity is written
    /// in batches.
    pub slack: Span,
    /// When and why it ended; `None`: it is live.
    pub ended: Option<(Timestamp, EndReason)>,
}

impl SessionRecord {
    /// Returns until when it is known to have been live.
    pub(super) fn end_or(&self, now: Timestamp) -> Timestamp {
        self.ended.map_or(now, |(at, _)| at)
    }
}

/// A recorded request of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTrace {
    /// The time.
    pub at: Timestamp,
    /// The IP address; `None`: not recorded.
    pub ip: Option<IpAddr>,
    /// The user agent; `None`: not recorded.
    pub user_agent: Option<String>,
    /// Whether it was an action; false: any request, perhaps in the background.
    pub acted: bool,
}

/// The relation between the draft's rules for activity and networks and the rules in force when the
/// records were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureComparison {
    /// Whether everything that counts as activity under the draft counted then, so that the latest
    /// activity cannot have been later.
    pub counts_no_more: bool,
    /// Whether everything that counted then counts under the draft, so that the latest activity was
    /// activity.
    pub counts_no_less: bool,
    /// Whether signs of open windows were recorded then.
    pub windows: bool,
    /// Whether every move that the draft counts as a change was recorded.
    pub moves: bool,
}

impl MeasureComparison {
    /// Compares one policy that was in force with the draft, both for the same session.
    pub fn compare(then: &EffectivePolicy, draft: &EffectivePolicy) -> Self {
        let (was, will) = (&then.validation, &draft.validation);
        Self {
            counts_no_more: is_covered_by(&draft.activity, &then.activity),
            counts_no_less: is_covered_by(&then.activity, &draft.activity),
            windows: then.lifetimes.iter().any(|rule| rule.idle == IdleTimeout::WindowOpen),
            moves: was.ip
                && was.mode != ValidationMode::Off
                && was.security_audit_log
                && was.subnet_bits >= will.subnet_bits
                && was.groups.is_covered_by(&will.groups),
        }
    }

    /// Combines the comparisons of two policies that were in force one after the other.
    pub fn combine(self, other: Self) -> Self {
        Self {
            counts_no_more: self.counts_no_more && other.counts_no_more,
            counts_no_less: self.counts_no_less && other.counts_no_less,
            windows: self.windows && other.windows,
            moves: self.moves && other.moves,
        }
    }
}

/// Returns whether everything that counts under `narrow` counts under `wide`.
fn is_covered_by(narrow: &ActivityPolicy, wide: &ActivityPolicy) -> bool {
    let rank = |counts| match counts {
        ActivityMeasure::Interaction => 0,
        ActivityMeasure::Navigation => 1,
        ActivityMeasure::EveryRequest => 2,
    };
    rank(narrow.counts) <= rank(wide.counts) && wide.ignored.iter().all(|glob| narrow.ignored.contains(glob))
}

/// The result for a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionReplay {
    /// The end that certainly came at this instant or before.
    pub certain: Option<ReplayedEnd>,
    /// The earliest possible end, if it is before the certain one.
    pub possible: Option<ReplayedEnd>,
    /// Whether a rule ended it and the draft would not have at that instant.
    pub spared: bool,
}

impl SessionReplay {
    /// Stores an end; of several with the same certainty the earliest counts.
    pub(super) fn note(&mut self, end: ReplayedEnd) {
        let place = match end.certainty {
            Certainty::Certain => &mut self.certain,
            Certainty::Possible => &mut self.possible,
        };
        let earlier = |known: &ReplayedEnd| (end.at, end.reason) < (known.at, known.reason);
        if place.as_ref().is_none_or(earlier) {
            *place = Some(end);
        }
    }

    /// Returns the end to report: the certain one, otherwise the possible one.
    pub fn reported_end(&self) -> Option<ReplayedEnd> {
        self.certain.clone().or_else(|| self.possible.clone())
    }
}

pub(super) fn live_through(
    record: &SessionRecord,
    traces: &[RequestTrace],
    draft: &EffectivePolicy,
    compared: MeasureComparison,
    now: Timestamp,
) -> SessionReplay {
    let until = record.end_or(now);
    let mut would = SessionReplay::default();
    end_by_lifetimes(record, draft, compared, until, &mut would);
    end_between_requests(record, traces, draft, compared, until, &mut would);
    let refused_at_its_end = end_by_requests(record, traces, draft, compared, until, &mut would);
    would.spared = spared(record, draft, compared, refused_at_its_end, &would);
    would
}

/// Finds ends that no request could have postponed, from the sign-in, the latest activity and the
/// latest sign of an open window.
fn end_by_lifetimes(
    record: &SessionRecord,
    draft: &EffectivePolicy,
    compared: MeasureComparison,
    until: Timestamp,
    would: &mut SessionReplay,
) {
    let recorded = latest(record, compared);
    let life = LifeFacts {
        last_active_at: recorded.last_active_at.saturating_add(record.slack),
        last_seen_at: recorded.last_seen_at.saturating_add(record.slack),
        ..recorded
    };
    for end in candidates(&life, draft).filter(|end| end.at < until) {
        let certainty = match end.reason {
            EndReason::WindowClosed if !compared.windows => Certainty::Possible,
            _ => Certainty::Certain,
        };
        would.note(replayed_end(&end, draft, certainty));
    }
}

/// Returns the times with the latest recorded instant that the draft could have counted as
/// activity.
fn latest(record: &SessionRecord, compared: MeasureComparison) -> LifeFacts {
    let life = record.life;
    LifeFacts {
        last_active_at: if compared.counts_no_more {
            life.last_active_at
        } else {
            life.last_active_at.max(life.last_seen_at)
        },
        ..life
    }
}

/// Finds gaps between recorded requests that are longer than the draft's idle timeout or window
/// grace.
fn end_between_requests(
    record: &SessionRecord,
    traces: &[RequestTrace],
    draft: &EffectivePolicy,
    compared: MeasureComparison,
    until: Timestamp,
    would: &mut SessionReplay,
) {
    let life = record.life;
    let every = draft.activity.counts == ActivityMeasure::EveryRequest && draft.activity.ignored.is_empty();
    let mut active = vec![life.signed_in_at];
    if every {
        active.extend(traces.iter().filter(|trace| trace.acted).map(|trace| trace.at));
    }
    if compared.counts_no_less {
        active.push(life.last_active_at);
    }
    let mut seen = active.clone();
    seen.extend(traces.iter().map(|trace| trace.at));
    seen.push(life.last_seen_at.max(life.last_active_at));
    for (reason, mut known) in [(EndReason::Idle, active), (EndReason::WindowClosed, seen)] {
        known.retain(|at| *at >= life.signed_in_at && *at < until);
        known.push(until);
        known.sort_unstable();
        for gap in known.windows(2) {
            let life_at_gap = LifeFacts {
                signed_in_at: life.signed_in_at,
                last_active_at: gap[0],
                last_seen_at: gap[0],
            };
            let ends = candidates(&life_at_gap, draft).filter(|end| end.reason == reason && end.at < gap[1]);
            for end in ends {
                would.note(replayed_end(&end, draft, Certainty::Possible));
            }
        }
    }
    // A possible end that is not earlier than the certain one adds nothing.
    if let (Some(certain), Some(possible)) = (&would.certain, &would.possible)
        && possible.at >= certain.at
    {
        would.possible = None;
    }
}

/// Judges the recorded requests, oldest first, with the binding that the draft would have set.
/// `Some`: the judged last request, at the instant at which the session ended.
fn end_by_requests(
    record: &SessionRecord,
    traces: &[RequestTrace],
    draft: &EffectivePolicy,
    compared: MeasureComparison,
    until: Timestamp,
    would: &mut SessionReplay,
) -> Option<Result<(), EndReason>> {
    let last_seen = record.life.last_seen_at.max(record.life.last_active_at);
    let last = RequestTrace {
        at: last_seen.max(record.life.signed_in_at),
        ip: Some(record.ip),
        user_agent: None,
        acted: false,
    };
    let place = traces.partition_point(|trace| trace.at <= last.at);
    let mut binding = Binding::at_sign_in(record.signed_in_ip, record.user_agent.as_deref());
    let mut at_the_end = None;
    for trace in traces[..place].iter().chain([&last]).chain(&traces[place..]) {
        if trace.at < record.life.signed_in_at || trace.at > until {
            continue;
        }
        let verdict = ask(record, trace, &binding, draft);
        if trace.at == until && record.ended.is_some() {
            at_the_end = Some(verdict.map(|_| ()));
            continue;
        }
        match verdict {
            Ok(live) => binding = live.rebind.unwrap_or(binding),
            Err(reason) => {
                let (certainty, goes_on) = sure(record, trace, &binding, draft, compared, reason);
                would.note(ReplayedEnd {
                    at: trace.at,
                    reason,
                    scope: Scope::Everyone,
                    certainty,
                });
                match goes_on {
                    Some(live) => binding = live.rebind.unwrap_or(binding),
                    None => break,
                }
            }
        }
    }
    at_the_end
}

/// Returns whether a change after the grace period is certain. It is only if every move is
/// recorded, because the move itself may have been within the period. Otherwise the simulation
/// continues as if it had been.
fn sure(
    record: &SessionRecord,
    trace: &RequestTrace,
    binding: &Binding,
    draft: &EffectivePolicy,
    compared: MeasureComparison,
    reason: EndReason,
) -> (Certainty, Option<LiveEffect>) {
    if reason != EndReason::NetworkAllowance || compared.moves {
        return (Certainty::Certain, None);
    }
    let mut open = draft.clone();
    open.validation.grace = Span::from_micros(i64::MAX);
    match ask(record, trace, binding, &open) {
        Ok(live) => (Certainty::Possible, Some(live)),
        Err(_) => (Certainty::Certain, None),
    }
}

/// Judges one request that came while the session was live; idle time is checked separately.
fn ask(
    record: &SessionRecord,
    trace: &RequestTrace,
    binding: &Binding,
    draft: &EffectivePolicy,
) -> Result<LiveEffect, EndReason> {
    let facts = SessionFacts {
        ended: None,
        account: AccountState::Enabled,
        must_change_password: false,
        // Duties do not end a session.
        proofs: Proofs::NONE,
        factors: EnrolledFactors::NONE,
        grace_from: None,
        life: LifeFacts {
            signed_in_at: record.life.signed_in_at,
            last_active_at: trace.at,
            last_seen_at: trace.at,
        },
        binding,
        token: TokenFacts::Current,
        device: match record.is_device_bound {
            true => DeviceEvidence::Bound {
                proved_until: Some(trace.at),
            },
            false => DeviceEvidence::Unbound {
                registrable_until: trace.at,
            },
        },
    };
    let request = RequestFacts {
        ip: trace.ip.unwrap_or(record.signed_in_ip),
        user_agent: trace.user_agent.as_deref().or(record.user_agent.as_deref()),
        kind: RequestKind::default(),
    };
    match judge(&facts, &request, draft, trace.at) {
        SessionVerdict::Live(live) | SessionVerdict::Duty { live, .. } => Ok(live),
        SessionVerdict::Ended { reason } => Err(reason),
    }
}

/// Returns whether a rule ended the session at an instant at which it would have continued under
/// the draft.
fn spared(
    record: &SessionRecord,
    draft: &EffectivePolicy,
    compared: MeasureComparison,
    at_its_end: Option<Result<(), EndReason>>,
    would: &SessionReplay,
) -> bool {
    let Some((ended_at, reason)) = record.ended else {
        return false;
    };
    if would.certain.is_some() {
        return false;
    }
    let outlives = candidates(&latest(record, compared), draft).all(|end| end.at > ended_at);
    // Unrecorded moves might have used up the draft's allowance before.
    let will = &draft.validation;
    let moves = compared.moves || !will.ip || will.allow_ip_changes.is_none();
    match reason {
        EndReason::Ttl | EndReason::Renewal | EndReason::Idle | EndReason::WindowClosed => outlives,
        EndReason::UserAgent | EndReason::Network | EndReason::NetworkAllowance => moves && at_its_end == Some(Ok(())),
        EndReason::SessionLimit => draft.concurrent_limit == 0,
        EndReason::SignedOut
        | EndReason::Revoked
        | EndReason::AccountDisabled
        | EndReason::Directory
        | EndReason::AccountExpired
        | EndReason::RotatedReuse
        | EndReason::PasswordChanged
        | EndReason::IdentityProvider => false,
    }
}

fn replayed_end(end: &LifetimeEnd, draft: &EffectivePolicy, certainty: Certainty) -> ReplayedEnd {
    ReplayedEnd {
        at: end.at,
        reason: end.reason,
        scope: draft.lifetimes[end.rule].scope.clone(),
        certainty,
    }
}
