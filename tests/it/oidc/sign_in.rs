//! Signing in at a real provider: accounts, rights, factors, and attacks on the way back.

use super::kit::{add_source, arrive, callback, corp, find_account, refusal, sign_in};
use crate::{
    factors::kit::enrol_app,
    harness::{
        real_provider::RealProvider,
        server::{Backend, PASSWORD, TestServer, operator},
    },
};
use nightlatch::{
    domain::{account::Role, audit::Event},
    flows::source_sessions::{count_source_sessions, end_source_sessions},
};
use serde_json::json;

#[test]
fn the_first_sign_in_creates_the_account_and_every_one_follows_the_provider() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        let real = corp(&server, &[]);
        let client = server.anyone();
        let page = client.get("/login?return_to=%2Fhistory").expect(200).page();
        let link = page.link("Sign in with The corp provider");
        assert_eq!(link, "/login/oidc/corp?return_to=%2Fhistory");
        let path = callback(&client, &real.browser(), &link, &[("login", "ada")]);
        let answer = arrive(&client, &path).expect(303);
        assert_eq!(answer.location(), "/history", "{backend:?}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        client.get("/history").expect(200);
        client.get("/admin").expect(200);
        let ada = find_account(&server, "ada").unwrap();
        assert_eq!(
            (ada.role, ada.groups.as_slice()),
            (Role::Administrator, &["wiki".to_owned()][..])
        );
        assert_eq!(ada.email.as_deref(), Some("ada@example.org"));
        assert_eq!(ada.display_name, "ada of the provider");
        let audit = server.audit();
        let entry = audit
            .iter()
            .rfind(|row| row.event.as_str() == "sign_in.accepted")
            .unwrap();
        assert_eq!(
            entry.detail,
            json!({ "factors": ["provider_sign_in"], "source": "corp" })
        );
        assert!(audit.iter().any(|row| row.event.as_str() == "account.created"));
        let session = entry.session_id.unwrap().0;
        let explained = server
            .signed_in("root")
            .get(&format!("/admin/policy/explain?session={session}"));
        assert!(
            explained.expect(200).page().shows("Signed in at The corp provider"),
            "{backend:?}"
        );
        // Renamed at the provider and without the administrators: the same account.
        real.people(&json!({ "ada": { "preferred_username": "ada.l", "groups": ["staff"] } }));
        let other = server.anyone();
        assert_eq!(sign_in(&other, &real.browser(), "ada").expect(303).location(), "/");
        let renamed = find_account(&server, "ada.l").unwrap();
        assert_eq!((renamed.id, renamed.role, renamed.email), (ada.id, Role::Member, None));
        other.get("/admin").expect(403);
        let page = other.get("/password").expect(200).page();
        assert!(
            page.shows("You sign in there, not with a password here."),
            "{backend:?}"
        );
        // No password opens such an account.
        server.anyone().sign_in("ada.l", PASSWORD).expect(422);
        let words = server
            .audit()
            .iter()
            .map(|row| row.detail.to_string())
            .collect::<String>();
        assert!(!words.contains("eyJ"), "no token in the audit");
    }
}

#[test]
fn the_provider_takes_the_role_from_its_last_administrator_too() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        let client = server.anyone();
        sign_in(&client, &real.browser(), "ada").expect(303);
        client.get("/admin").expect(200);
        real.people(&json!({ "ada": { "preferred_username": "ada", "groups": ["staff"] } }));
        sign_in(&server.anyone(), &real.browser(), "ada").expect(303);
        client.get("/admin").expect(403);
        assert_eq!(find_account(&server, "ada").unwrap().role, Role::Member, "{backend:?}");
        // What the command line does.
        server.account("rescue", Role::Administrator);
        server.signed_in("rescue").get("/admin").expect(200);
    }
}

#[test]
fn a_name_links_no_account_and_the_settings_limit_who_gets_one() {
    let server = TestServer::start();
    let local = server.account("ada", Role::Member);
    let real = corp(
        &server,
        &[("allowed_groups", "staff"), ("email_domains", "example.org")],
    );
    let client = server.anyone();
    let (message, reason) = refusal(&server, &client, sign_in(&client, &real.browser(), "ada"));
    assert_eq!(reason, "name_taken");
    let refused = server.audit().pop().unwrap();
    assert_eq!(refused.detail["username"], "“ada”");
    assert!(message.contains("no account here"), "{message}");
    let still = find_account(&server, "ada").unwrap();
    assert_eq!((still.id, still.source), (local, None));
    let (_, reason) = refusal(&server, &client, sign_in(&client, &real.browser(), "eve"));
    assert_eq!(reason, "not_in_allowed_group");
    for email in [
        json!("bob@other.test"),
        json!("bob@example.org.other.test"),
        json!(null),
    ] {
        let bob = json!({ "preferred_username": "bob", "groups": ["staff"], "email": email, "email_verified": true });
        real.people(&json!({ "bob": bob }));
        let (_, reason) = refusal(&server, &client, sign_in(&client, &real.browser(), "bob"));
        assert_eq!(reason, "email_domain");
    }
    assert!(find_account(&server, "bob").is_none());
    // Only listed accounts.
    let listed = TestServer::start();
    let real = corp(&listed, &[("provision", "listed")]);
    let client = listed.anyone();
    let (_, reason) = refusal(&listed, &client, sign_in(&client, &real.browser(), "bob"));
    assert_eq!(reason, "not_listed");
    let boss = listed.admin("boss");
    let new = [("name", "bob"), ("role", "member"), ("source", "corp")];
    boss.post("/admin/accounts", &new).expect(303);
    let waiting = find_account(&listed, "bob").unwrap();
    assert_eq!(waiting.external_id, None);
    assert_eq!(sign_in(&client, &real.browser(), "bob").expect(303).location(), "/");
    client.get("/").expect(200);
    let claimed = find_account(&listed, "bob").unwrap();
    assert_eq!((claimed.id, claimed.groups), (waiting.id, vec!["wiki".to_owned()]));
    assert_eq!(claimed.external_id, Some(format!("{} bob", real.issuer)));
}

#[test]
fn a_second_factor_of_ones_own_follows_the_sign_in_at_the_provider() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        let (client, at_provider) = (server.anyone(), real.browser());
        sign_in(&client, &at_provider, "bob").expect(303);
        let (app, _) = enrol_app(&server, &client);
        let browser = server.anyone();
        let start = "/login/oidc/corp?return_to=%2Fhistory";
        let path = callback(&browser, &real.browser(), start, &[("login", "bob")]);
        assert_eq!(
            arrive(&browser, &path).expect(303).location(),
            "/login/factor",
            "{backend:?}"
        );
        assert!(
            browser.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
        browser.post("/login/factor", &[("code", "000000")]).expect(422);
        let done = browser
            .post("/login/factor", &[("code", &app.code(&server))])
            .expect(303);
        assert_eq!(done.location(), "/history", "{backend:?}");
        browser.get("/history").expect(200);
        let accepted = server
            .audit()
            .into_iter()
            .rfind(|row| row.event.as_str() == "sign_in.accepted");
        assert!(accepted.unwrap().detail.to_string().contains("totp"), "{backend:?}");
    }
}

#[test]
fn another_subject_with_the_same_name_does_not_get_the_account() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        sign_in(&server.anyone(), &real.browser(), "ada").expect(303);
        let ada = find_account(&server, "ada").unwrap();
        real.people(&json!({ "ada-again": { "preferred_username": "ada", "groups": ["admins"] } }));
        let client = server.anyone();
        let (_, reason) = refusal(&server, &client, sign_in(&client, &real.browser(), "ada-again"));
        assert_eq!(reason, "identity_changed", "{backend:?}");
        assert_eq!(find_account(&server, "ada"), Some(ada), "{backend:?}");
    }
}

#[test]
fn an_answer_counts_once_in_the_browser_that_asked_and_for_the_source_that_it_asked() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        let mallory = RealProvider::start();
        mallory.register("mallory", &[&server.base]);
        add_source(&server, "mallory", &mallory.issuer, &[]);
        // Login CSRF: a stranger's answer in this browser.
        let (stranger, victim) = (server.anyone(), server.anyone());
        let path = callback(&stranger, &real.browser(), "/login/oidc/corp", &[("login", "bob")]);
        let answer = arrive(&victim, &path);
        assert_eq!(refusal(&server, &victim, answer).1, "state", "{backend:?}");
        // Mix-up: the answer of one provider at the callback of the other.
        let path = callback(&stranger, &real.browser(), "/login/oidc/corp", &[("login", "bob")]);
        let mixed = path.replace("/corp/", "/mallory/");
        assert_eq!(refusal(&server, &stranger, arrive(&stranger, &mixed)).1, "source");
        // The issuer in the answer must be that of the source.
        let path = callback(&stranger, &real.browser(), "/login/oidc/corp", &[("login", "bob")]);
        let own = real.issuer.trim_start_matches("http://127.0.0.1:");
        let other = mallory.issuer.trim_start_matches("http://127.0.0.1:");
        let forged = path.replace(&format!("%3A{own}"), &format!("%3A{other}"));
        assert_ne!(forged, path);
        assert_eq!(
            refusal(&server, &stranger, arrive(&stranger, &forged)).1,
            "response_issuer"
        );
        // A thief with the whole cookie jar and the address, after the owner arrived.
        let path = callback(&stranger, &real.browser(), "/login/oidc/corp", &[("login", "bob")]);
        let thief = stranger.thief();
        arrive(&stranger, &path).expect(303);
        stranger.get("/").expect(200);
        let answer = arrive(&thief, &path);
        let reason = refusal(&server, &thief, answer).1;
        // The provider takes no code twice.
        assert_eq!(reason, "provider_refused");
        // Too late.
        let late = server.anyone();
        let path = callback(&late, &real.browser(), "/login/oidc/corp", &[("login", "bob")]);
        server.advance(15 * 60 + 1);
        assert_eq!(refusal(&server, &late, arrive(&late, &path)).1, "state");
    }
}

#[test]
fn a_refusal_or_an_outage_of_the_provider_leaves_the_local_door_open() {
    let server = TestServer::start();
    server.account("root", Role::Administrator);
    let real = corp(&server, &[("auto_redirect", "true")]);
    let client = server.anyone();
    assert_eq!(client.get("/login").expect(303).location(), "/login/oidc/corp");
    let path = callback(
        &client,
        &real.browser(),
        "/login/oidc/corp",
        &[("error", "access_denied")],
    );
    let (message, reason) = refusal(&server, &client, arrive(&client, &path));
    assert_eq!(reason, "provider_refused");
    assert!(message.contains("did not sign you in"), "{message}");
    drop(real);
    server.advance(2 * 24 * 60 * 60);
    let (message, reason) = refusal(&server, &client, client.get("/login/oidc/corp"));
    assert_eq!(reason, "provider_unreachable");
    assert!(message.contains("cannot be reached"), "{message}");
    client.get("/login?local=1").expect(200);
    assert_eq!(client.sign_in("root", PASSWORD).expect(303).location(), "/");
    client.get("/admin").expect(200);
}

#[test]
fn the_providers_second_factor_counts_only_if_the_source_trusts_it() {
    for (settings, form, is_enough) in [
        (
            &[("factors", "trusted"), ("factor_values", "otp")][..],
            &[("login", "bob"), ("amr", "pwd otp")][..],
            true,
        ),
        (
            &[("factors", "trusted"), ("factor_values", "otp")],
            &[("login", "bob"), ("amr", "pwd")],
            false,
        ),
        (&[], &[("login", "bob"), ("amr", "pwd otp")], false),
    ] {
        let server = TestServer::start();
        let real = corp(&server, settings);
        server.policy(&[("factor.required", "any")]);
        let client = server.anyone();
        let path = callback(&client, &real.browser(), "/login/oidc/corp", form);
        arrive(&client, &path).expect(303);
        let home = client.get("/");
        assert_eq!(
            home.status(),
            if is_enough { 200 } else { 303 },
            "{settings:?} {form:?}"
        );
        if !is_enough {
            assert!(home.location().starts_with("/factor"), "{}", home.location());
        }
    }
}

#[test]
fn every_page_says_that_the_provider_signed_the_person_in() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    let root = server.admin("root");
    let client = server.anyone();
    sign_in(&client, &real.browser(), "bob").expect(303);
    let words = "sign-in at the identity provider";
    let home = client.get("/").expect(200).page();
    assert!(home.shows(words), "my account");
    let bob = find_account(&server, "bob").unwrap().id.0;
    let session = server
        .audit()
        .iter()
        .rfind(|row| row.event.as_str() == "sign_in.accepted")
        .unwrap()
        .session_id
        .unwrap()
        .0;
    for path in [
        "/admin/sessions".to_owned(),
        format!("/admin/sessions/{session}"),
        format!("/admin/accounts/{bob}"),
        format!("/admin/policy/explain?session={session}"),
    ] {
        assert!(root.get(&path).expect(200).page().shows(words), "{path}");
    }
    assert!(!root.get("/admin/sessions").expect(200).page().shows("nothing"));
}

#[test]
fn a_trusted_sign_in_at_the_provider_enrols_no_first_factor_without_a_link() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[("factors", "trusted"), ("factor_values", "otp")]);
        server.policy(&[("factor.required", "any"), ("factor.enrolment", "by_link")]);
        let thief = server.anyone().header("accept", "application/json");
        let form = &[("login", "bob"), ("amr", "pwd otp")];
        let path = callback(&thief, &real.browser(), "/login/oidc/corp", form);
        arrive(&thief, &path).expect(303);
        let refused = thief.post("/factors/totp/start", &[]).expect(403);
        assert_eq!(
            refused.json()["code"],
            "enrolment_link",
            "{backend:?}: {}",
            refused.text()
        );
        server.policy(&[("factor.required", "any"), ("factor.enrolment", "at_sign_in")]);
        thief.post("/factors/totp/start", &[]).expect(200);
    }
}

#[test]
fn a_change_of_the_rules_names_the_live_sessions_which_can_be_ended() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let real = corp(&server, &[]);
        let ada = server.anyone();
        sign_in(&ada, &real.browser(), "ada").expect(303);
        let bob = server.anyone();
        sign_in(&bob, &real.browser(), "bob").expect(303);
        let live = server.run(count_source_sessions(&server.ctx, "corp")).unwrap();
        assert_eq!((live.sessions, live.administrators), (2, 1), "{backend:?}");
        let disabled = boss.post("/admin/sources/corp", &[("act", "disable")]).expect(303);
        let page = boss.get(disabled.location()).expect(200).page();
        assert!(
            page.shows("Live sessions of its accounts: 2, of administrators: 1."),
            "{}",
            page.text()
        );
        ada.get("/").expect(200);
        // The page says how much ends before it ends; the local administrator stays.
        let page = boss.get("/admin/sources/corp/end-sessions").expect(200).page();
        let text = page.text();
        assert!(text.contains("2 live sessions of 2 accounts end"), "{text}");
        assert!(text.contains("1 session of administrators is among them"), "{text}");
        assert!(!text.contains("your own session"), "{text}");
        ada.get("/").expect(200);
        let form = page.form("/admin/sources/corp/end-sessions");
        let ended = boss.submit(&form, &[]).expect(303);
        assert_eq!(ended.location(), "/admin/sources/corp");
        assert!(boss.get(ended.location()).expect(200).page().shows("Ended 2 sessions."));
        for client in [ada, bob] {
            client.get("/").expect(303);
        }
        let ends = server
            .audit()
            .into_iter()
            .filter(|entry| entry.event == Event::SessionEnded);
        let by: Vec<_> = ends.map(|entry| (entry.actor, entry.reason)).collect();
        let revoked = ("boss".to_owned(), Some("revoked".to_owned()));
        assert_eq!(by, [revoked.clone(), revoked], "{backend:?}");
        assert!(
            boss.get("/admin/sources/corp/end-sessions")
                .expect(200)
                .page()
                .shows("none ends")
        );
        let initiator = operator();
        let ending = end_source_sessions(&server.ctx, &initiator, "corp");
        assert_eq!(server.run(ending).unwrap(), 0, "{backend:?}");
    }
}

/// Whoever came through the source is told that their own session is one of them, and proves who
/// they are first.
#[test]
fn ending_the_sessions_of_a_source_asks_for_a_proof_and_names_ones_own() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    let ada = server.anyone();
    sign_in(&ada, &real.browser(), "ada").expect(303);
    let page = ada.get("/admin/sources/corp/end-sessions").expect(200).page();
    assert!(page.shows("This includes your own session."));
    let boss = server.admin("boss");
    server.advance(700);
    let asked = boss.post("/admin/sources/corp/end-sessions", &[]).expect(403);
    assert_eq!(
        server.run(count_source_sessions(&server.ctx, "corp")).unwrap().sessions,
        1
    );
    boss.confirm(&asked, PASSWORD).expect(303);
    assert_eq!(
        server.run(count_source_sessions(&server.ctx, "corp")).unwrap().sessions,
        0
    );
    server.member("lin").get("/admin/sources/corp/end-sessions").expect(403);
}
