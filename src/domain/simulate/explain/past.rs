//! The timeline of an ended session, under the policy that was in force then.

use super::{
    scenario::{ActivityPattern, Scenario, ScenarioClient},
    timeline::{Mark, MarkKind, Segment, Timeline, TimelineEnd},
    walk::ScenarioWalk,
};
use crate::{
    account::Role,
    policy::{Scope, effective::Policy},
    session::{Binding, EndCause, EndReason, LifeFacts},
    time::Timestamp,
};

/// A session that has ended, as it is stored.
#[derive(Debug, Clone)]
pub struct PastSession {
    /// Its account's role.
    pub role: Role,
    /// Its times when it ended.
    pub life: LifeFacts,
    /// What it was bound to when it ended.
    pub binding: Binding,
    /// The applications that it entered.
    pub entered: Vec<String>,
    /// Where it was last used from.
    pub client: ScenarioClient,
    /// The instant at which it ended.
    pub ended_at: Timestamp,
    /// Why it ended.
    pub reason: EndReason,
    /// The rule behind the end, as stored.
    pub cause: EndCause,
    /// The sentence that explains the end.
    pub sentence: String,
}

/// Draws an ended session under the policy of that time. Its requests are not stored, so it counts
/// as active from the sign-in to its last activity.
pub fn explain_past(policy: &Policy, past: &PastSession) -> Timeline {
    let last_active_at = past.cause.last_active_at.max(past.life.signed_in_at).min(past.ended_at);
    let life = LifeFacts {
        last_active_at,
        ..past.life
    };
    let scenario = Scenario {
        role: past.role,
        expires_at: None,
        begin: last_active_at,
        life,
        binding: past.binding.clone(),
        is_device_bound: false,
        entered: past.entered.clone(),
        pattern: ActivityPattern::quiet(past.client.clone()),
    };
    let walked = ScenarioWalk::new(policy, &scenario).timeline();
    let end = timeline_end(past);
    let by_rule = walked.end.filter(|rule| rule.reason != end.reason);
    let mut others: Vec<TimelineEnd> = by_rule.into_iter().chain(walked.others).collect();
    others.sort_by_key(|other| other.at);
    Timeline {
        begin: life.signed_in_at,
        segments: segments(&life, past.ended_at),
        marks: marks(walked.marks, &life, past),
        end: Some(end),
        others,
        followed_until: None,
        ..walked
    }
}

/// Returns the end as it was recorded.
fn timeline_end(past: &PastSession) -> TimelineEnd {
    TimelineEnd {
        at: past.ended_at,
        reason: past.reason,
        key: past.cause.setting,
        scope: past.cause.scope.clone().unwrap_or(Scope::Everyone),
        sentence: past.sentence.clone(),
    }
}

/// Returns the segments: active up to the last activity, idle after it.
fn segments(life: &LifeFacts, ended_at: Timestamp) -> Vec<Segment> {
    let whole = [
        (life.signed_in_at, life.last_active_at, true),
        (life.last_active_at, ended_at, false),
    ];
    let real = whole.into_iter().filter(|(from, until, _)| from < until);
    real.map(|(from, until, active)| Segment { from, until, active })
        .collect()
}

/// Returns what is known to have happened, in order.
fn marks(walked: Vec<Mark>, life: &LifeFacts, past: &PastSession) -> Vec<Mark> {
    let mut marks: Vec<Mark> = walked
        .into_iter()
        .filter(|mark| mark.kind != MarkKind::Now && mark.at <= past.ended_at)
        .collect();
    marks.push(Mark {
        at: life.last_active_at,
        kind: MarkKind::LastActive,
        sentence: "Last activity.".to_owned(),
    });
    marks.extend(past.binding.first_change_at.map(|at| Mark {
        at,
        kind: MarkKind::NetworkAccepted,
        sentence: "First change of network accepted.".to_owned(),
    }));
    marks.sort_by_key(|mark| (mark.at, mark.kind));
    marks
}
