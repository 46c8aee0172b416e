//! axe-core finds no fault on any page: light, dark and on a phone, as a visitor, a member and an
//! administrator.

mod source_pages;

use crate::{
    harness::{
        chromium::{Browser, with_browser},
        server::{Backend, PASSWORD, TestServer, operator},
    },
    pages::kit::NOBODY,
};
use nightlatch::{
    domain::{account::Role, policy::Scope, secret::Secret, session::SessionFilter, source::SourceKind},
    flows::{
        accounts::{self, AccountAction},
        applications, sessions,
        sources::{self, SourceChange, SourceOutcome},
    },
    http::{paths, route::Route, routes},
};

/// Responses of GET routes that are not pages: files, responses for programs, redirects, downloads.
const NO_PAGES: &[&str] = &[
    paths::STATIC,
    paths::HEALTHZ,
    paths::READYZ,
    paths::CHANGE_PASSWORD,
    paths::HANDOVER,
    paths::LOGIN_OIDC,
    paths::LOGIN_OIDC_CALLBACK,
    paths::LOGIN_OIDC_AGAIN,
    paths::LOGIN_OIDC_CONFIRM,
    paths::FACTORS_APP_START,
    paths::FACTORS_PASSKEY_NEW,
    paths::ADMIN_POLICY_EXPORT,
    paths::ADMIN_POLICY_REVIEW_EXPORT,
    paths::ADMIN_SESSIONS_EXPORT,
    paths::ADMIN_AUDIT_EXPORT,
    paths::ADMIN_ACCOUNTS_EXPORT,
];

/// Pages that an administrator opens by their address alone: route, and what follows it.
const PAGES: &[(&str, &[&str])] = &[
    (paths::HOME, &[""]),
    (paths::EMAIL_CONFIRM, &[""]),
    (paths::EMAIL_CANCEL, &[""]),
    (paths::NOT_ME, &[""]),
    (paths::SWITCH, &[""]),
    (paths::FACTORS, &[""]),
    (paths::FACTORS_ENROL, &[""]),
    (paths::HISTORY, &["", "?outcome=failure"]),
    (paths::PASSWORD, &[""]),
    (paths::PASSWORD_FORGOT, &[""]),
    (paths::PASSWORD_RESET, &[""]),
    (paths::ADMIN, &[""]),
    (
        paths::ADMIN_POLICY,
        &[
            "",
            "?scope=administrators",
            "?scope=app:wiki",
            "?q=samesite",
            "?q=nothing-is-called-so",
            "#session-ttl",
        ],
    ),
    (
        paths::ADMIN_POLICY_EXPLAIN,
        &[
            "",
            "?app=wiki&active=08:00-17:00&move=09:00%3D203.0.113.7",
            "?signed_in=soon",
        ],
    ),
    (paths::ADMIN_POLICY_IMPORT, &[""]),
    (paths::ADMIN_POLICY_POSTURE, &[""]),
    (paths::ADMIN_POLICY_MATRIX, &["", "?settings=all"]),
    (paths::ADMIN_POLICY_REVISIONS, &["", "?from=1&to=3"]),
    (paths::ADMIN_SESSIONS, &["", "?state=ended", "?q=nobody-is-called-so"]),
    (paths::ADMIN_SESSIONS_END, &["?q=bob"]),
    (paths::ADMIN_LOCKOUTS, &["", "?state=counting", "?state=no"]),
    (paths::ADMIN_LOCKOUTS_BLOCK, &["", "?id="]),
    (paths::ADMIN_MAIL, &["", "?state=given_up"]),
    (
        paths::ADMIN_AUDIT,
        &["", "?q=nothing-is-called-so", "?event=no&session=no"],
    ),
    (paths::ADMIN_AUDIT_TARGETS, &[""]),
    (paths::ADMIN_ACCOUNTS, &["", "?role=boss"]),
    (paths::ADMIN_ACCOUNTS_NEW, &[""]),
    (paths::ADMIN_ACCOUNTS_IMPORT, &[""]),
    (paths::ADMIN_APPLICATIONS, &[""]),
    (paths::ADMIN_SOURCES, &["", "?new=ldap", "?new=oidc"]),
];

/// Pages that the test below opens in another way: before sign-in, or by an ID.
const REACHED: &[&str] = &[
    paths::SETUP,
    paths::LOGIN,
    // `factors::chromium` checks these; the two removals are one template.
    paths::LOGIN_FACTOR,
    paths::FACTOR,
    paths::FACTORS_APP_REMOVE,
    paths::FACTORS_PASSKEY_REMOVE,
    // `accessibility::source_pages` opens these two after a sign-in at a provider.
    paths::LOGIN_OIDC_ANSWER,
    paths::LOGOUT_PROVIDER,
    paths::ADMIN_POLICY_REVIEW,
    paths::ADMIN_POLICY_REVISION,
    paths::ADMIN_SESSION,
    paths::ADMIN_ACCOUNT,
    paths::ADMIN_ACCOUNT_CONFIRM,
    paths::ADMIN_ACCOUNTS_ACT,
    paths::ADMIN_APPLICATION,
    paths::ADMIN_APPLICATION_TEST,
    paths::ADMIN_SOURCE,
    // `accessibility::source_pages` opens it.
    paths::ADMIN_SOURCE_END,
];

fn is_page(route: &Route) -> bool {
    // Endpoints for proxies and for other sites' pages are not pages.
    let ours = !route.path.starts_with("/api/") && !route.path.starts_with("/nightlatch");
    route.method == "GET" && ours && !NO_PAGES.contains(&route.path)
}

#[test]
fn every_page_of_the_route_table_is_looked_at() {
    let listed = |path: &str| PAGES.iter().any(|(page, _)| *page == path) || REACHED.contains(&path);
    let forgotten: Vec<&str> = routes()
        .iter()
        .filter(|route| is_page(route) && !listed(route.path))
        .map(|route| route.path)
        .collect();
    assert!(forgotten.is_empty(), "add them to PAGES: {forgotten:?}");
}

/// The faults found so far, and the browser.
struct Look {
    browser: Browser,
    found: Vec<String>,
}

impl Look {
    async fn at(&mut self, path: &str) {
        self.browser.go(path).await;
        self.here(path).await;
    }

    /// The page as it is now, under a name.
    async fn here(&mut self, name: &str) {
        for (width, height, theme) in [(1280, 900, "light"), (1280, 900, "dark"), (390, 844, "light")] {
            self.browser.resize(width, height).await;
            // As high as the page, so that no sticky bar lies on what scrolling would bring out
            // from under it.
            let whole = self
                .browser
                .script("return document.documentElement.scrollHeight")
                .await;
            let whole = u32::try_from(whole.as_u64().unwrap()).unwrap();
            self.browser.resize(width, height.max(whole + 200)).await;
            self.browser.theme(theme).await;
            for fault in self.browser.axe().await {
                self.found.push(format!("{name}, {theme} {width}: {fault}"));
            }
        }
        self.browser.resize(320, 720).await;
        if !self.browser.fits().await {
            self.found.push(format!("{name} is wider than 320 pixels"));
        }
        self.browser.resize(1280, 900).await;
    }

    async fn sign_in(&self, name: &str, at: &str) {
        self.browser.go("/login").await;
        self.browser.sign_in(name, PASSWORD).await;
        self.browser.arrives_at(at).await;
    }

    async fn sign_out(&self) {
        self.browser.click("form[action='/logout'] button").await;
        self.browser.arrives_at("/login").await;
    }
}

async fn strangers(look: &mut Look, server: &TestServer) {
    let link = server.setup_link.as_deref().unwrap().trim_start_matches(&server.base);
    look.at(link).await;
    look.browser.type_into("#username", "ada").await;
    look.browser.type_into("#password", "short").await;
    look.browser.type_into("#password_again", "other").await;
    look.browser.click("form[action='/setup'] button.primary").await;
    look.browser.find("#faults").await;
    look.here("set-up with faults").await;
    look.at("/login?reason=idle&return_to=%2Fadmin%2Fpolicy").await;
    look.browser.sign_in("ada", "wrong").await;
    look.browser.find("#login-error").await;
    look.here("a refused sign-in").await;
    look.at("/nowhere").await;
}

async fn members(look: &mut Look) {
    look.sign_in("bob", "/").await;
    look.at("/").await;
    look.at("/admin").await;
    look.browser.go("/").await;
    look.sign_out().await;
    look.sign_in("newcomer", "/password").await;
    look.here("a password that must change").await;
    look.browser.type_into("[name=current_password]", PASSWORD).await;
    look.browser.type_into("[name=new_password]", "short").await;
    look.browser.type_into("[name=new_password_again]", "other").await;
    look.browser.click("form[action='/password'] button.primary").await;
    look.browser.find("#faults").await;
    look.here("a new password with faults").await;
}

/// Those of [`PAGES`] whose route is among the wanted ones.
async fn listed_pages(look: &mut Look, is_wanted: impl Fn(&str) -> bool) {
    for (route, queries) in PAGES.iter().filter(|(route, _)| is_wanted(route)) {
        for query in *queries {
            look.at(&format!("{route}{query}")).await;
        }
    }
}

/// The editor with faults, and a review.
async fn policy_forms(look: &mut Look) {
    look.browser.go("/admin/policy").await;
    look.browser.type_into("[name='session.ttl']", "soon").await;
    look.browser.click(".savebar button.primary").await;
    look.browser.find("[aria-invalid=true]").await;
    look.here("a policy with faults").await;
    look.browser.type_into("[name='session.ttl']", "3 minutes").await;
    look.browser.click(".savebar button.primary").await;
    look.browser.arrives_at("/admin/policy/review").await;
    look.here("a review").await;
    look.browser.click("button[form=discard]").await;
}

/// Visits the console's forms with wrong input, and their confirmation pages.
async fn console_forms(look: &mut Look) {
    look.browser.go("/admin/accounts/new").await;
    look.browser.type_into("#name", "bob").await;
    look.browser.click("main form button.primary").await;
    look.browser.find("[role=alert]").await;
    look.here("a new account with faults").await;
    look.browser.go("/admin/applications").await;
    look.browser.click("main details summary").await;
    look.browser.type_into("#name", "wiki").await;
    look.browser.type_into("#hosts", "*").await;
    look.browser.click("main details button.primary").await;
    look.browser.find("#faults").await;
    look.here("a new application with faults").await;
    look.browser.go("/admin/sessions").await;
    look.browser.click("[name=id]").await;
    look.browser.click("[data-bulk-button]").await;
    look.browser
        .find("form[action='/admin/sessions/end'] button.danger")
        .await;
    look.here("ending sessions").await;
    look.at("/admin/accounts/nobody").await;
}

/// Visits pages that only a form leads to: previews and results.
async fn answers(look: &mut Look) {
    look.browser.go("/admin/accounts/import").await;
    let file = "name,display_name,email,role\nzoe,Zoe,zoe@example.org,member\nbob,Bob Long-Surname-Of-The-North,,\nyan,,not-an-address,\n";
    look.browser.type_into("#text", file).await;
    look.browser.click("form[enctype] .btn.primary").await;
    look.browser.find("#plan-h").await;
    assert_eq!(
        look.browser
            .script("return document.activeElement.getAttribute('aria-labelledby')")
            .await,
        "plan-h"
    );
    look.here("an import that was checked").await;
    let key = look
        .browser
        .script("return document.querySelector('form[action=\"/admin/accounts/import/apply\"] [name=key]').value")
        .await;
    look.browser.click("button[name=lines]").await;
    look.browser.find("#passwords").await;
    look.here("an import that was done").await;
    look.at(&paths::ADMIN_ACCOUNTS_ACT.replace("{id}", key.as_str().unwrap()))
        .await;
    look.browser.go("/admin/accounts").await;
    look.browser.click("[data-select-all]").await;
    look.browser
        .script("document.querySelector('#act').value = 'disable'")
        .await;
    look.browser.click("[data-bulk-button]").await;
    look.browser.find("#do").await;
    look.here("an act on many accounts").await;
    look.browser.click("#do").await;
    look.browser.find("#left-h").await;
    look.here("an act on many accounts that was done").await;
}

/// Checks a server that has every kind of data a page can show; `visit` opens the pages and lists
/// them.
fn assert_accessible(visit: impl AsyncFnOnce(&mut Look, &TestServer)) {
    // In development mode, so that every page carries its bar too.
    let server = TestServer::on(Backend::Sqlite).dev().start();
    with_browser(&server.base.clone(), async |browser| {
        let mut look = Look {
            browser,
            found: Vec::new(),
        };
        visit(&mut look, &server).await;
        assert!(look.found.is_empty(), "{}", look.found.join("\n"));
        assert_eq!(look.browser.complaints().await, Vec::<String>::new());
        look.browser
    });
}

/// Fills the server and signs an administrator in.
async fn become_administrator(look: &Look, server: &TestServer) {
    std::thread::scope(|scope| scope.spawn(|| people(server)).join()).unwrap();
    look.sign_in("ada", "/").await;
}

#[test]
fn no_page_of_strangers_and_members_has_an_accessibility_fault() {
    assert_accessible(async |look, server| {
        strangers(look, server).await;
        std::thread::scope(|scope| scope.spawn(|| people(server)).join()).unwrap();
        members(look).await;
    });
}

#[test]
fn no_page_of_the_policy_has_an_accessibility_fault() {
    assert_accessible(async |look, server| {
        become_administrator(look, server).await;
        listed_pages(look, |route| route.starts_with(paths::ADMIN_POLICY)).await;
        policy_forms(look).await;
    });
}

#[test]
fn no_other_listed_page_has_an_accessibility_fault() {
    assert_accessible(async |look, server| {
        become_administrator(look, server).await;
        listed_pages(look, |route| !route.starts_with(paths::ADMIN_POLICY)).await;
    });
}

#[test]
fn no_page_of_one_thing_has_an_accessibility_fault() {
    assert_accessible(async |look, server| {
        become_administrator(look, server).await;
        for address in addresses(server).await {
            look.at(&address).await;
        }
    });
}

#[test]
fn no_answer_to_a_form_has_an_accessibility_fault() {
    assert_accessible(async |look, server| {
        become_administrator(look, server).await;
        console_forms(look).await;
        answers(look).await;
    });
}

/// Returns the faults that html-validate's recommended rules find in these pages as served. IDs may
/// contain dots, because the anchor of a setting is its key.
fn html_faults(pages: &[(String, String)]) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    for (number, (_, html)) in pages.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:03}.html")), html).unwrap();
    }
    let output = std::process::Command::new("node")
        .arg(format!(
            "{root}/target/html-validate/node_modules/html-validate/bin/html-validate.mjs"
        ))
        .args([
            "--config",
            &format!("{root}/.config/htmlvalidate.json"),
            "--formatter",
            "text",
        ])
        .arg(folder.path())
        .output()
        .expect("html-validate is fetched: tests/run does that");
    let mut found = String::from_utf8_lossy(&output.stdout).into_owned();
    found.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return String::new();
    }
    for (number, (address, _)) in pages.iter().enumerate() {
        found = found.replace(&format!("{number:03}.html"), address);
    }
    found
}

/// The recommended rules of html-validate, without `form-dup-name`: in a list of checkboxes all
/// have one name, and a switch follows a hidden field of its name, and no option of the rule allows
/// both.
#[test]
fn every_page_is_valid_html() {
    let server = TestServer::on(Backend::Sqlite).dev().start();
    let stranger = server.anyone();
    let link = server.setup_link.as_deref().unwrap().trim_start_matches(&server.base);
    let mut pages: Vec<(String, String)> = [link, "/login", "/nowhere"]
        .into_iter()
        .map(|address| (address.to_owned(), stranger.open(address).text().to_owned()))
        .collect();
    people(&server);
    let ada = server.signed_in("ada");
    let listed = PAGES
        .iter()
        .flat_map(|(route, queries)| queries.iter().map(move |query| format!("{route}{query}")));
    let reached = server.run(addresses(&server));
    for address in listed.chain(reached) {
        pages.push((address.clone(), ada.get(&address).text().to_owned()));
    }
    let base = server.ctx.in_force().policy.revision().to_string();
    let change = [
        ("base", base.as_str()),
        ("scope", "everyone"),
        ("session.ttl", "3 minutes"),
    ];
    let review = ada.post("/admin/policy", &change);
    let review = review.expect(303).location().to_owned();
    pages.push((review.clone(), ada.get(&review).text().to_owned()));
    server.advance(3600);
    let asked = server.signed_in("ada");
    server.advance(1200);
    pages.push((
        "step-up".to_owned(),
        asked.post("/admin/accounts", &[("name", "zoe")]).text().to_owned(),
    ));
    assert_eq!(html_faults(&pages), "");
}

/// Something on every page: accounts, sessions live and ended, failures and locks, revisions in
/// several scopes.
fn people(server: &TestServer) {
    server.account("ada", Role::Administrator);
    let newcomer = server.account("newcomer", Role::Member);
    server.act(newcomer, AccountAction::ForceChange);
    server.policy(&[
        ("auth.idle_session_timeout", "15m"),
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_lock_out_by_combination_user_and_ip", "true"),
        ("session.session_ip_subnet_bits", "16"),
    ]);
    server.policy_in(&Scope::Administrators, &[("session.ttl", "30 days")]);
    server.policy_in(
        &Scope::Application("wiki".to_owned()),
        &[("auth.idle_session_timeout", "5m")],
    );
    let wiki = applications::ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        groups: Some(vec!["staff".to_owned()]),
        ..applications::ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "wiki", wiki);
    assert_eq!(server.run(made).unwrap(), applications::ApplicationOutcome::Done);
    for name in ["bob", "eve"] {
        server.member(name);
    }
    server.signed_in("eve").post("/logout", &[]);
    for (name, times) in [("mallory", 3), ("carol", 2), ("eve", 1)] {
        for _ in 0..times {
            server.anyone().from("127.0.0.3").sign_in(name, "wrong");
        }
    }
    identity_sources(server);
}

/// A directory, which is off so that no sign-in asks it, and a provider, which shows on `/login`.
fn identity_sources(server: &TestServer) {
    let create = |name: &str, kind, enabled, settings: &[(&str, &str)]| {
        let change = SourceChange {
            title: Some(format!("The {name} of the company")),
            enabled: Some(enabled),
            settings: settings
                .iter()
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
                .collect(),
            secret: Some(Secret::new("correct horse".to_owned())),
            ..SourceChange::default()
        };
        let made = server.run(sources::create(&server.ctx, &operator(), name, kind, change));
        assert_eq!(made.unwrap(), SourceOutcome::Done);
    };
    let directory = [("urls", "ldaps://ldap.example.org"), ("base", "dc=example,dc=org")];
    create("directory", SourceKind::Ldap, false, &directory);
    let provider = [("issuer", "https://id.example.org"), ("client_id", "nightlatch")];
    create("provider", SourceKind::Oidc, true, &provider);
}

async fn addresses(server: &TestServer) -> Vec<String> {
    let filter = SessionFilter {
        limit: 1,
        ..SessionFilter::default()
    };
    let listed = sessions::list(&server.ctx, filter).await.unwrap();
    let session = listed.items.first().unwrap();
    let failing_id = accounts::find_by_name(&server.ctx, "eve").await.unwrap().unwrap().id;
    vec![
        "/admin/policy/revisions/2".to_owned(),
        format!("/admin/sessions/{}", session.row.session.id.0),
        format!("/admin/accounts/{}", session.row.session.account_id.0),
        format!("/admin/accounts/{}", failing_id.0),
        format!("/admin/accounts/{}/confirm?act=disable", failing_id.0),
        format!("/admin/accounts/{NOBODY}"),
        "/admin/applications/wiki".to_owned(),
        "/admin/sources/directory".to_owned(),
        "/admin/sources/provider".to_owned(),
        "/admin/applications/wiki/test".to_owned(),
        "/admin/applications/wiki/test?url=https%3A%2F%2Fwiki.example.org%2F&account=bob".to_owned(),
    ]
}
