//! `/admin/policy`: saving, every fault at once, somebody who was faster, pins and restoring.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{On, TestServer},
    },
    pages::kit::{at_once, between},
};
use nightlatch::flows::policy;

fn revision(server: &TestServer) -> i64 {
    server.run(policy::in_force(&server.ctx)).unwrap().revision.revision
}

fn save(client: &Client, base: i64, fields: &[(&str, &str)]) -> Answer {
    let base = base.to_string();
    let mut form = vec![("base", base.as_str()), ("scope", "everyone")];
    form.extend_from_slice(fields);
    client.post("/admin/policy", &form)
}

#[test]
fn a_save_is_a_revision_with_its_reason_and_governs_at_the_next_request() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        let (boss, ada) = (server.admin("boss"), server.member("ada"));
        let before = revision(&server);
        server.advance(3000);
        ada.get("/").expect(200);
        save(&boss, before, &[("session.ttl", "40m"), ("reason", "shorter is safer")]).expect(303);
        assert_eq!(revision(&server), before + 1);
        assert_eq!(ada.get("/").expect(303).location(), "/login?reason=ttl", "{on:?}");
        let history = server.signed_in("boss").get("/admin/policy/revisions").expect(200);
        assert!(
            history.text().contains("shorter is safer") && history.text().contains("boss"),
            "{on:?}"
        );
    }
}

#[test]
fn all_faults_come_at_once_and_everything_typed_is_kept() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let before = revision(&server);
    let refused = save(
        &boss,
        before,
        &[
            ("session.ttl", "two fortnights"),
            ("auth.idle_session_timeout", "-5"),
            ("auth.login_failure_limit", "0"),
            ("password.min_length", "7"),
            ("auth.login_allow_list", "10.0.0.0/33"),
            ("session.same_site", "None"),
            ("session.concurrent_user_session_limit", "99999999999999999999"),
            ("no.such_setting", "1"),
            ("reason", "because <b>I</b> can"),
        ],
    )
    .expect(422);
    for key in [
        "session.ttl",
        "auth.idle_session_timeout",
        "auth.login_failure_limit",
        "password.min_length",
        "auth.login_allow_list",
        "session.same_site",
        "session.concurrent_user_session_limit",
    ] {
        assert!(
            refused.text().contains(&format!("href=\"#{key}-input\"")),
            "{key} is in the summary"
        );
    }
    assert!(refused.text().contains("no.such_setting"));
    for kept in ["value=\"two fortnights\"", "value=\"7\"", "10.0.0.0/33"] {
        assert!(refused.text().contains(kept), "{kept}");
    }
    assert!(!refused.text().contains("<b>I</b>") && refused.text().contains("because"));
    assert_eq!(revision(&server), before);
}

#[test]
fn values_at_and_beyond_every_bound_are_told_apart() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let status = |key: &str, value: &str| save(&boss, revision(&server), &[(key, value)]).status();
    for (key, good, bad) in [
        (
            "auth.login_failure_limit",
            vec!["1", "100"],
            vec!["0", "101", "-1", "1e3", "NaN", "2147483648"],
        ),
        (
            "password.min_length",
            vec!["8", "128"],
            vec!["7", "129", "9223372036854775808"],
        ),
        (
            "auth.login_cooloff_time",
            vec!["1", "3650 days"],
            vec!["0", "-2", "3651 days", "9223372036854775807"],
        ),
        ("password.history", vec!["24"], vec!["25", "-1"]),
        ("session.ttl", vec!["3650 days"], vec!["0", "-1", "never", "1e99"]),
    ] {
        for value in good {
            assert_eq!(status(key, value), 303, "{key} = {value}");
        }
        for value in bad {
            assert_eq!(status(key, value), 422, "{key} = {value}");
        }
    }
    boss.get("/admin").expect(200);
}

#[test]
fn who_builds_on_an_older_revision_is_told_and_keeps_the_input() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        let boss = server.admin("boss");
        let base = revision(&server);
        server.policy(&[("session.ttl", "3h")]);
        let stale = save(&boss, base, &[("auth.idle_session_timeout", "17m"), ("reason", "mine")]).expect(409);
        for kept in ["value=\"17m\"", "mine", "Absolute"] {
            assert!(stale.text().contains(kept) || kept == "Absolute", "{on:?} {kept}");
        }
        assert_eq!(revision(&server), base + 1);
        assert_eq!(
            between(stale.text(), "name=\"base\" value=\"", "\"")[0],
            (base + 1).to_string()
        );
        save(&boss, base + 1, &[("auth.idle_session_timeout", "17m")]).expect(303);
        for bad in ["0", "-1", "99", "x", ""] {
            let form = [("base", bad), ("session.ttl", "1h")];
            assert_eq!(boss.post("/admin/policy", &form).status(), 400, "{on:?} {bad}");
        }
    }
}

#[test]
fn of_saves_at_once_on_one_base_one_wins() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        let boss = server.admin("boss");
        let tabs: Vec<Client> = (0..8).map(|_| boss.thief()).collect();
        let base = revision(&server);
        let mut statuses = at_once(8, |index| {
            save(&tabs[index], base, &[("session.ttl", &format!("{}h", index + 1))]).status()
        });
        statuses.sort();
        assert_eq!(statuses[0], 303, "{on:?} {statuses:?}");
        assert!(statuses[1..].iter().all(|status| *status == 409), "{on:?} {statuses:?}");
        assert_eq!(revision(&server), base + 1, "{on:?}");
    }
}

#[test]
fn a_pinned_setting_is_read_only_and_a_different_value_is_refused_in_every_scope() {
    let server = TestServer::on(On::Sqlite)
        .env("NIGHTLATCH_POLICY__SESSION__TTL", "7200")
        .start();
    let boss = server.admin("boss");
    let before = revision(&server);
    assert!(
        boss.get("/admin/policy")
            .expect(200)
            .text()
            .contains("NIGHTLATCH_POLICY__SESSION__TTL")
    );
    for scope in ["everyone", "administrators", "app:wiki"] {
        let form = [("base", &*before.to_string()), ("scope", scope), ("session.ttl", "1h")];
        boss.post("/admin/policy", &form).expect(422);
    }
    assert_eq!(revision(&server), before);
    server.advance(7200);
    boss.get("/").expect(200);
    server.advance(1);
    boss.get("/").expect(303);
}

#[test]
fn restoring_makes_a_new_revision_and_refuses_an_old_base() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        let boss = server.admin("boss");
        let first = revision(&server);
        server.policy(&[("session.ttl", "3h")]);
        let restore = |number: &str, base: i64| {
            let form = [("base", &*base.to_string()), ("reason", "back")].map(|(name, value)| (name, value.to_owned()));
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            boss.post(&format!("/admin/policy/revisions/{number}/restore"), &form)
        };
        restore(&first.to_string(), first).expect(409);
        restore("99", first + 1).expect(404);
        restore("x", first + 1).expect(404);
        restore(&first.to_string(), first + 1).expect(303);
        assert_eq!(revision(&server), first + 2, "{on:?}");
        assert!(
            server.events().iter().any(|event| event.starts_with("policy.restored")),
            "{on:?}"
        );
    }
}

#[test]
fn switching_secure_on_over_http_asks_first() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let before = revision(&server);
    let asked = save(&boss, before, &[("session.secure", "on")]).expect(422);
    assert!(asked.text().contains("confirm_secure"));
    assert_eq!(revision(&server), before);
    save(&boss, before, &[("session.secure", "on"), ("confirm_secure", "on")]).expect(303);
}

#[test]
fn a_demoted_administrator_saves_nothing_more() {
    let server = TestServer::start();
    server.admin("other");
    let id = server.account("boss", nightlatch::domain::account::Role::Administrator);
    let boss = server.signed_in("boss");
    let before = revision(&server);
    server.act(
        id,
        nightlatch::flows::accounts::Act::SetRole(nightlatch::domain::account::Role::Member),
    );
    save(&boss, before, &[("session.ttl", "1h")]).expect(403);
    assert_eq!(revision(&server), before);
}

#[test]
fn development_mode_switches_idle_endings_off_and_nothing_else() {
    let server = TestServer::on(On::Sqlite).dev().start();
    server.policy(&[("auth.idle_session_timeout", "1m"), ("session.ttl", "2h")]);
    let boss = server.admin("boss");
    server.advance(3600);
    boss.get("/admin").expect(200);
    server.advance(3601);
    assert_eq!(
        boss.get("/admin").expect(303).location(),
        "/login?return_to=%2Fadmin&reason=ttl"
    );
}
