//! Accounts, former passwords and known networks.
use super::{Fresh, account, at, on_both};
use nightlatch::{
    domain::{
        account::{Account, AccountFilter, AccountListState, ExpiryBounds, Role},
        network_groups::NetworkGroups,
        password::NEVER,
        reset::LinkKind,
        time::Span,
    },
    store::{
        StoreError, accounts,
        password_links::{self, PasswordLink},
    },
};

on_both!(
    an_account_comes_back_as_it_was_written,
    a_name_is_taken_once,
    an_update_changes_all_but_id_and_creation,
    an_update_or_delete_of_nobody_says_so,
    deleting_an_account_takes_its_passwords_networks_and_sessions_along,
    debug_shows_no_password_hash,
    usable_administrators_are_enabled_and_unexpired,
    two_demotions_at_once_leave_one_administrator,
    names_sort_by_code_point_on_every_collation,
    pages_agree_with_the_count_under_every_filter,
    text_is_found_anywhere_whatever_the_case_and_wildcards_are_text,
    states_and_roles_filter,
    expiry_candidates_are_usable_and_come_by_id,
    the_last_sign_in_and_the_last_end_only_rise,
    a_network_is_known_since_its_latest_sign_in,
    a_network_group_is_known_and_forgotten_as_one_network,
    former_passwords_are_kept_newest_first_and_cut,
    a_rehash_never_undoes_a_password_change,
    a_name_with_nul_is_nobodys,
);

fn an_account_comes_back_as_it_was_written(db: &Fresh) {
    let plain = db.with_account("Ada");
    let full = Account {
        display_name: "Grace Hopper".into(),
        email: Some("grace@example.org".into()),
        role: Role::Administrator,
        groups: vec!["ops".into(), "Büro \"3\"".into()],
        password_set_by_other: true,
        must_change_password: true,
        disabled_at: Some(at(1)),
        expires_at: Some(at(2)),
        expired_at: Some(at(3)),
        expired_by: Some("auth.expires_after".into()),
        last_sign_in_at: Some(at(4)),
        last_session_ended_at: Some(at(5)),
        ..account("Grace")
    };
    db.write(|c| accounts::insert(c, &full));
    assert_eq!(db.read(|c| accounts::find(c, plain.id)), Some(plain.clone()));
    assert_eq!(db.read(|c| accounts::find_by_name_key(c, "grace")), Some(full.clone()));
    // The same in a write, where the row is locked.
    assert_eq!(db.write(|c| accounts::find_by_name_key(c, "grace")), Some(full));
    assert_eq!(db.read(|c| accounts::find(c, account("Nobody").id)), None);
    assert_eq!(db.read(|c| accounts::find_by_name_key(c, "nobody")), None);
    assert_eq!(db.read(accounts::count_all), 2);
}

fn a_name_is_taken_once(db: &Fresh) {
    db.with_account("Ada");
    let same = Account {
        name: "ADA".into(),
        ..account("other")
    };
    let same = Account {
        name_key: "ada".into(),
        ..same
    };
    assert_eq!(
        db.refused(|c| accounts::insert(c, &same)),
        StoreError::Conflict("account name")
    );
    let grace = db.with_account("Grace");
    let renamed = Account {
        name_key: "ada".into(),
        ..grace
    };
    assert_eq!(
        db.refused(|c| accounts::update(c, &renamed)),
        StoreError::Conflict("account name")
    );
}

fn an_update_changes_all_but_id_and_creation(db: &Fresh) {
    let ada = db.with_account("Ada");
    let changed = Account {
        email: Some("ada@example.org".into()),
        role: Role::Administrator,
        disabled_at: Some(at(9)),
        created_at: at(1_000_000),
        password_hash: "another".into(),
        ..ada.clone()
    };
    db.write(|c| accounts::update(c, &changed));
    let read = db.read(|c| accounts::find(c, ada.id));
    assert_eq!(
        read,
        Some(Account {
            created_at: ada.created_at,
            ..changed.clone()
        })
    );
    // Back to empty: NULL is written, not skipped.
    db.write(|c| accounts::update(c, &ada));
    assert_eq!(db.read(|c| accounts::find(c, ada.id)), Some(ada));
}

fn an_update_or_delete_of_nobody_says_so(db: &Fresh) {
    let nobody = account("nobody");
    assert_eq!(
        db.refused(|c| accounts::update(c, &nobody)),
        StoreError::NotFound("account")
    );
    assert_eq!(
        db.refused(|c| accounts::delete(c, nobody.id)),
        StoreError::NotFound("account")
    );
}

fn deleting_an_account_takes_its_passwords_networks_and_sessions_along(db: &Fresh) {
    let ada = db.with_account("Ada");
    db.write(|c| {
        accounts::push_password(c, ada.id, "old", at(0), 5)?;
        accounts::record_sign_in(c, ada.id, "192.0.2.0/24", at(0))?;
        nightlatch::store::sessions::insert(c, &super::session(&ada, 1))
    });
    db.write(|c| accounts::delete(c, ada.id));
    assert_eq!(db.read(accounts::count_all), 0);
    assert_eq!(
        db.read(|c| accounts::list_passwords(c, ada.id, 5)),
        Vec::<String>::new()
    );
    assert!(!db.read(|c| accounts::knows_network(
        c,
        ada.id,
        "192.0.2.7".parse().unwrap(),
        &NetworkGroups::default(),
        at(0)
    )));
    assert_eq!(
        db.read(|c| nightlatch::store::sessions::find_by_digest(c, "token-1")),
        None
    );
}

fn debug_shows_no_password_hash(db: &Fresh) {
    let ada = db.with_account("Ada");
    let shown = format!("{ada:?} {:?}", db.read(|c| accounts::find(c, ada.id)));
    assert!(!shown.contains("secret-hash"), "{shown}");
    assert!(shown.contains("Ada"));
}

fn administrators(db: &Fresh) -> [Account; 2] {
    ["Ada", "Grace"].map(|name| {
        let administrator = Account {
            role: Role::Administrator,
            ..account(name)
        };
        db.write(|c| accounts::insert(c, &administrator));
        administrator
    })
}

fn usable_administrators_are_enabled_and_unexpired(db: &Fresh) {
    let [ada, grace] = administrators(db);
    db.with_account("Member");
    // The first password is unknown to everyone; the second works until the first second.
    for (name, until) in [("invited", NEVER), ("new", at(1))] {
        let administrator = Account {
            role: Role::Administrator,
            password_good_until: Some(until),
            ..account(name)
        };
        db.write(|c| accounts::insert(c, &administrator));
        assert_eq!(db.read(|c| accounts::find(c, administrator.id)), Some(administrator));
    }
    let late = at(1).saturating_add(Span::from_micros(1));
    for (now, usable) in [(at(0), 3), (at(1), 3), (late, 2)] {
        assert_eq!(
            db.read(|c| accounts::count_usable_administrators(c, None, now)),
            usable,
            "{now:?}"
        );
    }
    let new = account("new").id;
    db.write(|c| accounts::delete(c, new));
    assert_eq!(db.read(|c| accounts::count_usable_administrators(c, None, at(0))), 2);
    assert_eq!(
        db.read(|c| accounts::count_usable_administrators(c, Some(ada.id), at(0))),
        1
    );
    db.write(|c| {
        accounts::update(
            c,
            &Account {
                expired_at: Some(at(1)),
                ..grace
            },
        )
    });
    assert_eq!(
        db.read(|c| accounts::count_usable_administrators(c, Some(ada.id), at(0))),
        0
    );
    db.write(|c| {
        accounts::update(
            c,
            &Account {
                disabled_at: Some(at(1)),
                ..ada
            },
        )
    });
    assert_eq!(db.read(|c| accounts::count_usable_administrators(c, None, at(0))), 0);
}

fn two_demotions_at_once_leave_one_administrator(db: &Fresh) {
    let both = administrators(db);
    std::thread::scope(|scope| {
        for administrator in &both {
            scope.spawn(move || {
                db.write(|c| {
                    accounts::lock_administrators(c)?;
                    if accounts::count_usable_administrators(c, Some(administrator.id), at(0))? > 0 {
                        // Long enough for the other one to look, if it could.
                        std::thread::sleep(std::time::Duration::from_millis(50));
                        accounts::update(
                            c,
                            &Account {
                                role: Role::Member,
                                ..administrator.clone()
                            },
                        )?;
                    }
                    Ok(())
                });
            });
        }
    });
    assert_eq!(db.read(|c| accounts::count_usable_administrators(c, None, at(0))), 1);
}

fn names(db: &Fresh, filter: &AccountFilter) -> Vec<String> {
    db.read(|c| accounts::list(c, filter))
        .items
        .into_iter()
        .map(|account| account.name)
        .collect()
}

fn names_sort_by_code_point_on_every_collation(db: &Fresh) {
    for name in ["zoe", "a-c", "ab", "a b", "Émile", "10", "9", "_x"] {
        db.with_account(name);
    }
    let filter = AccountFilter {
        limit: 100,
        ..AccountFilter::default()
    };
    assert_eq!(
        names(db, &filter),
        ["10", "9", "_x", "a b", "a-c", "ab", "zoe", "Émile"]
    );
}

fn pages_agree_with_the_count_under_every_filter(db: &Fresh) {
    db.write(|c| {
        for number in 0..57 {
            let role = if number % 5 == 0 {
                Role::Administrator
            } else {
                Role::Member
            };
            let expired_at = (number % 4 == 0).then(|| at(number));
            let name = format!("user {number:03}");
            accounts::insert(
                c,
                &Account {
                    role,
                    expired_at,
                    ..account(&name)
                },
            )?;
        }
        Ok(())
    });
    let filters = [
        AccountFilter::default(),
        AccountFilter {
            text: Some("USER 01".into()),
            ..AccountFilter::default()
        },
        AccountFilter {
            role: Some(Role::Administrator),
            ..AccountFilter::default()
        },
        AccountFilter {
            state: Some(AccountListState::Expired),
            ..AccountFilter::default()
        },
        AccountFilter {
            state: Some(AccountListState::Active),
            role: Some(Role::Member),
            ..AccountFilter::default()
        },
    ];
    for filter in filters {
        let total = db.read(|c| accounts::count(c, &filter));
        assert!(total > 2);
        for limit in [1, 2, 7, 100] {
            let mut forward = Vec::new();
            let mut after = None;
            let mut pages = Vec::new();
            loop {
                let page = db.read(|c| {
                    accounts::list(
                        c,
                        &AccountFilter {
                            after: after.clone(),
                            limit,
                            ..filter.clone()
                        },
                    )
                });
                assert_eq!(page.newer, after.is_some(), "limit {limit}");
                pages.push(
                    page.items
                        .iter()
                        .map(|account| account.name_key.clone())
                        .collect::<Vec<_>>(),
                );
                forward.extend(page.items.iter().map(|account| account.name_key.clone()));
                after = forward.last().cloned();
                if !page.older {
                    break;
                }
            }
            assert_eq!(forward.len() as i64, total, "{filter:?}");
            assert!(forward.is_sorted());
            // And back again: the same pages.
            for pair in pages.windows(2).rev() {
                let before = pair[1].first().cloned();
                let page = db.read(|c| {
                    accounts::list(
                        c,
                        &AccountFilter {
                            before,
                            limit,
                            ..filter.clone()
                        },
                    )
                });
                let back: Vec<String> = page.items.iter().map(|account| account.name_key.clone()).collect();
                assert_eq!(back, pair[0]);
                assert!(page.older);
            }
        }
    }
}

fn text_is_found_anywhere_whatever_the_case_and_wildcards_are_text(db: &Fresh) {
    let people = [
        ("ada", "Ada Lovelace", Some("ada@example.org")),
        ("100%", "", None),
        ("a_b", "", None),
        ("axb", "", None),
        ("back\\slash", "", None),
        ("émile", "Große Straße", Some("emile@example.org")),
    ];
    for (name, display_name, email) in people {
        let email = email.map(str::to_owned);
        db.write(|c| {
            accounts::insert(
                c,
                &Account {
                    display_name: display_name.into(),
                    email,
                    ..account(name)
                },
            )
        });
    }
    let found = |text: &str| {
        let filter = AccountFilter {
            text: Some(text.into()),
            limit: 100,
            ..AccountFilter::default()
        };
        let found = names(db, &filter);
        assert_eq!(db.read(|c| accounts::count(c, &filter)), found.len() as i64, "{text}");
        found
    };
    assert_eq!(found("LOVE"), ["ada"]);
    assert_eq!(found("example.org"), ["ada", "émile"]);
    assert_eq!(found("%"), ["100%"]);
    assert_eq!(found("a_b"), ["a_b"]);
    assert_eq!(found("k\\s"), ["back\\slash"]);
    assert_eq!(found("ÉMI"), ["émile"]);
    assert_eq!(found("GROSSE STRASSE"), ["émile"]);
    assert_eq!(found(" ada "), ["ada"]);
    assert_eq!(found("nobody"), Vec::<String>::new());
    assert_eq!(found("a\0b"), Vec::<String>::new());
    assert_eq!(found("").len(), people.len());
    // Not across fields.
    assert_eq!(found("ada ada"), Vec::<String>::new());
}

fn states_and_roles_filter(db: &Fresh) {
    let insert = |name: &str, change: fn(&mut Account)| {
        let mut account = account(name);
        change(&mut account);
        db.write(|c| accounts::insert(c, &account));
    };
    insert("active", |_| {});
    insert("boss", |a| a.role = Role::Administrator);
    insert("disabled", |a| a.disabled_at = Some(at(1)));
    insert("expired", |a| a.expired_at = Some(at(1)));
    insert("must", |a| a.must_change_password = true);
    insert("must-disabled", |a| {
        a.must_change_password = true;
        a.disabled_at = Some(at(1));
    });
    for (name, disabled_at) in [
        ("invited", None),
        ("invited-disabled", Some(at(1))),
        ("invited-and-came", None),
    ] {
        let mut invited = account(name);
        invited.disabled_at = disabled_at;
        db.write(|c| accounts::insert(c, &invited));
        let link = PasswordLink {
            digest: name.to_owned(),
            account: invited.id,
            kind: LinkKind::Invitation,
            email: "somebody@example.org".to_owned(),
            password_changed_at: invited.password_changed_at,
            made_at: at(0),
            expires_at: at(1),
        };
        db.write(|c| password_links::replace(c, &link));
        if name == "invited-and-came" {
            invited.password_changed_at = at(77);
            db.write(|c| accounts::update(c, &invited));
        }
    }
    let with = |state| {
        names(
            db,
            &AccountFilter {
                state: Some(state),
                limit: 100,
                ..AccountFilter::default()
            },
        )
    };
    let active = ["active", "boss", "invited", "invited-and-came", "must"];
    assert_eq!(with(AccountListState::Active), active);
    assert_eq!(with(AccountListState::Invited), ["invited"]);
    assert_eq!(with(AccountListState::MustChange), ["must"]);
    assert_eq!(with(AccountListState::Expired), ["expired"]);
    assert_eq!(
        with(AccountListState::Disabled),
        ["disabled", "invited-disabled", "must-disabled"]
    );
    let bosses = AccountFilter {
        role: Some(Role::Administrator),
        limit: 100,
        ..AccountFilter::default()
    };
    assert_eq!(names(db, &bosses), ["boss"]);
}

fn expiry_candidates_are_usable_and_come_by_id(db: &Fresh) {
    let insert = |account: Account| db.write(|c| accounts::insert(c, &account));
    for (name, date, ended) in [
        ("dated", Some(9), None),
        ("later", Some(11), None),
        ("idle", None, Some(4)),
        ("lately", None, Some(6)),
    ] {
        insert(Account {
            expires_at: date.map(at),
            last_sign_in_at: Some(at(1)),
            last_session_ended_at: ended.map(at),
            ..account(name)
        });
    }
    insert(Account {
        activated_at: at(2),
        ..account("unused")
    });
    insert(Account {
        activated_at: at(4),
        ..account("new")
    });
    insert(Account {
        disabled_at: Some(at(1)),
        expires_at: Some(at(1)),
        ..account("disabled")
    });
    insert(Account {
        expired_at: Some(at(1)),
        expires_at: Some(at(1)),
        ..account("expired")
    });
    let found = |bounds: ExpiryBounds| {
        let first = db.read(|c| accounts::list_expiry_candidates(c, &bounds, None, 2));
        let last = first.last().map(|account| account.id);
        let rest = db.read(|c| accounts::list_expiry_candidates(c, &bounds, last, 2));
        assert!(first.iter().chain(&rest).map(|account| account.id).is_sorted());
        let mut names: Vec<String> = first.into_iter().chain(rest).map(|account| account.name).collect();
        names.sort();
        names
    };
    let dated = ExpiryBounds {
        dated_before: at(10),
        ended_before: None,
        unused_before: None,
    };
    assert_eq!(found(dated), ["dated"]);
    assert_eq!(
        found(ExpiryBounds {
            ended_before: Some(at(5)),
            ..dated
        }),
        ["dated", "idle"]
    );
    assert_eq!(
        found(ExpiryBounds {
            unused_before: Some(at(3)),
            ..dated
        }),
        ["dated", "unused"]
    );
}

fn the_last_sign_in_and_the_last_end_only_rise(db: &Fresh) {
    let ada = db.with_account("Ada");
    for seconds in [10, 5, 11, 3] {
        db.write(|c| {
            accounts::record_sign_in(c, ada.id, "192.0.2.0/24", at(seconds))?;
            accounts::set_last_session_ended(c, ada.id, at(seconds + 100))
        });
    }
    let read = db.read(|c| accounts::find(c, ada.id)).expect("she is there");
    assert_eq!(read.last_sign_in_at, Some(at(11)));
    assert_eq!(read.last_session_ended_at, Some(at(111)));
}

fn a_network_is_known_since_its_latest_sign_in(db: &Fresh) {
    let ada = db.with_account("Ada");
    db.write(|c| accounts::record_sign_in(c, ada.id, "192.0.2.0/24", at(10)));
    db.write(|c| accounts::record_sign_in(c, ada.id, "192.0.2.0/24", at(5)));
    let none = NetworkGroups::default();
    let known = |ip: &str, since| db.read(|c| accounts::knows_network(c, ada.id, ip.parse().unwrap(), &none, since));
    assert!(known("192.0.2.9", at(10)));
    assert!(!known("192.0.2.9", at(11)));
    assert!(!known("198.51.100.9", at(0)));
    db.write(|c| accounts::record_sign_in(c, ada.id, "192.0.2.0/24", at(20)));
    assert!(known("192.0.2.9", at(20)));
}

fn a_network_group_is_known_and_forgotten_as_one_network(db: &Fresh) {
    let ada = db.with_account("Ada");
    for network in ["192.168.7.0/24", "2001:db8:1::/64", "198.51.100.0/24"] {
        db.write(|c| accounts::record_sign_in(c, ada.id, network, at(10)));
    }
    let office = NetworkGroups::parse([(1, "192.168.0.0/16, 203.0.113.9, 2001:db8:1::/48")]).unwrap();
    let known = |ip: &str, groups: &NetworkGroups, since| {
        db.read(|c| accounts::knows_network(c, ada.id, ip.parse().unwrap(), groups, since))
    };
    for (ip, by_itself, in_the_group) in [
        ("203.0.113.9", false, true),
        ("203.0.113.10", false, false),
        ("192.168.7.1", true, true),
        ("192.168.8.1", false, true),
        ("2001:db8:1:9::1", false, true),
        ("2001:db8:2::1", false, false),
        ("198.51.100.1", true, true),
    ] {
        assert_eq!(known(ip, &NetworkGroups::default(), at(0)), by_itself, "{ip}");
        assert_eq!(known(ip, &office, at(0)), in_the_group, "{ip}");
        assert!(!known(ip, &office, at(11)), "{ip}");
    }
    db.write(|c| accounts::forget_networks(c, ada.id, "203.0.113.9".parse().unwrap(), &office));
    assert!(!known("192.168.7.1", &office, at(0)));
    assert!(known("198.51.100.1", &office, at(0)));
}

fn former_passwords_are_kept_newest_first_and_cut(db: &Fresh) {
    let ada = db.with_account("Ada");
    for number in 0..6 {
        db.write(|c| accounts::push_password(c, ada.id, &format!("hash {number}"), at(number), 3));
    }
    assert_eq!(
        db.read(|c| accounts::list_passwords(c, ada.id, 2)),
        ["hash 5", "hash 4"]
    );
    assert_eq!(
        db.read(|c| accounts::list_passwords(c, ada.id, 24)),
        ["hash 5", "hash 4", "hash 3"]
    );
    db.write(|c| accounts::push_password(c, ada.id, "none kept", at(9), 0));
    assert_eq!(
        db.read(|c| accounts::list_passwords(c, ada.id, 24)),
        Vec::<String>::new()
    );
}

fn a_rehash_never_undoes_a_password_change(db: &Fresh) {
    let ada = db.with_account("Ada");
    assert!(db.write(|c| accounts::set_password_hash_if(c, ada.id, &ada.password_hash, "stronger")));
    assert!(!db.write(|c| accounts::set_password_hash_if(c, ada.id, &ada.password_hash, "late")));
    let read = db.read(|c| accounts::find(c, ada.id)).expect("she is there");
    assert_eq!(read.password_hash, "stronger");
}

fn a_name_with_nul_is_nobodys(db: &Fresh) {
    db.with_account("Ada");
    assert_eq!(db.read(|c| accounts::find_by_name_key(c, "ad\0a")), None);
    assert_eq!(db.write(|c| accounts::find_by_name_key(c, "ada\0")), None);
}
