//! kill -9 of the program at random moments while people sign in and out and change passwords, and
//! an administrator saves the policy, ends sessions and disables an account. After each kill, the
//! database is compared with a model: an acknowledged act is there, any other one is wholly there or
//! not at all, and no session lives that was acknowledged as ended. A few seconds of it are part of
//! every run; this is an hour for each database:
//!
//! ```text
//! NIGHTLATCH_CRASH_SECONDS=3600 cargo test --locked --test it -- faults::crashes --nocapture
//! ```

mod administrator;
mod browser;
mod person;

use crate::harness::{
    program::Program,
    server::{Backend, TestDatabase, TestServer, block_on, eventually},
};
use administrator::Administrator;
use nightlatch::{
    clock::{Clock, FixedClock, SystemClock},
    domain::{account::Role, time::Span},
    flows::audit::seals,
    random::OsRandom,
};
use person::Person;
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// People beside the administrator; each has a thread.
const PEOPLE: [&str; 3] = ["ada", "carol", "dan"];
/// Most acts of all together before a kill.
const MAX_ACTS: u64 = 12;
/// Kills, however slow the machine is.
const MIN_KILLS: u64 = 2;
/// What the database must never contain, whenever the program was killed.
const CONTRADICTIONS: [&str; 6] = [
    "sessions WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.session_id = sessions.id AND a.event = 'session.opened')",
    "audit WHERE event = 'session.opened' AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = audit.session_id)",
    "sessions WHERE ended_at IS NOT NULL AND NOT EXISTS \
     (SELECT 1 FROM audit a WHERE a.session_id = sessions.id AND a.event IN ('session.ended', 'sign_out'))",
    "audit JOIN sessions s ON s.id = audit.session_id \
     WHERE event IN ('session.ended', 'sign_out') AND s.ended_at IS NULL",
    "sessions WHERE ended_at IS NULL AND NOT EXISTS \
     (SELECT 1 FROM session_tokens t WHERE t.session_id = sessions.id AND t.killed_at IS NULL)",
    "sessions JOIN accounts a ON a.id = sessions.account_id \
     WHERE sessions.ended_at IS NULL AND a.disabled_at IS NOT NULL",
];

const OTHER_CONNECTIONS: &str = "pg_stat_activity \
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// Numbers that look random and come again with the same seed (SplitMix64).
struct SeededNumbers(u64);

impl SeededNumbers {
    /// Returns the next number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Starts another sequence.
    fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }
}

/// The model of everything that was done.
struct Scene {
    database: Arc<TestDatabase>,
    directory: tempfile::TempDir,
    people: Vec<Person>,
    administrator: Administrator,
}

impl Scene {
    fn new(backend: Backend) -> Self {
        let server = TestServer::on(backend).start();
        for name in PEOPLE {
            server.account(name, Role::Member);
        }
        let administrator = Administrator::new(&server);
        Self {
            database: server.leave(),
            directory: tempfile::tempdir().unwrap(),
            people: PEOPLE.map(Person::new).into(),
            administrator,
        }
    }

    /// Starts the program and compares what it serves with the model.
    fn serve(&mut self) -> Program {
        let url = self.database.url();
        let program = Program::serve(self.directory.path(), &[("DATABASE_URL", url.as_str())]);
        for person in &mut self.people {
            person.settle(&program.base);
            let changes = format!(
                "audit WHERE event = 'password.changed' AND account_key = '{}'",
                person.name
            );
            assert_eq!(self.database.count(&changes), person.changes, "{changes}");
        }
        self.administrator.settle(&program.base, &self.database);
        self.find_contradictions();
        program
    }

    /// Lets everybody act until so many acts were acknowledged and so much time passed; then kills.
    fn kill_during_acts(&mut self, program: Program, acts: u64, pause: Duration, numbers: &mut SeededNumbers) {
        let done = AtomicU64::new(0);
        let count = || done.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for person in &mut self.people {
                let mut own = numbers.fork();
                scope.spawn(move || {
                    while person.act(&mut own) {
                        count();
                    }
                });
            }
            let (administrator, database) = (&mut self.administrator, &self.database);
            let mut own = numbers.fork();
            scope.spawn(move || {
                while administrator.act(&mut own, database) {
                    count();
                }
            });
            eventually("acts are acknowledged", || done.load(Ordering::Relaxed) >= acts);
            std::thread::sleep(pause);
            program.kill();
        });
        if let TestDatabase::Postgres(_) = &*self.database {
            // It still finishes the statements that it was sent.
            eventually("the database notices", || self.database.count(OTHER_CONNECTIONS) == 0);
        }
    }

    fn find_contradictions(&self) {
        for rows in CONTRADICTIONS {
            assert_eq!(self.database.count(rows), 0, "{rows}");
        }
    }

    /// Seals everything and verifies the chain, while no program runs.
    fn verify_chain(&self) {
        let config = TestServer::beside(&self.database).config();
        let clock = FixedClock::starting_at(SystemClock.now().saturating_add(Span::from_secs(60)));
        let ctx = nightlatch::server::context(config, Arc::new(clock), Arc::new(OsRandom), false).unwrap();
        block_on(seals::seal_due(&ctx)).unwrap();
        let report = block_on(seals::verify(&ctx, None)).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        assert_eq!(
            i64::try_from(report.entries).unwrap() + report.unsealed,
            self.database.count("audit")
        );
    }
}

fn a_program_killed_at_random_keeps_what_it_acknowledged(backend: Backend) {
    let seconds = env::var("NIGHTLATCH_CRASH_SECONDS").map_or(6, |text| text.parse().unwrap());
    let seed = env::var("NIGHTLATCH_CRASH_SEED").map_or_else(
        |_| SystemClock.now().as_micros().unsigned_abs(),
        |text| text.parse().unwrap(),
    );
    println!("NIGHTLATCH_CRASH_SEED={seed}");
    let mut numbers = SeededNumbers(seed);
    let mut scene = Scene::new(backend);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    while kills < MIN_KILLS || Instant::now() < end {
        let program = scene.serve();
        let acts = numbers.below(MAX_ACTS);
        let pause = Duration::from_millis(numbers.below(60));
        scene.kill_during_acts(program, acts, pause, &mut numbers);
        scene.find_contradictions();
        scene.verify_chain();
        kills += 1;
    }
    scene.serve();
    println!("{backend:?}: {kills} kills");
}

#[test]
fn a_program_killed_at_random_keeps_what_it_acknowledged_on_sqlite() {
    a_program_killed_at_random_keeps_what_it_acknowledged(Backend::Sqlite);
}

#[test]
fn a_program_killed_at_random_keeps_what_it_acknowledged_on_postgres() {
    a_program_killed_at_random_keeps_what_it_acknowledged(Backend::Postgres);
}
