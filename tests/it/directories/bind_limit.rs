//! The limit of passwords that a directory is asked about for one person.

use super::{add_source, find, last_refusal, signed_in};
use crate::harness::{
    server::{On, TestServer, operator},
    slapd::{PERSON_PASSWORD, Slapd, person_dn},
};
use nightlatch::{
    domain::account::Role,
    flows::{bind_limits::find_bind_count, lockouts::unlock_matching},
};
use std::sync::Barrier;

/// Parallel sign-ins share one count, which each right password clears.
#[test]
fn parallel_right_passwords_are_never_refused_as_wrong() {
    let slapd = Slapd::start();
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
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
        assert!(statuses.contains(&303), "{statuses:?} {on:?}");
        // A busy machine may take too long; the test then reports that.
        let is_answered = |status: &u16| matches!(status, 303 | 503);
        assert!(statuses.iter().all(is_answered), "{statuses:?} {on:?}");
    }
}

#[test]
fn an_administrator_sees_the_count_and_releases_it() {
    let slapd = Slapd::start();
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        server.account("root", Role::Administrator);
        let boss = server.admin("boss");
        add_source(&server, "corp", &slapd, &[("bind_limit", "2")]);
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let account = find(&server, "ada.l").unwrap();
        let count = || server.run(find_bind_count(&server.ctx, account.clone())).unwrap();
        assert_eq!(count(), None, "{on:?}");
        for number in 2..4 {
            let stranger = server.anyone().from(&format!("127.0.0.{number}"));
            stranger.sign_in("ada.l", "wrong").expect(422);
        }
        let counted = count().unwrap();
        assert_eq!(
            (counted.refused, counted.limit, counted.is_full()),
            (2, 2, true),
            "{on:?}"
        );
        let binds = slapd.binds(&person_dn("ada.l"));
        server
            .anyone()
            .from("127.0.0.4")
            .sign_in("ada.l", PERSON_PASSWORD)
            .expect(422);
        assert_eq!(last_refusal(&server).1, "bind_limit", "{on:?}");
        assert_eq!(slapd.binds(&person_dn("ada.l")), binds);
        let page = boss.get(&format!("/admin/accounts/{}", account.id.0)).expect(200);
        assert!(page.text().contains("2 of 2: the directory is not asked"), "{on:?}");
        let initiator = operator();
        let unlocking = unlock_matching(&server.ctx, &initiator, Some("ada.l"), None);
        assert!(server.run(unlocking).unwrap() >= 1, "{on:?}");
        assert_eq!(count(), None, "{on:?}");
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let page = boss.get(&format!("/admin/accounts/{}", account.id.0)).expect(200);
        assert!(!page.text().contains("the directory is not asked"), "{on:?}");
    }
}
