//! The picture of a timeline in numbers: everything across in percent, so that text keeps its size on any screen.
//! It says nothing that the list of events beside it does not say.
use super::view::Clock;
use crate::domain::simulate::explain::Timeline;
use crate::domain::time::{Span, Timestamp};
use crate::http::pages::admin::session_line::reason_words;

/// Where the time scale begins and ends, in percent of the width.
const LEFT: f64 = 3.0;
const RIGHT: f64 = 94.0;
/// Up to here with a gap before the end.
const BEFORE_GAP: f64 = 76.0;
/// Numbers nearer than this go below each other.
const APART: f64 = 7.0;
const LANES: usize = 5;
const LANE: f64 = 24.0;
/// The bar and what is above it.
const BAR: f64 = 48.0;
const WINDOW: f64 = 14.0;

pub struct Drawing {
    pub height: f64,
    pub stretches: Vec<Stretch>,
    /// While a window is open.
    pub window: Option<(f64, f64, f64)>,
    pub pins: Vec<Pin>,
    pub ticks: Vec<Tick>,
    pub axis: f64,
    pub end: Option<EndMark>,
    /// Where time is left out.
    pub gap: Option<f64>,
}

pub struct Stretch {
    pub x: f64,
    pub width: f64,
    pub active: bool,
}

/// A numbered event.
pub struct Pin {
    pub x: f64,
    pub y: f64,
    /// From the bar down to the number.
    pub stem: f64,
    pub number: usize,
    pub bad: bool,
}

pub struct Tick {
    pub x: f64,
    pub label: String,
}

pub struct EndMark {
    pub x: f64,
    pub label: String,
    /// `start` or `end`: towards where there is room.
    pub anchor: &'static str,
}

/// Time to percent; past the gap there is only the end.
struct Scale {
    from: Timestamp,
    until: Timestamp,
    right: f64,
    end: Timestamp,
}

impl Scale {
    fn of(timeline: &Timeline) -> Self {
        let from = timeline.begin;
        let last_segment = timeline.segments.last().map_or(from, |segment| segment.until);
        let end = timeline.end.as_ref().map_or(last_segment, |end| end.at).max(from);
        let last_mark = timeline.marks.last().map_or(from, |mark| mark.at);
        // What happens lies before this; a long wait for the end would squeeze it.
        let active = timeline
            .segments
            .iter()
            .filter(|segment| segment.active)
            .map(|segment| segment.until);
        let marks = timeline.marks.iter().map(|mark| mark.at).filter(|at| *at <= end);
        let busy = active.chain(marks).max().unwrap_or(from);
        let (whole, part) = (end.since(from).as_micros(), busy.since(from).as_micros());
        if part > 0 && whole / 4 > part {
            Self {
                from,
                until: busy,
                right: BEFORE_GAP,
                end,
            }
        } else {
            Self {
                from,
                until: end.max(last_mark),
                right: RIGHT,
                end,
            }
        }
    }

    fn gap(&self) -> Option<f64> {
        (self.right < RIGHT).then_some((BEFORE_GAP + RIGHT) / 2.0)
    }

    fn x(&self, at: Timestamp) -> f64 {
        if at > self.until {
            return RIGHT;
        }
        let whole = self.until.since(self.from).as_micros().max(1) as f64;
        let passed = at.since(self.from).as_micros().max(0) as f64;
        rounded(LEFT + (self.right - LEFT) * passed / whole)
    }
}

/// A hundredth of a percent is finer than a pixel.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl Drawing {
    pub fn new(timeline: &Timeline, clock: &Clock) -> Self {
        let scale = Scale::of(timeline);
        let window = timeline.window_until.map(|until| {
            let x = scale.x(timeline.begin);
            (x, rounded(scale.x(until.min(scale.end)) - x), BAR + 30.0)
        });
        let top = BAR + 42.0 + if window.is_some() { WINDOW } else { 0.0 };
        let (pins, lanes) = pins(timeline, &scale, top);
        let axis = top + lanes as f64 * LANE;
        Self {
            stretches: timeline
                .segments
                .iter()
                .map(|segment| stretch(&scale, segment.from, segment.until, segment.active))
                .collect(),
            window,
            pins,
            ticks: ticks(&scale),
            axis,
            height: axis + 26.0,
            end: timeline.end.as_ref().map(|end| {
                let x = scale.x(end.at);
                EndMark {
                    x,
                    label: format!("Ends {} · {}", clock.read(end.at), reason_words(end.reason)),
                    anchor: if x > 50.0 { "end" } else { "start" },
                }
            }),
            gap: scale.gap(),
        }
    }
}

fn stretch(scale: &Scale, from: Timestamp, until: Timestamp, active: bool) -> Stretch {
    let x = scale.x(from);
    Stretch {
        x,
        width: rounded((scale.x(until) - x).max(0.3)),
        active,
    }
}

/// The events as numbers in as few lanes as keep them apart, and how many lanes that takes.
fn pins(timeline: &Timeline, scale: &Scale, top: f64) -> (Vec<Pin>, usize) {
    let mut taken: Vec<f64> = Vec::new();
    let mut pins = Vec::new();
    // What was before a real session's present is in the list only.
    let shown = numbered(timeline)
        .into_iter()
        .enumerate()
        .filter(|(_, (at, _))| *at >= timeline.begin);
    for (index, (at, bad)) in shown {
        let x = scale.x(at);
        let free = taken.iter().position(|last| x - last >= APART);
        let lane = free.unwrap_or(taken.len()).min(LANES - 1);
        match taken.get_mut(lane) {
            Some(last) => *last = x,
            None => taken.push(x),
        }
        pins.push(Pin {
            x,
            y: top + lane as f64 * LANE,
            stem: top + lane as f64 * LANE - 10.0,
            number: index + 1,
            bad,
        });
    }
    (pins, taken.len().max(1))
}

/// The events in the order of the list: marks, and the end before what comes after it.
fn numbered(timeline: &Timeline) -> Vec<(Timestamp, bool)> {
    let end = timeline.end.as_ref().map(|end| end.at);
    let late = |at: Timestamp| end.is_some_and(|end| at > end);
    let before = timeline
        .marks
        .iter()
        .filter(|mark| !late(mark.at))
        .map(|mark| (mark.at, false));
    let after = timeline
        .marks
        .iter()
        .filter(|mark| late(mark.at))
        .map(|mark| (mark.at, true));
    before.chain(end.map(|end| (end, true))).chain(after).collect()
}

/// Round times, six at most.
fn ticks(scale: &Scale) -> Vec<Tick> {
    const MINUTE: i64 = 60;
    const DAY: i64 = 86_400;
    const STEPS: [i64; 19] = [
        1,
        5,
        15,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        3_600,
        7_200,
        10_800,
        21_600,
        43_200,
        DAY,
        2 * DAY,
        7 * DAY,
        60 * DAY,
        730 * DAY,
    ];
    const MOST: i64 = 6;
    let whole = scale.until.since(scale.from).as_secs().max(1);
    let step = STEPS.into_iter().find(|step| whole / step < MOST).unwrap_or(730 * DAY);
    let start = scale.from.as_micros().div_euclid(1_000_000);
    let first = start.div_euclid(step) * step;
    let ticks =
        (0..=MOST + 1).map(|number| Timestamp::from_micros(0).saturating_add(Span::from_secs(first + number * step)));
    let inside = ticks.filter(|at| *at >= scale.from && *at <= scale.until);
    let label = |at: Timestamp| {
        let words = crate::http::filters::utc_words(at);
        let part = match step {
            DAY.. => words.get(..10),
            MINUTE.. => words.get(11..16),
            _ => words.get(11..19),
        };
        part.unwrap_or_default().to_owned()
    };
    inside
        .map(|at| Tick {
            x: scale.x(at),
            label: label(at),
        })
        .collect()
}
