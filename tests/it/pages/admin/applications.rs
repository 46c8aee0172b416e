//! `/admin/applications`: registering applications, and what is refused.

use crate::{
    harness::{
        client::Client,
        server::{Backend, TestServer},
    },
    pages::kit::between,
};
use nightlatch::domain::policy::{Key, Scope, Value};

const WIKI: &[(&str, &str)] = &[
    ("name", "wiki"),
    ("hosts", "Wiki.Example.org.\r\nwiki.example.org:8443"),
    ("prefixes", ""),
    ("role", "member"),
    ("groups", "staff, editors"),
    ("public", "/healthz\r\n/assets/*"),
    ("activity", "navigation"),
    ("ignored", "/poll/*"),
];

fn on_both(test: impl Fn(&TestServer, &Client, &str)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        test(&server, &boss, &format!("{backend:?}"));
    }
}

/// The application's fields instead of those of [`WIKI`].
fn with<'a>(instead: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = WIKI
        .iter()
        .copied()
        .filter(|(name, _)| instead.iter().all(|(other, _)| other != name));
    kept.chain(instead.iter().copied()).collect()
}

fn own_value(server: &TestServer, key: Key) -> Option<Value> {
    let in_force = server.ctx.in_force();
    let document = in_force.policy.document();
    document.get(&Scope::Application("wiki".to_owned()), key).cloned()
}

#[test]
fn an_application_is_made_changed_and_removed() {
    on_both(|server, boss, backend| {
        let page = boss.get("/admin/applications").expect(200);
        assert!(page.text().contains("No applications yet"), "{backend}");
        assert_eq!(
            boss.post("/admin/applications", WIKI).expect(303).location(),
            "/admin/applications/wiki"
        );
        let page = boss.get("/admin/applications/wiki").expect(200);
        for words in [
            "wiki.example.org:8443",
            "members, group editors, group staff",
            "2\u{a0}overrides",
            "/assets/*",
        ] {
            assert!(page.text().contains(words), "{backend}: {words}");
        }
        assert!(page.text().contains("/admin/policy?scope=app%3Awiki"), "{backend}");
        assert_eq!(
            own_value(server, Key::ActivityCounts),
            Some(Value::Text("navigation".into())),
            "{backend}"
        );
        assert_eq!(
            own_value(server, Key::ActivityIgnoredPaths),
            Some(Value::List(vec!["/poll/*".into()])),
            "{backend}"
        );
        let application = server.ctx.live.applications().named("wiki").unwrap().clone();
        assert_eq!(application.hosts.len(), 2, "{backend}");

        let changed = with(&[
            ("act", "set"),
            ("hosts", "wiki.example.org"),
            ("activity", ""),
            ("groups", ""),
        ]);
        boss.post("/admin/applications/wiki", &changed).expect(303);
        let application = server.ctx.live.applications().named("wiki").unwrap().clone();
        assert_eq!(
            (application.hosts.len(), application.groups.len()),
            (1, 0),
            "{backend}: at the next request"
        );
        assert_eq!(own_value(server, Key::ActivityCounts), None, "{backend}");
        assert!(own_value(server, Key::ActivityIgnoredPaths).is_some(), "{backend}");

        let page = boss
            .post(
                "/admin/applications/wiki",
                &[("act", "delete"), ("confirm_name", "wik")],
            )
            .expect(422);
        assert!(page.text().contains("Type wiki to remove"), "{backend}");
        boss.post(
            "/admin/applications/wiki",
            &[("act", "delete"), ("confirm_name", "wiki")],
        )
        .expect(303);
        boss.get("/admin/applications/wiki").expect(404);
        boss.post("/admin/applications/wiki", &changed).expect(404);
        assert!(server.ctx.live.applications().all().is_empty(), "{backend}");
        assert!(
            own_value(server, Key::ActivityIgnoredPaths).is_some(),
            "{backend}: overrides stay"
        );
    });
}

#[test]
fn every_change_is_audited_with_old_and_new_in_its_own_write() {
    on_both(|server, boss, backend| {
        boss.post("/admin/applications", WIKI).expect(303);
        boss.post("/admin/applications/wiki", &with(&[("hosts", "other.example.org")]))
            .expect(303);
        // Without a difference nothing happens.
        boss.post("/admin/applications/wiki", &with(&[("hosts", "other.example.org")]))
            .expect(303);
        boss.post(
            "/admin/applications/wiki",
            &[("act", "delete"), ("confirm_name", "wiki")],
        )
        .expect(303);
        let rows: Vec<_> = server
            .audit()
            .into_iter()
            .filter(|row| row.event.as_str() == "application.changed")
            .collect();
        let hosts = |side: &serde_json::Value| side["hosts"].to_string();
        let told: Vec<(String, String)> = rows
            .iter()
            .map(|row| (hosts(&row.detail["old"]), hosts(&row.detail["new"])))
            .collect();
        let (two, one) = (
            r#"["wiki.example.org","wiki.example.org:8443"]"#,
            r#"["other.example.org"]"#,
        );
        let expected = [("null", two), (two, one), (one, "null")];
        assert_eq!(
            told,
            expected.map(|(old, new)| (old.to_owned(), new.to_owned())),
            "{backend}"
        );
        assert!(
            rows.iter()
                .all(|row| row.application.as_deref() == Some("wiki") && row.actor == "boss"),
            "{backend}"
        );
        let policy = server
            .audit()
            .into_iter()
            .filter(|row| row.event.as_str() == "policy.changed")
            .count();
        assert_eq!(policy, 1, "{backend}: the activity rule is a revision of the policy");
    });
}

#[test]
fn faults_stand_beside_their_fields_and_nothing_is_stored() {
    on_both(|server, boss, backend| {
        let wrong = with(&[("name", "a b"), ("hosts", "*"), ("public", "healthz")]);
        let page = boss.post("/admin/applications", &wrong).expect(422);
        for id in ["name-fault", "hosts-fault", "public-fault"] {
            assert!(page.text().contains(&format!("id=\"{id}\"")), "{backend}: {id}");
        }
        assert!(page.text().contains("value=\"a b\""), "{backend}: what was typed stays");
        // The policy refuses: then the application is not made either.
        boss.post("/admin/applications", &with(&[("activity", "sometimes")]))
            .expect(422);
        assert!(server.ctx.live.applications().all().is_empty(), "{backend}");
        assert_eq!(own_value(server, Key::ActivityIgnoredPaths), None, "{backend}");
        boss.post("/admin/applications", WIKI).expect(303);
        let page = boss.post("/admin/applications", WIKI).expect(422);
        assert!(
            page.text().contains("already an application with that name"),
            "{backend}"
        );
        let page = boss
            .post("/admin/applications", &with(&[("name", "other")]))
            .expect(422);
        assert!(page.text().contains("already belongs to wiki"), "{backend}");
        boss.post(
            "/admin/applications",
            &with(&[("name", "other"), ("prefixes", "/other/")]),
        )
        .expect(303);
        assert_eq!(
            server.ctx.live.applications().named("other").unwrap().prefixes,
            ["/other"],
            "{backend}"
        );
    });
}

#[test]
fn odd_names_have_addresses_and_nothing_typed_becomes_markup() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let names = ["a/b", "?x#y", "<b>", "bücher", "a+b", "100%25", "new"];
    for (number, name) in names.into_iter().enumerate() {
        let host = format!("h{number}.example");
        let fields = with(&[("name", name), ("hosts", &host)]);
        let made = boss.post("/admin/applications", &fields).expect(303);
        let page = boss.get(made.location()).expect(200);
        let escaped = name.replace('<', "&#60;").replace('>', "&#62;");
        assert_eq!(between(page.text(), "<h1><bdi>", "</bdi></h1>"), [escaped.as_str()]);
    }
    let all = boss.get("/admin/applications").expect(200);
    assert!(!all.text().contains("<b>"));
}

#[test]
fn another_instance_hears_of_a_change() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        boss.post("/admin/applications", WIKI).expect(303);
        let cli = crate::cli::Cli::beside(&server);
        cli.run(&["application", "set", "wiki", "--host", "new.example.org"])
            .done();
        crate::harness::server::eventually("the server hears of it", || {
            server.ctx.live.applications().named("wiki").unwrap().hosts[0].name == "new.example.org"
        });
    }
}

#[test]
fn a_new_application_shows_each_proxys_configuration_and_waits_for_the_first_request() {
    on_both(|server, boss, backend| {
        let list = boss.get("/admin/applications").expect(200).page();
        assert_eq!(
            list.link("New application"),
            "/admin/applications?new=yes#new",
            "{backend}"
        );
        boss.post("/admin/applications", WIKI).expect(303);
        let page = boss.get("/admin/applications/wiki").expect(200).page();
        assert!(page.shows("Waiting for the first request"), "{backend}");
        let own_host = server.ctx.config.own_host().into_owned();
        for proxy in ["nginx", "caddy", "traefik", "envoy"] {
            let snippet = page.all(&format!("#snippet-{proxy}"))[0].text();
            assert!(
                snippet.contains("wiki.example.org") && snippet.contains(&own_host),
                "{backend} {proxy}"
            );
            assert!(!snippet.contains("login.example.org"), "{backend} {proxy}");
        }
    });
}
