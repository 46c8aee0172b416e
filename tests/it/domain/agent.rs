//! User agents: comparison and words.

use nightlatch::domain::agent::*;

use super::{CHROME, FIREFOX, FIREFOX_UPDATED};

const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15";
const ANDROID: &str =
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";

#[test]
fn a_family_is_the_browsers_name() {
    assert!(same(Some(FIREFOX), Some(FIREFOX_UPDATED), true));
    assert!(!same(Some(FIREFOX), Some(FIREFOX_UPDATED), false));
    assert!(!same(Some(FIREFOX), Some(CHROME), true));
    assert!(!same(Some(CHROME), Some(EDGE), true));
    assert!(
        same(Some(CHROME), Some(ANDROID), true),
        "the same browser on another system"
    );
}

#[test]
fn an_unknown_agent_is_its_own_family() {
    assert!(same(Some("acme 1"), Some("acme 1"), true));
    assert!(!same(Some("acme 1"), Some("acme 2"), true));
    assert!(!same(Some("acme 1"), Some(FIREFOX), true));
    assert!(
        !same(Some(""), Some("-"), true),
        "both unknown to the parser, but not the same"
    );
    assert!(!same(Some("python-requests/2.31"), Some("python-requests/2.32"), true));
}

#[test]
fn absent_and_present_never_match() {
    for family in [true, false] {
        assert!(same(None, None, family));
        assert!(!same(None, Some(""), family));
        assert!(!same(Some(FIREFOX), None, family));
    }
}

#[test]
fn tools_that_the_parser_throws_together_are_told_apart() {
    assert!(same(Some("curl/8.5.0"), Some("curl/8.9.1"), true));
    assert!(!same(Some("curl/8.5.0"), Some("Wget/1.21.4"), true));
}

#[test]
fn agents_are_compared_as_they_are_kept() {
    let long = format!("{FIREFOX} {}", "x".repeat(600));
    let kept = cut(&long);
    assert_eq!(kept.len(), MAX_LEN);
    assert!(same(Some(kept), Some(&long), false));
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
