//! The format of times on the page.
use crate::{
    domain::{simulate::explain::Timeline, time::Timestamp},
    http::filters,
};

/// The format of a timeline's times: as short as the timeline allows.
pub struct ShortTimeFormat {
    day: Option<String>,
}

impl ShortTimeFormat {
    /// Returns the format for the times of a timeline: without the day if it has one day only.
    pub fn for_timeline(timeline: &Timeline) -> Self {
        let day = |at: Timestamp| at.to_rfc3339().get(..10).map(str::to_owned);
        let last = timeline.end.as_ref().map_or(timeline.begin, |end| end.at);
        Self {
            day: day(timeline.signed_in_at).filter(|first| day(last).as_ref() == Some(first)),
        }
    }

    /// Formats `08:30`, `08:30:20`, or `2026-11-22 08:30` if the timeline is longer than its day.
    pub fn read(&self, at: Timestamp) -> String {
        let words = filters::format_utc(at);
        let (date, time) = (
            words.get(..10).unwrap_or_default(),
            words.get(11..19).unwrap_or_default(),
        );
        let time = time.strip_suffix(":00").unwrap_or(time);
        if self.day.as_deref() == Some(date) {
            time.to_owned()
        } else {
            format!("{date} {time}")
        }
    }
}
