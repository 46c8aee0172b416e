//! A source that is changed or disabled while someone signs in through it. Its row is changed
//! behind the server's back, so that the server still knows the old rules, as it does while a
//! provider keeps its answer back.

use super::kit::{corp, find_account, refusal, sign_in};
use crate::{
    factors::kit::enrol_app,
    harness::server::{Backend, TestServer},
};
use serde_json::json;

#[test]
fn a_source_that_was_changed_or_disabled_meanwhile_admits_nobody() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        for change in ["enabled = FALSE", "title = 'Another title'"] {
            server.database.sql(&format!("UPDATE sources SET {change}"));
            let client = server.anyone();
            let answer = sign_in(&client, &real.browser(), "ada");
            let (words, reason) = refusal(&server, &client, answer);
            assert_eq!(reason, "source_changed", "{backend:?} {change}");
            assert!(words.contains("Sign in again."), "{backend:?}: {words}");
            assert!(find_account(&server, "ada").is_none(), "{backend:?} {change}");
            server
                .database
                .sql("UPDATE sources SET enabled = TRUE, title = 'The corp provider'");
        }
        server.database.sql("DELETE FROM sources");
        let client = server.anyone();
        let answer = sign_in(&client, &real.browser(), "ada");
        assert_eq!(refusal(&server, &client, answer).1, "source_changed", "{backend:?}");
        assert!(find_account(&server, "ada").is_none(), "{backend:?}");
    }
}

#[test]
fn a_source_that_was_disabled_before_the_second_step_admits_nobody() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        let ada = server.anyone();
        sign_in(&ada, &real.browser(), "ada").expect(303);
        let (app, _) = enrol_app(&server, &ada);
        let client = server.anyone();
        let sent = sign_in(&client, &real.browser(), "ada").expect(303);
        assert_eq!(sent.location(), "/login/factor", "{backend:?}");
        server.database.sql("UPDATE sources SET enabled = FALSE");
        client
            .post("/login/factor", &[("code", &app.code(&server))])
            .expect(403);
        assert!(
            client.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
        let last = server.audit().pop().unwrap();
        assert_eq!(
            (last.event.as_str(), last.reason.as_deref()),
            ("sign_in.refused", Some("source_disabled")),
            "{backend:?}: {}",
            json!(last.detail)
        );
    }
}
