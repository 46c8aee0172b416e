//! The test of a provider: each step, with what to do about a fault.

use super::kit::{add_source, corp};
use crate::harness::{
    forged_provider::{ForgedProvider, SigningKey},
    real_provider::RealProvider,
    server::TestServer,
    upstream::Reply,
};
use nightlatch::flows::source_test::{SourceTest, SourceTestStep, test_source};
use serde_json::json;
use std::time::Duration;

/// Maximum time of a test of a directory, which a provider's does not have.
const MAX_WAIT: Duration = Duration::from_secs(60);

fn dry_run(server: &TestServer) -> SourceTest {
    server.run(test_source(&server.ctx, "corp", None, MAX_WAIT)).unwrap()
}

fn step<'a>(test: &'a SourceTest, code: &str) -> &'a SourceTestStep {
    test.steps.iter().find(|step| step.step == code).unwrap()
}

fn found<'a>(test: &'a SourceTest, code: &str) -> &'a str {
    step(test, code).result.as_deref().unwrap()
}

/// The fault of a step, and what to do.
fn fault<'a>(test: &'a SourceTest, code: &str) -> (&'a str, &'a str) {
    let step = step(test, code);
    (
        step.result.as_ref().unwrap_err(),
        step.remedy.as_deref().unwrap_or_default(),
    )
}

#[test]
fn each_step_with_a_real_provider_succeeds_and_shows_what_to_register() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    let test = dry_run(&server);
    let codes: Vec<_> = test.steps.iter().map(|step| step.step).collect();
    let all = [
        "discovery",
        "keys",
        "authorization",
        "client",
        "sign_out",
        "back_channel",
    ];
    assert_eq!(codes, all, "{:?}", test.steps);
    assert!(test.is_passed(), "{:?}", test.steps);
    assert!(found(&test, "discovery").contains(&real.issuer));
    assert_eq!(found(&test, "keys"), "RS256 (1 key)");
    let base = server.ctx.config.base_url();
    assert_eq!(
        found(&test, "authorization"),
        format!("{base}/login/oidc/corp/callback is registered")
    );
    assert_eq!(found(&test, "client"), "client ID and secret are accepted");
    assert!(found(&test, "sign_out").ends_with(&format!("{base}/login")));
    assert!(found(&test, "back_channel").contains(&format!("{base}/oidc/corp/backchannel-logout")));
    assert!(server.events().is_empty(), "nothing is changed");
    // A person is not known before they sign in.
    let test = server
        .run(test_source(&server.ctx, "corp", Some("ada"), MAX_WAIT))
        .unwrap();
    assert!(!test.is_passed());
}

#[test]
fn a_wrong_secret_client_or_redirect_address_is_named_with_its_remedy() {
    let server = TestServer::start();
    let real = RealProvider::start();
    add_source(&server, "corp", &real.issuer, &[]);
    real.register_with("corp", &[&server.base], "another secret");
    let (message, remedy) = {
        let test = dry_run(&server);
        let (message, remedy) = fault(&test, "client");
        (message.to_owned(), remedy.to_owned())
    };
    assert!(message.contains("invalid_client"), "{message}");
    assert!(remedy.contains("enter the client secret again"), "{remedy}");
    // Registered for another source: the redirect address is not ours.
    real.register("other", &[&server.base]);
    let test = dry_run(&server);
    let (message, remedy) = fault(&test, "authorization");
    assert!(message.contains("status 400"), "{message}");
    assert!(remedy.contains("/login/oidc/corp/callback"), "{remedy}");
    let words = format!("{test:?}");
    assert!(!words.contains("client secret of the tests"), "no secret is shown");
}

#[test]
fn a_wrong_issuer_and_a_provider_that_is_gone_end_the_test() {
    let server = TestServer::start();
    let real = RealProvider::start();
    add_source(&server, "corp", &format!("{}/", real.issuer), &[]);
    let test = dry_run(&server);
    assert_eq!(test.steps.len(), 1, "{:?}", test.steps);
    let (message, remedy) = fault(&test, "discovery");
    assert!(message.contains("calls itself"), "{message}");
    assert!(remedy.contains("byte for byte"), "{remedy}");
    drop(real);
    let test = dry_run(&server);
    assert!(
        fault(&test, "discovery").0.contains("cannot be reached"),
        "{:?}",
        test.steps
    );
}

#[test]
fn what_a_faulty_provider_answers_is_told_apart() {
    let server = TestServer::start();
    let forged = ForgedProvider::start(&SigningKey::new("first"));
    add_source(&server, "corp", &forged.issuer, &[]);
    // It signs anyone in.
    let test = dry_run(&server);
    assert!(fault(&test, "client").0.contains("made-up code"), "{:?}", test.steps);
    assert!(found(&test, "back_channel").starts_with("not offered"));
    // No accepted algorithm, then a key of another type.
    forged.change(|answers| answers.metadata = json!({ "id_token_signing_alg_values_supported": ["HS256"] }));
    assert!(fault(&dry_run(&server), "keys").0.contains("no accepted algorithm"));
    forged.change(|answers| answers.metadata = json!({ "id_token_signing_alg_values_supported": ["RS256"] }));
    let test = dry_run(&server);
    assert!(fault(&test, "keys").0.contains("no published key"), "{:?}", test.steps);
    assert!(fault(&test, "keys").1.contains("RS256, ES256 or PS256"));
    // The token endpoint fails.
    forged.change(|answers| {
        answers.instead = Some(("/token", || Reply {
            status: "503 Service Unavailable",
            headers: String::new(),
            body: String::new(),
        }));
    });
    assert!(fault(&dry_run(&server), "client").0.contains("status 503"));
}

#[test]
fn the_page_of_a_provider_tests_it() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    let boss = server.admin("boss");
    let page = boss.get("/admin/sources/corp").expect(200);
    assert!(!page.text().contains("Every step succeeded."));
    assert!(page.page().all("input[name=account]").is_empty());
    let tested = boss.get("/admin/sources/corp?test=yes").expect(200).page();
    assert!(tested.shows("Every step succeeded."), "{}", tested.text());
    assert!(tested.shows("client ID and secret are accepted"));
    drop(real);
    let failed = boss.get("/admin/sources/corp?test=yes").expect(200).page();
    assert!(failed.shows("The test failed."), "{}", failed.text());
    assert!(
        failed.shows("Check the issuer, the certificate (ca_file)"),
        "{}",
        failed.text()
    );
}
