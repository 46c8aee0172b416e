//! `/nightlatch/…`: what each request is answered, what it refreshes, and how it is refused.

use crate::{
    harness::{
        client::{Answer, Client, http_client},
        server::{Backend, PASSWORD, TestServer, eventually},
    },
    pages::kit::filled,
};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction, http::routes};
use reqwest::Method;
use serde_json::{Value, json};

const POSTS: [&str; 6] = ["touch", "heartbeat", "login", "factor", "factor/options", "logout"];

fn status(client: &Client) -> Value {
    client.get("/nightlatch/session").expect(200).json()
}

fn post(client: &Client, what: &str, body: &Value) -> Answer {
    client.post_json(&format!("/nightlatch/session/{what}"), body, &[])
}

fn sign_in(client: &Client, name: &str, password: &str) -> Answer {
    post(client, "login", &json!({ "username": name, "password": password }))
}

#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
    assert_eq!(answer.json()["status"], status);
    answer
}

#[test]
fn the_session_is_reported_as_judged_and_a_query_refreshes_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "10m")]);
        let ada = server.member("ada");
        let first = ada.get("/nightlatch/session").expect(200);
        assert_eq!(first.header("cache-control"), Some("no-store"));
        assert_eq!(first.cookies(), Vec::<String>::new());
        let expected = json!({
            "state": "live", "user": "ada", "ends_in": 600.0, "ends_by": "idle", "idle_ends_in": 600.0, "warn_at": 120.0,
            "heartbeat_every": null, "duty": null, "reason": null, "message": null, "may_enter": true,
            "login_url": "/login", "password_url": "/password",
        });
        assert_eq!(first.json(), expected, "{backend:?}");
        server.advance(479);
        assert_eq!(status(&ada)["state"], "live", "{backend:?}");
        server.advance(1);
        assert_eq!(
            (&status(&ada)["state"], &status(&ada)["ends_in"]),
            (&json!("warning"), &json!(120.0))
        );
        server.advance(120);
        assert_eq!(status(&ada)["ends_in"], 0.0, "valid at the very instant, {backend:?}");
        server.advance(1);
        let over = status(&ada);
        assert_eq!(
            (&over["state"], &over["reason"]),
            (&json!("ended"), &json!("idle")),
            "{backend:?}"
        );
        assert_eq!((&over["user"], &over["ends_in"]), (&Value::Null, &Value::Null));
        assert!(over["message"].as_str().unwrap().contains("inactivity"));
        assert_eq!(status(&server.anyone())["state"], "anonymous");
    }
}

#[test]
fn asking_costs_no_database_call() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        assert_eq!(status(&ada)["state"], "live");
        eventually("the line is alive", || server.ctx.live.freshness.is_fresh());
        let before = server.ctx.store.calls();
        for _ in 0..300 {
            status(&ada);
        }
        let asked = server.ctx.store.calls() - before;
        assert!(asked < 100, "{backend:?}: {asked} calls");
    }
}

#[test]
fn real_input_refreshes_idle_time_whatever_counts_as_activity() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for counts in ["every_request", "navigation", "interaction"] {
            let server = TestServer::on(backend).start();
            server.policy(&[("auth.idle_session_timeout", "10m"), ("activity.counts", counts)]);
            let ada = server.member("ada");
            server.advance(300);
            assert_eq!(status(&ada)["ends_in"], 300.0, "{counts}");
            let touched = post(&ada, "touch", &json!({})).expect(200);
            assert_eq!(touched.json()["ends_in"], 600.0, "{backend:?} {counts}");
            server.advance(600);
            assert_eq!(status(&ada)["state"], "warning", "{counts}");
            server.advance(1);
            refused(post(&ada, "touch", &json!({})), 401, "idle");
            assert_eq!(status(&ada)["state"], "ended", "{counts}");
        }
    }
}

#[test]
fn a_heartbeat_refreshes_the_window_and_nothing_else() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "0")]);
        let ada = server.member("ada");
        assert_eq!(status(&ada)["heartbeat_every"], 20.0);
        for _ in 0..4 {
            server.advance(170);
            let beat = post(&ada, "heartbeat", &json!({})).expect(200).json();
            assert_eq!(
                (&beat["ends_in"], &beat["ends_by"]),
                (&json!(180.0), &json!("window_closed"))
            );
            assert_eq!(beat["warn_at"], Value::Null, "a closed window is nobody to warn");
        }
        server.advance(100);
        assert_eq!(status(&ada)["ends_in"], 80.0, "asking is no sign of life, {backend:?}");
        server.advance(81);
        refused(post(&ada, "heartbeat", &json!({})), 401, "window_closed");

        server.policy(&[("auth.idle_session_timeout", "10m")]);
        let ada = server.signed_in("ada");
        server.advance(500);
        let beat = post(&ada, "heartbeat", &json!({})).expect(200).json();
        assert_eq!(
            (&beat["ends_in"], &beat["ends_by"]),
            (&json!(100.0), &json!("idle")),
            "{backend:?}"
        );
        server.advance(101);
        refused(post(&ada, "heartbeat", &json!({})), 401, "idle");
    }
}

#[test]
fn an_end_that_nothing_puts_off_is_named_and_stays_where_it_is() {
    let server = TestServer::start();
    server.policy(&[("session.ttl", "1h"), ("auth.idle_session_timeout", "50m")]);
    let ada = server.member("ada");
    server.advance(2990);
    let touched = post(&ada, "touch", &json!({})).expect(200).json();
    assert_eq!(
        (&touched["ends_in"], &touched["ends_by"]),
        (&json!(610.0), &json!("ttl"))
    );
    server.advance(490);
    let told = post(&ada, "touch", &json!({})).expect(200).json();
    assert_eq!((&told["state"], &told["ends_in"]), (&json!("warning"), &json!(120.0)));
}

#[test]
fn only_json_is_taken_and_nothing_of_it_is_echoed() {
    let server = TestServer::start();
    let ada = server.member("ada");
    for what in POSTS {
        let path = format!("/nightlatch/session/{what}");
        let form: &[(&str, &str)] = &[("username", "ada"), ("password", PASSWORD)];
        refused(
            ada.send(Method::POST, &path, Some(form), &[]),
            415,
            "unsupported_media_type",
        );
        refused(ada.send(Method::POST, &path, None, &[]), 415, "unsupported_media_type");
        let text = [("content-type", "text/plain")];
        refused(
            ada.send(Method::POST, &path, None, &text),
            415,
            "unsupported_media_type",
        );
        refused(ada.post_json(&path, &json!("a secret"), &[]), 400, "bad_request");
    }
    let odd = post(
        &ada,
        "login",
        &json!({ "username": "ada", "password": { "secret": "tulip" } }),
    );
    assert!(!refused(odd, 400, "bad_request").text().contains("tulip"));
    assert_eq!(status(&ada)["state"], "live");
}

#[test]
fn another_site_can_do_nothing_with_it() {
    let server = TestServer::start();
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    let ada = server.member("ada");
    server.advance(300);
    let before = server.events();
    for what in POSTS {
        for headers in [
            [("sec-fetch-site", "cross-site")],
            [("sec-fetch-site", "same-site")],
            [("origin", "null")],
        ] {
            let body = json!({ "username": "ada", "password": PASSWORD });
            let answer = ada.post_json(&format!("/nightlatch/session/{what}"), &body, &headers);
            assert_eq!(refused(answer, 403, "cross_site").cookies(), Vec::<String>::new());
        }
        // A link or an image elsewhere: not a method that does anything.
        ada.get(&format!("/nightlatch/session/{what}")).expect(405);
    }
    // One entry a minute and network; the others are counted.
    assert_eq!(server.events()[before.len()..], ["access.denied cross_site"]);
    assert_eq!(status(&ada)["ends_in"], 300.0, "nothing was refreshed");
    let open = ada.send(
        Method::GET,
        "/nightlatch/session",
        None,
        &[("origin", "https://evil.example")],
    );
    assert_eq!(open.header("access-control-allow-origin"), None);
    // Nor is it a page, or a part of one.
    for dest in ["document", "iframe", "script"] {
        let opened = ada.send(Method::GET, "/nightlatch/session", None, &[("sec-fetch-dest", dest)]);
        assert_eq!(opened.status(), 403, "{dest}");
    }
    ada.send(Method::GET, "/nightlatch/session", None, &[("sec-fetch-dest", "empty")])
        .expect(200);
}

#[test]
fn endpoints_of_the_guard_never_redirect() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let id = server.account("newcomer", Role::Member);
    let newcomer = server.signed_in("newcomer");
    server.act(id, AccountAction::ForceChange);
    let gone = server.account("gone", Role::Member);
    let ended = server.signed_in("gone");
    server.act(gone, AccountAction::EndSessions);
    refused(post(&ended, "touch", &json!({})), 401, "revoked");
    for (visit, client) in [
        ("anonymous", &server.anyone()),
        ("pending", &newcomer),
        ("ended", &ended),
        ("administrator", &boss),
    ] {
        for route in routes()
            .iter()
            .filter(|route| route.path.starts_with("/nightlatch/session"))
            // A stream has no end: `events` has its own tests.
            .filter(|route| !route.path.ends_with("/events") || ["anonymous", "ended"].contains(&visit))
        {
            let answer = match route.method == "GET" {
                true => client.get(&filled(route)),
                false => client.post_json(route.path, &json!({}), &[]),
            };
            let expected: &[u16] = match (route.path.rsplit('/').next().unwrap(), visit) {
                ("touch" | "heartbeat", "administrator") => &[200],
                ("touch" | "heartbeat" | "events", _) => &[401],
                ("login" | "factor", _) => &[400],
                (_, _) => &[200],
            };
            assert!(
                expected.contains(&answer.status()),
                "{visit} {}: {}",
                route.path,
                answer.status()
            );
            assert_eq!(answer.location(), "", "{visit} {}", route.path);
            assert_eq!(
                answer.header("cache-control"),
                Some("no-store"),
                "{visit} {}",
                route.path
            );
            assert!(
                answer.header("content-type").unwrap().contains("json"),
                "{visit} {}",
                route.path
            );
        }
    }
    refused(post(&server.anyone(), "touch", &json!({})), 401, "sign_in");
    refused(server.anyone().get("/nightlatch/nowhere"), 404, "not_found");
}

#[test]
fn signing_in_again_in_place_opens_a_session_and_replaces_the_old_one() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "10m")]);
        let ada = server.member("ada");
        let thief = ada.thief();
        let in_place = sign_in(&ada, "ADA ", PASSWORD).expect(200);
        assert_eq!(in_place.json(), json!({ "user": "ada" }));
        assert_eq!(in_place.header("cache-control"), Some("no-store"));
        assert!(!in_place.text().contains(&ada.cookie("nightlatch").unwrap()));
        assert_eq!(status(&ada)["state"], "live");
        assert_eq!(status(&thief)["reason"], "signed_out", "{backend:?}");
        server.advance(601);
        assert_eq!(status(&ada)["state"], "ended");
        sign_in(&ada, "ada", PASSWORD).expect(200);
        ada.get("/").expect(200);
        sign_in(&server.anyone(), "ada", PASSWORD).expect(200);
    }
}

#[test]
fn refused_sign_ins_come_as_codes_with_the_words_of_the_page() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("boss", Role::Administrator);
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_lock_out_by_combination_user_and_ip", "true"),
            ("auth.login_failure_limit", "2"),
        ]);
        for (name, act, code) in [
            ("disabled", AccountAction::Disable, "account_disabled"),
            ("expired", AccountAction::ExpireNow, "account_expired"),
        ] {
            let id = server.account(name, Role::Member);
            server.act(id, act);
            refused(sign_in(&server.anyone(), name, PASSWORD), 403, code);
            refused(sign_in(&server.anyone(), name, "wrong"), 401, "credentials");
        }
        for name in ["ada", "nobody"] {
            if name == "ada" {
                server.account(name, Role::Member);
            }
            let client = server.anyone();
            let wrong = refused(sign_in(&client, name, "wrong"), 401, "credentials");
            assert_eq!(wrong.json()["detail"], "Username or password is wrong.");
            assert_eq!(wrong.cookies(), Vec::<String>::new());
            refused(sign_in(&client, name, "wrong"), 429, "locked");
            server.advance(60);
            let locked = refused(sign_in(&client, name, PASSWORD), 429, "locked");
            assert_eq!(locked.header("retry-after"), Some("840"));
            assert_eq!(locked.json()["retry_after"], 840);
            assert_eq!(
                locked.json()["detail"],
                "Too many attempts. Try again in 14 minutes.",
                "{backend:?}"
            );
        }
        server.policy(&[("auth.login_cooloff_time", "never")]);
        refused(sign_in(&server.anyone(), "ada", PASSWORD), 403, "locked");
    }
}

#[test]
fn a_required_password_change_is_shown_with_its_link() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let open = server.signed_in("ada");
        server.act(id, AccountAction::ForceChange);
        assert_eq!(status(&open)["duty"], "password_change");
        refused(post(&open, "touch", &json!({})), 401, "password_change");
        let ada = server.anyone();
        let told = refused(sign_in(&ada, "ada", PASSWORD), 409, "password_change");
        assert_eq!(told.json()["location"], "/password");
        ada.get("/").expect(303);
        let new = "three quiet lanterns";
        let form = [
            ("current_password", PASSWORD),
            ("new_password", new),
            ("new_password_again", new),
        ];
        ada.post("/password", &form).expect(303);
        let after = status(&ada);
        assert_eq!(
            (&after["state"], &after["duty"]),
            (&json!("live"), &Value::Null),
            "{backend:?}"
        );
    }
}

#[test]
fn signing_out_in_place_ends_the_session_for_good() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let thief = ada.thief();
        let out = post(&ada, "logout", &json!({})).expect(200);
        assert_eq!(out.json(), json!({ "location": "/login" }));
        assert_eq!(out.header("clear-site-data"), Some("\"cache\", \"storage\""));
        assert_eq!(ada.cookie("nightlatch"), None);
        assert_eq!(status(&thief)["reason"], "signed_out", "{backend:?}");
        post(&ada, "logout", &json!({})).expect(200);
    }
}

#[test]
fn a_new_id_reaches_the_browser_with_the_guards_own_question() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1/32")
        .start();
    server.account("ada", Role::Member);
    let ada = server.anyone().header("x-forwarded-for", "198.51.100.7");
    ada.sign_in("ada", PASSWORD).expect(303);
    let before = ada.cookie("nightlatch");
    let ada = ada.header("x-forwarded-for", "203.0.113.9");
    assert_eq!(status(&ada)["state"], "live");
    assert_ne!(ada.cookie("nightlatch"), before, "rotated");
    assert_eq!(status(&ada)["state"], "live");
}

#[test]
fn two_different_cookies_are_nobody() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let planted = format!("{}; nightlatch=other", ada.cookie_header());
    let answer = ada.send(Method::GET, "/nightlatch/session", None, &[("cookie", &planted)]);
    assert_eq!(
        answer.expect(200).json()["state"],
        "live",
        "no key of ours signed the other one"
    );
    let two = format!("{}; {}", ada.cookie_header(), server.member("bob").cookie_header());
    let answer = ada.send(Method::GET, "/nightlatch/session", None, &[("cookie", &two)]);
    assert_eq!(answer.expect(200).json()["state"], "anonymous");
}

#[test]
fn the_script_is_small_kept_with_revalidation_and_knows_nobody() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let script = ada.get("/nightlatch/guard.js").expect(200);
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("cache-control"), Some("no-cache"));
    assert_eq!(script.cookies(), Vec::<String>::new());
    let etag = script.header("etag").unwrap();
    let again = ada.send(Method::GET, "/nightlatch/guard.js", None, &[("if-none-match", etag)]);
    again.expect(304);
    for inline in [".style", "innerHTML", "eval(", "import ", "http:", "https:"] {
        assert!(!script.text().contains(inline), "{inline}");
    }
    let packed = http_client()
        .build()
        .unwrap()
        .get(format!("{}/nightlatch/guard.js", server.base))
        .header("accept-encoding", "gzip")
        .send()
        .unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let bytes = packed.bytes().unwrap().len();
    assert!(bytes < 14 * 1024, "{bytes} bytes");
}

#[test]
fn every_signed_in_page_includes_the_guard_and_no_other_page_does() {
    let server = TestServer::start();
    let ada = server.admin("ada & <co>");
    for path in ["/", "/password", "/admin", "/admin/policy", "/admin/accounts/new"] {
        let page = ada.get(path).expect(200);
        assert!(page.text().contains("/static/guard."), "{path}");
        assert!(
            page.text().contains("data-user=\"ada &#38; &#60;co&#62;\""),
            "{path}: the name as text"
        );
    }
    for path in ["/login", "/nowhere"] {
        assert!(!server.anyone().get(path).text().contains("guard."), "{path}");
    }
}
