//! `/admin/audit`: found by who, what, where and when; exported without formulas.

use crate::{
    harness::{
        client::Client,
        server::{Backend, TestServer},
    },
    pages::kit::{between, link, records},
};
use nightlatch::domain::account::Role;

fn count(admin: &Client, query: &str) -> usize {
    let mut found = 0;
    let mut next = Some(format!("/admin/audit?limit=25&{query}"));
    while let Some(path) = next {
        let page = admin.get(&path).expect(200);
        found += between(page.text(), "id=\"json-", "\"").len();
        next = link(&page, "after=");
    }
    found
}

#[test]
fn a_name_that_reverses_the_line_is_shown_with_its_code_points() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.anyone().sign_in("\u{202e}gpj.exe", "wrong").expect(422);
    for page in ["/admin/audit", "/admin/lockouts"] {
        let page = boss.get(page).expect(200).page();
        assert!(page.shows("\\u{202e}gpj.exe"), "{}", page.text());
        assert!(!page.text().contains('\u{202e}'), "{}", page.text());
    }
}

#[test]
fn filters_find_exactly_what_happened() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for name in ["50%off", "50xoff", "under_score", "underXscore", "back\\slash"] {
            server.anyone().from("127.0.0.7").sign_in(name, "wrong").expect(422);
        }
        for (query, expected) in [
            ("q=50%25off", 1),
            ("q=under_score", 1),
            ("q=back%5Cslash", 1),
            ("q=%25%25%25", 0),
            ("q=UNDER_SCORE", 1),
            ("event=sign_in.refused", 5),
            ("event=sign_in", 6),
            ("event=sign_in&without=sign_in.refused", 1),
            ("event=sign_in.refused&outcome=failure", 5),
            ("event=sign_in.refused&outcome=success", 0),
            ("ip=127.0.0.7", 5),
            ("ip=127.0.0.0/29", 6),
            ("actor=boss&event=sign_in.accepted", 1),
            ("account=50%25off", 1),
            ("q='+OR+1=1", 0),
        ] {
            assert_eq!(count(&boss, query), expected, "{backend:?} {query}");
        }
    }
}

#[test]
fn ranges_are_inclusive_and_invalid_ones_are_faults() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("boss", Role::Administrator);
        server.anyone().sign_in("x", "wrong").expect(422);
        let at = server.now().to_rfc3339();
        server.advance(2 * 3600);
        server.anyone().sign_in("y", "wrong").expect(422);
        let boss = server.signed_in("boss");
        let refused = "event=sign_in.refused";
        let at = at.replace('+', "%2B");
        assert_eq!(count(&boss, &format!("{refused}&range=1h")), 1, "{backend:?}");
        assert_eq!(count(&boss, &format!("{refused}&range=24h")), 2, "{backend:?}");
        assert_eq!(count(&boss, &format!("{refused}&until={at}")), 1, "{backend:?} {at}");
        assert_eq!(count(&boss, &format!("{refused}&since={at}")), 2, "{backend:?} {at}");
        for bad in [
            "since=yesterday",
            "until=2026-13-40",
            "ip=nowhere",
            "event=sign_in.refusd",
            "without=nonsense",
            "session=eve",
            "outcome=perhaps",
            "range=2y",
        ] {
            let page = boss.get(&format!("/admin/audit?{bad}")).expect(200);
            assert!(page.text().contains("aria-invalid=\"true\""), "{backend:?} {bad}");
            boss.post(&format!("/admin/audit/export?{bad}"), &[]).expect(400);
        }
        assert!(!server.events().contains(&"audit.exported".to_owned()), "{backend:?}");
        for good in ["event=sign_in", "without=session.ended", "outcome=failure", "range=7d"] {
            let page = boss.get(&format!("/admin/audit?{good}")).expect(200);
            assert!(!page.text().contains("aria-invalid=\"true\""), "{backend:?} {good}");
        }
    }
}

#[test]
fn every_event_is_on_exactly_one_page_and_opens_to_what_was_recorded() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for _ in 0..30 {
            server.anyone().sign_in("nobody", "wrong").expect(422);
        }
        // A sign-in and the session that it opened are one row.
        let opened = count(&boss, "event=session.opened");
        assert_eq!(count(&boss, "") + opened, server.audit().len(), "{backend:?}");
        server.policy(&[("session.ttl", "1h")]);
        let page = boss.get("/admin/audit?event=policy.changed").expect(200);
        assert!(page.text().contains("session.ttl"), "{backend:?}: old → new");
        assert!(page.text().contains("As recorded (JSON)"));
    }
}

#[test]
fn exporting_is_itself_recorded_and_filters_like_the_list() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for name in ["=1+1", "@x", "-1", "plain", "quote\"comma,newline\n"] {
            server
                .anyone()
                .header("user-agent", "+evil")
                .sign_in(name, "wrong")
                .expect(422);
        }
        let csv = boss
            .post("/admin/audit/export?format=csv&event=sign_in.refused", &[])
            .expect(200);
        let found = records(csv.text());
        assert_eq!(found.len(), 6, "{backend:?}");
        for cell in found.iter().flatten() {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{backend:?} {cell:?}"
            );
        }
        assert_eq!(
            server.events().last().map(String::as_str),
            Some("audit.exported"),
            "{backend:?}"
        );
        let json = boss
            .post("/admin/audit/export?format=json&event=sign_in.refused", &[])
            .expect(200);
        assert_eq!(json.json().as_array().unwrap().len(), 5, "{backend:?}");
        boss.post("/admin/audit/export?format=xml", &[]).expect(400);
        let member = server.member("eve");
        member.post("/admin/audit/export", &[]).expect(403);
    }
}

#[test]
fn an_export_of_accounts_or_sessions_is_recorded_with_what_narrowed_it() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for (list, narrowed) in [
            ("accounts", serde_json::json!({ "q": "bo", "role": "administrator" })),
            ("sessions", serde_json::json!({ "q": "boss", "state": "active" })),
        ] {
            let asked: Vec<String> = narrowed
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
                .collect();
            let path = format!("/admin/{list}/export?format=json&{}", asked.join("&"));
            let exported = boss.post(&path, &[]).expect(200);
            assert_eq!(exported.json().as_array().unwrap().len(), 1, "{backend:?} {list}");
            let last = server.audit().pop().unwrap();
            assert_eq!(last.event.as_str(), "data.exported", "{backend:?}");
            assert_eq!(last.actor, "boss", "{backend:?}");
            assert_eq!(
                last.detail,
                serde_json::json!({ "what": list, "format": "json", "filter": narrowed }),
                "{backend:?}"
            );
            // Nothing is taken out by merely looking.
            boss.get(&path).expect(405);
        }
        let before = server.audit().len();
        boss.post("/admin/sessions/export?idle=nowhere", &[]).expect(400);
        server.member("ada").post("/admin/accounts/export", &[]).expect(403);
        let exports = server.events().iter().filter(|event| *event == "data.exported").count();
        assert!(exports == 2 && server.audit().len() > before, "{backend:?}");
    }
}

#[test]
fn a_sign_in_is_one_row_and_both_of_its_events_are_found() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for (query, expected) in [
            ("", server.audit().len() - 1),
            ("account=boss&event=sign_in.accepted", 1),
            ("account=boss&event=session.opened", 1),
            ("account=boss&event=session", 1),
            ("q=session.opened", 1),
            ("without=session.opened&event=session", 0),
        ] {
            assert_eq!(count(&boss, query), expected, "{backend:?} {query}");
        }
    }
}
