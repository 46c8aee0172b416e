//! The review of a change to `factor.*`: who has to enrol, who could not get in, and a save that
//! would lock out its own author.

use crate::{
    factors::kit::signed_in_at_localhost,
    harness::{
        client::Client,
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::{draft, save_reviewed},
};
use nightlatch::{domain::policy::Key, flows::policy};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

fn reviewing(server: &TestServer, boss: &Client, fields: &[(&str, &str)]) -> String {
    let base = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    draft(boss, base, fields).expect(303).location().to_owned()
}

/// Gives an account an authenticator app, as far as a preview checks.
fn enrol(server: &TestServer, name: &str) {
    server.database.sql(&format!(
        "UPDATE accounts SET authenticator_app = TRUE WHERE name = '{name}'"
    ));
}

#[test]
fn the_review_names_the_accounts_that_have_to_enrol() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        for name in ["ada", "grace", "linus"] {
            server.member(name);
        }
        enrol(&server, "grace");
        let boss = server.admin("boss");
        let review = reviewing(&server, &boss, &[("factor.required", "any")]);
        let page = boss.get(&review).expect(200).page();
        let impact = &page.all("#factor-impact")[0];
        assert!(
            impact.shows(
                "3 of 4 accounts have to enrol a second factor before anything else, among them 1 administrator."
            ),
            "{backend:?} {}",
            impact.text()
        );
        assert!(impact.shows("Your account is among those that have to enrol."));
        let accounts = impact.all("tbody tr");
        assert_eq!(accounts.len(), 3, "{backend:?}");
        assert!(accounts[0].shows("ada") && accounts[1].shows("boss") && accounts[2].shows("linus"));
        assert!(accounts[1].shows("You") && accounts[1].shows("administrator"));
        assert!(
            page.shows("must enrol a second factor before anything else"),
            "{backend:?} {}",
            page.text()
        );
        assert!(page.all("#risks").is_empty(), "it can be enrolled: {backend:?}");
    }
}

#[test]
fn the_editor_has_a_section_for_second_factors_in_every_scope() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    for (scope, settings) in [("everyone", 8), ("administrators", 4), ("app:wiki", 1)] {
        let page = boss.get(&format!("/admin/policy?scope={scope}")).expect(200).page();
        assert!(page.shows("Second factors"), "{scope}");
        let fields = page.all("[name^='factor.']");
        let names: std::collections::BTreeSet<&str> = fields
            .iter()
            .map(|field| field.attribute("name").split('@').next().unwrap_or_default())
            .collect();
        let keys = names.iter().filter(|name| Key::parse(name).is_some()).count();
        assert_eq!(keys, settings, "{scope}: {names:?}");
    }
}

#[test]
fn a_review_of_something_else_says_nothing_about_accounts() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let review = reviewing(&server, &boss, &[("session.ttl", "2h")]);
    assert!(boss.get(&review).expect(200).page().all("#factor-impact").is_empty());
}

#[test]
fn a_save_that_its_saver_could_not_get_past_undoes_itself() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let edits = [("factor.required", "any"), ("factor.enrolment", "by_link")];
        let review = reviewing(&server, &boss, &edits);
        let page = boss.get(&review).expect(200).page();
        assert!(page.all("#risks")[0].shows("could not enrol one"), "{backend:?}");
        assert!(
            page.all("#factor-impact")[0].shows("1 of 1 account could not get in"),
            "{backend:?}"
        );
        let asked = save_reviewed(&boss, &review, &[]);
        let saved = if asked.status() == 303 {
            asked
        } else {
            boss.confirm(&asked, PASSWORD)
        };
        saved.expect(303);
        assert_eq!(
            boss.get("/admin").expect(303).location(),
            "/factor?return_to=%2Fadmin",
            "{backend:?}"
        );
        server.advance(61);
        boss.get("/admin").expect(200);
    }
}

#[test]
fn a_passkey_cannot_be_required_for_good_where_its_saver_has_none() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let edits = [("factor.required", "passkey")];
        let review = reviewing(&server, &boss, &edits);
        let page = boss.get(&review).expect(200).page();
        let risks = &page.all("#risks")[0];
        assert!(
            risks.shows(
                "Passkeys do not work under this address (127.0.0.1). You could not enrol one here, and would reach \
                 nothing but the page that asks for it."
            ),
            "{backend:?} {}",
            risks.text()
        );
        let asked = save_reviewed(&boss, &review, &[]);
        let saved = if asked.status() == 303 {
            asked
        } else {
            boss.confirm(&asked, PASSWORD)
        };
        saved.expect(303);
        assert_eq!(
            boss.get("/admin").expect(303).location(),
            "/factor?return_to=%2Fadmin",
            "{backend:?}"
        );
        server.advance(61);
        boss.get("/admin").expect(200);
        // Under its name the server has passkeys, and the same save is not a risk.
        let named = signed_in_at_localhost(&server, "boss");
        let review = reviewing(&server, &named, &edits);
        let page = named.get(&review).expect(200).page();
        assert!(page.all("#risks").is_empty(), "{backend:?}");
    }
}

#[test]
fn a_saver_with_a_factor_that_can_be_proved_is_not_held_up() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        enrol(&server, "boss");
        let edits = [("factor.required", "any"), ("factor.enrolment", "by_link")];
        let review = reviewing(&server, &boss, &edits);
        let page = boss.get(&review).expect(200).page();
        assert!(page.all("#risks").is_empty(), "{backend:?}");
        assert!(
            page.all("#factor-impact")[0].shows("No account has to enrol"),
            "{backend:?}"
        );
    }
}
