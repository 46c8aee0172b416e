//! Why a session ended is kept with it, as it was then.

use crate::harness::server::{Backend, TestServer};
use nightlatch::{
    domain::{
        audit::{AuditFilter, Event},
        policy::{Key, Scope, Value},
        session::{EndReason, SessionFilter, SessionListState},
    },
    flows::{audit, sessions},
};

#[test]
fn an_ended_session_keeps_its_rule_whatever_the_policy_says_later() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "5m")]);
        server.member("ada");
        server.advance(301);
        server.run(sessions::sweep(&server.ctx)).unwrap();
        server.policy(&[("auth.idle_session_timeout", "1h")]);
        let filter = SessionFilter {
            text: Some("ada".into()),
            state: SessionListState::Ended,
            end_reason: Some(EndReason::Idle),
            limit: 10,
            ..SessionFilter::default()
        };
        let list = server.run(sessions::list(&server.ctx, filter)).unwrap();
        let ended = &list.items.first().expect("it is listed").row.session;
        let cause = ended.end_cause.clone().expect("it says why");
        assert_eq!(cause.setting, Some(Key::AuthIdleSessionTimeout), "{backend:?}");
        assert_eq!(
            (cause.scope.clone(), cause.limit.clone()),
            (Some(Scope::Everyone), Some(Value::Number(300)))
        );
        assert_eq!(
            (cause.due_at, cause.last_active_at),
            (ended.ended_at, ended.last_active_at)
        );
        let filter = AuditFilter {
            events: vec![Event::SessionEnded],
            session: Some(ended.id),
            limit: 10,
            ..AuditFilter::default()
        };
        let events = server.run(audit::page(&server.ctx, filter)).unwrap().items;
        assert_eq!(events.first().expect("it is on record").detail, cause.to_json());
    }
}
