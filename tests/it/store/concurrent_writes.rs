//! Many writers at once: exactly what was answered is there, also after the process was killed.

use super::{Fresh, on_both};
use nightlatch::store::{OpenOptions, Store, StoreError, meta};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

on_both!(exactly_what_succeeded_is_there);

const WRITERS: usize = 8;
const WRITES: usize = 25;

fn exactly_what_succeeded_is_there(db: &Fresh) {
    let other = db.other();
    let answered = Mutex::new(BTreeSet::new());
    let write = |key: &str, number: usize| {
        db.store.write_now(|c| {
            meta::set(c, key, "value")?;
            match number % 10 {
                0..=6 => Ok(()),
                7 | 8 => Err(StoreError::Conflict("reason")),
                _ => panic!("on purpose"),
            }
        })
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (answered, write, other) = (&answered, &write, &other);
            scope.spawn(move || {
                for number in 0..WRITES {
                    let key = format!("{writer}-{number}");
                    match catch_unwind(AssertUnwindSafe(|| write(&key, writer * 3 + number))) {
                        Ok(Ok(())) => {
                            let found = other.read_now(|c| meta::get(c, &key));
                            assert_eq!(found, Ok(Some("value".to_owned())), "{key} is answered, so it is there");
                            answered.lock().unwrap().insert(key);
                        }
                        Ok(Err(refused)) => assert_eq!(refused, StoreError::Conflict("reason")),
                        Err(_) => assert_eq!((writer * 3 + number) % 10, 9),
                    }
                }
            });
        }
    });
    let answered = answered.into_inner().unwrap();
    for (writer, number) in (0..WRITERS).flat_map(|writer| (0..WRITES).map(move |number| (writer, number))) {
        let succeeds = (writer * 3 + number) % 10 <= 6;
        let key = format!("{writer}-{number}");
        assert_eq!(answered.contains(&key), succeeds, "{key}");
        assert_eq!(db.read(|c| meta::get(c, &key)).is_some(), succeeds, "{key}");
    }
}

const KILLED: &str = "TEST_KILLED_WRITERS_URL";
const ANSWERED: &str = "answered:";

#[test]
fn a_killed_process_leaves_what_it_answered() {
    let db = Fresh::sqlite();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "store::concurrent_writes::write_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(KILLED, &db.url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child runs");
    let mut answered = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        // A line that the kill cut off has no end mark.
        let line = line.expect("text");
        answered.extend(
            line.strip_prefix(ANSWERED)
                .and_then(|key| key.strip_suffix('.'))
                .map(str::to_owned),
        );
        if answered.len() == 100 {
            child.kill().expect("the child is running");
        }
    }
    child.wait().expect("the child has ended");
    assert!(answered.len() >= 100, "it answered {} writes", answered.len());
    for key in answered {
        assert!(db.read(|c| meta::get(c, &key)).is_some(), "{key} was answered");
    }
}

#[test]
#[ignore = "the child of a_killed_process_leaves_what_it_answered"]
fn write_until_killed() {
    let Ok(url) = std::env::var(KILLED) else { return };
    let store = Store::open(&url, OpenOptions::default()).expect("the store opens");
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                for number in 0.. {
                    let key = format!("{writer}-{number}");
                    store.write_now(|c| meta::set(c, &key, "value")).expect("it is written");
                    println!("{ANSWERED}{key}.");
                }
            });
        }
    });
}
