//! What the database remembers. Diesel lives here and nowhere else: callers pass a closure to [`Store::read`] or
//! [`Store::write`] (the one blocking hop, the one transaction) and in it call the functions of the table modules.
//! No rules in here: what a row means is decided in `domain`, what happens in which order in `flows`.

pub mod accounts;
pub mod applications;
pub mod audit;
pub mod backup;
pub mod changes;
mod conn;
pub mod email_changes;
pub mod forwarded;
pub mod handovers;
mod instant;
mod keyset;
pub mod lockout_notices;
pub mod lockouts;
pub mod meta;
pub mod notices;
pub mod notify;
pub mod outbox;
pub mod password_links;
mod per_backend;
pub mod policies;
mod schema;
pub mod sessions;
pub mod setup;
mod text;

use changes::ChangeKind;
use conn::{AnyConn, Location, Manager, WriteGate};
pub use keyset::Page;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long a caller waits for a free place, a free connection or the SQLite write gate.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// How long a caller waits for the database itself: one that hangs is no reason to hang. What it may still do is not told.
const LONGEST: Duration = Duration::from_secs(30);

/// Which database stands behind a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
        }
    }
}

/// Why the store could not do what it was asked. Never shows SQL, a password or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, is busy, full or read-only: worth trying again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Somebody else was first, or the name is taken.
    #[error("conflicting {0}")]
    Conflict(&'static str),
    /// A stored value that this program cannot read, or a call that it must not make.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// Nothing but the operator can help: wrong URL, missing directory, newer database …
    #[error("{0}")]
    Config(String),
}

/// How to open a [`Store`].
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Apply pending migrations; when false, pending ones are an error.
    pub migrate: bool,
    /// Most connections held at once.
    pub pool_size: u32,
    /// SQLite: be the one server of this file; a second one is refused.
    pub exclusive: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            migrate: true,
            pool_size: 8,
            exclusive: false,
        }
    }
}

/// The database, cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: r2d2::Pool<Manager>,
    hops: Arc<tokio::sync::Semaphore>,
    /// Reads and writes since the start, for metrics and tests.
    calls: AtomicU64,
    /// SQLite has one writer: waiting here is fair and short, waiting in SQLite is neither.
    gate: Option<WriteGate>,
    location: Location,
    writer: Arc<str>,
    /// Held as long as the store lives: "one server per SQLite file".
    _server_lock: Option<std::fs::File>,
}

/// A connection with what the writing of this process needs to know. Only `store/**` sees inside.
pub struct Conn {
    pooled: r2d2::PooledConnection<Manager>,
    writer: Arc<str>,
    writing: bool,
    /// Announcements of this transaction, written just before it commits.
    pending: Vec<(ChangeKind, String)>,
}

impl Conn {
    fn db(&mut self) -> &mut AnyConn {
        &mut self.pooled.any
    }

    fn writer(&self) -> &str {
        &self.writer
    }
}

impl Store {
    /// Opens (and where needed creates and migrates) the database at `url`: `sqlite:PATH`, `sqlite://PATH`, a bare path,
    /// `postgres://…` or `postgresql://…`.
    pub fn open(url: &str, options: OpenOptions) -> Result<Store, StoreError> {
        let location = Location::parse(url)?;
        location.prepare()?;
        let server_lock = if options.exclusive {
            location.lock_for_serving()?
        } else {
            None
        };
        conn::migrate(&location, options.migrate)?;
        let size = options.pool_size.max(1);
        let writer: Arc<str> = conn::random_id().into();
        Ok(Store {
            inner: Arc::new(Inner {
                pool: conn::pool(&location, size),
                hops: Arc::new(tokio::sync::Semaphore::new(size as usize * 4)),
                calls: AtomicU64::new(0),
                gate: (location.backend() == Backend::Sqlite).then(WriteGate::default),
                location,
                writer,
                _server_lock: server_lock,
            }),
        })
    }

    /// How often the database was asked on behalf of requests and jobs since the start.
    pub fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::Relaxed)
    }

    pub fn backend(&self) -> Backend {
        self.inner.location.backend()
    }

    /// Where the data is, for logs and `doctor`; never with a password.
    pub fn describe(&self) -> String {
        self.inner.location.describe()
    }

    /// Random id of this process among those that write to the database.
    pub fn writer(&self) -> &str {
        &self.inner.writer
    }

    /// Runs `f` on a connection, off the reactor. Every statement sees what is committed when it starts.
    pub async fn read<T, E>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.hop(move |store| store.read_now(f)).await
    }

    /// Runs `f` in one transaction, off the reactor: committed on `Ok`, rolled back on `Err`.
    pub async fn write<T, E>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.hop(move |store| store.write_now(f)).await
    }

    /// [`Store::read`] for threads that may block: CLI, jobs, tests.
    pub fn read_now<T, E: From<StoreError>>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let mut conn = self.checkout(false)?;
        let done = f(&mut conn);
        conn.pooled.used(done.is_ok());
        done
    }

    /// [`Store::write`] for threads that may block: CLI, jobs, tests.
    pub fn write_now<T, E: From<StoreError>>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let _turn = self.inner.gate.as_ref().map(WriteGate::enter).transpose()?;
        let mut conn = self.checkout(true)?;
        let done = transaction(&mut conn, f);
        conn.pooled.used(done.is_ok());
        done
    }

    fn checkout(&self, writing: bool) -> Result<Conn, StoreError> {
        let pooled = self
            .inner
            .pool
            .get_timeout(WAIT)
            .map_err(|e| conn::pool_error(&self.inner.location, &e))?;
        Ok(Conn {
            pooled,
            writer: self.inner.writer.clone(),
            writing,
            pending: Vec::new(),
        })
    }

    async fn hop<T, E>(&self, f: impl FnOnce(&Store) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.calls.fetch_add(1, Ordering::Relaxed);
        let place = tokio::time::timeout(WAIT, self.inner.hops.clone().acquire_owned());
        let permit = match place.await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(StoreError::Unavailable("too many requests wait for it".into()).into()),
        };
        let store = self.clone();
        let hop = tokio::task::spawn_blocking(move || {
            let done = f(&store);
            drop(permit);
            done
        });
        match tokio::time::timeout(LONGEST, hop).await {
            Ok(Ok(done)) => done,
            Err(_) => {
                tracing::error!("the database does not answer");
                Err(StoreError::Unavailable("it does not answer".into()).into())
            }
            Ok(Err(stopped)) => {
                tracing::error!(panicked = stopped.is_panic(), "a database call did not finish");
                Err(StoreError::Unavailable("a database call did not finish".into()).into())
            }
        }
    }
}

/// `f` and its announcements, all or nothing.
fn transaction<T, E: From<StoreError>>(conn: &mut Conn, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
    conn::begin(conn.db())?;
    let done = f(conn).and_then(|value| {
        changes::flush(conn)?;
        Ok(value)
    });
    match done {
        Ok(value) => {
            conn::commit(conn.db())?;
            Ok(value)
        }
        Err(refused) => {
            if let Err(fault) = conn::rollback(conn.db()) {
                // The connection is thrown away by the pool, which rolls back as well.
                tracing::warn!(%fault, "rolling back failed");
            }
            Err(refused)
        }
    }
}
