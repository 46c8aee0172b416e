//! Durations in the form that people write and read: `15m`, `2 weeks`, `1.5h`, `900`, `never`. Only
//! units of fixed length are accepted: a year is 365 days, and months are refused because their
//! length depends on the calendar.

use jiff::fmt::friendly::SpanParser;

/// Upper bound of every duration: ten years, in seconds.
pub const MAX_SECS: i64 = 315_360_000;

const UNITS: [(i64, &str); 5] = [
    (604_800, "week"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
    (1, "second"),
];

/// The examples that error messages show.
const EXAMPLES: &str = "write it like 15m, 1.5h, 2 weeks, 900 (seconds) or never";

/// Parses a duration into seconds; `never` and `-1` give -1. A bare number is seconds.
///
/// # Errors
///
/// A sentence that says what is wrong and what is accepted.
pub fn parse(text: &str) -> Result<i64, String> {
    let typed = text.trim().to_lowercase();
    if typed.is_empty() {
        return Err(format!("a duration is missing: {EXAMPLES}"));
    }
    if matches!(typed.as_str(), "never" | "unlimited" | "-1") {
        return Ok(-1);
    }
    let secs = if typed.bytes().all(|b| b.is_ascii_digit()) {
        typed.parse().unwrap_or(i64::MAX)
    } else {
        parse_units(&typed)?
    };
    if secs > MAX_SECS {
        return Err("longer than 10 years, the most that is accepted (or write never)".into());
    }
    Ok(secs)
}

fn parse_units(typed: &str) -> Result<i64, String> {
    const PARSER: SpanParser = SpanParser::new();
    if typed.starts_with('-') {
        return Err(format!(
            "a duration cannot be negative (-1 alone means never): {EXAMPLES}"
        ));
    }
    // jiff also reads clock notation (`1:30:00`) and a trailing `ago`; limits are not written like
    // that.
    if typed.contains(':') || typed.ends_with("ago") {
        return Err(format!("not a duration: {EXAMPLES}"));
    }
    if let Some(secs) = fraction_of_days(typed) {
        return Ok(secs);
    }
    let span = PARSER
        .parse_span(typed)
        .map_err(|_| format!("not a duration: {EXAMPLES}"))?;
    if span.get_months() != 0 {
        return Err("months have no fixed length: write weeks or days, like 4 weeks or 30 days".into());
    }
    let nanos = i128::from(span.get_years()) * 365 * 86_400_000_000_000
        + i128::from(span.get_weeks()) * 604_800_000_000_000
        + i128::from(span.get_days()) * 86_400_000_000_000
        + i128::from(span.get_hours()) * 3_600_000_000_000
        + i128::from(span.get_minutes()) * 60_000_000_000
        + i128::from(span.get_seconds()) * 1_000_000_000
        + i128::from(span.get_milliseconds()) * 1_000_000
        + i128::from(span.get_microseconds()) * 1_000
        + i128::from(span.get_nanoseconds());
    if nanos % 1_000_000_000 != 0 {
        return Err("durations are whole seconds".into());
    }
    Ok(i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX))
}

/// Parses `1.5 days` or `0.5w`, because jiff accepts fractions only of hours and smaller units.
/// `None` if this is not a single number with the unit day or week, or not a whole number of
/// seconds.
fn fraction_of_days(typed: &str) -> Option<i64> {
    let (number, unit) = typed.split_at(typed.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let unit_secs: i64 = match unit.trim() {
        "w" | "wk" | "wks" | "week" | "weeks" => 604_800,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    let (whole, decimals) = number.split_once('.')?;
    if decimals.is_empty() || decimals.len() > 6 || whole.len() > 9 {
        return None;
    }
    let scale = 10_i64.pow(decimals.len() as u32);
    let scaled = whole.parse::<i64>().ok()? * scale + decimals.parse::<i64>().ok()?;
    let secs = scaled.checked_mul(unit_secs)?;
    (secs % scale == 0).then_some(secs / scale)
}

/// Formats seconds: `900` → `15 minutes`, `-1` → `never`, `5400` → `1 hour 30 minutes`. The text
/// parses back to the same seconds. Weeks are used only for whole weeks: 90 days are not 12 weeks 6
/// days. Every other negative number is formatted like -1, as imports read it.
pub fn humanize(secs: i64) -> String {
    if secs < 0 {
        return "never".into();
    }
    if secs == 0 {
        return "0 seconds".into();
    }
    let mut rest = secs;
    let mut parts = Vec::new();
    for (unit_secs, unit) in UNITS {
        if unit == "week" && rest % unit_secs != 0 {
            continue;
        }
        let count = rest / unit_secs;
        rest %= unit_secs;
        if count > 0 {
            parts.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.join(" ")
}
