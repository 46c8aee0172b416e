//! A server in this process: fresh database, port of its own, a clock that stands until the test moves it.

use super::{client::Client, postgres};
use actix_web::dev::ServerHandle;
use diesel::{Connection, PgConnection, SqliteConnection, connection::SimpleConnection};
use nightlatch::{
    clock::{Clock, FixedClock, SystemClock},
    config::{Config, Flags},
    domain::{
        account::{AccountId, Role},
        audit::Actor,
        policy::{Key, Scope},
        secret::Secret,
        time::{Span, Timestamp},
    },
    flows::{
        Acting, Ctx,
        accounts::{self, CreateVerdict, NewAccount, NewPassword},
        mail, password_reset,
        policy::{self, Edit, SaveKind, SaveVerdict},
    },
    random::OsRandom,
    server::Server,
    store::audit::{AuditFilter, AuditRow},
};
use std::{
    future::Future,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The password of every account that the harness makes.
pub const PASSWORD: &str = "unlocked harbour violin";

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// Keeps a test's database alive, and removes it in the end.
pub enum TestDatabase {
    Sqlite(tempfile::TempDir),
    Postgres(postgres::Database),
}

impl TestDatabase {
    pub fn fresh(on: On) -> Self {
        match on {
            On::Sqlite => Self::Sqlite(tempfile::tempdir().unwrap()),
            On::Postgres => Self::Postgres(postgres::Database::fresh()),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite:{}", dir.path().join("test.db").display()),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }

    /// SQL beside the server, as somebody with the database's password would run it.
    pub fn sql(&self, sql: &str) {
        match self {
            Self::Sqlite(dir) => SqliteConnection::establish(dir.path().join("test.db").to_str().unwrap())
                .unwrap()
                .batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}")),
            Self::Postgres(database) => PgConnection::establish(database.url()).unwrap().batch_execute(sql),
        }
        .unwrap();
    }
}

/// A running server.
pub struct TestServer {
    pub base: String,
    pub ctx: Ctx,
    pub clock: Arc<FixedClock>,
    pub setup_link: Option<String>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// Letters, where the test names no mail server.
    outbox: Arc<tempfile::TempDir>,
    pub database: Arc<TestDatabase>,
}

/// What a server is started with.
pub struct Start {
    database: Arc<TestDatabase>,
    outbox: Arc<tempfile::TempDir>,
    env: Vec<(String, String)>,
    clock: Option<Arc<FixedClock>>,
    dev: bool,
}

impl Start {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn clock(mut self, clock: &Arc<FixedClock>) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    pub fn dev(mut self) -> Self {
        self.dev = true;
        self
    }

    /// The configuration that this start means.
    pub fn config(&self) -> Config {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let flags = Flags {
            database_url: Some(self.database.url()),
            bind: Some("127.0.0.1:0".to_owned()),
            no_migrate: false,
            dev: self.dev,
        };
        let outbox = (
            "NIGHTLATCH_MAIL_OUTBOX".to_owned(),
            self.outbox.path().display().to_string(),
        );
        Config::load(Some(empty.path()), self.env.iter().cloned().chain([outbox]), flags).unwrap()
    }

    /// What flows stand on, without a server and its jobs, which ask the database too.
    pub fn context(self) -> Ctx {
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        nightlatch::server::context(self.config(), clock, Arc::new(OsRandom), false).unwrap()
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> TestServer {
        let config = self.config();
        let clock = self
            .clock
            .clone()
            .unwrap_or_else(|| Arc::new(FixedClock::at(SystemClock.now())));
        let (ready, built) = mpsc::channel();
        let server_clock = clock.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                match Server::build(config, server_clock, Arc::new(OsRandom)).await {
                    Ok(server) => {
                        let link = server.setup_link().map(str::to_owned);
                        ready
                            .send(Ok((server.port(), server.ctx().clone(), link, server.handle())))
                            .unwrap();
                        server.run_until_stopped().await.unwrap();
                    }
                    Err(error) => ready.send(Err(error.to_string())).unwrap(),
                }
            });
        });
        let (port, ctx, setup_link, handle) = built.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
        TestServer {
            base: format!("http://127.0.0.1:{port}"),
            ctx,
            clock,
            setup_link,
            handle,
            thread: Some(thread),
            outbox: self.outbox,
            database: self.database,
        }
    }
}

impl TestServer {
    pub fn on(on: On) -> Start {
        Self::beside(&Arc::new(TestDatabase::fresh(on)))
    }

    /// A server on a database that others use too.
    pub fn beside(database: &Arc<TestDatabase>) -> Start {
        Start {
            database: database.clone(),
            outbox: Arc::new(tempfile::tempdir().unwrap()),
            env: Vec::new(),
            clock: None,
            dev: false,
        }
    }

    /// SQLite, defaults, started.
    pub fn start() -> Self {
        Self::on(On::Sqlite).start()
    }

    pub fn anyone(&self) -> Client {
        Client::new(&self.base)
    }

    /// Somebody signed in as a fresh member of that name.
    pub fn member(&self, name: &str) -> Client {
        self.account(name, Role::Member);
        self.signed_in(name)
    }

    /// Somebody signed in as a fresh administrator of that name.
    pub fn admin(&self, name: &str) -> Client {
        self.account(name, Role::Administrator);
        self.signed_in(name)
    }

    /// Another browser of an account that exists.
    pub fn signed_in(&self, name: &str) -> Client {
        let client = self.anyone();
        let answer = client.sign_in(name, PASSWORD);
        assert_eq!(answer.status(), 303, "{name} signs in: {}", answer.text());
        client
    }

    pub fn account(&self, name: &str, role: Role) -> AccountId {
        let new = NewAccount {
            name: name.to_owned(),
            display_name: String::new(),
            email: String::new(),
            role,
            groups: Vec::new(),
            expires_at: None,
            password: NewPassword::Given {
                password: Secret::new(PASSWORD.to_owned()),
                must_change: false,
            },
        };
        match self.run(accounts::create(&self.ctx, &operator(), new)).unwrap() {
            CreateVerdict::Created { id, .. } => id,
            CreateVerdict::Faulty(faults) => panic!("{faults:?}"),
        }
    }

    pub fn act(&self, id: AccountId, act: accounts::Act) -> accounts::ActVerdict {
        self.run(accounts::act(&self.ctx, &operator(), id, act)).unwrap()
    }

    /// Saves settings for everyone: `[("auth.idle_session_timeout", "15m")]`.
    pub fn policy(&self, settings: &[(&str, &str)]) {
        self.policy_in(&Scope::Everyone, settings);
    }

    pub fn policy_in(&self, scope: &Scope, settings: &[(&str, &str)]) {
        let edits = settings
            .iter()
            .map(|(name, text)| {
                let key = Key::parse(name).unwrap_or_else(|| panic!("no setting {name}"));
                Edit {
                    scope: scope.clone(),
                    key,
                    value: Some(key.setting().parse(text).unwrap()),
                }
            })
            .collect();
        let base = self.run(policy::in_force(&self.ctx)).unwrap().revision.revision;
        let verdict = self
            .run(policy::save(
                &self.ctx,
                &operator(),
                base,
                edits,
                String::new(),
                SaveKind::Saved,
            ))
            .unwrap();
        assert!(
            matches!(verdict, SaveVerdict::Saved { .. } | SaveVerdict::Unchanged),
            "{verdict:?}"
        );
    }

    /// Audit rows, oldest first.
    pub fn audit(&self) -> Vec<AuditRow> {
        let filter = AuditFilter {
            limit: 1000,
            ..AuditFilter::default()
        };
        let mut rows = self
            .run(nightlatch::flows::audit::list(&self.ctx, filter))
            .unwrap()
            .items;
        rows.reverse();
        rows
    }

    /// Codes of the audit rows, oldest first, with their reason: `session.ended idle`.
    pub fn events(&self) -> Vec<String> {
        self.audit()
            .iter()
            .map(|row| match &row.reason {
                Some(reason) => format!("{} {reason}", row.event.as_str()),
                None => row.event.as_str().to_owned(),
            })
            .collect()
    }

    /// The letters that were written to files so far, oldest first.
    pub fn letters(&self) -> Vec<String> {
        let mut files: Vec<_> = std::fs::read_dir(self.outbox.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        // Ids sort by time.
        files.sort();
        files
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    }

    /// Answers what was asked for, and sends what is due; all letters so far, oldest first.
    pub fn deliver(&self) -> Vec<String> {
        self.run(password_reset::answer_requests(&self.ctx)).unwrap();
        // The server's own job may hold a letter this moment.
        eventually("everything is sent", || {
            self.run(mail::send_due(&self.ctx)).unwrap();
            self.run(mail::counts(&self.ctx)).unwrap().queued == 0
        });
        self.letters()
    }

    pub fn advance(&self, secs: i64) {
        self.clock.advance(Span::from_secs(secs));
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs a flow to its end.
    pub fn run<T>(&self, flow: impl Future<Output = T>) -> T {
        block_on(flow)
    }

    pub fn stop(mut self) {
        self.shut_down();
    }

    /// Stops it in its place: nobody answers at its address any more.
    pub fn shut_down(&mut self) {
        if let Some(thread) = self.thread.take() {
            block_on(self.handle.stop(false));
            let stopped = thread.join();
            if !std::thread::panicking() {
                stopped.unwrap();
            }
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Who acts when the test itself prepares something.
pub fn operator() -> Acting {
    Acting {
        actor: Actor::Cli {
            user: "test".to_owned(),
        },
        origin: nightlatch::domain::audit::Origin::default(),
        session: None,
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Asks until it is so, at most twenty seconds: for what happens in the background.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
