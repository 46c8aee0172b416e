//! The pages in real Chromium: signing in, changing the policy, being signed out by it; every page
//! in light, dark and on a phone.

mod lockouts;
mod policy;
mod review;

use crate::harness::{
    chromium::with_browser,
    server::{PASSWORD, TestServer, eventually},
};
use nightlatch::{
    domain::{
        account::Role,
        audit::Actor,
        policy::{Key, Scope},
    },
    flows::accounts::{self, NewAccount, NewPassword},
};

#[test]
fn an_administrator_signs_in_changes_the_policy_and_is_signed_out_by_it() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/admin/policy").await;
        browser.arrives_at("/login").await;
        browser.shows("the console").await;
        browser.sign_in("ada", "wrong").await;
        browser.find("[role=alert], .callout.danger").await;
        browser.shows("Username or password is wrong.").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/admin/policy").await;
        browser
            .type_into("[name='auth.idle_session_timeout']", "10 minutes")
            .await;
        if browser.has("[name='auth.idle_session_timeout.never']:checked").await {
            browser.click("[name='auth.idle_session_timeout.never']").await;
        }
        browser.click(".savebar button.primary").await;
        browser.arrives_at("/admin/policy/review").await;
        browser.shows("Idle timeout").await;
        browser.picture("policy-review").await;
        browser.click("#save button.primary").await;
        browser.arrives_at("/admin/policy").await;
        let saved = server
            .ctx
            .in_force()
            .policy
            .value(Key::AuthIdleSessionTimeout, Role::Member, None)
            .0;
        assert_eq!(saved.to_string(), "600");
        server.advance(601);
        browser.go("/admin/sessions").await;
        browser.arrives_at("/login").await;
        assert!(browser.path().await.contains("reason=idle"));
        browser.picture("signed-out-idle").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/admin/sessions").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn an_export_after_the_password_leaves_no_page_with_the_password_in_it() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login?return_to=%2Fadmin%2Faudit%3Fq%3Dada").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/admin/audit").await;
        server.advance(601);
        browser.click("form[action*='/admin/audit/export'] button").await;
        browser.find("#step_up_password").await;
        // The password field has the focus without a click.
        browser.press(PASSWORD).await;
        browser.click("main form button.primary").await;
        browser.find(".flash form[action*='/admin/audit/export']").await;
        assert!(browser.path().await.starts_with("/admin/audit?"), "back at the list");
        assert!(!browser.has("input[type=password]").await);
        let fetched = || server.events().iter().any(|event| event == "audit.exported");
        std::thread::scope(|scope| {
            let fetch = scope.spawn(|| eventually("the file is fetched", &fetched));
            fetch.join().unwrap();
        });
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn the_strength_meter_moves_no_button() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login?return_to=%2Fpassword").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/password").await;
        let place =
            "return document.querySelector(\"form[action='/password'] button.primary\").getBoundingClientRect().top";
        let before = browser.script(place).await;
        browser.type_into("[name=new_password]", "short").await;
        browser.find(".strength [data-score][data-enough=false]").await;
        assert_ne!(browser.find(".strength [role=status]").await.text().await.unwrap(), "");
        assert_eq!(browser.script(place).await, before);
        browser
    });
}

#[test]
fn a_faulty_edit_keeps_what_was_typed_and_names_every_fault() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login?return_to=%2Fadmin%2Fpolicy").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/admin/policy").await;
        browser
            .script("document.getElementById('auth-login_failure_limit').closest('details').open = true")
            .await;
        browser.type_into("[name='session.ttl']", "soon").await;
        browser.type_into("[name='auth.login_failure_limit']", "9999").await;
        browser.click(".savebar button.primary").await;
        browser.find("[name='session.ttl'][aria-invalid=true]").await;
        browser
            .find("[name='auth.login_failure_limit'][aria-invalid=true]")
            .await;
        let typed = browser
            .script("return document.querySelector(\"[name='session.ttl']\").value")
            .await;
        assert_eq!(typed, "soon");
        browser.picture("policy-faults").await;
        browser
    });
}

#[test]
fn markup_in_names_is_shown_as_text() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    let evil = "<img src=x onerror=document.title='owned'>";
    let created = server.run(accounts::create(
        &server.ctx,
        &nightlatch::flows::Initiator {
            actor: Actor::Cli { user: evil.to_owned() },
            origin: Default::default(),
            session: None,
        },
        NewAccount {
            name: evil.to_owned(),
            display_name: evil.to_owned(),
            email: String::new(),
            role: Role::Member,
            groups: vec![evil.to_owned()],
            expires_at: None,
            password: NewPassword::OneTime,
        },
    ));
    assert!(created.is_ok());
    server
        .anyone()
        .header("user-agent", evil)
        .sign_in(evil, "wrong")
        .expect(422);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/").await;
        for page in [
            "/admin",
            "/admin/accounts",
            "/admin/audit",
            "/admin/lockouts",
            "/admin/sessions",
        ] {
            browser.go(page).await;
            assert_ne!(browser.script("return document.title").await, "owned", "{page}");
            assert!(!browser.has("img[src=x]").await, "{page}");
        }
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn every_page_fits_wide_and_narrow_in_light_and_dark() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    server.policy(&[
        ("auth.idle_session_timeout", "15m"),
        ("auth.login_lock_out_at_failure", "true"),
    ]);
    server.policy_in(&Scope::Administrators, &[("session.ttl", "30 days")]);
    server.policy_in(
        &Scope::Application("wiki".to_owned()),
        &[
            ("auth.idle_session_timeout", "never"),
            ("activity.counts", "navigation"),
        ],
    );
    for name in ["bob", "eve", "grace"] {
        server.member(name);
    }
    for _ in 0..3 {
        server.anyone().from("127.0.0.3").sign_in("mallory", "wrong");
    }
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login").await;
        browser.picture("login-light").await;
        browser.theme("dark").await;
        browser.picture("login-dark").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/").await;
        let pages = [
            ("home", "/"),
            ("password", "/password"),
            ("overview", "/admin"),
            ("policy", "/admin/policy"),
            ("policy-administrators", "/admin/policy?scope=administrators"),
            ("posture", "/admin/policy/posture"),
            ("matrix", "/admin/policy/matrix"),
            ("matrix-all", "/admin/policy/matrix?settings=all"),
            ("revisions", "/admin/policy/revisions"),
            ("revision", "/admin/policy/revisions/2"),
            ("policy-import", "/admin/policy/import"),
            ("sessions", "/admin/sessions"),
            ("lockouts", "/admin/lockouts"),
            ("audit", "/admin/audit"),
            ("accounts", "/admin/accounts"),
            ("account-new", "/admin/accounts/new"),
            ("not-found", "/nowhere"),
        ];
        for (name, path) in pages {
            browser.resize(1280, 900).await;
            browser.go(path).await;
            assert!(browser.fits().await, "{path} is wider than the window");
            browser.theme("light").await;
            browser.picture(&format!("{name}-light")).await;
            browser.theme("dark").await;
            browser.picture(&format!("{name}-dark")).await;
            browser.resize(390, 844).await;
            browser.theme("light").await;
            browser.picture(&format!("{name}-phone")).await;
            assert!(browser.fits().await, "{path} is wider than a phone");
        }
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn a_timeline_is_drawn_wide_and_narrow_in_light_and_dark() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    server.member("bob");
    server.policy(&[("auth.idle_session_timeout", "0.5h"), ("session.renewal_period", "2h")]);
    server.policy_in(
        &Scope::Administrators,
        &[
            ("auth.idle_session_timeout", "0.25h"),
            ("session.renewal_period", "0.1h"),
        ],
    );
    server.policy_in(
        &Scope::Application("wiki".into()),
        &[("auth.idle_session_timeout", "20m")],
    );
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login?return_to=%2Fadmin%2Fsessions").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/admin/sessions").await;
        server.advance(60);
        browser.click("a[href*='policy/explain?session=']").await;
        browser.arrives_at("/admin/policy/explain").await;
        browser.find("svg.explain").await;
        browser.shows("The current state of the session.").await;
        let session = browser.path().await;
        // As a user would: with the form's existing values.
        browser.go("/admin/policy/explain").await;
        browser.type_into("#active", "08:00-17:00").await;
        browser.click("main form button.primary").await;
        browser.find("svg.explain").await;
        let text = browser.text().await;
        assert!(
            text.contains("Ends 10:30") && text.contains("The lease of 30 minutes ends and is renewed."),
            "{text}"
        );
        assert!(
            browser.path().await.contains("active=08"),
            "the whole state is in the address"
        );
        browser.go("/admin/policy").await;
        browser.type_into("[name='auth.idle_session_timeout']", "1 hour").await;
        browser.click(".savebar button.primary").await;
        browser.click("a[href*='explain?draft=']").await;
        browser.find("#answer-1").await;
        let draft = browser.path().await;
        let asked = [
            ("explain-draft", draft.as_str()),
            (
                "explain-active",
                "/admin/policy/explain?active=08%3A00-17%3A00&window=10:45",
            ),
            ("explain-quiet", "/admin/policy/explain?active=08:00-08:10,08:41"),
            (
                "explain-moves",
                "/admin/policy/explain?app=wiki@08:45&active=08:00-12:00&pause=09:05-09:24&move=08:20%3D203.0.113.7",
            ),
            (
                "explain-administrator",
                "/admin/policy/explain?role=administrator&active=08:00-17:00",
            ),
            ("explain-faults", "/admin/policy/explain?signed_in=soon&active=later"),
            ("explain-session", session.as_str()),
        ];
        for (name, path) in asked {
            browser.resize(1280, 1000).await;
            browser.go(path).await;
            assert!(browser.fits().await, "{path} is wider than the window");
            browser.theme("light").await;
            browser.picture(&format!("{name}-light")).await;
            browser.theme("dark").await;
            browser.picture(&format!("{name}-dark")).await;
            browser.resize(390, 1400).await;
            browser.theme("light").await;
            browser.picture(&format!("{name}-phone")).await;
            assert!(browser.fits().await, "{path} is wider than a phone");
        }
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}
