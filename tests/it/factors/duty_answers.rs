//! What each kind of request is answered while the session has a duty: pages, programs, proxies and
//! the lock screen.

use super::kit::enrol_app;
use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestServer, operator},
};
use nightlatch::{
    domain::account::Role,
    flows::{
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

const PAGE: &str = "https://wiki.example.org/page";

/// A duty, as answers name it.
struct Expected {
    /// The code of JSON and of headers.
    code: &'static str,
    /// The sentence for programs.
    detail: &'static str,
    /// The page on which it is done.
    page: &'static str,
    /// Whether that page's address names where to continue.
    continues: bool,
}

const PASSWORD_CHANGE: Expected = Expected {
    code: "password_change",
    detail: "You must choose a new password first.",
    page: "/password",
    continues: false,
};
const PROVE: Expected = Expected {
    code: "factor",
    detail: "You must prove your second factor first.",
    page: "/factor",
    continues: true,
};
const ENROL: Expected = Expected {
    code: "factor",
    detail: "You must set up a second factor first.",
    page: "/factor",
    continues: true,
};

impl Expected {
    /// Returns the address of its page, with where to continue.
    fn address(&self, return_to: &str) -> String {
        let target = return_to.replace(':', "%3A").replace('/', "%2F");
        match self.continues && !return_to.is_empty() {
            true => format!("{}?return_to={target}", self.page),
            false => self.page.to_owned(),
        }
    }

    #[track_caller]
    fn refuses_program(&self, answer: Answer, login_url: &str) {
        let answer = answer.expect(401);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        let expected = json!({
            "type": "about:blank", "title": "Unauthorized", "status": 401, "code": self.code, "detail": self.detail,
            "login_url": login_url,
        });
        assert_eq!(problem, expected);
    }
}

/// A server behind a proxy at 127.0.0.1, with `wiki` protected.
fn server(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let change = ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "wiki", change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    server
}

/// Makes a live session of a new account, which has the duty from now on.
fn session_with(server: &TestServer, duty: &Expected) -> Client {
    let id = server.account("ada", Role::Member);
    let ada = server.signed_in("ada");
    match duty.detail {
        detail if detail == PASSWORD_CHANGE.detail => {
            server.act(id, AccountAction::ForceChange);
        }
        detail if detail == PROVE.detail => {
            enrol_app(server, &server.signed_in("ada"));
            server.policy(&[("factor.required", "any")]);
        }
        _ => server.policy(&[("factor.required", "any")]),
    }
    ada
}

const PROGRAM: (&str, &str) = ("accept", "application/json");

/// Asks as Caddy does, for a request of this method.
fn caddy(client: &Client, method: &str, more: &[(&str, &str)]) -> Answer {
    let mut headers = vec![
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "wiki.example.org"),
        ("x-forwarded-uri", "/page"),
        ("x-forwarded-method", method),
    ];
    headers.extend_from_slice(more);
    client.send(Method::GET, "/api/authz/forward-auth", None, &headers)
}

/// Asks as nginx does.
fn nginx(client: &Client) -> Answer {
    let headers = [("x-original-url", PAGE), ("x-original-method", "GET")];
    client.send(Method::GET, "/api/authz/auth-request", None, &headers)
}

/// Asks as Envoy does.
fn envoy(client: &Client, more: &[(&str, &str)]) -> Answer {
    let mut headers = vec![("x-forwarded-proto", "https"), ("host", "wiki.example.org")];
    headers.extend_from_slice(more);
    client.send(Method::GET, "/api/authz/ext-authz/page", None, &headers)
}

fn check_own_pages(client: &Client, duty: &Expected) {
    let led = client.get("/history").expect(303);
    assert_eq!(led.location(), duty.address("/history"));
    let sent = client.post("/sessions/end-others", &[]).expect(303);
    assert_eq!(sent.location(), duty.address(""), "a form cannot be repeated");
    let program = |method, path| client.send(method, path, None, &[PROGRAM]);
    duty.refuses_program(program(Method::GET, "/history"), &duty.address("/history"));
    duty.refuses_program(program(Method::POST, "/sessions/end-others"), &duty.address(""));
    client.get("/static/app.css").expect(200);
    client.get(duty.page).expect(200);
}

fn check_proxies(server: &TestServer, client: &Client, duty: &Expected) {
    let page = format!("{}{}", server.base, duty.address(PAGE));
    let form = format!("{}{}", server.base, duty.address(""));
    let reason = |answer: &Answer| answer.header("x-nightlatch-reason").unwrap_or_default().to_owned();
    for answer in [caddy(client, "GET", &[]), envoy(client, &[])] {
        let answer = answer.expect(302);
        assert_eq!(
            (answer.location(), reason(&answer)),
            (page.as_str(), duty.code.to_owned())
        );
        assert_eq!(answer.text(), "");
    }
    let answer = caddy(client, "POST", &[]).expect(303);
    assert_eq!(
        (answer.location(), reason(&answer)),
        (form.as_str(), duty.code.to_owned())
    );
    let fetch = [PROGRAM, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    for answer in [nginx(client), caddy(client, "GET", &fetch), envoy(client, &fetch)] {
        assert_eq!(
            (answer.location(), reason(&answer)),
            (page.as_str(), duty.code.to_owned())
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.cookies(), Vec::<String>::new());
        duty.refuses_program(answer, &page);
    }
    let answer = caddy(client, "POST", &fetch).expect(401);
    assert_eq!(
        (answer.location(), reason(&answer)),
        (form.as_str(), duty.code.to_owned())
    );
    duty.refuses_program(answer, &form);
}

fn check_lock_screen(client: &Client, duty: &Expected) {
    let status = client.get("/nightlatch/session").expect(200).json();
    assert_eq!((&status["state"], &status["duty"]), (&json!("live"), &json!(duty.code)));
    let factor_url = match duty.code {
        "factor" => json!("/factor"),
        _ => Value::Null,
    };
    assert_eq!(status["factor_url"], factor_url);
    let methods = match duty.detail {
        detail if detail == PROVE.detail => json!(["totp", "recovery"]),
        _ => Value::Null,
    };
    assert_eq!(status["methods"], methods);
    for sign in ["touch", "heartbeat"] {
        let answer = client.post_json(&format!("/nightlatch/session/{sign}"), &json!({}), &[]);
        duty.refuses_program(answer, &duty.address(""));
    }
}

#[test]
fn every_kind_of_request_is_told_the_duty() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for duty in [PASSWORD_CHANGE, PROVE, ENROL] {
            let server = server(backend);
            let ada = session_with(&server, &duty);
            check_own_pages(&ada, &duty);
            check_proxies(&server, &ada, &duty);
            check_lock_screen(&ada, &duty);
        }
    }
}
