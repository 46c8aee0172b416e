//! The impact that a draft would have had on the sessions and sign-ins of the last days, from
//! records. `replay/stay` simulates sessions and `replay/attempts` sign-ins, both with the rules
//! themselves; `replay/messages` writes the messages.
//!
//! Only recorded instants are known. An end is **certain** if nothing unrecorded could have
//! postponed it (it came at the given instant or before), and **possible** if it depends on
//! requests between two recorded ones.

use std::collections::{BTreeMap, HashMap};

use crate::{
    account::AccountId,
    policy::{Scope, effective::EffectivePolicy},
    session::{EndReason, SessionId, surplus},
    time::Timestamp,
};

mod attempts;
mod messages;
mod outcome;
mod stay;

pub use attempts::{AttemptReplay, CounterRelease, LockedSignIn, RecordedAttempt, RecordedCheck};
pub use outcome::{Certainty, MAX_LISTED, ReplayedEnd};
pub use stay::{MeasureComparison, RequestTrace, SessionRecord, SessionReplay};

/// A session that the draft would have ended before it ended, or before now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortenedSession {
    /// The recorded session.
    pub record: SessionRecord,
    /// The end under the draft.
    pub draft: ReplayedEnd,
}

/// The data of a replay: how much there was, and how far back it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayData {
    /// The requested start.
    pub since: Timestamp,
    /// The end: now.
    pub until: Timestamp,
    /// Events read.
    pub events: u64,
    /// Only the newest events were read: from this instant on.
    pub events_cut_at: Option<Timestamp>,
    /// Only the sessions that began last were read: from this instant on.
    pub sessions_cut_at: Option<Timestamp>,
    /// Sessions that ended earlier are no longer stored.
    pub sessions_kept_since: Option<Timestamp>,
}

/// How often one rule would have ended sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayRuleCount {
    /// Certain ends.
    pub certain: u64,
    /// Possible ends.
    pub possible: u64,
}

/// The past sessions under a draft; add sessions, then call [`Replay::finish`].
#[derive(Debug)]
pub struct Replay {
    until: Timestamp,
    stays: Vec<(SessionRecord, SessionReplay, u32)>,
}

/// The result of a replay.
#[derive(Debug, Clone)]
pub struct ReplayReport {
    /// The data it used.
    pub data: ReplayData,
    /// Sessions simulated.
    pub sessions: u64,
    /// Sessions that would certainly have ended earlier.
    pub certain: u64,
    /// Sessions that would possibly have ended earlier.
    pub possible: u64,
    /// Sessions that a rule ended and that would have continued under the draft.
    pub spared: u64,
    /// Ends per rule of the draft and scope.
    pub by_rule: BTreeMap<(EndReason, Scope), ReplayRuleCount>,
    /// The newest of these sessions.
    pub shortened: Vec<ShortenedSession>,
    /// The impact on sign-ins.
    pub guesses: AttemptReplay,
}

impl Replay {
    /// Creates an empty replay of the time up to `until`.
    pub fn new(until: Timestamp) -> Self {
        Self {
            until,
            stays: Vec::new(),
        }
    }

    /// Simulates one session. `traces`: its recorded requests, oldest first.
    pub fn session(
        &mut self,
        record: SessionRecord,
        traces: &[RequestTrace],
        draft: &EffectivePolicy,
        compared: MeasureComparison,
    ) {
        let would = stay::live_through(&record, traces, draft, compared, self.until);
        self.stays.push((record, would, draft.concurrent_limit));
    }

    /// Completes the counts. `guesses`: the sign-ins of the same time.
    pub fn finish(mut self, data: ReplayData, guesses: AttemptReplay) -> ReplayReport {
        self.limit_sessions();
        let mut report = ReplayReport {
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
            let Some(draft) = would.reported_end() else { continue };
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
            report.shortened.push(ShortenedSession { record, draft });
        }
        let newest = |one: &ShortenedSession| (one.draft.certainty, std::cmp::Reverse((one.draft.at, one.record.id)));
        report.shortened.sort_by_key(newest);
        report.shortened.truncate(MAX_LISTED);
        report
    }

    /// Applies `session.concurrent_user_session_limit` at each sign-in, choosing the sessions as a
    /// sign-in does.
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
                !ended && record.end_or(until) > at
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
        // The choice among several sessions depends on activity that may not be known at that
        // instant; that all of them end does not.
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
                would.note(ReplayedEnd {
                    at,
                    reason: EndReason::SessionLimit,
                    // The limit depends only on the account's role; the report does not distinguish
                    // the two scopes.
                    scope: Scope::Everyone,
                    certainty,
                });
            }
        }
    }
}
