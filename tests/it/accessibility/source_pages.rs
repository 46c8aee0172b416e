//! The pages that a directory or an identity provider takes part in: a real provider, OpenLDAP's
//! server, and a browser that signs in there.

use super::{Look, assert_accessible, html_faults};
use crate::{
    directories,
    harness::{
        chromium::Browser,
        client::Answer,
        real_provider::RealProvider,
        server::{TestServer, operator},
        slapd::{PERSON_PASSWORD, Slapd},
    },
    oidc::kit::{arrive, callback, corp, find_account, sign_in},
};
use nightlatch::{
    domain::{account::Role, source::SourceKind},
    flows::{
        accounts::{self, CreateOutcome, NewAccount, NewPassword},
        sources::{self, SourceChange, SourceOutcome},
    },
};
use std::time::Instant;

/// A provider that can be used, another one, a directory, and accounts of them.
struct Town {
    real: RealProvider,
    _slapd: Slapd,
}

impl Town {
    fn new(server: &TestServer) -> Self {
        server.account("root", Role::Administrator);
        let real = corp(server, &[("sign_out", "offer")]);
        let slapd = Slapd::start();
        directories::add_source(server, "people", &slapd, &[]);
        let settings = [("issuer", "https://id.example.org"), ("client_id", "nightlatch")];
        let change = SourceChange {
            title: Some("A provider whose name is too long for one narrow line".to_owned()),
            enabled: Some(true),
            settings: settings
                .iter()
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
                .collect(),
            ..SourceChange::default()
        };
        let acting = operator();
        let made = sources::create(&server.ctx, &acting, "other", SourceKind::Oidc, change);
        assert_eq!(server.run(made).unwrap(), SourceOutcome::Done);
        let listed = NewAccount {
            name: "listed".to_owned(),
            display_name: String::new(),
            email: String::new(),
            role: Role::Member,
            groups: Vec::new(),
            expires_at: None,
            password: NewPassword::Source("people".to_owned()),
        };
        let made = server.run(accounts::create(&server.ctx, &acting, listed)).unwrap();
        assert!(matches!(made, CreateOutcome::Created { .. }), "{made:?}");
        directories::signed_in(server, "linus", PERSON_PASSWORD);
        Self { real, _slapd: slapd }
    }
}

/// Names and addresses of the console's pages, for an administrator.
fn console(server: &TestServer) -> Vec<(&'static str, String)> {
    let fixed = [
        ("sources", "/admin/sources"),
        ("source-new-directory", "/admin/sources?new=ldap"),
        ("source-new-provider", "/admin/sources?new=oidc"),
        ("source-provider", "/admin/sources/corp"),
        ("source-directory", "/admin/sources/people"),
        ("source-end-sessions", "/admin/sources/people/end-sessions"),
        ("source-tested", "/admin/sources/people?test=yes&account=linus"),
        ("account-new-of-source", "/admin/accounts/new"),
        ("accounts-of-source", "/admin/accounts?source=people"),
        ("sessions-of-source", "/admin/sessions?source=people"),
    ];
    let accounts = [
        ("account-of-directory", "linus"),
        ("account-listed", "listed"),
        ("account-of-provider", "ada"),
    ];
    let of_account = |(page, name)| {
        let id = find_account(server, name).unwrap().id;
        (page, format!("/admin/accounts/{}", id.0))
    };
    let fixed = fixed.map(|(page, address)| (page, address.to_owned()));
    fixed.into_iter().chain(accounts.map(of_account)).collect()
}

/// Runs blocking work outside of the browser's own loop.
fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

/// Saves pictures of the page: light, dark and on a phone.
async fn take_pictures(browser: &Browser, page: &str) {
    for (width, height, theme) in [(1280, 900, "light"), (1280, 900, "dark"), (390, 844, "light")] {
        browser.resize(width, height).await;
        browser.theme(theme).await;
        browser.picture(&format!("{page}-{theme}-{width}")).await;
    }
    browser.resize(1280, 900).await;
}

impl Look {
    /// Checks the page as it is now, and saves pictures of it.
    async fn show(&mut self, page: &str) {
        self.here(page).await;
        take_pictures(&self.browser, page).await;
    }

    /// Fills in the provider's form.
    async fn sign_in_there(&self, login: &str) {
        self.browser.type_into("input[name=login]", login).await;
        self.browser.click("button[type=submit]").await;
    }
}

#[test]
fn no_page_around_a_source_has_an_accessibility_fault() {
    assert_accessible(async |look, server| {
        let town = aside(|| Town::new(server));
        // The provider's clock is the machine's, and the server's stands still.
        let mut caught_up = 0;
        let began = Instant::now();
        let mut catch_up = || {
            let elapsed = i64::try_from(began.elapsed().as_secs()).unwrap();
            server.advance(elapsed - caught_up);
            caught_up = elapsed;
        };
        look.at("/login").await;
        look.show("login-with-providers").await;
        look.browser.without_script("/login").await;
        look.browser.picture("login-with-providers-no-script").await;
        look.browser.with_script().await;
        look.browser.go("/login?local=1").await;
        catch_up();
        look.browser.click("a[href='/login/oidc/corp']").await;
        look.sign_in_there("ada").await;
        look.browser.arrives_at("/").await;
        look.show("home-of-provider-account").await;
        catch_up();
        look.browser.go("/login/oidc/corp/again?user=root").await;
        look.sign_in_there("ada").await;
        look.browser.find("a[href^='/login/oidc/corp/again']").await;
        look.show("provider-not-signed-in").await;
        look.browser.go("/password").await;
        look.show("password-of-provider-account").await;
        for (page, address) in aside(|| console(server)) {
            look.browser.go(&address).await;
            look.show(page).await;
        }
        catch_up();
        look.browser.go("/login/oidc/corp/confirm").await;
        look.sign_in_there("ada").await;
        look.browser.arrives_at("/login/oidc/corp/answer").await;
        look.show("provider-confirmed").await;
        server.advance(11 * 60);
        look.browser.go("/admin/accounts/new").await;
        look.browser.type_into("#name", "newcomer").await;
        look.browser.click("main form button.primary").await;
        look.browser.find("a[href='/login/oidc/corp/confirm']").await;
        look.show("provider-step-up").await;
        look.browser.go("/").await;
        look.browser.click("form[action='/logout'] button").await;
        look.browser.arrives_at("/logout/provider").await;
        look.show("provider-sign-out").await;
        drop(town);
    });
}

#[test]
fn every_page_around_a_source_is_valid_html() {
    let server = TestServer::start();
    let town = Town::new(&server);
    let mut pages: Vec<(String, String)> = Vec::new();
    let mut keep = |page: &str, answer: Answer| pages.push((page.to_owned(), answer.text().to_owned()));
    let stranger = server.anyone();
    keep("login", stranger.get("/login").expect(200));
    keep("signed in", stranger.get("/nightlatch/signed-in").expect(200));
    let again = "/login/oidc/corp/again?user=ada";
    let path = callback(&stranger, &town.real.browser(), again, &[("login", "bob")]);
    keep("another person", arrive(&stranger, &path).expect(422));
    let (ada, at_provider) = (server.anyone(), town.real.browser());
    sign_in(&ada, &at_provider, "ada").expect(303);
    keep("home", ada.get("/").expect(200));
    keep("password", ada.get("/password").expect(200));
    for (page, address) in console(&server) {
        keep(page, ada.get(&address).expect(200));
    }
    let faulty = [
        ("name", "x"),
        ("role", "administrator"),
        ("source", "people"),
        ("invite", "on"),
    ];
    keep("a faulty account", ada.post("/admin/accounts", &faulty).expect(422));
    let faulty = [("act", "set"), ("title", "")];
    keep(
        "a faulty source",
        ada.post("/admin/sources/people", &faulty).expect(422),
    );
    let path = callback(&ada, &at_provider, "/login/oidc/corp/confirm", &[("login", "ada")]);
    keep("confirmed", arrive(&ada, &path).expect(200));
    server.advance(11 * 60);
    let asked = ada.post("/admin/accounts", &[("name", "newcomer"), ("role", "member")]);
    keep("step-up", asked.expect(403));
    ada.post("/logout", &[]).expect(303);
    keep("sign-out", ada.get("/logout/provider").expect(200));
    assert_eq!(html_faults(&pages), "");
}
