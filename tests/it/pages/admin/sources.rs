//! `/admin/sources`, and what a source decides about its accounts: the local administrators' door
//! stays open whatever a source does.

use crate::harness::server::{Backend, TestServer, operator};
use nightlatch::{
    domain::{
        account::{Account, AccountId, Role},
        secret::Secret,
        source::{SettingTexts, SourceId, SourceKind, fields_of},
    },
    flows::{
        accounts::{self, AccountAction, AccountActionOutcome},
        password_reset::{self, InvitationOutcome, MailLinkOutcome},
        sources::{self, SourceChange, SourceDeletion, SourceOutcome},
    },
    store::{self, StoreError},
};

fn texts(pairs: &[(&str, &str)]) -> SettingTexts {
    let pairs = pairs.iter();
    pairs
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

/// Creates the source `corp`.
fn with_source(server: &TestServer) -> SourceId {
    let change = SourceChange {
        title: Some("Corp directory".to_owned()),
        settings: texts(&[("urls", "ldaps://ldap.example.org"), ("base", "dc=example,dc=org")]),
        secret: Some(Secret::new("correct horse".to_owned())),
        ..SourceChange::default()
    };
    let made = server.run(sources::create(
        &server.ctx,
        &operator(),
        "corp",
        SourceKind::Ldap,
        change,
    ));
    assert_eq!(made.unwrap(), SourceOutcome::Done);
    server
        .run(sources::find(&server.ctx, "corp"))
        .unwrap()
        .unwrap()
        .source
        .id
}

/// Makes an account belong to a source.
fn of_source(server: &TestServer, name: &str, role: Role, source: SourceId) -> AccountId {
    let id = server.account(name, role);
    let external_id = format!("uuid of {name}");
    let link = move |c: &mut store::Conn| -> Result<(), StoreError> {
        let account = store::accounts::find(c, id)?.unwrap();
        let linked = Account {
            source: Some(source),
            external_id: Some(external_id),
            email: Some("someone@example.org".to_owned()),
            ..account
        };
        store::accounts::update(c, &linked)
    };
    server.ctx.store.write_now(link).unwrap();
    id
}

const NEW: &[(&str, &str)] = &[
    ("kind", "ldap"),
    ("name", "corp"),
    ("title", "Corp directory"),
    ("urls", "ldaps://ldap.example.org"),
    ("base", "dc=example,dc=org"),
    ("secret", "correct horse"),
    ("step_up_act", "Add a source"),
];

#[test]
fn a_source_is_made_changed_enabled_and_deleted_on_the_screen() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        assert!(boss.get("/admin/sources").expect(200).page().shows("No sources yet"));
        let form = boss.get("/admin/sources?new=ldap").expect(200);
        assert!(form.page().shows("New LDAP directory"));
        boss.post("/admin/sources", NEW).expect(303);
        let page = boss.get("/admin/sources/corp").expect(200);
        assert!(page.page().shows("Corp directory") && page.page().shows("Enable source"));
        assert!(!page.text().contains("correct horse"));
        boss.post("/admin/sources/corp", &[("act", "enable")]).expect(303);
        let view = server.run(sources::find(&server.ctx, "corp")).unwrap().unwrap();
        assert!(view.source.enabled && view.has_secret, "{backend:?}");
        // Saving without a secret keeps it; what the form shows is saved.
        let mut change = NEW.to_vec();
        change[2].1 = "The directory";
        change[5].1 = "";
        change.extend([("act", "set"), ("mapping", "ops -> administrator\r\n* -> group staff")]);
        boss.post("/admin/sources/corp", &change).expect(303);
        let view = server.run(sources::find(&server.ctx, "corp")).unwrap().unwrap();
        assert!(view.has_secret && view.source.enabled, "{backend:?}");
        assert_eq!(view.source.title, "The directory");
        assert_eq!(view.source.definition.mapping.rules.len(), 2);
        let faulty = boss
            .post("/admin/sources/corp", &[("act", "set"), ("title", "")])
            .expect(422);
        assert!(faulty.page().shows("Title is missing.") && faulty.page().shows("Search base is missing."));
        boss.post("/admin/sources/corp", &[("act", "delete"), ("confirm_name", "x")])
            .expect(422);
        boss.post("/admin/sources/corp", &[("act", "delete"), ("confirm_name", "corp")])
            .expect(303);
        boss.get("/admin/sources/corp").expect(404);
        let audit: String = server.audit().iter().map(|record| format!("{record:?}")).collect();
        assert!(!audit.contains("correct horse"));
    }
}

/// The form posts every field as it was shown; those are not set by anyone.
#[test]
fn defaults_follow_the_make_of_the_directory_on_the_screen_too() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let page = boss.get("/admin/sources?new=ldap").expect(200).page();
    let form = page.form("/admin/sources");
    let filled = [
        ("name", "corp"),
        ("title", "Corp"),
        ("urls", "ldaps://dc.example.org"),
        ("base", "dc=example,dc=org"),
        ("email_attribute", "proxyAddress"),
    ];
    let mut ad = filled.to_vec();
    ad.push(("directory", "active_directory"));
    boss.submit(&form, &ad).expect(303);
    let name_attribute = || {
        let view = server.run(sources::find(&server.ctx, "corp")).unwrap().unwrap();
        let settings = view.source.ldap().unwrap().clone();
        (settings.name_attribute, settings.email_attribute)
    };
    let set = "proxyAddress".to_owned();
    assert_eq!(name_attribute(), ("sAMAccountName".to_owned(), set.clone()));
    let page = boss.get("/admin/sources/corp").expect(200).page();
    let form = page.form("/admin/sources/corp");
    boss.submit(&form, &[("directory", "ldap")]).expect(303);
    assert_eq!(name_attribute(), ("uid".to_owned(), set));
}

#[test]
fn a_member_reaches_no_source() {
    let server = TestServer::start();
    with_source(&server);
    let ada = server.member("ada");
    for path in ["/admin/sources", "/admin/sources/corp"] {
        ada.get(path).expect(403);
    }
    ada.post("/admin/sources/corp", &[("act", "delete")]).expect(403);
}

#[test]
fn changes_to_facts_of_a_source_are_refused_with_its_title() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.admin("boss");
        let source = with_source(&server);
        let ada = of_source(&server, "ada", Role::Member, source);
        for act in [
            AccountAction::ForceChange,
            AccountAction::ResetPassword,
            AccountAction::SetRole(Role::Administrator),
            AccountAction::SetProfile {
                display_name: "Ada".to_owned(),
                email: String::new(),
                groups: Vec::new(),
            },
        ] {
            let refused = server.act(ada, act);
            assert!(
                matches!(&refused, AccountActionOutcome::Managed(title) if title == "Corp directory"),
                "{refused:?}"
            );
        }
        let invited = server
            .run(password_reset::invite(&server.ctx, &operator(), ada))
            .unwrap();
        assert_eq!(invited, InvitationOutcome::Managed("Corp directory".to_owned()));
        let mailed = server
            .run(password_reset::mail_link(&server.ctx, &operator(), ada))
            .unwrap();
        assert_eq!(mailed, MailLinkOutcome::Managed("Corp directory".to_owned()));
        for act in [
            AccountAction::Disable,
            AccountAction::Enable,
            AccountAction::EndSessions,
            AccountAction::Unlock,
            AccountAction::Delete,
        ] {
            assert!(
                matches!(server.act(ada, act), AccountActionOutcome::Done { .. }),
                "{backend:?}"
            );
        }
    }
}

#[test]
fn the_password_page_names_the_source() {
    let server = TestServer::start();
    let source = with_source(&server);
    let ada = server.member("ada");
    let id = server
        .run(accounts::find_by_name(&server.ctx, "ada"))
        .unwrap()
        .unwrap()
        .id;
    let link = move |c: &mut store::Conn| -> Result<(), StoreError> {
        let account = store::accounts::find(c, id)?.unwrap();
        store::accounts::update(
            c,
            &Account {
                source: Some(source),
                external_id: Some("1".to_owned()),
                ..account
            },
        )
    };
    server.ctx.store.write_now(link).unwrap();
    server.ctx.live.accounts.forget(id);
    let page = ada.get("/password").expect(200);
    assert!(
        page.page().shows("Corp directory keeps your password"),
        "{}",
        page.text()
    );
    let refused = ada.post(
        "/password",
        &[
            ("current_password", "x"),
            ("new_password", "y"),
            ("new_password_again", "y"),
        ],
    );
    assert!(refused.expect(422).page().shows("Change it there"));
}

/// The last local administrator cannot be taken away, whatever state the source is in.
#[track_caller]
fn assert_door_stays(server: &TestServer, boss: AccountId) {
    for act in [
        AccountAction::Disable,
        AccountAction::SetRole(Role::Member),
        AccountAction::ExpireNow,
        AccountAction::Delete,
    ] {
        let refused = server.act(boss, act);
        assert!(
            matches!(refused, AccountActionOutcome::LastAdministrator),
            "{refused:?}"
        );
    }
    server.signed_in("boss").get("/admin").expect(200);
}

#[test]
fn no_source_closes_the_door_of_local_administrators() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.account("boss", Role::Administrator);
        let source = with_source(&server);
        // An administrator from the source is not a reason to give up the local one.
        let chief = of_source(&server, "chief", Role::Administrator, source);
        assert_door_stays(&server, boss);
        // A mapping that makes nobody an administrator.
        let change = SourceChange {
            settings: texts(&[("mapping", "* -> member")]),
            ..SourceChange::default()
        };
        let changed = server
            .run(sources::set(&server.ctx, &operator(), "corp", change))
            .unwrap();
        assert_eq!(changed, SourceOutcome::Done);
        assert_door_stays(&server, boss);
        // The source fails.
        let now = server.now();
        let fail = move |c: &mut store::Conn| store::sources::record_fault(c, source, now, "connection refused");
        server.ctx.store.write_now(fail).unwrap();
        assert_door_stays(&server, boss);
        // The source is disabled, then deleted with its accounts.
        let change = SourceChange {
            enabled: Some(false),
            ..SourceChange::default()
        };
        server
            .run(sources::set(&server.ctx, &operator(), "corp", change))
            .unwrap();
        assert_door_stays(&server, boss);
        let kept = server
            .run(sources::delete(&server.ctx, &operator(), "corp", false))
            .unwrap();
        assert_eq!(kept, SourceDeletion::HasAccounts(1));
        let deleted = server
            .run(sources::delete(&server.ctx, &operator(), "corp", true))
            .unwrap();
        assert_eq!(deleted, SourceDeletion::Deleted { disabled: 1 }, "{backend:?}");
        assert_door_stays(&server, boss);
        // Its account cannot be used again: nothing proves who its owner is.
        let refused = server.act(chief, AccountAction::Enable);
        assert!(
            matches!(&refused, AccountActionOutcome::Managed(title) if title == "a deleted source"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_source_of_the_configuration_file_is_only_shown() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let source = with_source(&server);
        let claim = move |c: &mut store::Conn| -> Result<(), StoreError> {
            let mut stored = store::sources::find(c, source)?.unwrap();
            stored.source.in_file = true;
            store::sources::update(c, &stored.source, stored.changed_at)
        };
        server.ctx.store.write_now(claim).unwrap();
        let boss = server.admin("boss");
        let page = boss.get("/admin/sources/corp").expect(200);
        assert!(page.page().shows("[sources.corp]") && !page.page().shows("Disable source"));
        let change = SourceChange {
            enabled: Some(false),
            ..SourceChange::default()
        };
        let refused = server
            .run(sources::set(&server.ctx, &operator(), "corp", change))
            .unwrap();
        assert_eq!(refused, SourceOutcome::InFile, "{backend:?}");
        let refused = server
            .run(sources::delete(&server.ctx, &operator(), "corp", true))
            .unwrap();
        assert_eq!(refused, SourceDeletion::InFile);
        // Without its table in the file, the next start hands it back, disabled.
        server.run(sources::adopt_configured(&server.ctx)).unwrap();
        let view = server.run(sources::find(&server.ctx, "corp")).unwrap().unwrap();
        assert!(!view.source.in_file && !view.source.enabled && view.has_secret);
    }
}

#[test]
fn an_administrator_lists_an_account_of_a_source_in_the_console() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        // Without a source there is nothing to choose.
        let form = boss.get("/admin/accounts/new").expect(200).page();
        assert!(form.all("#source").is_empty(), "{backend:?}");
        let source = with_source(&server);
        let form = boss.get("/admin/accounts/new").expect(200).page();
        assert_eq!(form.form("/admin/accounts").field("source"), "");
        let listed = |more: &[(&'static str, &'static str)]| {
            let fields = [
                ("name", "linus"),
                ("role", "member"),
                ("source", "corp"),
                ("must_change", "on"),
            ];
            boss.post("/admin/accounts", &[&fields, more].concat())
        };
        // What the source decides is not chosen here.
        for (field, value) in [
            ("role", "administrator"),
            ("groups", "staff"),
            ("password", "p"),
            ("invite", "on"),
        ] {
            let answer = match field {
                "role" => boss.post(
                    "/admin/accounts",
                    &[("name", "linus"), ("role", value), ("source", "corp")],
                ),
                _ => listed(&[(field, value)]),
            };
            let page = answer.expect(422).page();
            assert!(page.fault(field).is_some(), "{field} {backend:?}");
            assert_eq!(page.form("/admin/accounts").field("source"), "corp");
        }
        let unknown = boss.post(
            "/admin/accounts",
            &[("name", "x"), ("role", "member"), ("source", "gone")],
        );
        assert!(unknown.expect(422).page().fault("source").is_some());
        let made = listed(&[]).expect(303);
        let page = boss.get(made.location()).expect(200).page();
        assert!(page.shows("Not signed in through it yet."), "{backend:?}");
        let account = server
            .run(accounts::find_by_name(&server.ctx, "linus"))
            .unwrap()
            .unwrap();
        assert_eq!((account.source, account.external_id.as_deref()), (Some(source), None));
        assert_eq!((account.role, account.must_change_password), (Role::Member, false));
    }
}

#[test]
fn sessions_are_filtered_by_the_source_of_their_account() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        assert!(boss.get("/admin/sessions").expect(200).page().all("#source").is_empty());
        let source = with_source(&server);
        server.account("ada", Role::Member);
        server.signed_in("ada");
        let linked = move |c: &mut store::Conn| -> Result<(), StoreError> {
            let account = store::accounts::find_by_name_key(c, "ada")?.unwrap();
            let linked = Account {
                source: Some(source),
                external_id: Some("uuid".to_owned()),
                ..account
            };
            store::accounts::update(c, &linked)
        };
        server.ctx.store.write_now(linked).unwrap();
        let rows = |query: &str| boss.get(&format!("/admin/sessions?{query}")).expect(200).page().rows();
        assert_eq!(rows("").len(), 2, "{backend:?}");
        assert_eq!(rows("source=corp"), ["ada"], "{backend:?}");
        assert_eq!(rows("source=local"), ["boss"], "{backend:?}");
        let all = boss.get("/admin/sessions").expect(200).page();
        assert!(
            all.row("ada").shows("corp") && !all.row("boss").shows("local"),
            "{backend:?}"
        );
        assert!(rows("source=elsewhere").is_empty() && rows("source=corp&role=administrator").is_empty());
        assert_eq!(rows("source=corp&state=all&q=ad").len(), 1, "{backend:?}");
        let end = boss.get("/admin/sessions/end?source=corp").expect(200).page();
        assert!(end.shows("from source corp"), "{backend:?}");
        let export = boss
            .post("/admin/sessions/export?source=corp&format=json", &[])
            .expect(200)
            .json();
        let exported: Vec<&str> = export
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["account"].as_str().unwrap())
            .collect();
        assert_eq!(exported, ["ada"], "{backend:?}");
        assert_eq!(export[0]["source"], "corp");
    }
}

#[test]
fn the_form_has_parts_and_folds_what_few_change() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let access = "Who may sign in and who becomes administrator";
    let sign_in = "Signing in and out";
    let directory = vec![
        "Connection",
        "People",
        "Groups of people",
        access,
        sign_in,
        "Sync and outages",
    ];
    let provider = vec!["Connection", "People", access, sign_in, "Security events"];
    for (kind, parts) in [(SourceKind::Ldap, directory), (SourceKind::Oidc, provider)] {
        let page = boss
            .get(&format!("/admin/sources?new={}", kind.as_str()))
            .expect(200)
            .page();
        let legends: Vec<String> = page
            .all("fieldset > legend")
            .iter()
            .map(|legend| legend.text())
            .collect();
        assert_eq!(legends, parts);
        assert!(page.all("fieldset details[open]").is_empty(), "{kind:?}");
        for field in fields_of(kind) {
            let controls = page.all(&format!("fieldset [name={}]", field.key));
            assert_eq!(controls.len(), 1, "{}", field.key);
            let folded = page.all(&format!("fieldset details [name={}]", field.key));
            assert_eq!(!folded.is_empty(), field.is_rare, "{}", field.key);
        }
        assert_eq!(page.all("fieldset [name=secret]").len(), 1);
    }
    // A fault in a folded part unfolds it.
    let page = boss.get("/admin/sources?new=ldap").expect(200).page();
    let filled_in = [
        ("name", "corp"),
        ("title", "Corp"),
        ("urls", "ldaps://ldap.example.org"),
        ("base", "dc=example,dc=org"),
        ("page_size", "0"),
    ];
    let refused = boss.submit(&page.form("/admin/sources"), &filled_in).expect(422).page();
    assert!(refused.fault("page_size").is_some());
    assert_eq!(refused.all("fieldset details[open] [name=page_size]").len(), 1);
    assert_eq!(refused.all("fieldset details[open]").len(), 1);
}
