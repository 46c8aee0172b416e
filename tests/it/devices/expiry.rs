//! A session whose proof is too old: what each of its requests is answered, how it is explained, and
//! the ways back.

use super::kit::{Bound, DEVICE, admitted, browser, refused, server};
use crate::harness::{
    device::{SoftDevice, offered},
    server::{Backend, PASSWORD},
};
use reqwest::Method;
use serde_json::json;

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

#[test]
fn an_old_proof_is_refused_everywhere_with_one_reason_and_the_session_lives() {
    for backend in BOTH {
        let server = server(backend);
        server.policy(&[("session.device_proof_age", "300")]);
        let mut owner = Bound::sign_in(&server, "ada");
        server.advance(300);
        admitted(&owner.client);
        server.advance(1);
        refused(&owner.client, "device_unproven");
        // A request of a script.
        let fetched = owner
            .client
            .send(Method::GET, "/", None, &[("sec-fetch-mode", "cors"), ("accept", "*/*")]);
        assert_eq!(fetched.expect(401).json()["code"], "device_unproven");
        // The guard's own requests, and its event stream.
        let touched = owner.client.post_json("/nightlatch/session/touch", &json!({}), &[]);
        assert_eq!(touched.expect(401).json()["code"], "device_unproven");
        let events = owner.client.get("/nightlatch/session/events").expect(401);
        assert_eq!(events.json()["code"], "device_unproven");
        let page = owner.client.get("/login?reason=device_unproven").expect(200);
        assert!(page.text().contains("did not prove that it is the one that signed in"));
        assert_eq!(server.events().last().unwrap(), "device.lost device_unproven");
        assert!(!server.events().iter().any(|event| event.starts_with("session.ended")));
        owner.refresh();
        admitted(&owner.client);
    }
}

#[test]
fn an_administrator_sees_the_key_its_last_proof_and_how_long_one_counts() {
    for backend in BOTH {
        let server = server(backend);
        let admin = browser(&server);
        server.account("root", nightlatch::domain::account::Role::Administrator);
        let _owner = Bound::sign_in(&server, "ada");
        admin.sign_in("root", PASSWORD).expect(303);
        server.advance(700);
        let list = admin.get("/admin/sessions?state=live").expect(200);
        let links = list.text().split("/admin/sessions/").skip(1);
        let ids: Vec<&str> = links
            .filter_map(|link| link.get(..36))
            .filter(|id| uuid::Uuid::parse_str(id).is_ok())
            .collect();
        let bound = ids.iter().find(|id| {
            let page = admin.get(&format!("/admin/sessions/{id}")).expect(200);
            page.text().contains("last proved")
        });
        let bound = bound.expect("the detail of the bound session says so");
        let explained = admin.get(&format!("/admin/policy/explain?session={bound}")).expect(200);
        for words in ["Bound to a device", "A proof counts for 10 minutes"] {
            assert!(explained.text().contains(words), "{backend:?}: {words}");
        }
    }
}

#[test]
fn signing_in_again_in_place_binds_anew() {
    for backend in BOTH {
        let server = server(backend);
        let owner = Bound::sign_in(&server, "ada");
        server.advance(601);
        refused(&owner.client, "device_unproven");
        let again = json!({ "username": "ada", "password": PASSWORD });
        let answer = owner
            .client
            .post_json("/nightlatch/session/login", &again, &[])
            .expect(200);
        let offer = offered(&answer).expect("an offer comes with the new session");
        SoftDevice::new().register_with(&owner.client, &offer).expect(200);
        admitted(&owner.client);
    }
}

#[test]
fn where_binding_is_required_a_session_is_bound_within_its_minute_or_not_at_all() {
    for backend in BOTH {
        let server = server(backend);
        server.policy(&[("session.device_binding", "require")]);
        let (early, late) = (browser(&server), browser(&server));
        let offers: Vec<String> = [&early, &late]
            .map(|client| offered(&client.sign_in("ada", PASSWORD).expect(303)).unwrap())
            .to_vec();
        server.advance(59);
        SoftDevice::new().register_with(&early, &offers[0]).expect(200);
        server.advance(2);
        admitted(&early);
        refused(&late, "device_unbound");
        SoftDevice::new().register_with(&late, &offers[1]).expect(404);
        assert_eq!(late.cookie(DEVICE), None, "{backend:?}");
        refused(&late, "device_unbound");
        // The way back: a new session, and with it a new minute.
        let again = late.sign_in("ada", PASSWORD).expect(303);
        SoftDevice::new().register(&late, &again).expect(200);
        server.advance(61);
        admitted(&late);
    }
}
