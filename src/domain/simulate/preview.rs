//! The impact of a draft on live sessions. An accumulator receives session by session and uses the
//! same judgement that will enforce the draft. `preview/messages` writes the messages; nothing is
//! read from the store here.
//!
//! A session is judged with a status check, because there is no request, from the address where it
//! was last seen and with the browser of its sign-in. This has limits:
//!
//! - Lifetimes are exact, because they depend only on instants.
//! - A network is compared as the draft compares it, but only the last address is known. A session
//!   that is refused there ends **at its next request** from there, and not automatically. Sessions
//!   that move afterwards are not predicted.
//! - Only the browser of the sign-in is stored, not that of the latest request. What a stricter
//!   comparison of user agents will refuse cannot be known, see [`unforeseen`].
//! - Rules that apply only at a sign-in (the limit of sessions, expired accounts, lockouts) end no
//!   live session.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
};

use crate::{
    account::{AccountId, Role, name_key},
    activity::RequestKind,
    factor::{EnrolledFactors, FactorDuty, Proofs},
    network,
    password::{self, ChangeFacts},
    policy::{Scope, effective::EffectivePolicy},
    session::{
        AccountState, Binding, DeviceEvidence, Duty, EndReason, LifeFacts, RequestFacts, SessionFacts, SessionId,
        SessionVerdict, TokenFacts, ends_at, factor_duty, judge,
    },
    time::{Span, Timestamp},
};

mod devices;
mod messages;

pub use devices::DeviceImpact;
pub use messages::unforeseen;

/// Maximum number of sessions that a preview keeps by default.
pub const MAX_LISTED: usize = 50;

/// A session that has not been marked as ended.
#[derive(Debug, Clone, Copy)]
pub struct OpenSession<'a> {
    /// The session.
    pub id: SessionId,
    /// The owner.
    pub account: AccountId,
    /// Its owner's name.
    pub name: &'a str,
    /// Its owner's role.
    pub role: Role,
    /// The state of its owner's account.
    pub state: AccountState,
    /// Facts that decide whether the password must be changed.
    pub password: ChangeFacts,
    /// The proofs of the session.
    pub proofs: Proofs,
    /// The factors of its owner.
    pub factors: EnrolledFactors,
    /// When a second factor was first required of its owner.
    pub grace_from: Option<Timestamp>,
    /// The address of its latest request.
    pub ip: IpAddr,
    /// The reason, if it has ended but this has not been written yet.
    pub ended: Option<EndReason>,
    /// The times that determine its end, with activity that has not been written yet.
    pub life: LifeFacts,
    /// What it is bound to.
    pub binding: &'a Binding,
    /// Whether it is bound to a device, which is assumed to prove itself.
    pub is_device_bound: bool,
}

impl OpenSession<'_> {
    /// Returns the device of a status check at `at`. A session that is not bound counts as one
    /// whose time to be bound is over.
    fn device(&self, at: Timestamp) -> DeviceEvidence {
        match self.is_device_bound {
            true => DeviceEvidence::Bound { proved_until: Some(at) },
            false => DeviceEvidence::Unbound {
                registrable_until: at.saturating_sub(Span::from_micros(1)),
            },
        }
    }
}

/// The user who views the preview, to show the impact on their own sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewer {
    /// The user's account.
    pub account: Option<AccountId>,
    /// The user's current session.
    pub session: Option<SessionId>,
}

/// The filter of the affected sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Text within the owner's name, or the address or network where it was last seen.
    pub text: Option<String>,
    /// Only sessions that this rule of the draft ends.
    pub rule: Option<EndReason>,
}

/// When and why a session ends without further activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedEnd {
    /// The last live instant; `None`: at its next request from where it was last seen.
    pub at: Option<Timestamp>,
    /// The rule.
    pub reason: EndReason,
    /// The scope that sets it.
    pub scope: Scope,
}

/// A session that the draft ends sooner than the current policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedSession {
    /// The session.
    pub id: SessionId,
    /// Its owner's name.
    pub name: String,
    /// The address of its latest request.
    pub ip: IpAddr,
    /// The browser of its sign-in.
    pub user_agent: Option<String>,
    /// Its end under the current policy; `None`: never.
    pub today: Option<ExpectedEnd>,
    /// Its end under the draft.
    pub draft: ExpectedEnd,
    /// Whether it ends as soon as the draft is saved (or at its next request, see [`Ends::at`]).
    pub now: bool,
}

impl AffectedSession {
    /// Returns the sort key: soonest first, then in the order of sign-ins.
    fn place(&self, now: Timestamp) -> (Timestamp, SessionId) {
        (self.draft.at.unwrap_or(now), self.id)
    }
}

/// The number of sessions that end by one rule of the draft in one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PreviewRuleCount {
    /// As soon as it is saved.
    pub now: u64,
    /// Sooner than under the current policy, but not immediately.
    pub sooner: u64,
}

/// How soon the sessions end that end sooner, but not immediately; each is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoonerEndCounts {
    /// Within a minute.
    pub minute: u64,
    /// Within an hour.
    pub hour: u64,
    /// Within a day.
    pub day: u64,
    /// Later than that.
    pub beyond: u64,
}

impl SoonerEndCounts {
    /// Returns the sum.
    pub const fn total(&self) -> u64 {
        self.minute + self.hour + self.day + self.beyond
    }

    fn count(&mut self, left: Span) {
        let place = match left.as_secs_ceil() {
            ..=60 => &mut self.minute,
            61..=3_600 => &mut self.hour,
            3_601..=86_400 => &mut self.day,
            _ => &mut self.beyond,
        };
        *place += 1;
    }
}

/// The impact of a draft on the sessions that were added.
#[derive(Debug, Clone)]
pub struct Preview {
    now: Timestamp,
    viewer: Viewer,
    listing: Listing,
    /// The text of the filter, as a folded name and as a network.
    wanted: Option<(String, Option<ipnetwork::IpNetwork>)>,
    most: usize,
    kept: BTreeMap<(Timestamp, SessionId), AffectedSession>,
    /// Sessions live at this moment, under the current policy.
    pub live: u64,
    /// End as soon as the draft is saved.
    pub ends_now: u64,
    /// Of [`Preview::ends_now`], the sessions that end at their next request and not automatically.
    pub at_next_request: u64,
    /// Sessions that end sooner than now, but not immediately.
    pub sooner: SoonerEndCounts,
    /// Sessions that end later than now.
    pub later: u64,
    /// Sessions that lose the end that they have now.
    pub freed: u64,
    /// Sessions whose users must newly change their password before anything else.
    pub duties: u64,
    /// Sessions whose users must newly prove a second factor before anything else.
    pub must_prove: u64,
    /// Sessions whose users must newly enrol a second factor before anything else.
    pub must_enrol: u64,
    /// What the draft means for device binding.
    pub devices: DeviceImpact,
    /// Sessions per rule of the draft and scope.
    pub by_rule: BTreeMap<(EndReason, Scope), PreviewRuleCount>,
    /// Affected sessions that match the filter, including those that are not kept.
    pub matching: u64,
    /// The impact on the user's current session, if it is affected.
    pub own: Option<AffectedSession>,
    /// The number of other sessions of the same account that end as soon as the draft is saved.
    pub own_others_now: u64,
}

/// The result of one policy for a session.
enum SessionFate {
    /// The session or its account has ended, so that no policy would accept it.
    Gone,
    /// Its time is over.
    Over(ExpectedEnd),
    /// Its next request from where it was last seen is refused and ends it.
    Refused(ExpectedEnd),
    /// It continues: to this end, or without one.
    GoesOn {
        end: Option<ExpectedEnd>,
        duty: Option<Duty>,
    },
}

impl Preview {
    /// Creates an empty preview.
    pub fn new(now: Timestamp, viewer: Viewer, listing: Listing) -> Self {
        let text = listing.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        Self {
            now,
            viewer,
            wanted: text.map(|text| (name_key(text), network::parse_filter(text))),
            listing,
            most: MAX_LISTED,
            kept: BTreeMap::new(),
            live: 0,
            ends_now: 0,
            at_next_request: 0,
            sooner: SoonerEndCounts::default(),
            later: 0,
            freed: 0,
            duties: 0,
            must_prove: 0,
            must_enrol: 0,
            devices: DeviceImpact::default(),
            by_rule: BTreeMap::new(),
            matching: 0,
            own: None,
            own_others_now: 0,
        }
    }

    /// Returns the preview with up to `most` affected sessions kept.
    pub fn keeping(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Returns the instant of the preview.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Adds one session, with its effective policies now and under the draft.
    pub fn add(&mut self, session: &OpenSession, today: &EffectivePolicy, draft: &EffectivePolicy) {
        let (end_today, refused_today, duty_today) = match self.session_fate(session, today) {
            SessionFate::Gone | SessionFate::Over(_) => return,
            SessionFate::Refused(end) => (Some(end), true, None),
            SessionFate::GoesOn { end, duty } => (end, false, duty),
        };
        self.live += 1;
        self.devices.count(session, draft);
        match self.session_fate(session, draft) {
            SessionFate::Gone => {}
            SessionFate::Over(end) => self.ends(session, end_today, end, true),
            SessionFate::Refused(end) if refused_today => drop(end),
            SessionFate::Refused(end) => {
                self.at_next_request += 1;
                self.ends(session, end_today, end, true);
            }
            SessionFate::GoesOn { end, duty } => {
                if duty != duty_today {
                    self.count_duty(duty);
                }
                self.add_continuing(session, end_today, end);
            }
        }
    }

    fn count_duty(&mut self, duty: Option<Duty>) {
        match duty {
            None => {}
            Some(Duty::PasswordChange) => self.duties += 1,
            Some(Duty::Factor(FactorDuty::Prove)) => self.must_prove += 1,
            Some(Duty::Factor(FactorDuty::Enrol)) => self.must_enrol += 1,
            Some(Duty::DeviceProof(_)) => self.devices.stopped += 1,
        }
    }

    fn add_continuing(&mut self, session: &OpenSession, today: Option<ExpectedEnd>, draft: Option<ExpectedEnd>) {
        match (today.as_ref().map(|end| end.at), draft) {
            (None, None) => {}
            // A session that is refused now and accepted by the draft, with any end, loses its end
            // too.
            (Some(None), _) | (Some(_), None) => self.freed += 1,
            (Some(Some(at)), Some(draft)) if draft.at == Some(at) => {}
            (Some(at), Some(draft)) if draft.at > at => self.later += 1,
            (Some(_) | None, Some(draft)) => self.ends(session, today, draft, false),
        }
    }

    /// Counts a session that ends immediately or sooner than now.
    fn ends(&mut self, session: &OpenSession, today: Option<ExpectedEnd>, draft: ExpectedEnd, now: bool) {
        let rule = self.by_rule.entry((draft.reason, draft.scope.clone())).or_default();
        if now {
            self.ends_now += 1;
            rule.now += 1;
        } else {
            rule.sooner += 1;
            self.sooner.count(draft.at.unwrap_or(self.now).since(self.now));
        }
        let asks = self.viewer.session == Some(session.id);
        if now && !asks && self.viewer.account == Some(session.account) {
            self.own_others_now += 1;
        }
        let matches = self.matches(session, draft.reason);
        self.matching += u64::from(matches);
        let place = (draft.at.unwrap_or(self.now), session.id);
        let shown = matches
            && (self.kept.len() < self.most || self.kept.last_key_value().is_some_and(|(last, _)| place < *last));
        if !asks && !shown {
            return;
        }
        let affected = AffectedSession {
            id: session.id,
            name: session.name.to_owned(),
            ip: session.ip,
            user_agent: session.binding.user_agent.clone(),
            today,
            draft,
            now,
        };
        if asks {
            self.own = Some(affected.clone());
        }
        if shown {
            self.kept.insert(affected.place(self.now), affected);
            if self.kept.len() > self.most {
                self.kept.pop_last();
            }
        }
    }

    fn matches(&self, session: &OpenSession, reason: EndReason) -> bool {
        let by_rule = self.listing.rule.is_none_or(|rule| rule == reason);
        by_rule
            && self.wanted.as_ref().is_none_or(|(name, network)| {
                network.is_some_and(|network| network.contains(network::canonical(session.ip)))
                    || name_key(session.name).contains(name)
            })
    }

    /// Returns the affected sessions that match the filter, soonest first, as many as are kept.
    pub fn affected(&self) -> impl ExactSizeIterator<Item = &AffectedSession> {
        self.kept.values()
    }

    /// Converts into the affected sessions, like [`Self::affected`].
    pub fn into_affected(self) -> impl ExactSizeIterator<Item = AffectedSession> {
        self.kept.into_values()
    }

    /// Returns the number of affected sessions without the filter: immediately and sooner.
    pub fn affected_total(&self) -> u64 {
        self.ends_now + self.sooner.total()
    }

    /// Returns the rules of the draft that end sessions, for the choices of the filter.
    pub fn rules(&self) -> Vec<EndReason> {
        let mut seen = HashSet::new();
        let reasons = self.by_rule.keys().map(|(reason, _)| *reason);
        reasons.filter(|reason| seen.insert(*reason)).collect()
    }

    fn session_fate(&self, session: &OpenSession, policy: &EffectivePolicy) -> SessionFate {
        let must_change_password = password::must_change(
            &session.password,
            policy.accounts.change_default_password,
            &policy.password,
            session.life.signed_in_at,
        );
        let facts = SessionFacts {
            ended: session.ended,
            account: session.state,
            must_change_password: must_change_password.is_some(),
            proofs: session.proofs,
            factors: session.factors,
            grace_from: session.grace_from,
            life: session.life,
            binding: session.binding,
            token: TokenFacts::Current,
            device: session.device(self.now),
        };
        let request = RequestFacts {
            ip: session.ip,
            user_agent: session.binding.user_agent.as_deref(),
            kind: RequestKind {
                check: true,
                ..RequestKind::default()
            },
        };
        let by_lifetime = ends_at(&session.life, policy).map(|end| ExpectedEnd {
            at: Some(end.at),
            reason: end.reason,
            scope: policy.lifetimes[end.rule].scope.clone(),
        });
        match judge(&facts, &request, policy, self.now) {
            // An application's requirement is met there.
            SessionVerdict::Live(_) => SessionFate::GoesOn {
                end: by_lifetime,
                duty: factor_duty(&facts, policy.factors.strictest, &policy.factors, self.now).map(Duty::Factor),
            },
            SessionVerdict::Duty { what, .. } => SessionFate::GoesOn {
                end: by_lifetime,
                duty: Some(what),
            },
            SessionVerdict::Ended { .. } if session.ended.is_some() || session.state != AccountState::Enabled => {
                SessionFate::Gone
            }
            SessionVerdict::Ended { reason } => match by_lifetime.filter(|end| end.reason == reason) {
                Some(end) => SessionFate::Over(end),
                // Validation can only be set for everyone.
                None => SessionFate::Refused(ExpectedEnd {
                    at: None,
                    reason,
                    scope: Scope::Everyone,
                }),
            },
        }
    }
}
