//! Small facts, the database's time, the schema's state.
use super::{Fresh, on_both};
use nightlatch::store::{Backend, meta};
use std::time::Instant;

on_both!(
    a_fact_is_kept_and_replaced,
    concurrent_first_values_leave_exactly_one,
    the_database_has_a_time_that_moves_on,
    the_schema_is_ours,
    the_data_version_moves_for_others_writes,
);

fn a_fact_is_kept_and_replaced(db: &Fresh) {
    assert_eq!(db.read(|c| meta::get(c, "key")), None);
    db.write(|c| meta::set(c, "key", "one"));
    db.write(|c| meta::set(c, "key", "two"));
    assert_eq!(db.read(|c| meta::get(c, "key")).as_deref(), Some("two"));
    assert_eq!(db.write(|c| meta::set_once(c, "key", "three")), "two");
    assert_eq!(db.write(|c| meta::set_once(c, "other", "first")), "first");
}

fn concurrent_first_values_leave_exactly_one(db: &Fresh) {
    let other = db.other();
    let stood: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let store = if thread % 2 == 0 { &db.store } else { &other };
                scope.spawn(move || store.write_now(|c| meta::set_once(c, "secret", &thread.to_string())))
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic").expect("written or read"))
            .collect()
    });
    assert!(stood.iter().all(|value| *value == stood[0]), "{stood:?}");
    assert_eq!(db.read(|c| meta::get(c, "secret")).as_ref(), Some(&stood[0]));
}

fn the_database_has_a_time_that_moves_on(db: &Fresh) {
    let first = db.read(meta::now);
    let waited = Instant::now();
    let mut now = first;
    while now <= first {
        assert!(waited.elapsed().as_secs() < 5, "it stands still");
        // Also within one transaction.
        now = db.write(|c| {
            meta::now(c)?;
            meta::now(c)
        });
    }
    assert!(now.since(first).as_secs() < 60);
}

fn the_schema_is_ours(db: &Fresh) {
    assert!(db.read(meta::migrations_current));
}

fn the_data_version_moves_for_others_writes(db: &Fresh) {
    let other = db.other();
    let moved = db.read(|c| {
        let before = meta::data_version(c)?;
        other.write_now(|c| meta::set(c, "key", "value"))?;
        Ok(meta::data_version(c)? != before)
    });
    assert_eq!(moved, db.store.backend() == Backend::Sqlite);
}
