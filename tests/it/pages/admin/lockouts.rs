//! `/admin/lockouts`: what is locked, and letting people in again.

use crate::{
    harness::{
        client::Client,
        server::{On, PASSWORD, TestServer, operator},
    },
    pages::kit::between,
};
use nightlatch::{domain::account::Role, flows::lockouts};

fn locked(server: &TestServer, on: &[(&str, &str)]) -> Client {
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "2"),
    ]);
    server.policy(on);
    let boss = server.admin("boss");
    server.account("ada", Role::Member);
    let guesser = server.anyone().from("127.0.0.9");
    guesser.sign_in("ada", "wrong").expect(422);
    assert!([403, 429].contains(&guesser.sign_in("ada", "wrong").status()));
    guesser.sign_in("ada", PASSWORD);
    boss
}

#[test]
fn unlocking_lets_in_at_once_and_starts_at_zero() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        let boss = locked(&server, &[("auth.login_cooloff_time", "-1")]);
        let ada = server.anyone().from("127.0.0.9");
        assert_eq!(ada.sign_in("ada", PASSWORD).expect(403).header("retry-after"), None);
        server.advance(10 * 86_400);
        let page = server.signed_in("boss").get("/admin/lockouts?state=locked").expect(200);
        assert!(page.text().contains("127.0.0.9"), "{on:?}");
        let id = between(page.text(), "name=\"id\" value=\"", "\"")[0];
        boss.post("/admin/lockouts/unlock", &[("id", id)]).expect(303);
        assert!(
            server
                .events()
                .iter()
                .any(|event| event.starts_with("lockout.released")),
            "{on:?}"
        );
        // There is nothing left to unlock, and nothing happens.
        let released = |server: &TestServer| {
            server
                .events()
                .iter()
                .filter(|event| event.starts_with("lockout.released"))
                .count()
        };
        let before = released(&server);
        boss.post("/admin/lockouts/unlock", &[("id", id)]).expect(303);
        boss.post("/admin/lockouts/unlock", &[("id", "x")]).expect(404);
        assert_eq!(released(&server), before, "{on:?}");
        ada.sign_in("ada", "wrong").expect(422);
        ada.sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn unlocking_by_address_or_by_name_finds_the_lock() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        locked(&server, &[]);
        let ada = server.anyone().from("127.0.0.9");
        let unlock = |name: Option<&str>, ip: Option<&str>| {
            let ip = ip.map(|ip| ip.parse().unwrap());
            server
                .run(lockouts::unlock_matching(&server.ctx, &operator(), name, ip))
                .unwrap()
        };
        ada.sign_in("ada", PASSWORD).expect(429);
        assert_eq!(unlock(None, Some("127.0.0.10")), 0, "{on:?}");
        ada.sign_in("ada", PASSWORD).expect(429);
        assert!(unlock(None, Some("::ffff:127.0.0.9")) >= 1, "{on:?}");
        ada.sign_in("ada", PASSWORD).expect(303);
        server.policy(&[("auth.login_lock_out_by_combination_user_and_ip", "true")]);
        ada.sign_in("ada", "wrong").expect(422);
        ada.sign_in("ada", "wrong").expect(429);
        assert!(unlock(Some(" ADA "), None) >= 1, "{on:?}");
        ada.sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn unlocking_an_account_from_its_page_releases_its_locks() {
    let server = TestServer::start();
    let boss = locked(&server, &[("auth.login_lock_out_by_combination_user_and_ip", "true")]);
    let ada = server.anyone().from("127.0.0.9");
    ada.sign_in("ada", PASSWORD).expect(429);
    let id = server
        .run(nightlatch::flows::accounts::find_by_name(&server.ctx, "ada"))
        .unwrap()
        .unwrap()
        .id;
    boss.post(&format!("/admin/accounts/{}", id.0), &[("act", "unlock")])
        .expect(303);
    ada.sign_in("ada", PASSWORD).expect(303);
}

#[test]
fn a_member_cannot_unlock_anything() {
    let server = TestServer::start();
    locked(&server, &[]);
    let member = server.member("eve");
    let before = server.events().len();
    member
        .post("/admin/lockouts/unlock", &[("id", crate::pages::kit::NOBODY)])
        .expect(403);
    assert_eq!(server.events()[before..], ["access.denied role"]);
}
