//! Retention: by the policy, bounded, recorded, and found by age.

use crate::harness::server::{Backend, TestServer, operator};
use nightlatch::{
    domain::{
        account::Role,
        audit::{AuditEntry, Event, EventOutcome},
        policy::{Key, PolicyDocument, Scope},
        time::{Span, Timestamp},
    },
    flows::{
        accounts::{NewAccount, NewPassword, create},
        audit::seals,
        mail,
        replay::{self, ReplayPeriod},
        retention::{RemovedCounts, remove_old},
    },
    store::{StoreError, accounts, audit as audit_rows, policies, sessions},
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
const DAY: i64 = 86_400;

fn run(server: &TestServer) -> RemovedCounts {
    server.run(remove_old(&server.ctx)).unwrap()
}

/// How long until midnight.
fn to_midnight(server: &TestServer) -> Span {
    const DAY_MICROS: i64 = DAY * 1_000_000;
    Span::from_micros(DAY_MICROS - server.now().as_micros().rem_euclid(DAY_MICROS))
}

/// Writes this number of audit entries at this instant.
fn entries(server: &TestServer, number: usize, at: Timestamp) {
    let ctx = server.ctx.clone();
    let entry = AuditEntry {
        event: Event::SignInRefused,
        actor: operator().actor,
        account: None,
        session: None,
        origin: operator().origin,
        application: None,
        outcome: EventOutcome::Failure,
        reason: None,
        detail: serde_json::Value::Null,
    };
    server
        .run(server.ctx.store.write(move |c| {
            for _ in 0..number {
                audit_rows::insert(c, ctx.new_id(at), at, &entry)?;
            }
            Ok::<_, StoreError>(())
        }))
        .unwrap();
}

/// Seals what there is, a younger entry apart.
fn seal(server: &TestServer) {
    for _ in 0..2 {
        server.advance(61);
        server.run(seals::seal_due(&server.ctx)).unwrap();
        entries(server, 1, server.now());
    }
}

#[test]
fn the_audit_goes_by_whole_days_and_says_so_itself() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("retention.audit", "30 days")]);
        let saved = server.events().len();
        server.clock.advance(to_midnight(&server));
        server.advance(-1);
        let midnight = server.now().saturating_add(Span::from_secs(1));
        entries(&server, 1, server.now());
        seal(&server);
        server
            .clock
            .advance(midnight.saturating_add(Span::from_secs(30 * DAY)).since(server.now()));
        server.clock.advance(Span::from_micros(-1));
        assert_eq!(
            run(&server).audit,
            0,
            "{backend:?}: a day is kept until it is over as a whole"
        );
        server.clock.advance(Span::from_micros(1));
        assert_eq!(run(&server).audit, saved + 1, "{backend:?}");
        let left = server.audit();
        let purged = left.last().unwrap();
        assert_eq!(purged.event, Event::AuditPurged, "{backend:?}");
        assert_eq!(left.len(), 3, "{backend:?}: and what was written after midnight");
        assert_eq!(purged.detail["removed"], saved + 1, "{backend:?}");
        assert_eq!(purged.detail["before"], midnight.to_rfc3339(), "{backend:?}");
        // Younger rows stay, and a run that removes nothing writes nothing.
        server.advance(DAY - 1);
        assert_eq!(run(&server).audit, 0, "{backend:?}");
        assert_eq!(server.events().len(), 3, "{backend:?}");
        // The remaining entries are still verified, except for the first seal, which was removed
        // with its entries.
        let verified = server.run(seals::verify(&server.ctx, None)).unwrap();
        assert!(
            verified.faults.is_empty() && verified.seals == 1,
            "{backend:?} {verified:?}"
        );
    }
}

#[test]
fn a_run_is_bounded_and_the_next_one_goes_on() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("retention.audit", "30 days")]);
        let before = server.events().len();
        entries(
            &server,
            5_500 - before,
            server.now().saturating_sub(Span::from_secs(DAY)),
        );
        seal(&server);
        server.advance(32 * DAY);
        assert_eq!(run(&server).audit, 5_000, "{backend:?}");
        assert_eq!(run(&server).audit, 500, "{backend:?}");
        assert_eq!(run(&server).audit, 0, "{backend:?}");
        let purged = server.events().iter().filter(|event| *event == "audit.purged").count();
        assert_eq!(purged, 2, "{backend:?}");
    }
}

#[test]
fn unlimited_retention_keeps_everything_and_revisions_always_stay() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let settings = ["audit", "sessions", "known_networks", "tokens", "mail", "pins"];
        let never: Vec<(String, &str)> = settings
            .iter()
            .map(|name| (format!("retention.{name}"), "never"))
            .collect();
        let never: Vec<(&str, &str)> = never.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        server.policy(&never);
        server.member("ada").post("/logout", &[]).expect(303);
        server.advance(3_000 * DAY);
        assert_eq!(run(&server), RemovedCounts::default(), "{backend:?}");
        server.policy(&[("retention.audit", "30 days")]);
        seal(&server);
        server.advance(32 * DAY);
        assert!(run(&server).audit > 0, "{backend:?}");
        let revisions = server
            .run(server.ctx.store.read(|c| policies::list(c, None, 10)))
            .unwrap();
        assert_eq!(revisions.len(), 3, "{backend:?}");
    }
}

#[test]
fn sessions_networks_ids_and_pins_go_when_their_time_is_over() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("session.ttl", "1000 days"),
            ("retention.sessions", "1 day"),
            ("retention.known_networks", "30 days"),
            ("retention.tokens", "1 day"),
            ("retention.pins", "1h"),
        ]);
        let id = server.account("ada", Role::Member);
        server.signed_in("ada").post("/logout", &[]).expect(303);
        let live = server.signed_in("ada");
        let now = server.now();
        server
            .run(server.ctx.store.write(move |c| {
                policies::publish_pins(c, "gone", &nightlatch::domain::policy::Pins::new(), now)?;
                // A live session whose id was made void.
                let row = sessions::list_live_of_account(c, id)?.remove(0);
                sessions::revoke_tokens(c, row.id, now, row.tokens.first().map(|token| token.digest.as_str()))?;
                let mut void = row.tokens[0].clone();
                void.digest = "void".to_owned();
                void.killed_at = Some(now);
                sessions::add_token(c, row.id, &void)
            }))
            .unwrap();
        server.advance(3600);
        assert_eq!(run(&server).pins, 0, "{backend:?}: inclusive");
        server.advance(1);
        assert!(run(&server).pins >= 1, "{backend:?}");
        server.advance(DAY - 3601);
        let kept = run(&server);
        assert_eq!(
            (kept.sessions, kept.tokens, kept.known_networks),
            (0, 0, 0),
            "{backend:?}: inclusive"
        );
        server.advance(1);
        let removed = run(&server);
        assert_eq!(
            (removed.sessions, removed.tokens, removed.known_networks),
            (1, 1, 0),
            "{backend:?}"
        );
        live.get("/").expect(200);
        let networks = || {
            server
                .run(server.ctx.store.read(move |c| accounts::list_networks(c, id, 9)))
                .unwrap()
        };
        assert_eq!(networks().len(), 1, "{backend:?}");
        server.advance(29 * DAY);
        assert_eq!(run(&server).known_networks, 1, "{backend:?}");
        assert_eq!(networks(), [], "{backend:?}");
        live.get("/").expect(200);
    }
}

#[test]
fn the_fate_of_an_email_is_forgotten_after_its_retention() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("retention.mail", "1 day")]);
        let new = NewAccount {
            name: "ada".to_owned(),
            display_name: String::new(),
            email: "ada@example.org".to_owned(),
            role: Role::Member,
            groups: Vec::new(),
            expires_at: None,
            password: NewPassword::Invitation,
        };
        server.run(create(&server.ctx, &operator(), new)).unwrap();
        let counted = || server.run(mail::counts(&server.ctx)).unwrap().total();
        assert_eq!(server.deliver().len(), 1, "{backend:?}");
        server.advance(DAY);
        assert_eq!((run(&server).mail, counted()), (0, 1), "{backend:?}: inclusive");
        server.advance(1);
        run(&server);
        assert_eq!(counted(), 0, "{backend:?}");
    }
}

#[test]
fn lists_and_replays_say_from_when_there_is_something() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let audit = boss.get("/admin/audit").expect(200);
    assert!(audit.text().contains("Kept for") && audit.text().contains("oldest entry:"));
    assert!(!boss.get("/admin/sessions").text().contains("Ended sessions are kept"));
    assert!(
        boss.get("/admin/sessions?state=ended")
            .text()
            .contains("Ended sessions are kept for")
    );
    server.policy(&[("retention.sessions", "2 days")]);
    let said = |days| {
        let report = server
            .run(replay::replay(&server.ctx, PolicyDocument::default(), days))
            .unwrap();
        report.limits().join("\n")
    };
    assert!(said(ReplayPeriod::Seven).contains("are no longer kept (retention.sessions)"));
    server.policy(&[("retention.sessions", "30 days")]);
    assert!(!said(ReplayPeriod::Seven).contains("no longer kept"));
}

#[test]
fn less_than_the_least_is_refused() {
    for (name, least) in [
        ("audit", 30 * DAY),
        ("sessions", DAY),
        ("known_networks", 30 * DAY),
        ("tokens", DAY),
        ("pins", 3600),
    ] {
        let key = Key::parse(&format!("retention.{name}")).unwrap();
        let setting = key.setting();
        assert!(setting.parse(&least.to_string()).is_ok(), "{name}");
        assert!(setting.parse(&(least - 1).to_string()).is_err(), "{name}");
        assert!(
            !setting.allowed_in(&Scope::Administrators) && !setting.allowed_in(&Scope::Application("wiki".to_owned()))
        );
    }
}
