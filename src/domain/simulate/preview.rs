//! What a draft does to the sessions that are live now: an accumulator, fed session by session, that asks the very
//! judgement which will enforce the draft. The words for people stand in `preview/words`; nothing is read here.
//!
//! What it is honest about: a session is asked about with a status check, since there is no request, from the address
//! where it was last seen and with the browser of its sign-in. So
//!
//! - lifetimes are exact: they hang on instants alone;
//! - a network is compared as the draft compares it, but only the last address is known: a session that is refused there
//!   ends **at its next request** from there, not by itself, and one that moves afterwards is not foreseen;
//! - the browser of the latest request is not kept, only that of the sign-in: what a stricter comparison of user agents
//!   will refuse cannot be known, see [`unforeseen`];
//! - what is asked only at a sign-in (the limit of sessions, expired accounts, lockouts) ends nothing that is live.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
};

use crate::domain::{
    account::{AccountId, Role, name_key},
    activity::RequestKind,
    network,
    password::{self, ChangeFacts},
    policy::{Scope, effective::EffectivePolicy},
    session::{AccountState, Binding, EndReason, LifeFacts, RequestFacts, SessionFacts, SessionId, TokenFacts},
    session::{Verdict, ends_at, judge},
    time::{Span, Timestamp},
};

mod words;

pub use words::unforeseen;

/// Most sessions that a preview keeps to show, unless it is told otherwise.
pub const KEPT: usize = 50;

/// A session that nobody has marked as ended.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The session.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Its owner's name.
    pub name: &'a str,
    /// Its owner's role.
    pub role: Role,
    /// Its owner's standing.
    pub state: AccountState,
    /// What a duty to change the password hangs on.
    pub password: ChangeFacts,
    /// The address of its latest request.
    pub ip: IpAddr,
    /// An ending that holds already, though it is not written down yet.
    pub ended: Option<EndReason>,
    /// The clock facts, with activity that is not written yet.
    pub life: LifeFacts,
    /// What it is bound to.
    pub binding: &'a Binding,
}

/// Who asks, to learn what becomes of their own sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewer {
    /// Whose sessions are "yours".
    pub account: Option<AccountId>,
    /// The one that asks.
    pub session: Option<SessionId>,
}

/// Which of the affected sessions to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Within the owner's name, or the address or network it was last seen in.
    pub text: Option<String>,
    /// Ended by this rule of the draft.
    pub rule: Option<EndReason>,
}

/// When and why a session ends if nothing more happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The last live instant. `None`: at its next request from where it was last seen.
    pub at: Option<Timestamp>,
    /// The rule.
    pub reason: EndReason,
    /// The scope that sets it.
    pub scope: Scope,
}

/// A session that the draft ends sooner than the policy of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The session.
    pub id: SessionId,
    /// Its owner's name.
    pub name: String,
    /// The address of its latest request.
    pub ip: IpAddr,
    /// The browser of its sign-in.
    pub user_agent: Option<String>,
    /// Its end under the policy of today; `None` = never.
    pub today: Option<Ends>,
    /// Its end under the draft.
    pub draft: Ends,
    /// It ends as soon as the draft is saved (or, see [`Ends::at`], asked for next).
    pub now: bool,
}

impl Affected {
    /// Soonest first, then in the order of signing in.
    fn place(&self, now: Timestamp) -> (Timestamp, SessionId) {
        (self.draft.at.unwrap_or(now), self.id)
    }
}

/// How many end by one rule of the draft in one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// As soon as it is saved.
    pub now: u64,
    /// Sooner than today, but not at once.
    pub sooner: u64,
}

/// How soon those end that end sooner, but not at once; nobody is counted twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Within {
    /// Within a minute.
    pub minute: u64,
    /// Within an hour.
    pub hour: u64,
    /// Within a day.
    pub day: u64,
    /// Later than that.
    pub beyond: u64,
}

impl Within {
    /// All of them.
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

/// The effect of a draft on the sessions that were fed to it.
#[derive(Debug, Clone)]
pub struct Preview {
    now: Timestamp,
    viewer: Viewer,
    listing: Listing,
    /// Folded once: the text of the listing as a name, and as a network.
    wanted: Option<(String, Option<ipnetwork::IpNetwork>)>,
    most: usize,
    kept: BTreeMap<(Timestamp, SessionId), Affected>,
    /// Sessions live at this moment, under the policy of today.
    pub live: u64,
    /// End as soon as the draft is saved.
    pub ends_now: u64,
    /// Those of [`Preview::ends_now`] that end by their next request, not by themselves.
    pub at_next_request: u64,
    /// End sooner than today, but not at once.
    pub sooner: Within,
    /// End later than today.
    pub later: u64,
    /// Are freed of the end that they have today.
    pub freed: u64,
    /// Must change their password before anything else, and need not today.
    pub duties: u64,
    /// By which rule of the draft, of which scope.
    pub by_rule: BTreeMap<(EndReason, Scope), RuleCount>,
    /// Affected sessions that match the listing, whether or not they are kept.
    pub matching: u64,
    /// What becomes of the session that asks, if it is affected.
    pub own: Option<Affected>,
    /// How many other sessions of the same account end as soon as the draft is saved.
    pub own_others_now: u64,
}

/// What one policy says of a session.
enum Fate {
    /// Nobody would be let in with it, whatever the policy: ended, or its account is.
    Gone,
    /// Its time is over.
    Over(Ends),
    /// Its next request from where it was last seen is refused, and ends it.
    Refused(Ends),
    /// It goes on: to this end, or without one.
    GoesOn { end: Option<Ends>, duty: bool },
}

impl Preview {
    /// Of nobody yet.
    pub fn new(now: Timestamp, viewer: Viewer, listing: Listing) -> Self {
        let text = listing.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        Self {
            now,
            viewer,
            wanted: text.map(|text| (name_key(text), network::parse_filter(text))),
            listing,
            most: KEPT,
            kept: BTreeMap::new(),
            live: 0,
            ends_now: 0,
            at_next_request: 0,
            sooner: Within::default(),
            later: 0,
            freed: 0,
            duties: 0,
            by_rule: BTreeMap::new(),
            matching: 0,
            own: None,
            own_others_now: 0,
        }
    }

    /// The same, keeping up to `most` affected sessions.
    pub fn keeping(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The moment that it is about.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Feeds one session, with what holds for it today and under the draft.
    pub fn add(&mut self, session: &Standing, today: &EffectivePolicy, draft: &EffectivePolicy) {
        let (end_today, refused_today, duty_today) = match self.fate(session, today) {
            Fate::Gone | Fate::Over(_) => return,
            Fate::Refused(end) => (Some(end), true, false),
            Fate::GoesOn { end, duty } => (end, false, duty),
        };
        self.live += 1;
        match self.fate(session, draft) {
            Fate::Gone => {}
            Fate::Over(end) => self.ends(session, end_today, end, true),
            Fate::Refused(end) if refused_today => drop(end),
            Fate::Refused(end) => {
                self.at_next_request += 1;
                self.ends(session, end_today, end, true);
            }
            Fate::GoesOn { end, duty } => {
                self.duties += u64::from(duty && !duty_today);
                self.goes_on(session, end_today, end);
            }
        }
    }

    fn goes_on(&mut self, session: &Standing, today: Option<Ends>, draft: Option<Ends>) {
        match (today.as_ref().map(|end| end.at), draft) {
            (None, None) => {}
            // Refused today and let in by the draft, to whatever end, counts as freed as well.
            (Some(None), _) | (Some(_), None) => self.freed += 1,
            (Some(Some(at)), Some(draft)) if draft.at == Some(at) => {}
            (Some(at), Some(draft)) if draft.at > at => self.later += 1,
            (Some(_) | None, Some(draft)) => self.ends(session, today, draft, false),
        }
    }

    /// Counts a session that ends at once or sooner than today.
    fn ends(&mut self, session: &Standing, today: Option<Ends>, draft: Ends, now: bool) {
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
        let affected = Affected {
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

    fn matches(&self, session: &Standing, reason: EndReason) -> bool {
        let by_rule = self.listing.rule.is_none_or(|rule| rule == reason);
        by_rule
            && self.wanted.as_ref().is_none_or(|(name, network)| {
                network.is_some_and(|network| network.contains(network::canonical(session.ip)))
                    || name_key(session.name).contains(name)
            })
    }

    /// The affected sessions that match the listing, soonest first, as many as are kept.
    pub fn affected(&self) -> impl ExactSizeIterator<Item = &Affected> {
        self.kept.values()
    }

    /// The same, handed over.
    pub fn into_affected(self) -> impl ExactSizeIterator<Item = Affected> {
        self.kept.into_values()
    }

    /// Affected sessions, whatever the listing: at once and sooner.
    pub fn affected_total(&self) -> u64 {
        self.ends_now + self.sooner.total()
    }

    /// The rules of the draft by which sessions end, for the listing's choices.
    pub fn rules(&self) -> Vec<EndReason> {
        let mut seen = HashSet::new();
        let reasons = self.by_rule.keys().map(|(reason, _)| *reason);
        reasons.filter(|reason| seen.insert(*reason)).collect()
    }

    fn fate(&self, session: &Standing, policy: &EffectivePolicy) -> Fate {
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
            life: session.life,
            binding: session.binding,
            token: TokenFacts::Current,
        };
        let request = RequestFacts {
            ip: session.ip,
            user_agent: session.binding.user_agent.as_deref(),
            kind: RequestKind {
                check: true,
                ..RequestKind::default()
            },
        };
        let by_lifetime = ends_at(&session.life, policy).map(|end| Ends {
            at: Some(end.at),
            reason: end.reason,
            scope: policy.lifetimes[end.rule].scope.clone(),
        });
        match judge(&facts, &request, policy, self.now) {
            Verdict::Live(_) => Fate::GoesOn {
                end: by_lifetime,
                duty: false,
            },
            Verdict::Duty { .. } => Fate::GoesOn {
                end: by_lifetime,
                duty: true,
            },
            Verdict::Ended { .. } if session.ended.is_some() || session.state != AccountState::Enabled => Fate::Gone,
            Verdict::Ended { reason } => match by_lifetime.filter(|end| end.reason == reason) {
                Some(end) => Fate::Over(end),
                // Validation is everyone's alone.
                None => Fate::Refused(Ends {
                    at: None,
                    reason,
                    scope: Scope::Everyone,
                }),
            },
        }
    }
}
