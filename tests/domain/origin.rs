//! Redirects and cross-site requests.

use nightlatch_domain::origin::*;
use url::{Origin, Url};

fn origins() -> Vec<Origin> {
    ["https://wiki.example.org", "http://intranet.example.org:8080"]
        .map(|url| Url::parse(url).unwrap().origin())
        .to_vec()
}

fn parse(text: &str) -> Option<String> {
    ReturnTo::parse(text, &origins()).map(|place| place.as_str().to_owned())
}

#[test]
fn a_path_of_our_own_is_followed_as_it_stands() {
    for path in [
        "/",
        "/admin",
        "/admin/policy?scope=app:wiki&x=%2F%2Fevil",
        "/a//b",
        "/a/../b",
        "/wiki/%C3%9Cber",
        "/a;b=c",
        "/@me",
        "/a:b",
        "/search?q=a%0Ab",
        "/?next=https://evil.example",
        "/100%",
        "/a%20b",
    ] {
        assert_eq!(parse(path).as_deref(), Some(path));
    }
    let longest = format!("/{}", "a".repeat(ReturnTo::MAX_LEN - 1));
    assert_eq!(parse(&longest).as_deref(), Some(longest.as_str()));
}

#[test]
fn every_known_way_to_another_origin_is_refused() {
    for text in [
        "",
        " ",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/%09/evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/%0a/evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/%2f/evil.example",
        "/%2fevil.example",
        "/%2Fevil.example",
        "/%5cevil.example",
        "/%5c%5cevil.example",
        "/%252fevil.example",
        "/%25252fevil.example",
        "/%252f%252fevil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/a/..//evil.example",
        "/%2e//evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:///wiki.example.org",
        "http:evil.example",
        "https://evil.example",
        "https://wiki.example.org@evil.example",
        "https://wiki.example.org:pw@evil.example",
        "https://wiki.example.org.evil.example",
        "https://evil.example#.wiki.example.org",
        "https://evil.example?.wiki.example.org",
        "https://evil.example/.wiki.example.org",
        "https://evil.example\\.wiki.example.org",
        "https://user@wiki.example.org",
        "https://user:pw@wiki.example.org",
        "https://@wiki.example.org/",
        "https://:@wiki.example.org/",
        "https://wiki.example.org:8443",
        "http://wiki.example.org",
        "https://intranet.example.org:8080",
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://wiki.example.org/",
        "https://xn--wik-1ma.example.org/",
        "https://wikı.example.org/",
        "https://wiki.example.org\u{2215}evil",
        "/\u{2215}evil.example",
        "/\u{ff0f}evil.example",
        "/x#fragment",
        "https://wiki.example.org/#x",
        "wiki",
        "wiki/page",
        "../x",
        "?x",
        "#x",
        "//wiki.example.org/",
        "https%3A%2F%2Fevil.example",
        "%2f%2fevil.example",
        "/x\0",
        "/x\u{7f}",
        "/a b",
        "https://[::1",
        "https:\\\\wiki.example.org",
        "blob:https://wiki.example.org/x",
        &format!("/{}", "a".repeat(ReturnTo::MAX_LEN)),
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

#[test]
fn a_page_of_a_registered_origin_is_followed_as_a_browser_reads_it() {
    for (text, place) in [
        ("https://wiki.example.org", "https://wiki.example.org/"),
        ("https://wiki.example.org/a/b?c=d", "https://wiki.example.org/a/b?c=d"),
        ("https://WIKI.example.org:443/a/../b", "https://wiki.example.org/b"),
        ("http://intranet.example.org:8080/", "http://intranet.example.org:8080/"),
    ] {
        assert_eq!(parse(text).as_deref(), Some(place));
        assert_eq!(ReturnTo::parse(text, &[]), None, "nothing is registered");
    }
}

#[test]
fn accepted_return_addresses_never_leave_the_origin_in_a_browser() {
    let base = Url::parse("https://login.example.org/login").unwrap();
    for text in ["/a//b", "/a/../b", "/@me", "/?next=//evil.example", "/a;b"] {
        assert_eq!(
            base.join(&parse(text).unwrap()).unwrap().origin(),
            base.origin(),
            "{text}"
        );
    }
}

fn judged(sec_fetch_site: Option<&str>, origin: Option<&str>, referer: Option<&str>) -> CsrfVerdict {
    judge_csrf(&CsrfFacts {
        sec_fetch_site,
        origin,
        referer,
        own_origins: &["https://login.example.org".to_owned()],
    })
}

fn allows(sec_fetch_site: Option<&str>, origin: Option<&str>) -> bool {
    judged(sec_fetch_site, origin, None) == CsrfVerdict::Allowed
}

#[test]
fn the_browsers_own_word_about_the_site_decides_first() {
    for site in ["same-origin", "none"] {
        assert!(
            allows(Some(site), None) && allows(Some(site), Some("https://login.example.org")),
            "{site}"
        );
    }
    for site in ["cross-site", "same-site", "", "Same-Origin", "same-origin, none", "x"] {
        assert!(!allows(Some(site), None), "{site}");
        assert!(!allows(Some(site), Some("https://login.example.org")), "{site}");
    }
}

#[test]
fn without_it_the_origin_must_be_ours() {
    assert!(allows(None, Some("https://login.example.org")));
    for origin in [
        "https://evil.example",
        "null",
        "",
        "http://login.example.org",
        "https://login.example.org:8443",
        "https://login.example.org.evil",
    ] {
        assert!(!allows(None, Some(origin)), "{origin}");
    }
    let unnamed = CsrfFacts {
        sec_fetch_site: None,
        origin: Some("null"),
        referer: None,
        own_origins: &["null".to_owned()],
    };
    assert_eq!(judge_csrf(&unnamed), CsrfVerdict::NeedsFormToken);
}

#[test]
fn a_program_that_sends_neither_is_allowed() {
    assert!(allows(None, None));
}

#[test]
fn without_site_and_origin_the_page_that_the_request_comes_from_must_be_ours() {
    for referer in ["https://login.example.org/login?x=1", "https://LOGIN.example.org:443/"] {
        assert_eq!(judged(None, None, Some(referer)), CsrfVerdict::Allowed, "{referer}");
        assert_eq!(
            judged(None, Some("null"), Some(referer)),
            CsrfVerdict::Allowed,
            "{referer}"
        );
    }
    for referer in [
        "https://evil.example/",
        "http://login.example.org/",
        "https://login.example.org.evil/",
        "https://login.example.org@evil/",
        "/login",
        "",
        "about:blank",
        "several",
    ] {
        let refused = CsrfVerdict::Refused(CrossSiteCause::Referer);
        assert_eq!(judged(None, None, Some(referer)), refused, "{referer}");
        assert_eq!(judged(None, Some("null"), Some(referer)), refused, "{referer}");
        assert_eq!(
            judged(Some("same-origin"), None, Some(referer)),
            CsrfVerdict::Allowed,
            "the browser's own word counts first: {referer}"
        );
    }
}

#[test]
fn a_null_origin_needs_a_form_token() {
    assert_eq!(judged(None, Some("null"), None), CsrfVerdict::NeedsFormToken);
    assert_eq!(
        judged(Some("cross-site"), Some("null"), None),
        CsrfVerdict::Refused(CrossSiteCause::FetchSite)
    );
}
