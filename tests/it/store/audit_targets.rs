//! Targets of the audit: leases, places, and the batches that follow a place.
use super::{Fresh, at, id, on_both};
use nightlatch::{
    domain::audit::{
        Actor, AuditEntry, Event,
        seal::Seal,
        shipping::{ShippingPlace, TargetName},
    },
    store::audit::{
        self, seals,
        shipping::{self as rows, ShippingStep},
    },
};

on_both!(
    one_instance_at_a_time_has_a_target,
    only_the_holder_of_the_last_lease_moves_a_place,
    faults_are_counted_until_something_is_confirmed,
    batches_follow_one_another_over_seals,
    removed_seals_are_counted_once,
);

fn siem() -> TargetName {
    TargetName::parse("siem").unwrap()
}

fn step(seal: i64, records: i64) -> ShippingStep {
    ShippingStep {
        place: ShippingPlace::after_seal(seal),
        records,
        missed_seals: 0,
    }
}

fn one_instance_at_a_time_has_a_target(db: &Fresh) {
    db.write(|c| rows::insert(c, &siem(), 3));
    db.write(|c| rows::insert(c, &siem(), 9));
    assert_eq!(db.read(|c| rows::find(c, &siem())).unwrap().place.seal, 3);
    assert!(db.write(|c| rows::lease(c, &siem(), 0, at(10), at(40))));
    assert!(
        !db.write(|c| rows::lease(c, &siem(), 0, at(11), at(41))),
        "the number was used"
    );
    assert!(!db.write(|c| rows::lease(c, &siem(), 1, at(11), at(41))), "it is held");
    assert!(
        !db.write(|c| rows::lease(c, &siem(), 1, at(40), at(70))),
        "until its end"
    );
    assert!(
        db.write(|c| rows::lease(c, &siem(), 1, at(41), at(71))),
        "it has run out"
    );
    db.write(|c| rows::release(c, &siem(), 1));
    assert!(
        !db.write(|c| rows::lease(c, &siem(), 2, at(42), at(72))),
        "another's release"
    );
    db.write(|c| rows::release(c, &siem(), 2));
    assert!(db.write(|c| rows::lease(c, &siem(), 2, at(42), at(72))));
    assert!(
        db.write(|c| rows::lease(c, &siem(), 3, at(1), at(31))),
        "the clock was set back"
    );
}

fn only_the_holder_of_the_last_lease_moves_a_place(db: &Fresh) {
    db.write(|c| rows::insert(c, &siem(), 0));
    db.write(|c| rows::lease(c, &siem(), 0, at(10), at(40)));
    db.write(|c| rows::lease(c, &siem(), 1, at(41), at(71)));
    assert!(!db.write(|c| rows::advance(c, &siem(), 1, &step(5, 7), at(42), at(72))));
    assert!(db.write(|c| rows::advance(c, &siem(), 2, &step(2, 4), at(42), at(72))));
    db.write(|c| rows::record_fault(c, &siem(), 1, "late", at(43), at(44)));
    let state = db.read(|c| rows::find(c, &siem())).unwrap();
    assert_eq!(
        (state.place.seal, state.shipped, state.shipped_at),
        (2, 4, Some(at(42)))
    );
    assert_eq!((state.fault, state.leased_until), (None, Some(at(72))));
}

fn faults_are_counted_until_something_is_confirmed(db: &Fresh) {
    db.write(|c| rows::insert(c, &siem(), 0));
    for lease in 1..=3 {
        assert!(db.write(|c| rows::lease(c, &siem(), lease - 1, at(10 * lease), at(10 * lease + 30))));
        db.write(|c| rows::record_fault(c, &siem(), lease, "away", at(10 * lease), at(10 * lease + 1)));
    }
    let state = db.read(|c| rows::find(c, &siem())).unwrap();
    assert_eq!((state.failures, state.fault_at), (3, Some(at(10))));
    assert_eq!((state.fault.as_deref(), state.retry_at), (Some("away"), Some(at(31))));
    db.write(|c| rows::lease(c, &siem(), 3, at(40), at(70)));
    db.write(|c| rows::advance(c, &siem(), 4, &step(1, 1), at(40), at(70)));
    let state = db.read(|c| rows::find(c, &siem())).unwrap();
    assert_eq!(
        (state.failures, state.fault_at, state.fault, state.retry_at),
        (0, None, None, None)
    );
}

/// Writes so many entries under each of so many seals.
fn seal(db: &Fresh, sizes: &[u128]) {
    let entry = AuditEntry::new(Event::SignOut, Actor::System);
    let mut next = 1;
    for size in sizes {
        for number in next..next + size {
            db.write(|c| audit::insert(c, id(number), at(1), &entry));
        }
        next += size;
        db.write(|c| {
            let newest = seals::find_newest(c)?;
            let after = newest.as_ref().map(|seal| seal.last);
            let entries = seals::list_entries(c, after, id(next), 100)?;
            seals::insert(c, &Seal::seal_entries(newest.as_ref(), &entries, at(2)).unwrap())
        });
    }
}

fn batches_follow_one_another_over_seals(db: &Fresh) {
    seal(db, &[3, 1, 2]);
    for limit in 1..=7 {
        let (mut place, mut found) = (ShippingPlace::default(), Vec::new());
        loop {
            let batch = db.read(|c| rows::read_batch(c, place, limit));
            let waiting = db.read(|c| rows::measure_lag(c, place)).0;
            assert_eq!(waiting as usize, 6 - found.len(), "limit {limit}");
            assert!(batch.records.len() <= limit && batch.missed_seals == 0);
            if batch.end == place {
                break;
            }
            if let Some(last) = batch.records.last() {
                assert_eq!(last.place_after(), batch.end);
            }
            found.extend(
                batch
                    .records
                    .iter()
                    .map(|record| (record.seal.number, record.position, record.record.id)),
            );
            place = batch.end;
        }
        let expected = [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2)];
        let expected: Vec<_> = expected
            .iter()
            .zip(1..)
            .map(|((seal, place), n)| (*seal, *place, id(n)))
            .collect();
        assert_eq!(found, expected, "limit {limit}");
        assert_eq!(place, ShippingPlace::after_seal(3));
    }
}

fn removed_seals_are_counted_once(db: &Fresh) {
    seal(db, &[2, 2, 1, 1]);
    let all = db.read(|c| seals::list(c, 0, 10));
    // Within the first seal, when retention removes it and the next one.
    let place = db.read(|c| rows::read_batch(c, ShippingPlace::default(), 1)).end;
    assert_eq!(place.position, 1);
    db.write(|c| seals::remove_through(c, &all[1]));
    let batch = db.read(|c| rows::read_batch(c, place, 1));
    assert_eq!((batch.missed_seals, batch.records.len()), (2, 1));
    assert_eq!(batch.end, ShippingPlace::after_seal(3));
    let batch = db.read(|c| rows::read_batch(c, batch.end, 10));
    assert_eq!((batch.missed_seals, batch.records[0].position), (0, 1));
}
