//! Sources beyond one instance and one start: other instances, the configuration file, and another
//! key for the secrets.

use crate::harness::server::{Backend, TestDatabase, TestServer, eventually, operator};
use nightlatch::{
    domain::{
        secret::Secret,
        source::{SettingTexts, SourceKind},
    },
    flows::sources::{self, SourceChange, SourceDeletion, SourceOutcome, SourceView},
    store,
};
use std::sync::Arc;

fn change(title: &str, settings: &[(&str, &str)], secret: Option<&str>) -> SourceChange {
    let settings: SettingTexts = settings
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    SourceChange {
        title: Some(title.to_owned()),
        enabled: Some(true),
        settings,
        secret: secret.map(|secret| Secret::new(secret.to_owned())),
        ..SourceChange::default()
    }
}

fn create_provider(server: &TestServer) {
    let settings = [("issuer", "https://id.example.org"), ("client_id", "nightlatch")];
    let new = change("Corp", &settings, Some("correct horse"));
    let made = server.run(sources::create(&server.ctx, &operator(), "corp", SourceKind::Oidc, new));
    assert_eq!(made.unwrap(), SourceOutcome::Done);
}

fn find(server: &TestServer) -> SourceView {
    server.run(sources::find(&server.ctx, "corp")).unwrap().unwrap()
}

/// The secret as the server opens it for the provider.
fn open_secret(server: &TestServer) -> Option<String> {
    let sources = server.run(server.ctx.current_sources()).unwrap();
    let secret = server.ctx.open_source_secret(sources.by_name("corp").unwrap());
    secret.unwrap().map(|secret| secret.expose().to_owned())
}

/// A sign-in page of the second instance shows what was changed on the first.
#[test]
fn a_change_on_one_instance_replaces_the_sources_of_the_other() {
    let first = TestServer::on(Backend::Postgres).start();
    let second = TestServer::beside(&first.database).clock(&first.clock).start();
    first.account("root", nightlatch::domain::account::Role::Administrator);
    let shows = |words: &str| second.anyone().get("/login?local=1").expect(200).page().shows(words);
    assert!(!shows("Sign in with"));
    create_provider(&first);
    eventually("the new source is shown", || shows("Sign in with Corp"));
    assert_eq!(open_secret(&second).as_deref(), Some("correct horse"));
    let set = |change: SourceChange| {
        let set = first.run(sources::set(&first.ctx, &operator(), "corp", change));
        assert_eq!(set.unwrap(), SourceOutcome::Done);
    };
    set(change("The company", &[], Some("battery staple")));
    eventually("the new title is shown", || shows("Sign in with The company"));
    assert_eq!(open_secret(&second).as_deref(), Some("battery staple"));
    set(SourceChange {
        enabled: Some(false),
        ..SourceChange::default()
    });
    eventually("the disabled source is gone", || !shows("Sign in with"));
    let deleted = first.run(sources::delete(&first.ctx, &operator(), "corp", false));
    assert!(matches!(deleted.unwrap(), SourceDeletion::Deleted { .. }));
    eventually("the deleted source is forgotten", || {
        second.ctx.live.sources().by_name("corp").is_none()
    });
}

const TABLE: &str = "[sources.corp]\nkind = \"oidc\"\ntitle = \"From the file\"\nsecret = \"from the file\"\n\
                     issuer = \"https://id.example.org\"\nclient_id = \"other\"\n";

#[test]
fn the_configuration_file_takes_a_source_over_and_gives_it_back() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = Arc::new(TestDatabase::fresh(backend));
        let server = TestServer::beside(&database).start();
        server.account("root", nightlatch::domain::account::Role::Administrator);
        create_provider(&server);
        let id = find(&server).source.id;
        server.stop();

        let server = TestServer::beside(&database).file(TABLE).start();
        let taken = find(&server).source;
        assert_eq!(
            (taken.id, taken.in_file, taken.enabled),
            (id, true, true),
            "{backend:?}"
        );
        assert_eq!(taken.title, "From the file");
        assert_eq!(taken.oidc().unwrap().client_id, "other");
        assert_eq!(open_secret(&server).as_deref(), Some("from the file"), "{backend:?}");
        let root = server.signed_in("root");
        let page = root.get("/admin/sources/corp").expect(200).page();
        assert!(
            page.shows("[sources.corp]") && page.all("form input[name=title]").is_empty(),
            "{backend:?}"
        );
        root.post("/admin/sources/corp", &[("act", "disable")]).expect(303);
        assert!(find(&server).source.enabled, "the console changes nothing, {backend:?}");
        server.stop();

        // Without its table it stays as it was, but off, and the console may change it again.
        let server = TestServer::beside(&database).start();
        let left = find(&server).source;
        assert_eq!((left.id, left.in_file, left.enabled), (id, false, false), "{backend:?}");
        assert_eq!(left.title, "From the file");
        let root = server.signed_in("root");
        root.post("/admin/sources/corp", &[("act", "enable")]).expect(303);
        assert!(find(&server).source.enabled, "{backend:?}");
        assert_eq!(open_secret(&server).as_deref(), Some("from the file"), "{backend:?}");
        let told: Vec<String> = server
            .events()
            .into_iter()
            .filter(|event| event.starts_with("source."))
            .collect();
        let expected = ["source.created", "source.changed", "source.disabled", "source.enabled"];
        assert_eq!(told, expected, "{backend:?}");
        server.stop();
    }
}

#[test]
fn a_new_key_seals_the_secrets_of_sources_again_at_the_next_start() {
    const KEYS: [&str; 2] = [
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
        "-_zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA9876543210",
    ];
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = Arc::new(TestDatabase::fresh(backend));
        let start = |keys: &str| TestServer::beside(&database).env("NIGHTLATCH_SECRET_KEY", keys).start();
        let by_key = |server: &TestServer| server.ctx.store.read_now(store::sources::count_by_key).unwrap();
        let server = start(KEYS[0]);
        create_provider(&server);
        let before = by_key(&server);
        server.stop();
        let server = start(&format!("{},{}", KEYS[1], KEYS[0]));
        let after = by_key(&server);
        assert_eq!((before.len(), after.len()), (1, 1), "{backend:?}");
        assert_ne!(before, after, "{backend:?}");
        assert_eq!(open_secret(&server).as_deref(), Some("correct horse"), "{backend:?}");
        server.stop();
        // The older key can be removed; without the new one the secret is lost, and the page says
        // so.
        let server = start(KEYS[1]);
        assert_eq!(open_secret(&server).as_deref(), Some("correct horse"), "{backend:?}");
        server.stop();
        let server = start(KEYS[0]);
        assert!(find(&server).is_secret_lost, "{backend:?}");
        server.stop();
    }
}
