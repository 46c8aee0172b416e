//! News travel: to another process within a moment, and to this one as well.
use super::{Fresh, Place, on_both};
use nightlatch::store::{
    changes::{self, ChangeKind},
    notify::{ListenEvent, ListenerHandle, spawn_listener},
};
use std::{
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

on_both!(
    a_listener_connects_lives_and_hears_of_changes,
    a_listener_stops_when_its_handle_goes,
    a_listener_comes_back_after_its_connection_broke,
);

/// Much more than needed; no test waits for it in vain.
const BOUND: Duration = Duration::from_secs(10);

fn listen(db: &Fresh) -> (ListenerHandle, Receiver<ListenEvent>) {
    let (send, events) = channel();
    let handle = spawn_listener(&db.url, move |event| {
        // The test may be over, and no one receives.
        send.send(event).unwrap_or_default();
    });
    (handle.expect("a thread"), events)
}

fn wait_for(events: &Receiver<ListenEvent>, wanted: impl Fn(ListenEvent) -> bool) -> Duration {
    let since = Instant::now();
    loop {
        let left = BOUND.checked_sub(since.elapsed()).expect("the event arrives in time");
        if wanted(events.recv_timeout(left).expect("the event arrives in time")) {
            return since.elapsed();
        }
    }
}

fn a_listener_connects_lives_and_hears_of_changes(db: &Fresh) {
    let (handle, events) = listen(db);
    wait_for(&events, |event| event == ListenEvent::Connected);
    wait_for(&events, |event| event == ListenEvent::Alive);
    let other = db.other();
    let mut slowest = Duration::ZERO;
    for number in 1..=10 {
        other
            .write_now(|c| changes::announce(c, ChangeKind::Session, &number.to_string()))
            .expect("written");
        slowest = slowest.max(wait_for(&events, |event| event == ListenEvent::Change { seq: number }));
    }
    // Its own process's writes arrive too.
    db.write(|c| changes::announce(c, ChangeKind::Policy, "1"));
    wait_for(&events, |event| event == ListenEvent::Change { seq: 11 });
    wait_for(&events, |event| event == ListenEvent::Alive);
    println!("slowest of ten: {slowest:?}");
    drop(handle);
}

fn a_listener_stops_when_its_handle_goes(db: &Fresh) {
    let (handle, events) = listen(db);
    wait_for(&events, |event| event == ListenEvent::Alive);
    drop(handle);
    let since = Instant::now();
    while events.recv_timeout(BOUND).is_ok() {
        assert!(since.elapsed() < BOUND);
    }
}

fn a_listener_comes_back_after_its_connection_broke(db: &Fresh) {
    let (_handle, events) = listen(db);
    wait_for(&events, |event| event == ListenEvent::Alive);
    // Only Postgres has a connection that can break.
    if let Place::Postgres(database) = &db.place {
        database.disconnect_all();
        // Reported immediately: until it is back, memory must not be trusted.
        let mut after = events.iter().skip_while(|event| *event != ListenEvent::Lost);
        assert_eq!(after.nth(1), Some(ListenEvent::Connected));
        wait_for(&events, |event| event == ListenEvent::Alive);
    }
    db.other()
        .write_now(|c| changes::announce(c, ChangeKind::All, ""))
        .expect("written");
    wait_for(&events, |event| event == ListenEvent::Change { seq: 1 });
}
