//! Set-up links and the end of set-up.
use super::{Fresh, at, on_both};
use nightlatch::store::setup;

on_both!(
    a_link_is_used_once_and_in_time,
    set_up_ends_once,
    concurrent_setups_complete_once
);

fn a_link_is_used_once_and_in_time(db: &Fresh) {
    db.write(|c| setup::create_token(c, "one", at(0)));
    db.write(|c| setup::create_token(c, "two", at(10)));
    let valid = |not_before| db.read(|c| setup::is_valid(c, "one", not_before));
    assert_eq!((valid(at(0)), valid(at(1))), (true, false));
    assert!(!db.write(|c| setup::redeem(c, "one", at(1))), "too old");
    assert!(db.write(|c| setup::redeem(c, "one", at(0))));
    assert!(!db.write(|c| setup::redeem(c, "one", at(0))));
    assert!(!valid(at(0)), "used up");
    assert!(!db.write(|c| setup::redeem(c, "unknown", at(0))));
    assert!(db.write(|c| setup::mark_completed(c, at(11))));
    assert!(!db.read(|c| setup::is_valid(c, "two", at(0))), "set-up is over");
    assert!(!db.write(|c| setup::redeem(c, "two", at(0))), "set-up is over");
}

fn set_up_ends_once(db: &Fresh) {
    assert!(!db.read(setup::is_completed));
    assert!(db.write(|c| setup::mark_completed(c, at(1))));
    assert!(!db.write(|c| setup::mark_completed(c, at(2))));
    assert!(db.read(setup::is_completed));
}

fn concurrent_setups_complete_once(db: &Fresh) {
    for link in ["one", "two", "three"] {
        db.write(|c| setup::create_token(c, link, at(0)));
    }
    let other = db.other();
    let completed: usize = std::thread::scope(|scope| {
        let threads = [(&db.store, "one"), (&other, "two"), (&db.store, "three")].map(|(store, link)| {
            scope.spawn(move || {
                store.write_now(|c| {
                    Ok::<_, nightlatch::store::StoreError>(
                        setup::redeem(c, link, at(0))? && setup::mark_completed(c, at(1))?,
                    )
                })
            })
        });
        threads
            .map(|t| t.join().expect("no panic").expect("an answer"))
            .into_iter()
            .filter(|done| *done)
            .count()
    });
    assert_eq!(completed, 1);
}
