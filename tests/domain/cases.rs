//! Runs `tests/domain/cases/*.toml`: sessions under a policy, request by request, each with the
//! expected verdict. A case stores the session's facts as the live layer does: the effects of a
//! verdict apply before the next request.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use nightlatch_domain::{
    account::Role,
    activity::RequestKind,
    factor::{EnrolledFactors, FactorDuty, Proofs},
    policy::{
        Pins, PolicyDocument, Scope,
        effective::{EffectivePolicy, Policy},
    },
    session::{
        AccountState, Binding, DeviceEvidence, DeviceFault, Duty, EndReason, LifeFacts, LiveEffect, NetworkEvent,
        RequestFacts, SessionFacts, SessionVerdict, TokenFacts, ends_at, judge,
    },
    time::{Span, Timestamp},
};
use serde::Deserialize;

use super::{CHROME, FIREFOX, FIREFOX_UPDATED, MICRO};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    policy: BTreeMap<String, String>,
    #[serde(default)]
    administrators: BTreeMap<String, String>,
    #[serde(default)]
    applications: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    dev: bool,
    /// `member` (default) or `administrator`.
    role: Option<String>,
    /// Applications entered before the first step.
    #[serde(default)]
    entered: Vec<String>,
    /// Sign-in: time, address, agent.
    #[serde(default = "eight")]
    at: String,
    #[serde(default = "home")]
    ip: IpAddr,
    #[serde(default = "firefox")]
    agent: String,
    step: Vec<Step>,
}

/// One request, or (with `limit`) the three instants around a limit, which change nothing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Step {
    /// When the request comes; otherwise `limit` says when the session ends.
    at: Option<String>,
    limit: Option<String>,
    ip: Option<IpAddr>,
    agent: Option<String>,
    /// `old`: the id that the latest rotation replaced.
    token: Option<String>,
    /// `background`, `heartbeat`, `check`, `navigation`, `interaction`.
    kind: Option<String>,
    path: Option<String>,
    application: Option<String>,
    /// Applications entered with this request, judged with it included.
    enter: Option<String>,
    account: Option<String>,
    must_change: bool,
    /// The proofs of the session; by default the password.
    proofs: Option<String>,
    /// The enrolled factors of its account.
    app: bool,
    passkeys: u32,
    recovery_codes: u32,
    /// When a second factor was first required of it.
    required_at: Option<String>,
    ended: Option<String>,
    /// Whether the session is bound to a device.
    bound: bool,
    /// The last instant at which the request's proof of the device counts.
    proved_until: Option<String>,
    /// The last instant at which a device can be bound; by default any.
    registrable_until: Option<String>,
    /// A policy saved just before this request, for everyone.
    save: BTreeMap<String, String>,
    /// `live`, `ended CODE`, `password change`, `enrol`, `prove`, `device_unproven`,
    /// `device_unbound`.
    expect: String,
    /// Until when enrolment may be skipped, or `none`.
    enrol_by: Option<String>,
    touch: Option<bool>,
    seen: Option<bool>,
    rotate: Option<bool>,
    /// `network_changed`, `network_mismatch`, `agent_mismatch`, `none`.
    record: Option<String>,
    /// Changes of network used after it.
    changes: Option<u32>,
    /// The scope whose rule ends the session (with `limit`).
    by: Option<String>,
}

fn eight() -> String {
    "08:00".into()
}
fn home() -> IpAddr {
    "198.51.100.7".parse().unwrap()
}
fn firefox() -> String {
    "firefox".into()
}

/// `[DAYd ]HH:MM[:SS[.ffffff]]`, day 0 being that of the sign-in.
fn time(text: &str) -> Timestamp {
    let (day, clock) = text
        .split_once("d ")
        .map_or((0, text), |(day, clock)| (day.parse::<i64>().unwrap(), clock));
    let mut micros = 0;
    for (part, unit) in clock.splitn(3, ':').zip([3_600_000_000.0, 60_000_000.0, 1_000_000.0]) {
        micros += (part.parse::<f64>().unwrap() * unit).round() as i64;
    }
    Timestamp::from_micros(1_704_067_200_000_000 + day * 86_400_000_000 + micros)
}

fn user_agent(name: &str) -> Option<&str> {
    match name {
        "absent" => None,
        "firefox" => Some(FIREFOX),
        "firefox updated" => Some(FIREFOX_UPDATED),
        "chrome" => Some(CHROME),
        other => Some(other),
    }
}

fn settings(document: &mut PolicyDocument, scope: &Scope, settings: &BTreeMap<String, String>) {
    let settings: Vec<_> = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    super::set(document, scope, &settings);
}

/// The session between requests.
struct Run<'c> {
    case: &'c Case,
    document: PolicyDocument,
    entered: Vec<String>,
    life: LifeFacts,
    binding: Binding,
    rotated: Option<TokenFacts>,
    last_ip: IpAddr,
}

impl<'c> Run<'c> {
    fn new(case: &'c Case) -> Self {
        let mut document = PolicyDocument::default();
        settings(&mut document, &Scope::Everyone, &case.policy);
        settings(&mut document, &Scope::Administrators, &case.administrators);
        for (name, overrides) in &case.applications {
            settings(&mut document, &Scope::Application(name.clone()), overrides);
        }
        assert_eq!(
            document.faults(&Pins::new()),
            [],
            "{}: the policy itself is faulty",
            case.name
        );
        let signed_in_at = time(&case.at);
        Self {
            case,
            document,
            entered: case.entered.clone(),
            life: LifeFacts {
                signed_in_at,
                last_active_at: signed_in_at,
                last_seen_at: signed_in_at,
            },
            binding: Binding::at_sign_in(case.ip, user_agent(&case.agent)),
            rotated: None,
            last_ip: case.ip,
        }
    }

    fn policy(&self, step: &Step) -> EffectivePolicy {
        let role = self
            .case
            .role
            .as_deref()
            .map_or(Role::Member, |role| Role::parse(role).unwrap());
        Policy::new(1, self.document.clone(), Pins::new(), self.case.dev).effective(
            role,
            &self.entered,
            step.application.as_deref(),
        )
    }

    fn judge(&self, step: &Step, now: Timestamp) -> SessionVerdict {
        let agent = step.agent.as_deref().unwrap_or(&self.case.agent);
        let kind = step.kind.as_deref().unwrap_or("");
        let session = SessionFacts {
            ended: step.ended.as_deref().map(|code| EndReason::parse(code).unwrap()),
            account: match step.account.as_deref() {
                Some("disabled") => AccountState::Disabled,
                Some("expired") => AccountState::Expired,
                _ => AccountState::Enabled,
            },
            must_change_password: step.must_change,
            proofs: step
                .proofs
                .as_deref()
                .map_or(Proofs::PASSWORD, |codes| Proofs::parse(codes).expect("known proofs")),
            factors: EnrolledFactors {
                authenticator_app: step.app,
                passkeys: step.passkeys,
                recovery_codes: step.recovery_codes,
            },
            grace_from: step.required_at.as_deref().map(time),
            life: self.life,
            binding: &self.binding,
            token: match step.token.as_deref() {
                Some("old") => self.rotated.expect("nothing was rotated yet"),
                _ => TokenFacts::Current,
            },
            device: match step.bound {
                true => DeviceEvidence::Bound {
                    proved_until: step.proved_until.as_deref().map(time),
                },
                false => DeviceEvidence::Unbound {
                    registrable_until: step.registrable_until.as_deref().map_or(now, time),
                },
            },
        };
        let request = RequestFacts {
            ip: step.ip.unwrap_or(self.last_ip),
            user_agent: user_agent(agent),
            kind: RequestKind {
                path: step.path.as_deref().unwrap_or("/"),
                navigation: kind == "navigation",
                background: kind == "background",
                interaction: kind == "interaction",
                heartbeat: kind == "heartbeat",
                check: kind == "check",
            },
        };
        judge(&session, &request, &self.policy(step), now)
    }

    fn step(&mut self, step: &Step, place: &str) {
        settings(&mut self.document, &Scope::Everyone, &step.save);
        self.entered.extend(step.enter.clone());
        match (&step.at, &step.limit) {
            (Some(at), None) => self.request(step, time(at), place),
            (None, Some(limit)) => self.limit(step, time(limit), place),
            _ => panic!("{place}: a step has either `at` or `limit`"),
        }
    }

    /// Checks that the session is live at t − 1 µs and t, and over at t + 1 µs, and that `ends_at`
    /// agrees. The limit of a grace period or of a device's proof brings a duty instead.
    fn limit(&mut self, step: &Step, limit: Timestamp, place: &str) {
        if step.expect == "enrol" {
            return self.grace_limit(step, limit, place);
        }
        if let Some(fault) = DeviceFault::parse(&step.expect) {
            return self.device_limit(step, limit, fault, place);
        }
        let reason = EndReason::parse(step.expect.strip_prefix("ended ").expect("a limit expects an end")).unwrap();
        for now in [limit.saturating_sub(MICRO), limit] {
            let verdict = self.judge(step, now);
            assert!(
                matches!(verdict, SessionVerdict::Live(_)),
                "{place} at {}: {verdict:?}",
                now.to_rfc3339()
            );
        }
        assert_eq!(
            self.judge(step, limit.saturating_add(MICRO)),
            SessionVerdict::Ended { reason },
            "{place}: 1 µs after"
        );
        if [
            EndReason::Ttl,
            EndReason::Renewal,
            EndReason::Idle,
            EndReason::WindowClosed,
        ]
        .contains(&reason)
        {
            let policy = self.policy(step);
            let end = ends_at(&self.life, &policy).unwrap_or_else(|| panic!("{place}: never ends"));
            assert_eq!((end.at, end.reason), (limit, reason), "{place}: ends_at");
            if let Some(scope) = &step.by {
                assert_eq!(
                    policy.lifetimes[end.rule].scope.to_string(),
                    *scope,
                    "{place}: by which scope"
                );
            }
        }
    }

    fn grace_limit(&self, step: &Step, limit: Timestamp, place: &str) {
        for now in [limit.saturating_sub(MICRO), limit] {
            match self.judge(step, now) {
                SessionVerdict::Live(live) => assert_eq!(live.enrol_by, Some(limit), "{place}"),
                other => panic!("{place} at {}: {other:?}", now.to_rfc3339()),
            }
        }
        let verdict = self.judge(step, limit.saturating_add(MICRO));
        let enrols = matches!(
            verdict,
            SessionVerdict::Duty {
                what: Duty::Factor(FactorDuty::Enrol),
                ..
            }
        );
        assert!(enrols, "{place}: 1 µs after: {verdict:?}");
    }

    fn device_limit(&self, step: &Step, limit: Timestamp, fault: DeviceFault, place: &str) {
        for now in [limit.saturating_sub(MICRO), limit] {
            let verdict = self.judge(step, now);
            let place = format!("{place} at {}", now.to_rfc3339());
            assert!(matches!(verdict, SessionVerdict::Live(_)), "{place}: {verdict:?}");
        }
        let (what, live) = (Duty::DeviceProof(fault), LiveEffect::default());
        let expected = SessionVerdict::Duty { what, live };
        assert_eq!(
            self.judge(step, limit.saturating_add(MICRO)),
            expected,
            "{place}: 1 µs after"
        );
    }

    fn request(&mut self, step: &Step, now: Timestamp, place: &str) {
        let verdict = self.judge(step, now);
        let (said, live) = match verdict {
            SessionVerdict::Live(live) => ("live".to_owned(), Some(live)),
            SessionVerdict::Duty { what, live } => (
                match what {
                    Duty::PasswordChange => "password change".to_owned(),
                    Duty::Factor(duty) => duty.as_str().to_owned(),
                    Duty::DeviceProof(fault) => fault.as_str().to_owned(),
                },
                Some(live),
            ),
            SessionVerdict::Ended { reason } => (format!("ended {reason}"), None),
        };
        assert_eq!(said, step.expect, "{place}");
        let Some(live) = live else {
            return;
        };
        let record = match live.record {
            None => "none",
            Some(NetworkEvent::NetworkChanged) => "network_changed",
            Some(NetworkEvent::NetworkMismatch) => "network_mismatch",
            Some(NetworkEvent::AgentMismatch) => "agent_mismatch",
        };
        if let Some(until) = &step.enrol_by {
            let until = (until != "none").then(|| time(until));
            assert_eq!(live.enrol_by, until, "{place}: enrol_by");
        }
        assert_eq!(step.touch.unwrap_or(live.touch), live.touch, "{place}: touch");
        assert_eq!(step.seen.unwrap_or(live.seen), live.seen, "{place}: seen");
        assert_eq!(step.rotate.unwrap_or(live.rotate), live.rotate, "{place}: rotate");
        assert_eq!(step.record.as_deref().unwrap_or(record), record, "{place}: record");
        if live.touch {
            self.life.last_active_at = now;
        }
        if live.seen {
            self.life.last_seen_at = now;
        }
        let ip = step.ip.unwrap_or(self.last_ip);
        if live.rotate {
            self.rotated = Some(TokenFacts::Rotated {
                at: now,
                from: self.last_ip,
                to: ip,
            });
        }
        if let Some(binding) = live.rebind {
            self.binding = binding;
            self.last_ip = ip;
        }
        assert_eq!(
            step.changes.unwrap_or(self.binding.changes),
            self.binding.changes,
            "{place}: changes"
        );
    }
}

fn run(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/domain/cases")
        .join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: File = ::toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    for case in &cases.case {
        let mut run = Run::new(case);
        for (number, step) in case.step.iter().enumerate() {
            run.step(step, &format!("{file}: {}: step {}", case.name, number + 1));
        }
    }
}

#[test]
fn the_examples_of_ibm_hold() {
    run("ibm.toml");
}

#[test]
fn lifetimes_end_at_their_limit_and_not_a_microsecond_later() {
    run("lifetimes.toml");
}

#[test]
fn a_session_with_an_idle_timeout_of_zero_lives_while_a_window_is_open() {
    run("window.toml");
}

#[test]
fn only_what_counts_as_activity_refreshes_idle_time() {
    run("activity.toml");
}

#[test]
fn the_decisions_on_networks_and_agents_hold() {
    run("decisions.toml");
}

#[test]
fn judgement_comes_in_its_order() {
    run("order.toml");
}

#[test]
fn missing_proofs_of_a_session_are_requested() {
    run("factors.toml");
}

#[test]
fn the_proof_of_a_device_decides() {
    run("device.toml");
}

#[test]
fn every_case_file_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/domain/cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "activity.toml",
            "decisions.toml",
            "device.toml",
            "factors.toml",
            "ibm.toml",
            "lifetimes.toml",
            "modes.toml",
            "order.toml",
            "window.toml"
        ]
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Modes {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    mode: String,
    /// `same address`, `same /24`, `same /16`, `other`.
    network: String,
    /// `same`, `updated`, `other`, `absent`.
    agent: String,
    expect: String,
    #[serde(default)]
    rotate: bool,
    record: Option<String>,
}

#[test]
fn the_table_of_modes_holds_for_every_network_and_agent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/domain/cases/modes.toml");
    let modes: Modes = ::toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut seen = Vec::new();
    for row in modes.row {
        let place = format!("modes.toml: {} / {} / {}", row.mode, row.network, row.agent);
        let ip = match row.network.as_str() {
            "same address" => "198.51.100.7",
            "same /24" => "198.51.100.8",
            "same /16" => "198.51.7.8",
            "other" => "203.0.113.9",
            other => panic!("{place}: unknown network {other}"),
        };
        let agent = match row.agent.as_str() {
            "same" => "firefox",
            "updated" => "firefox updated",
            "other" => "chrome",
            "absent" => "absent",
            other => panic!("{place}: unknown agent {other}"),
        };
        let case = Case {
            name: place.clone(),
            policy: [("session.session_validation_mode".to_owned(), row.mode.clone())].into(),
            administrators: BTreeMap::new(),
            applications: BTreeMap::new(),
            dev: false,
            role: None,
            entered: Vec::new(),
            at: eight(),
            ip: home(),
            agent: firefox(),
            step: vec![Step {
                at: Some("08:01".into()),
                ip: Some(ip.parse().unwrap()),
                agent: Some(agent.into()),
                expect: row.expect,
                rotate: Some(row.rotate),
                record: Some(row.record.unwrap_or_else(|| "none".into())),
                ..Step::default()
            }],
        };
        Run::new(&case).step(&case.step[0], &place);
        seen.push((row.mode, row.network, row.agent));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5 * 4 * 4, "every combination stands in the table once");
}

#[test]
fn the_clock_going_backwards_ends_nothing_and_panics_nowhere() {
    let case = Case {
        name: "backwards".into(),
        policy: [("auth.idle_session_timeout".to_owned(), "15m".to_owned())].into(),
        administrators: BTreeMap::new(),
        applications: BTreeMap::new(),
        dev: false,
        role: None,
        entered: Vec::new(),
        at: eight(),
        ip: home(),
        agent: firefox(),
        step: Vec::new(),
    };
    let run = Run::new(&case);
    for now in [i64::MIN, 0, time("07:00").as_micros()] {
        let verdict = run.judge(&Step::default(), Timestamp::from_micros(now));
        assert!(matches!(verdict, SessionVerdict::Live(_)), "{now}: {verdict:?}");
    }
    let far = Timestamp::from_micros(i64::MAX).saturating_add(Span::from_secs(1));
    assert_eq!(
        run.judge(&Step::default(), far),
        SessionVerdict::Ended {
            reason: EndReason::Idle
        }
    );
}
