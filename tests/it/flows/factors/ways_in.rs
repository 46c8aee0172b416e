//! Every way in, for every requirement, role and application: what the session has proved, and what
//! it still must prove.

use super::{
    BROWSER, alone, attempt, client, code_step, completed, due, enrol_app, enrol_passkey, live_sessions, open, owner,
    server, settle, sign_in_options, step, target,
};
use crate::harness::{
    passkey::SoftPasskey,
    server::{Backend, TestServer, operator},
};
use nightlatch::{
    domain::{
        account::Role,
        activity::RequestKind,
        application::Application,
        audit::RequestOrigin,
        factor::{FactorDuty, Proof, Proofs},
        policy::Scope,
        secret::Secret,
        session::{Duty, RequestFacts},
    },
    flows::{
        access::{self, Access, EntryPoint, PresentedToken},
        accounts::{self, AccountAction, NewPassword},
        applications::{self, ApplicationChange, ApplicationOutcome},
        factors::{self, CodeStep, PasskeyStep, PendingStep},
        login::{OpenedSession, SessionTarget, SignInAttempt, SignInOutcome, sign_in},
    },
};
use std::sync::Arc;

const REQUIREMENTS: [&str; 3] = ["off", "any", "passkey"];

/// What a session must still prove under each of [`REQUIREMENTS`].
type Owed = [Option<FactorDuty>; 3];

const NOTHING: Owed = [None, None, None];
const A_PASSKEY: Owed = [None, None, Some(FactorDuty::Enrol)];
const ANYTHING: Owed = [None, Some(FactorDuty::Enrol), Some(FactorDuty::Enrol)];

/// A way in, in the order of the table.
struct WayIn {
    name: &'static str,
    open: fn(&TestServer, &str) -> OpenedSession,
    proofs: &'static [Proof],
    owed: Owed,
}

const WAYS: &[WayIn] = &[
    WayIn {
        name: "password",
        open,
        proofs: &[Proof::Password],
        owed: ANYTHING,
    },
    WayIn {
        name: "password and code",
        open: by_code,
        proofs: &[Proof::Password, Proof::Totp],
        owed: A_PASSKEY,
    },
    WayIn {
        name: "password and recovery code, with an app",
        open: by_recovery_code,
        proofs: &[Proof::Password, Proof::RecoveryCode],
        owed: A_PASSKEY,
    },
    WayIn {
        name: "password and recovery code, with a passkey",
        open: by_recovery_code_of_passkey,
        proofs: &[Proof::Password, Proof::RecoveryCode],
        // Under `passkey` a recovery code opens the enrolment of a new one.
        owed: A_PASSKEY,
    },
    WayIn {
        name: "password and passkey",
        open: by_second_step,
        proofs: &[Proof::Password, Proof::PasskeyVerified],
        owed: NOTHING,
    },
    WayIn {
        name: "passkey alone",
        open: by_passkey_alone,
        proofs: &[Proof::PasskeyVerified],
        owed: NOTHING,
    },
    WayIn {
        name: "trusted browser",
        open: by_trusted_browser,
        proofs: &[Proof::Password, Proof::TrustedBrowser],
        owed: A_PASSKEY,
    },
    WayIn {
        name: "after a reset by an administrator",
        open: after_reset,
        proofs: &[Proof::Password, Proof::Totp],
        owed: A_PASSKEY,
    },
];

fn by_code(server: &TestServer, name: &str) -> OpenedSession {
    let (app, _) = enrol_app(server, &open(server, name));
    let due = due(server, name);
    completed(settle(server, code_step(&due, &app.code(server.now())))).session
}

fn by_recovery_code(server: &TestServer, name: &str) -> OpenedSession {
    let (_, codes) = enrol_app(server, &open(server, name));
    let due = due(server, name);
    completed(settle(server, code_step(&due, codes[0].expose()))).session
}

fn by_recovery_code_of_passkey(server: &TestServer, name: &str) -> OpenedSession {
    let opened = open(server, name);
    enrol_passkey(server, &opened);
    let acting = operator();
    let made = factors::make_recovery_codes(&server.ctx, &acting, opened.account.id);
    let codes = server.run(made).unwrap().unwrap();
    let due = due(server, name);
    completed(settle(server, code_step(&due, codes[0].expose()))).session
}

fn with_passkey(server: &TestServer, name: &str) -> SoftPasskey {
    enrol_passkey(server, &open(server, name))
}

fn by_second_step(server: &TestServer, name: &str) -> OpenedSession {
    let mut passkey = with_passkey(server, name);
    let due = due(server, name);
    let options = server.run(factors::pending_passkey_options(&server.ctx, &step(&due)));
    let request = PasskeyStep {
        step: step(&due),
        answer: passkey.answer(&super::step_options(options.unwrap())),
        trust: false,
        target: target(),
    };
    completed(
        server
            .run(factors::sign_in_with_pending_passkey(&server.ctx, request))
            .unwrap(),
    )
    .session
}

fn by_passkey_alone(server: &TestServer, name: &str) -> OpenedSession {
    let mut passkey = with_passkey(server, name);
    let answer = passkey.answer(&sign_in_options(server));
    completed(alone(server, &answer)).session
}

fn by_trusted_browser(server: &TestServer, name: &str) -> OpenedSession {
    server.policy(&[("factor.trusted_browser", "30d")]);
    let (app, _) = enrol_app(server, &open(server, name));
    let due = due(server, name);
    let request = CodeStep {
        trust: true,
        ..code_step(&due, &app.code(server.now()))
    };
    let (token, _) = completed(settle(server, request)).trusted.unwrap();
    match server.run(sign_in(&server.ctx, attempt(name, Some(token)))).unwrap() {
        SignInOutcome::Accepted(opened) => *opened,
        _ => panic!("asked again"),
    }
}

/// A new password alone opens no session, and the factor stays.
fn after_reset(server: &TestServer, name: &str) -> OpenedSession {
    let opened = open(server, name);
    let (app, _) = enrol_app(server, &opened);
    let password = "another harbour violin";
    let act = AccountAction::SetPassword {
        password: Secret::new(password.to_owned()),
        must_change: false,
    };
    server.act(opened.account.id, act);
    assert_eq!(live_sessions(server, opened.account.id), 0);
    let attempt = SignInAttempt {
        password: Secret::new(password.to_owned()),
        ..attempt(name, None)
    };
    let SignInOutcome::FactorNeeded(due) = server.run(sign_in(&server.ctx, attempt)).unwrap() else {
        panic!("no factor is asked for");
    };
    completed(settle(server, code_step(&due, &app.code(server.now())))).session
}

/// Returns what a session must still prove at a place.
pub fn owed(server: &TestServer, opened: &OpenedSession, application: Option<&Application>) -> Option<FactorDuty> {
    let request = RequestFacts {
        ip: client().ip,
        user_agent: Some(BROWSER),
        kind: RequestKind::default(),
    };
    let presented = PresentedToken {
        token: opened.token.expose(),
        request: &request,
        entry_point: EntryPoint {
            host: "",
            application,
            reaches_browser: false,
        },
        device: None,
    };
    let admitted = access::admit(&server.ctx, presented, RequestOrigin::default, |_, _| true);
    match server.run(admitted).unwrap() {
        Access::Admitted(admitted) => match admitted.duty {
            None => None,
            Some(Duty::Factor(duty)) => Some(duty),
            Some(Duty::PasswordChange) => panic!("a password change is due"),
            Some(Duty::DeviceProof(_)) => panic!("a proof of the device is due"),
        },
        Access::Anonymous | Access::Ended(_) | Access::Unproved(_) => panic!("not admitted"),
    }
}

fn wiki(server: &TestServer) -> Arc<Application> {
    let change = ApplicationChange {
        hosts: Some(vec!["wiki.example.test".to_owned()]),
        ..ApplicationChange::default()
    };
    let acting = operator();
    let made = applications::create(&server.ctx, &acting, "wiki", change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    let all = server.run(server.ctx.current_applications()).unwrap();
    all.named("wiki").unwrap().clone()
}

fn drive(backend: Backend) {
    for way in WAYS {
        for role in [Role::Member, Role::Administrator] {
            let server = server(backend);
            server.account("ada", role);
            // Another administrator saves policies.
            server.account("root", Role::Administrator);
            let opened = (way.open)(&server, "ada");
            let proofs: Proofs = way.proofs.iter().copied().collect();
            assert_eq!(opened.proofs, proofs, "{}", way.name);
            let wiki = wiki(&server);
            let set = |scope: &Scope, value: &str| server.policy_in(scope, &[("factor.required", value)]);
            let at = |application| owed(&server, &opened, application);
            for (requirement, expected) in REQUIREMENTS.iter().zip(way.owed) {
                set(&Scope::Everyone, requirement);
                assert_eq!(at(None), expected, "{} of {role:?} under {requirement}", way.name);
            }
            set(&Scope::Everyone, "off");
            for (requirement, expected) in REQUIREMENTS.iter().zip(way.owed) {
                set(&Scope::Administrators, requirement);
                let of_role = expected.filter(|_| role == Role::Administrator);
                let place = "under the administrators'";
                assert_eq!(at(None), of_role, "{} of {role:?} {place} {requirement}", way.name);
            }
            set(&Scope::Administrators, "off");
            for (requirement, expected) in REQUIREMENTS.iter().zip(way.owed) {
                // Nightlatch's own pages ignore the requirement of an application.
                set(&Scope::Application("wiki".to_owned()), requirement);
                assert_eq!(at(None), None, "{}", way.name);
                assert_eq!(at(Some(&*wiki)), expected, "{} at wiki under {requirement}", way.name);
            }
        }
    }
}

#[test]
fn every_way_in_proves_what_it_proves_and_owes_the_rest_on_sqlite() {
    drive(Backend::Sqlite);
}

#[test]
fn every_way_in_proves_what_it_proves_and_owes_the_rest_on_postgres() {
    drive(Backend::Postgres);
}

/// The lock screen of an application's host goes through the same second step, bound to that host
/// and application.
#[test]
fn the_lock_screen_of_an_application_settles_there_alone() {
    let server = server(Backend::Sqlite);
    server.account("ada", Role::Member);
    let (app, _) = enrol_app(&server, &open(&server, "ada"));
    let wiki = wiki(&server);
    let there = || SessionTarget {
        host: "wiki.example.net".to_owned(),
        entering: Some(wiki.clone()),
        ..target()
    };
    let attempt = SignInAttempt {
        target: there(),
        ..attempt("ada", None)
    };
    let SignInOutcome::FactorNeeded(due) = server.run(sign_in(&server.ctx, attempt)).unwrap() else {
        panic!("no factor is asked for");
    };
    let elsewhere = code_step(&due, &app.code(server.now()));
    assert!(matches!(settle(&server, elsewhere), factors::FactorStepOutcome::Over));
    let request = CodeStep {
        step: PendingStep {
            host: "wiki.example.net".to_owned(),
            ..step(&due)
        },
        target: there(),
        ..code_step(&due, &app.code(server.now()))
    };
    let done = completed(settle(&server, request));
    assert_eq!(done.session.proofs, Proofs::PASSWORD.with(Proof::Totp));
}

/// An invitation sets a password and signs nobody in; required factors are due at the first
/// sign-in.
#[test]
fn an_invited_account_owes_what_is_required() {
    let server = server(Backend::Sqlite);
    let new = accounts::NewAccount {
        name: "ivy".to_owned(),
        display_name: String::new(),
        email: "ivy@example.test".to_owned(),
        role: Role::Member,
        groups: Vec::new(),
        expires_at: None,
        password: NewPassword::Invitation,
    };
    let made = server.run(accounts::create(&server.ctx, &operator(), new)).unwrap();
    let accounts::CreateOutcome::Created { id, .. } = made else {
        panic!("not made")
    };
    server.policy(&[("factor.required", "any")]);
    let act = AccountAction::SetPassword {
        password: Secret::new(super::PASSWORD.to_owned()),
        must_change: false,
    };
    server.act(id, act);
    assert_eq!(live_sessions(&server, id), 0);
    let opened = open(&server, "ivy");
    assert_eq!(opened.proofs, Proofs::PASSWORD);
    assert_eq!(owed(&server, &opened, None), Some(FactorDuty::Enrol));
    enrol_app(&server, &opened);
    let proof = owner(&opened);
    assert_eq!(
        super::proofs_of(&server, proof.session.session),
        Proofs::PASSWORD.with(Proof::Totp)
    );
}
