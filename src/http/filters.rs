//! Template filters for instants, counts and faults. They return text; the markup is in
//! `templates/parts`.
use super::filters;
use crate::domain::{text, time::Timestamp};
use askama::{Result, Template, Values, filters::Safe};

/// `<time>` with a relative time, and the exact UTC instant in `datetime` and `title`.
#[derive(Template)]
#[template(path = "parts/time.html")]
pub struct TimeTag {
    at: Timestamp,
    now: Timestamp,
}

/// `<time>` with a relative time, and the UTC clock time beside it.
#[derive(Template)]
#[template(path = "parts/moment.html")]
pub struct MomentTag {
    at: Timestamp,
    now: Timestamp,
}

/// An icon. It is always shown together with text.
#[derive(Template)]
#[template(path = "parts/icon.html")]
pub struct Icon<'a> {
    name: &'a str,
    size: u8,
}

/// A sentence that contains a name from elsewhere, which is isolated so that its text direction
/// does not affect the sentence.
#[derive(Template)]
#[template(path = "parts/isolated.html")]
pub struct IsolatedName<'a> {
    before: &'a str,
    name: &'a str,
    after: &'a str,
}

/// `{{ question.title|isolate(name) }}`: wraps the first occurrence of the name in `<bdi>`.
#[askama::filter_fn]
pub fn isolate<'a>(sentence: &'a str, _: &dyn Values, name: &'a str) -> Result<Safe<IsolatedName<'a>>> {
    let found = sentence.split_once(name).filter(|_| !name.is_empty());
    let (before, name, after) = found.map_or((sentence, "", ""), |(before, after)| (before, name, after));
    Ok(Safe(IsolatedName { before, name, after }))
}

/// `{{ name|visible }}`: a text from elsewhere, in which invisible characters are shown as
/// `\u{202e}`.
#[askama::filter_fn]
pub fn visible<T: std::fmt::Display>(text: T, _: &dyn Values) -> Result<String> {
    Ok(text::escape_invisible(&text.to_string()))
}

/// `{{ "lock"|icon }}`
#[askama::filter_fn]
pub fn icon<'a>(name: &'a str, _: &dyn Values) -> Result<Safe<Icon<'a>>> {
    Ok(Safe(Icon { name, size: 14 }))
}

/// `{{ "brand"|icon_large }}`
#[askama::filter_fn]
pub fn icon_large<'a>(name: &'a str, _: &dyn Values) -> Result<Safe<Icon<'a>>> {
    Ok(Safe(Icon { name, size: 20 }))
}

/// `{{ at|time(shell.now) }}`
#[askama::filter_fn]
pub fn time(at: &Timestamp, _: &dyn Values, now: &Timestamp) -> Result<Safe<TimeTag>> {
    Ok(Safe(TimeTag { at: *at, now: *now }))
}

/// `{{ at|moment(shell.now) }}` → `3 min ago 17:20`
#[askama::filter_fn]
pub fn moment(at: &Timestamp, _: &dyn Values, now: &Timestamp) -> Result<Safe<MomentTag>> {
    Ok(Safe(MomentTag { at: *at, now: *now }))
}

/// `17:20`, or `28 Nov 17:20` on another day.
#[askama::filter_fn]
pub fn clock(at: &Timestamp, _: &dyn Values, now: &Timestamp) -> Result<String> {
    Ok(clock_time(*at, *now))
}

/// `2026-11-21 17:20:00 UTC`: to the second, for comparison with logs.
#[askama::filter_fn]
pub fn utc(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(format_utc(*at))
}

/// `2026-11-21 17:20:00`: for columns whose heading names the zone.
#[askama::filter_fn]
pub fn stamp(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(format_utc(*at).trim_end_matches(" UTC").to_owned())
}

/// RFC 3339, for `datetime` attributes and exports.
#[askama::filter_fn]
pub fn iso(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(at.to_rfc3339())
}

/// `3 min ago`, `in 10 min`.
#[askama::filter_fn]
pub fn relative(at: &Timestamp, _: &dyn Values, now: &Timestamp) -> Result<String> {
    Ok(format_relative(*at, *now))
}

/// `{{ 3|count("session") }}` → `3 sessions`. For nouns with a regular plural.
#[askama::filter_fn]
pub fn count(n: &i64, _: &dyn Values, noun: &str) -> Result<String> {
    Ok(format_count(*n, noun))
}

/// `12804` → `12 804` (no-break thin groups read the same in every locale).
#[askama::filter_fn]
pub fn grouped(n: &i64, _: &dyn Values) -> Result<String> {
    Ok(grouped_digits(*n))
}

/// Joins the items of a list. The filter `join` of askama must not be used: the template compiler
/// renders an expression that occurs twice only once, and its result is empty the second time.
#[askama::filter_fn]
pub fn joined<T: AsRef<str>>(items: &[T], _: &dyn Values, separator: &str) -> Result<String> {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    Ok(items.join(separator))
}

/// Returns the ID of a setting's row in the policy editor, which has no dots.
#[askama::filter_fn]
pub fn anchor(key: &str, _: &dyn Values) -> Result<String> {
    Ok(setting_anchor(key))
}

/// Returns the first `n` items of a list.
#[askama::filter_fn]
pub fn take<'a, T>(items: &'a [T], _: &dyn Values, n: usize) -> Result<&'a [T]> {
    Ok(items.get(..n).unwrap_or(items))
}

/// Returns the hashed URL of a file in `static/`.
#[askama::filter_fn]
pub fn asset(name: &str, _: &dyn Values) -> Result<&'static str> {
    Ok(crate::http::assets::asset(name))
}

/// Returns the messages of a page's faults about `field`.
#[askama::filter_fn]
pub fn fault(faults: &[(String, String)], _: &dyn Values, field: &str) -> Result<Option<String>> {
    let messages: Vec<&str> = faults
        .iter()
        .filter(|(name, _)| name == field)
        .map(|(_, message)| message.as_str())
        .collect();
    Ok((!messages.is_empty()).then(|| messages.join(" ")))
}

/// Returns the ID of a setting's row: `session.ttl` → `session-ttl`.
pub fn setting_anchor(key: &str) -> String {
    key.replace('.', "-")
}

/// Formats an instant to the second: `2026-11-21 17:20:00 UTC`.
pub fn format_utc(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match text.get(..19) {
        Some(to_the_second) => format!("{} UTC", to_the_second.replace('T', " ")),
        None => text,
    }
}

/// Returns the UTC clock time beside a relative time, with the day unless it is the current day or
/// the relative time is a date.
pub fn clock_time(at: Timestamp, now: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (text, today) = (at.to_rfc3339(), now.to_rfc3339());
    let time = text.get(11..16).unwrap_or_default();
    let is_date = now.since(at).as_secs().unsigned_abs() >= 2_592_000;
    if is_date || text.get(..10) == today.get(..10) {
        return time.to_owned();
    }
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let day = text.get(8..10).unwrap_or_default().trim_start_matches('0');
    format!("{day} {} {time}", month.unwrap_or(&""))
}

/// Formats a relative time with the same steps as `static/time.js`, which updates it. Past times
/// are rounded down, future times to the nearest unit: a second after "30 minutes" was entered, it
/// still says so.
pub fn format_relative(at: Timestamp, now: Timestamp) -> String {
    let secs = now.since(at).as_secs();
    let past = secs >= 0;
    let secs = secs.unsigned_abs();
    let whole = |unit: u64| if past { secs / unit } else { (secs + unit / 2) / unit };
    let distance = match (secs, whole(60), whole(3_600), whole(86_400)) {
        (0..10, ..) => return if past { "now".into() } else { "in a moment".into() },
        (10..60, ..) => format!("{secs} s"),
        (2_592_000.., ..) => return format_utc(at).get(..10).unwrap_or_default().to_owned(),
        (_, minutes @ 0..60, ..) => format!("{minutes} min"),
        (_, _, hours @ 0..24, _) => format!("{hours} h"),
        (_, _, _, 1) => "1 day".into(),
        (_, _, _, days) => format!("{days} days"),
    };
    if past {
        format!("{distance} ago")
    } else {
        format!("in {distance}")
    }
}

/// Formats a number with its noun: `1 session`, `12 804 sessions`.
pub fn format_count(n: i64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{}\u{a0}{noun}{plural}", grouped_digits(n))
}

/// Formats a number with narrow spaces between groups of three digits.
pub fn grouped_digits(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
