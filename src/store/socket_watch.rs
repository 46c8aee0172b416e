//! Detection of Postgres connections that no longer answer. libpq waits forever for a peer that
//! stopped without closing: after a failover, a firewall that dropped the connection, a frozen
//! machine. Every connection therefore has a [`SocketWatch`]: a second handle of its socket, and an
//! instant by which the current statement must be answered. A thread shuts down the sockets of late
//! connections; libpq then reports a lost connection to the caller, and the pool replaces it.
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::fstat,
    io::fcntl_dupfd_cloexec,
    net::{Shutdown, SocketAddrUnix, getpeername, shutdown, sockopt::tcp_user_timeout},
};
use std::{
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, Once, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How often late connections are searched for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a statement may take shortly after another connection went silent: most connections
/// fail together.
const DOUBTFUL: Duration = Duration::from_secs(5);
/// How long such a failure makes other connections suspect.
const DOUBT: Duration = Duration::from_secs(10);
/// The `tcp_user_timeout` (ms) of a connection unless the operator set another.
const USER_TIMEOUT: u32 = 8_000;
/// Number of marks before they repeat; more than the connections of a process.
const MARKS: u64 = 1_000;

/// A second handle of one connection's socket.
pub(super) struct SocketWatch {
    socket: OwnedFd,
    /// Microseconds on [`elapsed`]'s clock by which an answer is due; 0: no statement is running.
    due: AtomicU64,
    /// When the statement began, by the same clock.
    asked: AtomicU64,
}

/// Connections that are being opened: their marks, and the instants by which they must be open.
static OPENING: Mutex<Vec<(u32, u64)>> = Mutex::new(Vec::new());
/// All sockets of this process; the first one starts the watching thread.
static LINES: Mutex<Vec<Weak<SocketWatch>>> = Mutex::new(Vec::new());
static WATCHING: Once = Once::new();
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
/// When the last closed statement began; 0: there was none. Connections that have been idle since
/// before it may be dead too.
static SILENT_SINCE: AtomicU64 = AtomicU64::new(0);
/// When a statement was last cut off, on the same clock; 0: never.
static NOTICED_AT: AtomicU64 = AtomicU64::new(0);

/// The limit of a connection that is being opened; it ends when this is dropped.
pub(super) struct OpeningLimit {
    mark: u32,
    due: u64,
}

impl OpeningLimit {
    /// Requires that the connection with this mark is open within `limit`. Its socket does not
    /// exist yet: a pooler may accept it and then let its first statement wait for minutes.
    pub(super) fn start(mark: u32, limit: Duration) -> Self {
        let due = micros_elapsed().saturating_add(micros(limit));
        lock_openings().push((mark, due));
        start_watching();
        Self { mark, due }
    }

    /// Returns whether the limit has passed, so that the socket was shut down.
    pub(super) fn has_passed(&self) -> bool {
        micros_elapsed() > self.due
    }
}

impl Drop for OpeningLimit {
    fn drop(&mut self) {
        lock_openings().retain(|(mark, due)| (*mark, *due) != (self.mark, self.due));
    }
}

impl SocketWatch {
    /// Requires an answer within `limit` from now on.
    pub(super) fn expect_within(&self, limit: Duration) {
        let now = micros_elapsed();
        self.asked.store(now, Ordering::SeqCst);
        self.due.store(now.saturating_add(micros(limit)), Ordering::SeqCst);
    }

    /// Removes the limit.
    pub(super) fn clear_limit(&self) {
        self.due.store(0, Ordering::SeqCst);
    }

    /// Returns whether an answer is overdue at `now`. The limit is shorter after other connections
    /// went silent.
    fn is_late(&self, now: u64, is_doubtful: bool) -> bool {
        let due = self.due.load(Ordering::SeqCst);
        if due == 0 {
            return false;
        }
        let doubtful = self.asked.load(Ordering::SeqCst).saturating_add(micros(DOUBTFUL));
        now > if is_doubtful { due.min(doubtful) } else { due }
    }
    /// Shuts the socket down, so that a waiting caller gets an error.
    fn shut(&self) {
        self.clear_limit();
        if let Err(fault) = shutdown(&self.socket, Shutdown::Both) {
            tracing::debug!(%fault, "a connection that hangs was already closed");
        }
    }
}

/// Returns whether a connection that last answered at that instant must be dropped without a check,
/// because another one stopped answering after it.
pub(super) fn is_suspect(alive_at: Instant) -> bool {
    let since = SILENT_SINCE.load(Ordering::SeqCst);
    since != 0 && micros_at(alive_at) <= since
}

/// Returns the value of `tcp_user_timeout` (ms) for the next connection, near `wanted` and unique:
/// it identifies the socket among those of this process, because Diesel does not reveal libpq's
/// socket.
pub(super) fn next_mark(wanted: Option<u32>) -> u32 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % MARKS + 1;
    wanted.unwrap_or(USER_TIMEOUT) + number as u32
}

/// Returns the handle of the connection that was just opened with this mark, or, for a socket in
/// the file system, of the newest one without a handle. `None`: its socket cannot be found, and it
/// is not watched.
pub(super) fn watch(mark: u32) -> Option<Arc<SocketWatch>> {
    let mut lines = lock_watches();
    lines.retain(|line| line.strong_count() > 0);
    let known: Vec<_> = lines.iter().filter_map(Weak::upgrade).collect();
    let is_new = |socket: &OwnedFd| !known.iter().any(|line| same_file(&line.socket, socket));
    let socket = open_sockets()
        .find(|socket| tcp_user_timeout(socket).is_ok_and(|timeout| timeout == mark) && is_new(socket))
        .or_else(|| open_sockets().find(|socket| is_postgres_file(socket) && is_new(socket)));
    let Some(socket) = socket else {
        tracing::debug!("the socket of a database connection cannot be found: only TCP's own timeouts apply to it");
        return None;
    };
    let line = Arc::new(SocketWatch {
        socket,
        due: AtomicU64::new(0),
        asked: AtomicU64::new(0),
    });
    lines.push(Arc::downgrade(&line));
    start_watching();
    Some(line)
}

fn start_watching() {
    WATCHING.call_once(|| {
        let watching = std::thread::Builder::new()
            .name("database lines".into())
            .spawn(shut_late_sockets);
        if let Err(fault) = watching {
            tracing::error!(%fault, "cannot start the thread that closes hanging database connections");
        }
    });
}

/// Returns whether a connection went silent a moment ago.
fn is_in_doubt(now: u64) -> bool {
    let noticed = NOTICED_AT.load(Ordering::SeqCst);
    noticed != 0 && now.saturating_sub(noticed) < micros(DOUBT)
}

fn shut_late_sockets() {
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = micros_elapsed();
        let all: Vec<_> = lock_watches().iter().filter_map(Weak::upgrade).collect();
        for line in all {
            if line.is_late(now, is_in_doubt(now)) {
                tracing::warn!("the database did not answer a query: its connection is closed");
                SILENT_SINCE.fetch_max(line.asked.load(Ordering::SeqCst).max(1), Ordering::SeqCst);
                NOTICED_AT.store(now, Ordering::SeqCst);
                line.shut();
            }
        }
        let late: Vec<u32> = lock_openings()
            .iter()
            .filter(|(_, due)| now > *due)
            .map(|(mark, _)| *mark)
            .collect();
        if !late.is_empty() {
            shut_openings(&late);
        }
    }
}

/// Shuts down the sockets with these marks.
fn shut_openings(marks: &[u32]) {
    for socket in open_sockets() {
        if tcp_user_timeout(&socket).is_ok_and(|mark| marks.contains(&mark))
            && let Err(fault) = shutdown(&socket, Shutdown::Both)
        {
            tracing::debug!(%fault, "a connection that does not open was already closed");
        }
    }
}

/// Returns second handles of the open files of this process that are sockets (only sockets have an
/// address).
fn open_sockets() -> impl Iterator<Item = OwnedFd> {
    let listed = ["/proc/self/fd", "/dev/fd"]
        .iter()
        .find_map(|all| std::fs::read_dir(all).ok());
    let numbers = listed.into_iter().flatten().flatten();
    numbers.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok().filter(|number| *number > 2)?;
        // SAFETY: the number is only passed to the system for the next call, which refuses a closed
        // one. If another file has taken the number in the meantime, no harm is done: the duplicate
        // is checked.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let socket = fcntl_dupfd_cloexec(borrowed, 3).ok()?;
        getpeername(&socket).is_ok().then_some(socket)
    })
}

/// Returns whether the peer is a Postgres server's socket in the file system.
fn is_postgres_file(socket: &impl AsFd) -> bool {
    let peer = getpeername(socket).ok().flatten();
    let peer = peer.and_then(|peer| SocketAddrUnix::try_from(peer).ok());
    let path = peer
        .as_ref()
        .and_then(|peer| peer.path_bytes().or(peer.abstract_name()));
    path.is_some_and(|path| String::from_utf8_lossy(path).contains(".s.PGSQL."))
}

fn same_file(one: &impl AsFd, other: &impl AsFd) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => one.st_ino == other.st_ino,
        _ => false,
    }
}

fn lock_watches() -> MutexGuard<'static, Vec<Weak<SocketWatch>>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock_openings() -> MutexGuard<'static, Vec<(u32, u64)>> {
    OPENING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
/// Returns the microseconds since the first call, plus one.
fn micros_elapsed() -> u64 {
    micros_at(Instant::now())
}

fn micros_at(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*STARTED).as_micros()).map_or(u64::MAX, |micros| micros + 1)
}
