//! How a connection comes to be: the URL, the pool, what each new connection is told (pragmas, time limits), the
//! migrations under a lock, and the transaction's begin and end. One connection type for both databases.
use super::{Backend, StoreError, WAIT, per_backend, schema};
use diesel::{
    Connection, ConnectionError, PgConnection, RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    migration::{MigrationSource, MigrationVersion},
    r2d2::R2D2Connection,
    result::{DatabaseErrorKind, Error as DieselError},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::{
    collections::hash_map::RandomState,
    fs::{self, File, TryLockError},
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
/// Postgres' advisory lock around migrations: "nightlat" in ASCII.
const MIGRATION_LOCK: i64 = 0x6e69_6768_746c_6174;
/// A connection unused for longer is asked whether it still lives before it is handed out.
const FRESH: Duration = Duration::from_secs(1);
/// How long a server that starts waits for one that ends to give the file up.
const HANDOVER: Duration = Duration::from_secs(2);

/// Told to every SQLite connection. busy_timeout stands first: the others may already have to wait.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
     PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192;";
/// Told to every SQLite connection, and again when somebody else is just telling it: here busy_timeout is not heeded.
const SQLITE_WAL: &str = "PRAGMA journal_mode = WAL;";
/// Told to every Postgres connection.
const POSTGRES_SETUP: &str = "SET client_min_messages = warning; SET TIME ZONE 'UTC'; SET datestyle = 'ISO'; \
     SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s';";
/// Migrations may take their time.
const POSTGRES_MIGRATION_SETUP: &str = "SET statement_timeout = 0; SET lock_timeout = '120s'; \
     SET idle_in_transaction_session_timeout = 0;";

/// Either database. What this enum cannot say stands in `per_backend`.
#[derive(diesel::MultiConnection)]
pub(super) enum AnyConn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// Where the data is.
#[derive(Clone)]
pub(super) enum Location {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Location {
    pub(super) fn parse(url: &str) -> Result<Location, StoreError> {
        let url = url.trim();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Location::Postgres(url.to_owned()));
        }
        let unknown = |kind: &str| {
            let known = "sqlite:PATH, a path, or postgres://USER@HOST/NAME";
            Err(StoreError::Config(format!(
                "unknown kind of database \"{kind}\": DATABASE_URL takes {known}"
            )))
        };
        let path = match url.strip_prefix("sqlite:") {
            Some(path) if path.contains('?') => return unknown("sqlite:…?…"),
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None => url,
        };
        if let Some((scheme, _)) = path.split_once("://") {
            return unknown(scheme);
        }
        // What libpq would take as well must not become a file of that name.
        for other in [
            "postgres:",
            "postgresql:",
            "file:",
            "host=",
            "dbname=",
            "user=",
            "service=",
        ] {
            if path.starts_with(other) {
                return unknown(other);
            }
        }
        if path.is_empty() || path.contains('\0') || path.contains(":memory:") {
            return Err(StoreError::Config(
                "DATABASE_URL names no file for the SQLite database".into(),
            ));
        }
        Ok(Location::Sqlite(PathBuf::from(path)))
    }

    pub(super) fn backend(&self) -> Backend {
        match self {
            Location::Sqlite(_) => Backend::Sqlite,
            Location::Postgres(_) => Backend::Postgres,
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Location::Sqlite(path) => format!("SQLite file {}", path.display()),
            Location::Postgres(url) => match url::Url::parse(url) {
                Ok(url) => {
                    let host = url.host_str().unwrap_or("localhost");
                    let port = url.port().unwrap_or(5432);
                    format!(
                        "PostgreSQL database {} at {host}:{port}",
                        url.path().trim_start_matches('/')
                    )
                }
                Err(_) => "PostgreSQL".into(),
            },
        }
    }

    /// SQLite: the file exists after this, is ours to write and readable by nobody else when it is new.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let Location::Sqlite(path) = self else { return Ok(()) };
        let shown = path.display();
        if path.is_dir() {
            return Err(StoreError::Config(format!("SQLite: {shown} is a directory")));
        }
        let directory = directory_of(path);
        if !directory.is_dir() {
            let directory = directory.display();
            return Err(StoreError::Config(format!(
                "SQLite: directory {directory} (for {shown}) does not exist"
            )));
        }
        let mut open = File::options();
        open.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        match open.open(path) {
            Ok(_) => refuse_foreign(path),
            Err(fault) => Err(StoreError::Config(format!("SQLite: cannot write {shown}: {fault}"))),
        }
    }

    /// SQLite: the lock "one server per file", held as long as the returned file is open.
    pub(super) fn lock_for_serving(&self) -> Result<Option<File>, StoreError> {
        let Location::Sqlite(path) = self else { return Ok(None) };
        // Two names of one file must meet at one lock.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let mut name = real.into_os_string();
        name.push(".lock");
        let name = PathBuf::from(name);
        let shown = name.display();
        let cannot = |fault: std::io::Error| StoreError::Config(format!("SQLite: cannot lock {shown}: {fault}"));
        let file = lock_file(&name).map_err(cannot)?;
        // A server that is just ending gives it up in a moment.
        let deadline = Instant::now() + HANDOVER;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50))
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Config(format!(
                        "SQLite: {} is already served by another process (it holds {shown})",
                        path.display()
                    )));
                }
                Err(TryLockError::Error(fault)) => return Err(cannot(fault)),
            }
        }
    }

    /// A new connection, set up.
    pub(super) fn connect(&self) -> Result<AnyConn, StoreError> {
        match self {
            Location::Sqlite(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let Some(text) = path.to_str() else {
                    return Err(StoreError::Config(
                        "SQLite: the working directory's path is not UTF-8".into(),
                    ));
                };
                let mut c = SqliteConnection::establish(text).map_err(|e| self.refused(&e))?;
                c.batch_execute(SQLITE_SETUP).map_err(|e| self.not_ready(e))?;
                let since = Instant::now();
                while let Err(fault) = c.batch_execute(SQLITE_WAL) {
                    if !fault.to_string().contains("locked") || since.elapsed() > WAIT {
                        return Err(self.not_ready(fault));
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(AnyConn::Sqlite(c))
            }
            Location::Postgres(url) => {
                let mut c = PgConnection::establish(&with_time_limits(url)).map_err(|e| self.refused(&e))?;
                c.batch_execute(POSTGRES_SETUP).map_err(|e| self.not_ready(e))?;
                Ok(AnyConn::Postgres(c))
            }
        }
    }

    /// The database's own words why there is no connection, in one line and without the password.
    fn refused(&self, error: &ConnectionError) -> StoreError {
        StoreError::Config(format!(
            "{}: {}",
            self.describe(),
            self.redact(&one_line(&error.to_string()))
        ))
    }

    fn not_ready(&self, error: DieselError) -> StoreError {
        match StoreError::from(error) {
            StoreError::Unavailable(words) if words.contains("not a database") => {
                StoreError::Config(format!("{}: {words}", self.describe()))
            }
            StoreError::Unavailable(words) => StoreError::Unavailable(format!("{}: {words}", self.describe())),
            other => other,
        }
    }

    /// libpq quotes a URL that it cannot read; the password in it stays out of every log.
    fn redact(&self, words: &str) -> String {
        let Location::Postgres(url) = self else {
            return words.to_owned();
        };
        let mut shown = words.replace(url.as_str(), "postgres://…");
        let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
        if let Some((_, password)) = after_scheme.rsplit_once('@').and_then(|(user, _)| user.split_once(':'))
            && !password.is_empty()
        {
            shown = shown.replace(password, "…");
        }
        if let Some((_, query)) = after_scheme.split_once('?') {
            for value in query.split('&').filter_map(|pair| pair.strip_prefix("password=")) {
                if !value.is_empty() {
                    shown = shown.replace(value, "…");
                }
            }
        }
        shown
    }
}

/// Whoever can open this file can lock it, and so keep a server from starting: it is its owner's alone. One from before that was
/// everybody's to read is tightened where it is ours.
fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0
            && let Err(fault) = file.set_permissions(fs::Permissions::from_mode(0o600))
        {
            tracing::warn!(%fault, lock = %path.display(), "others than its owner can open the lock file");
        }
    }
    Ok(file)
}

/// A file with tables, none of which says what was migrated, is another program's: nothing of it is touched. What cannot be looked into
/// (no database at all, one that is being written) is for the connection to say.
fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    const FOREIGN: &str = "SELECT COUNT(*) AS tables, COALESCE(SUM(name = '__diesel_schema_migrations'), 0) AS ours \
         FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    #[derive(diesel::QueryableByName)]
    struct Found {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        tables: i64,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        ours: i64,
    }
    let looked = std::path::absolute(path).ok().and_then(|path| {
        let mut c = SqliteConnection::establish(path.to_str()?).ok()?;
        c.batch_execute("PRAGMA busy_timeout = 5000;").ok()?;
        diesel::sql_query(FOREIGN).get_result::<Found>(&mut c).ok()
    });
    match looked {
        Some(Found { tables: 1.., ours: 0 }) => Err(StoreError::Config(format!(
            "SQLite: {} is the database of another program: name another file",
            path.display()
        ))),
        _ => Ok(()),
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The URL with limits for connecting and for a peer that went silent; what the operator wrote wins.
fn with_time_limits(url: &str) -> String {
    let mut url = url.to_owned();
    let limits = [
        ("connect_timeout", "5"),
        ("keepalives_idle", "10"),
        ("keepalives_interval", "5"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "10000"),
        ("application_name", "nightlatch"),
    ];
    for (name, value) in limits {
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
    }
    url
}

/// The lines of a fault as sentences of one.
fn one_line(text: &str) -> String {
    let mut whole = String::new();
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if whole.ends_with(|last: char| last.is_alphanumeric() || last == ')') && !line.is_empty() {
            whole.push('.');
        }
        if !whole.is_empty() && !line.is_empty() {
            whole.push(' ');
        }
        whole.push_str(&line);
    }
    whole
}

/// Tells writers and listeners of the same database apart; no secret. (The standard library seeds its hash maps from the
/// system's randomness, which nobody here may ask directly but `random`.)
pub(super) fn random_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// A pooled connection and when it was last known to live.
pub(super) struct Pooled {
    pub(super) any: AnyConn,
    alive_at: Option<Instant>,
}

impl Pooled {
    /// Called after use: an error may mean that the server is gone, so the next user asks first.
    pub(super) fn used(&mut self, well: bool) {
        self.alive_at = well.then(Instant::now);
    }
}

pub(super) struct Manager {
    location: Location,
    loss: Arc<Loss>,
}

/// Whether the last attempt to connect failed: a loss is told once, until it is over.
#[derive(Debug, Default)]
struct Loss(AtomicBool);

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = StoreError;

    fn connect(&self) -> Result<Pooled, StoreError> {
        let any = self.location.connect()?;
        if self.loss.0.swap(false, Ordering::SeqCst) {
            tracing::info!("the database takes connections again");
        }
        Ok(Pooled {
            any,
            alive_at: Some(Instant::now()),
        })
    }

    fn is_valid(&self, conn: &mut Pooled) -> Result<(), StoreError> {
        if conn.alive_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        match &mut conn.any {
            AnyConn::Postgres(c) => c.ping()?,
            AnyConn::Sqlite(c) => c.ping()?,
        }
        Ok(())
    }

    fn has_broken(&self, conn: &mut Pooled) -> bool {
        std::thread::panicking()
            || match &mut conn.any {
                AnyConn::Postgres(c) => c.is_broken(),
                AnyConn::Sqlite(c) => c.is_broken(),
            }
    }
}

#[derive(Debug)]
struct LogFaults(Arc<Loss>);

impl r2d2::HandleError<StoreError> for LogFaults {
    fn handle_error(&self, fault: StoreError) {
        if !self.0.0.swap(true, Ordering::SeqCst) {
            tracing::warn!(%fault, "no new database connection");
        }
    }
}

pub(super) fn pool(location: &Location, size: u32) -> r2d2::Pool<Manager> {
    let loss = Arc::<Loss>::default();
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(WAIT)
        .test_on_check_out(true)
        .error_handler(Box::new(LogFaults(loss.clone())))
        .build_unchecked(Manager {
            location: location.clone(),
            loss,
        })
}

pub(super) fn pool_error(location: &Location, error: &r2d2::Error) -> StoreError {
    // r2d2's words end in the last connection error, which is already one line without a password.
    StoreError::Unavailable(location.redact(&one_line(&error.to_string())))
}

/// One writer at a time on SQLite.
#[derive(Default)]
pub(super) struct WriteGate {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// The turn to write; given back when dropped.
pub(super) struct Turn<'a>(&'a WriteGate);

impl WriteGate {
    pub(super) fn enter(&self) -> Result<Turn<'_>, StoreError> {
        // A poisoned mutex holds a plain bool, which is right whatever panicked.
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_timeout_while(taken, WAIT, |taken| *taken);
        let (mut taken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(StoreError::Unavailable("other writes take too long".into()));
        }
        *taken = true;
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}

/// Starts a writing transaction: on SQLite it takes the write lock now, since a later upgrade fails at once.
pub(super) fn begin(c: &mut AnyConn) -> Result<(), StoreError> {
    match c {
        AnyConn::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        AnyConn::Postgres(c) => AnsiTransactionManager::begin_transaction(c)?,
    }
    Ok(())
}

pub(super) fn commit(c: &mut AnyConn) -> Result<(), StoreError> {
    match c {
        AnyConn::Sqlite(c) => AnsiTransactionManager::commit_transaction(c)?,
        AnyConn::Postgres(c) => AnsiTransactionManager::commit_transaction(c)?,
    }
    Ok(())
}

pub(super) fn rollback(c: &mut AnyConn) -> Result<(), StoreError> {
    match c {
        AnyConn::Sqlite(c) => AnsiTransactionManager::rollback_transaction(c)?,
        AnyConn::Postgres(c) => AnsiTransactionManager::rollback_transaction(c)?,
    }
    Ok(())
}

/// Brings the database to this program's schema, or says why not. Starters beside us wait for their turn.
pub(super) fn migrate(location: &Location, apply: bool) -> Result<(), StoreError> {
    match location.connect()? {
        AnyConn::Postgres(mut c) => {
            c.batch_execute(POSTGRES_MIGRATION_SETUP)?;
            diesel::sql_query("SELECT pg_advisory_lock($1)")
                .bind::<diesel::sql_types::BigInt, _>(MIGRATION_LOCK)
                .execute(&mut c)?;
            // The lock goes with this connection, which is dropped at the end whatever happens.
            migrate_on(&mut c, apply)
        }
        AnyConn::Sqlite(mut c) => {
            c.batch_execute("PRAGMA busy_timeout = 60000;")?;
            AnsiTransactionManager::begin_transaction_sql(&mut c, "BEGIN IMMEDIATE")
                .map_err(|e| location.not_ready(e))?;
            migrate_on(&mut c, apply)?;
            Ok(AnsiTransactionManager::commit_transaction(&mut c)?)
        }
    }
}

fn migrate_on<C>(c: &mut C, apply: bool) -> Result<(), StoreError>
where
    C: Connection + MigrationHarness<C::Backend>,
    C::Backend: diesel::backend::Backend,
{
    let applied = applied_migrations(c)?;
    let known = known_versions::<C::Backend>()?;
    let pending = known
        .iter()
        .filter(|version| !applied.contains(&MigrationVersion::from(version.as_str())))
        .count();
    if pending == 0 {
        return Ok(());
    }
    if !apply {
        return Err(StoreError::Config(format!(
            "the database lacks {pending} migration(s): run `nightlatch migrate`, or start without --no-migrate"
        )));
    }
    c.run_pending_migrations(MIGRATIONS).map_err(|e| not_migrated(&*e))?;
    Ok(())
}

/// What the database has, none of it newer than this program.
pub(super) fn applied_migrations<C>(c: &mut C) -> Result<Vec<MigrationVersion<'static>>, StoreError>
where
    C: Connection + MigrationHarness<C::Backend>,
    C::Backend: diesel::backend::Backend,
{
    let applied = c.applied_migrations().map_err(|e| not_migrated(&*e))?;
    let known = known_versions::<C::Backend>()?;
    match applied.iter().find(|version| !known.contains(&version.to_string())) {
        None => Ok(applied),
        Some(unknown) => Err(StoreError::Config(format!(
            "the database is newer than this program: unknown migration {unknown}"
        ))),
    }
}

fn not_migrated(error: &dyn std::error::Error) -> StoreError {
    StoreError::Config(format!("migrations: {}", one_line(&error.to_string())))
}

fn known_versions<DB: diesel::backend::Backend>() -> Result<Vec<String>, StoreError> {
    let unreadable = |_| StoreError::Config("migrations: the embedded ones cannot be read".into());
    let migrations = MigrationSource::<DB>::migrations(&MIGRATIONS).map_err(unreadable)?;
    Ok(migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect())
}

/// Whether the database has exactly the migrations of this program.
pub(super) fn migrations_current(c: &mut AnyConn) -> Result<bool, StoreError> {
    use diesel::QueryDsl;
    use schema::__diesel_schema_migrations::dsl as m;
    let mut applied = m::__diesel_schema_migrations.select(m::version).load::<String>(c)?;
    let mut known = match c {
        AnyConn::Postgres(_) => known_versions::<diesel::pg::Pg>()?,
        AnyConn::Sqlite(_) => known_versions::<diesel::sqlite::Sqlite>()?,
    };
    applied.sort_unstable();
    known.sort_unstable();
    Ok(applied == known)
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => StoreError::NotFound("row"),
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StoreError::Conflict("row"),
            DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
                StoreError::NotFound("row that another one belongs to")
            }
            DieselError::DatabaseError(DatabaseErrorKind::NotNullViolation | DatabaseErrorKind::CheckViolation, _) => {
                StoreError::Corrupt("a value that the schema refuses".into())
            }
            DieselError::DatabaseError(_, information) => {
                StoreError::Unavailable(per_backend::plain_words(information.message()))
            }
            DieselError::DeserializationError(_) | DieselError::SerializationError(_) => {
                StoreError::Corrupt("a value of another type than expected".into())
            }
            DieselError::QueryBuilderError(_) | DieselError::InvalidCString(_) => {
                StoreError::Corrupt("a statement that cannot be built".into())
            }
            DieselError::BrokenTransactionManager => {
                StoreError::Unavailable("the connection broke within a transaction".into())
            }
            other => StoreError::Unavailable(per_backend::plain_words(&other.to_string())),
        }
    }
}
