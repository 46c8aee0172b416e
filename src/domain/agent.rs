//! User agents: the family compared by session validation, and the words shown to people.
//! Sniffing serves nothing else: no feature of the product depends on it.

use std::borrow::Cow;

use woothee::parser::{Parser, WootheeResult};

/// Longest user agent kept, in bytes (cut at a character boundary).
pub const MAX_LEN: usize = 512;

/// What woothee writes where it knows nothing.
const UNKNOWN: &str = "UNKNOWN";

/// `agent` cut to [`MAX_LEN`].
pub fn cut(agent: &str) -> &str {
    &agent[..agent.floor_char_boundary(MAX_LEN)]
}

/// Same agent under `exact` or `family` (policy.md: unknown or absent is its own family compared exactly;
/// absent ≠ present). Equal strings never parse. Both are compared as they are kept, see [`cut`].
pub fn same(at_sign_in: Option<&str>, now: Option<&str>, family: bool) -> bool {
    match (at_sign_in.map(cut), now.map(cut)) {
        (None, None) => true,
        (Some(then), Some(now)) => then == now || (family && same_family(then, now)),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn same_family(a: &str, b: &str) -> bool {
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => family(&a) == family(&b),
        (None, _) | (_, None) => false,
    }
}

/// None: an agent without a known family.
fn parse(agent: &str) -> Option<WootheeResult<'_>> {
    Parser::new().parse(agent).filter(|parsed| family(parsed) != UNKNOWN)
}

/// The browser's name. Woothee calls curl, wget and the like one "HTTP Library" and puts their name into the version.
fn family<'a>(parsed: &WootheeResult<'a>) -> &'a str {
    if parsed.name == "HTTP Library" {
        parsed.version
    } else {
        parsed.name
    }
}

/// `Firefox · Linux`, `Chrome · Android`, `curl`, `Unknown device`.
pub fn describe(agent: Option<&str>) -> String {
    let agent = agent.map(cut).unwrap_or_default();
    let Some(parsed) = parse(agent) else {
        return product(agent).unwrap_or("Unknown device").to_owned();
    };
    match system(parsed.os) {
        Some(system) => format!("{} · {system}", family(&parsed)),
        None => family(&parsed).to_owned(),
    }
}

/// Today's names for woothee's old-style ones; None where it is not known.
fn system(os: &str) -> Option<Cow<'_, str>> {
    match os {
        UNKNOWN | "" => None,
        "Mac OSX" | "Mac OS Classic" => Some("macOS".into()),
        "ChromeOS" => Some("ChromeOS".into()),
        _ if os.starts_with("Windows Phone") => Some("Windows Phone".into()),
        _ if os.starts_with("Windows") => Some("Windows".into()),
        _ => Some(os.into()),
    }
}

/// `python-requests/2.31` → `python-requests`; None when the text does not begin with a plain product name.
fn product(agent: &str) -> Option<&str> {
    let name = agent.split(['/', ' ']).next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (!name.is_empty() && name.len() <= 40 && name != "Mozilla" && name != "-" && name.bytes().all(plain))
        .then_some(name)
}
