//! Confirming one's identity at the provider before a critical action.

use super::kit::{arrive, callback, corp, find_account, knows_source, sign_in};
use crate::harness::server::{Backend, TestServer};

#[test]
fn a_critical_action_is_confirmed_at_the_provider_and_goes_on() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let first = TestServer::on(backend).start();
        let real = corp(&first, &[]);
        let (client, at_provider) = (first.anyone(), real.browser());
        sign_in(&client, &at_provider, "ada").expect(303);
        // The clock of the provider is the machine's, so the session is made old instead of
        // waiting. An instance that does not know it yet reads it.
        first
            .database
            .sql("UPDATE sessions SET proved_at = '2026-01-01 00:00:00.000000'");
        let source = first.ctx.live.sources().by_name("corp").unwrap().source.id;
        let (database, clock) = (first.database.clone(), first.clock.clone());
        // SQLite has one server at a time.
        drop(first);
        let server = TestServer::beside(&database).clock(&clock).start();
        knows_source(&server, source);
        real.register("corp", &[&server.base]);
        let client = client.at(&server.base);
        let new = [("name", "newcomer"), ("role", "member")];
        let asked = client.post("/admin/accounts", &new).expect(403).page();
        assert_eq!(asked.heading(), "Confirm it’s you");
        let there = asked.link("Confirm at The corp provider (opens a new window)");
        assert_eq!(there, "/login/oidc/corp/confirm");
        // Not confirmed yet: the page asks again and nothing happens.
        let form = asked.form_with("step_up_account");
        client.submit(&form, &[]).expect(403);
        // Another person signs in at the provider: nothing is confirmed.
        let path = callback(&client, &real.browser(), &there, &[("login", "bob")]);
        assert_eq!(arrive(&client, &path).expect(303).location(), "/", "{backend:?}");
        assert_eq!(server.events().last().unwrap(), "step_up.refused other_person");
        client.submit(&form, &[]).expect(403);
        // The owner does, although the provider has a session: it must ask again.
        let path = callback(&client, &at_provider, &there, &[("login", "ada")]);
        assert_eq!(arrive(&client, &path).expect(200).page().heading(), "Confirmed");
        assert_eq!(server.events().last().unwrap(), "step_up.accepted");
        client.submit(&form, &[]).expect(303);
        assert!(find_account(&server, "newcomer").is_some());
    }
}

#[test]
fn only_the_owner_can_begin_a_confirmation_and_only_at_the_own_provider() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    let local = server.admin("root");
    local.get("/login/oidc/corp/confirm").expect(404);
    let client = server.anyone();
    assert!(
        client
            .get("/login/oidc/corp/confirm")
            .expect(303)
            .location()
            .starts_with("/login")
    );
    sign_in(&client, &real.browser(), "bob").expect(303);
    client.get("/login/oidc/other/confirm").expect(404);
    // The answer arrives without the session: our page opens the address once more, then gives up.
    let there = callback(
        &client,
        &real.browser(),
        "/login/oidc/corp/confirm",
        &[("login", "bob")],
    );
    client.post("/logout", &[]).expect(303);
    let again = arrive(&client, &there).expect(200).page().link("Continue");
    assert_eq!(client.get(&again).expect(303).location(), "/");
}
