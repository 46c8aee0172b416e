//! Second factors: what completes a sign-in, and what does not.

mod cost;
mod ways_in;

use crate::harness::{
    passkey::SoftPasskey,
    server::{Backend, TestServer, eventually, operator},
};
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        client::Client,
        factor::{FactorDuty, Proof, Proofs},
        login::SignInRefusal,
        secret::Secret,
        session::SessionId,
        time::Timestamp,
    },
    flows::{
        Ctx, Initiator,
        accounts::AccountAction,
        factors::{
            self, AppConfirmation, CodeStep, CompletedSignIn, EnrolmentLinkOutcome, EnrolmentRefusal, FactorDue,
            FactorOwner, FactorStepOutcome, PasskeyEnrolment, PasskeyOptions, PasskeySignIn, PasskeyStep, PendingStep,
            ProofOutcome, ProvingSession, RemovalOutcome, ResetKind, SecondStepOptions, SignInOptions,
        },
        login::{OpenedSession, SessionTarget, SignInAttempt, SignInOutcome, sign_in},
        step_up::{self, StepUpMethod, StepUpOutcome, StepUpRequest},
    },
    second_factor::totp,
};
use serde_json::Value;
use std::{cell::RefCell, collections::HashMap, sync::Arc};

/// The password that `TestServer` gives its accounts.
const PASSWORD: &str = crate::harness::server::PASSWORD;
const ORIGIN: &str = "https://login.example.test";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn server(backend: Backend) -> TestServer {
    TestServer::on(backend).env("NIGHTLATCH_PUBLIC_URL", ORIGIN).start()
}

fn client() -> Client {
    Client {
        ip: [192, 0, 2, 7].into(),
        user_agent: Some(BROWSER.to_owned()),
        request_id: None,
    }
}

fn target() -> SessionTarget {
    SessionTarget {
        replaces: None,
        cookie_form: String::new(),
        host: String::new(),
        entering: None,
    }
}

fn attempt(name: &str, trusted: Option<Secret>) -> SignInAttempt {
    SignInAttempt {
        username: name.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        client: client(),
        target: target(),
        return_to: "/page".to_owned(),
        trusted,
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Signs in with the password alone, where no factor is required.
fn open(server: &TestServer, name: &str) -> OpenedSession {
    match server.run(sign_in(&server.ctx, attempt(name, None))).unwrap() {
        SignInOutcome::Accepted(opened) => *opened,
        SignInOutcome::FactorNeeded(_) => panic!("a factor is needed"),
        SignInOutcome::Refused(refusal) => panic!("{refusal:?}"),
        SignInOutcome::NotAllowed => panic!("not allowed"),
    }
}

fn due_with(server: &TestServer, name: &str, trusted: Option<Secret>) -> FactorDue {
    match server.run(sign_in(&server.ctx, attempt(name, trusted))).unwrap() {
        SignInOutcome::FactorNeeded(due) => *due,
        SignInOutcome::Accepted(_) => panic!("{name} was let in without a factor"),
        SignInOutcome::Refused(refusal) => panic!("{refusal:?}"),
        SignInOutcome::NotAllowed => panic!("not allowed"),
    }
}

fn due(server: &TestServer, name: &str) -> FactorDue {
    due_with(server, name, None)
}

fn initiator(account: AccountId, name: &str, session: SessionId) -> Initiator {
    Initiator {
        actor: nightlatch::domain::audit::Actor::Account {
            id: account,
            name: name.to_owned(),
        },
        session: Some(session),
        ..operator()
    }
}

thread_local! {
    /// The newest token of each session that a proof gave a new one, as its browser would keep it.
    static RENEWED: RefCell<HashMap<SessionId, Secret>> = RefCell::default();
}

fn keep_token(opened: &OpenedSession, token: Option<Secret>) {
    let token = token.expect("a proof gives a new token");
    RENEWED.with_borrow_mut(|renewed| renewed.insert(opened.session, token));
}

fn token_of(opened: &OpenedSession) -> Secret {
    let renewed = RENEWED.with_borrow(|renewed| renewed.get(&opened.session).cloned());
    renewed.unwrap_or_else(|| opened.token.clone())
}

fn owner(opened: &OpenedSession) -> FactorOwner {
    FactorOwner {
        session: ProvingSession {
            account: opened.account.id,
            session: opened.session,
            token_digest: nightlatch::domain::secret::digest(token_of(opened).expose()),
            client: client(),
        },
        link: None,
    }
}

fn by(opened: &OpenedSession) -> Initiator {
    initiator(opened.account.id, &opened.account.name, opened.session)
}

/// An authenticator app in software.
#[derive(Clone)]
struct App(Vec<u8>);

impl App {
    fn code(&self, at: Timestamp) -> String {
        let totp = totp_rs::Builder::new().with_secret(self.0.clone()).build().unwrap();
        let seconds = u64::try_from(at.as_micros() / 1_000_000).unwrap();
        totp.generate(seconds).to_string()
    }
}

/// Enrols an app and returns it with the recovery codes.
fn enrol_app(server: &TestServer, opened: &OpenedSession) -> (App, Vec<Secret>) {
    enrol_app_as(server, opened, owner(opened))
}

fn enrol_app_as(server: &TestServer, opened: &OpenedSession, owner: FactorOwner) -> (App, Vec<Secret>) {
    let started = server
        .run(factors::start_app(&server.ctx, &by(opened), &owner))
        .unwrap();
    let Ok(started) = started else { panic!("refused") };
    assert!(started.qr.expose().starts_with("<svg"));
    let plain = started.secret.expose().as_bytes();
    let app = App(data_encoding::BASE32_NOPAD.decode(plain).unwrap());
    assert_eq!(app.0.len(), totp::SECRET_BYTES);
    let wrong = server.run(factors::confirm_app(
        &server.ctx,
        &by(opened),
        owner.clone(),
        secret("000000"),
    ));
    assert!(matches!(wrong.unwrap(), AppConfirmation::Wrong));
    let code = secret(&app.code(server.now()));
    let confirmed = server
        .run(factors::confirm_app(&server.ctx, &by(opened), owner, code))
        .unwrap();
    let AppConfirmation::ConfirmedVisitor { recovery_codes, token } = confirmed else {
        panic!("not confirmed")
    };
    keep_token(opened, token);
    // The code that confirmed the app cannot be used again.
    server.advance(30);
    (app, recovery_codes.unwrap_or_default())
}

fn enrol_passkey(server: &TestServer, opened: &OpenedSession) -> SoftPasskey {
    let owner = owner(opened);
    let PasskeyOptions::Options(options) = server.run(factors::start_passkey(&server.ctx, &owner)).unwrap() else {
        panic!("no options");
    };
    let (passkey, answer) = SoftPasskey::register(&options, ORIGIN);
    let acting = by(opened);
    let added = factors::finish_passkey(&server.ctx, &acting, owner.clone(), " Phone ", answer.clone());
    let PasskeyEnrolment::Added { name, token, .. } = server.run(added).unwrap() else {
        panic!("not added")
    };
    keep_token(opened, token);
    assert_eq!(name, "Phone");
    // The challenge is consumed.
    let renewed = self::owner(opened);
    let again = server.run(factors::finish_passkey(&server.ctx, &by(opened), renewed, "", answer));
    assert!(matches!(again.unwrap(), PasskeyEnrolment::Invalid));
    passkey
}

fn step(due: &FactorDue) -> PendingStep {
    PendingStep {
        token: due.token.clone(),
        client: client(),
        host: String::new(),
    }
}

fn code_step(due: &FactorDue, code: &str) -> CodeStep {
    CodeStep {
        step: step(due),
        code: secret(code),
        trust: false,
        target: target(),
    }
}

fn settle(server: &TestServer, request: CodeStep) -> FactorStepOutcome {
    server.run(factors::sign_in_with_code(&server.ctx, request)).unwrap()
}

fn completed(outcome: FactorStepOutcome) -> CompletedSignIn {
    match outcome {
        FactorStepOutcome::Completed(completed) => *completed,
        other => panic!("{}", describe(&other)),
    }
}

fn describe(outcome: &FactorStepOutcome) -> &'static str {
    match outcome {
        FactorStepOutcome::Completed(_) => "completed",
        FactorStepOutcome::Wrong => "wrong",
        FactorStepOutcome::UnknownPasskey => "unknown passkey",
        FactorStepOutcome::Refused(SignInRefusal::Locked(_)) => "blocked",
        FactorStepOutcome::Refused(SignInRefusal::Busy) => "busy",
        FactorStepOutcome::Refused(_) => "refused",
        FactorStepOutcome::Over => "over",
        FactorStepOutcome::NotAllowed => "not allowed",
    }
}

fn proofs_of(server: &TestServer, session: SessionId) -> Proofs {
    let found = server
        .ctx
        .store
        .read_now(move |c| nightlatch::store::sessions::find(c, session));
    found.unwrap().unwrap().proofs
}

fn live_sessions(server: &TestServer, account: AccountId) -> usize {
    let live = server
        .ctx
        .store
        .read_now(move |c| nightlatch::store::sessions::list_live_of_account(c, account));
    live.unwrap().len()
}

fn count(server: &TestServer, event: &str) -> usize {
    server.events().iter().filter(|known| *known == event).count()
}

fn on_both(test: impl Fn(&TestServer)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        test(&server(backend));
    }
}

#[test]
fn a_code_completes_a_sign_in_once() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let (app, codes) = enrol_app(server, &open(server, "ada"));
        assert_eq!(codes.len(), 10);
        let due = due(server, "ada");
        assert_eq!(due.methods.codes(), ["totp", "recovery"]);
        let before = live_sessions(server, ada);
        assert_eq!(describe(&settle(server, code_step(&due, "000000"))), "wrong");
        assert_eq!(describe(&settle(server, code_step(&due, "no code"))), "wrong");
        let code = app.code(server.now());
        let blanks = format!(" {} {}", &code[..3], &code[3..]);
        let done = completed(settle(server, code_step(&due, &blanks)));
        assert_eq!(done.return_to, "/page");
        assert_eq!(
            proofs_of(server, done.session.session),
            Proofs::PASSWORD.with(Proof::Totp)
        );
        assert_eq!(live_sessions(server, ada), before + 1);
        // The sign-in is completed, and the code is consumed.
        assert_eq!(describe(&settle(server, code_step(&due, &code))), "over");
        let next = self::due(server, "ada");
        assert_eq!(describe(&settle(server, code_step(&next, &code))), "wrong");
        assert_eq!(count(server, "factor.refused replayed"), 1);
        assert_eq!(count(server, "factor.refused code"), 2);
        assert_eq!(count(server, "factor.proved"), 2);
        server.advance(60);
        completed(settle(server, code_step(&next, &app.code(server.now()))));
    });
}

#[test]
fn parallel_codes_are_checked_only_as_often_as_the_limit_allows() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let (app, _) = enrol_app(server, &open(server, "ada"));
        let before = live_sessions(server, ada);
        let pending = due(server, "ada");
        let code = app.code(server.now());
        let outcomes = all_at_once(server, 20, || code_step(&pending, &code));
        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome == "completed").count(),
            1,
            "{outcomes:?}"
        );
        assert_eq!(live_sessions(server, ada), before + 1);
        server.advance(60);
        let checked =
            |server: &TestServer| count(server, "factor.refused code") + count(server, "factor.refused replayed");
        let (pending, before) = (due(server, "ada"), checked(server));
        let outcomes = all_at_once(server, 200, || code_step(&pending, "000000"));
        assert!(!outcomes.contains(&"completed"), "{outcomes:?}");
        assert!((1..=5).contains(&(checked(server) - before)), "{outcomes:?}");
        // The lock covers the whole network, even with the right code.
        let right = code_step(&pending, &app.code(server.now()));
        assert!(["blocked", "busy"].contains(&describe(&settle(server, right))));
    });
}

/// Runs this many second steps at once and returns their outcomes.
fn all_at_once(server: &TestServer, number: usize, request: impl Fn() -> CodeStep) -> Vec<&'static str> {
    let ctx = &server.ctx;
    let steps: Vec<CodeStep> = (0..number).map(|_| request()).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = steps
            .into_iter()
            .map(|step| {
                scope.spawn(move || {
                    let done = crate::harness::server::block_on(factors::sign_in_with_code(ctx, step));
                    done.map_or("unavailable", |outcome| describe(&outcome))
                })
            })
            .collect();
        running.into_iter().map(|done| done.join().unwrap()).collect()
    })
}

#[test]
fn another_instance_settles_a_sign_in_and_counts_the_same_attempts() {
    let first = server(Backend::Postgres);
    let second = TestServer::beside(&first.database)
        .env("NIGHTLATCH_PUBLIC_URL", ORIGIN)
        .clock(&first.clock)
        .start();
    first.account("ada", Role::Member);
    let (app, _) = enrol_app(&first, &open(&first, "ada"));
    let begun = due(&first, "ada");
    completed(settle(&second, code_step(&begun, &app.code(first.now()))));
    first.advance(60);
    let begun = due(&first, "ada");
    for server in [&first, &second, &first, &second] {
        assert_eq!(describe(&settle(server, code_step(&begun, "000000"))), "wrong");
    }
    assert_eq!(describe(&settle(&first, code_step(&begun, "000000"))), "blocked");
    let right = code_step(&begun, &app.code(first.now()));
    assert_eq!(describe(&settle(&second, right)), "blocked");
}

#[test]
fn a_pending_sign_in_is_bound_to_its_browser_password_and_time() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let (app, _) = enrol_app(server, &open(server, "ada"));
        let due = due(server, "ada");
        let with = |change: &dyn Fn(&mut CodeStep)| {
            let mut request = code_step(&due, &app.code(server.now()));
            change(&mut request);
            describe(&settle(server, request))
        };
        assert_eq!(
            with(&|request| request.step.client.user_agent = Some("curl".to_owned())),
            "over"
        );
        assert_eq!(
            with(&|request| request.step.client.ip = [198, 51, 100, 7].into()),
            "over"
        );
        assert_eq!(
            with(&|request| request.step.host = "wiki.example.test".to_owned()),
            "over"
        );
        assert_eq!(
            with(&|request| request.target.host = "wiki.example.test".to_owned()),
            "over"
        );
        assert_eq!(with(&|request| request.step.token = secret("another")), "over");
        // Five minutes, inclusive.
        server.advance(300);
        let step = self::step(&due);
        assert!(server.run(factors::find_pending(&server.ctx, &step)).unwrap().is_some());
        server.clock.advance(nightlatch::domain::time::Span::from_micros(1));
        assert!(server.run(factors::find_pending(&server.ctx, &step)).unwrap().is_none());
        assert_eq!(with(&|_| {}), "over");
        // The password changed, and the account was disabled.
        let due = self::due(server, "ada");
        server.act(ada, AccountAction::ResetPassword);
        assert_eq!(
            describe(&settle(server, code_step(&due, &app.code(server.now())))),
            "over"
        );
    });
}

#[test]
fn an_account_that_is_disabled_between_the_steps_is_refused() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let (app, _) = enrol_app(server, &open(server, "ada"));
        let due = due(server, "ada");
        server.act(ada, AccountAction::Disable);
        let outcome = settle(server, code_step(&due, &app.code(server.now())));
        assert!(matches!(
            outcome,
            FactorStepOutcome::Refused(SignInRefusal::Disabled) | FactorStepOutcome::Over
        ));
        assert_eq!(live_sessions(server, ada), 0);
    });
}

#[test]
fn a_recovery_code_works_once_and_its_owner_is_notified() {
    on_both(|server| {
        server.account("ada", Role::Member);
        let (_, codes) = enrol_app(server, &open(server, "ada"));
        let first = due(server, "ada");
        let typed = codes[3].expose().to_lowercase().replace('-', " ");
        let done = completed(settle(server, code_step(&first, &typed)));
        assert_eq!(
            proofs_of(server, done.session.session),
            Proofs::PASSWORD.with(Proof::RecoveryCode)
        );
        let second = due(server, "ada");
        assert_eq!(describe(&settle(server, code_step(&second, &typed))), "wrong");
        assert_eq!(count(server, "recovery_code.used"), 1);
        let owner = owner(&done.session);
        let new = server.run(factors::make_recovery_codes(
            &server.ctx,
            &by(&done.session),
            owner.session.account,
        ));
        let new = new.unwrap().unwrap();
        assert_eq!(
            describe(&settle(server, code_step(&second, codes[0].expose()))),
            "wrong"
        );
        completed(settle(server, code_step(&second, new[0].expose())));
        let seen = server
            .run(factors::list_factors(&server.ctx, owner.session.account))
            .unwrap();
        assert_eq!(seen.factors.recovery_codes, 9);
    });
}

#[test]
fn a_passkey_completes_a_sign_in_and_signs_in_alone() {
    on_both(|server| {
        server.account("ada", Role::Member);
        let opened = open(server, "ada");
        let mut passkey = enrol_passkey(server, &opened);
        let due = due(server, "ada");
        assert_eq!(due.methods.codes(), ["passkey", "recovery"]);
        let options = server
            .run(factors::pending_passkey_options(&server.ctx, &step(&due)))
            .map(step_options)
            .unwrap();
        let answer = passkey.answer(&options);
        let settle = |answer: &Value| {
            let request = PasskeyStep {
                step: step(&due),
                answer: answer.clone(),
                trust: false,
                target: target(),
            };
            server
                .run(factors::sign_in_with_pending_passkey(&server.ctx, request))
                .unwrap()
        };
        let done = completed(settle(&answer));
        assert_eq!(
            proofs_of(server, done.session.session),
            Proofs::PASSWORD.with(Proof::PasskeyVerified)
        );
        assert_eq!(describe(&settle(&answer)), "over");
        let options = sign_in_options(server);
        let answer = passkey.answer(&options);
        let done = completed(alone(server, &answer));
        assert_eq!(
            proofs_of(server, done.session.session),
            Proofs::from(Proof::PasskeyVerified)
        );
        // A reused challenge, and an answer for another purpose.
        assert_eq!(describe(&alone(server, &answer)), "wrong");
        let second = self::due(server, "ada");
        let options = server
            .run(factors::pending_passkey_options(&server.ctx, &step(&second)))
            .map(step_options)
            .unwrap();
        assert_eq!(describe(&alone(server, &passkey.answer(&options))), "wrong");
        assert!(count(server, "factor.refused assertion") >= 2);
    });
}

fn sign_in_options(server: &TestServer) -> Value {
    match server.run(factors::sign_in_options(&server.ctx, &client())).unwrap() {
        SignInOptions::Options(options) => options,
        SignInOptions::Off => panic!("off"),
    }
}

fn step_options(options: SecondStepOptions) -> Value {
    match options {
        SecondStepOptions::Options(options) => options,
        SecondStepOptions::NoPasskey => panic!("no passkey"),
        SecondStepOptions::Over => panic!("over"),
    }
}

fn alone(server: &TestServer, answer: &Value) -> FactorStepOutcome {
    let request = PasskeySignIn {
        answer: answer.clone(),
        client: client(),
        target: target(),
    };
    server.run(factors::sign_in_with_passkey(&server.ctx, request)).unwrap()
}

#[test]
fn answers_of_elsewhere_and_copied_keys_sign_nobody_in() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        server.account("bob", Role::Member);
        let opened = open(server, "ada");
        let mut passkey = enrol_passkey(server, &opened);
        let mut refused = |change: &dyn Fn(&mut SoftPasskey)| {
            let options = sign_in_options(server);
            let kept = (
                passkey.origin.clone(),
                passkey.domain.clone(),
                passkey.user.clone(),
                passkey.is_verified,
            );
            change(&mut passkey);
            let answer = passkey.answer(&options);
            (passkey.origin, passkey.domain, passkey.user, passkey.is_verified) = kept;
            describe(&alone(server, &answer))
        };
        assert_eq!(
            refused(&|passkey| passkey.origin = "https://login.example.net".to_owned()),
            "wrong"
        );
        assert_eq!(
            refused(&|passkey| passkey.origin = "https://evil.login.example.test".to_owned()),
            "wrong"
        );
        assert_eq!(refused(&|passkey| passkey.domain = "example.test".to_owned()), "wrong");
        assert_eq!(refused(&|passkey| passkey.user = vec![7; 16]), "wrong");
        assert_eq!(refused(&|passkey| passkey.is_verified = false), "wrong");
        assert_eq!(refused(&|_| {}), "completed");
        // A copy of the key with a lower counter.
        let copied = passkey.answer_at(&sign_in_options(server), 1);
        assert_eq!(describe(&alone(server, &copied)), "wrong");
        let fell = server
            .audit()
            .into_iter()
            .find(|row| row.reason.as_deref() == Some("counter"))
            .unwrap();
        assert!(fell.event.is_critical(fell.reason.as_deref()));
        assert_eq!(fell.account.as_deref(), Some("ada"));
        // The passkey is removed between challenge and answer.
        let options = sign_in_options(server);
        server
            .run(factors::reset_factors(&server.ctx, &operator(), ada, ResetKind::All))
            .unwrap();
        assert_eq!(describe(&alone(server, &passkey.answer(&options))), "unknown passkey");
        assert_eq!(live_sessions(server, ada), 0);
    });
}

#[test]
fn policy_between_the_steps_counts() {
    on_both(|server| {
        server.account("ada", Role::Member);
        let opened = open(server, "ada");
        let mut passkey = enrol_passkey(server, &opened);
        let options = sign_in_options(server);
        server.policy(&[("factor.passwordless", "false")]);
        assert_eq!(describe(&alone(server, &passkey.answer(&options))), "wrong");
        let off = server.run(factors::sign_in_options(&server.ctx, &client())).unwrap();
        assert!(matches!(off, SignInOptions::Off));
        let due = due(server, "ada");
        let options = server
            .run(factors::pending_passkey_options(&server.ctx, &step(&due)))
            .map(step_options)
            .unwrap();
        server.policy(&[("factor.passkeys", "false")]);
        let request = PasskeyStep {
            step: step(&due),
            answer: passkey.answer(&options),
            trust: false,
            target: target(),
        };
        let outcome = server
            .run(factors::sign_in_with_pending_passkey(&server.ctx, request))
            .unwrap();
        assert_eq!(describe(&outcome), "wrong");
        // An enrolled factor is asked for even though its kind is off: recovery codes can replace
        // it.
        assert_eq!(self::due(server, "ada").methods.codes(), ["recovery"]);
    });
}

#[test]
fn a_trusted_browser_is_not_asked_again_until_the_password_changes() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        server.policy(&[("factor.trusted_browser", "30d")]);
        let (app, _) = enrol_app(server, &open(server, "ada"));
        let due = due(server, "ada");
        let view = server
            .run(factors::find_pending(&server.ctx, &step(&due)))
            .unwrap()
            .unwrap();
        assert!(view.trust_for.is_some());
        let request = CodeStep {
            trust: true,
            ..code_step(&due, &app.code(server.now()))
        };
        let (token, _) = completed(settle(server, request)).trusted.unwrap();
        let trusted = match server
            .run(sign_in(&server.ctx, attempt("ada", Some(token.clone()))))
            .unwrap()
        {
            SignInOutcome::Accepted(opened) => opened,
            _ => panic!("asked again"),
        };
        assert_eq!(
            proofs_of(server, trusted.session),
            Proofs::PASSWORD.with(Proof::TrustedBrowser)
        );
        // Neither another browser's token nor the requirement of a passkey trusts this browser.
        due_with(server, "ada", Some(secret("another")));
        server.policy(&[("factor.trusted_browser", "0")]);
        due_with(server, "ada", Some(token.clone()));
        server.policy(&[("factor.trusted_browser", "30d")]);
        let browsers = server.run(factors::list_factors(&server.ctx, ada)).unwrap().browsers;
        assert_eq!(browsers.len(), 1);
        let acting = by(&trusted);
        let gone = factors::untrust_browser(&server.ctx, &acting, ada, browsers[0].id);
        assert!(server.run(gone).unwrap());
        due_with(server, "ada", Some(token));
    });
}

#[test]
fn a_first_factor_by_link_needs_the_link_once() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        server.policy(&[("factor.enrolment", "by_link")]);
        let opened = open(server, "ada");
        let mut owner = owner(&opened);
        let refusal = |owner: &FactorOwner| {
            server
                .run(factors::find_enrolment_refusals(&server.ctx, owner))
                .unwrap()
                .of_every_kind()
        };
        assert_eq!(refusal(&owner), Some(EnrolmentRefusal::LinkNeeded));
        let nowhere = server
            .run(factors::send_enrolment_link(&server.ctx, &operator(), ada))
            .unwrap();
        assert!(matches!(nowhere, EnrolmentLinkOutcome::NoAddress));
        let made = server
            .run(factors::make_enrolment_link(&server.ctx, &operator(), ada))
            .unwrap();
        let EnrolmentLinkOutcome::Link(url) = made else {
            panic!("no link")
        };
        let token = url.expose().split_once("token=").unwrap().1.to_owned();
        owner.link = Some(secret(&token));
        assert_eq!(refusal(&owner), None);
        enrol_app_as(server, &opened, owner.clone());
        // The link is consumed. An existing factor allows the next enrolment.
        assert!(
            server
                .run(factors::find_enrolment_link(&server.ctx, &secret(&token)))
                .unwrap()
                .is_none()
        );
        server
            .run(factors::reset_factors(&server.ctx, &operator(), ada, ResetKind::All))
            .unwrap();
        let again = self::owner(&open(server, "ada"));
        let again = FactorOwner {
            link: Some(secret(&token)),
            ..again
        };
        assert_eq!(refusal(&again), Some(EnrolmentRefusal::LinkNeeded));
    });
}

#[test]
fn a_session_without_the_factor_neither_enrols_nor_steps_up() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let early = open(server, "ada");
        let opened = open(server, "ada");
        let (app, _) = enrol_app(server, &opened);
        // This session signed in before the factor was enrolled.
        let refusal = server
            .run(factors::find_enrolment_refusals(&server.ctx, &owner(&early)))
            .unwrap()
            .of_every_kind();
        assert_eq!(refusal, Some(EnrolmentRefusal::ProveFirst));
        let method = server.run(step_up::find_method(&server.ctx, ada)).unwrap();
        assert_eq!(method, StepUpMethod::PasswordAndCode);
        let prove = |code: Option<&str>| {
            let request = StepUpRequest {
                account: ada,
                session: early.session,
                token_digest: nightlatch::domain::secret::digest(early.token.expose()),
                client: client(),
                password: secret(PASSWORD),
                code: code.map(secret),
            };
            server.run(step_up::prove(&server.ctx, &by(&early), request)).unwrap()
        };
        assert!(matches!(
            prove(None),
            StepUpOutcome::MoreNeeded(StepUpMethod::PasswordAndCode)
        ));
        assert!(matches!(prove(Some("000000")), StepUpOutcome::WrongCode));
        let StepUpOutcome::Proved(token) = prove(Some(&app.code(server.now()))) else {
            panic!("not proved")
        };
        keep_token(&early, token);
        assert_eq!(proofs_of(server, early.session), Proofs::PASSWORD.with(Proof::Totp));
        let refusal = server
            .run(factors::find_enrolment_refusals(&server.ctx, &owner(&early)))
            .unwrap()
            .of_every_kind();
        assert_eq!(refusal, None);
    });
}

#[test]
fn a_factor_is_proved_within_a_session_which_goes_on_under_a_new_id() {
    on_both(|server| {
        server.account("ada", Role::Member);
        let early = open(server, "ada");
        let opened = open(server, "ada");
        let mut passkey = enrol_passkey(server, &opened);
        let proof = owner(&early).session;
        let acting = by(&early);
        let wrong = factors::prove_with_code(&server.ctx, &acting, proof.clone(), secret("123456"));
        assert!(matches!(server.run(wrong).unwrap(), ProofOutcome::Wrong));
        let options = server
            .run(factors::passkey_options(&server.ctx, &proof))
            .unwrap()
            .unwrap();
        let answer = passkey.answer(&options);
        let other = owner(&opened).session;
        let acting = by(&opened);
        let swapped = factors::prove_with_passkey(&server.ctx, &acting, other, answer.clone());
        assert!(
            matches!(server.run(swapped).unwrap(), ProofOutcome::Wrong),
            "the challenge is another session's"
        );
        let acting = by(&early);
        let proved = factors::prove_with_passkey(&server.ctx, &acting, proof, answer);
        let ProofOutcome::Proved(token) = server.run(proved).unwrap() else {
            panic!("not proved")
        };
        assert!(token.is_some());
        assert_eq!(
            proofs_of(server, early.session),
            Proofs::PASSWORD.with(Proof::PasskeyVerified)
        );
    });
}

#[test]
fn the_last_factor_stays_while_one_is_required() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let bob = server.account("bob", Role::Member);
        let opened = open(server, "ada");
        enrol_app(server, &opened);
        enrol_passkey(server, &opened);
        let proof = owner(&opened).session;
        server.policy(&[("factor.required", "any")]);
        let seen = || server.run(factors::list_factors(&server.ctx, ada)).unwrap();
        let key = seen().passkeys[0].id;
        let strangers = owner(&open(server, "bob")).session;
        let remove = |proof: &ProvingSession| {
            server
                .run(factors::remove_passkey(&server.ctx, &operator(), proof, key))
                .unwrap()
        };
        assert_eq!(remove(&strangers), RemovalOutcome::NotFound);
        let acting = operator();
        let renamed = factors::rename_passkey(&server.ctx, &acting, bob, key, "Mine");
        assert_eq!(server.run(renamed).unwrap(), factors::RenameOutcome::NotFound);
        assert_eq!(remove(&proof), RemovalOutcome::Removed);
        let remove_app = || {
            server
                .run(factors::remove_app(&server.ctx, &by(&opened), &proof))
                .unwrap()
        };
        assert_eq!(remove_app(), RemovalOutcome::LastFactor);
        server.policy(&[("factor.required", "off")]);
        assert_eq!(remove_app(), RemovalOutcome::Removed);
        assert_eq!(seen().factors, nightlatch::domain::factor::EnrolledFactors::NONE);
        open(server, "ada");
    });
}

#[test]
fn a_reset_removes_everything_and_ends_what_was_open() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let opened = open(server, "ada");
        let (app, _) = enrol_app(server, &opened);
        enrol_passkey(server, &opened);
        let due = due(server, "ada");
        let reset = server
            .run(factors::reset_factors(&server.ctx, &operator(), ada, ResetKind::All))
            .unwrap();
        assert_eq!(
            (reset.authenticator_app, reset.passkeys, reset.recovery_codes),
            (true, 1, 10)
        );
        assert_eq!(reset.ended_sessions, 1);
        assert_eq!(live_sessions(server, ada), 0);
        assert_eq!(
            describe(&settle(server, code_step(&due, &app.code(server.now())))),
            "over"
        );
        assert_eq!(count(server, "factor.reset all"), 1);
        open(server, "ada");
    });
}

#[test]
fn an_older_key_still_opens_secrets_and_is_replaced_on_use() {
    const KEYS: [&str; 2] = [
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
        "-_zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA9876543210",
    ];
    let database = Arc::new(crate::harness::server::TestDatabase::fresh(Backend::Sqlite));
    let start = |keys: &str| {
        let server = TestServer::beside(&database).env("NIGHTLATCH_SECRET_KEY", keys);
        server.env("NIGHTLATCH_PUBLIC_URL", ORIGIN).start()
    };
    let by_key = |server: &TestServer| {
        let counted = server
            .ctx
            .store
            .read_now(nightlatch::store::authenticator_apps::count_by_key);
        counted.unwrap()
    };
    let server = start(KEYS[0]);
    server.account("ada", Role::Member);
    let (app, codes) = enrol_app(&server, &open(&server, "ada"));
    let before = by_key(&server);
    server.stop();
    let server = start(&format!("{},{}", KEYS[1], KEYS[0]));
    completed(settle(&server, code_step(&due(&server, "ada"), codes[0].expose())));
    server.advance(60);
    completed(settle(
        &server,
        code_step(&due(&server, "ada"), &app.code(server.now())),
    ));
    let after = by_key(&server);
    assert_ne!(before, after);
    server.stop();
    // The older key can be removed now; codes that it digested are gone.
    let server = start(KEYS[1]);
    assert_eq!(
        describe(&settle(&server, code_step(&due(&server, "ada"), codes[1].expose()))),
        "wrong"
    );
    server.advance(90);
    completed(settle(
        &server,
        code_step(&due(&server, "ada"), &app.code(server.now())),
    ));
}

#[test]
fn rows_that_ran_out_go_by_themselves() {
    let server = server(Backend::Sqlite);
    server.account("ada", Role::Member);
    enrol_passkey(&server, &open(&server, "ada"));
    let due = due(&server, "ada");
    sign_in_options(&server);
    server.advance(301);
    server.run(factors::forget_old(&server.ctx)).unwrap();
    let digest = nightlatch::domain::secret::digest(due.token.expose());
    eventually("the pending sign-in is gone", || {
        let found = server
            .ctx
            .store
            .read_now(|c| nightlatch::store::pending_sign_ins::find(c, &digest));
        found.unwrap().is_none()
    });
}

/// Requesting challenges costs no rows and blocks nobody. Each is answered once, and only by the
/// browser that requested it.
#[test]
fn challenges_are_not_stored_and_are_answered_once() {
    on_both(|server| {
        server.account("ada", Role::Member);
        let mut passkey = enrol_passkey(server, &open(server, "ada"));
        let options = sign_in_options(server);
        for _ in 0..600 {
            sign_in_options(server);
        }
        let answer = passkey.answer(&options);
        let elsewhere = PasskeySignIn {
            answer: answer.clone(),
            client: Client {
                user_agent: Some("curl/8".to_owned()),
                ..client()
            },
            target: target(),
        };
        let outcome = server.run(factors::sign_in_with_passkey(&server.ctx, elsewhere));
        assert_eq!(describe(&outcome.unwrap()), "wrong", "another browser's");
        completed(alone(server, &answer));
        assert_eq!(describe(&alone(server, &answer)), "wrong", "answered");
        // Five minutes, inclusive.
        let options = sign_in_options(server);
        server.advance(300);
        completed(alone(server, &passkey.answer(&options)));
        let options = sign_in_options(server);
        server.advance(300);
        server.clock.advance(nightlatch::domain::time::Span::from_micros(1));
        assert_eq!(describe(&alone(server, &passkey.answer(&options))), "wrong");
    });
}

/// Returns the outcomes of answers that are sent to servers at the same time.
fn answers_at_once(answers: &[(&Ctx, Value)]) -> Vec<&'static str> {
    let send = |(ctx, answer): &(&Ctx, Value)| {
        let request = PasskeySignIn {
            answer: answer.clone(),
            client: client(),
            target: target(),
        };
        let done = crate::harness::server::block_on(factors::sign_in_with_passkey(ctx, request));
        done.map_or("unavailable", |outcome| describe(&outcome))
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = answers.iter().map(|answer| scope.spawn(move || send(answer))).collect();
        running.into_iter().map(|done| done.join().unwrap()).collect()
    })
}

#[test]
fn answers_to_one_challenge_open_one_session_in_all_instances() {
    let first = server(Backend::Postgres);
    let second = TestServer::beside(&first.database)
        .env("NIGHTLATCH_PUBLIC_URL", ORIGIN)
        .clock(&first.clock)
        .start();
    let ada = first.account("ada", Role::Member);
    let mut passkey = enrol_passkey(&first, &open(&first, "ada"));
    let before = live_sessions(&first, ada);
    let options = sign_in_options(&first);
    let answers: Vec<_> = [&first, &second, &first, &second, &first, &second]
        .map(|server| (&server.ctx, passkey.answer(&options)))
        .into();
    let outcomes = answers_at_once(&answers);
    let opened = outcomes.iter().filter(|outcome| **outcome == "completed").count();
    assert_eq!(opened, 1, "{outcomes:?}");
    assert_eq!(live_sessions(&first, ada), before + 1);
    // Another instance's challenge counts here.
    let options = sign_in_options(&second);
    completed(alone(&first, &passkey.answer(&options)));
}

/// The id that a proof replaced stays valid for a moment, so that requests in flight end well, but
/// it has neither the proof nor the confirmation.
#[test]
fn an_id_that_a_proof_replaced_does_not_have_the_proof() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let early = open(server, "ada");
        let (app, _) = enrol_app(server, &open(server, "ada"));
        server.policy(&[("factor.required", "any")]);
        assert_eq!(ways_in::owed(server, &early, None), Some(FactorDuty::Prove));
        let proof = owner(&early).session;
        let code = secret(&app.code(server.now()));
        let acting = by(&early);
        let proved = factors::prove_with_code(&server.ctx, &acting, proof.clone(), code);
        let ProofOutcome::Proved(Some(token)) = server.run(proved).unwrap() else {
            panic!("not proved")
        };
        let stolen = ways_in::owed(server, &early, None);
        assert_eq!(stolen, Some(FactorDuty::Prove), "the old id");
        let renewed = OpenedSession { token, ..early };
        assert_eq!(ways_in::owed(server, &renewed, None), None);
        // The old id does not enrol anything either.
        let thief = FactorOwner {
            session: proof,
            link: None,
        };
        let refusal = server
            .run(factors::find_enrolment_refusals(&server.ctx, &thief))
            .unwrap()
            .of_every_kind();
        assert_eq!(refusal, Some(EnrolmentRefusal::ProveFirst));
        assert_eq!(live_sessions(server, ada), 2);
    });
}

/// Switching apps off leaves no password-only account behind: the app is asked for when nothing
/// else is left, and neither the password nor a link adds a factor without it.
#[test]
fn an_account_whose_only_app_is_switched_off_is_still_asked_for_it() {
    on_both(|server| {
        let ada = server.account("ada", Role::Member);
        let opened = open(server, "ada");
        let (app, _) = enrol_app(server, &opened);
        let link = || {
            server
                .run(factors::make_enrolment_link(&server.ctx, &operator(), ada))
                .unwrap()
        };
        assert!(matches!(link(), EnrolmentLinkOutcome::HasFactor), "a dead link");
        server.policy(&[("factor.authenticator_app", "false"), ("factor.enrolment", "by_link")]);
        assert_eq!(due(server, "ada").methods.codes(), ["recovery"]);
        server
            .run(factors::reset_factors(
                &server.ctx,
                &operator(),
                ada,
                ResetKind::RecoveryCodes,
            ))
            .unwrap();
        assert!(matches!(link(), EnrolmentLinkOutcome::HasFactor), "the app is left");
        let due = due(server, "ada");
        assert_eq!(due.methods.codes(), ["totp"]);
        let done = completed(settle(server, code_step(&due, &app.code(server.now()))));
        let owner = owner(&done.session);
        let options = server.run(factors::start_passkey(&server.ctx, &owner)).unwrap();
        assert!(matches!(options, PasskeyOptions::Options(_)), "after the proof");
        let setup = server
            .run(factors::start_app(&server.ctx, &by(&done.session), &owner))
            .unwrap();
        assert!(matches!(setup, Err(EnrolmentRefusal::Off)), "no new app");
    });
}
