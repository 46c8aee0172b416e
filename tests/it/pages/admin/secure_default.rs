//! Behind an https address the cookie is sent over https only, unless the policy says otherwise,
//! and the posture shows that.

use crate::{
    harness::{
        client::Client,
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::{draft, save_reviewed},
};
use nightlatch::{
    domain::{account::Role, policy::Key},
    flows::{policy, posture},
};

fn behind_https() -> TestServer {
    TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
        .start()
}

fn administrator(server: &TestServer) -> Client {
    server.account("boss", Role::Administrator);
    let boss = server.anyone().header("host", "login.example.org");
    let cookies = boss.sign_in("boss", PASSWORD).expect(303).cookies();
    let session = cookies.iter().find(|line| line.contains("nightlatch=")).unwrap();
    assert!(session.contains("; Secure"), "{session}");
    boss
}

/// Returns whether the posture reports that the attribute does not fit the address.
fn is_at_fault(server: &TestServer) -> bool {
    let seen = server.run(posture::posture(&server.ctx)).unwrap();
    let mut findings = seen.installation.iter();
    !findings
        .find(|finding| finding.key == Some(Key::SessionSecure))
        .unwrap()
        .ok
}

#[test]
fn the_default_follows_an_https_address_and_false_is_a_fault_that_is_confirmed() {
    let server = behind_https();
    let boss = administrator(&server);
    assert!(!is_at_fault(&server));
    let base = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    let review = draft(&boss, base, &[("session.secure", "off")]).expect(303);
    let refused = save_reviewed(&boss, review.location(), &[]);
    assert_eq!(
        refused.status(),
        422,
        "it needs the confirmation: {}",
        refused.location()
    );
    assert!(refused.text().contains("confirm_secure"));
    save_reviewed(&boss, review.location(), &[("confirm_secure", "on")]).expect(303);
    assert!(is_at_fault(&server), "explicit false shows");
}

#[test]
fn over_plain_http_the_default_is_off() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    let cookies = server.anyone().sign_in("boss", PASSWORD).expect(303).cookies();
    // Browsers take the removal of a prefixed name only with `Secure`.
    let mut issued = cookies.iter().filter(|line| !line.contains("Max-Age=0"));
    assert!(issued.all(|line| !line.contains("Secure")), "{cookies:?}");
}
