//! What must not bind, prove or relax anything: other keys, other sessions, old challenges, late
//! registrations, forged headers.

use super::kit::{Bound, DEVICE, admitted, browser, refused, server};
use crate::harness::{
    device::{REFRESH, START, SoftDevice, challenged, offered},
    server::{Backend, PASSWORD},
};
use nightlatch::domain::account::Role;
use reqwest::Method;

#[test]
fn another_key_proves_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let mut owner = Bound::sign_in(&server, "ada");
        let other = SoftDevice::new();
        for answer in [
            other.proof(&owner.challenge),
            other.registration(&owner.challenge),
            "a.b.c".to_owned(),
        ] {
            let headers = [
                ("sec-secure-session-id", owner.id.as_str()),
                ("secure-session-response", answer.as_str()),
            ];
            let refused = browser(&server).send(Method::POST, REFRESH, None, &headers).expect(403);
            assert!(refused.cookies().is_empty(), "{:?}", refused.cookies());
            assert_eq!(server.events().last().unwrap(), "device.proof_refused signature");
        }
        owner.refresh();
        admitted(&owner.client);
    }
}

#[test]
fn a_challenge_is_answered_once() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let mut owner = Bound::sign_in(&server, "ada");
        let used = owner.challenge.clone();
        // A second one of the same age.
        let (other, _) = challenged(&owner.device.refresh(&owner.client, &owner.id, None).expect(403));
        owner.refresh();
        for challenge in [used.as_str(), other.as_str(), "made up"] {
            let again = owner
                .device
                .refresh(&browser(&server), &owner.id, Some(challenge))
                .expect(403);
            assert!(again.cookies().is_empty(), "{challenge}");
        }
        assert_eq!(server.events().last().unwrap(), "device.proof_refused challenge");
        owner.refresh();
    }
}

#[test]
fn a_flood_of_wrong_proofs_is_recorded_a_few_times() {
    let server = server(Backend::Sqlite);
    let mut owner = Bound::sign_in(&server, "ada");
    for _ in 0..20 {
        SoftDevice::new()
            .refresh(&browser(&server), &owner.id, Some(&owner.challenge))
            .expect(403);
    }
    let recorded = server
        .events()
        .iter()
        .filter(|event| event.starts_with("device.proof_refused"))
        .count();
    // Five a minute, and some more where the session was read again meanwhile.
    assert!((5..=8).contains(&recorded), "{recorded}");
    owner.refresh();
}

#[test]
fn the_key_of_one_session_proves_no_other() {
    let server = server(Backend::Sqlite);
    server.account("bob", Role::Member);
    let (ada, bob) = (Bound::sign_in(&server, "ada"), Bound::sign_in(&server, "bob"));
    bob.device
        .refresh(&browser(&server), &ada.id, Some(&ada.challenge))
        .expect(403);
    bob.device
        .refresh(&browser(&server), &ada.id, Some(&bob.challenge))
        .expect(403);
    let thief = ada.client.thief();
    thief.set_cookie(DEVICE, &bob.client.cookie(DEVICE).unwrap());
    refused(&thief, "device_unproven");
    for made_up in ["0.0", "", "x", &format!("{}.AAAA", ada.id)] {
        thief.set_cookie(DEVICE, made_up);
        refused(&thief, "device_unproven");
    }
    // The offer of one session binds no other.
    let (one, two) = (browser(&server), browser(&server));
    let offer = one.sign_in("ada", PASSWORD).expect(303);
    two.sign_in("bob", PASSWORD).expect(303);
    SoftDevice::new().register(&two, &offer).expect(404);
}

#[test]
fn a_session_cannot_be_bound_later() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let client = browser(&server);
        client.sign_in("ada", PASSWORD).expect(303);
        server.advance(30);
        let early = offered(&client.get("/nightlatch/session")).expect("still offered");
        server.advance(30);
        let last = offered(&client.get("/nightlatch/session")).expect("offered for a minute");
        server.advance(1);
        assert_eq!(offered(&client.get("/nightlatch/session")), None);
        for challenge in [&early, &last] {
            SoftDevice::new().register_with(&client, challenge).expect(404);
            assert_eq!(server.events().last().unwrap(), "device.proof_refused late");
        }
        server.advance(60);
        SoftDevice::new().register_with(&client, &last).expect(404);
        assert_eq!(server.events().last().unwrap(), "device.proof_refused challenge");
        admitted(&client);
    }
}

#[test]
fn a_rotation_after_a_change_of_network_gives_no_further_time() {
    let server = server(Backend::Sqlite);
    server.policy(&[
        ("session.session_allow_ip_changes", "unlimited"),
        ("session.session_ip_subnet_bits", "32"),
    ]);
    let client = browser(&server);
    client.sign_in("ada", PASSWORD).expect(303);
    server.advance(61);
    let thief = client.thief().from("127.0.0.2");
    thief.get("/").expect(200);
    assert_ne!(
        thief.cookie("__Host-nightlatch"),
        client.cookie("__Host-nightlatch"),
        "rotated"
    );
    assert_eq!(offered(&thief.get("/nightlatch/session")), None);
}

#[test]
fn a_thief_without_the_device_can_neither_end_nor_use_the_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("eve", Role::Member);
        server.policy(&[("session.session_validation_mode", "strict")]);
        let owner = Bound::sign_in(&server, "ada");
        let thief = owner.stolen().from("127.0.0.9").header("user-agent", "curl/8.0");
        refused(&thief, "device_unproven");
        // The client's claim relaxes nothing.
        let skipped = format!("quota_exceeded;session_identifier=\"{}\"", owner.id);
        let headers = [
            ("secure-session-skipped", skipped.as_str()),
            ("accept", "application/json"),
        ];
        thief.send(Method::GET, "/", None, &headers).expect(401);
        thief.post("/logout", &[]);
        let thief = owner.stolen();
        thief.sign_in("eve", PASSWORD).expect(303);
        admitted(&owner.client);
        assert!(
            !server.events().iter().any(|event| event.starts_with("session.ended")),
            "{:?}",
            server.events()
        );
    }
}

#[test]
fn a_refresh_is_answered_only_in_ways_that_browsers_survive() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let owner = Bound::sign_in(&server, "ada");
        let elsewhere = server.anyone().header("host", "login.evil.test");
        owner.device.refresh(&elsewhere, &owner.id, None).expect(503);
        for unknown in ["", "x", "00000000-0000-0000-0000-000000000000"] {
            owner.device.refresh(&browser(&server), unknown, None).expect(404);
        }
        owner.client.post("/logout", &[]);
        let over = owner
            .device
            .refresh(&browser(&server), &owner.id, Some(&owner.challenge));
        over.expect(404);
        assert_eq!(browser(&server).get(REFRESH).status(), 405);
        assert_eq!(browser(&server).send(Method::POST, START, None, &[]).status(), 404);
    }
}

#[test]
fn without_the_database_a_refresh_is_put_off() {
    let server = server(Backend::Postgres);
    let owner = Bound::sign_in(&server, "ada");
    server.database.sql("ALTER TABLE device_keys RENAME TO elsewhere");
    let answer = owner
        .device
        .refresh(&browser(&server), &owner.id, Some(&owner.challenge))
        .expect(503);
    assert_eq!(answer.header("secure-session-challenge"), None);
    server.database.sql("ALTER TABLE elsewhere RENAME TO device_keys");
    owner
        .device
        .refresh(&browser(&server), &owner.id, Some(&owner.challenge))
        .expect(204);
}
