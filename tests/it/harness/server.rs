//! A server in this process, with its own database and port, and a clock that stands still until
//! the test moves it.

use super::{client::Client, postgres, template};
use actix_web::dev::ServerHandle;
use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
};
use nightlatch::{
    clock::{Clock, FixedClock, SteadyClock, SystemClock},
    config::{Config, Flags},
    domain::{
        account::{AccountId, Role},
        audit::{Actor, AuditFilter, AuditRecord},
        policy::{Key, Scope},
        secret::Secret,
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, Initiator,
        accounts::{self, CreateOutcome, NewAccount, NewPassword},
        mail, password_reset,
        policy::{self, Edit, PolicySaveOutcome, SaveKind},
    },
    random::OsRandom,
    server::Server,
};
use std::{
    future::Future,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Password of every account that the harness creates.
pub const PASSWORD: &str = "unlocked harbour violin";

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A test's database, removed with this value.
pub enum TestDatabase {
    Sqlite(tempfile::TempDir),
    Postgres(postgres::Database),
}

impl TestDatabase {
    /// Creates a database with every migration applied and no rows.
    pub fn fresh(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                template::copy_sqlite(&directory.path().join("test.db"));
                Self::Sqlite(directory)
            }
            Backend::Postgres => Self::Postgres(postgres::Database::migrated()),
        }
    }

    /// A database without tables; on SQLite not even a file.
    pub fn empty(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::Sqlite(tempfile::tempdir().unwrap()),
            Backend::Postgres => Self::Postgres(postgres::Database::fresh()),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite:{}", dir.path().join("test.db").display()),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }

    /// Returns the number of rows: `sessions WHERE ended_at IS NULL`.
    pub fn count(&self, rows: &str) -> i64 {
        let query = sql_query(format!("SELECT count(*) AS number FROM {rows}"));
        match self {
            Self::Sqlite(dir) => {
                let mut connection = SqliteConnection::establish(dir.path().join("test.db").to_str().unwrap()).unwrap();
                connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
                query.get_result::<RowCount>(&mut connection)
            }
            Self::Postgres(database) => {
                query.get_result::<RowCount>(&mut PgConnection::establish(database.url()).unwrap())
            }
        }
        .unwrap()
        .number
    }

    /// Runs SQL on the server's database, as anyone with the database password could.
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

#[derive(QueryableByName)]
struct RowCount {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// A running server.
pub struct TestServer {
    pub base: String,
    pub ctx: Ctx,
    pub clock: Arc<FixedClock>,
    pub setup_link: Option<String>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// Folder of emails when the test names no mail server.
    outbox: Arc<tempfile::TempDir>,
    pub database: Arc<TestDatabase>,
}

/// Settings of a server before it starts.
pub struct Start {
    database: Arc<TestDatabase>,
    outbox: Arc<tempfile::TempDir>,
    env: Vec<(String, String)>,
    file: String,
    clock: Option<Arc<FixedClock>>,
    machine: Option<Arc<dyn Clock>>,
    database_url: Option<String>,
    dev: bool,
}

impl Start {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its configuration file; without this, an empty one.
    pub fn file(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.file);
        self
    }

    pub fn clock(mut self, clock: &Arc<FixedClock>) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Time passes, by this clock of the machine.
    pub fn machine(mut self, clock: Arc<dyn Clock>) -> Self {
        self.machine = Some(clock);
        self
    }

    /// Another way to the same database.
    pub fn database_url(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    pub fn dev(mut self) -> Self {
        self.dev = true;
        self
    }

    /// The configuration that these settings make.
    pub fn config(&self) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.file).unwrap();
        let flags = Flags {
            database_url: Some(self.database_url.clone().unwrap_or_else(|| self.database.url())),
            bind: Some("127.0.0.1:0".to_owned()),
            no_migrate: false,
            dev: self.dev,
        };
        let outbox = (
            "NIGHTLATCH_MAIL_OUTBOX".to_owned(),
            self.outbox.path().display().to_string(),
        );
        Config::load(Some(file.path()), self.env.iter().cloned().chain([outbox]), flags).unwrap()
    }

    /// A context for flows without a server and its jobs, which would query the database too.
    pub fn context(self) -> Ctx {
        let clock = Arc::new(FixedClock::starting_at(SystemClock.now()));
        nightlatch::server::context(self.config(), clock, Arc::new(OsRandom), false).unwrap()
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> TestServer {
        let config = self.config();
        let clock = self
            .clock
            .clone()
            .unwrap_or_else(|| Arc::new(FixedClock::starting_at(SystemClock.now())));
        let (ready, built) = mpsc::channel();
        let server_clock: Arc<dyn Clock> = match &self.machine {
            Some(machine) => Arc::new(SteadyClock::new(machine.clone())),
            None => clock.clone(),
        };
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
    pub fn on(backend: Backend) -> Start {
        Self::beside(&Arc::new(TestDatabase::fresh(backend)))
    }

    /// Starts a server on a database that other servers use too.
    pub fn beside(database: &Arc<TestDatabase>) -> Start {
        Start {
            database: database.clone(),
            outbox: Arc::new(tempfile::tempdir().unwrap()),
            env: Vec::new(),
            file: String::new(),
            clock: None,
            machine: None,
            database_url: None,
            dev: false,
        }
    }

    /// Starts a server with SQLite and the defaults.
    pub fn start() -> Self {
        Self::on(Backend::Sqlite).start()
    }

    pub fn anyone(&self) -> Client {
        Client::new(&self.base)
    }

    /// Creates a member and signs in.
    pub fn member(&self, name: &str) -> Client {
        self.account(name, Role::Member);
        self.signed_in(name)
    }

    /// Creates an administrator and signs in.
    pub fn admin(&self, name: &str) -> Client {
        self.account(name, Role::Administrator);
        self.signed_in(name)
    }

    /// Signs an existing account in, in another browser.
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
            CreateOutcome::Created { id, .. } => id,
            CreateOutcome::Faulty(faults) => panic!("{faults:?}"),
        }
    }

    pub fn act(&self, id: AccountId, act: accounts::AccountAction) -> accounts::AccountActionOutcome {
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
            matches!(verdict, PolicySaveOutcome::Saved { .. } | PolicySaveOutcome::Unchanged),
            "{verdict:?}"
        );
    }

    /// Audit rows, oldest first.
    pub fn audit(&self) -> Vec<AuditRecord> {
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

    /// Emails that were written to files so far, oldest first.
    pub fn emails(&self) -> Vec<String> {
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

    /// Runs the jobs that create and send emails, and returns all emails so far, oldest first.
    pub fn deliver(&self) -> Vec<String> {
        self.run(password_reset::answer_requests(&self.ctx)).unwrap();
        // The server's own job may hold an email at this moment.
        eventually("everything is sent", || {
            self.run(mail::send_due(&self.ctx)).unwrap();
            self.run(mail::counts(&self.ctx)).unwrap().queued == 0
        });
        self.emails()
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

    /// Stops the server and gives its database up, which another server or program can then serve.
    pub fn leave(mut self) -> Arc<TestDatabase> {
        self.shut_down();
        self.database.clone()
    }

    /// Stops the server; its address no longer answers.
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

/// The initiator of the actions that prepare a test.
pub fn operator() -> Initiator {
    Initiator {
        actor: Actor::Cli {
            user: "test".to_owned(),
        },
        origin: nightlatch::domain::audit::RequestOrigin::default(),
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

/// Waits up to a minute for something that happens in the background.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
