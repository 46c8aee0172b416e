//! The requests of a scenario as a few regular runs, so that ten years of requests need not be
//! listed one by one.

use std::net::IpAddr;

use super::scenario::{Activity, ActivityKind, ActivityPattern};
use crate::{
    activity::RequestKind,
    session::HEARTBEAT,
    time::{Span, Timestamp},
};

/// The kind of the requests of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunKind<'a> {
    /// The one page load that enters an application.
    Entering(&'a str),
    /// Activity of the pattern's kind.
    Activity,
    /// The page guard's report of an open window.
    Heartbeat,
}

/// The effect of a run's requests, as judged for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestEffect {
    pub(super) touch: bool,
    pub(super) seen: bool,
}

/// Requests at regular intervals.
#[derive(Debug, Clone)]
pub(super) struct RequestRun<'a> {
    pub(super) what: RunKind<'a>,
    pub(super) first: Timestamp,
    last: Timestamp,
    every: Span,
    /// Known once one request has been judged, until something changes.
    pub(super) effect: Option<RequestEffect>,
}

impl<'a> RequestRun<'a> {
    fn new(what: RunKind<'a>, from: Timestamp, until: Timestamp, every: Span) -> Self {
        Self {
            what,
            first: from,
            last: until,
            every: every.max(Span::from_micros(1)),
            effect: None,
        }
    }

    /// Returns the latest request not after `until`.
    pub(super) fn latest(&self, until: Timestamp) -> Option<Timestamp> {
        let until = until.min(self.last);
        let passed = until.since(self.first).as_micros();
        let whole = passed - passed.checked_rem(self.every.as_micros())?;
        (passed >= 0).then(|| self.first.saturating_add(Span::from_micros(whole)))
    }

    /// Returns the first request after `cursor`.
    pub(super) fn next(&self, cursor: Timestamp) -> Option<Timestamp> {
        let next = match self.latest(cursor) {
            None => self.first,
            Some(latest) => latest.saturating_add(self.every),
        };
        (next > cursor && next <= self.last).then_some(next)
    }

    pub(super) fn kind<'k>(&self, pattern: &'k ActivityPattern) -> RequestKind<'k> {
        let (navigation, interaction, background) = match self.what {
            RunKind::Entering(_) => (true, false, false),
            RunKind::Heartbeat => (false, false, false),
            RunKind::Activity => match pattern.manner {
                ActivityKind::Pages => (true, false, false),
                ActivityKind::Requests => (false, false, false),
                ActivityKind::Input => (false, true, false),
                ActivityKind::Background => (false, false, true),
            },
        };
        RequestKind {
            path: if self.what == RunKind::Activity {
                &pattern.path
            } else {
                "/"
            },
            navigation,
            background,
            interaction,
            heartbeat: self.what == RunKind::Heartbeat,
            check: false,
        }
    }
}

/// Returns all runs of a pattern from `begin` on; of requests at the same instant the earlier run's
/// comes first.
pub(super) fn runs(pattern: &ActivityPattern, begin: Timestamp) -> Vec<RequestRun<'_>> {
    let entering = pattern.entering.iter().map(|entering| {
        let at = entering.at.max(begin);
        RequestRun::new(RunKind::Entering(&entering.application), at, at, Span::ZERO)
    });
    let activity = pattern
        .activity
        .iter()
        .flat_map(|activity| cut(activity, &pattern.pauses));
    let activity = activity.filter_map(|(from, until, every)| {
        let from = from.max(begin);
        (from <= until).then(|| RequestRun::new(RunKind::Activity, from, until, every))
    });
    let beats = pattern.window_until.filter(|until| *until >= begin);
    let beats = beats.map(|until| RequestRun::new(RunKind::Heartbeat, begin, until, HEARTBEAT));
    entering.chain(activity).chain(beats).collect()
}

/// Splits an activity at its pauses; after each pause it starts again.
fn cut(activity: &Activity, pauses: &[(Timestamp, Timestamp)]) -> Vec<(Timestamp, Timestamp, Span)> {
    let mut pauses: Vec<_> = pauses.iter().filter(|(from, until)| from < until).collect();
    pauses.sort();
    let (mut left, mut from) = (Vec::new(), activity.from);
    for (pause, resume) in pauses {
        if *resume <= from || *pause >= activity.until {
            continue;
        }
        if *pause >= from {
            left.push((from, *pause, activity.every));
        }
        from = *resume;
    }
    if from <= activity.until {
        left.push((from, activity.until, activity.every));
    }
    left
}

/// An address and a browser at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientState<'a> {
    pub(super) ip: IpAddr,
    pub(super) user_agent: Option<&'a str>,
}
