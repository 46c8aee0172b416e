//! The simulation of a scenario's requests with the judgement. It skips requests that cannot be
//! judged differently: more activity never ends a session sooner, so all requests before the
//! current end pass.

use super::{
    messages,
    requests::{ClientState, RequestEffect, RequestRun, RunKind, runs},
    scenario::{ClientChange, ClientMove, Scenario},
    timeline::{Mark, MarkKind, Segment, Timeline, TimelineEnd},
};
use crate::{
    factor::{EnrolledFactors, Proofs},
    policy::effective::{DeviceBinding, EffectivePolicy, Policy},
    session::{
        AccountState, Binding, EndReason, LifeFacts, LifetimeEnd, LiveEffect, NetworkEvent, RequestFacts, SessionFacts,
        SessionVerdict, TokenFacts, candidates, ends_at, judge, lease, warn_before,
    },
    time::{Span, Timestamp},
};

/// Maximum number of steps. Each step skips at least one idle timeout: with one of 5 minutes, this
/// covers more than two years.
const MAX_STEPS: usize = 250_000;
/// Maximum number of events of one kind; more would hide the chart.
const MAX_MARKS: usize = 24;

const MICRO: Span = Span::from_micros(1);
const FOREVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// The current end during the simulation.
#[derive(Clone, Copy)]
struct WalkEnd {
    at: Timestamp,
    /// The rule; `None`: the account's expiry date.
    rule: Option<LifetimeEnd>,
}

pub(super) struct ScenarioWalk<'a> {
    policy: &'a Policy,
    scenario: &'a Scenario,
    runs: Vec<RequestRun<'a>>,
    /// The rules with the applications entered so far.
    rules: EffectivePolicy,
    entered: Vec<String>,
    life: LifeFacts,
    binding: Binding,
    place: ClientState<'a>,
    /// The remaining changes, the next one last.
    moves: Vec<&'a ClientMove>,
    /// All requests up to this instant are done.
    cursor: Timestamp,
    /// All lease ends up to this instant are marked.
    leases_until: Timestamp,
    marks: Vec<Mark>,
}

impl<'a> ScenarioWalk<'a> {
    pub(super) fn new(policy: &'a Policy, scenario: &'a Scenario) -> Self {
        let pattern = &scenario.pattern;
        let mut moves: Vec<&ClientMove> = pattern.moves.iter().collect();
        moves.sort_by_key(|to| std::cmp::Reverse(to.at));
        Self {
            policy,
            scenario,
            runs: runs(pattern, scenario.begin),
            rules: policy.effective(
                scenario.role,
                &scenario.entered,
                scenario.entered.last().map(String::as_str),
            ),
            entered: scenario.entered.clone(),
            life: scenario.life,
            binding: scenario.binding.clone(),
            place: ClientState {
                ip: pattern.client.ip,
                user_agent: pattern.client.user_agent.as_deref(),
            },
            moves,
            cursor: scenario.begin.saturating_sub(MICRO),
            leases_until: scenario.begin.saturating_sub(MICRO),
            marks: Vec::new(),
        }
    }

    pub(super) fn timeline(mut self) -> Timeline {
        self.mark(self.scenario.life.signed_in_at, MarkKind::SignedIn, "Signed in.".into());
        if self.scenario.begin > self.scenario.life.signed_in_at {
            self.mark(
                self.scenario.begin,
                MarkKind::Now,
                "The current state of the session.".into(),
            );
        }
        let end = self.walk();
        let until = end.as_ref().map_or(self.cursor, |end| end.at);
        self.warn(until);
        self.mark_leases(until);
        self.mark_window(until);
        self.marks.sort_by_key(|mark| (mark.at, mark.kind));
        Timeline {
            signed_in_at: self.scenario.life.signed_in_at,
            begin: self.scenario.begin,
            segments: self.segments(until),
            others: self.other_ends(end.as_ref()),
            latest: self.latest(),
            window_until: self.scenario.pattern.window_until,
            followed_until: end.is_none().then_some(self.cursor),
            marks: self.marks,
            end,
        }
    }

    fn walk(&mut self) -> Option<TimelineEnd> {
        for _ in 0..MAX_STEPS {
            let stop = self.stop(&self.life);
            let Some(at) = self.runs.iter().filter_map(|run| run.next(self.cursor)).min() else {
                return stop.map(|stop| self.timeline_end(stop));
            };
            if let Some(stop) = stop.filter(|stop| at > stop.at) {
                self.mark(at, MarkKind::Refused, "The next request is refused.".into());
                return Some(self.timeline_end(stop));
            }
            if let Err(end) = self.step(at) {
                return Some(end);
            }
            self.skip_repetitions();
        }
        None
    }

    /// Returns the end of a session with these times: by its lifetimes, or by the account's expiry
    /// date.
    fn stop(&self, life: &LifeFacts) -> Option<WalkEnd> {
        let by_date = self.scenario.expires_at.map(|at| WalkEnd { at, rule: None });
        let by_rule = ends_at(life, &self.rules).map(|end| WalkEnd {
            at: end.at,
            rule: Some(end),
        });
        // The account comes first in the order of judgement.
        by_date.into_iter().chain(by_rule).min_by_key(|stop| stop.at)
    }

    fn timeline_end(&self, stop: WalkEnd) -> TimelineEnd {
        match stop.rule {
            Some(end) => messages::timeline_end(&end, &self.rules),
            None => messages::account_expiry(stop.at),
        }
    }

    /// Judges every request of one instant.
    fn step(&mut self, at: Timestamp) -> Result<(), TimelineEnd> {
        let moved = self.apply_move(at);
        for place in 0..self.runs.len() {
            if self.runs[place].next(self.cursor) == Some(at) {
                self.request(place, at, moved)?;
            }
        }
        self.cursor = at;
        Ok(())
    }

    /// Applies the changes up to `at`; returns whether the client changed.
    fn apply_move(&mut self, at: Timestamp) -> bool {
        let before = self.place;
        while let Some(to) = self.moves.pop_if(|to| to.at <= at) {
            match &to.to {
                ClientChange::Ip(ip) => self.place.ip = *ip,
                ClientChange::UserAgent(agent) => self.place.user_agent = Some(agent),
            }
        }
        let moved = self.place != before;
        if moved {
            self.forget_effects();
        }
        moved
    }

    fn forget_effects(&mut self) {
        for run in &mut self.runs {
            run.effect = None;
        }
    }

    fn request(&mut self, place: usize, at: Timestamp, moved: bool) -> Result<(), TimelineEnd> {
        if let RunKind::Entering(application) = self.runs[place].what {
            self.mark_leases(at);
            self.enter(application);
        }
        let expired = self.scenario.expires_at.is_some_and(|expires| at > expires);
        let session = SessionFacts {
            ended: None,
            account: if expired {
                AccountState::Expired
            } else {
                AccountState::Enabled
            },
            must_change_password: false,
            // Duties do not end a session.
            proofs: Proofs::NONE,
            factors: EnrolledFactors::NONE,
            grace_from: None,
            life: self.life,
            binding: &self.binding,
            token: TokenFacts::Current,
            device: self.scenario.device(at),
        };
        let request = RequestFacts {
            ip: self.place.ip,
            user_agent: self.place.user_agent,
            kind: self.runs[place].kind(&self.scenario.pattern),
        };
        match judge(&session, &request, &self.rules, at) {
            SessionVerdict::Live(live) | SessionVerdict::Duty { live, .. } => {
                self.live(place, at, moved, live);
                Ok(())
            }
            SessionVerdict::Ended { reason } => Err(self.refusal(reason, at)),
        }
    }

    /// Enters an application. Its rules already apply to the request that enters it.
    fn enter(&mut self, application: &str) {
        if !self.entered.iter().any(|known| known == application) {
            self.entered.push(application.to_owned());
        }
        self.rules = self
            .policy
            .effective(self.scenario.role, &self.entered, Some(application));
        self.forget_effects();
    }

    /// Creates the end of a live session whose request was refused: by a check, or by the lifetimes
    /// of the application that it enters.
    fn refusal(&self, reason: EndReason, at: Timestamp) -> TimelineEnd {
        match ends_at(&self.life, &self.rules).filter(|end| at > end.at) {
            Some(end) => TimelineEnd {
                at,
                ..messages::timeline_end(&end, &self.rules)
            },
            None => messages::refusal(reason, at, self.place, &self.binding, &self.rules.validation),
        }
    }

    fn live(&mut self, place: usize, at: Timestamp, moved: bool, live: LiveEffect) {
        self.mark_request(place, at, moved, &live);
        if live.touch {
            self.warn(at);
            self.life.last_active_at = at;
        }
        if live.seen {
            self.life.last_seen_at = at;
        }
        if let Some(binding) = live.rebind {
            self.binding = binding;
        }
        self.runs[place].effect = Some(RequestEffect {
            touch: live.touch,
            seen: live.seen,
        });
    }

    /// Skips the requests that can only be judged like those before them.
    fn skip_repetitions(&mut self) {
        let Some(stop) = self.stop(&self.life) else { return };
        let unknown = self.runs.iter().filter(|run| run.effect.is_none());
        let unknown = unknown.filter_map(|run| run.next(self.cursor));
        let until = match unknown.chain(self.moves.last().map(|to| to.at)).min() {
            Some(next) => stop.at.min(next.saturating_sub(MICRO)),
            None => stop.at,
        };
        if until <= self.cursor {
            return;
        }
        let touching = self
            .runs
            .iter()
            .filter(|run| run.effect.is_some_and(|effect| effect.touch));
        if let Some(next) = touching
            .filter_map(|run| run.next(self.cursor))
            .min()
            .filter(|next| *next <= until)
        {
            self.warn(next);
        }
        for run in &self.runs {
            let latest = run.latest(until).filter(|latest| *latest > self.cursor);
            if let (Some(latest), Some(effect)) = (latest, run.effect) {
                if effect.touch {
                    self.life.last_active_at = self.life.last_active_at.max(latest);
                }
                if effect.seen {
                    self.life.last_seen_at = self.life.last_seen_at.max(latest);
                }
            }
        }
        self.cursor = until;
    }

    fn mark(&mut self, at: Timestamp, kind: MarkKind, sentence: String) {
        let same = self.marks.iter().filter(|mark| mark.kind == kind).count();
        if same < MAX_MARKS {
            self.marks.push(Mark { at, kind, sentence });
        }
    }

    fn mark_request(&mut self, place: usize, at: Timestamp, moved: bool, live: &LiveEffect) {
        let run = &self.runs[place];
        if let RunKind::Entering(application) = run.what {
            self.mark(at, MarkKind::Entered, format!("Entered {application}."));
        } else if run.what == RunKind::Activity && !live.touch && run.effect.is_none() {
            let sentence = messages::not_counted(&self.scenario.pattern, &self.rules.activity);
            self.mark(at, MarkKind::NotCounted, sentence);
        }
        match live.record {
            Some(NetworkEvent::NetworkChanged) => {
                let counts = !self.scenario.is_device_bound || self.rules.device.binding == DeviceBinding::Off;
                let sentence = match counts {
                    true => messages::accepted(self.place.ip, live),
                    false => messages::excused_network(self.place.ip, live),
                };
                self.mark(at, MarkKind::NetworkAccepted, sentence);
            }
            // It comes with every such request; one event per change is enough.
            Some(NetworkEvent::NetworkMismatch) if moved => {
                let sentence = format!("Used from {}: another network, only recorded.", self.place.ip);
                self.mark(at, MarkKind::NetworkRecorded, sentence);
            }
            None if moved => {
                let sentence = messages::unnoticed(self.place, &self.binding, &self.rules.validation);
                self.mark(at, MarkKind::Unnoticed, sentence);
            }
            Some(NetworkEvent::AgentMismatch) if moved => {
                let sentence = messages::excused_agent(self.place);
                self.mark(at, MarkKind::NetworkRecorded, sentence);
            }
            Some(NetworkEvent::NetworkMismatch | NetworkEvent::AgentMismatch) | None => {}
        }
    }

    /// Marks the warning before the current idle end, if it started before `until`.
    fn warn(&mut self, until: Timestamp) {
        let idle = candidates(&self.life, &self.rules).filter(|end| end.reason == EndReason::Idle);
        let (Some(idle), Some(before)) = (idle.map(|end| end.at).min(), warn_before(&self.rules)) else {
            return;
        };
        let from = idle.saturating_sub(before);
        if from < until && from >= self.scenario.begin {
            self.mark(from, MarkKind::Warned, messages::warned(before));
        }
    }

    /// Marks the remaining lease ends up to `until`, by the rules in force; another application can
    /// change the lease.
    fn mark_leases(&mut self, until: Timestamp) {
        let from = std::mem::replace(&mut self.leases_until, until);
        let Some(lease) = lease(&self.rules) else { return };
        let signed_in_at = self.life.signed_in_at;
        let leases = from.since(signed_in_at).as_micros().max(0) / lease.as_micros();
        for number in leases + 1..=leases + MAX_MARKS as i64 {
            let at = signed_in_at.saturating_add(Span::from_micros(lease.as_micros().saturating_mul(number)));
            if at >= until {
                return;
            }
            self.mark(at, MarkKind::LeaseRenewed, messages::renewed(lease));
        }
    }

    fn mark_window(&mut self, until: Timestamp) {
        let closed = self.scenario.pattern.window_until.filter(|at| *at < until);
        if let Some(at) = closed {
            self.mark(at, MarkKind::WindowClosed, "The last window is closed.".into());
        }
    }

    /// Returns the active and idle periods up to `until`.
    fn segments(&self, until: Timestamp) -> Vec<Segment> {
        let activity = self.runs.iter().filter(|run| run.what != RunKind::Heartbeat);
        let mut spans: Vec<_> = activity
            .filter_map(|run| Some((run.first, run.latest(until)?)))
            .collect();
        spans.sort();
        let (mut segments, mut from) = (Vec::new(), self.scenario.begin);
        let mut add = |from: Timestamp, until: Timestamp, active: bool| {
            if from < until {
                segments.push(Segment { from, until, active });
            }
        };
        for (first, last) in spans {
            add(from, first, false);
            add(from.max(first), last, true);
            from = from.max(last);
        }
        add(from, until, false);
        segments
    }

    fn other_ends(&self, end: Option<&TimelineEnd>) -> Vec<TimelineEnd> {
        let by_rule = candidates(&self.life, &self.rules).map(|end| messages::timeline_end(&end, &self.rules));
        let mut others: Vec<TimelineEnd> = by_rule
            .chain(self.scenario.expires_at.map(messages::account_expiry))
            .collect();
        let same =
            |other: &TimelineEnd| end.is_some_and(|end| (end.reason, &end.scope) == (other.reason, &other.scope));
        others.retain(|other| !same(other));
        others.sort_by_key(|other| other.at);
        others
    }

    fn latest(&self) -> Option<TimelineEnd> {
        let life = LifeFacts {
            last_active_at: FOREVER,
            last_seen_at: FOREVER,
            ..self.life
        };
        self.stop(&life).map(|stop| self.timeline_end(stop))
    }
}
