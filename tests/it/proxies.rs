//! The files in `contrib/`, unchanged, in real nginx, Caddy and HAProxy: identity, refusals, and
//! forged headers of clients.

mod bodies;
mod browser;
mod cache;
mod events;
mod evidence;
mod files;
mod paths;
mod websocket;

use crate::harness::{
    chain::{Chain, EVERY, Kind, status},
    client::FIREFOX,
    server::PASSWORD,
};
use nightlatch::{
    domain::account::Role,
    flows::{accounts::AccountAction, applications::ApplicationChange},
};
use reqwest::Method;

const NAMES: [&str; 4] = ["remote-user", "remote-name", "remote-email", "remote-groups"];

/// Returns the identity that the application received; no header and an empty one are the same to
/// it.
fn identity(chain: &Chain) -> [Option<String>; 4] {
    let last = chain.application.last();
    NAMES.map(|name| last.header(name).filter(|value| !value.is_empty()))
}

#[test]
fn identity_arrives_through_the_shipped_files_and_a_sign_out_ends_access_at_once() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        let ada = chain.server.account("ada", Role::Member);
        let profile = AccountAction::SetProfile {
            display_name: "Ada L".to_owned(),
            email: "ada@example.org".to_owned(),
            groups: vec!["staff".to_owned(), "ops".to_owned()],
        };
        chain.server.act(ada, profile);
        let stranger = chain.at("wiki").get("/page?x=1").expect(302);
        let back = format!("http%3A%2F%2Fwiki.example.org%3A{}%2Fpage%3Fx%3D1", chain.port);
        let login = format!("http://{}/login?return_to={back}", chain.authority("login"));
        assert_eq!(stranger.location(), login, "{kind:?}");
        assert_eq!(
            chain.application.requests(),
            0,
            "{kind:?}: nothing reached the application"
        );
        let browser = chain.sign_in("ada");
        assert_eq!(browser.get("/page?x=1").expect(200).text(), "hello", "{kind:?}");
        let expected = ["ada", "Ada L", "ada@example.org", "staff,ops"].map(|value| Some(value.to_owned()));
        assert_eq!(identity(&chain), expected, "{kind:?}");
        let asked = chain.application.last();
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str()),
            ("GET", "/page?x=1"),
            "{kind:?}"
        );
        assert_eq!(asked.header("host"), Some(chain.authority("wiki")), "{kind:?}");
        let asked = chain.application.requests();
        chain.then_at(&browser, "login").post("/logout", &[]).expect(303);
        assert!(
            browser.get("/page").expect(302).location().contains("/login?"),
            "{kind:?}"
        );
        assert_eq!(
            chain.application.requests(),
            asked,
            "{kind:?}: the application was not asked any more"
        );
    }
}

#[test]
fn identity_headers_of_a_client_never_arrive() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let mut browser = chain.sign_in("ada");
        for name in NAMES {
            browser = browser.header(name, "boss").header(&name.replace('-', "_"), "boss");
        }
        browser = browser
            .header("x-original-url", "http://wiki.example.org/healthz")
            .header("x-forwarded-uri", "/healthz");
        browser = browser
            .header("x-forwarded-host", "login.example.org")
            .header("x-forwarded-method", "HEAD");
        browser = browser.header("x-forwarded-for", "203.0.113.9");
        browser.get("/page").expect(200);
        assert_eq!(identity(&chain), [Some("ada".to_owned()), None, None, None], "{kind:?}");
        let asked = chain.application.last();
        assert!(!asked.head.contains("boss"), "{kind:?}: {}", asked.head);
        assert!(!asked.head.contains("203.0.113.9"), "{kind:?}: {}", asked.head);
        // Declared as a connection header, it arrives anyway, or nothing arrives.
        let asked = chain.application.requests();
        let dropping = browser.thief().header("connection", "close, Remote-User").get("/page");
        assert!(
            dropping.status() == 200 || (dropping.status() == 400 && chain.application.requests() == asked),
            "{kind:?}"
        );
        assert_eq!(identity(&chain)[0].as_deref(), Some("ada"), "{kind:?}");
        // A public path is public without any identity, and only that path is.
        let mut stranger = chain.at("wiki");
        for name in NAMES {
            stranger = stranger.header(name, "boss").header(&name.replace('-', "_"), "boss");
        }
        stranger.get("/healthz").expect(200);
        assert_eq!(identity(&chain), [const { None }; 4], "{kind:?}");
        assert!(!chain.application.last().head.contains("boss"), "{kind:?}");
        for claimed in ["x-original-url", "x-forwarded-uri", "x-forwarded-host"] {
            let stranger = chain.at("wiki").header(claimed, "http://wiki.example.org/healthz");
            assert_ne!(stranger.get("/page").status(), 200, "{kind:?} {claimed}");
        }
    }
}

#[test]
fn applications_see_their_own_cookies_and_not_the_one_of_the_console() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let ours = chain.sign_in("ada").cookie_header();
        assert!(ours.starts_with("nightlatch="), "{kind:?}: {ours}");
        for (sent, seen) in [
            (ours.clone(), ""),
            (format!("{ours}; theme=dark"), "theme=dark"),
            (format!("{ours}; __Host-nightlatch-factor=x; theme=dark"), "theme=dark"),
            (format!("{ours}; nightlatch-handover=x; theme=dark"), "theme=dark"),
            (format!("theme=dark; {ours}"), "theme=dark"),
            (format!("theme=dark; {ours}; lang=en"), "theme=dark; lang=en"),
            (
                format!("{ours}; theme=dark; {ours}; __Secure-nightlatch=x; lang=en"),
                "theme=dark; lang=en",
            ),
            (
                format!("not-nightlatch=1; {ours}; nightlatch-theme=dark"),
                "not-nightlatch=1; nightlatch-theme=dark",
            ),
            ("theme=dark; lang=nightlatch".to_owned(), "theme=dark; lang=nightlatch"),
        ] {
            // One path for those who are signed in, and one that is public.
            for path in ["/page", "/healthz"] {
                if path == "/page" && !sent.contains(&ours) {
                    continue;
                }
                let headers = [("cookie", sent.as_str())];
                let answer = chain.at("wiki").send(Method::GET, path, None, &headers);
                assert_eq!(answer.status(), 200, "{kind:?} {path} {sent}");
                let cookie = chain.application.last().header("cookie").unwrap_or_default();
                assert_eq!(cookie, seen, "{kind:?} {path} {sent}");
            }
        }
        // None gets through, in any number and spelling.
        let many = [ours.as_str(); 6].join("; ");
        let spaced = ours.replacen('=', " =", 1);
        for sent in [format!("{many}; theme=dark"), format!("theme=dark;\t{spaced}")] {
            chain
                .at("wiki")
                .send(Method::GET, "/healthz", None, &[("cookie", sent.as_str())])
                .expect(200);
            let value = ours.split_once('=').unwrap().1;
            assert!(!chain.application.last().head.contains(value), "{kind:?} {sent}");
        }
    }
}

#[test]
fn every_spelling_of_a_claimed_identity_is_dropped() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let cookie = chain.sign_in("ada").cookie_header();
        let host = chain.authority("wiki");
        for line in [
            "REMOTE_USER: boss",
            "Remote_User: boss",
            "rEMOTE-uSER: boss",
            "Remote-User: boss\r\nRemote-User: boss",
            "Remote-User : boss",
            "Remote_Groups: boss\r\nRemote-Groups: boss",
            "X-Nightlatch-Session-Ends: boss",
            "X-Nightlatch-Factors: boss",
            "X_Nightlatch_Factors: boss",
            "x-nightlatch_FACTORS: boss",
            "X_Nightlatch-Session_Ends: boss",
            "Remote-User:\tboss\r\n\tboss",
        ] {
            for cookie in [format!("Cookie: {cookie}\r\n"), String::new()] {
                let request = format!(
                    "GET /healthz HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\n{line}\r\n{cookie}Connection: close\r\n\r\n"
                );
                for request in [request.replace("/healthz", "/page"), request] {
                    let answer = chain.raw(request.as_bytes());
                    assert!(
                        [200, 302, 400, 401].contains(&status(&answer)),
                        "{kind:?} {line}: {answer}"
                    );
                }
            }
        }
        let asked = chain.application.asked();
        assert!(!asked.is_empty(), "{kind:?}");
        for asked in asked.iter() {
            assert!(!asked.head.contains("boss"), "{kind:?}: {}", asked.head);
        }
    }
}

#[test]
fn the_questions_of_proxies_are_closed_to_the_public() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let browser = chain.then_at(&chain.sign_in("ada"), "login");
        let headers = [
            ("x-original-url", "http://wiki.example.org/"),
            ("x-original-method", "GET"),
        ];
        for path in [
            "/api/authz/auth-request",
            "/api/authz/forward-auth",
            "/api/authz/ext-authz/page",
            "/api/authz/",
        ] {
            browser.send(Method::GET, path, None, &headers).expect(403);
        }
        let asked = chain.application.requests();
        let strange = chain.at("wiki");
        for path in ["/.nightlatch-verify", "/api/authz/auth-request"] {
            assert_ne!(
                strange.send(Method::GET, path, None, &headers).status(),
                200,
                "{kind:?} {path}"
            );
        }
        assert_eq!(chain.application.requests(), asked, "{kind:?}");
        // The sign-in host itself still works.
        browser.get("/").expect(200);
    }
}

#[test]
fn no_spelling_of_their_address_reaches_the_questions_either() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let cookie = chain.sign_in("ada").cookie_header();
        for host in ["login", "wiki"] {
            for target in [
                "/api/authz/ext-authz/../../../login",
                "/api/authz/ext-authz/../../../nightlatch/x",
                "/api/authz/ext-authz/..%2f..%2f..%2fnightlatch/x",
                "/api/authz/ext-authz/%2e%2e/%2e%2e/%2e%2e/login",
                "/api/authz/ext-authz/a/../../../../login",
                "/nightlatch/../api/authz/ext-authz/page",
                "/x/../api/authz/auth-request",
                "/%61pi/authz/auth-request",
                "/api/authz%2fauth-request",
                "/API/AUTHZ/auth-request",
                "//api/authz/auth-request",
                "/api//authz/auth-request",
            ] {
                let authority = chain.authority(host);
                let request = format!(
                    "GET {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\n\
                     X-Forwarded-Proto: http\r\nX-Original-Method: GET\r\nX-Original-URL: http://wiki.example.org/\r\n\
                     Connection: close\r\n\r\n"
                );
                let answer = chain.raw(request.as_bytes()).to_ascii_lowercase();
                // The response is never a decision, because none of these requests has a session.
                assert!(
                    !answer.contains("\r\nremote-user:"),
                    "{kind:?} {host} {target}: {answer}"
                );
                assert!(
                    status(&answer) != 200 || !answer.contains("x-nightlatch-session-ends"),
                    "{kind:?} {host} {target}: {answer}"
                );
            }
        }
    }
}

#[test]
fn a_script_gets_a_401_and_a_page_the_sign_in() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        let asks = |accept: &str, mode: &str| {
            let browser = chain.at("wiki").header("accept", accept);
            match mode {
                "" => browser,
                mode => browser.header("sec-fetch-mode", mode),
            }
        };
        for (accept, mode) in [
            ("application/json", "cors"),
            ("*/*", "cors"),
            ("text/html", "same-origin"),
            // Over plain http browsers do not send Sec-Fetch headers.
            ("*/*", ""),
            ("application/json", ""),
        ] {
            let answer = asks(accept, mode).get("/data").expect(401);
            assert_eq!(answer.header("x-nightlatch-reason"), Some("sign_in"), "{kind:?} {mode}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{kind:?} {mode}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            let told = answer.json();
            assert_eq!((&told["code"], &told["status"]), (&"sign_in".into(), &401.into()));
            let login = format!("http://{}/login?", chain.authority("login"));
            assert!(
                told["login_url"].as_str().unwrap().starts_with(&login),
                "{kind:?}: {told}"
            );
        }
        for mode in ["navigate", ""] {
            let answer = asks("text/html,*/*;q=0.8", mode).get("/data").expect(302);
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{kind:?}");
        }
        assert_eq!(chain.application.requests(), 0, "{kind:?}");
    }
}

#[test]
fn every_other_refusal_reaches_the_client_as_what_it_is() {
    for kind in EVERY {
        let mut chain = Chain::start(kind);
        let vault = ApplicationChange {
            prefixes: Some(vec!["/vault".to_owned()]),
            roles: Some(vec![Role::Administrator]),
            ..ApplicationChange::default()
        };
        chain.protect("vault", vault);
        chain.server.account("ada", Role::Member);
        let ada = chain.sign_in("ada");
        for (path, status, reason) in [
            ("/vault/plans", 403, "forbidden"),
            ("/vault//plans", 400, "not_canonical"),
        ] {
            let answer = ada.get(path).expect(status);
            assert_eq!(answer.header("x-nightlatch-reason"), Some(reason), "{kind:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{kind:?}");
        }
        // Without Nightlatch no request passes.
        chain.server.shut_down();
        let gone = ada.get("/page").status();
        assert!(gone >= 500, "{kind:?}: {gone}");
        assert_eq!(chain.application.requests(), 0, "{kind:?}");
    }
}

#[test]
fn an_account_that_may_not_enter_gets_a_page_that_says_why_and_offers_another() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        let vault = ApplicationChange {
            prefixes: Some(vec!["/vault".to_owned()]),
            roles: Some(vec![Role::Administrator]),
            ..ApplicationChange::default()
        };
        chain.protect("vault", vault);
        chain.server.account("ada", Role::Member);
        chain.server.account("boss", Role::Administrator);
        let ada = chain.sign_in("ada");
        let refused = ada.get("/vault/plans?x=1&y=2").expect(403);
        assert_eq!(refused.header("x-nightlatch-reason"), Some("forbidden"), "{kind:?}");
        assert_eq!(refused.header("cache-control"), Some("no-store"), "{kind:?}");
        let page = refused.page();
        assert_eq!(page.heading(), "No access to this application", "{kind:?}");
        assert!(
            page.shows("You are signed in as ada. Only some roles and groups may open vault"),
            "{kind:?}: {}",
            page.text()
        );
        ada.get("/nightlatch/app.css").expect(200);
        // A script gets no page.
        let script = ada
            .thief()
            .header("accept", "application/json")
            .get("/vault/plans")
            .expect(403);
        assert!(!script.text().contains("Use another account"), "{kind:?}");
        let posted = ada.post("/vault/plans", &[("secret", "1")]).expect(403);
        assert_eq!(posted.page().heading(), "No access to this application", "{kind:?}");
        // Another account, and back to the page.
        let origin = format!("http://{}", chain.authority("login"));
        let another = page.link("Use another account");
        let (_, path) = another.split_once(&origin).unwrap();
        let login = chain.then_at(&ada, "login");
        let switch = login.get(path).expect(200).page();
        assert!(switch.shows("You are signed in as ada"), "{kind:?}: {}", switch.text());
        let left = login.submit(&switch.form("/logout"), &[]).expect(303);
        let form = login.get(left.location()).expect(200).page();
        let filled_in = [("username", "boss"), ("password", PASSWORD)];
        let accepted = login.submit(&form.form_with("password"), &filled_in).expect(303);
        let there = format!("http://{}/vault/plans?x=1&y=2", chain.authority("wiki"));
        assert_eq!(accepted.location(), there, "{kind:?}");
        chain.then_at(&login, "wiki").get("/vault/plans?x=1&y=2").expect(200);
        // Clients cannot request the page by its address in nginx.
        if matches!(kind, Kind::Nginx) {
            ada.get("/nightlatch/forbidden").expect(404);
        }
    }
}

#[test]
fn a_raised_lifetime_reaches_the_cookie_also_behind_an_application_without_the_guard() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        chain.server.policy(&[("session.ttl", "1h")]);
        let browser = chain.sign_in("ada");
        browser.get("/page").expect(200);
        chain.server.policy(&[("session.ttl", "2h")]);
        // Scripts and form posts are not redirected; a page request is redirected by Nightlatch's
        // own host, once.
        let script = browser.thief().header("accept", "application/json");
        script.get("/data").expect(200);
        browser.post("/save", &[("a", "b")]).expect(200);
        let away = browser.get("/page?x=1").expect(302);
        assert_eq!(away.header("x-nightlatch-reason"), Some("cookie_renewal"), "{kind:?}");
        let origin = format!("http://{}", chain.authority("login"));
        let path = away.location().strip_prefix(&origin).unwrap();
        let login = chain.then_at(&browser, "login");
        let back = login.get(path).expect(303);
        assert_eq!(
            back.location(),
            format!("http://{}/page?x=1", chain.authority("wiki")),
            "{kind:?}"
        );
        let cookies = back.cookies();
        let issued = cookies
            .iter()
            .find(|line| line.starts_with("nightlatch=") && !line.contains("Max-Age=0"));
        assert!(issued.unwrap().contains("Max-Age=7200"), "{kind:?}: {cookies:?}");
        chain.then_at(&login, "wiki").get("/page?x=1").expect(200);
        // A browser that does not keep the cookie is still let in, and not redirected in a loop.
        browser.get("/page?x=1").expect(200);
        // A shortened lifetime needs no detour, because the server ends the session.
        chain.server.policy(&[("session.ttl", "30m")]);
        chain.then_at(&login, "wiki").get("/page").expect(200);
    }
}

#[test]
fn long_addresses_are_returned_to() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        for length in [2_500, 7_900] {
            // Encoded characters are three times as long in the sign-in's address.
            let query = "a=%C3%BC&b=1;".repeat(length / 13);
            let page = format!("/page?{query}");
            let browser = chain.at("wiki");
            let stranger = browser.get(&page).expect(302);
            let (_, login) = stranger.location().split_once("/login?").unwrap();
            let login_page = chain.then_at(&browser, "login");
            let shown = login_page.get(&format!("/login?{login}")).expect(200).page();
            let filled_in = [("username", "ada"), ("password", PASSWORD)];
            let accepted = login_page.submit(&shown.form_with("password"), &filled_in).expect(303);
            let there = format!("http://{}{page}", chain.authority("wiki"));
            assert_eq!(accepted.location(), there, "{kind:?} {length}");
            chain.then_at(&login_page, "wiki").get(&page).expect(200);
            assert_eq!(chain.application.last().target, page, "{kind:?} {length}");
        }
    }
}

#[test]
fn a_client_names_its_address_in_neither_header() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        let liar = chain
            .at("wiki")
            .header("forwarded", "for=203.0.113.5")
            .header("x-forwarded-for", "203.0.113.5");
        liar.get("/page").expect(302);
        let question = chain.relay.questions().pop().unwrap();
        assert_eq!(
            question.header("x-forwarded-for"),
            Some("127.0.0.1".to_owned()),
            "{kind:?}"
        );
        let expected = match kind {
            Kind::Nginx => Some("for=127.0.0.1".to_owned()),
            Kind::Caddy | Kind::Haproxy => None,
        };
        assert_eq!(question.header("forwarded"), expected, "{kind:?}");
    }
}
