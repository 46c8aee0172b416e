//! `/admin/applications/{name}/test`: the access test agrees with the real decision, and changes
//! nothing.

use crate::harness::{
    client::{Answer, CHROME, Client, FIREFOX},
    server::{Backend, TestServer, operator},
};
use nightlatch::{
    domain::{account::Role, forwarded::Dialect, session::SessionFilter},
    flows::{
        access::{AccessTest, AccessTestOutcome, HypotheticalRequest, test_access},
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
        sessions,
    },
    http::forward_auth::{ProxyAnswer, list_answers},
};
use reqwest::Method;

const PAGE: &str = "https://wiki.example.org/page";

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn server(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .start();
    let all = [
        ("wiki", ApplicationChange::default()),
        (
            "console",
            ApplicationChange {
                roles: Some(vec![Role::Administrator]),
                ..ApplicationChange::default()
            },
        ),
        (
            "site",
            ApplicationChange {
                prefixes: Some(texts(&["/docs"])),
                public: Some(texts(&["/docs/public/*"])),
                ..ApplicationChange::default()
            },
        ),
    ];
    for (name, change) in all {
        let change = ApplicationChange {
            hosts: Some(vec![format!("{name}.example.org")]),
            ..change
        };
        let operator = operator();
        let made = applications::create(&server.ctx, &operator, name, change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    }
    server
}

fn supposed(address: &str, account: &str) -> HypotheticalRequest {
    HypotheticalRequest {
        address: address.to_owned(),
        account: Some(account.to_owned()),
        ..HypotheticalRequest::default()
    }
}

fn rehearsed(server: &TestServer, supposed: &HypotheticalRequest) -> AccessTest {
    match server.run(test_access(&server.ctx, supposed)).unwrap() {
        AccessTestOutcome::Done(rehearsal) => *rehearsal,
        other => panic!("{other:?}"),
    }
}

/// Returns the real decision in each dialect for a browser's navigation.
fn asked(client: &Client, url: &str) -> Vec<(Dialect, Answer)> {
    let (proto, rest) = url.split_once("://").unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let uri = &rest[host.len()..];
    let envoy = format!("/api/authz/ext-authz{uri}");
    let nginx = [("x-original-url", url), ("x-original-method", "GET")];
    let caddy = [
        ("x-forwarded-proto", proto),
        ("x-forwarded-host", host),
        ("x-forwarded-uri", uri),
        ("x-forwarded-method", "GET"),
    ];
    let envoys = [("x-forwarded-proto", proto), ("host", host)];
    let send = |path: &str, headers: &[(&str, &str)]| client.send(Method::GET, path, None, headers);
    vec![
        (Dialect::AuthRequest, send("/api/authz/auth-request", &nginx)),
        (Dialect::ForwardAuth, send("/api/authz/forward-auth", &caddy)),
        (Dialect::ExtAuthz, send(&envoy, &envoys)),
    ]
}

fn assert_same(told: &[ProxyAnswer], door: &[(Dialect, Answer)], what: &str) {
    for (told, (dialect, answer)) in told.iter().zip(door) {
        assert_eq!((told.dialect, told.status), (*dialect, answer.status()), "{what}");
        for (name, value) in &told.headers {
            assert_eq!(answer.header(name), Some(value.as_str()), "{what}: {name}");
        }
    }
    assert_eq!(told.len(), door.len());
}

#[test]
fn the_rehearsal_says_what_the_door_says() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        for url in [
            PAGE,
            "https://console.example.org/",
            "https://site.example.org/docs/page",
            "https://site.example.org/docs/public/a.css",
            "https://unknown.example.org/",
            "https://wiki.example.org//a",
        ] {
            let rehearsal = rehearsed(&server, &supposed(url, "ADA"));
            let what = format!("{backend:?} {url}");
            let first = &rehearsal.sessions[0];
            assert_same(
                &list_answers(&server.ctx, &rehearsal.target, &first.decision),
                &asked(&ada, url),
                &what,
            );
            let last = rehearsal.sessions.last().unwrap();
            assert!(last.session.is_none(), "{what}");
            assert_same(
                &list_answers(&server.ctx, &rehearsal.target, &last.decision),
                &asked(&server.anyone(), url),
                &what,
            );
        }
        server.act(id, AccountAction::ForceChange);
        let rehearsal = rehearsed(&server, &supposed(PAGE, "ada"));
        let decision = &rehearsal.sessions[0].decision;
        assert_same(
            &list_answers(&server.ctx, &rehearsal.target, decision),
            &asked(&ada, PAGE),
            "a pending change",
        );
    }
}

#[test]
fn each_live_session_is_judged_for_that_address_and_browser_and_none_is_touched() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.policy(&[("session.session_allow_ip_changes", "0")]);
        let ada = server.member("ada");
        let second = server.anyone().header("user-agent", CHROME);
        second.sign_in("ada", crate::harness::server::PASSWORD).expect(303);
        let before = server.events();
        let sentences = |supposed: HypotheticalRequest| -> Vec<String> {
            let rehearsal = rehearsed(&server, &supposed);
            rehearsal
                .sessions
                .iter()
                .map(|outcome| outcome.decision.sentence())
                .collect()
        };
        let both = sentences(supposed(PAGE, "ada"));
        assert_eq!(both, ["Passes.", "Passes.", "Redirected to sign-in."], "{backend:?}");
        let moved = sentences(HypotheticalRequest {
            ip: Some("198.51.100.7".parse().unwrap()),
            ..supposed(PAGE, "ada")
        });
        assert!(
            moved[..2].iter().all(|sentence| sentence.contains("another network")),
            "{moved:?}"
        );
        let firefox = sentences(HypotheticalRequest {
            user_agent: Some(FIREFOX.to_owned()),
            ..supposed(PAGE, "ada")
        });
        let ended = firefox
            .iter()
            .filter(|sentence| sentence.contains("another browser"))
            .count();
        assert_eq!(ended, 1, "{backend:?}: {firefox:?}");
        assert_eq!(server.events(), before, "{backend:?}");
        let filter = SessionFilter {
            limit: 10,
            ..SessionFilter::default()
        };
        let live = server.run(sessions::list(&server.ctx, filter)).unwrap().items;
        assert!(
            live.iter().all(|view| view.row.session.applications.is_empty()),
            "{backend:?}: nothing was entered"
        );
        ada.get("/").expect(200);
        second.get("/").expect(200);
    }
}

#[test]
fn a_host_that_the_cookie_does_not_reach_knows_nobody() {
    let server = server(Backend::Sqlite);
    let far = ApplicationChange {
        hosts: Some(texts(&["far.example.com"])),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "far", far);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    server.member("ada");
    let rehearsal = rehearsed(&server, &supposed("https://far.example.com/", "ada"));
    assert_eq!(rehearsal.sessions[0].decision.sentence(), "Redirected to sign-in.");
}

#[test]
fn the_page_shows_the_answers_and_why() {
    let server = server(Backend::Sqlite);
    let boss = server.admin("boss");
    server.member("ada");
    let at = |query: &str| boss.get(&format!("/admin/applications/wiki/test{query}"));
    let empty = at("").expect(200);
    assert!(empty.text().contains("value=\"https://wiki.example.org/\""));
    assert!(!empty.text().contains("<h2 id=\"why-h\">"));
    let page = at("?url=https%3A%2F%2Fwiki.example.org%2Fpage&account=ada").expect(200);
    for words in [
        "not public: a session must be live",
        "ada: member, no groups, enabled; has access",
        "Passes.",
        "remote-user: ada",
        "x-nightlatch-session-ends: 1209600",
        "/api/authz/ext-authz",
        "Not signed in",
        "login?return_to=https%3A%2F%2Fwiki.example.org%2Fpage",
    ] {
        assert!(page.text().contains(words), "{words}");
    }
    for (query, fault) in [
        ("?url=wiki&account=nobody&ip=here", "3 things need your attention"),
        ("?url=wiki", "The address cannot be read"),
        (
            "?url=https%3A%2F%2Fwiki.example.org%2F&account=nobody",
            "There is no account with that name.",
        ),
        ("?url=https%3A%2F%2Fwiki.example.org%2F&ip=here", "Enter one IP address"),
    ] {
        assert!(at(query).expect(422).text().contains(fault), "{query}");
    }
    boss.get("/admin/applications/nothing/test").expect(404);
    assert!(
        boss.get("/admin/applications/wiki")
            .text()
            .contains("/admin/applications/wiki/test")
    );
}
