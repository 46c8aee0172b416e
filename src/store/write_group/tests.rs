//! Writes that share a transaction. They queue behind a turn that the test holds, so that it knows
//! which of them meet.

use super::*;
use crate::store::{
    OpenOptions, Store,
    changes::{self, ChangeKind, MissedChanges},
    meta,
};
use diesel::connection::SimpleConnection;
use std::sync::atomic::{AtomicBool, Ordering};

type TestWrite<'a, T> = Box<dyn FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'a>;

struct Fixture {
    store: Store,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nightlatch.db").display());
        Self {
            store: Store::open(&url, OpenOptions::default()).unwrap(),
            _directory: directory,
        }
    }

    fn gate(&self) -> &WriteGate<WriteGroup> {
        self.store.inner.gate.as_ref().unwrap()
    }

    /// Makes the writes queue in this order before the first one begins.
    fn write_together<T: Send>(&self, writes: Vec<TestWrite<'_, T>>) -> Vec<thread::Result<Result<T, StoreError>>> {
        thread::scope(|scope| {
            let (turn, _) = self.gate().wait_for_turn(Duration::from_secs(60)).unwrap();
            let mut writers = Vec::new();
            for write in writes {
                writers.push(scope.spawn(|| self.store.write_now(write)));
                self.gate().await_waiting(writers.len());
            }
            drop(turn);
            writers.into_iter().map(|writer| writer.join()).collect()
        })
    }

    /// What is committed under the name of a write.
    fn find(&self, number: usize) -> Option<String> {
        self.store.read_now(|c| meta::get(c, &key(number))).unwrap()
    }

    fn assert_usable(&self) {
        self.store.write_now(|c| meta::set(c, "after", "all")).unwrap();
    }
}

fn key(number: usize) -> String {
    format!("write {number}")
}

fn set(number: usize) -> TestWrite<'static, ()> {
    Box::new(move |c| meta::set(c, &key(number), "written"))
}

fn is_unavailable<T>(answer: &thread::Result<Result<T, StoreError>>) -> bool {
    matches!(answer, Ok(Err(StoreError::Unavailable(_))))
}

#[test]
fn waiting_writes_share_a_commit_up_to_a_limit() {
    let fixture = Fixture::new();
    let count_earlier = |c: &mut Conn| {
        let mut names = (0..MAX_WRITES + 2).map(key);
        names.try_fold(0, |sum, name| {
            Ok::<_, StoreError>(sum + usize::from(meta::get(c, &name)?.is_some()))
        })
    };
    let write = |number| -> TestWrite<'_, (usize, usize)> {
        let store = fixture.store.clone();
        Box::new(move |c| {
            let (inside, committed) = (count_earlier(c)?, store.read_now(count_earlier)?);
            meta::set(c, &key(number), "written")?;
            Ok((inside, committed))
        })
    };
    let answers = fixture.write_together((0..MAX_WRITES + 2).map(write).collect());
    for (number, answer) in answers.into_iter().enumerate() {
        let committed = if number < MAX_WRITES { 0 } else { MAX_WRITES };
        assert_eq!(answer.unwrap(), Ok((number, committed)), "write {number}");
    }
}

#[test]
fn errors_and_panics_undo_only_their_own_part() {
    let fixture = Fixture::new();
    let write = |number: usize| -> TestWrite<'_, ()> {
        Box::new(move |c| {
            meta::set(c, &key(number), "written")?;
            changes::announce(c, ChangeKind::Session, &key(number))?;
            match number % 3 {
                0 => Ok(()),
                1 => Err(StoreError::Conflict("reason")),
                _ => panic!("on purpose"),
            }
        })
    };
    for (number, answer) in fixture.write_together((0..20).map(write).collect()).iter().enumerate() {
        let expected = match number % 3 {
            0 => matches!(answer, Ok(Ok(()))),
            1 => matches!(answer, Ok(Err(StoreError::Conflict("reason")))),
            _ => answer.is_err(),
        };
        assert!(expected, "write {number}: {answer:?}");
        assert_eq!(fixture.find(number).is_some(), number % 3 == 0, "write {number}");
    }
    let MissedChanges::Rows(announced) = fixture.store.read_now(|c| changes::list_since(c, 0)).unwrap() else {
        panic!("changes are missing")
    };
    let announced: Vec<_> = announced.into_iter().map(|row| (row.seq, row.key)).collect();
    let expected: Vec<_> = (1..).zip((0..20).step_by(3).map(key)).collect();
    assert_eq!(announced, expected);
}

#[test]
fn a_commit_that_fails_is_an_error_for_everyone() {
    let fixture = Fixture::new();
    let made = fixture.store.write_now(|c| {
        let sql = "CREATE TABLE child (parent TEXT REFERENCES meta(name) DEFERRABLE INITIALLY DEFERRED)";
        Ok::<_, StoreError>(c.db().batch_execute(sql)?)
    });
    assert_eq!(made, Ok(()));
    let orphan: TestWrite<'_, ()> = Box::new(|c| Ok(c.db().batch_execute("INSERT INTO child VALUES ('missing')")?));
    let refused: TestWrite<'_, ()> = Box::new(|_| Err(StoreError::Conflict("what write 0 wrote")));
    let answers = fixture.write_together(vec![set(0), orphan, refused, set(3)]);
    assert!(answers.iter().all(is_unavailable), "{answers:?}");
    assert_eq!((fixture.find(0), fixture.find(3)), (None, None));
    fixture.assert_usable();
}

#[test]
fn a_transaction_that_the_database_ends_is_an_error_for_everyone_in_it() {
    let fixture = Fixture::new();
    let end: TestWrite<'_, ()> = Box::new(|c| Ok(c.db().batch_execute("ROLLBACK")?));
    let answers = fixture.write_together(vec![set(0), end, set(2)]);
    assert!(answers[..2].iter().all(is_unavailable), "{answers:?}");
    assert!(
        matches!(answers[2], Ok(Ok(()))),
        "it begins another transaction: {answers:?}"
    );
    assert_eq!((fixture.find(0), fixture.find(2).is_some()), (None, true));
    fixture.assert_usable();
}

#[test]
fn nothing_is_begun_for_a_writer_who_has_gone() {
    let fixture = Fixture::new();
    let (turn, _) = fixture.gate().wait_for_turn(Duration::from_secs(60)).unwrap();
    let began = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_millis(20);
    let checkout = || fixture.store.checkout(deadline, true);
    let answer: Result<(), StoreError> = write(fixture.gate(), deadline, checkout, |_| {
        began.store(true, Ordering::Relaxed);
        Ok(())
    });
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(!began.into_inner());
    drop(turn);
    fixture.assert_usable();
}
