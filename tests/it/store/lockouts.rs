//! The counters of failed sign-ins: created once, locked one at a time, listed by their latest
//! attempt.
use super::{Fresh, at, id, ip, on_both};
use nightlatch::{
    domain::{
        lockout::{Counter, CounterKey, CounterKind, Lockout, LockoutFilter, LockoutListState},
        network::parse_filter,
        time::Timestamp,
    },
    store::{Conn, StoreError, lockouts},
};

on_both!(
    a_counter_is_made_once_and_comes_back_as_saved,
    parallel_attempts_are_counted_one_after_the_other,
    first_attempts_of_one_moment_share_their_counters,
    counters_are_begun_together_or_found,
    held_counters_are_those_that_are_there,
    a_deleted_counter_cannot_be_deleted_again_and_returns_when_saved,
    states_filter,
    pages_agree_with_the_count_under_every_filter,
    addresses_and_accounts_are_found,
    the_job_sees_what_may_be_due,
    idle_counters_are_purged_but_no_locks,
    text_with_nul_is_kept_as_text,
);

fn key(ip: &str, account: Option<&str>) -> CounterKey {
    CounterKey {
        kind: CounterKind::Key,
        ip: Some(ip.into()),
        account: account.map(str::to_owned),
        user_agent: None,
    }
}

fn lock(c: &mut Conn, key: &CounterKey, now: Timestamp) -> Result<Lockout, StoreError> {
    Ok(lockouts::lock_all(c, std::slice::from_ref(key), now)?.remove(0))
}

fn save(c: &mut Conn, lockout: &Lockout) -> Result<(), StoreError> {
    lockouts::save_all(c, std::slice::from_ref(lockout))
}

fn a_counter_is_made_once_and_comes_back_as_saved(db: &Fresh) {
    let key = CounterKey {
        user_agent: Some("curl".into()),
        ..key("192.0.2.1", Some("ada"))
    };
    assert_eq!(db.read(|c| lockouts::find(c, &key)), None);
    let made = db.write(|c| lock(c, &key, at(1)));
    assert_eq!(
        (&made.key, &made.counter, made.last_attempt_at),
        (&key, &Counter::default(), at(1))
    );
    let again = db.write(|c| lock(c, &key, at(2)));
    assert_eq!(again, made);
    let saved = Lockout {
        counter: Counter {
            failures: vec![at(1).as_micros(), at(2).as_micros()],
            reservations: vec![(id(7), at(2).as_micros())],
            locked_at: Some(at(2).as_micros()),
            blocked_until: Some(i64::MAX),
            block_reason: "sprays".to_owned(),
        },
        last_attempt_at: at(3),
        last_ip: Some(ip("192.0.2.1")),
        names_tried: vec!["ada".into(), "\"quoted\"".into()],
        refused: 4,
        refused_minute: 29_000_000,
        ..made
    };
    db.write(|c| save(c, &saved));
    assert_eq!(db.read(|c| lockouts::find(c, &key)), Some(saved.clone()));
    assert_eq!(db.write(|c| lockouts::find_by_id(c, saved.id)), Some(saved.clone()));
    assert_eq!(db.write(|c| lockouts::find_by_id(c, id(99))), None);
    let many = Lockout {
        names_tried: (0..50).map(|n| format!("name {n}")).collect(),
        ..saved
    };
    db.write(|c| save(c, &many));
    let read = db.read(|c| lockouts::find(c, &key)).expect("it is there");
    assert_eq!(
        read.names_tried,
        (30..50).map(|n| format!("name {n}")).collect::<Vec<_>>()
    );
    db.write(|c| lockouts::delete_all(c, &[read.id]));
    assert_eq!(db.read(|c| lockouts::find(c, &key)), None);
}

fn parallel_attempts_are_counted_one_after_the_other(db: &Fresh) {
    let other = db.other();
    std::thread::scope(|scope| {
        for thread in 0..6_i64 {
            let store = if thread % 2 == 0 { &db.store } else { &other };
            scope.spawn(move || {
                for attempt in 0..5_i64 {
                    let attempted = store.write_now(|c| {
                        let mut lockout = lock(c, &key("192.0.2.1", None), at(0))?;
                        lockout.counter.failures.push(thread * 10 + attempt);
                        save(c, &lockout)
                    });
                    attempted.expect("each attempt gets its turn");
                }
            });
        }
    });
    let counted = db
        .read(|c| lockouts::find(c, &key("192.0.2.1", None)))
        .expect("it is there");
    assert_eq!(counted.counter.failures.len(), 30);
}

fn first_attempts_of_one_moment_share_their_counters(db: &Fresh) {
    // Every round begins without the row; whichever thread creates it, all count in it.
    for round in 0..20 {
        let address = format!("192.0.2.{round}");
        let keys = [key(&address, None), key(&address, Some("ada"))];
        let start = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for turn in 0..6 {
                let (keys, start) = (&keys, &start);
                scope.spawn(move || {
                    start.wait();
                    let counted = db.store.write_now(|c| {
                        let mut rows = lockouts::lock_all(c, keys, at(turn))?;
                        rows.iter_mut().for_each(|row| row.counter.failures.push(turn));
                        lockouts::save_all(c, &rows)
                    });
                    counted.expect("nobody is refused for coming at the same moment");
                });
            }
        });
        for key in &keys {
            let counted = db.read(|c| lockouts::find(c, key)).expect("it is there");
            assert_eq!(counted.counter.failures.len(), 6, "{key:?}");
        }
    }
}

fn counters_are_begun_together_or_found(db: &Fresh) {
    for round in 0..20 {
        let address = format!("192.0.2.{round}");
        let keys = [key(&address, None), key(&address, Some("ada"))];
        // In every other round one of them is there already.
        if round % 2 == 0 {
            put(db, &keys[1], at(0), |l| l.counter.failures.push(0));
        }
        let start = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for turn in 1..=6 {
                let (keys, start) = (&keys, &start);
                scope.spawn(move || {
                    let counting =
                        |rows: &mut Vec<Lockout>| rows.iter_mut().for_each(|r| r.counter.failures.push(turn));
                    start.wait();
                    let counted = db.store.write_now(|c| {
                        let fresh = keys.iter().map(|key| lockouts::new_counter(key, at(turn)));
                        let mut rows = fresh.collect::<Result<Vec<_>, _>>()?;
                        counting(&mut rows);
                        if lockouts::insert_all(c, &rows)? {
                            return Ok(());
                        }
                        let mut rows = lockouts::lock_all(c, keys, at(turn))?;
                        counting(&mut rows);
                        lockouts::save_all(c, &rows)
                    });
                    counted.expect("nobody is refused for coming at the same moment");
                });
            }
        });
        for (key, before) in keys.iter().zip([0, 1 - round % 2]) {
            let counted = db.read(|c| lockouts::find(c, key)).expect("it is there");
            assert_eq!(counted.counter.failures.len(), 6 + before, "{key:?}");
        }
    }
}

fn held_counters_are_those_that_are_there(db: &Fresh) {
    let keys = [key("192.0.2.1", None), key("192.0.2.1", Some("ada"))];
    let made = put(db, &keys[1], at(1), |l| l.counter.failures.push(1));
    let held = db.write(|c| lockouts::hold_rows(c, &keys, at(2)));
    assert_eq!(held[1], made);
    assert_eq!((&held[0].key, &held[0].counter), (&keys[0], &Counter::default()));
    assert_eq!(
        db.write(|c| lockouts::hold_rows(c, &keys, at(3))),
        held,
        "now both are there"
    );
}

fn a_deleted_counter_cannot_be_deleted_again_and_returns_when_saved(db: &Fresh) {
    let made = db.write(|c| lock(c, &key("192.0.2.1", None), at(1)));
    db.write(|c| lockouts::delete_all(c, &[made.id]));
    assert_eq!(
        db.refused(|c| lockouts::delete_all(c, &[made.id])),
        StoreError::NotFound("sign-in counter")
    );
    db.write(|c| save(c, &made));
    assert_eq!(db.read(|c| lockouts::find(c, &made.key)), Some(made));
}

fn put(db: &Fresh, key: &CounterKey, last: Timestamp, change: impl FnOnce(&mut Lockout)) -> Lockout {
    db.write(|c| {
        let mut lockout = lock(c, key, last)?;
        lockout.last_attempt_at = last;
        change(&mut lockout);
        save(c, &lockout)?;
        Ok(lockout)
    })
}

fn states_filter(db: &Fresh) {
    put(db, &key("192.0.2.1", None), at(1), |l| l.counter.failures.push(1));
    put(db, &key("192.0.2.2", None), at(2), |l| l.counter.locked_at = Some(1));
    put(db, &key("192.0.2.3", None), at(3), |l| {
        l.counter.blocked_until = Some(i64::MAX)
    });
    put(db, &key("192.0.2.4", None), at(4), |_| {});
    let shown = |state| {
        let filter = LockoutFilter {
            state,
            limit: 9,
            ..LockoutFilter::default()
        };
        let items = db.read(|c| lockouts::list(c, &filter)).items;
        assert_eq!(db.read(|c| lockouts::count(c, &filter)), items.len() as i64);
        items
            .into_iter()
            .filter_map(|lockout| lockout.key.ip)
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(LockoutListState::Locked), ["192.0.2.3", "192.0.2.2"]);
    assert_eq!(shown(LockoutListState::Counting), ["192.0.2.1"]);
    assert_eq!(shown(LockoutListState::All), ["192.0.2.3", "192.0.2.2", "192.0.2.1"]);
}

fn pages_agree_with_the_count_under_every_filter(db: &Fresh) {
    for number in 0..40_i64 {
        let account = format!("user_{}", number % 4);
        put(
            db,
            &key(&format!("192.0.2.{number}"), Some(&account)),
            at(number / 5),
            |lockout| {
                lockout.counter.failures.push(number);
                lockout.counter.locked_at = (number % 3 == 0).then_some(number);
            },
        );
    }
    let filters = [
        LockoutFilter::default(),
        LockoutFilter {
            state: LockoutListState::Locked,
            ..LockoutFilter::default()
        },
        LockoutFilter {
            state: LockoutListState::Counting,
            ..LockoutFilter::default()
        },
        LockoutFilter {
            text: Some("USER_1".into()),
            ..LockoutFilter::default()
        },
        LockoutFilter {
            ip: parse_filter("192.0.2.0/28"),
            ..LockoutFilter::default()
        },
        LockoutFilter {
            account_key: Some("user_2".into()),
            ..LockoutFilter::default()
        },
    ];
    for filter in filters {
        let total = db.read(|c| lockouts::count(c, &filter));
        assert!(total > 3);
        let mut pages: Vec<Vec<(Timestamp, uuid::Uuid)>> = Vec::new();
        let mut after = None;
        loop {
            let page = db.read(|c| {
                lockouts::list(
                    c,
                    &LockoutFilter {
                        after,
                        limit: 3,
                        ..filter.clone()
                    },
                )
            });
            assert_eq!(page.newer, after.is_some());
            pages.push(
                page.items
                    .iter()
                    .map(|lockout| (lockout.last_attempt_at, lockout.id))
                    .collect(),
            );
            after = page.items.last().map(|lockout| (lockout.last_attempt_at, lockout.id));
            if !page.older {
                break;
            }
        }
        let rows = pages.concat();
        assert_eq!(rows.len() as i64, total, "{filter:?}");
        assert!(rows.is_sorted_by(|a, b| a > b));
        for pair in pages.windows(2).rev() {
            let before = pair[1].first().copied();
            let page = db.read(|c| {
                lockouts::list(
                    c,
                    &LockoutFilter {
                        before,
                        limit: 3,
                        ..filter.clone()
                    },
                )
            });
            let back: Vec<_> = page
                .items
                .iter()
                .map(|lockout| (lockout.last_attempt_at, lockout.id))
                .collect();
            assert_eq!(back, pair[0]);
        }
    }
}

fn addresses_and_accounts_are_found(db: &Fresh) {
    put(db, &key("192.0.2.1", Some("ada")), at(1), |l| {
        l.counter.failures.push(1)
    });
    put(db, &key("192.0.2.1", Some("100%")), at(2), |l| {
        l.counter.failures.push(1)
    });
    put(db, &key("2001:db8:1:2::/64", None), at(3), |l| {
        l.counter.failures.push(1)
    });
    let ceiling = CounterKey {
        kind: CounterKind::AccountCeiling,
        ip: None,
        account: Some("ada".into()),
        user_agent: None,
    };
    put(db, &ceiling, at(4), |lockout| {
        lockout.counter.failures.push(1);
        lockout.last_ip = Some(ip("198.51.100.7"));
    });
    let found = |filter: LockoutFilter| {
        db.read(|c| lockouts::list(c, &LockoutFilter { limit: 9, ..filter }))
            .items
            .len()
    };
    let by_ip = |text: &str| {
        found(LockoutFilter {
            ip: parse_filter(text),
            ..LockoutFilter::default()
        })
    };
    assert_eq!(by_ip("192.0.2.0/24"), 2);
    assert_eq!(by_ip("2001:db8:1:2::5"), 1, "an address within the counter's network");
    assert_eq!(by_ip("2001:db8::/32"), 1);
    assert_eq!(by_ip("2001:db8:1:3::5"), 0);
    assert_eq!(by_ip("198.51.100.7"), 1, "the latest address of a counter without one");
    let by_text = |text: &str| {
        found(LockoutFilter {
            text: Some(text.into()),
            ..LockoutFilter::default()
        })
    };
    assert_eq!(
        (by_text("%"), by_text("ADA"), by_text("192.0.2"), by_text("2001:DB8")),
        (1, 2, 2, 1)
    );
    let matching = |account, ip| db.read(|c| lockouts::list_matching(c, account, ip)).len();
    assert_eq!(matching(Some("ada"), None), 2);
    assert_eq!(matching(None, Some("192.0.2.1")), 2);
    assert_eq!(matching(Some("ada"), Some("192.0.2.1")), 1);
    assert_eq!(matching(None, None), 0);
}

fn the_job_sees_what_may_be_due(db: &Fresh) {
    let long = put(db, &key("192.0.2.1", None), at(900), |l| {
        l.counter.locked_at = Some(at(1).as_micros())
    });
    let short = put(db, &key("192.0.2.2", None), at(5), |l| {
        l.counter.locked_at = Some(at(5).as_micros())
    });
    put(db, &key("192.0.2.3", None), at(6), |l| {
        l.counter.blocked_until = Some(i64::MAX)
    });
    let past = put(db, &key("192.0.2.4", None), at(7), |l| {
        l.counter.blocked_until = Some(1)
    });
    put(db, &key("192.0.2.5", None), at(8), |l| l.counter.failures.push(1));
    let due = |limit| {
        db.read(|c| lockouts::list_due(c, limit))
            .into_iter()
            .map(|l| l.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(due(9), [long.id, short.id, past.id]);
    assert_eq!(due(1), [long.id]);
}

fn idle_counters_are_purged_but_no_locks(db: &Fresh) {
    for number in 0..4 {
        put(db, &key(&format!("192.0.2.{number}"), None), at(number), |l| {
            l.counter.failures.push(1)
        });
    }
    put(db, &key("192.0.2.100", None), at(0), |l| l.counter.locked_at = Some(1));
    assert_eq!(db.write(|c| lockouts::purge_idle(c, at(3), 2)), 2);
    assert_eq!(db.write(|c| lockouts::purge_idle(c, at(3), 2)), 1);
    assert_eq!(db.write(|c| lockouts::purge_idle(c, at(3), 2)), 0);
    assert_eq!(db.read(|c| lockouts::count(c, &LockoutFilter::default())), 2);
}

fn text_with_nul_is_kept_as_text(db: &Fresh) {
    let odd = CounterKey {
        user_agent: Some("x\0y".into()),
        ..key("192.0.2.1", Some("a\0b"))
    };
    put(db, &odd, at(1), |lockout| {
        lockout.counter.failures.push(1);
        lockout.names_tried.push("a\0b".into());
    });
    let found = db.write(|c| lock(c, &odd, at(2)));
    assert_eq!(found.counter.failures.len(), 1, "the same counter again");
    db.write(|c| save(c, &found));
    assert!(db.read(|c| lockouts::find(c, &odd)).is_some());
    assert_eq!(db.read(|c| lockouts::list_matching(c, Some("a\0b"), None)).len(), 1);
}
