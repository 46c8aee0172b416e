//! A session is offered to be bound, is bound, and stays usable for as long as its device proves
//! itself.

use super::kit::{Bound, DEVICE, LOGIN, admitted, browser, refused, server};
use crate::harness::{
    device::{REFRESH, SoftDevice, challenged, offered},
    server::{Backend, PASSWORD, TestServer, operator},
};
use nightlatch::{
    domain::account::Role,
    flows::applications::{self, ApplicationChange, ApplicationOutcome},
};
use reqwest::Method;
use serde_json::json;

#[test]
fn a_session_is_bound_at_its_sign_in() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let client = browser(&server);
        let signed_in = client.sign_in("ada", PASSWORD).expect(303);
        let device = SoftDevice::new();
        assert!(offered(&client.get("/nightlatch/session")).is_some(), "a second offer");
        let bound = device.register(&client, &signed_in).expect(200);
        let (_, id) = challenged(&bound);
        let described = json!({
            "session_identifier": id,
            "refresh_url": REFRESH,
            "scope": {
                "include_site": false,
                "scope_specification": [{ "type": "exclude", "domain": LOGIN, "path": "/nightlatch/device" }],
            },
            "allowed_refresh_initiators": ["*"],
            "credentials": [{
                "type": "cookie",
                "name": DEVICE,
                "attributes": "Path=/; Secure; HttpOnly; SameSite=Lax",
            }],
        });
        assert_eq!(bound.json(), described);
        let cookie = bound
            .cookies()
            .into_iter()
            .find(|line| line.starts_with(DEVICE))
            .unwrap();
        assert!(
            cookie.ends_with("; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        assert_eq!(server.events().last().unwrap(), "device.bound");
        admitted(&client);
        assert_eq!(offered(&client.get("/nightlatch/session")), None, "it is bound");
        let other = SoftDevice::new();
        other.register(&client, &signed_in).expect(404);
    }
}

#[test]
fn copied_cookies_die_with_the_proof_and_the_owners_session_lives() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let mut owner = Bound::sign_in(&server, "ada");
        let thief = owner.client.thief();
        server.advance(600);
        admitted(&thief);
        server.advance(1);
        refused(&thief, "device_unproven");
        owner.refresh();
        admitted(&owner.client);
        refused(&thief, "device_unproven");
        refused(&owner.stolen(), "device_unproven");
        let lost: Vec<_> = server
            .events()
            .into_iter()
            .filter(|event| event.contains("lost"))
            .collect();
        assert_eq!(lost, ["device.lost device_unproven"], "once per address");
        admitted(&owner.client);
    }
}

#[test]
fn a_refresh_needs_no_cookie_of_the_session_and_comes_from_anywhere() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let owner = Bound::sign_in(&server, "ada");
        server.advance(700);
        let bare = browser(&server)
            .header("origin", "https://evil.example")
            .header("sec-fetch-site", "cross-site");
        let asked = owner.device.refresh(&bare, &owner.id, None).expect(403);
        let (challenge, id) = challenged(&asked);
        assert_eq!((id.as_str(), bare.cookie(DEVICE)), (owner.id.as_str(), None));
        let proved = owner.device.refresh(&bare, &owner.id, Some(&challenge)).expect(204);
        assert_eq!(
            proved.header("set-cookie").map(|line| line.starts_with(DEVICE)),
            Some(true)
        );
        owner.client.set_cookie(DEVICE, &bare.cookie(DEVICE).unwrap());
        admitted(&owner.client);
    }
}

#[test]
fn a_challenge_sent_ahead_outlives_the_cookie() {
    let server = server(Backend::Sqlite);
    let mut owner = Bound::sign_in(&server, "ada");
    server.advance(1200);
    owner.refresh();
    server.advance(1201);
    let late = owner
        .device
        .refresh(&owner.client, &owner.id, Some(&owner.challenge))
        .expect(403);
    owner.challenge = challenged(&late).0;
    owner.refresh();
    admitted(&owner.client);
    let refused = server
        .events()
        .iter()
        .any(|event| event.starts_with("device.proof_refused"));
    assert!(!refused, "a late answer is no attack");
}

#[test]
fn with_a_proof_another_network_and_browser_end_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.policy(&[("session.session_validation_mode", "strict")]);
        let owner = Bound::sign_in(&server, "ada");
        let client = owner.client.from("127.0.0.2");
        admitted(&client);
        let client = client.from("127.0.0.3").header("user-agent", "curl/8.0");
        admitted(&client);
        let changed: Vec<_> = server
            .audit()
            .into_iter()
            .filter(|row| row.event.as_str() == "session.network_changed")
            .collect();
        assert!(changed.len() >= 2, "{changed:?}");
        assert!(
            changed.iter().all(|row| row.detail["device_proved"] == true),
            "{changed:?}"
        );
        let thief = client.thief();
        thief.set_cookie(DEVICE, "");
        refused(&thief.from("127.0.0.9"), "device_unproven");
        admitted(&client);
    }
}

#[test]
fn copied_cookies_in_another_network_leave_the_owner_in_the_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.policy(&[("session.device_proof_age", "300")]);
        let mut owner = Bound::sign_in(&server, "ada");
        let thief = owner.client.thief().from("127.0.0.9").header("user-agent", "curl/8.0");
        admitted(&thief);
        assert_eq!(
            thief.cookie("__Host-nightlatch"),
            owner.client.cookie("__Host-nightlatch"),
            "{backend:?}: not rotated"
        );
        // Longer than a replaced token works.
        server.advance(15);
        admitted(&owner.client);
        owner.refresh();
        server.advance(299);
        refused(&thief, "device_unproven");
        admitted(&owner.client);
        assert!(!server.events().iter().any(|event| event.starts_with("session.ended")));
    }
}

#[test]
fn a_requirement_refuses_browsers_that_were_not_bound_within_a_minute() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.policy(&[("session.device_binding", "require")]);
        let plain = browser(&server);
        plain.sign_in("ada", PASSWORD).expect(303);
        let bound = Bound::sign_in(&server, "ada");
        server.advance(60);
        admitted(&plain);
        server.advance(1);
        refused(&plain, "device_unbound");
        let page = plain.get("/login?reason=device_unbound").expect(200);
        assert!(page.text().contains("Chrome and Edge can"), "{}", page.text());
        admitted(&bound.client);
        server.policy(&[("session.device_binding", "offer")]);
        admitted(&plain);
    }
}

#[test]
fn a_sign_in_binds_anew_and_leaves_the_other_session_alone() {
    let server = server(Backend::Sqlite);
    let owner = Bound::sign_in(&server, "ada");
    let lost = owner.stolen();
    let again = lost.sign_in("ada", PASSWORD).expect(303);
    let device = SoftDevice::new();
    device.register(&lost, &again).expect(200);
    admitted(&lost);
    admitted(&owner.client);
}

#[test]
fn nothing_is_offered_over_plain_http_or_if_it_is_off() {
    let plain = TestServer::start();
    plain.account("ada", Role::Member);
    let client = plain.anyone();
    assert_eq!(offered(&client.sign_in("ada", PASSWORD).expect(303)), None);
    assert_eq!(offered(&client.get("/nightlatch/session").expect(200)), None);
    let server = server(Backend::Sqlite);
    server.policy(&[("session.device_binding", "off")]);
    let client = browser(&server);
    assert_eq!(offered(&client.sign_in("ada", PASSWORD).expect(303)), None);
}

#[test]
fn switching_it_off_and_on_again_loses_no_device() {
    let server = server(Backend::Sqlite);
    let mut owner = Bound::sign_in(&server, "ada");
    let thief = owner.stolen();
    server.policy(&[("session.device_binding", "off")]);
    admitted(&thief);
    owner.refresh();
    server.policy(&[("session.device_binding", "offer")]);
    refused(&thief, "device_unproven");
    admitted(&owner.client);
}

#[test]
fn a_session_is_bound_on_the_host_of_an_application_too() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_PUBLIC_URL", &format!("https://{LOGIN}"))
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .start();
        server.account("ada", Role::Member);
        let change = ApplicationChange {
            hosts: Some(vec!["shop.other.test".to_owned()]),
            ..ApplicationChange::default()
        };
        let (operator, ctx) = (operator(), &server.ctx);
        let made = applications::create(ctx, &operator, "shop", change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
        let owner = Bound::sign_in(&server, "ada");
        let shop = server.anyone().header("host", "shop.other.test");
        let start = shop
            .get("/nightlatch/handover/start?return_to=https%3A%2F%2Fshop.other.test%2F")
            .expect(303);
        let issue = owner
            .client
            .get(start.location().strip_prefix("https://login.example.org").unwrap())
            .expect(303);
        let arrival = shop
            .get(issue.location().strip_prefix("https://shop.other.test").unwrap())
            .expect(303);
        let device = SoftDevice::new();
        let bound = device.register(&shop, &arrival).expect(200);
        assert_eq!(
            bound.json()["scope"]["scope_specification"][0]["domain"],
            "shop.other.test"
        );
        let (_, id) = challenged(&bound);
        let asks = |client: &crate::harness::client::Client| {
            let headers = [
                ("x-original-url", "https://shop.other.test/"),
                ("x-original-method", "GET"),
            ];
            client.send(Method::GET, "/api/authz/auth-request", None, &headers)
        };
        asks(&shop).expect(200);
        let thief = shop.thief();
        thief.set_cookie(DEVICE, "");
        let refused = asks(&thief).expect(401);
        assert_eq!(refused.header("x-nightlatch-reason"), Some("device_unproven"));
        assert!(
            refused.location().contains("reason=device_unproven"),
            "{}",
            refused.location()
        );
        // A request that left the browser before it had the proof is sent once more.
        let target = refused.location().to_owned();
        let login = target.strip_prefix("https://login.example.org").unwrap();
        let again = owner.client.get(login).expect(303);
        let handover = "https://shop.other.test/nightlatch/handover/start?return_to=https%3A%2F%2Fshop.other.test%2F";
        assert_eq!(again.location(), handover);
        server.advance(11);
        let lost = owner.client.get(login).expect(200);
        assert!(lost.text().contains("did not prove that it is the one that signed in"));
        // The key of one host proves nothing on another.
        device.refresh(&owner.client, &id, None).expect(404);
        owner.device.refresh(&shop, &owner.id, None).expect(404);
        // Neither does the cookie of our own host, wherever it is presented.
        let own = owner.stolen().header("host", "shop.other.test");
        assert_eq!(
            asks(&own).expect(401).header("x-nightlatch-reason"),
            Some("device_unproven")
        );
        asks(&shop).expect(200);
    }
}

#[test]
fn hosts_that_share_the_cookie_share_one_device_session() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", &format!("https://{LOGIN}"))
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .start();
    server.account("ada", Role::Member);
    let client = browser(&server);
    let signed_in = client.sign_in("ada", PASSWORD).expect(303);
    let bound = SoftDevice::new().register(&client, &signed_in).expect(200);
    let described = bound.json();
    assert_eq!(described["scope"]["origin"], "https://example.org");
    assert_eq!(described["scope"]["include_site"], true);
    assert_eq!(described["credentials"][0]["name"], "__Secure-nightlatch-device");
    let attributes = "Path=/; Secure; HttpOnly; SameSite=Lax; Domain=example.org";
    assert_eq!(described["credentials"][0]["attributes"], attributes);
    assert!(bound.cookies()[0].ends_with(attributes), "{:?}", bound.cookies());
    admitted(&client);
    client.set_cookie("__Secure-nightlatch-device", "");
    refused(&client, "device_unproven");
}
