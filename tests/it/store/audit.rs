//! The audit: written once, paged from the newest, searched within a window.
use super::{Fresh, account, at, id, ip, on_both};
use nightlatch::{
    domain::{
        audit::{
            Actor, AuditEntry, AuditFilter, AuditRecord, Event, EventOutcome, RequestOrigin,
            repeated::repetition_detail,
        },
        network::parse_filter,
        session::SessionId,
        time::Timestamp,
    },
    store::audit,
};
use uuid::Uuid;

on_both!(
    an_event_comes_back_as_it_was_written,
    many_are_written_at_once,
    pages_agree_with_the_count_under_every_filter,
    filters_find_what_they_say,
    a_count_stops_at_its_cap,
    a_search_looks_at_a_window_and_says_so,
    hours_are_counted,
    entries_are_found_by_account_and_by_session,
);

fn entry(event: Event) -> AuditEntry {
    AuditEntry {
        event,
        actor: Actor::System,
        account: None,
        session: None,
        origin: RequestOrigin::default(),
        application: None,
        outcome: EventOutcome::Success,
        reason: None,
        detail: serde_json::json!({}),
    }
}

fn an_event_comes_back_as_it_was_written(db: &Fresh) {
    let ada = account("Ada");
    let full = AuditEntry {
        event: Event::SessionEnded,
        actor: Actor::Account {
            id: ada.id,
            name: "Ada\0".into(),
        },
        account: Some((Some(ada.id), "Ada".into())),
        session: Some(SessionId(id(5))),
        origin: RequestOrigin {
            ip: Some(ip("2001:db8::1")),
            user_agent: Some("Firefox \"100%\"".into()),
            request_id: Some("r-1".into()),
        },
        application: Some("wiki".into()),
        outcome: EventOutcome::Failure,
        reason: Some("idle".into()),
        detail: serde_json::json!({"old": null, "new": ["ü", "\u{0}"]}),
    };
    db.write(|c| {
        audit::insert(c, id(1), at(1), &full)?;
        let cli = Actor::Cli { user: "root".into() };
        audit::insert(
            c,
            id(2),
            at(2),
            &AuditEntry {
                actor: cli,
                ..entry(Event::PolicyChanged)
            },
        )?;
        let account = Some((None, "nobody".to_owned()));
        audit::insert(
            c,
            id(3),
            at(3),
            &AuditEntry {
                actor: Actor::Anonymous,
                account,
                ..entry(Event::SignInRefused)
            },
        )
    });
    let row = db.read(|c| audit::find(c, id(1))).expect("it is there");
    // The security log contains the same as the database, except for what no database can store.
    let mut written = AuditRecord::new(id(1), at(1), &full);
    written.actor = "Ada\u{fffd}".into();
    assert_eq!(row, written);
    assert_eq!(
        (row.id, row.at, row.event, row.outcome),
        (id(1), at(1), Event::SessionEnded, EventOutcome::Failure)
    );
    assert_eq!(
        (row.actor.as_str(), row.actor_id, row.account_id),
        ("Ada\u{fffd}", Some(ada.id), Some(ada.id))
    );
    assert_eq!(
        (row.account.as_deref(), row.session_id, row.ip),
        (Some("Ada"), full.session, full.origin.ip)
    );
    assert_eq!(
        (row.user_agent, row.request_id),
        (full.origin.user_agent, full.origin.request_id)
    );
    assert_eq!(
        (row.application, row.reason, row.detail),
        (full.application, full.reason, full.detail)
    );
    let cli = db.read(|c| audit::find(c, id(2))).expect("it is there");
    assert_eq!((cli.actor.as_str(), cli.actor_id, cli.ip), ("cli:root", None, None));
    let stranger = db.read(|c| audit::find(c, id(3))).expect("it is there");
    assert_eq!(
        (
            stranger.actor.as_str(),
            stranger.account.as_deref(),
            stranger.account_id
        ),
        ("anonymous", Some("nobody"), None)
    );
    assert_eq!(db.read(|c| audit::find(c, id(9))), None);
}

/// `count` events, five per second, of four kinds, six accounts and three networks.
fn populate(db: &Fresh, count: u32) {
    let kinds = [
        Event::SignInAccepted,
        Event::SignInRefused,
        Event::SessionEnded,
        Event::PolicyChanged,
    ];
    let entries: Vec<(Uuid, Timestamp, AuditEntry)> = (0..count)
        .map(|number| {
            let person = account(&format!("User_{}", number % 6));
            let address = match number % 3 {
                0 => Some(ip(&format!("192.0.2.{}", number % 250))),
                1 => Some(ip(&format!("2001:db8::{number:x}"))),
                _ => None,
            };
            let entry = AuditEntry {
                actor: Actor::Account {
                    id: person.id,
                    name: person.name.clone(),
                },
                account: Some((Some(person.id), person.name)),
                origin: RequestOrigin {
                    ip: address,
                    user_agent: Some("Firefox".into()),
                    request_id: None,
                },
                outcome: if number % 5 == 0 {
                    EventOutcome::Failure
                } else {
                    EventOutcome::Success
                },
                reason: (number % 7 == 0).then(|| "100%".to_owned()),
                ..entry(kinds[(number % 4) as usize])
            };
            (id(u128::from(number) + 1), at(i64::from(number) / 5), entry)
        })
        .collect();
    db.write(|c| audit::insert_many(c, entries.iter().map(|(id, at, entry)| (*id, *at, entry))));
}

fn many_are_written_at_once(db: &Fresh) {
    populate(db, 1203);
    assert_eq!(
        db.read(|c| audit::count(c, &AuditFilter::default(), 5000)),
        (1203, true)
    );
    db.write(|c| audit::insert_many(c, []));
}

fn filters() -> Vec<AuditFilter> {
    let none = AuditFilter::default();
    vec![
        none.clone(),
        AuditFilter {
            events: vec![Event::SignInRefused],
            ..none.clone()
        },
        AuditFilter {
            events: vec![Event::SignInRefused, Event::PolicyChanged],
            ..none.clone()
        },
        AuditFilter {
            exclude_events: vec![Event::SignInRefused, Event::PolicyChanged],
            ..none.clone()
        },
        AuditFilter {
            actor: Some("USER_1".into()),
            ..none.clone()
        },
        AuditFilter {
            account: Some("user_2".into()),
            ..none.clone()
        },
        AuditFilter {
            account_id: Some(account("User_3").id),
            ..none.clone()
        },
        AuditFilter {
            network: parse_filter("192.0.2.0/24"),
            ..none.clone()
        },
        AuditFilter {
            network: parse_filter("2001:db8::/32"),
            outcome: Some(EventOutcome::Failure),
            ..none.clone()
        },
        AuditFilter {
            outcome: Some(EventOutcome::Failure),
            ..none.clone()
        },
        AuditFilter {
            since: Some(at(10)),
            until: Some(at(20)),
            ..none.clone()
        },
        AuditFilter {
            text: Some("user_4".into()),
            ..none.clone()
        },
        AuditFilter {
            text: Some("0%".into()),
            events: vec![Event::SessionEnded],
            ..none
        },
    ]
}

fn paged(db: &Fresh, filter: &AuditFilter, limit: i64) -> Vec<(Timestamp, Uuid)> {
    let mut pages: Vec<Vec<(Timestamp, Uuid)>> = Vec::new();
    let mut after = None;
    loop {
        let page = db.read(|c| {
            audit::list(
                c,
                &AuditFilter {
                    after,
                    limit,
                    ..filter.clone()
                },
            )
        });
        assert_eq!(page.newer, after.is_some());
        assert!(!page.truncated);
        pages.push(page.items.iter().map(|row| (row.at, row.id)).collect());
        after = page.items.last().map(|row| (row.at, row.id));
        if !page.older {
            break;
        }
    }
    for pair in pages.windows(2).rev() {
        let before = pair[1].first().copied();
        let page = db.read(|c| {
            audit::list(
                c,
                &AuditFilter {
                    before,
                    limit,
                    ..filter.clone()
                },
            )
        });
        assert_eq!(
            page.items.iter().map(|row| (row.at, row.id)).collect::<Vec<_>>(),
            pair[0],
            "{filter:?}"
        );
        assert!(page.older);
    }
    pages.concat()
}

fn pages_agree_with_the_count_under_every_filter(db: &Fresh) {
    populate(db, 240);
    for filter in filters() {
        let (total, exact) = db.read(|c| audit::count(c, &filter, 1000));
        assert!(exact && total > 1, "{filter:?}");
        let rows = paged(db, &filter, 9);
        assert_eq!(rows.len() as i64, total, "{filter:?}");
        assert!(rows.is_sorted_by(|a, b| a > b), "{filter:?}");
    }
}

fn filters_find_what_they_say(db: &Fresh) {
    populate(db, 240);
    let total = |filter: AuditFilter| db.read(|c| audit::count(c, &filter, 1000)).0;
    let none = AuditFilter::default();
    assert_eq!(
        total(AuditFilter {
            events: vec![Event::SignInRefused],
            ..none.clone()
        }),
        60
    );
    assert_eq!(
        total(AuditFilter {
            exclude_events: vec![Event::SignInRefused],
            ..none.clone()
        }),
        180
    );
    assert_eq!(
        total(AuditFilter {
            actor: Some("uSer_1".into()),
            ..none.clone()
        }),
        40
    );
    assert_eq!(
        total(AuditFilter {
            actor: Some("user_".into()),
            ..none.clone()
        }),
        0,
        "whole names only"
    );
    assert_eq!(
        total(AuditFilter {
            network: parse_filter("192.0.2.0/24"),
            ..none.clone()
        }),
        80
    );
    assert_eq!(
        total(AuditFilter {
            network: parse_filter("192.0.2.3"),
            ..none.clone()
        }),
        1
    );
    assert_eq!(
        total(AuditFilter {
            outcome: Some(EventOutcome::Failure),
            ..none.clone()
        }),
        48
    );
    assert_eq!(
        total(AuditFilter {
            since: Some(at(10)),
            until: Some(at(20)),
            ..none.clone()
        }),
        55,
        "both ends count"
    );
    assert_eq!(
        total(AuditFilter {
            text: Some("%".into()),
            ..none.clone()
        }),
        35
    );
    assert_eq!(
        total(AuditFilter {
            text: Some("r_5".into()),
            ..none.clone()
        }),
        40
    );
    assert_eq!(
        total(AuditFilter {
            text: Some("FIREFOX".into()),
            ..none.clone()
        }),
        240
    );
    assert_eq!(
        total(AuditFilter {
            text: Some("sign_in.acc".into()),
            ..none
        }),
        60
    );
}

fn a_count_stops_at_its_cap(db: &Fresh) {
    populate(db, 60);
    let none = AuditFilter::default();
    assert_eq!(db.read(|c| audit::count(c, &none, 59)), (59, false));
    assert_eq!(db.read(|c| audit::count(c, &none, 60)), (60, true));
    assert_eq!(db.read(|c| audit::count(c, &none, 0)), (0, false));
}

fn a_search_looks_at_a_window_and_says_so(db: &Fresh) {
    populate(db, 50_010);
    // Only the oldest eleven: ten of them outside of the newest 50 000.
    let oldest = AuditFilter {
        text: Some("user_".into()),
        until: Some(at(1)),
        limit: 100,
        ..AuditFilter::default()
    };
    let page = db.read(|c| audit::list(c, &oldest));
    assert_eq!(
        (page.items.len(), page.truncated),
        (10, false),
        "other filters narrow the window's rows first"
    );
    let all = AuditFilter {
        text: Some("user_0".into()),
        limit: 5,
        ..AuditFilter::default()
    };
    let page = db.read(|c| audit::list(c, &all));
    assert!(page.truncated && page.older);
    let (total, exact) = db.read(|c| audit::count(c, &all, 100_000));
    assert!(!exact);
    let within = (10..50_010).filter(|number| number % 6 == 0).count();
    assert_eq!(total, within as i64);
}

fn hours_are_counted(db: &Fresh) {
    // 08:00:00.000001 is `at(0)`.
    for (number, seconds) in [-1, 0, 3599, 3600, 3600, 10_800].into_iter().enumerate() {
        db.write(|c| audit::insert(c, id(number as u128 + 1), at(seconds), &entry(Event::SignInAccepted)));
    }
    db.write(|c| audit::insert(c, id(99), at(10), &entry(Event::SignInRefused)));
    let several = AuditEntry {
        detail: repetition_detail(21, at(0), at(59)),
        ..entry(Event::SignInRefused)
    };
    db.write(|c| audit::insert(c, id(98), at(70), &several));
    let hour = |hours: i64| Timestamp::from_micros(at(hours * 3600).as_micros() - 1);
    let hours = db.read(|c| audit::count_by_hour(c, Event::SignInAccepted, at(0)));
    assert_eq!(hours, [(hour(0), 2), (hour(1), 2), (hour(3), 1)]);
    let refused = db.read(|c| audit::count_by_hour(c, Event::SignInRefused, at(0)));
    assert_eq!(
        refused,
        [(hour(0), 22)],
        "an entry that stands for several counts as many"
    );
    assert_eq!(db.read(|c| audit::count_by_hour(c, Event::SignOut, at(0))), []);
}

fn entries_are_found_by_account_and_by_session(db: &Fresh) {
    populate(db, 60);
    let session = Some(SessionId(id(7)));
    db.write(|c| {
        audit::insert(
            c,
            id(1000),
            at(1),
            &AuditEntry {
                session,
                ..entry(Event::SessionOpened)
            },
        )
    });
    db.write(|c| {
        audit::insert(
            c,
            id(1001),
            at(2),
            &AuditEntry {
                session,
                ..entry(Event::SessionEnded)
            },
        )
    });
    let of_session = AuditFilter {
        session: Some(SessionId(id(7))),
        limit: 9,
        ..AuditFilter::default()
    };
    assert_eq!(db.read(|c| audit::count(c, &of_session, 9)), (2, true));
    let person = account("User_3").id;
    let rows = db.read(|c| audit::list_recent_of_account(c, person, 4));
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.account_id == Some(person)) && rows.is_sorted_by(|a, b| a.at > b.at));
    let rows = db.read(|c| audit::list(c, &of_session)).items;
    assert_eq!(
        rows.iter().map(|row| row.event).collect::<Vec<_>>(),
        [Event::SessionEnded, Event::SessionOpened]
    );
}
