//! One recorded session, lived through again under a draft: by `judge` at every recorded request, by the lifetimes'
//! candidates between them.

use std::net::IpAddr;

use super::{Certainty, Ended};
use crate::domain::{
    account::AccountId,
    activity::RequestKind,
    policy::{
        Scope,
        effective::{ActivityPolicy, Counts, EffectivePolicy, Idle, Mode},
    },
    session::{
        AccountState, Binding, End, EndReason, LifeFacts, Live, RequestFacts, SessionFacts, SessionId, TokenFacts,
        Verdict, candidates, judge,
    },
    time::{Span, Timestamp},
};

/// A session as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The session.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Its owner's name.
    pub name: String,
    /// The address of its sign-in.
    pub signed_in_ip: IpAddr,
    /// The address of its latest request.
    pub ip: IpAddr,
    /// The browser of its sign-in.
    pub user_agent: Option<String>,
    /// Sign-in, latest activity, latest sign of life.
    pub life: LifeFacts,
    /// So much later its latest activity may have been than is recorded: it is written in batches.
    pub slack: Span,
    /// When and why it ended; `None`: it is live.
    pub ended: Option<(Timestamp, EndReason)>,
}

impl Record {
    /// Up to when it is known to have been live.
    pub(super) fn ended_or(&self, now: Timestamp) -> Timestamp {
        self.ended.map_or(now, |(at, _)| at)
    }
}

/// A request of the session that left a trace in the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When.
    pub at: Timestamp,
    /// From where; `None`: not recorded.
    pub ip: Option<IpAddr>,
    /// With which browser; `None`: not recorded.
    pub user_agent: Option<String>,
    /// Somebody did something with it; false: any request, of the page's background perhaps.
    pub acted: bool,
}

/// How the draft's measure of activity and networks relates to those that were in force while the records were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Everything that counts as activity under the draft did then: the latest activity cannot have been later.
    pub counts_no_more: bool,
    /// Everything that counted then counts under the draft: the latest activity was activity.
    pub counts_no_less: bool,
    /// Windows were listened to then.
    pub windows: bool,
    /// Every move that the draft takes for a change was recorded.
    pub moves: bool,
}

impl Compared {
    /// Of one policy that was in force with the draft, both as they hold for the same session.
    pub fn of(then: &EffectivePolicy, draft: &EffectivePolicy) -> Self {
        let (was, will) = (&then.validation, &draft.validation);
        Self {
            counts_no_more: within(&draft.activity, &then.activity),
            counts_no_less: within(&then.activity, &draft.activity),
            windows: then.lifetimes.iter().any(|rule| rule.idle == Idle::WindowOpen),
            moves: was.ip && was.mode != Mode::Off && was.security_audit_log && was.subnet_bits >= will.subnet_bits,
        }
    }

    /// What holds of two that were in force one after the other.
    pub fn and(self, other: Self) -> Self {
        Self {
            counts_no_more: self.counts_no_more && other.counts_no_more,
            counts_no_less: self.counts_no_less && other.counts_no_less,
            windows: self.windows && other.windows,
            moves: self.moves && other.moves,
        }
    }
}

/// Whether everything that counts under `narrow` counts under `wide`.
fn within(narrow: &ActivityPolicy, wide: &ActivityPolicy) -> bool {
    let rank = |counts| match counts {
        Counts::Interaction => 0,
        Counts::Navigation => 1,
        Counts::EveryRequest => 2,
    };
    rank(narrow.counts) <= rank(wide.counts) && wide.ignored.iter().all(|glob| narrow.ignored.contains(glob))
}

/// What would have become of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Would {
    /// It would have ended at this instant or before.
    pub certain: Option<Ended>,
    /// It might have ended as early as that, before [`Would::certain`].
    pub possible: Option<Ended>,
    /// A rule ended it, and the draft would not have at that instant.
    pub spared: bool,
}

impl Would {
    /// Notes an end; of several of one certainty the earliest counts.
    pub(super) fn note(&mut self, end: Ended) {
        let place = match end.certainty {
            Certainty::Certain => &mut self.certain,
            Certainty::Possible => &mut self.possible,
        };
        let earlier = |known: &Ended| (end.at, end.reason) < (known.at, known.reason);
        if place.as_ref().is_none_or(earlier) {
            *place = Some(end);
        }
    }

    /// The one end to tell: the certain one, else the possible one.
    pub fn told(&self) -> Option<Ended> {
        self.certain.clone().or_else(|| self.possible.clone())
    }
}

pub(super) fn live_through(
    record: &Record,
    traces: &[Trace],
    draft: &EffectivePolicy,
    compared: Compared,
    now: Timestamp,
) -> Would {
    let until = record.ended_or(now);
    let mut would = Would::default();
    by_lifetimes(record, draft, compared, until, &mut would);
    between_requests(record, traces, draft, compared, until, &mut would);
    let refused_at_its_end = by_requests(record, traces, draft, compared, until, &mut would);
    would.spared = spared(record, draft, compared, refused_at_its_end, &would);
    would
}

/// Ends that no request could have put off: by what is known of sign-in, latest activity and latest sign of life.
fn by_lifetimes(record: &Record, draft: &EffectivePolicy, compared: Compared, until: Timestamp, would: &mut Would) {
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
        would.note(told(&end, draft, certainty));
    }
}

/// The facts with the latest recorded instant that the draft could have taken for activity.
fn latest(record: &Record, compared: Compared) -> LifeFacts {
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

/// Gaps between recorded requests that are longer than the draft's idle time or window grace.
fn between_requests(
    record: &Record,
    traces: &[Trace],
    draft: &EffectivePolicy,
    compared: Compared,
    until: Timestamp,
    would: &mut Would,
) {
    let life = record.life;
    let every = draft.activity.counts == Counts::EveryRequest && draft.activity.ignored.is_empty();
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
            let standing = LifeFacts {
                signed_in_at: life.signed_in_at,
                last_active_at: gap[0],
                last_seen_at: gap[0],
            };
            let ends = candidates(&standing, draft).filter(|end| end.reason == reason && end.at < gap[1]);
            for end in ends {
                would.note(told(&end, draft, Certainty::Possible));
            }
        }
    }
    // What comes no earlier than the certain end says nothing more.
    if let (Some(certain), Some(possible)) = (&would.certain, &would.possible)
        && possible.at >= certain.at
    {
        would.possible = None;
    }
}

/// Judges the recorded requests, oldest first, with the binding as the draft would have it. Some: its last request, at the
/// instant at which the session ended, judged.
fn by_requests(
    record: &Record,
    traces: &[Trace],
    draft: &EffectivePolicy,
    compared: Compared,
    until: Timestamp,
    would: &mut Would,
) -> Option<Result<(), EndReason>> {
    let last_seen = record.life.last_seen_at.max(record.life.last_active_at);
    let last = Trace {
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
                would.note(Ended {
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

/// A change after the grace window is only then known to be one when every move is recorded: the move itself may have been
/// within it. Then the session is lived on with as if it had been.
fn sure(
    record: &Record,
    trace: &Trace,
    binding: &Binding,
    draft: &EffectivePolicy,
    compared: Compared,
    reason: EndReason,
) -> (Certainty, Option<Live>) {
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

/// The judgement of one request that came while the session was live; idle time is looked at elsewhere.
fn ask(record: &Record, trace: &Trace, binding: &Binding, draft: &EffectivePolicy) -> Result<Live, EndReason> {
    let facts = SessionFacts {
        ended: None,
        account: AccountState::Enabled,
        must_change_password: false,
        life: LifeFacts {
            signed_in_at: record.life.signed_in_at,
            last_active_at: trace.at,
            last_seen_at: trace.at,
        },
        binding,
        token: TokenFacts::Current,
    };
    let request = RequestFacts {
        ip: trace.ip.unwrap_or(record.signed_in_ip),
        user_agent: trace.user_agent.as_deref().or(record.user_agent.as_deref()),
        kind: RequestKind::default(),
    };
    match judge(&facts, &request, draft, trace.at) {
        Verdict::Live(live) | Verdict::Duty { live, .. } => Ok(live),
        Verdict::Ended { reason } => Err(reason),
    }
}

/// Whether a rule ended the session at an instant at which the draft would have let it live on.
fn spared(
    record: &Record,
    draft: &EffectivePolicy,
    compared: Compared,
    at_its_end: Option<Result<(), EndReason>>,
    would: &Would,
) -> bool {
    let Some((ended_at, reason)) = record.ended else {
        return false;
    };
    if would.certain.is_some() {
        return false;
    }
    let outlives = candidates(&latest(record, compared), draft).all(|end| end.at > ended_at);
    // Moves that nobody recorded might have used up the draft's allowance before.
    let will = &draft.validation;
    let moves = compared.moves || !will.ip || will.allow_ip_changes.is_none();
    match reason {
        EndReason::Ttl | EndReason::Renewal | EndReason::Idle | EndReason::WindowClosed => outlives,
        EndReason::UserAgent | EndReason::Network | EndReason::NetworkAllowance => moves && at_its_end == Some(Ok(())),
        EndReason::SessionLimit => draft.concurrent_limit == 0,
        EndReason::SignedOut
        | EndReason::Revoked
        | EndReason::AccountDisabled
        | EndReason::AccountExpired
        | EndReason::RotatedReuse
        | EndReason::PasswordChanged => false,
    }
}

fn told(end: &End, draft: &EffectivePolicy, certainty: Certainty) -> Ended {
    Ended {
        at: end.at,
        reason: end.reason,
        scope: draft.lifetimes[end.rule].scope.clone(),
        certainty,
    }
}
