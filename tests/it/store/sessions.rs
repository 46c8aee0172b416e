//! Sessions and tokens: no late write brings an ended session back, and lists agree with counts.
use super::{Fresh, account, at, id, ip, on_both, session, token};
use nightlatch::{
    domain::{
        account::{Account, Role},
        factor::{Proof, Proofs},
        network::parse_filter,
        policy::{Key, Scope, Value},
        session::{
            AccountState, Binding, EndCause, EndReason, LiveSessionFacts, Session, SessionCursor, SessionFilter,
            SessionId, SessionListState, SessionToken, SweepBounds,
        },
        time::{Span, Timestamp},
    },
    store::{StoreError, accounts, sessions},
};

on_both!(
    a_session_comes_back_as_it_was_written,
    a_session_of_nobody_is_refused,
    a_session_ends_once_and_keeps_its_first_reason,
    a_late_touch_never_revives,
    a_touch_only_raises,
    many_touches_at_once_do_not_deadlock,
    nothing_late_changes_an_ended_session,
    a_rebind_is_remembered_while_live,
    a_proof_is_noted_while_live,
    a_token_rotates_once,
    killing_tokens_spares_one,
    applications_are_entered_once,
    live_sessions_of_an_account_come_least_active_first,
    the_concurrent_limit_is_decided_one_after_the_other,
    pages_agree_with_the_count_under_every_filter,
    equal_instants_page_by_id,
    filters_find_what_they_say,
    a_wide_network_finds_what_a_narrow_one_does,
    all_matching_means_what_the_count_says,
    many_accounts_are_found_as_few_are,
    a_count_stops_at_its_cap,
    a_walk_sees_every_live_session_once_with_its_owner,
    a_walk_tells_the_standing_of_the_owner,
    sweep_candidates_are_those_beyond_a_bound,
    the_past_is_what_is_live_and_what_ended_since,
    arrivals_and_departures_are_counted_between_instants,
    ended_sessions_are_purged_oldest_first,
);

fn a_session_comes_back_as_it_was_written(db: &Fresh) {
    let ada = db.with_account("Ada");
    let mut plain = session(&ada, 1);
    plain.tokens.clear();
    let full = Session {
        ip: ip("2001:db8::7"),
        binding: Binding {
            user_agent: Some("Firefox".into()),
            accepted_v4: Some([192, 0, 2, 9].into()),
            accepted_v6: Some("2001:db8::7".parse().expect("an address")),
            changes: 3,
            first_change_at: Some(at(30)),
        },
        applications: vec!["files".into(), "wiki".into()],
        ended_at: Some(at(40)),
        end_reason: Some(EndReason::NetworkAllowance),
        ended_by: Some("Ada".into()),
        end_cause: Some(cause()),
        proved_at: at(8),
        proofs: Proofs::PASSWORD.with(Proof::Totp),
        tokens: vec![
            SessionToken {
                host: "wiki.example.org".into(),
                rotated: Some((at(31), ip("192.0.2.9"), ip("2001:db8::7"))),
                proofs: Some(Proofs::PASSWORD),
                ..token("a")
            },
            SessionToken {
                killed_at: Some(at(32)),
                issued_at: at(31),
                ..token("b")
            },
        ],
        ..session(&ada, 2)
    };
    for written in [plain, full] {
        db.write(|c| sessions::insert(c, &written));
        assert_eq!(db.read(|c| sessions::find(c, written.id)), Some(written.clone()));
        for token in &written.tokens {
            assert_eq!(
                db.read(|c| sessions::find_by_digest(c, &token.digest)),
                Some(written.clone())
            );
        }
    }
    assert_eq!(db.read(|c| sessions::find(c, SessionId(id(99)))), None);
    assert_eq!(db.read(|c| sessions::find_by_digest(c, "unknown")), None);
    assert_eq!(db.read(|c| sessions::find_by_digest(c, "nul\0")), None);
}

/// Why a session ended: half an hour without activity in an application.
fn cause() -> EndCause {
    EndCause {
        setting: Some(Key::AuthIdleSessionTimeout),
        scope: Some(Scope::Application("wiki".into())),
        limit: Some(Value::Number(1800)),
        due_at: Some(at(39)),
        window_close_grace: None,
        last_active_at: at(30),
        policy_revision: 7,
        refused_client: Some("203.0.113.9".to_owned()),
    }
}

fn a_session_of_nobody_is_refused(db: &Fresh) {
    let refused = db.refused(|c| sessions::insert(c, &session(&account("nobody"), 1)));
    assert!(matches!(refused, StoreError::NotFound(_)), "{refused:?}");
}

/// A live session of a new account.
fn live(db: &Fresh) -> Session {
    let session = session(&db.with_account("Ada"), 1);
    db.write(|c| sessions::insert(c, &session));
    session
}

fn read(db: &Fresh, id: SessionId) -> Session {
    db.read(|c| sessions::find(c, id)).expect("the session is there")
}

fn a_session_ends_once_and_keeps_its_first_reason(db: &Fresh) {
    let session = live(db);
    assert!(db.write(|c| sessions::end(c, session.id, EndReason::Idle, at(10), None, Some(&cause()))));
    assert!(!db.write(|c| sessions::end(c, session.id, EndReason::Revoked, at(11), Some("boss"), None)));
    assert!(!db.write(|c| sessions::end(c, SessionId(id(99)), EndReason::Revoked, at(11), None, None)));
    let ended = read(db, session.id);
    assert_eq!(
        (ended.ended_at, ended.end_reason, ended.ended_by, ended.end_cause),
        (Some(at(10)), Some(EndReason::Idle), None, Some(cause()))
    );

    let ada = db.with_account("Grace");
    let other = super::session(&ada, 2);
    db.write(|c| sessions::insert(c, &other));
    // One of two parallel calls ends it.
    let done: Vec<bool> = std::thread::scope(|scope| {
        let ending = |by: &'static str| {
            move || db.write(|c| sessions::end(c, other.id, EndReason::Revoked, at(12), Some(by), None))
        };
        let threads = [scope.spawn(ending("one")), scope.spawn(ending("two"))];
        threads.map(|thread| thread.join().expect("no panic")).into()
    });
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
}

fn a_late_touch_never_revives(db: &Fresh) {
    let session = live(db);
    db.write(|c| sessions::end(c, session.id, EndReason::Revoked, at(10), Some("boss"), None));
    let before = read(db, session.id);
    db.write(|c| sessions::touch_many(c, &[(session.id, at(100), at(100))]));
    assert_eq!(read(db, session.id), before);

    // Also if the end is in progress when the touch arrives: the touch waits, then does nothing.
    let other = super::session(&db.with_account("Grace"), 2);
    db.write(|c| sessions::insert(c, &other));
    let (ending, touching) = (std::sync::Barrier::new(2), &db.other());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.write(|c| {
                sessions::end(c, other.id, EndReason::Revoked, at(10), None, None)?;
                ending.wait();
                std::thread::sleep(std::time::Duration::from_millis(100));
                Ok(())
            });
        });
        scope.spawn(|| {
            ending.wait();
            let touch = [(other.id, at(100), at(100))];
            touching
                .write_now(|c| sessions::touch_many(c, &touch))
                .expect("the touch is let through");
        });
    });
    let ended = read(db, other.id);
    assert_eq!(
        (ended.ended_at, ended.last_active_at),
        (Some(at(10)), other.last_active_at)
    );
}

fn a_touch_only_raises(db: &Fresh) {
    let session = live(db);
    let instants = |db: &Fresh| {
        let session = read(db, session.id);
        (session.last_active_at, session.last_seen_at)
    };
    db.write(|c| sessions::touch_many(c, &[(session.id, at(5), at(9))]));
    assert_eq!(instants(db), (at(5), at(9)));
    db.write(|c| sessions::touch_many(c, &[(session.id, at(4), at(8))]));
    assert_eq!(instants(db), (at(5), at(9)));
    db.write(|c| sessions::touch_many(c, &[(session.id, at(4), at(10))]));
    assert_eq!(instants(db), (at(5), at(10)));
    // The same session twice in one flush: the latest of each counts.
    let twice = [
        (session.id, at(7), at(20)),
        (session.id, at(20), at(8)),
        (SessionId(id(99)), at(1), at(1)),
    ];
    db.write(|c| sessions::touch_many(c, &twice));
    assert_eq!(instants(db), (at(20), at(20)));
    db.write(|c| sessions::touch_many(c, &[]));
}

fn many_touches_at_once_do_not_deadlock(db: &Fresh) {
    let ada = db.with_account("Ada");
    let written: Vec<Session> = (0..200).map(|number| session(&ada, number)).collect();
    db.write(|c| written.iter().try_for_each(|session| sessions::insert(c, session)));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let mut touched: Vec<_> = written
                .iter()
                .map(|s| (s.id, at(1000 + thread), at(1000 + thread)))
                .collect();
            if thread % 2 == 0 {
                touched.reverse();
            }
            scope.spawn(move || {
                for _ in 0..10 {
                    db.write(|c| sessions::touch_many(c, &touched));
                }
            });
        }
    });
    assert_eq!(read(db, written[0].id).last_active_at, at(1003));
}

fn nothing_late_changes_an_ended_session(db: &Fresh) {
    let session = live(db);
    db.write(|c| sessions::end(c, session.id, EndReason::SignedOut, at(10), None, None));
    let before = read(db, session.id);
    assert!(!db.write(|c| sessions::rebind(
        c,
        session.id,
        &Binding::at_sign_in(ip("198.51.100.1"), None),
        ip("198.51.100.1")
    )));
    db.write(|c| {
        sessions::set_ip(c, session.id, ip("198.51.100.1"))?;
        sessions::enter_application(c, session.id, "wiki")
    });
    assert_eq!(
        db.refused(|c| sessions::add_token(c, session.id, &token("late"))),
        StoreError::NotFound("live session")
    );
    assert_eq!(read(db, session.id), before);
}

fn a_proof_is_noted_while_live(db: &Fresh) {
    let session = live(db);
    assert!(db.write(|c| sessions::add_proofs(c, session.id, Proofs::PASSWORD, Some(at(20)))));
    assert_eq!(read(db, session.id).proved_at, at(20));
    db.write(|c| sessions::end(c, session.id, EndReason::SignedOut, at(30), None, None));
    assert!(!db.write(|c| sessions::add_proofs(c, session.id, Proofs::PASSWORD, Some(at(40)))));
    assert_eq!(read(db, session.id).proved_at, at(20));
}

fn a_rebind_is_remembered_while_live(db: &Fresh) {
    let session = live(db);
    let binding = Binding {
        user_agent: Some("Firefox".into()),
        accepted_v4: None,
        accepted_v6: Some("2001:db8::1".parse().expect("an address")),
        changes: 1,
        first_change_at: Some(at(50)),
    };
    assert!(db.write(|c| sessions::rebind(c, session.id, &binding, ip("2001:db8::1"))));
    let read = read(db, session.id);
    assert_eq!((read.binding, read.ip), (binding, ip("2001:db8::1")));
    assert_eq!(read.signed_in_ip, session.signed_in_ip);
    db.write(|c| sessions::set_ip(c, session.id, ip("192.0.2.77")));
    assert_eq!(super::sessions::read(db, session.id).ip, ip("192.0.2.77"));
}

fn a_token_rotates_once(db: &Fresh) {
    let session = live(db);
    let rotate =
        |digest: &str| db.write(|c| sessions::mark_rotated(c, digest, at(9), ip("192.0.2.1"), ip("192.0.2.2")));
    assert!(rotate("token-1"));
    assert!(!rotate("token-1"));
    assert!(!rotate("unknown"));
    let next = SessionToken {
        issued_at: at(9),
        ..token("next")
    };
    db.write(|c| sessions::add_token(c, session.id, &next));
    db.write(|c| sessions::set_cookie_form(c, "next", "v2"));
    let tokens = read(db, session.id).tokens;
    assert_eq!(tokens[0].rotated, Some((at(9), ip("192.0.2.1"), ip("192.0.2.2"))));
    assert_eq!(
        tokens[1],
        SessionToken {
            cookie_form: "v2".into(),
            ..next
        }
    );
    db.write(|c| sessions::revoke_tokens(c, session.id, at(10), None));
    assert!(!rotate("next"), "a killed one is not rotated");
}

fn killing_tokens_spares_one(db: &Fresh) {
    let session = live(db);
    db.write(|c| sessions::add_token(c, session.id, &token("kept")));
    db.write(|c| sessions::revoke_tokens(c, session.id, at(10), Some("kept")));
    db.write(|c| sessions::revoke_tokens(c, session.id, at(20), Some("kept")));
    let killed = |digest: &str| {
        let session = db
            .read(|c| sessions::find_by_digest(c, digest))
            .expect("a killed token still names its session");
        session
            .tokens
            .iter()
            .find(|token| token.digest == digest)
            .and_then(|token| token.killed_at)
    };
    assert_eq!((killed("token-1"), killed("kept")), (Some(at(10)), None));
}

fn applications_are_entered_once(db: &Fresh) {
    let session = live(db);
    for name in ["wiki", "files", "wiki"] {
        db.write(|c| sessions::enter_application(c, session.id, name));
    }
    assert_eq!(read(db, session.id).applications, ["files", "wiki"]);
}

fn live_sessions_of_an_account_come_least_active_first(db: &Fresh) {
    let (ada, grace) = (db.with_account("Ada"), db.with_account("Grace"));
    for (account, number) in [(&ada, 3), (&ada, 1), (&grace, 2), (&ada, 4)] {
        db.write(|c| sessions::insert(c, &session(account, number)));
    }
    db.write(|c| sessions::end(c, session(&ada, 4).id, EndReason::Ttl, at(9), None, None));
    let live = db.read(|c| sessions::list_live_of_account(c, ada.id));
    assert_eq!(live, [session(&ada, 1), session(&ada, 3)]);
    assert_eq!(db.read(sessions::count_live), 3);
}

fn the_concurrent_limit_is_decided_one_after_the_other(db: &Fresh) {
    let ada = db.with_account("Ada");
    std::thread::scope(|scope| {
        for number in 0..4 {
            let ada = &ada;
            scope.spawn(move || {
                db.write(|c| {
                    sessions::lock_account_sessions(c, ada.id)?;
                    if sessions::list_live_of_account(c, ada.id)?.is_empty() {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        sessions::insert(c, &session(ada, number))?;
                    }
                    Ok(())
                });
            });
        }
    });
    assert_eq!(db.read(sessions::count_live), 1);
}

/// 90 sessions of three accounts: every third ended, some flagged, in two applications and two
/// networks.
fn populate(db: &Fresh) -> [Account; 3] {
    let boss = Account {
        role: Role::Administrator,
        display_name: "100% boss".into(),
        ..account("Boss")
    };
    db.write(|c| accounts::insert(c, &boss));
    let people = [boss, db.with_account("Ada"), db.with_account("Grace")];
    db.write(|c| {
        for number in 0..90_u32 {
            let mut session = session(&people[(number / 7 % 3) as usize], number);
            if number % 3 == 0 {
                session.ended_at = Some(at(2000 - i64::from(number)));
                session.end_reason = Some(EndReason::Idle);
            }
            if number % 11 == 0 {
                session.binding.changes = 1;
            }
            if number % 2 == 0 {
                session.applications.push("wiki".into());
            }
            if number % 4 == 0 {
                session.ip = ip(&format!("2001:db8::{number:x}"));
            }
            sessions::insert(c, &session)?;
        }
        Ok(())
    });
    people
}

fn filters(people: &[Account; 3]) -> Vec<SessionFilter> {
    let mut filters = Vec::new();
    for state in [
        SessionListState::Active,
        SessionListState::Ended,
        SessionListState::Flagged,
        SessionListState::All,
    ] {
        let base = SessionFilter {
            state,
            ..SessionFilter::default()
        };
        filters.extend([
            base.clone(),
            SessionFilter {
                account: Some(people[1].id),
                ..base.clone()
            },
            SessionFilter {
                text: Some("A".into()),
                ..base.clone()
            },
            SessionFilter {
                text: Some("100%".into()),
                ..base.clone()
            },
            SessionFilter {
                network: parse_filter("192.0.2.0/25"),
                ..base.clone()
            },
            SessionFilter {
                network: parse_filter("2001:db8::/32"),
                ..base.clone()
            },
            SessionFilter {
                application: Some("wiki".into()),
                ..base.clone()
            },
            SessionFilter {
                role: Some(Role::Administrator),
                ..base.clone()
            },
            SessionFilter {
                role: Some(Role::Member),
                ..base.clone()
            },
            SessionFilter {
                idle_longer_than: Some(at(50)),
                ..base.clone()
            },
            SessionFilter {
                application: Some("wiki".into()),
                role: Some(Role::Member),
                network: parse_filter("::/0"),
                ..base
            },
        ]);
    }
    filters
}

/// All rows of a filter through pages of `limit`, there and back.
fn paged(db: &Fresh, filter: &SessionFilter, limit: i64) -> Vec<SessionCursor> {
    let mut pages: Vec<Vec<SessionCursor>> = Vec::new();
    let mut after = None;
    loop {
        let page = db.read(|c| {
            sessions::list(
                c,
                &SessionFilter {
                    after,
                    limit,
                    ..filter.clone()
                },
            )
        });
        assert_eq!(page.newer, after.is_some(), "{filter:?}");
        pages.push(page.items.iter().map(|row| row.cursor(filter.state)).collect());
        after = page.items.last().map(|row| row.cursor(filter.state));
        if !page.older {
            break;
        }
    }
    for (number, pair) in pages.windows(2).enumerate().rev() {
        let before = pair[1].first().copied();
        let page = db.read(|c| {
            sessions::list(
                c,
                &SessionFilter {
                    before,
                    limit,
                    ..filter.clone()
                },
            )
        });
        let back: Vec<SessionCursor> = page.items.iter().map(|row| row.cursor(filter.state)).collect();
        assert_eq!(back, pair[0], "{filter:?}");
        assert_eq!((page.newer, page.older), (number > 0, true));
    }
    pages.concat()
}

fn pages_agree_with_the_count_under_every_filter(db: &Fresh) {
    let people = populate(db);
    let mut some = 0;
    for filter in filters(&people) {
        let total = db.read(|c| sessions::count(c, &filter));
        for limit in [4, 100] {
            let rows = paged(db, &filter, limit);
            assert_eq!(rows.len() as i64, total, "{filter:?}");
            assert!(rows.is_sorted_by(|a, b| (a.at, a.id) > (b.at, b.id)), "{filter:?}");
        }
        some += i32::from(total > 0);
    }
    assert!(some > 40, "the filters find something: {some}");
    let all = SessionFilter {
        state: SessionListState::All,
        ..SessionFilter::default()
    };
    assert_eq!(db.read(|c| sessions::count(c, &all)), 90);
    assert_eq!(
        db.read(|c| sessions::count(c, &SessionFilter::default())),
        db.read(sessions::count_live)
    );
}

fn equal_instants_page_by_id(db: &Fresh) {
    let ada = db.with_account("Ada");
    db.write(|c| {
        for number in 0..20 {
            let ended_at = (number % 2 == 0).then(|| at(500));
            let end_reason = ended_at.map(|_| EndReason::Ttl);
            let equal = Session {
                last_active_at: at(100),
                ended_at,
                end_reason,
                ..session(&ada, number)
            };
            sessions::insert(c, &equal)?;
        }
        Ok(())
    });
    for (state, total) in [
        (SessionListState::Active, 10),
        (SessionListState::Ended, 10),
        (SessionListState::All, 20),
    ] {
        for limit in 1..7 {
            let rows = paged(
                db,
                &SessionFilter {
                    state,
                    ..SessionFilter::default()
                },
                limit,
            );
            assert_eq!(rows.len(), total);
            assert!(rows.is_sorted_by(|a, b| a.id > b.id));
        }
    }
}

fn filters_find_what_they_say(db: &Fresh) {
    let people = populate(db);
    let rows = |filter: SessionFilter| {
        let filter = SessionFilter { limit: 100, ..filter };
        db.read(|c| sessions::list(c, &filter)).items
    };
    // Number 0 is the latest that ended, number 87 the first: all by idleness.
    let ended = |since: Option<i64>, until: Option<i64>, reason: EndReason, state: SessionListState| {
        rows(SessionFilter {
            state,
            end_reason: Some(reason),
            ended_since: since.map(at),
            ended_until: until.map(at),
            ..SessionFilter::default()
        })
        .len()
    };
    assert_eq!(ended(None, None, EndReason::Idle, SessionListState::Ended), 30);
    assert_eq!(
        ended(Some(1997), Some(2000), EndReason::Idle, SessionListState::Ended),
        2
    );
    assert_eq!(ended(None, Some(1913), EndReason::Idle, SessionListState::All), 1);
    assert_eq!(ended(None, None, EndReason::Ttl, SessionListState::Ended), 0);
    assert_eq!(ended(None, None, EndReason::Idle, SessionListState::Active), 0);
    let none = SessionFilter::default();
    for row in rows(none.clone()) {
        assert!(row.session.ended_at.is_none() && row.session.tokens.is_empty());
        let owner = people
            .iter()
            .find(|account| account.id == row.session.account_id)
            .expect("a known account");
        assert_eq!((row.account_name, row.role), (owner.name.clone(), owner.role));
    }
    assert!(
        rows(SessionFilter {
            state: SessionListState::Ended,
            ..none.clone()
        })
        .iter()
        .all(|r| r.session.ended_at.is_some())
    );
    let flagged = rows(SessionFilter {
        state: SessionListState::Flagged,
        ..none.clone()
    });
    assert!(flagged.iter().all(|row| row.session.binding.changes > 0));
    assert_eq!(flagged.len(), (0..90).filter(|n| n % 3 != 0 && n % 11 == 0).count());
    let wiki = rows(SessionFilter {
        application: Some("wiki".into()),
        ..none.clone()
    });
    assert!(!wiki.is_empty() && wiki.iter().all(|row| row.session.applications == ["wiki"]));
    assert!(
        rows(SessionFilter {
            application: Some("wik%".into()),
            ..none.clone()
        })
        .is_empty()
    );
    let v6 = rows(SessionFilter {
        network: parse_filter("2001:db8::/64"),
        ..none.clone()
    });
    assert!(!v6.is_empty() && v6.iter().all(|row| row.session.ip.is_ipv6()));
    let one = rows(SessionFilter {
        network: parse_filter("192.0.2.5"),
        ..none.clone()
    });
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].session.ip, ip("192.0.2.5"));
    let boss = rows(SessionFilter {
        text: Some("BOSS".into()),
        ..none.clone()
    });
    assert!(!boss.is_empty() && boss.iter().all(|row| row.role == Role::Administrator));
    let idle = rows(SessionFilter {
        idle_longer_than: Some(at(10)),
        ..none
    });
    assert!(!idle.is_empty() && idle.iter().all(|row| row.session.last_active_at < at(10)));
}

fn a_wide_network_finds_what_a_narrow_one_does(db: &Fresh) {
    let ada = db.with_account("Ada");
    db.write(|c| {
        for number in 0..1100_u32 {
            let ip = ip(&format!("10.0.{}.{}", number / 256, number % 256));
            let applications = vec!["wiki".to_owned()];
            sessions::insert(
                c,
                &Session {
                    ip,
                    applications,
                    tokens: Vec::new(),
                    ..session(&ada, number)
                },
            )?;
        }
        Ok(())
    });
    // More than the store collects and sorts: answered by walking the list.
    for (network, total) in [
        ("10.0.0.0/8", 1100),
        ("10.0.0.0/22", 1024),
        ("10.0.4.0/24", 76),
        ("11.0.0.0/8", 0),
    ] {
        let filter = SessionFilter {
            network: parse_filter(network),
            limit: 10,
            ..SessionFilter::default()
        };
        assert_eq!(db.read(|c| sessions::count(c, &filter)), total, "{network}");
        assert_eq!(paged(db, &filter, 400).len() as i64, total, "{network}");
        let with_application = SessionFilter {
            application: Some("wiki".into()),
            ..filter
        };
        assert_eq!(db.read(|c| sessions::count(c, &with_application)), total, "{network}");
        assert_eq!(paged(db, &with_application, 400).len() as i64, total, "{network}");
    }
    let application = SessionFilter {
        application: Some("wiki".into()),
        ..SessionFilter::default()
    };
    assert_eq!(db.read(|c| sessions::count(c, &application)), 1100);
    db.write(|c| sessions::end(c, SessionId(id(1)), EndReason::Revoked, at(1), None, None));
    assert_eq!(db.read(|c| sessions::count(c, &application)), 1099);
    assert_eq!(paged(db, &application, 400).len(), 1099);
}

fn all_matching_means_what_the_count_says(db: &Fresh) {
    let people = populate(db);
    for filter in filters(&people) {
        let ids = db.read(|c| sessions::list_ids(c, &filter, 1000));
        assert_eq!(ids.len() as i64, db.read(|c| sessions::count(c, &filter)));
        assert!(db.read(|c| sessions::list_ids(c, &filter, 2)).len() <= 2);
    }
}

fn many_accounts_are_found_as_few_are(db: &Fresh) {
    // More than the store collects by id, of both roles.
    let people: Vec<Account> = (0..2100)
        .map(|number| {
            let role = if number % 2 == 0 {
                Role::Administrator
            } else {
                Role::Member
            };
            Account {
                role,
                ..account(&format!("user {number}"))
            }
        })
        .collect();
    db.write(|c| {
        for (account, number) in people.iter().zip(0..) {
            accounts::insert(c, account)?;
            sessions::insert(
                c,
                &Session {
                    tokens: Vec::new(),
                    ..session(account, number)
                },
            )?;
        }
        Ok(())
    });
    let none = SessionFilter::default;
    for (filter, total) in [
        (
            SessionFilter {
                text: Some("USER".into()),
                ..none()
            },
            2100,
        ),
        (
            SessionFilter {
                role: Some(Role::Member),
                ..none()
            },
            1050,
        ),
        (
            SessionFilter {
                role: Some(Role::Administrator),
                ..none()
            },
            1050,
        ),
        (
            SessionFilter {
                role: Some(Role::Member),
                text: Some("user".into()),
                ..none()
            },
            1050,
        ),
        (
            SessionFilter {
                role: Some(Role::Member),
                text: Some("r 1".into()),
                ..none()
            },
            556,
        ),
        (
            SessionFilter {
                role: Some(Role::Member),
                state: SessionListState::All,
                ..none()
            },
            1050,
        ),
    ] {
        assert_eq!(db.read(|c| sessions::count(c, &filter)), total, "{filter:?}");
        assert_eq!(paged(db, &filter, 400).len() as i64, total, "{filter:?}");
    }
}

fn a_count_stops_at_its_cap(db: &Fresh) {
    let people = populate(db);
    for filter in filters(&people) {
        let total = db.read(|c| sessions::count(c, &filter));
        let up_to = |cap| db.read(|c| sessions::count_up_to(c, &filter, cap));
        assert_eq!(up_to(total), (total, true), "{filter:?}");
        assert_eq!(up_to(1000), (total, true), "{filter:?}");
        if total > 0 {
            assert_eq!(up_to(total - 1), (total - 1, false), "{filter:?}");
        }
    }
}

fn sweep_candidates_are_those_beyond_a_bound(db: &Fresh) {
    let ada = db.with_account("Ada");
    // Two rounds: few candidates are found by their bounds, many (more than 1000) by walking the
    // ids.
    for (from, count) in [(0, 40_u32), (1000, 1300)] {
        db.write(|c| {
            for number in from..from + count {
                let offset = i64::from(number - from);
                let swept = Session {
                    signed_in_at: at(offset - 5000),
                    last_active_at: at(offset),
                    last_seen_at: at(offset + 100),
                    tokens: Vec::new(),
                    applications: vec!["wiki".into()],
                    ..session(&ada, number)
                };
                sessions::insert(c, &swept)?;
            }
            sessions::end(c, session(&ada, from).id, EndReason::Revoked, at(1), None, None)
        });
        let live = db.read(|c| sessions::list_live_page(c, None, 10_000));
        let all = Some(at(100_000));
        for bounds in [
            SweepBounds::default(),
            SweepBounds {
                signed_in_before: Some(at(20 - 5000)),
                ..SweepBounds::default()
            },
            SweepBounds {
                active_before: Some(at(20)),
                ..SweepBounds::default()
            },
            SweepBounds {
                seen_before: Some(at(120)),
                ..SweepBounds::default()
            },
            SweepBounds {
                signed_in_before: Some(at(3 - 5000)),
                active_before: Some(at(1)),
                seen_before: Some(at(130)),
            },
            SweepBounds {
                active_before: all,
                ..SweepBounds::default()
            },
            SweepBounds {
                signed_in_before: all,
                seen_before: all,
                ..SweepBounds::default()
            },
        ] {
            let beyond = |at: Timestamp, bound: Option<Timestamp>| bound.is_some_and(|bound| at < bound);
            let expected: Vec<SessionId> = live
                .iter()
                .filter(|s| {
                    beyond(s.life.signed_in_at, bounds.signed_in_before)
                        || beyond(s.life.last_active_at, bounds.active_before)
                        || beyond(s.life.last_seen_at, bounds.seen_before)
                })
                .map(|s| s.id)
                .collect();
            let mut found = Vec::new();
            loop {
                let page = db.read(|c| sessions::sweep_candidates(c, &bounds, found.last().copied(), 300));
                if page.is_empty() {
                    break;
                }
                assert!(
                    page.iter()
                        .all(|row| row.session.applications == ["wiki"] && row.account_name == "Ada")
                );
                found.extend(page.iter().map(|row| row.session.id));
            }
            assert_eq!(found, expected, "{bounds:?}");
        }
    }
}

fn a_walk_sees_every_live_session_once_with_its_owner(db: &Fresh) {
    populate(db);
    let mut seen: Vec<LiveSessionFacts> = Vec::new();
    loop {
        let page = db.read(|c| sessions::list_live_page(c, seen.last().map(|row| row.id), 7));
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert!(seen.is_sorted_by_key(|row| row.id));
    assert_eq!(seen.len() as i64, db.read(sessions::count_live));
    for row in seen {
        let session = read(db, row.id);
        let owner = db.read(|c| accounts::find(c, row.account_id)).expect("an owner");
        assert_eq!(session.ended_at, None);
        assert_eq!(
            (row.life, row.ip, &row.binding, &row.applications, row.account_id),
            (
                session.life(),
                session.ip,
                &session.binding,
                &session.applications,
                session.account_id
            )
        );
        assert_eq!((row.account_name, row.role), (owner.name, owner.role));
        assert_eq!(
            (
                row.password.changed_at,
                row.password.set_by_other,
                row.password.must_change
            ),
            (
                owner.password_changed_at,
                owner.password_set_by_other,
                owner.must_change_password
            )
        );
    }
}

fn a_walk_tells_the_standing_of_the_owner(db: &Fresh) {
    let mut ada = db.with_account("Ada");
    db.write(|c| sessions::insert(c, &session(&ada, 1)));
    let standing = || db.read(|c| sessions::list_live_page(c, None, 10))[0].account_state;
    assert_eq!(standing(), AccountState::Enabled);
    ada.expired_at = Some(at(5));
    db.write(|c| accounts::update(c, &ada));
    assert_eq!(standing(), AccountState::Expired);
    ada.disabled_at = Some(at(6));
    db.write(|c| accounts::update(c, &ada));
    assert_eq!(standing(), AccountState::Disabled);
}

fn the_past_is_what_is_live_and_what_ended_since(db: &Fresh) {
    let ada = db.with_account("Ada");
    for number in 0..9 {
        let one = Session {
            signed_in_at: at(i64::from(number)),
            ..session(&ada, number)
        };
        db.write(|c| sessions::insert(c, &one));
        if number % 3 > 0 {
            let ended_at = at(100 + i64::from(number));
            db.write(|c| sessions::end(c, one.id, EndReason::Ttl, ended_at, None, None));
        }
    }
    let past = |since, limit| {
        let (rows, more) = db.read(|c| sessions::list_live_since(c, since, limit));
        let numbers: Vec<i64> = rows
            .iter()
            .map(|row| row.session.signed_in_at.since(at(0)).as_secs())
            .collect();
        (numbers, more)
    };
    assert_eq!(past(at(0), 100), (vec![8, 7, 6, 5, 4, 3, 2, 1, 0], false));
    assert_eq!(
        past(at(105), 100),
        (vec![8, 7, 6, 5, 3, 0], false),
        "the instant itself counts"
    );
    assert_eq!(past(at(500), 100), (vec![6, 3, 0], false));
    assert_eq!(past(at(0), 9), (vec![8, 7, 6, 5, 4, 3, 2, 1, 0], false));
    assert_eq!(past(at(0), 4), (vec![8, 7, 6, 5], true));
    assert_eq!(past(at(500), 2), (vec![6, 3], true));
}

fn arrivals_and_departures_are_counted_between_instants(db: &Fresh) {
    let ada = db.with_account("Ada");
    // IDs contain when a session began, in whole milliseconds.
    let hour = |hours: i64| Timestamp::from_micros(at(hours * 3600).as_micros() - 1);
    let begin = |began: Timestamp, number: u8| {
        let millis = u64::try_from(began.as_micros() / 1000).expect("after 1970");
        let one = Session {
            id: SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &[number; 10]).into_uuid()),
            signed_in_at: began,
            ..session(&ada, u32::from(number))
        };
        db.write(|c| sessions::insert(c, &one));
        one.id
    };
    let end = |id, ended_at| db.write(|c| sessions::end(c, id, EndReason::Ttl, ended_at, None, None));
    begin(hour(-1), 1);
    let first = begin(hour(0), 0);
    let second = begin(hour(1).saturating_sub(Span::from_micros(1000)), 255);
    let third = begin(hour(1), 2);
    end(first, hour(1).saturating_sub(Span::from_micros(1)));
    end(second, hour(2));
    begin(hour(3), 7);
    let hours = [hour(0), hour(1), hour(2), hour(3)];
    let counted = |c: &mut _| sessions::count_turnover(c, &hours);
    assert_eq!(db.read(counted), [(2, 1), (1, 0), (0, 1)]);
    end(third, hour(2));
    assert_eq!(db.read(counted), [(2, 1), (1, 0), (0, 2)]);
    for few in [&hours[..0], &hours[..1]] {
        assert_eq!(db.read(|c| sessions::count_turnover(c, few)), []);
    }
}

fn ended_sessions_are_purged_oldest_first(db: &Fresh) {
    let ada = db.with_account("Ada");
    for number in 0..6 {
        db.write(|c| sessions::insert(c, &session(&ada, number)));
        if number < 5 {
            let ended = session(&ada, number).id;
            db.write(|c| sessions::end(c, ended, EndReason::Ttl, at(100 + i64::from(number)), None, None));
        }
    }
    assert_eq!(db.write(|c| sessions::purge_ended(c, at(104), 3)), 3);
    assert_eq!(db.write(|c| sessions::purge_ended(c, at(104), 3)), 1);
    assert_eq!(db.write(|c| sessions::purge_ended(c, at(104), 3)), 0);
    assert_eq!(db.read(|c| sessions::find_by_digest(c, "token-0")), None);
    let left = db.read(|c| {
        sessions::list(
            c,
            &SessionFilter {
                state: SessionListState::All,
                limit: 9,
                ..SessionFilter::default()
            },
        )
    });
    assert_eq!(left.items.len(), 2);
}
