//! What a draft would have done to the sessions and sign-ins of the last days, from what is recorded of them. Sessions are
//! lived through again in `replay/stay`, guesses in `replay/guesses`, both by the rules themselves; words in `replay/words`.
//!
//! Only recorded instants are known. Therefore an end is **certain** when nothing that is not recorded could have put it
//! off (then it came at the instant told or before), and **possible** when it hangs on requests between two recorded ones.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{
    account::AccountId,
    policy::{Scope, effective::EffectivePolicy},
    session::{EndReason, SessionId, surplus},
    time::Timestamp,
};

mod guesses;
mod stay;
mod words;

pub use guesses::{Attempt, Checked, Guesses, LockedOut, Release};
pub use stay::{Compared, Record, Trace, Would};

/// Most sessions and sign-ins that a replay keeps to show.
pub const KEPT: usize = 50;

/// How sure an outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// Whatever happened besides, it came at that instant or before.
    Certain,
    /// Only if there was nothing in between.
    Possible,
}

impl Certainty {
    /// `certain` or `possible`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Certainty::Certain => "certain",
            Certainty::Possible => "possible",
        }
    }
}

/// An end under the draft that is not the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The latest instant, when certain; the earliest, when possible.
    pub at: Timestamp,
    /// The rule.
    pub reason: EndReason,
    /// The scope that sets it.
    pub scope: Scope,
    /// How sure it is.
    pub certainty: Certainty,
}

/// A session that the draft would have ended before it ended, or before now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    /// As it is recorded.
    pub record: Record,
    /// Under the draft.
    pub draft: Ended,
}

/// From what data a replay worked: how much, and how far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    /// The asked beginning.
    pub since: Timestamp,
    /// The end: now.
    pub until: Timestamp,
    /// Events read.
    pub events: u64,
    /// Only the newest were read: from here on.
    pub events_cut_at: Option<Timestamp>,
    /// Only the sessions that began last were read: from here on.
    pub sessions_cut_at: Option<Timestamp>,
    /// Sessions that ended before are no longer kept.
    pub sessions_kept_since: Option<Timestamp>,
}

/// How often one rule would have ended sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// For certain.
    pub certain: u64,
    /// Possibly.
    pub possible: u64,
}

/// The sessions of the past under a draft; feed it, then [`Replay::finish`].
#[derive(Debug)]
pub struct Replay {
    until: Timestamp,
    stays: Vec<(Record, Would, u32)>,
}

/// What a replay found.
#[derive(Debug, Clone)]
pub struct Report {
    /// From what.
    pub data: Data,
    /// Sessions looked at.
    pub sessions: u64,
    /// Would have ended earlier, for certain.
    pub certain: u64,
    /// Would possibly have ended earlier.
    pub possible: u64,
    /// A rule ended them, and the draft would not have then.
    pub spared: u64,
    /// By which rule of the draft, of which scope.
    pub by_rule: BTreeMap<(EndReason, Scope), RuleCount>,
    /// The newest of them.
    pub shortened: Vec<Shortened>,
    /// What would have become of the sign-ins.
    pub guesses: Guesses,
}

impl Replay {
    /// Of the time up to now.
    pub fn new(until: Timestamp) -> Self {
        Self {
            until,
            stays: Vec::new(),
        }
    }

    /// Lives through one session again. `traces`: its recorded requests, oldest first.
    pub fn session(&mut self, record: Record, traces: &[Trace], draft: &EffectivePolicy, compared: Compared) {
        let would = stay::live_through(&record, traces, draft, compared, self.until);
        self.stays.push((record, would, draft.concurrent_limit));
    }

    /// Counts it all up. `guesses`: the sign-ins of the same time.
    pub fn finish(mut self, data: Data, guesses: Guesses) -> Report {
        self.limit_sessions();
        let mut report = Report {
            data,
            sessions: self.stays.len() as u64,
            certain: 0,
            possible: 0,
            spared: 0,
            by_rule: BTreeMap::new(),
            shortened: Vec::new(),
            guesses,
        };
        for (record, would, _) in self.stays {
            report.spared += u64::from(would.spared);
            let Some(draft) = would.told() else { continue };
            let rule = report.by_rule.entry((draft.reason, draft.scope.clone())).or_default();
            match draft.certainty {
                Certainty::Certain => {
                    report.certain += 1;
                    rule.certain += 1;
                }
                Certainty::Possible => {
                    report.possible += 1;
                    rule.possible += 1;
                }
            }
            report.shortened.push(Shortened { record, draft });
        }
        let newest = |one: &Shortened| (one.draft.certainty, std::cmp::Reverse((one.draft.at, one.record.id)));
        report.shortened.sort_by_key(newest);
        report.shortened.truncate(KEPT);
        report
    }

    /// `session.concurrent_user_session_limit` at each sign-in, by the choice that a sign-in makes.
    fn limit_sessions(&mut self) {
        let mut of_account: HashMap<AccountId, Vec<usize>> = HashMap::new();
        for (place, (record, _, limit)) in self.stays.iter().enumerate() {
            if *limit > 0 {
                of_account.entry(record.account).or_default().push(place);
            }
        }
        for mut places in of_account.into_values() {
            places.sort_by_key(|place| {
                let (record, _, _) = &self.stays[*place];
                (record.life.signed_in_at, record.id)
            });
            for (turn, newcomer) in places.iter().enumerate() {
                let (record, _, limit) = &self.stays[*newcomer];
                let (at, limit) = (record.life.signed_in_at, *limit);
                self.make_room(&places[..turn], at, limit);
            }
        }
    }

    fn make_room(&mut self, others: &[usize], at: Timestamp, limit: u32) {
        let until = self.until;
        let live: Vec<usize> = others
            .iter()
            .copied()
            .filter(|place| {
                let (record, would, _) = &self.stays[*place];
                let ended = would.certain.as_ref().is_some_and(|end| end.at < at);
                !ended && record.ended_or(until) > at
            })
            .collect();
        let by_activity: Vec<(SessionId, Timestamp)> = live
            .iter()
            .map(|place| {
                let (record, _, _) = &self.stays[*place];
                (record.id, record.life.last_active_at.min(at))
            })
            .collect();
        let surplus = surplus(&by_activity, limit);
        // Which of several goes hangs on activity that may not be known at that instant; that all go does not.
        let known = live.iter().all(|place| {
            let (record, would, _) = &self.stays[*place];
            record.life.last_active_at <= at && would.possible.is_none()
        });
        let certainty = if surplus.len() == live.len() || known {
            Certainty::Certain
        } else {
            Certainty::Possible
        };
        for place in live {
            let (record, would, _) = &mut self.stays[place];
            if surplus.contains(&record.id) {
                would.note(Ended {
                    at,
                    reason: EndReason::SessionLimit,
                    // Decided by the account's role alone; which of the two scopes sets it is not told here.
                    scope: Scope::Everyone,
                    certainty,
                });
            }
        }
    }
}
