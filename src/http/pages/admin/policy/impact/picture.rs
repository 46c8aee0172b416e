//! The chart of a draft's impact: for each affected session its current and its new end on one time
//! axis. The axis is logarithmic, because ends are between seconds and weeks away. The list below
//! it contains the same information.
use crate::domain::{simulate::preview::AffectedSession, time::Timestamp};

/// Maximum number of sessions in the chart.
const MAX_COLUMNS: usize = 12;
/// The beginning and the end of the axis, in percent of the width; sessions that never end are
/// right of it.
const LEFT: f64 = 4.0;
const RIGHT: f64 = 82.0;
const NEVER: f64 = 95.0;
/// Height of a row, in pixels: a session's name with its line below.
const ROW: f64 = 30.0;
/// The longest time that the axis shows, in seconds.
const MAX_SECONDS: f64 = 30.0 * 86_400.0;

/// A label that a phone leaves out, because the ones around it need the space.
const MINOR: &str = "1 week";

const TICKS: [(i64, &str); 6] = [
    (0, "now"),
    (60, "1 min"),
    (3_600, "1 h"),
    (86_400, "1 day"),
    (604_800, MINOR),
    (2_592_000, "30 days"),
];

/// The chart in numbers: horizontal positions in percent, vertical ones in pixels.
pub struct ImpactPicture {
    pub height: f64,
    pub axis: f64,
    pub ticks: Vec<AxisTick>,
    pub bars: Vec<ImpactBar>,
}

/// A mark of the time axis.
pub struct AxisTick {
    pub x: f64,
    pub label: &'static str,
    /// Whether a phone leaves the label out.
    pub is_minor: bool,
}

/// One session: from its new end to its current one.
pub struct ImpactBar {
    pub y: f64,
    pub label: String,
    /// Position of the new end.
    pub draft: f64,
    /// Position of the current end.
    pub today: f64,
    /// The description for screen readers.
    pub description: String,
}

impl ImpactPicture {
    /// Draws the first affected sessions, at most 12.
    pub fn new(affected: &[&AffectedSession], now: Timestamp) -> Self {
        let bars: Vec<ImpactBar> = (0..)
            .zip(affected.iter().take(MAX_COLUMNS))
            .map(|(row, session)| bar(row, session, now))
            .collect();
        let axis = bars.len() as f64 * ROW + 4.0;
        let ticks = TICKS.into_iter().map(|(secs, label)| AxisTick {
            x: place(secs),
            label,
            is_minor: label == MINOR,
        });
        Self {
            height: axis + 22.0,
            axis,
            ticks: ticks
                .chain(std::iter::once(AxisTick {
                    x: NEVER,
                    label: "never",
                    is_minor: false,
                }))
                .collect(),
            bars,
        }
    }
}

fn bar(row: i32, session: &AffectedSession, now: Timestamp) -> ImpactBar {
    let left = |at: Timestamp| at.since(now).as_secs().max(0);
    let draft = if session.now {
        0
    } else {
        session.draft.at.map_or(0, left)
    };
    // A session that ends on its next request counts as ending now.
    let today = session.today.as_ref().map(|end| end.at.map_or(0, left));
    let in_words = |secs: i64| match secs {
        0 => "now".to_owned(),
        secs => format!("in {}", crate::domain::duration::humanize(secs)),
    };
    ImpactBar {
        y: f64::from(row) * ROW + 22.0,
        label: session.name.chars().take(40).collect(),
        draft: place(draft),
        today: today.map_or(NEVER, place),
        description: format!(
            "{}: ends {} instead of {}.",
            session.name,
            in_words(draft),
            today.map_or_else(|| "never".to_owned(), in_words)
        ),
    }
}

/// Returns the horizontal position of the instant `secs` seconds from now, in percent of the width.
fn place(secs: i64) -> f64 {
    let scaled = |secs: f64| (1.0 + secs / 10.0).ln();
    let share = scaled((secs as f64).min(MAX_SECONDS)) / scaled(MAX_SECONDS);
    ((LEFT + (RIGHT - LEFT) * share) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
