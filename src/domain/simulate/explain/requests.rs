//! The requests of a scenario as a few even runs, so that ten years of them need no list.

use std::net::IpAddr;

use super::{Activity, Manner, Pattern};
use crate::domain::{
    activity::RequestKind,
    session::HEARTBEAT,
    time::{Span, Timestamp},
};

/// What the requests of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// The one page load that enters an application.
    Entering(&'a str),
    /// Activity of the pattern's manner.
    Activity,
    /// The page guard says that a window is open.
    Heartbeat,
}

/// What a run's requests bring about, as the judgement said of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) touch: bool,
    pub(super) seen: bool,
}

/// Requests at even distances.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    pub(super) what: What<'a>,
    pub(super) first: Timestamp,
    last: Timestamp,
    every: Span,
    /// Known once one was judged, until something changes.
    pub(super) effect: Option<Effect>,
}

impl<'a> Run<'a> {
    fn new(what: What<'a>, from: Timestamp, until: Timestamp, every: Span) -> Self {
        Self {
            what,
            first: from,
            last: until,
            every: every.max(Span::from_micros(1)),
            effect: None,
        }
    }

    /// The latest request not after `until`.
    pub(super) fn latest(&self, until: Timestamp) -> Option<Timestamp> {
        let until = until.min(self.last);
        let passed = until.since(self.first).as_micros();
        let whole = passed - passed.checked_rem(self.every.as_micros())?;
        (passed >= 0).then(|| self.first.saturating_add(Span::from_micros(whole)))
    }

    /// The first request after `cursor`.
    pub(super) fn next(&self, cursor: Timestamp) -> Option<Timestamp> {
        let next = match self.latest(cursor) {
            None => self.first,
            Some(latest) => latest.saturating_add(self.every),
        };
        (next > cursor && next <= self.last).then_some(next)
    }

    pub(super) fn kind<'k>(&self, pattern: &'k Pattern) -> RequestKind<'k> {
        let (navigation, interaction, background) = match self.what {
            What::Entering(_) => (true, false, false),
            What::Heartbeat => (false, false, false),
            What::Activity => match pattern.manner {
                Manner::Pages => (true, false, false),
                Manner::Requests => (false, false, false),
                Manner::Input => (false, true, false),
                Manner::Background => (false, false, true),
            },
        };
        RequestKind {
            path: if self.what == What::Activity {
                &pattern.path
            } else {
                "/"
            },
            navigation,
            background,
            interaction,
            heartbeat: self.what == What::Heartbeat,
            check: false,
        }
    }
}

/// All runs of a pattern from `begin` on; of requests at one instant the earlier run's comes first.
pub(super) fn runs(pattern: &Pattern, begin: Timestamp) -> Vec<Run<'_>> {
    let entering = pattern.entering.iter().map(|entering| {
        let at = entering.at.max(begin);
        Run::new(What::Entering(&entering.application), at, at, Span::ZERO)
    });
    let activity = pattern
        .activity
        .iter()
        .flat_map(|activity| cut(activity, &pattern.pauses));
    let activity = activity.filter_map(|(from, until, every)| {
        let from = from.max(begin);
        (from <= until).then(|| Run::new(What::Activity, from, until, every))
    });
    let beats = pattern.window_until.filter(|until| *until >= begin);
    let beats = beats.map(|until| Run::new(What::Heartbeat, begin, until, HEARTBEAT));
    entering.chain(activity).chain(beats).collect()
}

/// What the pauses leave of an activity; after each it begins anew.
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

/// An address and a browser as they are at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) ip: IpAddr,
    pub(super) user_agent: Option<&'a str>,
}
