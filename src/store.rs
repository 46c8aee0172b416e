//! The database. Only this module uses Diesel: callers pass a closure to [`Store::read`] or
//! [`Store::write`] (one blocking task, one transaction) and call the functions of the table
//! modules in it. There are no rules here: `domain` decides what a row means, `flows` the order of
//! events.

pub mod accounts;
pub mod applications;
pub mod audit;
pub mod authenticator_apps;
pub mod backup;
mod change_kind;
pub mod changes;
mod checkpoint;
mod conn;
mod connection;
pub mod device_keys;
pub mod directory_binds;
pub mod email_changes;
pub mod enrolment_links;
mod error;
pub mod event_streams;
pub mod factor_inventory;
pub mod form_submissions;
pub mod forwarded;
pub mod handovers;
mod instant;
mod keyset;
pub mod lockout_notices;
pub mod lockouts;
pub mod meta;
mod migrations;
pub mod notifications;
pub mod notify;
pub mod outbox;
pub mod passkeys;
pub mod password_links;
pub mod pending_sign_ins;
mod per_backend;
pub mod policies;
mod pool;
mod pooler;
pub mod provider_sessions;
pub mod provider_sign_outs;
pub mod recovery_codes;
mod schema;
pub mod sessions;
pub mod setup;
mod socket_watch;
pub mod sources;
pub mod spent_provider_values;
mod text;
mod transaction;
pub mod trusted_browsers;
pub mod used_passkey_challenges;
mod write_gate;
mod write_group;

pub use crate::domain::list::Page;
pub use conn::Backend;
pub(crate) use conn::WAIT;
pub use connection::Conn;
pub use error::StoreError;

use conn::Location;
use pool::ConnectionManager;
use std::{
    cell::Cell,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use transaction::{too_late, wait_until};
use write_gate::WriteGate;
use write_group::WriteGroup;

/// How long a caller without [`with_patience`] waits for a database that hangs. The database may
/// still complete the call afterwards.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A shorter call uses up no patience, because many fast calls do not mean that the database hangs.
const FAST_CALL: Duration = Duration::from_millis(200);

tokio::task_local! {
    /// How much longer the current work waits for the database.
    static PATIENCE: Cell<Duration>;
}

/// Runs `work`, which waits for the database for at most `limit` in total, so that a response
/// always comes in time. Afterwards every call fails with [`StoreError::Unavailable`]; a write that
/// had begun may still be committed.
pub async fn with_patience<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    PATIENCE.scope(Cell::new(limit), work).await
}

/// Options for opening a [`Store`].
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Whether to apply pending migrations; if false, pending ones are an error.
    pub migrate: bool,
    /// Maximum number of connections.
    pub pool_size: u32,
    /// SQLite: whether this is the only server of the file; a second one is refused.
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
    inner: Arc<StoreInner>,
}

struct StoreInner {
    pool: r2d2::Pool<ConnectionManager>,
    hops: Arc<tokio::sync::Semaphore>,
    /// Number of reads and writes since the start, for metrics and tests.
    calls: AtomicU64,
    /// SQLite has one writer: waiting here is fair and short, waiting in SQLite is neither.
    gate: Option<WriteGate<WriteGroup>>,
    location: Location,
    writer: Arc<str>,
    /// Held while the store lives: "one server per SQLite file".
    _server_lock: Option<std::fs::File>,
}

impl Store {
    /// Returns the file that `url` names; `None`: a Postgres database. Opening would create it.
    ///
    /// # Errors
    /// `url` names no database; the message repeats nothing that may be a password.
    pub fn file_of(url: &str) -> Result<Option<PathBuf>, StoreError> {
        Ok(match Location::parse(url)? {
            Location::Sqlite(path) => Some(path),
            Location::Postgres(_) => None,
        })
    }

    /// Opens (and if needed creates and migrates) the database at `url`: `sqlite:PATH`,
    /// `sqlite://PATH`, a bare path, `postgres://…` or `postgresql://…`.
    pub fn open(url: &str, options: OpenOptions) -> Result<Store, StoreError> {
        let location = Location::parse(url)?;
        location.prepare()?;
        let server_lock = if options.exclusive {
            location.lock_for_serving()?
        } else {
            None
        };
        pooler::refuse_shared_connections(&location)?;
        migrations::migrate(&location, options.migrate)?;
        location.tighten_files();
        let size = options.pool_size.max(1);
        let writer: Arc<str> = conn::random_id().into();
        Ok(Store {
            inner: Arc::new(StoreInner {
                pool: pool::build_pool(&location, size),
                hops: Arc::new(tokio::sync::Semaphore::new(size as usize * 4)),
                calls: AtomicU64::new(0),
                gate: (location.backend() == Backend::Sqlite).then(WriteGate::default),
                location,
                writer,
                _server_lock: server_lock,
            }),
        })
    }

    /// Returns the number of calls for requests and jobs since the start.
    pub fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::Relaxed)
    }

    /// Returns which database it is.
    pub fn backend(&self) -> Backend {
        self.inner.location.backend()
    }

    /// Describes the database for logs and `doctor`, never with a password.
    pub fn describe(&self) -> String {
        self.inner.location.describe()
    }

    /// Returns the random ID of this process among the writers of the database.
    pub fn writer(&self) -> &str {
        &self.inner.writer
    }

    /// Runs `f` on a connection in a blocking task. Every statement sees what is committed when it
    /// starts.
    pub async fn read<T, E>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let began = Instant::now();
        let done = self.hop(move |store, deadline| store.read_until(deadline, f)).await;
        metrics::histogram!("nightlatch_database_seconds", "kind" => "read").record(began.elapsed());
        done
    }

    /// Runs `f` in one transaction in a blocking task: committed on `Ok`, rolled back on `Err`.
    pub async fn write<T, E>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let began = Instant::now();
        let done = self.hop(move |store, deadline| store.write_until(deadline, f)).await;
        metrics::histogram!("nightlatch_database_seconds", "kind" => "write").record(began.elapsed());
        done
    }

    /// Works like [`Store::read`], on threads that may block: CLI, jobs, tests.
    pub fn read_now<T, E: From<StoreError>>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.read_until(Instant::now() + MAX_WAIT, f)
    }

    /// Works like [`Store::write`], on threads that may block: CLI, jobs, tests.
    pub fn write_now<T, E: From<StoreError>>(&self, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.write_until(Instant::now() + MAX_WAIT, f)
    }

    fn read_until<T, E: From<StoreError>>(
        &self,
        deadline: Instant,
        f: impl FnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut conn = self.checkout(deadline, false)?;
        let done = f(&mut conn);
        conn.pooled.mark_used(done.is_ok());
        done
    }

    fn write_until<T, E: From<StoreError>>(
        &self,
        deadline: Instant,
        f: impl FnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.inner.gate {
            Some(gate) => write_group::write(gate, deadline, || self.checkout(deadline, true), f),
            None => {
                let mut conn = self.checkout(deadline, true)?;
                let done = transaction::run(&mut conn, deadline, f);
                conn.pooled.mark_used(done.is_ok());
                done
            }
        }
    }

    fn checkout(&self, deadline: Instant, writing: bool) -> Result<Conn, StoreError> {
        let pooled = self
            .inner
            .pool
            .get_timeout(wait_until(deadline)?)
            .map_err(|e| pool::pool_error(&self.inner.location, &e))?;
        wait_until(deadline)?;
        Ok(Conn {
            pooled,
            writer: self.inner.writer.clone(),
            writing,
            pending: Vec::new(),
        })
    }

    async fn hop<T, E>(&self, f: impl FnOnce(&Store, Instant) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.calls.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let patience = PATIENCE.try_with(Cell::get).unwrap_or(MAX_WAIT);
        let done = self.hop_within(began + patience, f).await;
        let wasted = began.elapsed().saturating_sub(FAST_CALL);
        // Fails if no limit is set.
        PATIENCE
            .try_with(|left| left.set(left.get().saturating_sub(wasted)))
            .ok();
        done
    }

    async fn hop_within<T, E>(
        &self,
        deadline: Instant,
        f: impl FnOnce(&Store, Instant) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let place = tokio::time::timeout(wait_until(deadline)?, self.inner.hops.clone().acquire_owned());
        let permit = match place.await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(StoreError::Unavailable("too many requests wait for it".into()).into()),
        };
        let store = self.clone();
        let hop = tokio::task::spawn_blocking(move || {
            let done = f(&store, deadline);
            drop(permit);
            done
        });
        match tokio::time::timeout_at(deadline.into(), hop).await {
            Ok(Ok(done)) => done,
            Err(_) => Err(too_late().into()),
            Ok(Err(stopped)) => {
                tracing::error!(panicked = stopped.is_panic(), "a database call did not finish");
                Err(StoreError::Unavailable("a database call did not finish".into()).into())
            }
        }
    }
}
