//! Several writes about one person of a directory at the same time.

use super::{add_source, find, last_refusal, signed_in};
use crate::harness::{
    held_write::rename_during,
    server::{Backend, TestServer},
    slapd::{PERSON_PASSWORD, Slapd},
};
use nightlatch::{
    domain::account::Role,
    flows::source_sync::{SyncOutcome, sync_now},
};
use std::sync::Barrier;

#[test]
fn parallel_first_sign_ins_of_one_person_all_succeed() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_source(&server, "corp", &slapd, &[]);
        let together = Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    together.wait();
                    signed_in(&server, "linus", PERSON_PASSWORD).get("/").expect(200);
                });
            }
        });
        let created = server.events().into_iter().filter(|event| event == "account.created");
        assert_eq!(created.count(), 1, "{backend:?}");
    }
}

#[test]
fn a_name_that_is_taken_while_its_account_is_created_refuses_the_sign_in() {
    let slapd = Slapd::start();
    let server = TestServer::on(Backend::Postgres).start();
    server.account("spare", Role::Member);
    add_source(&server, "corp", &slapd, &[]);
    let client = server.anyone();
    let answer = rename_during(&server.database, "spare", "linus", || {
        client.sign_in("linus", PERSON_PASSWORD)
    });
    answer.expect(422);
    assert_eq!(last_refusal(&server).1, "name_taken");
    assert_eq!(find(&server, "linus").unwrap().source, None);
}

#[test]
fn a_name_that_is_taken_during_a_comparison_leaves_the_person_the_old_one() {
    let slapd = Slapd::start();
    let server = TestServer::on(Backend::Postgres).start();
    server.account("spare", Role::Member);
    add_source(&server, "corp", &slapd, &[("allowed_groups", "")]);
    for name in ["ada.l", "linus"] {
        signed_in(&server, name, PERSON_PASSWORD);
    }
    slapd.rename_person("ada.l", "ada.king");
    let compare = || server.run(sync_now(&server.ctx, "corp")).unwrap();
    let outcome = rename_during(&server.database, "spare", "ada.king", compare);
    assert!(
        matches!(outcome, SyncOutcome::Done(counts) if counts.compared == 2),
        "{outcome:?}"
    );
    assert!(find(&server, "ada.l").unwrap().source.is_some());
    assert_eq!(find(&server, "ada.king").unwrap().source, None);
}
