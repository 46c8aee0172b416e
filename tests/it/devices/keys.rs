//! The kinds of keys that browsers register, and what is refused of them.

use super::kit::{Bound, DEVICE, admitted, browser, refused, server};
use crate::harness::{
    device::{REFRESH, START, SoftDevice, challenged, offered},
    server::{Backend, PASSWORD},
};
use reqwest::Method;
use serde_json::json;

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

#[test]
fn a_browser_binds_and_refreshes_with_an_rsa_key() {
    for backend in BOTH {
        let server = server(backend);
        let client = browser(&server);
        let signed_in = client.sign_in("ada", PASSWORD).expect(303);
        let device = SoftDevice::rsa();
        let bound = device.register(&client, &signed_in).expect(200);
        let (challenge, id) = challenged(&bound);
        let mut owner = Bound {
            client,
            device,
            id,
            challenge,
        };
        admitted(&owner.client);
        server.advance(500);
        owner.refresh();
        server.advance(601);
        refused(&owner.client, "device_unproven");
        owner.refresh();
        admitted(&owner.client);
        assert!(
            !server
                .events()
                .iter()
                .any(|event| event.starts_with("device.proof_refused"))
        );
        // A key on another curve proves nothing for it, under either name.
        let other = SoftDevice::new();
        let header = json!({ "alg": "RS256", "typ": "dbsc+jwt" });
        for answer in [other.proof(&owner.challenge), other.sign(&header, &owner.challenge)] {
            let headers = [
                ("sec-secure-session-id", owner.id.as_str()),
                ("secure-session-response", answer.as_str()),
            ];
            browser(&server).send(Method::POST, REFRESH, None, &headers).expect(403);
            assert_eq!(server.events().last().unwrap(), "device.proof_refused signature");
        }
    }
}

#[test]
fn a_registration_with_another_algorithm_or_without_a_key_binds_nothing() {
    let server = server(Backend::Sqlite);
    let (rsa, p256) = (SoftDevice::rsa(), SoftDevice::new());
    for (device, header) in [
        (&rsa, json!({ "alg": "ES256", "jwk": rsa.jwk(), "typ": "dbsc+jwt" })),
        (&rsa, json!({ "alg": "PS256", "jwk": rsa.jwk(), "typ": "dbsc+jwt" })),
        (&rsa, json!({ "alg": "none", "jwk": rsa.jwk(), "typ": "dbsc+jwt" })),
        (&rsa, json!({ "alg": "RS256", "jwk": p256.jwk(), "typ": "dbsc+jwt" })),
        (&p256, json!({ "alg": "HS256", "jwk": p256.jwk(), "typ": "dbsc+jwt" })),
        (&p256, json!({ "alg": "ES256", "jwk": rsa.jwk(), "typ": "dbsc+jwt" })),
        (&p256, json!({ "alg": "ES256", "typ": "dbsc+jwt" })),
        (&p256, json!({ "alg": "ES256", "jwk": p256.jwk(), "typ": "JWT" })),
    ] {
        let client = browser(&server);
        let signed_in = client.sign_in("ada", PASSWORD).expect(303);
        let answer = device.sign(&header, &offered(&signed_in).unwrap());
        let refused = client.send(Method::POST, START, None, &[("secure-session-response", &answer)]);
        assert!(refused.expect(404).cookies().is_empty(), "{header}");
        assert_eq!(client.cookie(DEVICE), None, "{header}");
        // Nothing was used up: the browser may still bind.
        SoftDevice::new().register(&client, &signed_in).expect(200);
        admitted(&client);
    }
}
