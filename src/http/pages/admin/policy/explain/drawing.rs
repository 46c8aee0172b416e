//! The chart of a timeline in numbers: horizontal positions are percentages, so that text keeps its
//! size on any screen. The list of events beside it contains the same information.
use super::time_format::ShortTimeFormat;
use crate::{
    domain::{
        simulate::explain::Timeline,
        time::{Span, Timestamp},
    },
    http::pages::admin::session_line::end_reason_label,
};

/// The beginning and the end of the time scale, in percent of the width.
const LEFT: f64 = 3.0;
const RIGHT: f64 = 94.0;
/// The end of the scale before a gap.
const BEFORE_GAP: f64 = 76.0;
/// Numbers closer than this are placed below each other.
const APART: f64 = 7.0;
const LANES: usize = 5;
const LANE: f64 = 24.0;
/// The position of the bar.
const BAR: f64 = 48.0;
const WINDOW: f64 = 14.0;

/// The chart of a timeline: horizontal positions in percent, vertical ones in pixels.
pub struct Drawing {
    pub height: f64,
    pub stretches: Vec<Stretch>,
    /// The period in which a window is open.
    pub window: Option<(f64, f64, f64)>,
    pub pins: Vec<Pin>,
    pub ticks: Vec<Tick>,
    pub axis: f64,
    pub end: Option<EndMark>,
    /// The position where time is left out.
    pub gap: Option<f64>,
}

/// A period of activity or idleness on the bar.
pub struct Stretch {
    pub x: f64,
    pub width: f64,
    pub active: bool,
}

/// A numbered event.
pub struct Pin {
    pub x: f64,
    pub y: f64,
    /// The length from the bar down to the number.
    pub stem: f64,
    pub number: usize,
    pub bad: bool,
}

/// A mark of the time scale.
pub struct Tick {
    pub x: f64,
    pub label: String,
}

/// The line at which the session ends.
pub struct EndMark {
    pub x: f64,
    pub label: String,
    /// `start` or `end`: the side with room.
    pub anchor: &'static str,
}

/// Converts time to percent; after the gap there is only the end.
pub struct Scale {
    from: Timestamp,
    until: Timestamp,
    right: f64,
    end: Timestamp,
}

impl Scale {
    /// Returns one scale for all timelines of a page, so that their charts can be compared.
    pub fn for_timelines(timelines: &[&Timeline]) -> Self {
        let from = timelines
            .iter()
            .map(|timeline| timeline.begin)
            .min()
            .unwrap_or_default();
        let ends = timelines.iter().map(|timeline| {
            let last_segment = timeline.segments.last().map_or(from, |segment| segment.until);
            timeline.end.as_ref().map_or(last_segment, |end| end.at).max(from)
        });
        let end = ends.max().unwrap_or(from);
        let last_marks = timelines.iter().filter_map(|timeline| timeline.marks.last());
        let last_mark = last_marks.map(|mark| mark.at).max().unwrap_or(from);
        // All events come before this; a long wait for the end would compress them.
        let busy = timelines.iter().flat_map(|timeline| {
            let active = timeline.segments.iter().filter(|segment| segment.active);
            let marks = timeline.marks.iter().map(|mark| mark.at).filter(|at| *at <= end);
            active.map(|segment| segment.until).chain(marks)
        });
        let busy = busy.max().unwrap_or(from);
        let (whole, part) = (end.since(from).as_micros(), busy.since(from).as_micros());
        // With several ends there is no single gap before the end.
        if timelines.len() == 1 && part > 0 && whole / 4 > part {
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

    fn gap_position(&self) -> Option<f64> {
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
    /// Draws a timeline on a scale.
    pub fn new(timeline: &Timeline, clock: &ShortTimeFormat, scale: &Scale) -> Self {
        let window = timeline.window_until.map(|until| {
            let x = scale.x(timeline.begin);
            (x, rounded(scale.x(until.min(scale.end)) - x), BAR + 30.0)
        });
        let top = BAR + 42.0 + if window.is_some() { WINDOW } else { 0.0 };
        let (pins, lanes) = pins(timeline, scale, top);
        let axis = top + lanes as f64 * LANE;
        Self {
            stretches: timeline
                .segments
                .iter()
                .map(|segment| stretch(scale, segment.from, segment.until, segment.active))
                .collect(),
            window,
            pins,
            ticks: ticks(scale),
            axis,
            height: axis + 26.0,
            end: timeline.end.as_ref().map(|end| {
                let x = scale.x(end.at);
                EndMark {
                    x,
                    label: format!("Ends {} · {}", clock.read(end.at), end_reason_label(end.reason)),
                    anchor: if x > 50.0 { "end" } else { "start" },
                }
            }),
            gap: scale.gap_position(),
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

/// Returns the events as numbers in as few lanes as keep them apart, and the number of lanes.
fn pins(timeline: &Timeline, scale: &Scale, top: f64) -> (Vec<Pin>, usize) {
    let mut taken: Vec<f64> = Vec::new();
    let mut pins = Vec::new();
    // Events before a real session's present are only in the list.
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

/// Returns the events in the order of the list: marks, and the end before what follows it.
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

/// Returns round times, six at most.
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
    const MAX_TICKS: i64 = 6;
    let whole = scale.until.since(scale.from).as_secs().max(1);
    let step = STEPS
        .into_iter()
        .find(|step| whole / step < MAX_TICKS)
        .unwrap_or(730 * DAY);
    let start = scale.from.as_micros().div_euclid(1_000_000);
    let first = start.div_euclid(step) * step;
    let ticks = (0..=MAX_TICKS + 1)
        .map(|number| Timestamp::from_micros(0).saturating_add(Span::from_secs(first + number * step)));
    let inside = ticks.filter(|at| *at >= scale.from && *at <= scale.until);
    let label = |at: Timestamp| {
        let words = crate::http::filters::format_utc(at);
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
