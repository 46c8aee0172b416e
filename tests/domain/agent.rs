//! User agents: comparison and description.

use nightlatch_domain::agent::*;

use super::{CHROME, FIREFOX, FIREFOX_UPDATED};

const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15";
const ANDROID: &str =
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";

#[test]
fn a_family_is_the_browsers_name() {
    assert!(is_same(Some(FIREFOX), Some(FIREFOX_UPDATED), true));
    assert!(!is_same(Some(FIREFOX), Some(FIREFOX_UPDATED), false));
    assert!(!is_same(Some(FIREFOX), Some(CHROME), true));
    assert!(!is_same(Some(CHROME), Some(EDGE), true));
    assert!(
        is_same(Some(CHROME), Some(ANDROID), true),
        "the same browser on another system"
    );
}

#[test]
fn an_unknown_agent_is_its_own_family() {
    assert!(is_same(Some("acme 1"), Some("acme 1"), true));
    assert!(!is_same(Some("acme 1"), Some("acme 2"), true));
    assert!(!is_same(Some("acme 1"), Some(FIREFOX), true));
    assert!(
        !is_same(Some(""), Some("-"), true),
        "both unknown to the parser, but not the same"
    );
    assert!(!is_same(
        Some("python-requests/2.31"),
        Some("python-requests/2.32"),
        true
    ));
}

#[test]
fn absent_and_present_never_match() {
    for family in [true, false] {
        assert!(is_same(None, None, family));
        assert!(!is_same(None, Some(""), family));
        assert!(!is_same(Some(FIREFOX), None, family));
    }
}

#[test]
fn tools_that_the_parser_confuses_are_distinguished() {
    assert!(is_same(Some("curl/8.5.0"), Some("curl/8.9.1"), true));
    assert!(!is_same(Some("curl/8.5.0"), Some("Wget/1.21.4"), true));
}

#[test]
fn agents_are_compared_as_they_are_kept() {
    let long = format!("{FIREFOX} {}", "x".repeat(600));
    let kept = cut(&long);
    assert_eq!(kept.len(), MAX_LEN);
    assert!(is_same(Some(kept), Some(&long), false));
    let umlauts = "ü".repeat(400);
    assert_eq!(
        cut(&format!("x{umlauts}")).len(),
        MAX_LEN - 1,
        "cut at a character boundary"
    );
    assert_eq!(cut("short"), "short");
}

#[test]
fn agents_are_described_for_people() {
    for (agent, words) in [
        (Some(FIREFOX), "Firefox · Linux"),
        (Some(CHROME), "Chrome · Windows"),
        (Some(EDGE), "Edge · Windows"),
        (Some(IPHONE), "Safari · iPhone"),
        (Some(MAC), "Safari · macOS"),
        (Some(ANDROID), "Chrome · Android"),
        (Some("curl/8.5.0"), "curl"),
        (Some("Wget/1.21.4"), "wget"),
        (Some("python-requests/2.31.0"), "python-requests"),
        (Some("Go-http-client/1.1"), "Go-http-client"),
        (Some("Mozilla/5.0"), "Unknown device"),
        (Some("<img src=x onerror=alert(1)>"), "Unknown device"),
        (Some(""), "Unknown device"),
        (Some("-"), "Unknown device"),
        (None, "Unknown device"),
    ] {
        assert_eq!(describe(agent), words, "{agent:?}");
    }
}

const PLAYER: &str = "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_us)";
const IPAD_AS_MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const IE_MODE: &str = "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; rv:11.0) like Gecko";

#[test]
fn a_page_on_the_home_screen_is_safari_and_an_app_that_shows_pages_is_not() {
    let page = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
    assert!(is_same(Some(IPHONE), Some(page), true));
    assert!(is_same(Some(page), Some(IPHONE), true));
    assert!(
        !is_same(Some(IPHONE), Some(page), false),
        "exact compares the whole text"
    );
    assert!(!is_same(Some(ANDROID), Some(page), true));
    assert!(!is_same(Some(CHROME), Some(page), true));
    for app in [
        format!("{page} [FBAN/FBIOS;FBAV/470.0;FBDV/iPhone14,5]"),
        format!("{page} Instagram 337.0.0"),
        page.replace("Mobile/15E148", "Mobile/"),
        page.replace("Mozilla/5.0 (iPhone;", "curl/8.5.0 (iPhone;"),
    ] {
        assert!(!is_same(Some(IPHONE), Some(&app), true), "{app}");
    }
    // The view of an Android app has cookies of its own.
    let view = "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36";
    assert!(!is_same(Some(ANDROID), Some(view), true));
}

#[test]
fn a_program_that_the_browser_hands_requests_to_is_its_companion() {
    for (browser, agent, companion) in [
        (IPHONE, PLAYER, true),
        (
            MAC,
            "AppleCoreMedia/1.0.0.23F79 (Macintosh; U; Intel Mac OS X 14_5; en_us)",
            true,
        ),
        (
            IPAD_AS_MAC,
            "AppleCoreMedia/1.0.0.21F90 (iPad; U; CPU OS 17_5_1 like Mac OS X; en_us)",
            true,
        ),
        (
            IPHONE,
            "MobileSafari/8618.2.12.11.7 CFNetwork/1496.0.7 Darwin/23.5.0",
            true,
        ),
        (MAC, "QuickTime/7.6.6 (qtver=7.6.6;cpu=IA32;os=Mac 10.6.8)", true),
        (ANDROID, "stagefright/1.2 (Linux;Android 9)", true),
        (
            ANDROID,
            "AndroidDownloadManager/14 (Linux; U; Android 14; Pixel 8 Build/AP1A.240505.004)",
            true,
        ),
        (CHROME, "NSPlayer/12.00.19041.4355 WMFSDK/12.00.19041.4355", true),
        (EDGE, "Windows-Media-Player/12.0.19041.4355", true),
        (IPHONE, "VideosUI/1 CFNetwork/1496.0.7 Darwin/23.5.0", true),
        (ANDROID, "AndroidXMedia3/1.3.1", true),
        (
            EDGE,
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Word 16.0.17628; Pro)",
            true,
        ),
        (EDGE, "Microsoft Office Existence Discovery", true),
        (EDGE, "Mozilla/4.0 (compatible; ms-office; MSOffice 16)", true),
        (CHROME, "Microsoft-WebDAV-MiniRedir/10.0.22631", true),
        (MAC, "Microsoft Office Existence Discovery", false),
        (FIREFOX, "VLC/3.0.20 LibVLC/3.0.20", false),
        (FIREFOX, PLAYER, false),
        (CHROME, PLAYER, false),
        (ANDROID, PLAYER, false),
        (IPHONE, "stagefright/1.2 (Linux;Android 9)", false),
        (IPHONE, CHROME, false),
        (IPHONE, "curl/8.5.0", false),
        (IPHONE, "", false),
        ("curl/8.5.0 (iPhone)", PLAYER, false),
    ] {
        assert_eq!(
            is_companion(Some(browser), Some(agent)),
            companion,
            "{browser} · {agent}"
        );
    }
    assert!(!is_companion(None, Some(PLAYER)));
    assert!(!is_companion(Some(IPHONE), None));
}

#[test]
fn a_compatibility_mode_is_the_same_browser() {
    assert!(is_same(Some(EDGE), Some(IE_MODE), true));
    assert!(
        is_same(Some(IPAD_AS_MAC), Some(MAC), true),
        "a site asked for as on a desktop"
    );
    assert!(is_same(Some(IPHONE), Some(IPAD_AS_MAC), true));
    assert!(!is_same(Some(EDGE), Some(IE_MODE), false));
    assert!(!is_same(Some(CHROME), Some(IE_MODE), true));
}
