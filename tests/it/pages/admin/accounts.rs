//! `/admin/accounts`: expiry, the last administrator, acting on oneself, and passwords that are
//! shown once.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, PASSWORD, TestDatabase, TestServer, block_on},
        statements::Statements,
    },
    pages::kit::{at_once, draft, one_time_password, records},
};
use nightlatch::{
    domain::account::{Account, AccountFilter, AccountId, Role},
    flows::accounts::{self, AccountAction, AccountActionOutcome},
    store::accounts::count_usable_administrators,
};
use std::sync::Arc;

/// Both jobs, in the order in which they see each other's work.
fn expire(server: &TestServer) -> usize {
    server.run(nightlatch::flows::sessions::sweep(&server.ctx)).unwrap();
    server.run(accounts::expire_due(&server.ctx)).unwrap()
}

fn expired(server: &TestServer, id: AccountId) -> bool {
    expire(server);
    server
        .run(accounts::detail(&server.ctx, id))
        .unwrap()
        .unwrap()
        .view
        .account
        .expired_at
        .is_some()
}

fn usable(server: &TestServer) -> i64 {
    let now = server.now();
    server
        .run(
            server
                .ctx
                .store
                .read(move |c| count_usable_administrators(c, None, now)),
        )
        .unwrap()
}

fn act(client: &Client, id: AccountId, fields: &[(&str, &str)]) -> Answer {
    client.post(&format!("/admin/accounts/{}", id.0), fields)
}

#[test]
fn an_account_expires_so_long_after_its_rule_ended_its_last_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("boss", Role::Administrator);
        server.policy(&[("session.ttl", "1h"), ("auth.expires_after", "1 day")]);
        let (ada, never) = (
            server.account("ada", Role::Member),
            server.account("never", Role::Member),
        );
        server.signed_in("ada");
        server.advance(3600 + 86_400);
        assert!(
            !expired(&server, ada),
            "{backend:?}: inclusive, from the end of the session and not from its sweep"
        );
        server.advance(1);
        assert!(expired(&server, ada), "{backend:?}");
        let refused = server.anyone().sign_in("ada", PASSWORD).expect(403);
        assert!(refused.text().contains("expired"));
        server.anyone().sign_in("ada", "wrong").expect(422);
        assert!(
            !expired(&server, never),
            "{backend:?}: who never signed in does not expire by this key"
        );
        server.anyone().sign_in("never", PASSWORD).expect(303);
    }
}

#[test]
fn an_account_whose_time_is_over_is_refused_even_before_any_job_looked() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    server.policy(&[("session.ttl", "1h"), ("auth.expires_after", "0")]);
    server.account("ada", Role::Member);
    let ada = server.signed_in("ada");
    ada.get("/").expect(200);
    server.advance(3601);
    server.anyone().sign_in("ada", PASSWORD).expect(403);
    let events = server.events();
    assert_eq!(
        events
            .iter()
            .filter(|event| event.starts_with("account.expired"))
            .count(),
        1,
        "{events:?}"
    );
}

#[test]
fn the_clock_never_starts_before_the_save_that_ended_the_session() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    let ada = server.account("ada", Role::Member);
    server.signed_in("ada");
    server.advance(10 * 86_400);
    server.policy(&[("session.ttl", "1h"), ("auth.expires_after", "1 day")]);
    assert!(
        !expired(&server, ada),
        "the save ended the session now, not nine days ago"
    );
    server.advance(86_400);
    assert!(!expired(&server, ada));
    server.advance(1);
    assert!(expired(&server, ada));
}

#[test]
fn accounts_that_never_signed_in_expire_by_their_own_key() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    server.signed_in("boss");
    server.policy(&[("auth.expire_unused_after", "1 day")]);
    let ada = server.account("ada", Role::Member);
    server.advance(86_400);
    assert!(!expired(&server, ada));
    server.advance(1);
    assert!(expired(&server, ada));
    server.act(ada, AccountAction::Enable);
    server.advance(86_400);
    assert!(!expired(&server, ada), "re-activation starts the clock anew");
    server.anyone().sign_in("ada", PASSWORD).expect(303);
}

#[test]
fn administrators_expire_like_everyone_never_or_after_a_time_of_their_own() {
    for (value, after_a_day, after_ten) in [("true", true, true), ("false", false, false), ("5 days", false, true)] {
        let server = TestServer::start();
        server.policy(&[
            ("session.ttl", "1h"),
            ("auth.expires_after", "12h"),
            ("auth.expire_superusers", value),
        ]);
        let ada = server.account("ada", Role::Administrator);
        server.signed_in("ada");
        server.advance(60);
        // The one whose session ended last is the last administrator and stays.
        server.account("boss", Role::Administrator);
        server.signed_in("boss");
        server.advance(86_400 + 3600);
        assert_eq!(expired(&server, ada), after_a_day, "{value}");
        server.advance(9 * 86_400);
        assert_eq!(expired(&server, ada), after_ten, "{value}");
        assert!(usable(&server) >= 1, "{value}");
        server.anyone().sign_in("boss", PASSWORD).expect(303);
    }
}

#[test]
fn a_number_for_administrators_counts_also_when_nobody_else_expires() {
    let server = TestServer::start();
    server.policy(&[("session.ttl", "1h"), ("auth.expire_superusers", "1 day")]);
    let (ada, member) = (
        server.account("ada", Role::Administrator),
        server.account("member", Role::Member),
    );
    server.signed_in("ada");
    server.signed_in("member");
    server.advance(60);
    server.admin("boss");
    server.advance(3600 + 86_400 + 1);
    assert!(expired(&server, ada));
    assert!(!expired(&server, member));
}

#[test]
fn when_all_administrators_would_expire_the_one_whose_session_ended_last_stays() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("session.ttl", "1h"), ("auth.expires_after", "1 day")]);
        let names = ["anna", "berta", "clara"];
        for name in ["berta", "clara", "anna"] {
            server.admin(name);
            server.advance(10);
        }
        server.advance(30 * 86_400);
        expire(&server);
        expire(&server);
        assert_eq!(usable(&server), 1, "{backend:?}");
        let open: Vec<&str> = names
            .into_iter()
            .filter(|name| server.anyone().sign_in(name, PASSWORD).status() == 303)
            .collect();
        assert_eq!(open, ["anna"], "{backend:?}");
    }
}

#[test]
fn a_date_in_the_past_ends_the_session_at_the_next_request() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        let at = server
            .now()
            .saturating_add(nightlatch::domain::time::Span::from_secs(600));
        let typed = at.to_rfc3339();
        act(&boss, id, &[("act", "set-expiry"), ("expires_at", &typed)]).expect(303);
        ada.get("/").expect(200);
        server.advance(600);
        ada.get("/").expect(200);
        server.advance(1);
        assert_eq!(
            ada.get("/").expect(303).location(),
            "/login?reason=account_expired",
            "{backend:?}"
        );
        server.anyone().sign_in("ada", PASSWORD).expect(403);
        let asked = act(&boss, id, &[("act", "enable")]).expect(403);
        boss.confirm(&asked, PASSWORD).expect(303);
        server.anyone().sign_in("ada", PASSWORD).expect(303);
        act(&boss, id, &[("act", "set-expiry"), ("expires_at", "some day")]).expect(422);
    }
}

#[test]
fn the_last_administrator_can_be_neither_disabled_demoted_expired_nor_deleted() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("boss", Role::Administrator);
        let spare = server.account("spare", Role::Administrator);
        server.act(spare, AccountAction::Disable);
        for what in [
            AccountAction::Disable,
            AccountAction::ExpireNow,
            AccountAction::Delete,
            AccountAction::SetRole(Role::Member),
        ] {
            assert!(
                matches!(server.act(id, what), AccountActionOutcome::LastAdministrator),
                "{backend:?}"
            );
        }
        let boss = server.signed_in("boss");
        for fields in [
            vec![("act", "disable")],
            vec![("act", "expire")],
            vec![("act", "role"), ("role", "member")],
            vec![("act", "delete"), ("confirm_name", "boss")],
        ] {
            let refused = act(&boss, id, &fields).expect(422);
            assert!(refused.text().contains("last administrator"), "{backend:?} {fields:?}");
        }
        // A date of its own does not take it away either.
        act(&boss, id, &[("act", "set-expiry"), ("expires_at", "2000-01-01")]);
        server.advance(10);
        expire(&server);
        assert_eq!(usable(&server), 1, "{backend:?}");
        server.anyone().sign_in("boss", PASSWORD).expect(303);
    }
}

#[test]
fn two_administrators_who_remove_each_other_at_once_never_leave_none() {
    for backend in [Backend::Postgres, Backend::Sqlite] {
        let server = TestServer::on(backend).start();
        let ids = [
            server.account("anna", Role::Administrator),
            server.account("berta", Role::Administrator),
        ];
        let moves: [&[(&str, &str)]; 3] = [
            &[("act", "disable")],
            &[("act", "role"), ("role", "member")],
            &[("act", "expire")],
        ];
        for round in 0..8 {
            let fields = moves[round % 3];
            let admins = [server.signed_in("anna"), server.signed_in("berta")];
            // The faster one gets the account's page; the other is signed out, or refused.
            let answers = at_once(2, |index| {
                act(&admins[index], ids[1 - index], fields).location().to_owned()
            });
            assert_eq!(usable(&server), 1, "{backend:?} {fields:?} {answers:?}");
            let done = answers
                .iter()
                .filter(|location| location.starts_with("/admin/accounts/"))
                .count();
            assert_eq!(done, 1, "{backend:?} {fields:?} {answers:?}");
            for id in ids {
                server.act(id, AccountAction::Enable);
                server.act(id, AccountAction::SetRole(Role::Administrator));
            }
            assert_eq!(usable(&server), 2);
        }
        // In different ways, and one of them permanently.
        let admins = [server.signed_in("anna"), server.signed_in("berta")];
        let fields: [&[(&str, &str)]; 2] = [&[("act", "delete"), ("confirm_name", "berta")], moves[1]];
        at_once(2, |index| act(&admins[index], ids[1 - index], fields[index]).status());
        assert_eq!(usable(&server), 1, "{backend:?}");
    }
}

#[test]
fn expiring_and_disabling_at_once_leave_an_administrator() {
    let server = TestServer::on(Backend::Postgres).start();
    let (anna, berta) = (
        server.account("anna", Role::Administrator),
        server.account("berta", Role::Administrator),
    );
    for _ in 0..5 {
        let soon = server
            .now()
            .saturating_add(nightlatch::domain::time::Span::from_secs(5));
        server.act(anna, AccountAction::SetExpiry(Some(soon)));
        server.advance(6);
        at_once(2, |index| match index {
            0 => drop(server.act(berta, AccountAction::Disable)),
            _ => drop(expire(&server)),
        });
        assert_eq!(usable(&server), 1);
        for id in [anna, berta] {
            server.act(id, AccountAction::Enable);
            server.act(id, AccountAction::SetExpiry(None));
        }
    }
}

#[test]
fn administrators_cannot_lock_themselves_out_on_their_own_page() {
    let server = TestServer::start();
    server.account("other", Role::Administrator);
    let id = server.account("boss", Role::Administrator);
    let boss = server.signed_in("boss");
    for fields in [
        vec![("act", "disable")],
        vec![("act", "expire")],
        vec![("act", "role"), ("role", "member")],
        vec![("act", "delete"), ("confirm_name", "boss")],
    ] {
        let refused = act(&boss, id, &fields).expect(422);
        assert!(refused.text().contains("your own account"), "{fields:?}");
    }
    boss.get("/admin").expect(200);
}

#[test]
fn an_account_is_deleted_only_when_its_name_is_typed_and_its_name_may_come_again() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        for name in ["", "ADA", "boss"] {
            act(&boss, id, &[("act", "delete"), ("confirm_name", name)]).expect(422);
        }
        ada.get("/").expect(200);
        act(&boss, id, &[("act", "delete"), ("confirm_name", "ada")]).expect(303);
        assert_eq!(ada.get("/").status(), 303, "{backend:?}");
        server.anyone().sign_in("ada", PASSWORD).expect(422);
        act(&boss, id, &[("act", "enable")]).expect(404);
        boss.get(&format!("/admin/accounts/{}", id.0)).expect(404);
        // Another account with the same name: the old cookie is not valid.
        server.account("ada", Role::Member);
        assert_eq!(ada.get("/").status(), 303, "{backend:?}");
        boss.get("/admin/audit").expect(200);
    }
}

#[test]
fn a_one_time_password_is_shown_exactly_once_and_to_nobody_else() {
    let server = TestServer::start();
    let (boss, other) = (server.admin("boss"), server.admin("other"));
    let created = boss
        .post("/admin/accounts", &[("name", "ada"), ("role", "member")])
        .expect(303);
    let page = created.location().to_owned();
    assert!(!created.text().contains("one-time"));
    assert_eq!(one_time_password(&other.get(&page)), None);
    let secret = one_time_password(&boss.get(&page).expect(200)).expect("shown");
    assert!(secret.len() >= 16, "{secret}");
    assert_eq!(one_time_password(&boss.get(&page)), None, "shown only once");
    let flash = created
        .cookies()
        .into_iter()
        .find(|line| line.starts_with("nightlatch-flash="))
        .unwrap();
    assert!(
        flash.contains("HttpOnly") && flash.contains("Max-Age=60") && !flash.contains(&secret),
        "{flash}"
    );
    assert_eq!(
        server.anyone().sign_in("ada", &secret).expect(303).location(),
        "/password"
    );
    let reset = boss.post(&page, &[("act", "reset-password")]).expect(303);
    let second = one_time_password(&boss.get(reset.location())).expect("shown");
    assert_ne!(secret, second);
    server.anyone().sign_in("ada", &secret).expect(422);
    for row in server.audit() {
        let text = row.to_json().to_string();
        assert!(!text.contains(&secret) && !text.contains(&second), "{text}");
    }
}

#[test]
fn one_time_passwords_are_never_the_same() {
    let server = TestServer::start();
    let secrets: std::collections::BTreeSet<String> = (0..1000)
        .map(|_| {
            nightlatch::domain::secret::one_time_password(server.ctx.random_bytes())
                .expose()
                .to_owned()
        })
        .collect();
    assert_eq!(secrets.len(), 1000);
}

#[test]
fn faults_of_a_new_account_keep_what_was_typed_but_no_password() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let form = [
        ("name", "a,b"),
        ("display_name", "Ada L."),
        ("email", "nonsense"),
        ("role", "emperor"),
        ("groups", "x,y\u{202e}"),
        ("expires_at", "soon"),
        ("password", "canary"),
        ("must_change", "on"),
    ];
    let refused = boss.post("/admin/accounts", &form).expect(422);
    for (field, value) in [("name", "a,b"), ("display_name", "Ada L."), ("email", "nonsense")] {
        assert!(
            refused.text().contains(&format!("name=\"{field}\" value=\"{value}\"")),
            "{field}"
        );
    }
    for field in ["role", "expires_at"] {
        assert!(refused.text().contains(&format!("id=\"{field}-fault\"")), "{field}");
    }
    assert!(!refused.text().contains("canary"));
    let twice = [("name", "BOSS "), ("role", "member")];
    assert!(
        boss.post("/admin/accounts", &twice)
            .expect(422)
            .text()
            .contains("already an account")
    );
}

#[test]
fn ten_equal_names_created_at_once_are_one_account() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let tabs: Vec<Client> = (0..10).map(|_| boss.thief()).collect();
        let names = ["ada", "ADA", " ada", "Ada", "aDa"];
        let mut statuses = at_once(10, |index| {
            tabs[index]
                .post("/admin/accounts", &[("name", names[index % 5]), ("role", "member")])
                .status()
        });
        statuses.sort();
        assert_eq!(statuses[0], 303, "{backend:?} {statuses:?}");
        assert!(
            statuses[1..].iter().all(|status| *status == 422),
            "{backend:?} {statuses:?}"
        );
    }
}

#[test]
fn a_disabled_account_is_out_at_once_and_enabling_starts_its_clock_anew() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        let eve = server.account("eve", Role::Member);
        server.signed_in("eve");
        act(&boss, id, &[("act", "disable")]).expect(303);
        assert_eq!(ada.get("/").expect(303).location(), "/login?reason=account_disabled");
        server.policy(&[("auth.expires_after", "1 day")]);
        // Someone who is signed in expires that long after the session ends, so not never.
        for place in [String::new(), format!("/{}", eve.0)] {
            let page = boss.get(&format!("/admin/accounts{place}")).expect(200);
            assert!(page.text().contains("1 day after its last session ends"), "{backend:?}");
            assert!(!page.text().contains("Never, under the current policy"), "{backend:?}");
        }
        server.advance(5 * 86_400);
        act(&server.signed_in("boss"), id, &[("act", "enable")]).expect(303);
        assert!(!expired(&server, id), "{backend:?}");
        server.advance(86_400);
        assert!(!expired(&server, id), "{backend:?}");
        server.advance(1);
        assert!(expired(&server, id), "{backend:?}");
    }
}

#[test]
fn the_export_defuses_formulas_and_holds_no_secret() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    for (name, display) in [
        ("=1+1", "+cmd"),
        ("@sum", "-2+3"),
        ("-dash", "=HYPERLINK(\"http://evil\")"),
    ] {
        boss.post(
            "/admin/accounts",
            &[("name", name), ("display_name", display), ("role", "member")],
        )
        .expect(303);
    }
    let csv = boss.post("/admin/accounts/export?format=csv", &[]).expect(200);
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    assert!(csv.header("content-disposition").unwrap().starts_with("attachment;"));
    assert!(csv.text().starts_with('\u{feff}'), "spreadsheets need it");
    let records = records(csv.text());
    assert_eq!(records.len(), 5, "{records:?}");
    for cell in records.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
    }
    assert!(records.iter().flatten().any(|cell| cell == "'=1+1"));
    let json = boss.post("/admin/accounts/export?format=json", &[]).expect(200);
    assert_eq!(json.json().as_array().unwrap().len(), 4);
    for text in [csv.text(), json.text()] {
        assert!(!text.contains("argon2") && !text.contains("password_hash"));
    }
}

#[test]
fn the_list_is_filtered_and_paged_without_losing_anybody() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let hash = server
            .run(accounts::find_by_name(&server.ctx, "boss"))
            .unwrap()
            .unwrap()
            .password_hash;
        let (ctx, now) = (server.ctx.clone(), server.now());
        let names: Vec<String> = (0..60).map(|index| format!("user_{index:02}%")).collect();
        let made = names.clone();
        server
            .run(server.ctx.store.write(move |c| {
                for name in &made {
                    let template = Account {
                        id: AccountId(ctx.new_id(now)),
                        name: name.clone(),
                        name_key: name.clone(),
                        display_name: String::new(),
                        email: None,
                        role: Role::Member,
                        groups: Vec::new(),
                        password_hash: hash.clone(),
                        password_changed_at: now,
                        password_set_by_other: false,
                        must_change_password: false,
                        disabled_at: None,
                        expires_at: None,
                        expired_at: None,
                        expired_by: None,
                        created_at: now,
                        activated_at: now,
                        last_sign_in_at: None,
                        last_session_ended_at: None,
                        password_good_until: None,
                        factor_required_at: None,
                        factors: nightlatch::domain::factor::EnrolledFactors::NONE,
                        source: None,
                        external_id: None,
                    };
                    nightlatch::store::accounts::insert(c, &template)?;
                }
                Ok::<_, nightlatch::store::StoreError>(())
            }))
            .unwrap();
        let mut seen = Vec::new();
        let mut next = Some("/admin/accounts?limit=25".to_owned());
        while let Some(path) = next {
            let page = boss.get(&path).expect(200);
            assert!(page.text().contains("61\u{a0}accounts"), "{backend:?}");
            seen.extend(
                crate::pages::kit::between(page.text(), "name=\"id\" value=\"", "</span>")
                    .into_iter()
                    .filter_map(|rest| rest.split_once("Select <bdi>"))
                    .map(|(_, name)| name.trim_end_matches("</bdi>").to_owned()),
            );
            next = crate::pages::kit::link(&page, "after=");
        }
        let mut all = names;
        all.push("boss".to_owned());
        all.sort();
        seen.sort();
        assert_eq!(seen, all, "{backend:?}");
        for (query, count) in [
            ("user_0", 10),
            ("%25", 60),
            ("_5", 10),
            ("user%25", 0),
            ("USER_59", 1),
            ("\\", 0),
            ("'", 0),
        ] {
            let page = boss.get(&format!("/admin/accounts?q={query}")).expect(200);
            let expected = if count == 1 {
                "1\u{a0}account".to_owned()
            } else {
                format!("{count}\u{a0}accounts")
            };
            assert!(page.text().contains(&expected), "{backend:?} {query}");
        }
    }
}

#[test]
fn the_page_of_an_account_says_when_it_would_expire_under_the_draft() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("ada", Role::Member);
        server.signed_in("ada").post("/logout", &[]).expect(303);
        let page = format!("/admin/accounts/{}", id.0);
        assert!(
            !boss.get(&page).expect(200).text().contains("Under your draft"),
            "{backend:?}"
        );
        let base = server
            .run(nightlatch::flows::policy::in_force(&server.ctx))
            .unwrap()
            .revision
            .revision;
        draft(&boss, base, &[("auth.expires_after", "30 days")]).expect(303);
        let shown = boss.get(&page).expect(200);
        assert!(shown.text().contains("Under your draft"), "{backend:?}");
        assert!(shown.text().contains("inactive since last session"), "{backend:?}");
        let other = server.admin("other");
        assert!(
            !other.get(&page).expect(200).text().contains("Under your draft"),
            "{backend:?}"
        );
    }
}

#[test]
fn the_page_of_an_account_shows_its_failures_groups_and_known_networks() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("ada", Role::Member);
        let page = format!("/admin/accounts/{}", id.0);
        let fresh = boss.get(&page).expect(200);
        assert!(
            !fresh.text().contains("Failed sign-ins") && !fresh.text().contains("Known networks"),
            "{backend:?}"
        );
        server.signed_in("ada");
        server.anyone().sign_in("ada", "wrong").expect(422);
        let fields = [
            ("act", "profile"),
            ("display_name", ""),
            ("email", ""),
            ("groups", "ops, a&b"),
        ];
        act(&boss, id, &fields).expect(303);
        let shown = boss.get(&page).expect(200);
        for part in [
            "Failed sign-ins",
            "Known networks",
            "127.0.0.0/24",
            "/admin/accounts?group=a%26b",
        ] {
            assert!(shown.text().contains(part), "{backend:?} {part}");
        }
    }
}

#[test]
fn a_longer_list_asks_the_database_no_more_often() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = Arc::new(TestDatabase::fresh(backend));
        let server = TestServer::beside(&database).start();
        server.account("boss", Role::Administrator);
        for number in 0..12 {
            server.member(&format!("member{number}"));
        }
        server.stop();
        let asked = Statements::of(&database);
        let ctx = TestServer::beside(&database).context();
        let statements = |limit| {
            let filter = AccountFilter {
                limit,
                ..AccountFilter::default()
            };
            asked.take();
            let list = block_on(accounts::list(&ctx, filter)).unwrap();
            assert_eq!(list.items.len() as i64, limit);
            assert!(list.items.iter().any(|view| view.live_sessions == 1), "{backend:?}");
            asked.take().len()
        };
        assert_eq!(statements(12), statements(3), "{backend:?}");
    }
}

#[test]
fn an_action_that_ends_sessions_asks_once_and_names_the_effect_and_the_account() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("radia", Role::Member);
        let radia = [server.signed_in("radia"), server.signed_in("radia")];
        let page = format!("/admin/accounts/{}", id.0);
        let link = boss.get(&page).expect(200).page().link("Reset…");
        let question = boss.get(&link).expect(200);
        assert_eq!(question.page().heading(), "Reset the password of radia?", "{backend:?}");
        assert!(question.page().shows("2 live sessions end immediately"), "{backend:?}");
        assert!(
            !question.text().contains("step_up_password"),
            "{backend:?}: proved just now"
        );
        radia[0].get("/").expect(200);
        server.advance(601);
        // Now the same page has the password field: there is one confirmation, not two.
        let question = server.signed_in("radia").get(&link).status();
        assert_eq!(question, 403, "{backend:?}: for administrators alone");
        let question = boss.get(&link).expect(200);
        boss.confirm(&question, PASSWORD).expect(303);
        assert!(server.events().contains(&"password.reset".to_owned()), "{backend:?}");
        radia[0].get("/").expect(303);
        // Requested directly, the step-up page shows what is being confirmed.
        server.advance(601);
        let fields = [("act", "disable"), ("step_up_act", "Disable radia; 0 sessions end")];
        let asked = boss.post(&page, &fields).expect(403);
        assert!(
            asked.page().shows("To confirm: Disable radia; 0 sessions end"),
            "{backend:?}"
        );
        for address in [format!("{page}/confirm?act=enable"), format!("{page}/confirm")] {
            boss.get(&address).expect(404);
        }
    }
}
