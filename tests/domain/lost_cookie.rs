//! Why a browser did not keep the session cookie.

use nightlatch_domain::{
    lost_cookie::{CookieFacts, lost_cookie_causes},
    policy::effective::SameSite,
};

const PLAIN: CookieFacts<'static> = CookieFacts {
    secure: true,
    same_site: SameSite::Lax,
    https: false,
    base_url: "http://login.example.org",
    host: "login.example.org",
    scheme: None,
    cookie_domain: None,
};

#[test]
fn the_likeliest_cause_comes_first_and_the_browser_last() {
    let https = CookieFacts {
        https: true,
        base_url: "https://login.example.org",
        ..PLAIN
    };
    for (facts, first) in [
        (PLAIN, "plain http, where browsers refuse such a cookie"),
        (
            CookieFacts {
                scheme: Some("HTTP"),
                ..https
            },
            "plain http, where browsers refuse such a cookie",
        ),
        (
            https,
            "If the address bar shows http, open https://login.example.org instead",
        ),
        (
            CookieFacts {
                secure: false,
                cookie_domain: Some("example.com"),
                ..PLAIN
            },
            "cookie_domain is example.com, and this page was opened as login.example.org",
        ),
        (
            CookieFacts {
                secure: false,
                same_site: SameSite::None,
                ..PLAIN
            },
            "SameSite=None that is not Secure",
        ),
        (
            CookieFacts {
                secure: false,
                cookie_domain: Some("example.org"),
                ..PLAIN
            },
            "Cookies are blocked for login.example.org in this browser",
        ),
    ] {
        let causes = lost_cookie_causes(&facts);
        assert!(causes[0].contains(first), "{facts:?}: {causes:?}");
        assert!(
            causes.last().unwrap().starts_with("Cookies are blocked for"),
            "{causes:?}"
        );
    }
}
