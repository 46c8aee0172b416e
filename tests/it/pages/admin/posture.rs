//! `/admin/policy/posture`: which items of a baseline are met in which scope, and drafts that would
//! meet the others.

use crate::{
    harness::server::{Backend, TestServer},
    pages::kit::{between, save_reviewed},
};
use nightlatch::{
    domain::policy::{Key, Scope, posture::Baseline},
    flows::posture,
};

const PAGE: &str = "/admin/policy/posture";

fn missed(server: &TestServer, id: &str) -> Vec<Key> {
    let seen = server.run(posture::posture(&server.ctx)).unwrap();
    let (_, checked) = seen
        .baselines
        .into_iter()
        .find(|(baseline, _)| baseline.id == id)
        .unwrap();
    checked
        .iter()
        .filter(|checked| !checked.met())
        .map(|checked| checked.item.key)
        .collect()
}

/// The part of the page about one baseline.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    between(page, &format!("<form class=\"card\" id=\"{id}\""), "</form>")[0]
}

#[test]
fn the_page_says_of_each_item_who_asks_why_and_what_holds() {
    let server = TestServer::start();
    let page = server.admin("boss").get(PAGE).expect(200);
    for id in ["hue", "asvs-l2", "nist-aal2", "pci-dss-4"] {
        let shown = section(page.text(), id);
        for item in (Baseline::find(id).unwrap().items)() {
            assert!(
                shown.contains(item.asked_by) && shown.contains(item.key.name()),
                "{id} {}",
                item.key
            );
        }
    }
    let idle = section(page.text(), "pci-dss-4");
    assert!(idle.contains("at most 15 minutes") && idle.contains("PCI DSS 8.2.8"));
    assert!(
        section(page.text(), "hue").contains("26 met"),
        "a fresh policy is Hue's"
    );
}

#[test]
fn an_override_that_loosens_shows_with_its_scope() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    assert!(!missed(&server, "pci-dss-4").contains(&Key::AuthIdleSessionTimeout));
    server.policy_in(
        &Scope::Application("wiki".to_owned()),
        &[("auth.idle_session_timeout", "2h")],
    );
    assert!(missed(&server, "pci-dss-4").contains(&Key::AuthIdleSessionTimeout));
    let page = boss.get(PAGE).expect(200);
    let row = between(
        section(page.text(), "pci-dss-4"),
        "<li class=\"ask is-missed\">",
        "</li>",
    )[0];
    for shown in [
        "Application wiki",
        "2 hours",
        "scope=app%3Awiki#auth-idle_session_timeout",
        "10 minutes",
    ] {
        assert!(row.contains(shown), "{shown}: {row}");
    }
}

#[test]
fn one_item_becomes_a_draft_that_is_reviewed_and_saved() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let form = [("baseline", "asvs-l2"), ("item", "auth.idle_session_timeout")];
        let drafted = boss.post(PAGE, &form).expect(303);
        assert!(
            drafted.location().starts_with("/admin/policy/review?draft="),
            "{backend:?}"
        );
        assert!(
            missed(&server, "asvs-l2").contains(&Key::AuthIdleSessionTimeout),
            "nothing is in force yet"
        );
        save_reviewed(&boss, drafted.location(), &[]).expect(303);
        assert!(
            !missed(&server, "asvs-l2").contains(&Key::AuthIdleSessionTimeout),
            "{backend:?}"
        );
        assert!(
            missed(&server, "asvs-l2").contains(&Key::AuthLoginLockOutAtFailure),
            "that item alone"
        );
    }
}

#[test]
fn a_whole_baseline_becomes_one_draft() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy_in(&Scope::Administrators, &[("auth.idle_session_timeout", "never")]);
    let drafted = boss.post(PAGE, &[("baseline", "pci-dss-4")]).expect(303);
    let review = boss.get(drafted.location()).expect(200);
    for key in ["auth.idle_session_timeout", "password.history", "password.regex_hint"] {
        assert!(review.text().contains(key), "{key}");
    }
    save_reviewed(&boss, drafted.location(), &[]).expect(303);
    assert_eq!(missed(&server, "pci-dss-4"), []);
}

#[test]
fn a_met_requirement_offers_no_draft() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    for form in [
        &[("baseline", "hue")][..],
        &[("baseline", "asvs-l2"), ("item", "password.min_length")],
    ] {
        assert_eq!(boss.post(PAGE, form).expect(303).location(), PAGE);
    }
}

#[test]
fn a_pinned_setting_offers_no_draft() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT", "7200")
        .start();
    let boss = server.admin("boss");
    let page = boss.get(PAGE).expect(200);
    let shown = section(page.text(), "pci-dss-4");
    assert!(shown.contains("pinned by environment"));
    assert!(!shown.contains("name=\"item\" value=\"auth.idle_session_timeout\""));
    let form = [("baseline", "pci-dss-4"), ("item", "auth.idle_session_timeout")];
    assert_eq!(boss.post(PAGE, &form).expect(303).location(), PAGE);
    assert_eq!(boss.post(PAGE, &[("baseline", "none")]).status(), 400);
}

#[test]
fn the_installation_is_part_of_the_posture() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "0.0.0.0/0")
        .start();
    let page = server.admin("boss").get(PAGE).expect(200);
    for shown in [
        "trusts all addresses",
        "NIGHTLATCH_SECURITY_LOG",
        "Nightlatch is reached over plain http",
    ] {
        assert!(page.text().contains(shown), "{shown}");
    }
    let overview = server.signed_in("boss").get("/admin").expect(200);
    assert!(overview.text().contains("href=\"/admin/policy/posture\""));
}

#[test]
fn a_baseline_is_a_table_of_requirements_and_scopes() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    server.policy_in(
        &Scope::Application("wiki".to_owned()),
        &[("auth.idle_session_timeout", "2h")],
    );
    let page = boss.get(PAGE).expect(200).page();
    let table = page.all("#pci-dss-4 a")[0].attribute("href").to_owned();
    let table = boss.get(&table).expect(200).page();
    assert_eq!(table.heading(), "PCI DSS 4 by scope");
    let idle = &table.rows_with("Requires", "at most 15 minutes")[0];
    assert_eq!(idle.cell("Everyone"), "10 minutes");
    assert_eq!(idle.cell("Administrators"), "inherits");
    assert_eq!(idle.cell("Application wiki"), "2 hours Not met");
    boss.get(&format!("{PAGE}?table=none")).expect(404);
}

#[test]
fn a_draft_that_loosens_says_so_in_its_review() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("password.max_age", "60 days"), ("password.regex", "^(?=.*[0-9])")]);
    let drafted = boss.post(PAGE, &[("baseline", "nist-aal2")]).expect(303);
    let review = boss.get(drafted.location()).expect(200).page();
    let loosened = review.all("#loosened");
    assert_eq!(loosened.len(), 1, "{}", review.text());
    assert!(loosened[0].shows("less strict") && loosened[0].shows("Maximum age (Everyone): 60 days → never"));
    let tight = boss.post(PAGE, &[("baseline", "pci-dss-4")]).expect(303);
    let review = boss.get(tight.location()).expect(200).page();
    assert!(!review.text().contains("Maximum age (Everyone): 60 days → never"));
}
