//! A live session that has not proved what the policy requires: it does not end, and can only open
//! the page where the duty is met, sign out, and load static files.

use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestServer, operator},
};
use nightlatch::{
    domain::{account::Role, policy::Scope},
    flows::{
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
    },
};
use reqwest::Method;
use serde_json::json;

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

fn server(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    for name in ["wiki", "shop"] {
        let change = ApplicationChange {
            hosts: Some(vec![format!("{name}.example.org")]),
            ..ApplicationChange::default()
        };
        let operator = operator();
        let made = applications::create(&server.ctx, &operator, name, change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    }
    server
}

fn program(client: &Client, path: &str) -> Answer {
    client.thief().header("accept", "application/json").get(path)
}

fn nginx(client: &Client, host: &str) -> Answer {
    let url = format!("https://{host}/page?x=1");
    let headers = [("x-original-url", url.as_str()), ("x-original-method", "GET")];
    client.send(Method::GET, "/api/authz/auth-request", None, &headers)
}

fn caddy(client: &Client, host: &str) -> Answer {
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", host),
        ("x-forwarded-uri", "/page?x=1"),
        ("x-forwarded-method", "GET"),
    ];
    client.send(Method::GET, "/api/authz/forward-auth", None, &headers)
}

#[test]
fn a_save_governs_live_sessions_at_once_and_signs_nobody_out() {
    for backend in BOTH {
        let server = server(backend);
        let ada = server.member("ada");
        ada.get("/").expect(200);
        nginx(&ada, "wiki.example.org").expect(200);
        server.policy(&[("factor.required", "any")]);
        let asked = ada.get("/?a=1&b=2").expect(303);
        assert_eq!(asked.location(), "/factor?return_to=%2F%3Fa%3D1%26b%3D2", "{backend:?}");
        assert_eq!(
            ada.get("/password").expect(303).location(),
            "/factor?return_to=%2Fpassword"
        );
        assert_eq!(ada.post("/password", &[]).expect(303).location(), "/factor");
        let refused = program(&ada, "/").expect(401).json();
        assert_eq!(refused["code"], "factor", "{backend:?}");
        let status = ada.get("/nightlatch/session").expect(200).json();
        assert_eq!((&status["state"], &status["duty"]), (&json!("live"), &json!("factor")));
        let touch = ada.post_json("/nightlatch/session/touch", &json!({}), &[]).expect(401);
        assert_eq!(touch.json()["code"], "factor");
        ada.get("/static/app.css").expect(200);
        server.policy(&[("factor.required", "off")]);
        ada.get("/").expect(200);
        assert_eq!(
            ada.get("/nightlatch/session").json()["duty"],
            json!(null),
            "{backend:?}"
        );
        server.policy(&[("factor.required", "passkey")]);
        ada.post("/logout", &[]).expect(303);
        assert_eq!(program(&ada, "/").expect(401).json()["code"], "sign_in", "{backend:?}");
    }
}

#[test]
fn proxies_get_the_address_where_the_factor_is_proved() {
    for backend in BOTH {
        let server = server(backend);
        let ada = server.member("ada");
        server.policy(&[("factor.required", "any")]);
        let page = format!(
            "{}/factor?return_to=https%3A%2F%2Fwiki.example.org%2Fpage%3Fx%3D1",
            server.base
        );
        let by_nginx = nginx(&ada, "wiki.example.org").expect(401);
        let by_caddy = caddy(&ada, "wiki.example.org").expect(302);
        for answer in [by_nginx, by_caddy] {
            assert_eq!(answer.location(), page, "{backend:?}");
            assert_eq!(answer.header("x-nightlatch-reason"), Some("factor"));
            assert_eq!(answer.header("remote-user"), None);
        }
    }
}

#[test]
fn an_application_requires_a_factor_of_its_own_visitors_alone() {
    for backend in BOTH {
        let server = server(backend);
        let ada = server.member("ada");
        for host in ["wiki.example.org", "shop.example.org"] {
            nginx(&ada, host).expect(200);
        }
        server.policy_in(&Scope::Application("wiki".to_owned()), &[("factor.required", "any")]);
        let refused = nginx(&ada, "wiki.example.org").expect(401);
        assert_eq!(refused.header("x-nightlatch-reason"), Some("factor"), "{backend:?}");
        nginx(&ada, "shop.example.org").expect(200);
        ada.get("/").expect(200);
        let bob = server.member("bob");
        nginx(&bob, "wiki.example.org").expect(401);
        nginx(&bob, "shop.example.org").expect(200);
    }
}

#[test]
fn administrators_can_be_asked_for_more_than_everyone() {
    for backend in BOTH {
        let server = server(backend);
        let (ada, boss) = (server.member("ada"), server.admin("boss"));
        server.policy_in(&Scope::Administrators, &[("factor.required", "any")]);
        ada.get("/").expect(200);
        assert_eq!(
            boss.get("/admin/policy").expect(303).location(),
            "/factor?return_to=%2Fadmin%2Fpolicy",
            "{backend:?}"
        );
    }
}

#[test]
fn a_password_change_comes_before_the_factor() {
    for backend in BOTH {
        let server = server(backend);
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        server.policy(&[("factor.required", "any")]);
        server.act(id, AccountAction::ForceChange);
        assert_eq!(ada.get("/").expect(303).location(), "/password", "{backend:?}");
        ada.get("/password").expect(200);
        let refused = nginx(&ada, "wiki.example.org").expect(401);
        assert_eq!(refused.header("x-nightlatch-reason"), Some("password_change"));
    }
}

#[test]
fn a_grace_period_lets_people_in_up_to_its_last_instant() {
    for backend in BOTH {
        let server = server(backend);
        server.policy(&[("factor.required", "any"), ("factor.enrolment_grace", "1 hour")]);
        let ada = server.member("ada");
        ada.get("/").expect(200);
        nginx(&ada, "wiki.example.org").expect(200);
        server.policy(&[("factor.enrolment_grace", "0")]);
        ada.get("/").expect(303);
    }
}

#[test]
fn lists_show_what_was_proved_and_who_has_no_second_factor() {
    for backend in BOTH {
        let server = server(backend);
        server.member("ada");
        server.member("grace");
        let sql = "UPDATE accounts SET authenticator_app = TRUE, recovery_codes = 9 WHERE name = 'grace'";
        server.database.sql(sql);
        let boss = server.admin("boss");
        let sessions = boss.get("/admin/sessions").expect(200).page();
        let ada = sessions.row("ada");
        assert!(ada.cell("Device").contains("password"), "{backend:?}");
        let session = boss.get(ada.all("td a")[0].attribute("href")).expect(200).page();
        assert!(
            session.shows("password · no second factor"),
            "{backend:?} {}",
            session.text()
        );
        let without = boss.get("/admin/accounts?factor=without").expect(200).page();
        assert!(
            without.find_row("ada").is_some() && without.find_row("boss").is_some(),
            "{backend:?}"
        );
        assert!(without.find_row("grace").is_none());
        let with = boss.get("/admin/accounts?factor=with").expect(200).page();
        assert!(with.find_row("ada").is_none(), "{backend:?}");
        assert_eq!(
            with.row("grace").cell("Second factor"),
            "authenticator app, 9 recovery codes",
            "{backend:?}"
        );
        let unknown = boss.get("/admin/accounts?factor=maybe").expect(200).page();
        assert!(unknown.fault("factor").is_some(), "{backend:?}");
    }
}
