//! The review's effect and replay: what they say, filters, exports; without script.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, TestServer},
    },
    pages::kit::{between, draft, link, records, save_reviewed},
};
use nightlatch::{domain::account::Role, flows::policy};

const IDLE: &str = "auth.idle_session_timeout";

fn reviewing(server: &TestServer, boss: &Client, fields: &[(&str, &str)]) -> String {
    let base = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    draft(boss, base, fields).expect(303).location().to_owned()
}

/// The names in the list of affected sessions, in order.
fn listed(page: &Answer) -> Vec<String> {
    let rows = between(page.text(), "<th scope=\"row\" data-label=\"User\">", "</th>");
    rows.into_iter()
        .map(|row| {
            row.split(" <span")
                .next()
                .unwrap()
                .replace("<bdi>", "")
                .replace("</bdi>", "")
        })
        .collect()
}

#[test]
fn the_review_says_what_the_draft_does_to_live_sessions() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        for name in ["ada", "grace"] {
            server.member(name);
            server.advance(600);
        }
        let boss = server.admin("boss");
        let review = reviewing(&server, &boss, &[(IDLE, "15m")]);
        let page = boss.get(&review).expect(200);
        let said = "Ends 1 of 3 sessions now, and yours in 15 minutes without activity.";
        assert!(page.text().contains(said), "{backend:?} {}", page.text());
        assert!(
            page.text()
                .contains("2 other sessions will end earlier than under the current policy without further activity: 2 within an hour.")
        );
        assert_eq!(listed(&page), ["ada", "grace", "boss"], "{backend:?}");
        assert!(page.text().contains("3 of 3 affected sessions"));
        // The result agrees with the preview.
        save_reviewed(&boss, &review, &[]).expect(303);
        boss.get("/").expect(200);
        let sessions = boss.get("/admin/sessions?state=ended").expect(200);
        let live = boss.get("/admin/sessions").expect(200);
        let both = format!("{}{}", sessions.text(), live.text());
        assert!(both.contains("grace") && both.contains("ada"), "{backend:?}");
    }
}

#[test]
fn the_list_is_narrowed_by_a_form_and_exported_as_narrowed() {
    let server = TestServer::start();
    for name in ["ada", "adam", "grace"] {
        server.member(name);
    }
    server.account("root", Role::Administrator);
    server.advance(1000);
    let boss = server.signed_in("root");
    let review = reviewing(&server, &boss, &[(IDLE, "15m"), ("session.ttl", "2h")]);
    for (query, names) in [
        ("", vec!["ada", "adam", "grace", "root"]),
        ("&q=AD", vec!["ada", "adam"]),
        ("&q=127.0.0.0/8", vec!["ada", "adam", "grace", "root"]),
        ("&q=10.0.0.0/8", vec![]),
        ("&rule=ttl", vec![]),
        ("&rule=idle&q=gra", vec!["grace"]),
        ("&rule=nonsense", vec!["ada", "adam", "grace", "root"]),
    ] {
        let page = boss.get(&format!("{review}{query}")).expect(200);
        assert_eq!(listed(&page), names, "{query}");
        assert!(
            page.text().contains("Ends 3 of 4 sessions now"),
            "the sentence is about all: {query}"
        );
        let csv = link(&page, "format=csv").expect("a link to the export");
        let csv = boss.get(&csv).expect(200);
        assert!(
            csv.header("content-disposition")
                .unwrap()
                .contains("nightlatch-policy-preview.csv")
        );
        let rows = records(csv.text());
        assert_eq!(rows[0][..3], ["\u{feff}session", "account", "ip"]);
        let exported: Vec<&str> = rows[1..].iter().map(|row| row[1].as_str()).collect();
        assert_eq!(exported, names, "{query}");
        let json = boss.get(&link(&page, "format=json").unwrap()).expect(200).json();
        assert_eq!(json.as_array().unwrap().len(), names.len(), "{query}");
    }
}

#[test]
fn an_export_is_the_drafts_authors_alone() {
    let server = TestServer::start();
    let (boss, other) = (server.admin("boss"), server.admin("other"));
    let review = reviewing(&server, &boss, &[(IDLE, "15m")]);
    let export = review.replace("/review?", "/review/export?format=csv&");
    boss.get(&export).expect(200);
    other.get(&export).expect(404);
    server.member("ada").get(&export).expect(403);
    boss.get("/admin/policy/review/export").expect(404);
}

#[test]
fn the_replay_is_asked_for_by_a_link_and_says_what_it_worked_from() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        server.anyone().sign_in("ada", "wrong");
        server.advance(5000);
        ada.post("/logout", &[]).expect(303);
        let boss = server.admin("boss");
        let review = reviewing(
            &server,
            &boss,
            &[
                ("session.ttl", "1h"),
                ("auth.login_lock_out_at_failure", "on"),
                ("auth.login_failure_limit", "1"),
            ],
        );
        let page = boss.get(&review).expect(200);
        assert!(!page.text().contains("would certainly have ended earlier"));
        let seven = link(&page, "replay=7d").expect("a link");
        let thirty = link(&page, "replay=30d").expect("a link");
        for href in [seven, thirty] {
            let page = boss.get(href.split('#').next().unwrap()).expect(200);
            for words in [
                "Of 2 sessions, 1 would certainly have ended earlier, 0 possibly.",
                "1 lock would have begun.",
                "From 2 sessions and ",
                "Basis and limits of this replay",
                "signed out",
            ] {
                assert!(page.text().contains(words), "{backend:?} {words}\n{}", page.text());
            }
        }
    }
}

#[test]
fn a_draft_that_changes_nothing_has_no_effect_to_show() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let review = reviewing(&server, &boss, &[("session.ttl", "2h")]);
    server.policy(&[("session.ttl", "2h")]);
    let page = boss.get(&review).expect(200);
    assert!(!page.text().contains("id=\"impact\""));
}
