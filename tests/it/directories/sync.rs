//! Comparing accounts of a directory that have live sessions.

use super::{add_source, find, signed_in};
use crate::harness::{
    server::{Backend, TestServer},
    slapd::{PERSON_PASSWORD, Slapd, group_dn, person_dn},
};
use nightlatch::{
    flows::source_sync::{SyncCounts, SyncOutcome, sync_now},
    store::{StoreError, sources},
};

pub(super) fn sync(server: &TestServer) -> SyncCounts {
    match server.run(sync_now(&server.ctx, "corp")).unwrap() {
        SyncOutcome::Done(counts) => counts,
        other => panic!("{other:?}"),
    }
}

/// Compares with a directory that does not answer; returns how many sessions ended.
fn down(server: &TestServer) -> usize {
    match server.run(sync_now(&server.ctx, "corp")).unwrap() {
        SyncOutcome::Down { ended, fault } => {
            assert!(!fault.to_string().is_empty());
            ended
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sessions_of_people_who_are_gone_locked_or_left_the_group_end() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let slapd = Slapd::start();
        let server = TestServer::on(backend).start();
        add_source(
            &server,
            "corp",
            &slapd,
            &[("allowed_groups", "staff\nadmins\neveryone")],
        );
        for name in ["gone", "leaves", "stays"] {
            slapd.add_person(name);
        }
        let members: Vec<String> = ["gone", "leaves", "stays"].iter().map(|name| person_dn(name)).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        slapd.add(
            &group_dn("everyone"),
            &[
                ("objectClass", &["groupOfNames"]),
                ("cn", &["everyone"]),
                ("member", &members),
            ],
        );
        let gone = signed_in(&server, "gone", PERSON_PASSWORD);
        let leaves = signed_in(&server, "leaves", PERSON_PASSWORD);
        let stays = signed_in(&server, "stays", PERSON_PASSWORD);
        let locked = signed_in(&server, "ada.l", PERSON_PASSWORD);
        let none = sync(&server);
        assert_eq!((none.compared, none.changed, none.ended), (4, 0, 0), "{backend:?}");

        slapd.delete(&person_dn("gone"));
        slapd.lock_person("ada.l");
        slapd.replace(&group_dn("everyone"), "member", &[&person_dn("stays")]);
        slapd.replace(&person_dn("stays"), "cn", &["Stays On"]);
        let counts = sync(&server);
        assert_eq!(
            (counts.compared, counts.changed, counts.ended),
            (4, 1, 3),
            "{backend:?}"
        );
        for client in [gone, leaves, locked] {
            assert_eq!(
                client.get("/").expect(303).location(),
                "/login?reason=directory",
                "{backend:?}"
            );
        }
        stays.get("/").expect(200);
        assert_eq!(find(&server, "stays").unwrap().display_name, "Stays On");
        assert!(server.events().contains(&"session.ended directory".to_owned()));
        let page = server.anyone().get("/login?reason=directory").expect(200).page();
        assert!(page.messages()[0].contains("directory"), "{:?}", page.messages());
    }
}

#[test]
fn an_outage_ends_sessions_only_after_the_time_that_the_source_allows() {
    let mut slapd = Slapd::start();
    let server = TestServer::start();
    add_source(&server, "corp", &slapd, &[("on_outage", "1h")]);
    let linus = signed_in(&server, "linus", PERSON_PASSWORD);
    sync(&server);
    slapd.kill();
    // The last comparison is long past, but the outage begins with the first missing answer.
    server.advance(2 * 3_600);
    assert_eq!(down(&server), 0);
    server.advance(3_600);
    assert_eq!(down(&server), 0);
    linus.get("/").expect(200);
    server.advance(1);
    assert_eq!(down(&server), 1);
    assert_eq!(linus.get("/").expect(303).location(), "/login?reason=directory");
    slapd.restart();
    signed_in(&server, "linus", PERSON_PASSWORD);
}

#[test]
fn a_sign_in_that_works_ends_an_outage_as_a_comparison_does() {
    let mut slapd = Slapd::start();
    let server = TestServer::start();
    add_source(&server, "corp", &slapd, &[("on_outage", "1h")]);
    let linus = signed_in(&server, "linus", PERSON_PASSWORD);
    slapd.kill();
    assert_eq!(down(&server), 0);
    slapd.restart();
    signed_in(&server, "linus", PERSON_PASSWORD);
    slapd.kill();
    server.advance(2 * 3_600);
    assert_eq!(down(&server), 0);
    linus.get("/").expect(200);
}

#[test]
fn a_comparison_without_sessions_asks_the_directory_too() {
    let mut slapd = Slapd::start();
    let server = TestServer::start();
    let id = add_source(&server, "corp", &slapd, &[]);
    slapd.kill();
    assert_eq!(down(&server), 0);
    let state = |server: &TestServer| {
        let found: Result<_, StoreError> = server.ctx.store.read_now(move |c| sources::find(c, id));
        found.unwrap().unwrap().state
    };
    let failing = state(&server);
    assert!(failing.synced_at.is_none() && failing.fault.is_some(), "{failing:?}");
    slapd.restart();
    assert_eq!(sync(&server), SyncCounts::default());
    let working = state(&server);
    assert!(working.synced_at.is_some() && working.fault.is_none(), "{working:?}");
}
