//! The address of the callback: whatever a provider sends there leaves the address bar, the history
//! and the referrer with the first answer, without script.

use super::kit::{arrive, callback, corp, sign_in};
use crate::harness::server::{Backend, TestDatabase, TestServer, eventually};
use nightlatch::domain::account::Role;

/// Values that no address and no page may contain after the callback.
const SENT: &str = "code=the-code&state=the-state&error=the-error&error_description=the-words&iss=the-issuer";

#[test]
fn every_outcome_leaves_the_address_of_the_callback() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        let client = server.anyone();
        // `arrive` checks the redirect. Nothing of the provider is in what follows.
        for query in [SENT, "", "code=the-code&code=the-code", "state=%FF%FE&code=the-code"] {
            let answer = arrive(&client, &format!("/login/oidc/corp/callback?{query}")).expect(303);
            assert!(
                answer.location().starts_with("/login?local=1"),
                "{backend:?}: {}",
                answer.location()
            );
            let page = client.get(answer.location()).expect(200);
            assert!(!page.text().contains("the-"), "{backend:?} {query}: {}", page.text());
        }
        arrive(&client, &format!("/login/oidc/nobody/callback?{SENT}")).expect(404);
        let long = format!("/login/oidc/corp/callback?state=s&code={}", "x".repeat(5_000));
        arrive(&client, &long).expect(303);
        // Refused by the provider, and not admitted here.
        let sent = client.get("/login/oidc/corp").expect(303);
        let place = url::Url::parse(sent.location()).unwrap();
        let (_, state) = place.query_pairs().find(|(key, _)| key == "state").unwrap();
        let issuer: String = url::form_urlencoded::byte_serialize(real.issuer.as_bytes()).collect();
        let query = format!("error=access_denied&error_description=no&state={state}&iss={issuer}");
        let denied = arrive(&client, &format!("/login/oidc/corp/callback?{query}")).expect(303);
        assert!(denied.location().starts_with("/login?local=1"));
        assert_eq!(
            server.audit().pop().unwrap().reason.as_deref(),
            Some("provider_refused"),
            "{backend:?}"
        );
        // Signed in; with strict cookies a page leads on.
        sign_in(&client, &real.browser(), "bob").expect(303);
        server.policy(&[("session.same_site", "Strict")]);
        let page = sign_in(&server.anyone(), &real.browser(), "bob").expect(200).page();
        assert_eq!(page.link("Continue"), "/", "{backend:?}");
    }
}

#[test]
fn the_cookie_of_an_answer_is_sealed_and_goes_once_it_is_used() {
    let server = TestServer::start();
    server.account("root", Role::Administrator);
    let real = corp(&server, &[]);
    let client = server.anyone();
    let paths = ["ada", "bob"].map(|login| {
        let path = callback(&client, &real.browser(), "/login/oidc/corp", &[("login", login)]);
        (client.get(&path).expect(303), path)
    });
    for (moved, path) in &paths {
        let cookies = moved.cookies();
        let cookie = cookies.iter().find(|line| line.contains("-answer=")).unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        assert!(cookie.contains("Max-Age=120"), "{cookie}");
        let (_, code) = path.split_once("code=").unwrap();
        let code = code.split('&').next().unwrap();
        assert!(!cookie.contains(code), "{cookie}");
    }
    // Both tabs came back before either went on; each has its own answer.
    client.get(paths[0].0.location()).expect(303);
    let name = |line: &String| line.contains("-answer=") && line.contains("Max-Age=0");
    let last = client.get(paths[1].0.location()).expect(303);
    assert!(last.cookies().iter().any(name), "{:?}", last.cookies());
    // Reloaded: the answer is used up.
    let again = client.get(paths[1].0.location()).expect(303);
    assert!(again.location().starts_with("/login?local=1"), "{}", again.location());
}

/// Nothing has to be looked up to take the answer out of the address.
#[test]
fn the_answer_leaves_the_address_while_the_database_is_away() {
    let server = TestServer::on(Backend::Postgres).start();
    let real = corp(&server, &[]);
    let client = server.anyone();
    sign_in(&client, &real.browser(), "bob").expect(303);
    let TestDatabase::Postgres(database) = &*server.database else {
        panic!("not on Postgres")
    };
    database.allow_connections(false);
    database.disconnect_all();
    eventually("memory is no longer believed", || client.get("/").status() == 503);
    let answer = arrive(&client, &format!("/login/oidc/corp/callback?{SENT}"));
    assert_eq!(answer.status(), 503, "{}", answer.text());
    database.allow_connections(true);
    // A server that stops before it has the database again reports what it could not write.
    eventually("the database is back", || client.get("/").status() == 200);
}
