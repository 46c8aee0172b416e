//! The outbox: leases, their results, and which lease may report.
use super::{Fresh, at, id, on_both};
use nightlatch::{
    domain::{
        account::AccountId,
        mail::{EmailFilter, EmailState, NewEmail, OutboxEmail},
    },
    store::outbox::{self, LeaseOutcome},
};

on_both!(
    a_key_is_queued_once,
    an_email_has_one_holder_at_a_time,
    only_the_latest_lease_says_what_came_of_it,
    bodies_go_when_an_email_is_done_with,
    an_abandoned_email_can_be_retried_while_its_text_exists,
    pages_follow_one_another,
    the_emails_of_an_account_are_taken_back_by_kind,
    discarded_emails_are_forgotten_after_their_retention,
);

fn email(number: u32) -> NewEmail {
    NewEmail {
        id: id(u128::from(number) + 1),
        kind: "test".to_owned(),
        account: None,
        recipient: format!("ada{number}@example.org"),
        recipient_name: "Ada".to_owned(),
        subject: "Hello".to_owned(),
        body: "{}".to_owned(),
        secret: false,
        message_id: format!("<{number}@example.org>"),
        dedupe: None,
        queued_at: at(i64::from(number)),
        give_up_at: at(10_000),
    }
}

fn a_key_is_queued_once(db: &Fresh) {
    let keyed = |number, key: &str| NewEmail {
        dedupe: Some(key.to_owned()),
        ..email(number)
    };
    assert!(db.write(|c| outbox::queue(c, &keyed(1, "expiry"))));
    assert!(!db.write(|c| outbox::queue(c, &keyed(2, "expiry"))));
    assert!(db.write(|c| outbox::queue(c, &keyed(3, "other"))));
    assert!(db.write(|c| outbox::queue(c, &email(4))));
    assert!(db.write(|c| outbox::queue(c, &email(5))));
    assert_eq!(db.read(|c| outbox::count(c, None)), 4);
}

fn an_email_has_one_holder_at_a_time(db: &Fresh) {
    for number in 0..20 {
        db.write(|c| outbox::queue(c, &email(number)));
    }
    let other = db.other();
    let claimed: Vec<_> = std::thread::scope(|scope| {
        let threads = [&db.store, &other, &db.store, &other].map(|store| {
            scope.spawn(move || {
                let mut mine = Vec::new();
                while let Some(email) = store
                    .write_now(|c| outbox::claim(c, at(100), at(160)))
                    .expect("a claim")
                {
                    assert_eq!(email.attempts, 1);
                    mine.push(email.id);
                }
                mine
            })
        });
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let distinct: std::collections::BTreeSet<_> = claimed.iter().collect();
    assert!(distinct.len() == claimed.len(), "none twice");
    // An instance that loses a race looks again in the next run of the job.
    let left = db.read(|c| outbox::has_due_email(c, at(100)));
    assert!(!left || claimed.len() < 20);
    while db.write(|c| outbox::claim(c, at(100), at(160))).is_some() {}
    assert!(
        !db.read(|c| outbox::has_due_email(c, at(160))),
        "held to the end of the lease"
    );
    assert!(
        db.read(|c| outbox::has_due_email(c, at(161))),
        "a holder that died is replaced"
    );
}

fn only_the_latest_lease_says_what_came_of_it(db: &Fresh) {
    db.write(|c| outbox::queue(c, &email(1)));
    assert_eq!(db.write(|c| outbox::claim(c, at(0), at(60))), None, "not due yet");
    let slow = db.write(|c| outbox::claim(c, at(1), at(60))).expect("due");
    let second = db
        .write(|c| outbox::claim(c, at(61), at(120)))
        .expect("the lease ran out");
    assert_eq!((slow.id, slow.attempts, second.attempts), (second.id, 1, 2));
    assert!(!db.write(|c| outbox::settle(c, &slow, &LeaseOutcome::GivenUp, "late", at(62))));
    assert!(db.write(|c| outbox::settle(c, &second, &LeaseOutcome::Later(at(90)), "451 busy", at(62))));
    assert!(!db.read(|c| outbox::has_due_email(c, at(89))));
    let third = db.write(|c| outbox::claim(c, at(90), at(120))).expect("due again");
    assert_eq!(third.words, "451 busy");
    assert!(db.write(|c| outbox::settle(c, &third, &LeaseOutcome::Sent, "250 ok", at(91))));
    assert!(
        !db.write(|c| outbox::settle(c, &third, &LeaseOutcome::Sent, "250 ok", at(92))),
        "once"
    );
    let done = db.read(|c| outbox::find(c, third.id)).expect("there");
    assert_eq!(
        (done.state, done.finished_at, done.words.as_str()),
        (EmailState::Sent, Some(at(91)), "250 ok")
    );
}

fn bodies_go_when_an_email_is_done_with(db: &Fresh) {
    let outcomes = [
        (1, true, LeaseOutcome::Sent, false),
        (2, false, LeaseOutcome::Sent, false),
        (3, true, LeaseOutcome::GivenUp, false),
        (4, false, LeaseOutcome::GivenUp, true),
        (5, true, LeaseOutcome::Later(at(200)), true),
    ];
    for (number, secret, outcome, kept) in outcomes {
        let queued = NewEmail {
            secret,
            ..email(number)
        };
        db.write(|c| outbox::queue(c, &queued));
        let claimed = db.write(|c| outbox::claim(c, at(100), at(160))).expect("due");
        assert_eq!(claimed.id, queued.id);
        db.write(|c| outbox::settle(c, &claimed, &outcome, "", at(101)));
        let body = db.read(|c| outbox::find(c, queued.id)).expect("there").body;
        assert_eq!(body.is_some(), kept, "{number}");
    }
    let waiting = id(6);
    assert!(db.write(|c| outbox::discard(c, waiting, at(102))), "still queued");
    assert_eq!(db.read(|c| outbox::find(c, waiting)).expect("there").body, None);
    assert!(!db.write(|c| outbox::discard(c, waiting, at(103))), "once");
    assert!(!db.write(|c| outbox::discard(c, id(2), at(103))), "it was sent");
}

fn an_abandoned_email_can_be_retried_while_its_text_exists(db: &Fresh) {
    for (number, secret) in [(1, false), (2, true)] {
        db.write(|c| {
            outbox::queue(
                c,
                &NewEmail {
                    secret,
                    ..email(number)
                },
            )
        });
        let claimed = db.write(|c| outbox::claim(c, at(100), at(160))).expect("due");
        db.write(|c| outbox::settle(c, &claimed, &LeaseOutcome::GivenUp, "550 no", at(101)));
    }
    assert!(db.write(|c| outbox::retry(c, id(2), at(200), at(900))));
    assert!(
        !db.write(|c| outbox::retry(c, id(3), at(200), at(900))),
        "its words are gone"
    );
    let again = db.write(|c| outbox::claim(c, at(200), at(260))).expect("due at once");
    assert_eq!((again.id, again.give_up_at, again.attempts), (id(2), at(900), 2));
    assert!(
        !db.write(|c| outbox::retry(c, id(2), at(201), at(900))),
        "it is on its way"
    );
    assert!(
        !db.write(|c| outbox::retry(c, id(99), at(201), at(900))),
        "no such email"
    );
}

fn pages_follow_one_another(db: &Fresh) {
    for number in 0..5 {
        db.write(|c| outbox::queue(c, &email(number)));
    }
    let filter = EmailFilter {
        limit: 2,
        ..EmailFilter::default()
    };
    let ids = |items: &[OutboxEmail]| items.iter().map(|email| email.id).collect::<Vec<_>>();
    let first = db.read(|c| outbox::list(c, &filter));
    assert_eq!(
        (ids(&first.items), first.newer, first.older),
        (vec![id(5), id(4)], false, true)
    );
    let place = (first.items[1].queued_at, first.items[1].id);
    let second = db.read(|c| {
        outbox::list(
            c,
            &EmailFilter {
                after: Some(place),
                ..filter.clone()
            },
        )
    });
    assert_eq!(
        (ids(&second.items), second.newer, second.older),
        (vec![id(3), id(2)], true, true)
    );
    let place = (second.items[0].queued_at, second.items[0].id);
    let back = db.read(|c| {
        outbox::list(
            c,
            &EmailFilter {
                before: Some(place),
                ..filter.clone()
            },
        )
    });
    assert_eq!(
        (ids(&back.items), back.newer, back.older),
        (vec![id(5), id(4)], false, true)
    );
    let sent = EmailFilter {
        state: Some(EmailState::Sent),
        ..filter
    };
    assert_eq!(db.read(|c| outbox::list(c, &sent)).items, []);
}

fn the_emails_of_an_account_are_taken_back_by_kind(db: &Fresh) {
    let (ada, bob) = (AccountId(id(70)), AccountId(id(71)));
    for (number, account, kind) in [(1, ada, "reset"), (2, ada, "notice"), (3, bob, "reset")] {
        let queued = NewEmail {
            account: Some(account),
            kind: kind.to_owned(),
            ..email(number)
        };
        db.write(|c| outbox::queue(c, &queued));
    }
    assert_eq!(db.write(|c| outbox::discard_of_account(c, ada, &["reset"], at(5))), 1);
    assert_eq!(db.read(|c| outbox::count(c, Some(EmailState::Queued))), 2);
    assert_eq!(
        db.read(|c| outbox::find(c, id(2))).expect("there").state,
        EmailState::Discarded
    );
}

fn discarded_emails_are_forgotten_after_their_retention(db: &Fresh) {
    for number in 1..=2 {
        db.write(|c| outbox::queue(c, &email(number)));
    }
    db.write(|c| outbox::discard(c, id(2), at(50)));
    assert_eq!(db.write(|c| outbox::purge(c, at(50), 10)), 0);
    assert_eq!(db.write(|c| outbox::purge(c, at(51), 10)), 1);
    assert_eq!(db.read(|c| outbox::count(c, None)), 1, "what waits stays");
}
