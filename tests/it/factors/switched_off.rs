//! A kind of factor that is switched off: nobody sets up a new one, and an account that has nothing
//! else is still asked for the one that it has.

use super::kit::{JSON, at_localhost, enrol_passkey, refused, signed_in_at_localhost};
use crate::harness::server::{Backend, TestServer, operator};
use nightlatch::{
    domain::account::Role,
    flows::factors::{ResetKind, reset_factors},
};
use serde_json::json;

#[test]
fn an_account_with_nothing_but_passkeys_is_asked_for_one_after_they_are_switched_off() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let (mut passkey, _) = enrol_passkey(&server, &signed_in_at_localhost(&server, "ada"), "laptop");
        server.policy(&[("factor.passkeys", "false")]);
        server
            .run(reset_factors(&server.ctx, &operator(), id, ResetKind::RecoveryCodes))
            .unwrap();
        let browser = signed_in_at_localhost(&server, "ada");
        assert_eq!(browser.get("/").expect(303).location(), "/login", "{backend:?}");
        browser.post("/factors/totp/start", &[]).expect(303);
        let page = browser.get("/login/factor").expect(200).page();
        assert_eq!(page.all("[data-passkey='prove']").len(), 1, "{backend:?}");
        let options = browser.post_json("/login/factor/options", &json!({}), JSON).expect(200);
        let body = json!({ "credential": passkey.answer(&options.json()) });
        browser.post_json("/login/factor/passkey", &body, JSON).expect(200);
        browser.get("/").expect(200);
        // Another kind can be set up now, and no other passkey.
        let asked = browser.post_json("/factors/passkeys/options", &json!({}), JSON);
        refused(asked, 422, "factor_off");
        let page = browser.post("/factors/totp/start", &[]).expect(200).page();
        assert_eq!(page.all("[data-secret]").len(), 1, "{backend:?}");
        let (stranger, _) = at_localhost(&server);
        let alone = stranger.post_json("/login/passkey/options", &json!({}), JSON);
        refused(alone, 422, "passkeys_off");
    }
}
