//! The count of passwords that were tried at directories: shared by parallel sign-ins, cleared by a
//! right password.
use super::{Fresh, at, on_both};
use nightlatch::{
    domain::time::Span,
    store::{
        Conn, StoreError,
        directory_binds::{self, BindReservation},
    },
};

on_both!(
    parallel_tries_find_their_row_although_others_clear_it,
    refused_tries_fill_the_limit_and_waiting_ones_are_told_apart,
    a_try_that_nobody_settles_counts_as_refused,
);

const WINDOW: Span = Span::from_secs(900);

fn reserve(c: &mut Conn, seconds: i64, limit: u32) -> Result<BindReservation, StoreError> {
    directory_binds::reserve(c, "corp ada", at(seconds), WINDOW, limit)
}

fn parallel_tries_find_their_row_although_others_clear_it(db: &Fresh) {
    let other = db.other();
    let start = std::sync::Barrier::new(6);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let store = if thread % 2 == 0 { &db.store } else { &other };
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..40 {
                    let tried = store.write_now(|c| reserve(c, 0, 100));
                    assert_eq!(tried, Ok(BindReservation::Granted));
                    store
                        .write_now(|c| directory_binds::clear(c, "corp ada"))
                        .expect("the count is cleared");
                }
            });
        }
    });
}

fn refused_tries_fill_the_limit_and_waiting_ones_are_told_apart(db: &Fresh) {
    for second in 0..2 {
        assert_eq!(db.write(|c| reserve(c, second, 2)), BindReservation::Granted);
    }
    assert_eq!(db.write(|c| reserve(c, 2, 2)), BindReservation::Waiting);
    db.write(|c| directory_binds::settle_refused(c, "corp ada", at(0), at(3)));
    assert_eq!(db.write(|c| reserve(c, 3, 2)), BindReservation::Waiting);
    db.write(|c| directory_binds::settle_refused(c, "corp ada", at(1), at(3)));
    assert_eq!(db.write(|c| reserve(c, 3, 2)), BindReservation::Limited);
    let listed = |seconds| db.read(|c| directory_binds::list_refused(c, "corp ada", at(seconds), WINDOW));
    assert_eq!(listed(3), [at(0), at(1)]);
    assert_eq!(listed(900), [at(1)]);
    assert_eq!(db.write(|c| reserve(c, 900, 2)), BindReservation::Granted);
    db.write(|c| directory_binds::clear(c, "corp ada"));
    assert_eq!(listed(3), []);
    // The answer to a password that was tried before the right one still counts.
    db.write(|c| directory_binds::settle_refused(c, "corp ada", at(4), at(5)));
    assert_eq!(listed(5), [at(4)]);
}

fn a_try_that_nobody_settles_counts_as_refused(db: &Fresh) {
    assert_eq!(db.write(|c| reserve(c, 0, 1)), BindReservation::Granted);
    assert_eq!(db.write(|c| reserve(c, 9, 1)), BindReservation::Waiting);
    assert_eq!(db.write(|c| reserve(c, 10, 1)), BindReservation::Limited);
    assert_eq!(db.write(|c| reserve(c, 900, 1)), BindReservation::Granted);
}
