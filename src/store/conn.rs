//! Connections: the URL, the setup of each connection (pragmas, time limits), and the begin and end
//! of transactions. One connection type serves both databases.

use super::{
    StoreError,
    socket_watch::{self, OpeningLimit, SocketWatch},
};
use diesel::{
    Connection, ConnectionError, PgConnection, RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    result::Error as DieselError,
};
use std::{
    collections::hash_map::RandomState,
    fs::{self, File, TryLockError},
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a caller waits for a free place, a free connection or the SQLite write gate.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// How long the setup of a new connection, or the check of an old one, may take.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How long opening a connection may take, with the first statement that the library sends on it.
const OPENING: Duration = Duration::from_secs(6);
/// How long a server that starts waits for one that stops to release the file.
const HANDOVER: Duration = Duration::from_secs(2);

/// The setup of every SQLite connection. busy_timeout comes first, because the others may already
/// have to wait. Deleted data is overwritten (secure_delete), so that free pages of the file keep
/// no links, digests or addresses. What a write in a group may have to undo stays in memory
/// (temp_store).
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
     PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192; \
     PRAGMA temp_store = MEMORY;";
/// Part of the setup of every SQLite connection, repeated if another process does the same at that
/// moment: busy_timeout does not apply here.
const SQLITE_WAL: &str = "PRAGMA journal_mode = WAL;";
/// The setup of every Postgres connection.
const POSTGRES_SETUP: &str = "SET client_min_messages = warning; SET TIME ZONE 'UTC'; SET datestyle = 'ISO'; \
     SET statement_timeout = '9s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s';";

/// The kind of database of a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// Returns the name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
        }
    }
}

/// A connection to either database. `per_backend` contains what this enum cannot express.
#[derive(diesel::MultiConnection)]
pub(super) enum AnyConn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// The location of the data.
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
        let known = "DATABASE_URL takes sqlite:PATH, a path, or postgres://USER@HOST/NAME";
        let unknown = |kind: &str| {
            Err(StoreError::Config(format!(
                "unknown kind of database \"{kind}\": {known}"
            )))
        };
        let path = match url.strip_prefix("sqlite:") {
            Some(path) if path.contains('?') => return unknown("sqlite:…?…"),
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None => url,
        };
        if let Some((scheme, _)) = path.split_once("://")
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return unknown(scheme);
        }
        // What libpq would accept, and what looks like a mistyped URL, must not become a file with
        // that name. It may hold a password, so no message repeats it.
        let start = path.to_ascii_lowercase();
        let like_url = ["postgres", "pgsql", "file:"]
            .iter()
            .any(|word| start.starts_with(word));
        if path == url && (like_url || path.contains(['@', '='])) {
            return Err(StoreError::Config(format!(
                "unknown kind of database (the value is not shown, because it may contain a password): {known}"
            )));
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

    /// SQLite: returns whether the write-ahead log has anything in it.
    pub(super) fn has_log(&self) -> bool {
        let Location::Sqlite(path) = self else { return false };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        fs::metadata(log).is_ok_and(|log| log.len() > 0)
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

    /// SQLite: makes sure that the file exists and is writable; a new one is readable by its owner
    /// only.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let Location::Sqlite(path) = self else { return Ok(()) };
        let shown = path.display();
        if path.is_dir() {
            return Err(StoreError::Config(format!("SQLite: {shown} is a directory")));
        }
        let directory = directory(path);
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

    /// SQLite: removes other users' permissions from the database and the files beside it. Called
    /// once the database is known to be ours.
    pub(super) fn tighten_files(&self) {
        let Location::Sqlite(path) = self else { return };
        for end in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            if let Ok(file) = File::open(&name) {
                tighten(&file, Path::new(&name));
            }
        }
    }

    /// SQLite: takes the lock "one server per file", which is held while the returned file is open.
    pub(super) fn lock_for_serving(&self) -> Result<Option<File>, StoreError> {
        let Location::Sqlite(path) = self else { return Ok(None) };
        // Two names of one file must use the same lock.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let mut name = real.into_os_string();
        name.push(".lock");
        let name = PathBuf::from(name);
        let shown = name.display();
        let cannot = |fault: std::io::Error| StoreError::Config(format!("SQLite: cannot lock {shown}: {fault}"));
        let file = lock_file(&name).map_err(cannot)?;
        // A server that is stopping releases it soon.
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

    /// Opens a connection and sets it up.
    pub(super) fn connect(&self) -> Result<AnyConn, StoreError> {
        Ok(self.connect_watched()?.0)
    }

    /// Opens a connection, sets it up, and returns the handle that shows whether it still answers
    /// (Postgres, if its socket is found).
    pub(super) fn connect_watched(&self) -> Result<(AnyConn, Option<Arc<SocketWatch>>), StoreError> {
        match self {
            Location::Sqlite(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let Some(text) = path.to_str() else {
                    return Err(StoreError::Config(
                        "SQLite: the working directory's path is not UTF-8".into(),
                    ));
                };
                let mut c = SqliteConnection::establish(text).map_err(|e| self.connection_error(&e))?;
                c.batch_execute(SQLITE_SETUP).map_err(|e| self.not_ready(e))?;
                let since = Instant::now();
                while let Err(fault) = c.batch_execute(SQLITE_WAL) {
                    if !fault.to_string().contains("locked") || since.elapsed() > WAIT {
                        return Err(self.not_ready(fault));
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok((AnyConn::Sqlite(c), None))
            }
            Location::Postgres(url) => {
                let mark = socket_watch::next_mark(query_number(url, "tcp_user_timeout"));
                let limit = OpeningLimit::start(mark, OPENING);
                let mut c = PgConnection::establish(&with_time_limits(url, mark)).map_err(|e| {
                    if limit.has_passed() {
                        self.no_place()
                    } else {
                        self.connection_error(&e)
                    }
                })?;
                drop(limit);
                let line = socket_watch::watch(mark);
                expect_within(&line, SIGN_OF_LIFE);
                let ready = c.batch_execute(POSTGRES_SETUP);
                line.iter().for_each(|line| line.clear_limit());
                ready.map_err(|e| self.not_ready(e))?;
                Ok((AnyConn::Postgres(c), line))
            }
        }
    }

    /// Formats the database's reason why there is no connection, in one line and without the
    /// password.
    fn connection_error(&self, error: &ConnectionError) -> StoreError {
        let message = self.redact(&one_line(&error.to_string()));
        let advice = connection_advice(&message);
        StoreError::Config(format!("{}: {message}{advice}", self.describe()))
    }

    /// Returns the error for a connection that was accepted and then not served.
    fn no_place(&self) -> StoreError {
        let secs = OPENING.as_secs();
        StoreError::Unavailable(format!(
            "{}: the connection was accepted, but no statement was answered within {secs} s. A connection pooler may \
             have no connection left: raise its limit (pgbouncer: default_pool_size) or lower database_connections",
            self.describe()
        ))
    }

    pub(super) fn not_ready(&self, error: DieselError) -> StoreError {
        match StoreError::from(error) {
            StoreError::Unavailable(words) if words.contains("not a database") => {
                StoreError::Config(format!("{}: {words}", self.describe()))
            }
            StoreError::Unavailable(words) => StoreError::Unavailable(format!("{}: {words}", self.describe())),
            other => other,
        }
    }

    /// Removes the password from a message: libpq quotes a URL that it cannot read.
    pub(super) fn redact(&self, words: &str) -> String {
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

/// Returns advice about a refused connection, if the cause is known.
fn connection_advice(message: &str) -> &'static str {
    if message.contains("SSL support is not compiled in") {
        "; this build has no TLS for PostgreSQL: build with --no-default-features --features pg-tls, or connect \
             without \
         sslmode over a network you trust"
    } else if message.contains("does not support SSL") {
        "; switch TLS on in the PostgreSQL server (ssl = on), or connect without sslmode over a network you trust"
    } else {
        ""
    }
}

/// Opens the lock file, which only its owner may open: anyone who can open it could lock it and
/// keep a server from starting. An older file with wider permissions is tightened if it is ours.
fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    tighten(&file, path);
    Ok(file)
}

/// Removes other users' permissions from a file of ours, and logs it. If the mode cannot be changed
/// (another owner, a file system without modes), this is reported and the file is used unchanged.
fn tighten(file: &File, path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let Ok(mode) = file.metadata().map(|metadata| metadata.permissions().mode() & 0o777) else {
            return;
        };
        if mode & 0o077 == 0 {
            return;
        }
        let (file_name, mode) = (path.display(), format!("{mode:04o}"));
        match file.set_permissions(fs::Permissions::from_mode(0o600)) {
            Ok(()) => tracing::warn!(file = %file_name, mode, "other users could open the file; its mode is now 0600"),
            Err(fault) => tracing::warn!(%fault, file = %file_name, mode, "other users can open the file"),
        }
    }
}

/// Refuses a file with tables but no table of migrations: it belongs to another program and is not
/// touched. If it cannot be read (not a database, or being written), the connection reports it.
fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    const FOREIGN: &str = "SELECT COUNT(*) AS tables, COALESCE(SUM(name = '__diesel_schema_migrations'), 0) AS ours \
         FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    #[derive(diesel::QueryableByName)]
    struct FoundTables {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        tables: i64,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        ours: i64,
    }
    let looked = std::path::absolute(path).ok().and_then(|path| {
        let mut c = SqliteConnection::establish(path.to_str()?).ok()?;
        c.batch_execute("PRAGMA busy_timeout = 5000;").ok()?;
        diesel::sql_query(FOREIGN).get_result::<FoundTables>(&mut c).ok()
    });
    match looked {
        Some(FoundTables { tables: 1.., ours: 0 }) => Err(StoreError::Config(format!(
            "SQLite: {} is the database of another program: name another file",
            path.display()
        ))),
        _ => Ok(()),
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Adds limits for connecting and for a silent peer to the URL; the operator's own values win.
/// `mark`: the user timeout (ms), which is the operator's and a little more.
fn with_time_limits(url: &str, mark: u32) -> String {
    let limits = [
        ("connect_timeout", "3"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "3"),
        ("application_name", "nightlatch"),
    ];
    let missing = limits
        .into_iter()
        .filter(|(name, _)| !url.contains(&format!("{name}=")));
    let mut url = url.to_owned();
    let mut add = |name: &str, value: &str| {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.push_str(value);
    };
    missing.for_each(|(name, value)| add(name, value));
    // libpq takes the last value of a name.
    add("tcp_user_timeout", &mark.to_string());
    url
}

/// Returns the number in a URL's parameter with this name.
fn query_number(url: &str, name: &str) -> Option<u32> {
    let (_, query) = url.split_once('?')?;
    let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
    values.rfind(|(known, _)| *known == name)?.1.parse().ok()
}

pub(super) fn expect_within(line: &Option<Arc<SocketWatch>>, limit: Duration) {
    if let Some(line) = line {
        line.expect_within(limit);
    }
}

/// Joins the lines of an error message.
pub(super) fn one_line(text: &str) -> String {
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

/// Makes an ID that distinguishes writers and listeners of the same database; it is not secret.
/// (The standard library seeds its hash maps from the system's randomness, which only `random` may
/// read directly.)
pub(super) fn random_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Begins a write transaction. On SQLite it takes the write lock now, because a later upgrade fails
/// immediately.
pub(super) fn begin(c: &mut AnyConn) -> Result<(), StoreError> {
    match c {
        AnyConn::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        AnyConn::Postgres(c) => AnsiTransactionManager::begin_transaction(c)?,
    }
    Ok(())
}

/// Begins a part of the open transaction, with its own commit or rollback.
pub(super) fn begin_savepoint(c: &mut AnyConn) -> Result<(), StoreError> {
    match c {
        AnyConn::Sqlite(c) => AnsiTransactionManager::begin_transaction(c)?,
        AnyConn::Postgres(c) => AnsiTransactionManager::begin_transaction(c)?,
    }
    Ok(())
}

/// Ends the innermost open transaction or savepoint; so does [`rollback`].
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
