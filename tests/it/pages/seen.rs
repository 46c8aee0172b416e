//! The latest proxy requests in the console: who sent the last one, in which dialect, and what was
//! wrong with refused ones.

use crate::harness::{
    client::Client,
    server::{Backend, PASSWORD, TestServer, operator},
};
use nightlatch::{
    domain::account::Role,
    flows::applications::{self, ApplicationChange, ApplicationOutcome},
};
use reqwest::Method;

fn server(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    protect(&server, "wiki");
    server
}

fn protect(server: &TestServer, name: &str) {
    let change = ApplicationChange {
        hosts: Some(vec![format!("{name}.example.org")]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, name, change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
}

/// An administrator, signed in under the public name.
fn boss_of(server: &TestServer) -> Client {
    server.account("boss", Role::Administrator);
    let boss = server.anyone().header("host", "login.example.org");
    boss.sign_in("boss", PASSWORD).expect(303);
    boss
}

fn ask(client: &Client, headers: &[(&str, &str)]) -> u16 {
    client
        .send(Method::GET, "/api/authz/auth-request", None, headers)
        .status()
}

fn nginx(client: &Client, host: &str) -> u16 {
    let url = format!("https://{host}.example.org/");
    let headers = [
        ("x-original-url", url.as_str()),
        ("x-original-method", "GET"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    ask(client, &headers)
}

#[test]
fn the_last_question_about_an_application_is_shown_with_who_asked_and_how() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let boss = server.admin("boss");
        let shown = |path: &str| boss.get(path).expect(200).text().to_owned();
        assert!(shown("/admin/applications").contains("never"), "{backend:?}");
        assert_eq!(nginx(&server.anyone(), "wiki"), 401);
        for path in ["/admin/applications", "/admin/applications/wiki"] {
            let page = shown(path);
            assert!(page.contains("from 127.0.0.1 (nginx)"), "{backend:?} {path}");
            assert!(
                !page.contains("is missing") && !page.contains("Requests that matched no application"),
                "{backend:?} {path}"
            );
        }
        // Without the client's address every request seems to come from the proxy, which nothing
        // else would show.
        server.advance(1);
        let without = [
            ("x-original-url", "https://wiki.example.org/"),
            ("x-original-method", "GET"),
        ];
        assert_eq!(ask(&server.anyone(), &without), 401);
        assert!(
            shown("/admin/applications/wiki").contains("X-Forwarded-For: the header is missing"),
            "{backend:?}"
        );
        // Another proxy of the same second is noted too.
        let caddy = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "wiki.example.org"),
            ("x-forwarded-uri", "/"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        let answer = server
            .anyone()
            .send(Method::GET, "/api/authz/forward-auth", None, &caddy);
        assert_eq!(answer.status(), 302, "{backend:?}");
        let page = shown("/admin/applications");
        assert!(page.contains("from 127.0.0.1 (Traefik or Caddy)"), "{backend:?}");
        assert!(!page.contains("is missing"), "{backend:?}");
    }
}

#[test]
fn refused_questions_are_shown_with_what_would_mend_them_until_they_are_mended() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let boss = server.admin("boss");
        let shown = |path: &str| boss.get(path).expect(200).text().to_owned();
        let proxy = server.anyone();
        assert_eq!(nginx(&proxy, "docs"), 403);
        assert_eq!(nginx(&proxy.thief().from("127.0.0.2"), "wiki"), 403);
        assert_eq!(ask(&proxy, &[("x-original-method", "GET"), ("host", "elsewhere")]), 400);
        assert_eq!(
            ask(&proxy, &[("x-original-method", "GET"), ("host", "wiki.example.org")]),
            400
        );
        let list = shown("/admin/applications");
        for words in [
            "Requests arrived for docs.example.org, but no application has this host.",
            "add 127.0.0.2 to NIGHTLATCH_TRUSTED_PROXIES",
            "A request from 127.0.0.1 could not be read: X-Original-URL: the header is missing.",
            "add proxy_set_header X-Original-URL $scheme://$http_host$request_uri;",
        ] {
            assert!(list.contains(words), "{backend:?}: {words}");
        }
        let unreadable = "from 127.0.0.1: X-Original-URL: the header is missing";
        assert!(shown("/admin/applications/wiki").contains(unreadable), "{backend:?}");
        protect(&server, "docs");
        assert!(
            !shown("/admin/applications").contains("no application has this host"),
            "{backend:?}"
        );
        server.advance(8 * 24 * 3600);
        let boss = server.signed_in("boss");
        assert_eq!(nginx(&proxy, "wiki"), 401);
        let list = boss.get("/admin/applications").expect(200);
        assert!(
            !list.page().shows("Requests that matched no application"),
            "{backend:?}: told for a week"
        );
        assert!(list.page().shows("from 127.0.0.1 (nginx)"), "{backend:?}");
    }
}

#[test]
fn invented_hosts_fill_neither_memory_nor_table() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let boss = server.admin("boss");
        for host in 0..100 {
            assert_eq!(nginx(&server.anyone(), &format!("h{host}")), 403);
        }
        let list = boss.get("/admin/applications").expect(200);
        let told = list.text().matches("no application has this host").count();
        assert!((1..=20).contains(&told), "{backend:?}: {told}");
    }
}

#[test]
fn requests_seen_by_one_server_are_shown_by_another_and_deleted_with_their_application() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        // SQLite has one server at a time: the second one finds what the first wrote when it
        // stopped.
        let first = server(backend);
        assert_eq!(nginx(&first.anyone(), "wiki"), 401);
        let database = first.database.clone();
        first.stop();
        let second = TestServer::beside(&database).start();
        let boss = second.admin("boss");
        let list = || boss.get("/admin/applications").expect(200).text().to_owned();
        assert!(list().contains("from 127.0.0.1 (nginx)"), "{backend:?}");
        let operator = operator();
        let deleted = applications::delete(&second.ctx, &operator, "wiki");
        assert_eq!(second.run(deleted).unwrap(), ApplicationOutcome::Done);
        protect(&second, "wiki");
        assert!(list().contains("never"), "{backend:?}");
    }
}

#[test]
fn the_checklist_asks_for_a_question_of_each_application() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
            .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
            .start();
        let boss = boss_of(&server);
        let overview = || boss.get("/admin").expect(200).text().to_owned();
        assert!(
            !overview().contains("requests no decisions"),
            "{backend:?}: nothing is protected"
        );
        assert!(overview().contains("No applications yet"), "{backend:?}");
        protect(&server, "wiki");
        let open = overview();
        assert!(open.contains("No proxy has sent a request yet"), "{backend:?}");
        assert!(open.contains("No request has arrived for wiki yet"), "{backend:?}");
        assert!(
            open.contains("<strong>The proxy of some applications requests no decisions</strong>"),
            "{backend:?}: {open}"
        );
        assert_eq!(nginx(&server.anyone(), "wiki"), 401);
        let asked = overview();
        assert!(!asked.contains("No request has arrived"), "{backend:?}");
        assert!(
            asked.contains("<strong>Proxy 127.0.0.1 (nginx)</strong>"),
            "{backend:?}: {asked}"
        );
        assert!(asked.contains("for wiki."), "{backend:?}");
        assert!(!asked.contains("Requests that matched no application"), "{backend:?}");
        assert_eq!(nginx(&server.anyone(), "docs"), 403);
        assert!(
            overview().contains("<strong>Requests that matched no application</strong>"),
            "{backend:?}"
        );
    }
}

#[test]
fn an_application_beyond_the_cookie_is_handed_sessions_over_which_is_no_fault() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
            .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
            .start();
        let boss = boss_of(&server);
        let overview = || boss.get("/admin").expect(200).text().to_owned();
        protect(&server, "wiki");
        let reached = "<strong>The cookie reaches each application&#39;s hosts</strong>";
        assert!(overview().contains(reached), "{backend:?}");
        let elsewhere = ApplicationChange {
            hosts: Some(vec!["shop.other.org".to_owned()]),
            ..ApplicationChange::default()
        };
        let operator = operator();
        let made = applications::create(&server.ctx, &operator, "shop", elsewhere);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
        let handed = overview();
        assert!(!handed.contains(reached), "{backend:?}");
        let (done, _) = handed
            .split_once("<strong>Sessions are handed over to hosts that the cookie does not reach</strong>")
            .expect("it is said");
        let signs = [done.rfind("Done:"), done.rfind("Open:")];
        assert!(signs[0] > signs[1], "{backend:?}: done");
    }
}
