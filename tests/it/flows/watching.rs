//! When an open page is notified next although nothing happens: at the warning, after the end, and
//! when a duty begins.

use crate::harness::server::{Backend, PASSWORD, TestServer};
use nightlatch::{
    domain::{
        account::Role,
        client::Client,
        factor::FactorDuty,
        secret::{self, Secret},
        session::{DeviceFault, Duty},
        time::{Span, Timestamp},
    },
    flows::{
        access::{Observation, WatchedSession, WatchedState, observe},
        login::{OpenedSession, SessionTarget, SignInAttempt, SignInOutcome, sign_in},
    },
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

fn open(server: &TestServer, name: &str) -> OpenedSession {
    let attempt = SignInAttempt {
        username: name.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        client: Client {
            ip: [192, 0, 2, 7].into(),
            user_agent: None,
            request_id: None,
        },
        target: SessionTarget {
            replaces: None,
            cookie_form: String::new(),
            host: String::new(),
            entering: None,
        },
        return_to: String::new(),
        trusted: None,
    };
    match server.run(sign_in(&server.ctx, attempt)).unwrap() {
        SignInOutcome::Accepted(opened) => *opened,
        SignInOutcome::FactorNeeded(_) | SignInOutcome::Refused(_) | SignInOutcome::NotAllowed => {
            panic!("{name} signs in")
        }
    }
}

fn observed(server: &TestServer, opened: &OpenedSession) -> Observation {
    let watched = WatchedSession {
        session: opened.session,
        account: opened.account.id,
        token_digest: secret::digest(opened.token.expose()),
        host: String::new(),
        application: None,
    };
    server.run(observe(&server.ctx, &watched)).unwrap()
}

/// The first instant after a limit.
fn after(opened: &OpenedSession, seconds: i64) -> Option<Timestamp> {
    let limit = opened.signed_in_at.saturating_add(Span::from_secs(seconds));
    Some(limit.saturating_add(Span::from_micros(1)))
}

#[test]
fn a_page_is_notified_when_its_minute_to_register_a_device_is_over() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        server.policy(&[("session.device_binding", "require")]);
        let opened = open(&server, "ada");
        let seen = observed(&server, &opened);
        assert_eq!((seen.state, seen.duty), (WatchedState::Live, None), "{backend:?}");
        assert_eq!(seen.next, after(&opened, 60), "{backend:?}");
        server.advance(60);
        assert_eq!(
            observed(&server, &opened).duty,
            None,
            "{backend:?}: the limit is inclusive"
        );
        server.advance(1);
        let seen = observed(&server, &opened);
        assert_eq!(seen.duty, Some(Duty::DeviceProof(DeviceFault::Unbound)), "{backend:?}");
        assert_ne!(
            seen.next,
            after(&opened, 60),
            "{backend:?}: what is over is not awaited again"
        );
    }
}

#[test]
fn a_page_is_notified_when_the_time_to_set_up_a_factor_is_over() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        server.policy(&[("factor.required", "any"), ("factor.enrolment_grace", "3600")]);
        let opened = open(&server, "ada");
        let seen = observed(&server, &opened);
        assert_eq!((seen.state, seen.duty), (WatchedState::Live, None), "{backend:?}");
        assert_eq!(seen.next, after(&opened, 3600), "{backend:?}");
        server.advance(3601);
        let seen = observed(&server, &opened);
        assert_eq!(seen.duty, Some(Duty::Factor(FactorDuty::Enrol)), "{backend:?}");
    }
}
