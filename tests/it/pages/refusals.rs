//! Every refused sign-in is recorded: the first ones of a minute individually, the others as one
//! entry with their number.

use crate::{
    cli::Cli,
    harness::server::{Backend, PASSWORD, TestDatabase, TestServer, block_on, eventually, operator},
};
use nightlatch::{
    clock::{Clock, FixedClock, SystemClock},
    domain::{
        account::Role,
        audit::{AuditFilter, AuditRecord, Event, EventOutcome},
        client::Client,
        secret::Secret,
        time::Span,
    },
    flows::{
        Ctx, audit,
        lockouts::{self, BlockTarget},
        login::{SessionTarget, SignInAttempt, SignInOutcome, sign_in},
        overview, refusals,
    },
    random::OsRandom,
};
use std::sync::Arc;

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// `sign_in.refused locked`, oldest first.
fn locked(rows: Vec<AuditRecord>) -> Vec<AuditRecord> {
    rows.into_iter()
        .filter(|row| row.event == Event::SignInRefused && row.reason.as_deref() == Some("locked"))
        .collect()
}

/// Locked by the first failure, and then refused so often within the minute.
fn flooded(server: &TestServer, refused: usize) {
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "1"),
    ]);
    server.account("eve", Role::Member);
    server.anyone().sign_in("eve", "wrong").expect(429);
    for _ in 0..refused {
        server.anyone().sign_in("eve", PASSWORD).expect(429);
    }
}

#[test]
fn a_flood_is_written_one_by_one_at_first_and_then_as_one_entry() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        flooded(&server, 41);
        let began = server.now();
        server.run(refusals::write_over(&server.ctx)).unwrap();
        let singles = locked(server.audit());
        assert_eq!(singles.len(), 20, "{backend:?}: the minute is not over");
        assert!(singles.iter().all(|row| row.detail.is_null()), "{backend:?}");
        server.advance(60);
        server.run(refusals::write_over(&server.ctx)).unwrap();
        eventually("the rest is written", || locked(server.audit()).len() == 21);
        let row = locked(server.audit()).pop().unwrap();
        let span = serde_json::json!({ "refusals": 21, "from": began.to_rfc3339(), "until": began.to_rfc3339() });
        assert_eq!(row.detail, span, "{backend:?}");
        assert_eq!((row.actor.as_str(), row.account.as_deref()), ("anonymous", Some("eve")));
        assert_eq!((row.account_id, row.ip), (singles[0].account_id, singles[0].ip));
        assert!(row.account_id.is_some() && row.ip.is_some());
        assert_eq!((row.outcome, row.at), (EventOutcome::Failure, server.now()));
        server.run(refusals::write_over(&server.ctx)).unwrap();
        assert_eq!(locked(server.audit()).len(), 21, "{backend:?}: once");
        // The next minute has single ones again.
        server.anyone().sign_in("eve", PASSWORD).expect(429);
        assert_eq!(locked(server.audit()).len(), 22, "{backend:?}");
        // 42 of them, and the failure that locked.
        let day = server.run(overview::overview(&server.ctx)).unwrap().refused_24h;
        assert_eq!(day.iter().map(|(_, refused)| refused).sum::<i64>(), 43, "{backend:?}");
    }
}

#[test]
fn the_console_and_the_command_line_say_how_many() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        flooded(&server, 41);
        server.advance(60);
        server.run(refusals::write_over(&server.ctx)).unwrap();
        eventually("the rest is written", || locked(server.audit()).len() == 21);
        let page = boss.get("/admin/audit").expect(200);
        assert!(
            page.page().shows("Sign-in refused: locked out, 21 times"),
            "{backend:?}"
        );
        let cli = Cli::beside(&server);
        cli.run(&["audit", "list", "--event", "sign_in.refused"])
            .done()
            .prints(&["locked, 21 times"]);
    }
}

#[test]
fn a_server_that_stops_writes_what_it_counted() {
    for backend in BOTH {
        let clock = Arc::new(FixedClock::starting_at(SystemClock.now()));
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("security.log");
        let database = Arc::new(TestDatabase::fresh(backend));
        let server = TestServer::beside(&database)
            .env("NIGHTLATCH_SECURITY_LOG", log.to_str().unwrap())
            .clock(&clock)
            .start();
        flooded(&server, 41);
        server.stop();
        let lines = std::fs::read_to_string(&log).unwrap();
        let told = lines.lines().filter(|line| line.contains("\"refusals\":21")).count();
        assert_eq!(told, 1, "{backend:?}: {lines}");
        let server = TestServer::beside(&database).clock(&clock).start();
        let rows = locked(server.audit());
        assert_eq!(rows.len(), 21, "{backend:?}");
        assert_eq!(rows[20].detail["refusals"], 21, "{backend:?}");
    }
}

/// Creates the context of a server without its jobs.
fn alone(database: &Arc<TestDatabase>) -> (Ctx, Arc<FixedClock>) {
    let config = TestServer::beside(database).config();
    let clock = Arc::new(FixedClock::starting_at(SystemClock.now()));
    let ctx = nightlatch::server::context(config, clock.clone(), Arc::new(OsRandom), false).unwrap();
    (ctx, clock)
}

fn refuse(ctx: &Ctx, name: &str, times: usize) {
    for _ in 0..times {
        let attempt = SignInAttempt {
            return_to: String::new(),
            trusted: None,
            username: name.to_owned(),
            password: Secret::new("not the password".to_owned()),
            client: Client {
                ip: [192, 0, 2, 1].into(),
                user_agent: None,
                request_id: None,
            },
            target: SessionTarget {
                replaces: None,
                cookie_form: String::new(),
                host: String::new(),
                entering: None,
            },
        };
        let verdict = block_on(sign_in(ctx, attempt)).unwrap();
        assert!(matches!(verdict, SignInOutcome::Refused(_)), "{name}");
    }
}

fn audit_of(ctx: &Ctx) -> Vec<AuditRecord> {
    let filter = AuditFilter {
        limit: 1000,
        ..AuditFilter::default()
    };
    let mut rows = block_on(audit::list(ctx, filter)).unwrap().items;
    rows.reverse();
    rows
}

/// Blocked by an administrator while no ceiling is on.
fn blocked(backend: Backend, name: &str) -> Arc<TestDatabase> {
    let database = Arc::new(TestDatabase::fresh(backend));
    let server = TestServer::beside(&database).start();
    server.policy(&[("auth.login_account_ceiling", "0"), ("auth.login_ip_ceiling", "0")]);
    let key = BlockTarget::Key {
        account: Some(name.to_owned()),
        ip: None,
    };
    server
        .run(lockouts::block(&server.ctx, &operator(), key, None, "gone"))
        .unwrap();
    server.stop();
    database
}

#[test]
fn a_block_by_hand_is_no_way_to_fill_the_audit() {
    for backend in BOTH {
        let database = blocked(backend, "eve");
        let (ctx, clock) = alone(&database);
        refuse(&ctx, "eve", 41);
        assert_eq!(locked(audit_of(&ctx)).len(), 20, "{backend:?}");
        clock.advance(Span::from_secs(60));
        block_on(refusals::write_over(&ctx)).unwrap();
        let rows = locked(audit_of(&ctx));
        assert_eq!(
            (rows.len(), rows[20].detail["refusals"].as_u64()),
            (21, Some(21)),
            "{backend:?}"
        );
    }
}

#[test]
fn failed_writes_are_kept_and_retried() {
    for backend in BOTH {
        let database = blocked(backend, "eve");
        let (ctx, clock) = alone(&database);
        refuse(&ctx, "eve", 30);
        clock.advance(Span::from_secs(60));
        database.sql("ALTER TABLE audit RENAME TO hidden");
        block_on(refusals::write_over(&ctx)).unwrap_err();
        block_on(refusals::write_all(&ctx)).unwrap_err();
        database.sql("ALTER TABLE hidden RENAME TO audit");
        block_on(refusals::write_over(&ctx)).unwrap();
        let rows = locked(audit_of(&ctx));
        assert_eq!(
            (rows.len(), rows[20].detail["refusals"].as_u64()),
            (21, Some(10)),
            "{backend:?}"
        );
    }
}
