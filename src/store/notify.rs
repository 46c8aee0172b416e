//! How does an instance learn that it is stale? A thread with a connection of its own: on Postgres it LISTENs and
//! proves by its own ping that news still arrive; on SQLite it watches `data_version`. What to drop is read by the
//! consumer from `changes`.
use super::{
    StoreError, changes,
    conn::{AnyConn, Location, random_id},
    meta,
};
use diesel::{PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::Text};
use std::{
    cell::Cell,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Where the latest number of `changes` is told.
pub(super) const CHANNEL: &str = "nightlatch";
const POSTGRES_POLL: Duration = Duration::from_millis(10);
const PING_EVERY: Duration = Duration::from_millis(250);
/// A ping that is not back after this long: the connection is given up (a half-open one never says so).
const PING_LOST: Duration = Duration::from_secs(5);
const SQLITE_POLL: Duration = Duration::from_millis(50);
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MOST: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenEvent {
    /// (Re)connected: whatever was announced meanwhile was missed; read it.
    Connected,
    /// Something was announced, up to this number.
    Change { seq: i64 },
    /// News sent now would have arrived: cached answers may be used for another moment.
    Alive,
    /// The connection is gone: nothing arrives until the next [`ListenEvent::Connected`].
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

/// Starts the thread. `on_event` runs on it and must not block for long: while it does, nothing is alive.
pub fn spawn_listener(
    url: &str,
    on_event: impl Fn(ListenEvent) + Send + 'static,
) -> Result<ListenerHandle, StoreError> {
    let location = Location::parse(url)?;
    let (stop, stopped) = mpsc::channel();
    let stopped = Stopped(stopped);
    let thread = std::thread::Builder::new()
        .name("changes".into())
        .spawn(move || listen(&location, &stopped, &on_event))
        .map_err(|fault| StoreError::Unavailable(format!("no thread for the change listener: {fault}")))?;
    Ok(ListenerHandle {
        stop: Some(stop),
        thread: Some(thread),
    })
}

struct Stopped(mpsc::Receiver<()>);

impl Stopped {
    /// Sleeps; true when the handle is gone.
    fn within(&self, time: Duration) -> bool {
        !matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}

fn listen(location: &Location, stopped: &Stopped, on_event: &impl Fn(ListenEvent)) {
    let mut back_off = BACK_OFF_FIRST;
    // A loss is told once, until it is over.
    let lost = Cell::new(false);
    let on_event = |event: ListenEvent| {
        if event == ListenEvent::Connected && lost.replace(false) {
            tracing::info!("the change listener has the database again");
        }
        on_event(event);
    };
    loop {
        let since = Instant::now();
        let fault = match location.connect() {
            Ok(AnyConn::Postgres(c)) => listen_postgres(c, stopped, &on_event),
            Ok(AnyConn::Sqlite(c)) => listen_sqlite(c, stopped, &on_event),
            Err(fault) => Err(fault),
        };
        let Err(fault) = fault else { return };
        on_event(ListenEvent::Lost);
        if !lost.replace(true) {
            tracing::warn!(%fault, "the change listener lost the database and tries until it is back");
        }
        if since.elapsed() > BACK_OFF_MOST {
            back_off = BACK_OFF_FIRST;
        }
        if stopped.within(back_off) {
            return;
        }
        back_off = (back_off * 2).min(BACK_OFF_MOST);
    }
}

/// Ok: asked to stop.
fn listen_postgres(mut c: PgConnection, stopped: &Stopped, on_event: &impl Fn(ListenEvent)) -> Result<(), StoreError> {
    // A channel of its own, so that many instances do not wake each other with pings.
    let own = format!("nightlatch_{}", random_id());
    c.batch_execute(&format!("LISTEN {CHANNEL}; LISTEN {own}"))?;
    on_event(ListenEvent::Connected);
    let mut pinged: Option<(u64, Instant)> = None;
    let mut next_ping = Instant::now();
    let mut number = 0_u64;
    loop {
        let now = Instant::now();
        if pinged.is_some_and(|(_, at)| now.duration_since(at) > PING_LOST) {
            return Err(StoreError::Unavailable(
                "the listener's own ping did not come back".into(),
            ));
        }
        if pinged.is_none() && now >= next_ping {
            number += 1;
            diesel::sql_query("SELECT pg_notify($1, $2)")
                .bind::<Text, _>(&own)
                .bind::<Text, _>(number.to_string())
                .execute(&mut c)?;
            pinged = Some((number, now));
            next_ping = now + PING_EVERY;
        }
        let mut latest = None;
        let mut alive = false;
        for notification in c.notifications_iter() {
            let notification = notification?;
            if notification.channel == own {
                if pinged.is_some_and(|(sent, _)| notification.payload == sent.to_string()) {
                    pinged = None;
                    alive = true;
                }
            } else {
                // Somebody else's NOTIFY on our channel names no number: then the consumer looks from where it was.
                latest = latest.max(Some(notification.payload.parse::<i64>().unwrap_or(0)));
            }
        }
        if let Some(seq) = latest {
            on_event(ListenEvent::Change { seq });
        }
        if alive {
            on_event(ListenEvent::Alive);
        }
        if stopped.within(POSTGRES_POLL) {
            return Ok(());
        }
    }
}

/// Ok: asked to stop.
fn listen_sqlite(c: SqliteConnection, stopped: &Stopped, on_event: &impl Fn(ListenEvent)) -> Result<(), StoreError> {
    let mut c = AnyConn::Sqlite(c);
    let mut version = meta::data_version_of(&mut c)?;
    on_event(ListenEvent::Connected);
    loop {
        let current = meta::data_version_of(&mut c)?;
        if current != version {
            version = current;
            let seq = changes::latest_seq_of(&mut c)?;
            on_event(ListenEvent::Change { seq });
        }
        on_event(ListenEvent::Alive);
        if stopped.within(SQLITE_POLL) {
            return Ok(());
        }
    }
}
