//! Three processes on one PostgreSQL behind nginx, which passes requests on to them in turn: they
//! behave as one, also while one of them is killed, restarted or cut off from announcements.

use super::{RECOVERED, within};
use crate::{
    harness::{
        balancer::{Balancer, HOST},
        client::{Client, fetch},
        postgres::Database,
        program::{Program, run},
        relay::Relay,
        server::{PASSWORD, TestDatabase, TestServer, block_on, operator},
    },
    pages::kit::save,
};
use nightlatch::{
    domain::{
        account::{AccountFilter, Role},
        audit::{AuditFilter, AuditRecord},
        secret::Secret,
        session::{SessionFilter, SessionListState},
    },
    flows::{
        Ctx,
        accounts::{self, CreateOutcome, NewAccount, NewPassword},
        audit, policy, sessions,
    },
};
use std::{
    cell::Cell,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const INSTANCES: usize = 3;
/// Time after which a change governs the other instances.
const GOVERNS_WITHIN: Duration = Duration::from_millis(100);

/// Three running instances; they end before their database does.
struct Installation {
    programs: Vec<Option<Program>>,
    addresses: Vec<SocketAddr>,
    balancer: Balancer,
    relay: Option<Relay>,
    env: Vec<(&'static str, String)>,
    ctx: Ctx,
    dir: tempfile::TempDir,
    database: Arc<TestDatabase>,
}

impl Installation {
    /// Starts three instances with an administrator, boss, and members.
    fn start(more: &[(&'static str, &str)], members: &[&str]) -> Self {
        Self::start_behind(more, members, false)
    }

    /// Starts them; the last one reaches its database through a relay if `behind_relay`.
    fn start_behind(more: &[(&'static str, &str)], members: &[&str], behind_relay: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Arc::new(TestDatabase::Postgres(Database::migrated()));
        let relay = behind_relay.then(|| Relay::before(&database.url()));
        let outbox = dir.path().join("outbox");
        std::fs::create_dir(&outbox).unwrap();
        let mut env = vec![
            ("DATABASE_URL", database.url()),
            ("NIGHTLATCH_PUBLIC_URL", format!("http://{HOST}")),
            ("NIGHTLATCH_MAIL_OUTBOX", outbox.display().to_string()),
        ];
        env.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let addresses: Vec<SocketAddr> = (0..INSTANCES).map(|_| free()).collect();
        let mut installation = Self {
            programs: (0..INSTANCES).map(|_| None).collect(),
            balancer: Balancer::start(&addresses),
            addresses,
            relay,
            env,
            ctx: TestServer::beside(&database).context(),
            dir,
            database,
        };
        installation.create("boss", Role::Administrator);
        members.iter().for_each(|name| installation.create(name, Role::Member));
        (0..INSTANCES).for_each(|number| installation.start_instance(number));
        installation
    }

    fn env_of(&self, number: usize) -> Vec<(&'static str, String)> {
        let mut env = self.env.clone();
        if let Some(relay) = self.relay.as_ref().filter(|_| number + 1 == INSTANCES) {
            env[0].1 = relay.url(&self.database.url());
        }
        if let Some((_, metrics)) = env.iter_mut().find(|(name, _)| *name == "NIGHTLATCH_METRICS_BIND") {
            *metrics = self.metrics_of(number).to_string();
        }
        env
    }

    /// The address of an instance's metrics: the same port at another address of this machine.
    fn metrics_of(&self, number: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 2], self.addresses[number].port()))
    }

    fn start_instance(&mut self, number: usize) {
        let env = self.env_of(number);
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let program = Program::serve_at(self.addresses[number], self.dir.path(), &env);
        self.programs[number] = Some(program);
    }

    fn create(&self, name: &str, role: Role) {
        let new = NewAccount {
            name: name.to_owned(),
            display_name: String::new(),
            email: format!("{name}@example.org"),
            role,
            groups: Vec::new(),
            expires_at: None,
            password: NewPassword::Given {
                password: Secret::new(PASSWORD.to_owned()),
                must_change: false,
            },
        };
        let created = block_on(accounts::create(&self.ctx, &operator(), new)).unwrap();
        assert!(matches!(created, CreateOutcome::Created { .. }), "{name}");
    }

    /// Runs a command beside the instances.
    fn command(&self, arguments: &[&str]) {
        let output = run(self.dir.path(), &[("DATABASE_URL", self.env[0].1.as_str())], arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A browser of its own that comes through nginx.
    fn anyone(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.balancer.port)).header("host", HOST)
    }

    fn signed_in(&self, name: &str) -> Client {
        let client = self.anyone();
        client.sign_in(name, PASSWORD).expect(303);
        client
    }

    /// The same browser, at one of the instances.
    fn at(&self, number: usize, client: &Client) -> Client {
        client.thief().at(&format!("http://{}", self.addresses[number]))
    }

    /// The statuses of a page at each instance.
    fn statuses(&self, client: &Client) -> [u16; INSTANCES] {
        std::array::from_fn(|number| self.at(number, client).get("/").status())
    }

    fn session_of(&self, name: &str) -> String {
        let filter = SessionFilter {
            text: Some(name.to_owned()),
            state: SessionListState::Active,
            limit: 10,
            ..SessionFilter::default()
        };
        let list = block_on(sessions::list(&self.ctx, filter)).unwrap();
        list.items[0].row.session.id.0.to_string()
    }

    fn account_of(&self, name: &str) -> String {
        let filter = AccountFilter {
            text: Some(name.to_owned()),
            limit: 10,
            ..AccountFilter::default()
        };
        let list = block_on(accounts::list(&self.ctx, filter)).unwrap();
        list.items[0].account.id.0.to_string()
    }

    fn revision(&self) -> i64 {
        block_on(policy::in_force(&self.ctx)).unwrap().revision.revision
    }

    /// The audit entries of an event about an account.
    fn recorded(&self, event: &str, account: &str) -> Vec<AuditRecord> {
        let filter = AuditFilter {
            limit: 1000,
            ..AuditFilter::default()
        };
        let mut rows = block_on(audit::list(&self.ctx, filter)).unwrap().items;
        rows.retain(|row| row.event.as_str() == event && row.account.as_deref() == Some(account));
        rows
    }

    /// The emails with a link for a new password that were sent to a person so far.
    fn emails_to(&self, name: &str) -> usize {
        let files = std::fs::read_dir(self.dir.path().join("outbox")).unwrap();
        let paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        let recipient = format!("{name}@example.org");
        let texts = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        texts
            .filter(|text| text.contains(&recipient) && text.contains("/password/reset"))
            .count()
    }

    fn passwords_checked(&self) -> u64 {
        let count = |number: usize| -> u64 {
            let metrics = fetch(&format!("http://{}/metrics", self.metrics_of(number))).unwrap();
            let text = metrics.text().unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("nightlatch_passwords_checked_total "));
            line.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
        };
        (0..INSTANCES).map(count).sum()
    }
}

/// Counts on how many instances a change governs 100 ms later; on all of them it does within a
/// second.
#[derive(Default)]
struct Governing {
    checked: Cell<usize>,
    late: Cell<usize>,
}

impl Governing {
    fn check(&self, what: &str, governs: impl Fn(usize) -> bool) {
        std::thread::sleep(GOVERNS_WITHIN);
        for number in 0..INSTANCES {
            self.checked.set(self.checked.get() + 1);
            if !governs(number) {
                self.late.set(self.late.get() + 1);
                within(Duration::from_secs(1), what, || governs(number));
            }
        }
    }
}

#[test]
fn changes_on_one_instance_govern_the_others_at_their_next_request() {
    let all = Installation::start(&[], &["ada", "bob", "eve", "grace"]);
    all.command(&["policy", "set", "session.ttl", "1h", "--scope", "administrators"]);
    all.command(&["policy", "set", "auth.login_lock_out_at_failure", "true"]);
    all.command(&[
        "policy",
        "set",
        "auth.login_lock_out_by_combination_user_and_ip",
        "true",
    ]);
    let boss = all.signed_in("boss");
    let boss_at = |number: usize| all.at(number, &boss);
    let governing = Governing::default();
    // Three sign-ins in turn, each of them live everywhere.
    let [ada, eve, grace] = ["ada", "eve", "grace"].map(|name| all.signed_in(name));
    for client in [&ada, &eve, &grace] {
        assert_eq!(all.statuses(client), [200; INSTANCES]);
    }
    // A revocation, a sign-out and an account that is disabled.
    let eves = all.session_of("eve");
    boss_at(0).post("/admin/sessions/end", &[("only", &eves)]).expect(303);
    governing.check("the revocation", |number| {
        all.at(number, &eve).get("/").location() == "/login?reason=revoked"
    });
    let stolen = grace.thief();
    all.at(1, &grace).post("/logout", &[]).expect(303);
    governing.check("the sign-out", |number| {
        all.at(number, &stolen).get("/").status() == 303
    });
    let graces = format!("/admin/accounts/{}", all.account_of("grace"));
    boss_at(2).post(&graces, &[("act", "disable")]).expect(303);
    governing.check("the disabled account", |number| {
        all.at(number, &all.anyone()).sign_in("grace", PASSWORD).status() == 403
    });
    // A lock that one instance began, and its end.
    let bob = all.anyone();
    for number in 0..3 {
        all.at(number, &bob).sign_in("bob", "wrong");
    }
    governing.check("the lock", |number| {
        all.at(number, &bob).sign_in("bob", PASSWORD).status() == 429
    });
    let page = boss_at(1).get("/admin/lockouts?state=locked").expect(200).page();
    let buttons = page.all("button[name=only]");
    let lock = buttons[0].attribute("value");
    boss_at(1).post("/admin/lockouts/unlock", &[("only", lock)]).expect(303);
    governing.check("the unlocking", |number| {
        all.at(number, &bob).sign_in("bob", PASSWORD).status() == 303
    });
    // A policy that was saved through the console; ada is older than two seconds by then.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(all.statuses(&ada), [200; INSTANCES]);
    save(&boss_at(2), all.revision(), &[("session.ttl", "2s")], &[]).expect(303);
    governing.check("the policy", |number| {
        all.at(number, &ada).get("/").location() == "/login?reason=ttl"
    });
    assert_eq!(all.statuses(&boss), [200; INSTANCES]);
    let (checked, late) = (governing.checked.get(), governing.late.get());
    assert!(
        late * 6 <= checked,
        "{late} of {checked} came later than {GOVERNS_WITHIN:?}"
    );
}

#[test]
fn activity_at_one_instance_keeps_the_session_alive_on_all() {
    let all = Installation::start(&[], &["ada", "bob"]);
    all.command(&["policy", "set", "auth.idle_session_timeout", "4s"]);
    let (ada, bob) = (all.signed_in("ada"), all.signed_in("bob"));
    let there = all.at(0, &ada);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(9) {
        there.get("/").expect(200);
        std::thread::sleep(Duration::from_millis(400));
    }
    for number in [1, 2, 0] {
        all.at(number, &ada).get("/").expect(200);
        assert_eq!(all.at(number, &bob).get("/").location(), "/login?reason=idle");
    }
    // Once it is quiet, the session ends everywhere.
    std::thread::sleep(Duration::from_secs(5));
    for number in 0..INSTANCES {
        assert_eq!(all.at(number, &ada).get("/").location(), "/login?reason=idle");
    }
    let ended = all.recorded("session.ended", "ada");
    assert_eq!(ended.len(), 1, "once, although three instances saw it");
}

#[test]
fn two_hundred_parallel_guesses_over_three_instances_reach_the_hash_at_most_five_times() {
    let metrics = [("NIGHTLATCH_METRICS_BIND", "set for each instance")];
    let all = Installation::start(&metrics, &["ada"]);
    all.command(&["policy", "set", "auth.login_failure_limit", "5"]);
    all.command(&["policy", "set", "auth.login_lock_out_at_failure", "true"]);
    let before = all.passwords_checked();
    let start = Barrier::new(200);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..200)
            .map(|_| {
                let (client, start) = (all.anyone(), &start);
                scope.spawn(move || {
                    start.wait();
                    client.sign_in("ada", "wrong").status()
                })
            })
            .collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let checked = all.passwords_checked() - before;
    assert!((1..=5).contains(&checked), "{checked} guesses were checked");
    // 503: the database had no time for that many requests; such an attempt is not checked.
    assert!(
        statuses.iter().all(|status| [422, 429, 503].contains(status)),
        "{statuses:?}"
    );
    while all.anyone().sign_in("ada", "wrong").status() == 422 {}
    for number in 0..INSTANCES {
        all.at(number, &all.anyone()).sign_in("ada", PASSWORD).expect(429);
    }
    assert!(all.passwords_checked() - before <= 5);
}

#[test]
fn due_jobs_run_once_among_three_instances_and_on_the_last_one_left() {
    let mut all = Installation::start(&[], &["ada", "bob", "eve", "grace"]);
    for (setting, value) in [
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_lock_out_by_combination_user_and_ip", "true"),
        ("auth.login_failure_limit", "1"),
        ("auth.login_cooloff_time", "1s"),
        ("session.ttl", "2s"),
    ] {
        all.command(&["policy", "set", setting, value]);
    }
    // A lock and a session that run out, and an email.
    let cause = |all: &Installation, locked: &str, owner: &str| {
        all.anyone().sign_in(locked, "wrong").expect(429);
        all.signed_in(owner);
        all.anyone().post("/password/forgot", &[("username", owner)]);
    };
    let done = |all: &Installation, locked: &str, owner: &str| {
        [
            all.recorded("lockout.ended", locked).len(),
            all.recorded("session.ended", owner).len(),
            all.emails_to(owner),
        ]
    };
    let is_done =
        |all: &Installation, locked: &str, owner: &str| done(all, locked, owner).iter().all(|count| *count > 0);
    cause(&all, "ada", "bob");
    within(RECOVERED, "three instances do it", || is_done(&all, "ada", "bob"));
    // Two die with the work to do.
    cause(&all, "eve", "grace");
    for number in [0, 1] {
        all.programs[number].take().unwrap().kill();
    }
    within(RECOVERED, "the one that is left does it", || {
        is_done(&all, "eve", "grace")
    });
    // Another round of every job does nothing twice.
    std::thread::sleep(Duration::from_secs(6));
    for (locked, owner) in [("ada", "bob"), ("eve", "grace")] {
        assert_eq!(done(&all, locked, owner), [1, 1, 1], "{locked} {owner}");
    }
}

#[test]
fn a_rolling_restart_loses_no_session_and_no_request() {
    let mut all = Installation::start(&[("NIGHTLATCH_STOP_DELAY", "1s")], &["ada", "bob", "eve", "grace"]);
    let clients = ["ada", "bob", "eve", "grace"].map(|name| all.signed_in(name));
    let over = AtomicBool::new(false);
    let anyone: Vec<Client> = (0..200).map(|_| all.anyone()).collect();
    let (pages, sign_ins) = std::thread::scope(|scope| {
        let over = &over;
        let readers: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(move || {
                    let mut statuses = Vec::new();
                    while !over.load(Ordering::SeqCst) {
                        let answer = client.try_send(reqwest::Method::GET, "/", None);
                        statuses.push(answer.map_or(0, |answer| answer.status()));
                    }
                    statuses
                })
            })
            .collect();
        let signing_in = scope.spawn(|| {
            let mut statuses = Vec::new();
            for client in anyone.iter().take_while(|_| !over.load(Ordering::SeqCst)) {
                let form = [("username", "ada"), ("password", PASSWORD)];
                let answer = client.try_send(reqwest::Method::POST, "/login", Some(&form));
                statuses.push(answer.map_or(0, |answer| answer.status()));
                std::thread::sleep(Duration::from_millis(50));
            }
            statuses
        });
        for number in 0..INSTANCES {
            assert!(all.programs[number].take().unwrap().terminate().success());
            all.start_instance(number);
        }
        over.store(true, Ordering::SeqCst);
        let pages: Vec<u16> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        (pages, signing_in.join().unwrap())
    });
    let lost = |statuses: &[u16], expected: u16| statuses.iter().filter(|status| **status != expected).count();
    assert!(
        pages.len() > 100 && sign_ins.len() > 5,
        "{} {}",
        pages.len(),
        sign_ins.len()
    );
    assert_eq!(lost(&pages, 200), 0, "of {}: {pages:?}", pages.len());
    assert_eq!(lost(&sign_ins, 303), 0, "{sign_ins:?}");
    for client in &clients {
        assert_eq!(all.statuses(client), [200; INSTANCES]);
    }
}

#[test]
fn an_instance_that_hears_nothing_believes_nothing_until_it_hears_again() {
    let all = Installation::start_behind(&[], &["ada", "bob", "eve"], true);
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| all.signed_in(name));
    let there = |client: &Client| all.at(INSTANCES - 1, client).get("/").status();
    let end = |client: &Client| all.at(0, client).thief().post("/logout", &[]).expect(303);
    for client in [&ada, &bob, &eve] {
        assert_eq!(there(client), 200);
    }
    // The listener's connection is cut: memory is not trusted, and the database is queried.
    all.database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'",
    );
    end(&ada);
    std::thread::sleep(GOVERNS_WITHIN);
    assert_ne!(there(&ada), 200, "ended while the listener was cut off");
    within(RECOVERED, "it goes on", || there(&bob) == 200);
    // Every connection of this instance hangs, silently.
    all.relay.as_ref().unwrap().hold_open_ones();
    let began = Instant::now();
    end(&bob);
    // Memory is trusted for a second after the last sign of life.
    std::thread::sleep(Duration::from_millis(1_100));
    let mut last = 0;
    while last != 303 {
        last = there(&bob);
        assert_ne!(last, 200, "ended while it heard nothing");
        assert!(began.elapsed() < RECOVERED, "not back in time: {last}");
        std::thread::sleep(Duration::from_millis(100));
    }
    within(RECOVERED - began.elapsed().min(RECOVERED), "all is well again", || {
        there(&eve) == 200
    });
    // It receives changes again immediately.
    end(&eve);
    within(Duration::from_secs(1), "the next sign-out arrives", || {
        there(&eve) == 303
    });
}
