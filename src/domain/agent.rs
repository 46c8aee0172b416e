//! User agents: the family that session validation compares, and the description on screens. No
//! other feature depends on user agent detection.

use std::borrow::Cow;

use woothee::parser::{Parser, WootheeResult};

/// Maximum length of a stored user agent, in bytes (cut at a character boundary).
pub const MAX_LEN: usize = 512;

/// The word that woothee returns for unknown values.
const UNKNOWN: &str = "UNKNOWN";

/// Cuts `agent` to [`MAX_LEN`].
pub fn cut(agent: &str) -> &str {
    &agent[..agent.floor_char_boundary(MAX_LEN)]
}

/// Compares two user agents under `exact` or `family` (docs/policy.md: an unknown or missing agent
/// is its own family, compared exactly). Equal strings are not parsed. Both are compared as stored,
/// see [`cut`].
pub fn is_same(at_sign_in: Option<&str>, now: Option<&str>, family: bool) -> bool {
    match (at_sign_in.map(cut), now.map(cut)) {
        (None, None) => true,
        (Some(then), Some(now)) => then == now || (family && same_family(then, now)),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn same_family(a: &str, b: &str) -> bool {
    match (shared_family(a), shared_family(b)) {
        (Some(a), Some(b)) => a == b,
        (None, _) | (_, None) => false,
    }
}

/// Returns the family that is compared; `None`: unknown. Edge shows pages in Internet Explorer's
/// compatibility mode under that browser's name, and iOS shows pages of the home screen under no
/// name, each with the browser's cookies.
fn shared_family(agent: &str) -> Option<&str> {
    if is_home_screen_page(agent) {
        return Some("Safari");
    }
    match family(&parse(agent)?) {
        "Internet Explorer" => Some("Edge"),
        name => Some(name),
    }
}

/// Returns whether an agent is that of a page that was put on the home screen of an iPhone or iPad:
/// Safari's without the names of the browser at its end. Apps that show pages add a name of theirs.
fn is_home_screen_page(agent: &str) -> bool {
    let is_apple = ["Mozilla/5.0 (iPhone;", "Mozilla/5.0 (iPad;", "Mozilla/5.0 (iPod touch;"]
        .iter()
        .any(|start| agent.starts_with(start));
    let build = agent
        .rsplit_once(" (KHTML, like Gecko) Mobile/")
        .map(|(_, build)| build);
    is_apple && build.is_some_and(|build| !build.is_empty() && build.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// The platform of a device, for programs to which its browsers pass requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Apple,
    Android,
    Windows,
}

/// Programs to which browsers pass requests together with their cookies: media players, download
/// managers, fetchers of icons and previews. None of them opens pages.
const COMPANIONS: [(&str, Platform); 17] = [
    ("AppleCoreMedia/", Platform::Apple),
    ("QuickTime/", Platform::Apple),
    ("MobileSafari/", Platform::Apple),
    ("Safari/", Platform::Apple),
    ("NetworkingExtension/", Platform::Apple),
    ("com.apple.WebKit", Platform::Apple),
    ("VideosUI/", Platform::Apple),
    ("stagefright/", Platform::Android),
    ("AndroidDownloadManager", Platform::Android),
    ("ExoPlayer", Platform::Android),
    ("AndroidXMedia3/", Platform::Android),
    ("Dalvik/", Platform::Android),
    ("NSPlayer/", Platform::Windows),
    ("Windows-Media-Player/", Platform::Windows),
    ("Microsoft Office", Platform::Windows),
    ("Microsoft-WebDAV-MiniRedir/", Platform::Windows),
    ("Mozilla/4.0 (compatible; ms-office;", Platform::Windows),
];

/// Returns whether an agent is a program to which browsers of the sign-in's platform pass requests
/// (docs/policy.md, decision 5).
pub fn is_companion(at_sign_in: Option<&str>, now: Option<&str>) -> bool {
    let (Some(at_sign_in), Some(now)) = (at_sign_in, now) else {
        return false;
    };
    let companion = COMPANIONS.iter().find(|(product, _)| now.starts_with(product));
    companion.is_some_and(|(_, platform)| find_platform(at_sign_in) == Some(*platform))
}

fn find_platform(browser: &str) -> Option<Platform> {
    // Only browsers pass requests on, and all of them begin like this.
    if !browser.starts_with("Mozilla/") {
        return None;
    }
    let names = |names: &[&str]| names.iter().any(|name| browser.contains(name));
    if names(&["iPhone", "iPad", "iPod", "Macintosh"]) {
        Some(Platform::Apple)
    } else if names(&["Android"]) {
        Some(Platform::Android)
    } else if names(&["Windows NT"]) {
        Some(Platform::Windows)
    } else {
        None
    }
}

/// Returns whether a browser can bind a session to its device (docs/device-binding.md): Chrome and
/// browsers based on it, from version 145 on Windows and 147 on macOS.
pub fn can_bind_device(agent: Option<&str>) -> bool {
    let agent = agent.map(cut).unwrap_or_default();
    let version = agent.split_once("Chrome/").and_then(|(_, rest)| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse::<u32>().ok()
    });
    let least = match find_platform(agent) {
        Some(Platform::Windows) => 145,
        Some(Platform::Apple) if agent.contains("Macintosh") => 147,
        Some(Platform::Apple | Platform::Android) | None => return false,
    };
    version.is_some_and(|version| version >= least)
}

/// Parses an agent; `None` if its family is unknown.
fn parse(agent: &str) -> Option<WootheeResult<'_>> {
    Parser::new().parse(agent).filter(|parsed| family(parsed) != UNKNOWN)
}

/// Returns the browser's name. Woothee calls curl, wget and similar programs "HTTP Library" and
/// puts their name into the version.
fn family<'a>(parsed: &WootheeResult<'a>) -> &'a str {
    if parsed.name == "HTTP Library" {
        parsed.version
    } else {
        parsed.name
    }
}

/// Describes an agent: `Firefox · Linux`, `Chrome · Android`, `curl`, `Unknown device`.
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

/// Returns the current name for woothee's name of a system; `None` if the system is unknown.
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

/// Returns the product: `python-requests/2.31` → `python-requests`. `None` if the text does not
/// begin with a plain product name.
fn product(agent: &str) -> Option<&str> {
    let name = agent.split(['/', ' ']).next()?;
    // A dot is not accepted, because an email would turn the name into a link.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    (!name.is_empty() && name.len() <= 40 && name != "Mozilla" && name != "-" && name.bytes().all(plain))
        .then_some(name)
}
