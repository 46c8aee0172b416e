//! axe-core finds nothing wrong with any page: light, dark and on a phone, as a stranger, a member and an administrator meets it.

use crate::{
    harness::{
        chromium::{Browser, with_browser},
        server::{On, PASSWORD, TestServer, operator},
    },
    pages::kit::NOBODY,
};
use nightlatch::{
    domain::{account::Role, policy::Scope},
    flows::{accounts, accounts::Act, applications, sessions},
    http::{Route, paths, routes},
    store::sessions::SessionFilter,
};

/// Answers of GET routes that are no pages: files, programs' answers, redirects, downloads.
const NO_PAGES: &[&str] = &[
    paths::STATIC,
    paths::HEALTHZ,
    paths::READYZ,
    paths::CHANGE_PASSWORD,
    paths::HANDOVER,
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
            "#session.ttl",
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
    (paths::ADMIN_ACCOUNTS, &["", "?role=boss"]),
    (paths::ADMIN_ACCOUNTS_NEW, &[""]),
    (paths::ADMIN_ACCOUNTS_IMPORT, &[""]),
    (paths::ADMIN_APPLICATIONS, &[""]),
];

/// Pages that the test below reaches another way: before anybody is signed in, or by an id.
const REACHED: &[&str] = &[
    paths::SETUP,
    paths::LOGIN,
    paths::ADMIN_POLICY_REVIEW,
    paths::ADMIN_POLICY_REVISION,
    paths::ADMIN_SESSION,
    paths::ADMIN_ACCOUNT,
    paths::ADMIN_APPLICATION,
    paths::ADMIN_APPLICATION_TEST,
];

fn is_page(route: &Route) -> bool {
    // What proxies and other sites' pages ask for is no page of ours.
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

/// What was found so far, and the browser that looks.
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
            // As high as the page, so that no sticky bar lies on what scrolling would bring out from under it.
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

async fn administrators(look: &mut Look, addresses: &[String]) {
    for (route, queries) in PAGES {
        for query in *queries {
            look.at(&format!("{route}{query}")).await;
        }
    }
    for address in addresses {
        look.at(address).await;
    }
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
    answers(look).await;
}

/// Pages that only a form leads to: what it would do, and what came of it.
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
    look.browser.click("button[name=lines]").await;
    look.browser.find("#passwords").await;
    look.here("an import that was done").await;
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

#[test]
fn no_page_has_an_accessibility_fault() {
    // In development mode, so that every page carries its bar too.
    let server = TestServer::on(On::Sqlite).dev().start();
    with_browser(&server.base.clone(), async |browser| {
        let mut look = Look {
            browser,
            found: Vec::new(),
        };
        strangers(&mut look, &server).await;
        std::thread::scope(|scope| scope.spawn(|| people(&server)).join()).unwrap();
        members(&mut look).await;
        look.browser.forget_cookies().await;
        look.sign_in("ada", "/").await;
        let addresses = addresses(&server).await;
        administrators(&mut look, &addresses).await;
        assert!(look.found.is_empty(), "{}", look.found.join("\n"));
        assert_eq!(look.browser.complaints().await, Vec::<String>::new());
        look.browser
    });
}

/// Something on every page: accounts, sessions live and ended, failures and locks, revisions in several scopes.
fn people(server: &TestServer) {
    server.account("ada", Role::Administrator);
    let newcomer = server.account("newcomer", Role::Member);
    server.act(newcomer, Act::ForceChange);
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
    let wiki = applications::Change {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        groups: Some(vec!["staff".to_owned()]),
        ..applications::Change::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "wiki", wiki);
    assert_eq!(server.run(made).unwrap(), applications::Verdict::Done);
    for name in ["bob", "eve"] {
        server.member(name);
    }
    server.signed_in("eve").post("/logout", &[]);
    for (name, times) in [("mallory", 3), ("carol", 2), ("eve", 1)] {
        for _ in 0..times {
            server.anyone().from("127.0.0.3").sign_in(name, "wrong");
        }
    }
}

async fn addresses(server: &TestServer) -> Vec<String> {
    let filter = SessionFilter {
        limit: 1,
        ..SessionFilter::default()
    };
    let listed = sessions::list(&server.ctx, filter).await.unwrap();
    let session = listed.items.first().unwrap();
    let failing = accounts::find_by_name(&server.ctx, "eve").await.unwrap();
    vec![
        "/admin/policy/revisions/2".to_owned(),
        format!("/admin/sessions/{}", session.row.session.id.0),
        format!("/admin/accounts/{}", session.row.session.account_id.0),
        format!("/admin/accounts/{}", failing.unwrap().id.0),
        format!("/admin/accounts/{NOBODY}"),
        "/admin/applications/wiki".to_owned(),
        "/admin/applications/wiki/test".to_owned(),
        "/admin/applications/wiki/test?url=https%3A%2F%2Fwiki.example.org%2F&account=bob".to_owned(),
    ]
}
