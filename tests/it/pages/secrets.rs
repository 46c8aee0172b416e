//! Canaries: passwords, tokens and cookies are in no log, no record, no error, no list and no
//! export.

use super::kit::{NOBODY, one_time_password};
use crate::harness::{
    server::{Backend, PASSWORD, TestServer, eventually},
    smtp,
    trace::Trace,
};
use nightlatch::domain::account::Role;
use reqwest::Method;

#[test]
fn secrets_show_nowhere() {
    let trace = Trace::from(tracing::Level::TRACE);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("security.log");
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_SECURITY_LOG", log.to_str().unwrap())
            .start();
        let setup = server
            .setup_link
            .clone()
            .unwrap()
            .split("token=")
            .nth(1)
            .unwrap()
            .to_owned();
        let boss = server.anyone();
        let mut said = Vec::new();
        let form = [
            ("token", setup.as_str()),
            ("username", "boss"),
            ("password", PASSWORD),
            ("password_again", PASSWORD),
            ("baseline", "asvs-l2"),
        ];
        boss.post("/setup", &form).expect(303);
        server.account("ada", Role::Member);
        boss.sign_in("boss", PASSWORD).expect(303);
        let ada = server.signed_in("ada");
        let cookies = [boss.cookie("nightlatch").unwrap(), ada.cookie("nightlatch").unwrap()];
        let (wrong, new) = ("canary-wrong-9f2 zebra", "canary-new-7c1 zebra quilt");
        for client in [&ada, &server.anyone()] {
            let fields: &[(&str, &str)] = &[("username", "ada"), ("password", wrong)];
            for headers in [
                vec![],
                vec![("sec-fetch-site", "cross-site")],
                vec![("content-type", "text/plain")],
            ] {
                said.push(client.send(Method::POST, "/login", Some(fields), &headers));
            }
        }
        let change = |current: &str, new: &str| {
            ada.post(
                "/password",
                &[
                    ("current_password", current),
                    ("new_password", new),
                    ("new_password_again", new),
                ],
            )
        };
        said.push(change(wrong, new));
        said.push(change(PASSWORD, "canary"));
        said.push(change(PASSWORD, new));
        let changed = ada.cookie("nightlatch").unwrap();
        let created = boss
            .post("/admin/accounts", &[("name", "eve"), ("role", "member")])
            .expect(303);
        let one_time = one_time_password(&boss.get(created.location())).unwrap();
        said.push(boss.post(
            "/admin/accounts",
            &[("name", "e,e"), ("role", "member"), ("password", wrong)],
        ));
        // A link of each kind: opened, misused and used.
        let invitation = [
            ("name", "ivy"),
            ("role", "member"),
            ("email", "ivy@example.org"),
            ("invite", "on"),
        ];
        boss.post("/admin/accounts", &invitation).expect(303);
        said.push(server.anyone().post("/password/forgot", &[("username", "ivy")]));
        let mut links = Vec::new();
        eventually("both emails are written", || {
            links = server
                .emails()
                .iter()
                .filter_map(|email| smtp::link(email, "/password/reset"))
                .collect();
            links.len() == 2
        });
        let tokens: Vec<String> = links
            .iter()
            .map(|link| link.split("token=").nth(1).unwrap().to_owned())
            .collect();
        for token in &tokens {
            let ivy = server.anyone();
            said.push(ivy.get(&format!("/password/reset?token={token}")));
            said.push(ivy.get("/password/reset"));
            for chosen in ["canary", new] {
                said.push(ivy.post(
                    "/password/reset",
                    &[("new_password", chosen), ("new_password_again", chosen)],
                ));
            }
        }
        for path in [
            "/admin",
            "/admin/mail",
            "/admin/audit",
            "/admin/sessions",
            "/admin/accounts",
            "/admin/lockouts",
            "/admin/policy/export?format=json",
            "/nothing",
            "/",
        ] {
            said.push(boss.get(path));
        }
        said.push(boss.get(&format!("/admin/sessions/{NOBODY}")));
        for exported in ["audit", "sessions", "accounts"] {
            said.push(boss.post(&format!("/admin/{exported}/export?format=json"), &[]));
        }
        said.push(ada.post("/logout", &[]));
        let secrets: Vec<String> = [setup, PASSWORD.to_owned(), wrong.to_owned(), new.to_owned(), one_time]
            .into_iter()
            .chain(tokens)
            // The end of a cookie is the token's; its beginning is the signature.
            .chain(cookies.iter().chain([&changed]).flat_map(|cookie| {
                let half = cookie.len() / 2;
                [cookie[..half].to_owned(), cookie[half..].to_owned()]
            }))
            .collect();
        let audit: String = server.audit().iter().map(|row| row.to_json().to_string()).collect();
        let security = std::fs::read_to_string(&log).unwrap();
        assert!(security.lines().count() > 10);
        let output = trace.text();
        for secret in &secrets {
            assert!(!audit.contains(secret.as_str()), "{backend:?} audit: {secret}");
            assert!(
                !security.contains(secret.as_str()),
                "{backend:?} security log: {secret}"
            );
            for answer in &said {
                assert!(
                    !answer.text().contains(secret.as_str()),
                    "{backend:?} {}: {secret}",
                    answer.status()
                );
                assert!(!answer.location().contains(secret.as_str()), "{backend:?}");
            }
            let shown = output.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(shown, None, "{backend:?} tracing: {secret}");
        }
        for word in ["argon2id", "password_hash"] {
            assert!(!audit.contains(word) && !security.contains(word), "{backend:?} {word}");
        }
    }
    if std::env::var_os("NEXTEST").is_some() {
        assert!(!trace.text().is_empty(), "the trace was seen");
    }
}

#[test]
fn a_password_typed_as_a_username_is_kept_nowhere() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("security.log");
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_SECURITY_LOG", log.to_str().unwrap())
            .start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "3"),
            ("auth.login_lock_out_by_combination_user_and_ip", "true"),
        ]);
        let boss = server.admin("boss");
        server.account("Tr0ub4dor&3", Role::Member);
        for typed in [PASSWORD, "c0rrect-Horse!", "Tr0ub4dor&4"] {
            for _ in 0..5 {
                server.anyone().from("127.0.0.3").sign_in(typed, "x");
            }
            server.anyone().post("/password/forgot", &[("username", typed)]);
        }
        server
            .run(nightlatch::flows::password_reset::answer_requests(&server.ctx))
            .unwrap();
        // Account names and texts that look like names stay readable.
        for name in ["Tr0ub4dor&3", "bob.smith", "eve@example.org", "admin2024"] {
            server.anyone().from("127.0.0.4").sign_in(name, "x").expect(422);
        }
        let mut shown = std::fs::read_to_string(&log).unwrap();
        for page in [
            "/admin/audit",
            "/admin/lockouts",
            "/admin/lockouts?state=counting",
            "/admin",
        ] {
            shown.push_str(boss.get(page).expect(200).text());
        }
        shown.push_str(&format!("{:?}", server.audit()));
        for secret in [
            PASSWORD,
            "c0rrect-Horse!",
            "Tr0ub4dor&4",
            "c0rrect-horse!",
            "tr0ub4dor&4",
        ] {
            let escaped = secret.replace('&', "&#38;");
            assert!(
                !shown.contains(secret) && !shown.contains(&escaped),
                "{backend:?}: {secret}"
            );
        }
        assert!(shown.contains("looks like a password"), "{backend:?}");
        for name in ["bob.smith", "eve@example.org", "admin2024"] {
            assert!(shown.contains(name), "{backend:?}: {name}");
        }
    }
}

#[test]
fn urls_never_carry_a_session() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let token = ada.cookie("nightlatch").unwrap();
    let page = ada.get("/").expect(200);
    for word in ["sessionid=", "token=", "jsessionid", "sid="] {
        assert!(!page.text().to_lowercase().contains(word), "{word}");
    }
    // A token in the address is ignored.
    for path in [format!("/?nightlatch={token}"), format!("/;nightlatch={token}")] {
        assert_ne!(server.anyone().get(&path).status(), 200);
    }
}
