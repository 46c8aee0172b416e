//! `/admin/lockouts`: what is locked, and letting people in again.

use crate::{
    harness::{
        client::Client,
        server::{Backend, PASSWORD, TestServer, operator},
    },
    pages::kit::{between, records},
};
use nightlatch::{
    domain::{account::Role, time::Span},
    flows::lockouts,
};

fn locked(server: &TestServer, settings: &[(&str, &str)]) -> Client {
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "2"),
    ]);
    server.policy(settings);
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
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = locked(&server, &[("auth.login_cooloff_time", "-1")]);
        let ada = server.anyone().from("127.0.0.9");
        assert_eq!(ada.sign_in("ada", PASSWORD).expect(403).header("retry-after"), None);
        server.advance(10 * 86_400);
        let page = server.signed_in("boss").get("/admin/lockouts?state=locked").expect(200);
        assert!(page.text().contains("127.0.0.9"), "{backend:?}");
        let id = between(page.text(), "name=\"id\" value=\"", "\"")[0];
        // A stolen session cannot clear the counters that limit its attempts.
        let asked = boss.post("/admin/lockouts/unlock", &[("id", id)]).expect(403);
        boss.confirm(&asked, PASSWORD).expect(303);
        assert!(
            server
                .events()
                .iter()
                .any(|event| event.starts_with("lockout.released")),
            "{backend:?}"
        );
        // Nothing is left to unlock, and nothing happens.
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
        assert_eq!(released(&server), before, "{backend:?}");
        ada.sign_in("ada", "wrong").expect(422);
        ada.sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn unlocking_by_address_or_by_name_finds_the_lock() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        locked(&server, &[]);
        let ada = server.anyone().from("127.0.0.9");
        let unlock = |name: Option<&str>, ip: Option<&str>| {
            let ip = ip.map(|ip| ip.parse().unwrap());
            server
                .run(lockouts::unlock_matching(&server.ctx, &operator(), name, ip))
                .unwrap()
        };
        ada.sign_in("ada", PASSWORD).expect(429);
        assert_eq!(unlock(None, Some("127.0.0.10")), 0, "{backend:?}");
        ada.sign_in("ada", PASSWORD).expect(429);
        assert!(unlock(None, Some("::ffff:127.0.0.9")) >= 1, "{backend:?}");
        ada.sign_in("ada", PASSWORD).expect(303);
        server.policy(&[("auth.login_lock_out_by_combination_user_and_ip", "true")]);
        ada.sign_in("ada", "wrong").expect(422);
        ada.sign_in("ada", "wrong").expect(429);
        assert!(unlock(Some(" ADA "), None) >= 1, "{backend:?}");
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

#[test]
fn a_block_refuses_a_name_or_an_address_until_it_ends_or_is_unlocked() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        // No ceiling counts and nothing locks, but a block still applies.
        server.policy(&[("auth.login_ip_ceiling", "0"), ("auth.login_account_ceiling", "0")]);
        server.account("ada", Role::Member);
        server.account("bob", Role::Member);
        let boss = server.admin("boss");
        let block = |fields: &[(&str, &str)]| boss.post("/admin/lockouts/block", fields);
        let ada = || server.anyone().from("127.0.0.9").sign_in("ada", PASSWORD).status();
        let bob = |ip: &str| server.anyone().from(ip).sign_in("bob", PASSWORD).status();
        block(&[("account", " ADA "), ("reason", "left the company")]).expect(303);
        assert_eq!(
            (ada(), bob("127.0.0.9")),
            (403, 303),
            "{backend:?}: the name, from everywhere"
        );
        let page = boss.get("/admin/lockouts?state=locked").expect(200);
        for shown in ["Blocked", "left the company", "Manually only"] {
            assert!(page.text().contains(shown), "{backend:?} {shown}");
        }
        let id = between(page.text(), "name=\"id\" value=\"", "\"")[0];
        boss.post("/admin/lockouts/unlock", &[("only", id)]).expect(303);
        assert_eq!(ada(), 303, "{backend:?}");
        let end = server.now().saturating_add(Span::from_secs(3600)).to_rfc3339();
        block(&[("ip", "127.0.0.9"), ("until", &end)]).expect(303);
        assert_eq!(
            (ada(), bob("127.0.0.9"), bob("127.0.0.8")),
            (429, 429, 303),
            "{backend:?}"
        );
        server.advance(3601);
        assert_eq!(ada(), 303, "{backend:?}: it ended by itself");
        let boss = server.signed_in("boss");
        let block = |fields: &[(&str, &str)]| boss.post("/admin/lockouts/block", fields);
        block(&[("account", "bob"), ("ip", "127.0.0.9")]).expect(303);
        assert_eq!(
            (bob("127.0.0.9"), bob("127.0.0.8"), ada()),
            (403, 303, 303),
            "{backend:?}: the pair"
        );
        let blocked = |event: &&String| event.starts_with("lockout.blocked");
        assert_eq!(server.events().iter().filter(blocked).count(), 3, "{backend:?}");
    }
}

#[test]
fn a_block_that_makes_no_sense_is_refused_with_every_fault() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let refused = |fields: &[(&str, &str)], faults: &[&str]| {
        let page = boss.post("/admin/lockouts/block", fields).expect(422);
        for fault in faults {
            assert!(page.text().contains(fault), "{fault}: {}", page.text());
        }
    };
    refused(
        &[("until", "2000-01-01")],
        &[
            "Enter a username, an IP address, or both.",
            "Enter a time in the future",
        ],
    );
    refused(
        &[("ip", "here"), ("until", "soon")],
        &["Enter one IP address", "Enter a date and time"],
    );
    for own in [&[("account", "boss")], &[("ip", "127.0.0.1")]] {
        refused(own, &["This block would lock you out."]);
    }
    boss.post("/admin/lockouts/block", &[("id", crate::pages::kit::NOBODY), ("x", "")])
        .expect(404);
    assert!(!server.events().iter().any(|event| event.starts_with("lockout.blocked")));
}

#[test]
fn a_row_of_the_list_is_blocked_with_its_key_and_a_password_reset_leaves_it() {
    let server = TestServer::start();
    let boss = locked(&server, &[("auth.login_lock_out_by_combination_user_and_ip", "true")]);
    let page = boss.get("/admin/lockouts?state=locked").expect(200);
    let id = between(page.text(), "name=\"id\" value=\"", "\"")[0];
    let form = boss.get(&format!("/admin/lockouts/block?id={id}")).expect(200);
    assert!(form.text().contains("<b>user</b> ada") && form.text().contains("<b>IP</b> 127.0.0.9"));
    boss.post("/admin/lockouts/block", &[("id", id), ("reason", "sprays")])
        .expect(303);
    let ada = server.anyone().from("127.0.0.9");
    ada.sign_in("ada", PASSWORD).expect(403);
    server.advance(86_400);
    ada.sign_in("ada", PASSWORD).expect(403);
    server.anyone().from("127.0.0.8").sign_in("ada", PASSWORD).expect(303);
}

#[test]
fn selected_locks_are_unlocked_in_one_go_and_the_list_is_exported() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = locked(&server, &[]);
        let other = server.anyone().from("127.0.0.8");
        for _ in 0..2 {
            other.sign_in("ada", "wrong");
        }
        let csv = boss
            .post("/admin/lockouts/export?state=locked&format=csv", &[])
            .expect(200);
        let rows = records(csv.text());
        assert_eq!(rows.len(), 3, "{backend:?}: {rows:?}");
        assert_eq!(rows[0][..4], ["\u{feff}id", "kind", "account", "ip"]);
        let json = boss
            .post("/admin/lockouts/export?state=locked&format=json", &[])
            .expect(200)
            .json();
        assert_eq!(json[0]["locked"], true, "{backend:?}");
        let page = boss.get("/admin/lockouts?state=locked").expect(200);
        let ids = between(page.text(), "name=\"id\" value=\"", "\"");
        let fields: Vec<(&str, &str)> = ids.iter().map(|id| ("id", *id)).collect();
        assert_eq!(fields.len(), 2, "{backend:?}");
        boss.post("/admin/lockouts/unlock", &fields).expect(303);
        other.sign_in("ada", PASSWORD).expect(303);
        server.anyone().from("127.0.0.9").sign_in("ada", PASSWORD).expect(303);
        let released = |event: &&String| event.starts_with("lockout.released");
        assert_eq!(server.events().iter().filter(released).count(), 2, "{backend:?}");
    }
}

#[test]
fn an_unknown_state_is_a_fault_and_nothing_is_exported() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = locked(&server, &[]);
        let list = boss.get("/admin/lockouts?state=lockd").expect(200);
        assert!(list.text().contains("There is no state “lockd”."), "{backend:?}");
        boss.post("/admin/lockouts/export?state=lockd&format=json", &[])
            .expect(400);
        assert!(!server.events().contains(&"data.exported".to_owned()), "{backend:?}");
        let list = boss.get("/admin/lockouts?state=counting").expect(200);
        assert!(!list.text().contains("There is no"), "{backend:?}");
    }
}

#[test]
fn ceilings_are_listed_from_half_of_what_they_take_on() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_ip_ceiling", "8"),
            ("auth.login_account_ceiling", "8"),
            ("auth.login_lock_out_by_combination_user_and_ip", "true"),
        ]);
        let boss = server.admin("boss");
        let kinds = |query: &str| {
            let page = boss.get(&format!("/admin/lockouts{query}")).expect(200).page();
            let kinds = page.all("td[data-label=Kind]");
            (
                kinds.len(),
                kinds.iter().any(|kind| kind.text() == "IP address ceiling"),
            )
        };
        let guess = |name: &str| server.anyone().from("127.0.0.9").sign_in(name, "wrong").expect(422);
        for name in ["a", "b", "c"] {
            guess(name);
        }
        assert_eq!(kinds(""), (3, false), "{backend:?}: one row for each name");
        assert!(kinds("?q=127.0.0.9").1, "{backend:?}: who looks sees all");
        guess("d");
        assert_eq!(kinds(""), (5, true), "{backend:?}");
        assert_eq!(kinds("?state=counting"), (5, true), "{backend:?}");
    }
}

#[test]
fn locks_come_first_and_patterns_are_described() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = locked(&server, &[("auth.login_lock_out_by_combination_user_and_ip", "true")]);
        for name in ["a", "b", "c", "d", "e", "f"] {
            server.anyone().from("127.0.0.77").sign_in(name, "wrong").expect(422);
        }
        for last in 20..26 {
            server
                .anyone()
                .from(&format!("127.0.0.{last}"))
                .sign_in("carol", "wrong");
        }
        let page = boss.get("/admin/lockouts").expect(200).page();
        let folded = page.all("details#counting tbody tr").len();
        let all = page.all("tbody tr").len();
        assert!((1..all).contains(&folded), "{backend:?}: {folded} of {all}");
        for row in page.all("#counting tbody tr") {
            assert_eq!(row.cell("Unlocks"), "not locked", "{backend:?}");
        }
        for sentence in [
            "One IP address, many usernames: 127.0.0.77 tried 6. This looks like password spraying.",
            "One username, many IP addresses: carol was tried from 6. This looks like an attack on that account.",
        ] {
            assert!(page.shows(sentence), "{backend:?} {sentence}: {}", page.text());
        }
        let overview = boss.get("/admin").expect(200).page();
        assert!(overview.shows("2 attack patterns"), "{backend:?} {}", overview.text());
        assert!(overview.shows("carol was tried from 6"), "{backend:?}");
    }
}
