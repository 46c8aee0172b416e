//! Refreshes at the same moment, during a rotation, and during a sign-out; and headers that no
//! browser sends.

use super::kit::{Bound, DEVICE, LOGIN, admitted, browser, server};
use crate::harness::{
    client::http_client,
    device::{REFRESH, START, SoftDevice, challenged, offered},
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::domain::account::Role;
use reqwest::Method;

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// Sends a refresh with these header lines, also with several of one name.
fn refresh_with(server: &TestServer, lines: &[(&str, &str)]) -> u16 {
    let mut request = http_client()
        .build()
        .unwrap()
        .post(format!("{}{REFRESH}", server.base))
        .header("host", LOGIN);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.send().unwrap().status().as_u16()
}

#[test]
fn of_two_tabs_that_refresh_at_once_one_proves_and_the_other_is_asked_again() {
    for backend in BOTH {
        let server = server(backend);
        let mut owner = Bound::sign_in(&server, "ada");
        for _ in 0..4 {
            let tabs = [browser(&server), browser(&server)];
            let answers: Vec<_> = std::thread::scope(|scope| {
                let (owner, tabs) = (&owner, &tabs);
                let sent: Vec<_> = tabs
                    .iter()
                    .map(|tab| scope.spawn(|| owner.device.refresh(tab, &owner.id, Some(&owner.challenge))))
                    .collect();
                sent.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status()).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 403], "{backend:?}");
            // The other continues with the challenge that it received.
            let (next, _) = challenged(answers.iter().find(|answer| answer.status() == 403).unwrap());
            owner.challenge = next;
            owner.refresh();
            admitted(&owner.client);
        }
    }
}

#[test]
fn a_rotation_keeps_the_device_and_an_end_refuses_it() {
    for backend in BOTH {
        let server = server(backend);
        server.policy(&[
            ("session.session_allow_ip_changes", "unlimited"),
            ("session.session_ip_subnet_bits", "32"),
        ]);
        let mut owner = Bound::sign_in(&server, "ada");
        let before = owner.client.cookie("__Host-nightlatch");
        let challenge = owner.challenge.clone();
        let elsewhere = owner.client.thief().from("127.0.0.2");
        // With a proof nothing rotates.
        server.policy(&[("session.device_binding", "off")]);
        elsewhere.get("/").expect(200);
        server.policy(&[("session.device_binding", "offer")]);
        assert_ne!(elsewhere.cookie("__Host-nightlatch"), before, "{backend:?}: rotated");
        // A challenge from before the rotation is still answered, and the proof counts for both
        // tokens while the old one does.
        assert_eq!(owner.challenge, challenge);
        owner.refresh();
        elsewhere.set_cookie(DEVICE, &owner.client.cookie(DEVICE).unwrap());
        admitted(&elsewhere);
        elsewhere.post("/logout", &[]);
        owner
            .device
            .refresh(&browser(&server), &owner.id, Some(&owner.challenge))
            .expect(404);
    }
}

#[test]
fn a_sign_out_during_a_refresh_leaves_nothing_that_can_be_used() {
    for backend in BOTH {
        let server = server(backend);
        for _ in 0..3 {
            let owner = Bound::sign_in(&server, "ada");
            let proof = owner.device.proof(&owner.challenge);
            let refreshing = browser(&server);
            std::thread::scope(|scope| {
                let headers = [
                    ("sec-secure-session-id", owner.id.as_str()),
                    ("secure-session-response", proof.as_str()),
                ];
                let refreshed = scope.spawn(move || refreshing.send(Method::POST, REFRESH, None, &headers).status());
                owner.client.post("/logout", &[]);
                let status = refreshed.join().unwrap();
                assert!([204, 404].contains(&status), "{backend:?}: {status}");
            });
            owner.device.refresh(&browser(&server), &owner.id, None).expect(404);
            assert_eq!(owner.client.get("/").status(), 303, "{backend:?}");
        }
    }
}

#[test]
fn several_or_huge_headers_prove_nothing_and_lose_nothing() {
    let server = server(Backend::Sqlite);
    let mut owner = Bound::sign_in(&server, "ada");
    let (id, proof) = (owner.id.clone(), owner.device.proof(&owner.challenge));
    let (name, answer) = ("sec-secure-session-id", "secure-session-response");
    let other = SoftDevice::new().proof(&owner.challenge);
    let long = "A".repeat(20_000);
    // Several answers are none, whatever their order.
    for lines in [
        &[(name, id.as_str()), (answer, &proof), (answer, &other)][..],
        &[(name, &id), (answer, &other), (answer, &proof)],
        &[(answer, &proof), (answer, &proof), (name, &id)],
        &[(name, &id), (answer, &long)],
        &[(name, &id), (answer, &format!("{proof}, {proof}"))],
        &[(name, &id), (answer, "")],
    ] {
        assert_eq!(refresh_with(&server, lines), 403, "{}", lines.len());
    }
    for lines in [
        &[(name, id.as_str()), (name, &id), (answer, &proof)][..],
        &[(answer, &proof)],
        &[(name, &long), (answer, &proof)],
    ] {
        assert_eq!(refresh_with(&server, lines), 404, "{}", lines.len());
    }
    // The order of the headers does not matter, nor do quotes.
    assert_eq!(
        refresh_with(&server, &[(answer, &proof), (name, &format!("\"{id}\""))]),
        204
    );
    let asked = owner.device.refresh(&browser(&server), &owner.id, None).expect(403);
    owner.challenge = challenged(&asked).0;
    owner.refresh();
    admitted(&owner.client);
}

#[test]
fn an_offer_binds_on_its_own_host_and_over_its_own_session_alone() {
    for backend in BOTH {
        let server = server(backend);
        server.account("bob", Role::Member);
        let client = browser(&server);
        let offer = offered(&client.sign_in("ada", PASSWORD).expect(303)).unwrap();
        let device = SoftDevice::new();
        // Another name of this server, and another person's session.
        let elsewhere = client.thief().header("host", "other.example.org");
        assert_ne!(device.register_with(&elsewhere, &offer).status(), 200, "{backend:?}");
        let bob = browser(&server);
        bob.sign_in("bob", PASSWORD).expect(303);
        device.register_with(&bob, &offer).expect(404);
        // The session of no one.
        device.register_with(&browser(&server), &offer).expect(404);
        // The challenge of a proof is not an offer, and an offer is not the challenge of a proof.
        let owner = Bound::sign_in(&server, "bob");
        device.register_with(&client, &owner.challenge).expect(404);
        owner.device.refresh(&owner.client, &owner.id, Some(&offer)).expect(403);
        device.register_with(&client, &offer).expect(200);
        let again = client.send(
            Method::POST,
            START,
            None,
            &[("secure-session-response", &device.registration(&offer))],
        );
        again.expect(404);
        admitted(&client);
    }
}
