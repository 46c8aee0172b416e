//! "Why was frank signed out yesterday?", answered on the pages of sessions.

use crate::harness::server::{Backend, TestServer};
use nightlatch::{domain::time::Span, flows::sessions};

#[test]
fn three_clicks_say_why_a_session_ended_under_the_policy_of_then() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let boss = server.admin("boss");
        let frank = server.member("frank");
        let last_active = server.now();
        server.advance(14 * 60);
        boss.get("/admin").expect(200);
        server.advance(61);
        server.run(sessions::sweep(&server.ctx)).unwrap();
        frank.get("/").expect(303);
        server.advance(86_400);
        // The next day another policy is in force.
        server.policy(&[("auth.idle_session_timeout", "2h")]);
        let boss = server.signed_in("boss");
        let sessions = boss.get("/admin/sessions").expect(200).page();
        let ended = boss.get(&sessions.link("Ended sessions")).expect(200).page();
        let row = ended.row("frank");
        assert!(row.cell("Ended").contains("idle"), "{backend:?}: {}", row.text());
        let session = boss.get(&row.link("Why?")).expect(200).page();
        let due = last_active.saturating_add(Span::from_secs(900)).to_rfc3339();
        assert!(
            session.shows("There was no activity for 15 minutes."),
            "{backend:?}: {}",
            session.text()
        );
        let why = &session.all("section[aria-labelledby=why-h]")[0];
        assert!(why.fact("Ended at").starts_with(&due), "{backend:?}: {}", why.text());
        assert_eq!(why.fact("Reason"), "idle idle");
        assert_eq!(why.fact("Rule"), "Idle timeout auth.idle_session_timeout");
        assert_eq!(why.fact("Scope"), "Everyone");
        assert_eq!(why.fact("Limit at that time"), "15 minutes");
        assert_eq!(why.fact("Limit reached at"), due);
        assert_eq!(why.fact("Last active at"), last_active.to_rfc3339());
        assert_eq!(why.fact("Policy at that time"), "Revision 2");
        boss.get(&why.link("Revision 2")).expect(200);
        let picture = boss.get(&session.link("Show it on a timeline")).expect(200).page();
        assert!(
            picture.shows("Revision 2, in force when it ended"),
            "{backend:?}: {}",
            picture.text()
        );
        assert!(picture.shows("There was no activity for 15 minutes."));
        assert_eq!(picture.all("svg.explain").len(), 1);
    }
}

#[test]
fn ended_sessions_are_found_by_reason_and_time_of_the_end() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let (boss, frank) = (server.admin("boss"), server.member("frank"));
        frank.post("/logout", &[]).expect(303);
        let first = server.now();
        server.advance(600);
        server.member("eve");
        server.advance(901);
        server.run(sessions::sweep(&server.ctx)).unwrap();
        let boss = {
            drop(boss);
            server.signed_in("boss")
        };
        let rows = |query: &str| {
            let mut rows = boss.get(&format!("/admin/sessions?{query}")).expect(200).page().rows();
            rows.sort();
            rows
        };
        assert_eq!(rows("reason=signed_out"), ["frank"], "{backend:?}");
        assert_eq!(rows("reason=idle"), ["boss", "eve"], "{backend:?}");
        let then = first.to_rfc3339();
        assert_eq!(
            rows(&format!("state=ended&until={}", &then[..19])),
            ["frank"],
            "{backend:?}"
        );
        let later = first.saturating_add(Span::from_secs(1)).to_rfc3339();
        assert_eq!(rows(&format!("since={}", &later[..19])), ["boss", "eve"], "{backend:?}");
        let page = boss.get("/admin/sessions?reason=bored&since=soon").expect(200).page();
        assert_eq!(page.fault("reason").as_deref(), Some("There is no reason “bored”."));
        assert!(page.fault("since").is_some(), "{backend:?}");
        boss.post("/admin/sessions/export?format=csv&reason=bored", &[])
            .expect(400);
        let json = boss
            .post("/admin/sessions/export?format=json&reason=idle", &[])
            .expect(200)
            .json();
        assert_eq!(json[0]["end_setting"], "auth.idle_session_timeout", "{backend:?}");
        assert_eq!(
            (&json[0]["end_scope"], &json[0]["end_limit"]),
            (&"everyone".into(), &900.into())
        );
    }
}
