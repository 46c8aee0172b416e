//! The numbered list of what others must forget.
use super::{Fresh, account, at, on_both, session};
use nightlatch::{
    domain::{session::EndReason, time::Timestamp},
    store::{
        StoreError, accounts,
        changes::{self, ChangeKind, ChangeRow, MissedChanges},
        meta, sessions,
    },
};

on_both!(
    changes_are_numbered_without_gaps_in_the_order_of_commits,
    a_rolled_back_write_announces_nothing,
    saying_it_twice_is_saying_it_once,
    too_many_become_everything,
    a_read_cannot_announce,
    missed_changes_are_read_or_reported_as_lost,
    many_writers_leave_no_gap,
    endings_and_account_writes_announce_themselves,
);

fn announce(db: &Fresh, key: &str) {
    db.write(|c| changes::announce(c, ChangeKind::Session, key));
}

fn keys(missed: &MissedChanges) -> Vec<&str> {
    match missed {
        MissedChanges::Rows(rows) => rows.iter().map(|row| row.key.as_str()).collect(),
        MissedChanges::TooOld => panic!("nothing is lost"),
    }
}

fn changes_are_numbered_without_gaps_in_the_order_of_commits(db: &Fresh) {
    assert_eq!(db.read(changes::latest_seq), 0);
    db.write(|c| {
        changes::announce(c, ChangeKind::Policy, "1")?;
        changes::announce(c, ChangeKind::Account, "ada")
    });
    let other = db.other();
    let announced = other.write_now(|c| changes::announce(c, ChangeKind::Lockout, "x"));
    announced.expect("the other process writes as well");
    let row = |seq, writer: &str, kind, key: &str| ChangeRow {
        seq,
        writer: writer.into(),
        kind,
        key: key.into(),
    };
    let expected = vec![
        row(1, db.store.writer(), ChangeKind::Policy, "1"),
        row(2, db.store.writer(), ChangeKind::Account, "ada"),
        row(3, other.writer(), ChangeKind::Lockout, "x"),
    ];
    assert_ne!(db.store.writer(), other.writer());
    assert_eq!(
        db.read(|c| changes::list_since(c, 0)),
        MissedChanges::Rows(expected.clone())
    );
    assert_eq!(
        db.read(|c| changes::list_since(c, 2)),
        MissedChanges::Rows(expected[2..].to_vec())
    );
    assert_eq!(db.read(changes::latest_seq), 3);
}

fn a_rolled_back_write_announces_nothing(db: &Fresh) {
    let refused = db.refused::<()>(|c| {
        changes::announce(c, ChangeKind::All, "")?;
        Err(StoreError::NotFound("reason"))
    });
    assert_eq!(refused, StoreError::NotFound("reason"));
    assert_eq!(db.read(changes::latest_seq), 0);
    announce(db, "next");
    assert_eq!(keys(&db.read(|c| changes::list_since(c, 0))), ["next"]);
}

fn saying_it_twice_is_saying_it_once(db: &Fresh) {
    db.write(|c| {
        changes::announce(c, ChangeKind::Session, "a")?;
        changes::announce(c, ChangeKind::Account, "a")?;
        changes::announce(c, ChangeKind::Session, "a")
    });
    assert_eq!(db.read(changes::latest_seq), 2);
}

fn too_many_become_everything(db: &Fresh) {
    db.write(|c| (0..2000).try_for_each(|number| changes::announce(c, ChangeKind::Session, &number.to_string())));
    let MissedChanges::Rows(rows) = db.read(|c| changes::list_since(c, 0)) else {
        panic!("nothing is lost")
    };
    assert!(rows.iter().any(|row| row.kind == ChangeKind::All));
    assert!(rows.len() <= 501, "{}", rows.len());
}

fn a_read_cannot_announce(db: &Fresh) {
    let said = db.store.read_now(|c| changes::announce(c, ChangeKind::All, ""));
    assert!(matches!(said, Err(StoreError::Corrupt(_))), "{said:?}");
}

fn missed_changes_are_read_or_reported_as_lost(db: &Fresh) {
    for number in 1..=10 {
        announce(db, &number.to_string());
    }
    assert_eq!(keys(&db.read(|c| changes::list_since(c, 8))), ["9", "10"]);
    assert_eq!(db.read(|c| changes::list_since(c, 10)), MissedChanges::Rows(Vec::new()));
    assert_eq!(
        db.read(|c| changes::list_since(c, 11)),
        MissedChanges::TooOld,
        "another database than before"
    );
    let future = Timestamp::from_micros(db.read(meta::now).as_micros() + 60_000_000);
    assert_eq!(db.write(|c| changes::prune(c, at(-1_000_000_000), 3)), 0, "too young");
    assert_eq!(db.write(|c| changes::prune(c, future, 3)), 7);
    assert_eq!(keys(&db.read(|c| changes::list_since(c, 7))), ["8", "9", "10"]);
    assert_eq!(db.read(|c| changes::list_since(c, 6)), MissedChanges::TooOld);
    assert_eq!(db.write(|c| changes::prune(c, future, 0)), 3);
    assert_eq!(db.read(|c| changes::list_since(c, 10)), MissedChanges::Rows(Vec::new()));
    assert_eq!(db.read(|c| changes::list_since(c, 9)), MissedChanges::TooOld);
    announce(db, "11");
    assert_eq!(keys(&db.read(|c| changes::list_since(c, 10))), ["11"]);
}

fn many_writers_leave_no_gap(db: &Fresh) {
    let other = db.other();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let store = if thread % 2 == 0 { &db.store } else { &other };
            scope.spawn(move || {
                for number in 0..10 {
                    let key = format!("{thread}/{number}");
                    store
                        .write_now(|c| changes::announce(c, ChangeKind::Session, &key))
                        .expect("its turn comes");
                    // A reader that sees a number sees all numbers below it.
                    let latest = store.read_now(changes::latest_seq).expect("readable");
                    let MissedChanges::Rows(rows) = store.read_now(|c| changes::list_since(c, 0)).expect("readable")
                    else {
                        panic!("nothing is lost")
                    };
                    assert!(rows.len() as i64 >= latest);
                    assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq));
                }
            });
        }
    });
    assert_eq!(db.read(changes::latest_seq), 60);
}

fn endings_and_account_writes_announce_themselves(db: &Fresh) {
    let ada = account("Ada");
    db.write(|c| {
        accounts::insert(c, &ada)?;
        sessions::insert(c, &session(&ada, 1))
    });
    let start = db.read(changes::latest_seq);
    db.write(|c| sessions::end(c, session(&ada, 1).id, EndReason::Revoked, at(1), None, None));
    db.write(|c| sessions::end(c, session(&ada, 1).id, EndReason::Revoked, at(1), None, None));
    db.write(|c| accounts::update(c, &ada));
    db.write(|c| sessions::touch_many(c, &[(session(&ada, 1).id, at(9), at(9))]));
    let missed = db.read(|c| changes::list_since(c, start));
    assert_eq!(keys(&missed), [session(&ada, 1).id.0.to_string(), ada.id.0.to_string()]);
}
