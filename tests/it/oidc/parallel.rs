//! Several first sign-ins of one person at a provider at the same time.

use super::kit::{arrive, callback, corp, find_account, refusal, sign_in};
use crate::harness::{
    held_write::rename_during,
    server::{Backend, TestServer},
};
use nightlatch::domain::account::Role;
use serde_json::json;
use std::sync::Barrier;

#[test]
fn parallel_first_sign_ins_of_one_person_all_succeed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        for person in ["ines", "jan", "kofi"] {
            real.people(&json!({ person: { "preferred_username": person, "groups": ["staff"] } }));
            let browsers: Vec<_> = (0..4)
                .map(|_| {
                    let client = server.anyone();
                    let path = callback(&client, &real.browser(), "/login/oidc/corp", &[("login", person)]);
                    (client, path)
                })
                .collect();
            let together = Barrier::new(browsers.len());
            std::thread::scope(|scope| {
                for (client, path) in &browsers {
                    scope.spawn(|| {
                        together.wait();
                        let answer = arrive(client, path).expect(303);
                        assert_eq!(answer.location(), "/", "{backend:?}");
                        client.get("/").expect(200);
                    });
                }
            });
            assert!(find_account(&server, person).is_some());
        }
        let created = server.events().into_iter().filter(|event| event == "account.created");
        assert_eq!(created.count(), 3, "{backend:?}");
    }
}

#[test]
fn a_name_that_is_taken_while_its_account_is_created_refuses_the_sign_in() {
    let server = TestServer::on(Backend::Postgres).start();
    server.account("spare", Role::Member);
    let real = corp(&server, &[]);
    let client = server.anyone();
    let at_provider = real.browser();
    let answer = rename_during(&server.database, "spare", "bob", || {
        sign_in(&client, &at_provider, "bob")
    });
    let (message, reason) = refusal(&server, &client, answer);
    assert_eq!(reason, "name_taken");
    assert!(message.contains("no account here"), "{message}");
    assert_eq!(find_account(&server, "bob").unwrap().source, None);
}
