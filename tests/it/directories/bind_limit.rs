//! The limit of passwords that a directory is asked about for one person.

use super::{add_source, find, last_refusal, signed_in};
use crate::harness::{
    server::{Backend, TestServer, operator},
    slapd::{PERSON_PASSWORD, Slapd, person_dn},
};
use nightlatch::{
    domain::account::Role,
    flows::{
        bind_limits::{find_bind_count, list_used_up},
        lockouts::unlock_matching,
    },
};
use std::sync::Barrier;

/// Parallel sign-ins share one count, which each right password clears.
#[test]
fn parallel_right_passwords_are_never_refused_as_wrong() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.login_account_ceiling", "0"), ("auth.login_ip_ceiling", "0")]);
        add_source(
            &server,
            "corp",
            &slapd,
            &[("bind_limit", "1"), ("operation_timeout", "10s")],
        );
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let start = Barrier::new(8);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..8)
                .map(|thread| {
                    let (start, server) = (&start, &server);
                    scope.spawn(move || {
                        let client = server.anyone().from(&format!("127.0.0.{}", thread + 2));
                        start.wait();
                        client.sign_in("ada.l", PERSON_PASSWORD).status()
                    })
                })
                .collect();
            running.into_iter().map(|sign_in| sign_in.join().unwrap()).collect()
        });
        assert!(statuses.contains(&303), "{statuses:?} {backend:?}");
        // A busy machine may take too long; the test then reports that.
        let is_answered = |status: &u16| matches!(status, 303 | 503);
        assert!(statuses.iter().all(is_answered), "{statuses:?} {backend:?}");
    }
}

#[test]
fn an_administrator_sees_the_count_and_releases_it() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        let boss = server.admin("boss");
        add_source(&server, "corp", &slapd, &[("bind_limit", "2")]);
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let account = find(&server, "ada.l").unwrap();
        let count = || server.run(find_bind_count(&server.ctx, account.clone())).unwrap();
        assert_eq!(count(), None, "{backend:?}");
        for number in 2..4 {
            let stranger = server.anyone().from(&format!("127.0.0.{number}"));
            stranger.sign_in("ada.l", "wrong").expect(422);
        }
        let counted = count().unwrap();
        assert_eq!(
            (counted.refused, counted.limit, counted.is_full()),
            (2, 2, true),
            "{backend:?}"
        );
        let binds = slapd.binds(&person_dn("ada.l"));
        server
            .anyone()
            .from("127.0.0.4")
            .sign_in("ada.l", PERSON_PASSWORD)
            .expect(422);
        assert_eq!(last_refusal(&server).1, "bind_limit", "{backend:?}");
        assert_eq!(slapd.binds(&person_dn("ada.l")), binds);
        let page = boss.get(&format!("/admin/accounts/{}", account.id.0)).expect(200);
        assert!(
            page.text().contains("2 of 2: the directory is not asked"),
            "{backend:?}"
        );
        let initiator = operator();
        let unlocking = unlock_matching(&server.ctx, &initiator, Some("ada.l"), None);
        assert!(server.run(unlocking).unwrap() >= 1, "{backend:?}");
        assert_eq!(count(), None, "{backend:?}");
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let page = boss.get(&format!("/admin/accounts/{}", account.id.0)).expect(200);
        assert!(!page.text().contains("the directory is not asked"), "{backend:?}");
    }
}

#[test]
fn used_up_binds_are_in_the_list_of_lockouts_and_are_unlocked_there() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        add_source(&server, "corp", &slapd, &[("bind_limit", "2")]);
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let list = |text: Option<&str>| server.run(list_used_up(&server.ctx, text.map(str::to_owned))).unwrap();
        // `grace` has no account yet, and is counted all the same.
        for (number, name) in ["ada.l", "grace", "ada.l", "grace"].iter().enumerate() {
            let stranger = server.anyone().from(&format!("127.0.0.{}", number + 2));
            stranger.sign_in(name, "wrong").expect(422);
        }
        let all = list(None);
        assert_eq!(all.len(), 2, "{backend:?}: {all:?}");
        let ada = list(Some("ADA")).pop().unwrap();
        assert_eq!((ada.person(), ada.count.refused, ada.count.limit), ("ada.l", 2, 2));
        let grace = all.into_iter().find(|binds| binds.id != ada.id).unwrap();
        assert_eq!(
            (grace.account.is_none(), grace.person()),
            (true, grace.external_id.as_str())
        );
        let page = boss.get("/admin/lockouts?state=locked").expect(200).page();
        for part in ["user ada.l", "source corp", "2 of 2", &grace.external_id] {
            assert!(page.shows(part), "{backend:?} {part}: {}", page.text());
        }
        let here = |path: &str| boss.get(path).expect(200).text().contains("source corp");
        assert!(
            here("/admin/lockouts") && here("/admin/lockouts?q=ada.l"),
            "{backend:?}"
        );
        assert!(!here("/admin/lockouts?state=counting"), "{backend:?}");
        let form = [("only", grace.id.to_string())];
        let form = form.each_ref().map(|(name, id)| (*name, id.as_str()));
        let unlocked = boss.post("/admin/lockouts/unlock", &form).expect(303);
        assert!(boss.get(unlocked.location()).expect(200).page().shows("Unlocked."));
        assert_eq!(list(None), std::slice::from_ref(&ada), "{backend:?}");
        let released = server.audit().pop().unwrap();
        assert_eq!(released.detail["person"], grace.external_id.as_str(), "{backend:?}");
        // A window later nothing is used up any longer.
        server.advance(15 * 60 + 1);
        assert_eq!(list(None), [], "{backend:?}");
    }
}
