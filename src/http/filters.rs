//! How templates write instants, counts and faults. Words only: the markup is in `templates/parts`.
use super::filters;
use crate::domain::time::Timestamp;
use askama::filters::Safe;
use askama::{Result, Template, Values};

/// `<time>`: relative words, the exact UTC instant in `datetime` and `title`.
#[derive(Template)]
#[template(path = "parts/time.html")]
pub struct TimeTag {
    at: Timestamp,
    now: Timestamp,
}

/// A drawn sign. It never stands alone: words go with it.
#[derive(Template)]
#[template(path = "parts/icon.html")]
pub struct Icon<'a> {
    name: &'a str,
    size: u8,
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

/// `2026-11-21 17:20:00 UTC`: to the second, for people who match it against logs.
#[askama::filter_fn]
pub fn utc(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(utc_words(*at))
}

/// RFC 3339, as `datetime` attributes and exports write it.
#[askama::filter_fn]
pub fn iso(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(at.to_rfc3339())
}

/// `3 min ago`, `in 10 min`.
#[askama::filter_fn]
pub fn relative(at: &Timestamp, _: &dyn Values, now: &Timestamp) -> Result<String> {
    Ok(relative_words(*at, *now))
}

/// `{{ 3|count("session") }}` → `3 sessions`. For words whose plural is a plain `s`.
#[askama::filter_fn]
pub fn count(n: &i64, _: &dyn Values, noun: &str) -> Result<String> {
    Ok(counted(*n, noun))
}

/// `12804` → `12 804` (no-break thin groups read the same in every locale).
#[askama::filter_fn]
pub fn grouped(n: &i64, _: &dyn Values) -> Result<String> {
    Ok(grouped_digits(*n))
}

/// The first `n` of a list.
#[askama::filter_fn]
pub fn take<'a, T>(items: &'a [T], _: &dyn Values, n: usize) -> Result<&'a [T]> {
    Ok(items.get(..n).unwrap_or(items))
}

/// The hashed URL of a file in `static/`.
#[askama::filter_fn]
pub fn asset(name: &str, _: &dyn Values) -> Result<&'static str> {
    Ok(crate::http::assets::asset(name))
}

/// What a page's list of faults says of `field`, all of it.
#[askama::filter_fn]
pub fn fault(faults: &[(String, String)], _: &dyn Values, field: &str) -> Result<Option<String>> {
    let messages: Vec<&str> = faults
        .iter()
        .filter(|(name, _)| name == field)
        .map(|(_, message)| message.as_str())
        .collect();
    Ok((!messages.is_empty()).then(|| messages.join(" ")))
}

pub fn utc_words(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match text.get(..19) {
        Some(to_the_second) => format!("{} UTC", to_the_second.replace('T', " ")),
        None => text,
    }
}

/// The same steps as `static/time.js`, which keeps the words ticking. What has passed is cut off, what remains is rounded: a second
/// after "30 minutes" was typed it is still that.
pub fn relative_words(at: Timestamp, now: Timestamp) -> String {
    let secs = now.since(at).as_secs();
    let past = secs >= 0;
    let secs = secs.unsigned_abs();
    let whole = |unit: u64| if past { secs / unit } else { (secs + unit / 2) / unit };
    let words = match (secs, whole(60), whole(3_600), whole(86_400)) {
        (0..10, ..) => return if past { "now".into() } else { "in a moment".into() },
        (10..60, ..) => format!("{secs} s"),
        (2_592_000.., ..) => return utc_words(at).get(..10).unwrap_or_default().to_owned(),
        (_, minutes @ 0..60, ..) => format!("{minutes} min"),
        (_, _, hours @ 0..24, _) => format!("{hours} h"),
        (_, _, _, 1) => "1 day".into(),
        (_, _, _, days) => format!("{days} days"),
    };
    if past {
        format!("{words} ago")
    } else {
        format!("in {words}")
    }
}

pub fn counted(n: i64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{}\u{a0}{noun}{plural}", grouped_digits(n))
}

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
mod tests {
    use super::*;
    use crate::domain::time::Span;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(1_795_281_600_000_000).saturating_add(Span::from_secs(secs))
    }

    #[test]
    fn instants_read_as_people_say_them() {
        for (secs, words) in [
            (0, "now"),
            (-9, "now"),
            (-10, "10 s ago"),
            (-59, "59 s ago"),
            (-180, "3 min ago"),
            (-7_200, "2 h ago"),
            (-86_400, "1 day ago"),
            (-259_200, "3 days ago"),
            (5, "in a moment"),
            (600, "in 10 min"),
            (1_799, "in 30 min"),
            (1_769, "in 29 min"),
            (3_569, "in 59 min"),
            (3_570, "in 1 h"),
            (84_599, "in 23 h"),
            (86_399, "in 1 day"),
            (259_199, "in 3 days"),
            (-1_799, "29 min ago"),
            (-86_399, "23 h ago"),
            (-2_592_000, "2026-10-22"),
        ] {
            assert_eq!(relative_words(at(secs), at(0)), words, "{secs}");
        }
    }

    #[test]
    fn counts_agree_with_their_noun() {
        assert_eq!(counted(1, "session"), "1\u{a0}session");
        assert_eq!(counted(0, "session"), "0\u{a0}sessions");
        assert_eq!(counted(12_804, "session"), "12\u{202f}804\u{a0}sessions");
    }

    #[test]
    fn exact_times_carry_their_zone() {
        assert_eq!(
            utc_words(Timestamp::from_micros(1_795_281_600_250_000)),
            "2026-11-21 17:20:00 UTC"
        );
    }
}
