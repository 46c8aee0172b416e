//! `/admin/policy`: editing, all faults together, pins and restoring. `review` tests drafts.

use crate::{
    harness::{
        client::Answer,
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::{between, draft, save, save_reviewed},
};
use nightlatch::flows::policy;

fn revision(server: &TestServer) -> i64 {
    server.run(policy::in_force(&server.ctx)).unwrap().revision.revision
}

#[test]
fn a_save_is_a_revision_with_its_reason_and_governs_at_the_next_request() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (boss, ada) = (server.admin("boss"), server.member("ada"));
        let before = revision(&server);
        server.advance(3000);
        ada.get("/").expect(200);
        let asked = save(
            &boss,
            before,
            &[("session.ttl", "40m")],
            &[("reason", "shorter is safer")],
        );
        boss.confirm(&asked, PASSWORD).expect(303);
        assert_eq!(revision(&server), before + 1);
        assert_eq!(ada.get("/").expect(303).location(), "/login?reason=ttl", "{backend:?}");
        let history = server.signed_in("boss").get("/admin/policy/revisions").expect(200);
        assert!(
            history.text().contains("shorter is safer") && history.text().contains("boss"),
            "{backend:?}"
        );
    }
}

#[test]
fn all_faults_come_at_once_and_everything_typed_is_kept() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let before = revision(&server);
    let refused = draft(
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
            ("activity.ignored_paths", "/<b>I</b>/*"),
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
            refused
                .text()
                .contains(&format!("href=\"#{}-input\"", key.replace('.', "-"))),
            "{key} is in the summary"
        );
    }
    assert!(refused.text().contains("no.such_setting"));
    for kept in ["value=\"two fortnights\"", "value=\"7\"", "10.0.0.0/33"] {
        assert!(refused.text().contains(kept), "{kept}");
    }
    assert!(!refused.text().contains("<b>I</b>") && refused.text().contains("/*"));
    assert_eq!(revision(&server), before);
}

#[test]
fn values_at_and_beyond_every_bound_are_distinguished() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let status = |key: &str, value: &str| draft(&boss, revision(&server), &[(key, value)]).status();
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
fn a_form_that_builds_on_no_revision_is_refused() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    for bad in ["0", "-1", "99", "x", ""] {
        let form = [("base", bad), ("session.ttl", "1h")];
        assert_eq!(boss.post("/admin/policy", &form).status(), 400, "{bad}");
    }
}

#[test]
fn a_pinned_setting_is_read_only_and_a_different_value_is_refused_in_every_scope() {
    let server = TestServer::on(Backend::Sqlite)
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
fn restoring_goes_through_the_review_and_makes_a_new_revision() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let first = revision(&server);
        server.policy(&[("session.ttl", "3h")]);
        let restore = |number: &str| boss.post(&format!("/admin/policy/revisions/{number}/restore"), &[]);
        restore("99").expect(404);
        restore("x").expect(404);
        let review = restore(&first.to_string()).expect(303);
        assert_eq!(revision(&server), first + 1, "{backend:?} nothing is restored yet");
        save_reviewed(&boss, review.location(), &[("reason", "back")]).expect(303);
        assert_eq!(revision(&server), first + 2, "{backend:?}");
        assert!(
            server.events().iter().any(|event| event.starts_with("policy.restored")),
            "{backend:?}"
        );
        // An unchanged value needs no draft.
        assert_eq!(
            restore(&first.to_string()).expect(303).location(),
            "/admin/policy",
            "{backend:?}"
        );
    }
}

#[test]
fn switching_secure_on_over_http_asks_first() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let before = revision(&server);
    let review = draft(&boss, before, &[("session.secure", "on")]).expect(303);
    let asked = save_reviewed(&boss, review.location(), &[]).expect(422);
    assert!(asked.text().contains("confirm_secure"));
    assert_eq!(revision(&server), before);
    save_reviewed(&boss, review.location(), &[("confirm_secure", "on")]).expect(303);
    assert_eq!(revision(&server), before + 1);
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
        nightlatch::flows::accounts::AccountAction::SetRole(nightlatch::domain::account::Role::Member),
    );
    draft(&boss, before, &[("session.ttl", "1h")]).expect(403);
    assert_eq!(revision(&server), before);
}

#[test]
fn development_mode_switches_idle_endings_off_and_nothing_else() {
    let server = TestServer::on(Backend::Sqlite).dev().start();
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

/// The rows that are shown, by key.
fn shown(page: &Answer) -> Vec<String> {
    page.page()
        .all("details.group:not([hidden]) div.setting:not([hidden])")
        .iter()
        .map(|row| row.attribute("data-setting").to_owned())
        .collect()
}

#[test]
fn a_search_without_script_finds_by_label_key_and_synonym() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let found = |words: &str| shown(&boss.get(&format!("/admin/policy?q={words}")).expect(200));
    assert_eq!(found("SameSite"), ["session.secure", "session.same_site"]);
    assert_eq!(found("auth.login_ip_ceiling"), ["auth.login_ip_ceiling"]);
    assert_eq!(
        found("spraying"),
        ["auth.login_ip_ceiling", "notices.digest"],
        "a synonym"
    );
    assert_eq!(found("zxcvbn+score"), ["password.min_strength"], "every word");
    assert_eq!(found("no+such+thing"), Vec::<String>::new());
    let unfolded = boss.get("/admin/policy?q=spraying").expect(200).page();
    assert!(unfolded.all("details.group:not([open])").is_empty());
    assert_eq!(found("").len(), nightlatch::domain::policy::Key::ALL.len());
    let none = boss.get("/admin/policy?q=no+such+thing").expect(200);
    assert!(none.text().contains("data-none-found>") && none.text().contains("0 settings found"));
}

#[test]
fn a_search_without_script_keeps_what_was_typed_and_hidden_rows_change_nothing() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let base = revision(&server);
    let query = format!("q=samesite&base={base}&scope=everyone&session.ttl=5+hours&session.same_site=Strict");
    let page = boss.get(&format!("/admin/policy?{query}")).expect(200);
    assert!(
        page.text().contains("name=\"session.ttl\" value=\"5 hours\""),
        "typed, though hidden"
    );
    assert!(page.text().contains("2 unsaved changes"));
    // Every field is sent, as browsers send the form that the search returned.
    let fields: Vec<(String, String)> = between(page.text(), " name=\"", ">")
        .into_iter()
        .filter(|field| field.contains("value=\"") && !field.contains("type=\"checkbox\""))
        .map(|field| {
            let (name, rest) = field.split_once('"').unwrap();
            (name.to_owned(), between(rest, "value=\"", "\"")[0].to_owned())
        })
        .filter(|(name, _)| name == "session.ttl" || name == "session.window_close_grace")
        .collect();
    assert_eq!(fields.len(), 2);
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    save(&boss, base, &fields, &[]).expect(303);
    let document = server.run(policy::in_force(&server.ctx)).unwrap().revision.document;
    assert_eq!(
        document.everyone.len(),
        1,
        "the hidden row that was not typed in is no change"
    );
}

#[test]
fn a_setting_that_differs_from_its_mode_is_custom() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let customs = || between(boss.get("/admin/policy").expect(200).text(), "data-custom>", "<").len();
    assert_eq!(customs(), 0);
    server.policy(&[("session.session_ip_subnet_bits", "16")]);
    assert_eq!(customs(), 2, "the knob, and its mode");
    let page = boss.get("/admin/policy").expect(200);
    assert!(page.text().contains("Custom, from moderate"));
    for words in ["/32 · IPv6 /128", "/24 · IPv6 /64", "/16 · IPv6 /48", "/8 · IPv6 /32"] {
        assert!(page.text().contains(words), "{words}");
    }
    server.policy(&[("session.session_ip_subnet_bits", "24")]);
    assert_eq!(customs(), 0, "set, but to what the mode derives");
}
