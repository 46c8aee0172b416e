//! Notification of changes by other instances. A thread with a dedicated connection LISTENs on
//! Postgres and proves with its own ping that notifications arrive; on SQLite it watches
//! `data_version`. The consumer reads from `changes` what to forget.
use super::{
    StoreError,
    changes::{self, CHANNEL},
    conn::{AnyConn, Location, SIGN_OF_LIFE, random_id},
    instant, meta,
    socket_watch::SocketWatch,
};
use crate::domain::time::Timestamp;
use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::Text,
};
use std::{
    cell::Cell,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

const POSTGRES_POLL: Duration = Duration::from_millis(10);
const PING_EVERY: Duration = Duration::from_millis(250);
/// The connection is closed if a ping has not returned after this time (a half-open one reports no
/// error).
const PING_LOST: Duration = Duration::from_secs(5);
/// Changes that took longer to read were read from a silent connection: this one may be silent too.
const SLOW_READ: Duration = Duration::from_secs(1);
const SQLITE_POLL: Duration = Duration::from_millis(50);
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const MAX_BACK_OFF: Duration = Duration::from_secs(5);

/// An event of the connection that listens for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenEvent {
    /// Connected, perhaps again: announcements may have been missed; read them.
    Connected,
    /// Changes up to this number were announced.
    Change { seq: i64 },
    /// The connection works: cached answers may be used for another moment.
    Alive,
    /// The database's clock showed this time at some instant of the last `took`.
    DatabaseTime { told: Timestamp, took: Duration },
    /// The connection is lost: nothing arrives until the next [`ListenEvent::Connected`].
    Lost,
}

/// Stops and joins the thread when dropped.
pub struct ListenerHandle {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ListenerHandle {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the change listener had panicked");
        }
    }
}

/// Starts the thread. `on_event` runs on it and must not block for long: meanwhile nothing counts
/// as alive.
pub fn spawn_listener(
    url: &str,
    on_event: impl Fn(ListenEvent) + Send + 'static,
) -> Result<ListenerHandle, StoreError> {
    let location = Location::parse(url)?;
    let (stop, stopped) = mpsc::channel();
    let stopped = StopSignal(stopped);
    let thread = std::thread::Builder::new()
        .name("changes".into())
        .spawn(move || listen(&location, &stopped, &on_event))
        .map_err(|fault| StoreError::Unavailable(format!("no thread for the change listener: {fault}")))?;
    Ok(ListenerHandle {
        stop: Some(stop),
        thread: Some(thread),
    })
}

struct StopSignal(mpsc::Receiver<()>);

impl StopSignal {
    /// Sleeps; returns true if the handle is gone.
    fn stops_within(&self, time: Duration) -> bool {
        !matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}

fn listen(location: &Location, stopped: &StopSignal, on_event: &impl Fn(ListenEvent)) {
    let mut back_off = BACK_OFF_FIRST;
    // A loss is logged once, until it is over.
    let lost = Cell::new(false);
    let on_event = |event: ListenEvent| {
        if event == ListenEvent::Connected && lost.replace(false) {
            tracing::info!("the change listener is connected to the database again");
        }
        on_event(event);
    };
    loop {
        let since = Instant::now();
        let fault = match location.connect_watched() {
            Ok((AnyConn::Postgres(c), line)) => listen_postgres(c, line.as_deref(), stopped, &on_event),
            Ok((AnyConn::Sqlite(c), _)) => listen_sqlite(c, stopped, &on_event),
            Err(fault) => Err(fault),
        };
        let Err(fault) = fault else { return };
        on_event(ListenEvent::Lost);
        if !lost.replace(true) {
            tracing::warn!(%fault, "the change listener lost the database and will reconnect");
        }
        if since.elapsed() > MAX_BACK_OFF {
            back_off = BACK_OFF_FIRST;
        }
        if stopped.stops_within(back_off) {
            return;
        }
        back_off = (back_off * 2).min(MAX_BACK_OFF);
    }
}

/// Notifies this instance of a number and returns the time.
const PING: &str = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS now \
                    FROM pg_notify($1, $2)";

#[derive(QueryableByName)]
struct PongRow {
    #[diesel(sql_type = Text)]
    now: String,
}

/// Listens until it is stopped, which is `Ok`.
fn listen_postgres(
    mut c: PgConnection,
    line: Option<&SocketWatch>,
    stopped: &StopSignal,
    on_event: &impl Fn(ListenEvent),
) -> Result<(), StoreError> {
    // A separate channel, so that many instances do not wake each other with pings.
    let own = format!("nightlatch_{}", random_id());
    with_time_limit(line, PING_LOST, || {
        c.batch_execute(&format!("LISTEN {CHANNEL}; LISTEN {own}"))
    })?;
    on_event(ListenEvent::Connected);
    let mut pinged: Option<(u64, Instant)> = None;
    let mut next_ping = Instant::now();
    let mut number = 0_u64;
    let mut limit = PING_LOST;
    loop {
        let now = Instant::now();
        if pinged.is_some_and(|(_, at)| now.duration_since(at) > PING_LOST) {
            return Err(StoreError::Unavailable(
                "the listener's own ping did not come back".into(),
            ));
        }
        if pinged.is_none() && now >= next_ping {
            number += 1;
            let told = with_time_limit(line, limit, || ping(&mut c, &own, number))?;
            limit = PING_LOST;
            if let Some(told) = told {
                let took = now.elapsed();
                on_event(ListenEvent::DatabaseTime { told, took });
            }
            pinged = Some((number, now));
            next_ping = now + PING_EVERY;
        }
        let (latest, alive) = read_notifications(&mut c, &own, pinged.map(|(sent, _)| sent))?;
        if alive {
            pinged = None;
        }
        if let Some(seq) = latest {
            let began = Instant::now();
            on_event(ListenEvent::Change { seq });
            if began.elapsed() > SLOW_READ {
                limit = SIGN_OF_LIFE;
                next_ping = Instant::now();
            }
        }
        if alive {
            on_event(ListenEvent::Alive);
        }
        if stopped.stops_within(POSTGRES_POLL) {
            return Ok(());
        }
    }
}

/// Notifies this instance, on its own channel, of a number, and returns the database's time.
fn ping(c: &mut PgConnection, own: &str, number: u64) -> Result<Option<Timestamp>, StoreError> {
    let answer: PongRow = diesel::sql_query(PING)
        .bind::<Text, _>(own)
        .bind::<Text, _>(number.to_string())
        .get_result(c)?;
    Ok(instant::parse_text(&answer.now))
}

/// Reads what has arrived: the latest change, and whether the ping with this number came back.
fn read_notifications(c: &mut PgConnection, own: &str, sent: Option<u64>) -> Result<(Option<i64>, bool), StoreError> {
    let (mut latest, mut alive) = (None, false);
    for notification in c.notifications_iter() {
        let notification = notification?;
        if notification.channel == own {
            alive |= sent.is_some_and(|sent| notification.payload == sent.to_string());
        } else {
            // A foreign NOTIFY on our channel has no number; the consumer then reads from where it
            // was.
            latest = latest.max(Some(notification.payload.parse::<i64>().unwrap_or(0)));
        }
    }
    Ok((latest, alive))
}

/// Queries the database, which must answer within `limit`.
fn with_time_limit<T>(line: Option<&SocketWatch>, limit: Duration, ask: impl FnOnce() -> T) -> T {
    line.into_iter().for_each(|line| line.expect_within(limit));
    let answer = ask();
    line.into_iter().for_each(SocketWatch::clear_limit);
    answer
}

/// Watches until it is stopped, which is `Ok`.
fn listen_sqlite(c: SqliteConnection, stopped: &StopSignal, on_event: &impl Fn(ListenEvent)) -> Result<(), StoreError> {
    let mut c = AnyConn::Sqlite(c);
    let mut version = meta::data_version_of(&mut c)?;
    on_event(ListenEvent::Connected);
    loop {
        let current = meta::data_version_of(&mut c)?;
        if current != version {
            version = current;
            let seq = changes::latest_seq_on(&mut c)?;
            on_event(ListenEvent::Change { seq });
        }
        on_event(ListenEvent::Alive);
        if stopped.stops_within(SQLITE_POLL) {
            return Ok(());
        }
    }
}
