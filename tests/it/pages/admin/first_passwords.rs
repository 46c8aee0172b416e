//! Passwords that their owners have not chosen: how long a one-time password works, and who counts
//! as an administrator without one of their own.

use crate::{
    harness::server::{Backend, PASSWORD, TestServer, operator},
    pages::kit::one_time_password,
};
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        secret::Secret,
        time::Span,
    },
    flows::accounts::{self, AccountAction, AccountActionOutcome, CreateOutcome, NewAccount, NewPassword},
};

const HOURS_72: i64 = 72 * 3600;

fn account(server: &TestServer, name: &str, password: NewPassword) -> (AccountId, Option<Secret>) {
    let new = NewAccount {
        name: name.to_owned(),
        display_name: String::new(),
        email: format!("{name}@example.org"),
        role: Role::Administrator,
        groups: Vec::new(),
        expires_at: None,
        password,
    };
    match server.run(accounts::create(&server.ctx, &operator(), new)).unwrap() {
        CreateOutcome::Created {
            id, one_time_password, ..
        } => (id, one_time_password),
        CreateOutcome::Faulty(faults) => panic!("{faults:?}"),
    }
}

#[test]
fn a_one_time_password_dies_after_72_hours() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let form = [("name", "ada"), ("role", "member"), ("password", "")];
        let page = boss.get(boss.post("/admin/accounts", &form).expect(303).location());
        let password = one_time_password(&page).unwrap();
        let until = server.now().saturating_add(Span::from_secs(HOURS_72));
        assert!(
            page.text().contains("shown only once, valid for 72 hours"),
            "{backend:?}"
        );
        assert!(
            page.text().contains(&format!(
                "<dt>One-time password</dt><dd>valid until {} ",
                &until.to_rfc3339()[..10]
            )),
            "{backend:?}"
        );
        assert!(
            page.text().contains(&until.to_rfc3339()[..10]),
            "{backend:?}: {}",
            page.text()
        );
        server.advance(HOURS_72);
        let ada = server.anyone();
        assert_eq!(
            ada.sign_in("ada", &password).expect(303).location(),
            "/password",
            "{backend:?}"
        );
        server.clock.advance(Span::from_micros(1));
        let late = server.anyone().sign_in("ada", &password).expect(422);
        let wrong = server.anyone().sign_in("ada", "another password").expect(422);
        let words = "Username or password is wrong.";
        assert!(
            late.text().contains(words) && wrong.text().contains(words),
            "{backend:?}"
        );
        let told = server.anyone().post_json(
            "/nightlatch/session/login",
            &serde_json::json!({ "username": "ada", "password": password }),
            &[],
        );
        assert_eq!(told.expect(401).json()["code"], "credentials", "{backend:?}");
        let refused: Vec<String> = server
            .events()
            .into_iter()
            .filter(|event| event.starts_with("sign_in.refused"))
            .collect();
        let over = "sign_in.refused one_time_password_over";
        assert_eq!(refused, [over, "sign_in.refused credentials", over], "{backend:?}");
        let page = server.signed_in("boss").get("/admin/audit").expect(200);
        assert!(page.text().contains("one-time password expired"), "{backend:?}");
        // A user who signed in in time can still choose a password, and that one stays valid.
        let own = "violin harbour unlocked";
        let form = [
            ("current_password", password.as_str()),
            ("new_password", own),
            ("new_password_again", own),
        ];
        ada.post("/password", &form).expect(303);
        server.advance(HOURS_72 * 10);
        server.anyone().sign_in("ada", own).expect(303);
    }
}

#[test]
fn a_reset_makes_another_one_and_a_given_password_stays() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("boss", Role::Administrator);
        let (ada, old) = account(&server, "ada", NewPassword::OneTime);
        let given = NewPassword::Given {
            password: Secret::new(PASSWORD.to_owned()),
            must_change: true,
        };
        account(&server, "given", given);
        let old = old.unwrap();
        server.advance(HOURS_72 + 1);
        server.anyone().sign_in("ada", old.expose()).expect(422);
        server.anyone().sign_in("given", PASSWORD).expect(422);
        let AccountActionOutcome::Done {
            one_time_password: Some(new),
            ..
        } = server.act(ada, AccountAction::ResetPassword)
        else {
            panic!("{backend:?}");
        };
        server.anyone().sign_in("ada", new.expose()).expect(303);
        // A password that need not be changed works without a limit, even if a change is required
        // later.
        server.anyone().sign_in("boss", PASSWORD).expect(303);
        server.act(server_id(&server, "boss"), AccountAction::ForceChange);
        let demanded = server.anyone().sign_in("boss", PASSWORD).expect(303);
        assert_eq!(demanded.location(), "/password", "{backend:?}");
    }
}

fn server_id(server: &TestServer, name: &str) -> AccountId {
    let found = accounts::find_by_name(&server.ctx, name);
    server.run(found).unwrap().unwrap().id
}

#[test]
fn an_administrator_without_a_chosen_password_does_not_count_as_another_one() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.account("boss", Role::Administrator);
        let (invited, _) = account(&server, "invited", NewPassword::Invitation);
        let (_, one_time) = account(&server, "new", NewPassword::OneTime);
        let file = accounts::ImportFile {
            bytes: b"name,role\nimported,administrator\n".as_slice().into(),
            passwords: accounts::Passwords::Unknown,
        };
        let confirmed = accounts::ImportConfirmation {
            shown: None,
            good_lines: false,
        };
        server
            .run(accounts::import(&server.ctx, &operator(), file, confirmed))
            .unwrap();
        // The one-time password works until it expires.
        let last = |server: &TestServer, id| {
            let detail = server.run(accounts::detail(&server.ctx, id)).unwrap().unwrap();
            detail.view.is_last_administrator
        };
        assert!(!last(&server, boss), "{backend:?}");
        server.advance(HOURS_72 + 1);
        server.anyone().sign_in("new", one_time.unwrap().expose()).expect(422);
        assert!(last(&server, boss) && !last(&server, invited), "{backend:?}");
        for act in [
            AccountAction::Disable,
            AccountAction::SetRole(Role::Member),
            AccountAction::Delete,
            AccountAction::ExpireNow,
        ] {
            assert!(
                matches!(server.act(boss, act), AccountActionOutcome::LastAdministrator),
                "{backend:?}"
            );
        }
        // Nor does a rule expire the only one who can sign in.
        server.policy(&[("auth.expires_after", "1d"), ("auth.expire_unused_after", "1d")]);
        server.advance(10 * 86_400);
        server.run(accounts::expire_due(&server.ctx)).unwrap();
        let expired = |id| {
            let detail = server.run(accounts::detail(&server.ctx, id)).unwrap().unwrap();
            detail.view.account.expired_at.is_some()
        };
        assert!(!expired(boss) && expired(invited), "{backend:?}");
    }
}
