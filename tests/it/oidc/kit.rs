//! Shared helpers: a source for a provider, and a browser that signs in there.

use crate::harness::{
    client::{Answer, Client},
    real_provider::{BrowserAtProvider, CLIENT_ID, CLIENT_SECRET, RealProvider},
    server::{TestServer, eventually},
};
use nightlatch::{
    domain::{
        account::Account,
        source::{IdentitySource, SettingTexts, SourceDefinition, SourceId, SourceKind, SourceName},
    },
    store::{StoreError, accounts, sources},
};
use uuid::Uuid;

/// Adds a source for a provider, with some settings, and waits until the server knows it.
pub fn add_source(server: &TestServer, name: &str, issuer: &str, settings: &[(&str, &str)]) -> SourceId {
    let given = [
        ("issuer", issuer),
        ("client_id", CLIENT_ID),
        ("scopes", "openid profile email groups"),
        ("mapping", "admins -> administrator\nstaff -> group wiki"),
    ];
    let texts: SettingTexts = given
        .iter()
        .chain(settings)
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    let source = IdentitySource {
        id: SourceId(Uuid::from_u128(name.bytes().map(u128::from).sum())),
        name: SourceName::parse(name).unwrap(),
        title: format!("The {name} provider"),
        enabled: true,
        position: 1,
        in_file: false,
        definition: SourceDefinition::parse(SourceKind::Oidc, &texts).unwrap(),
    };
    let (id, now) = (source.id, server.now());
    let secret = server
        .ctx
        .factor_keys
        .seal_source(id, CLIENT_SECRET.as_bytes(), [7; 12]);
    let written: Result<(), StoreError> = server.ctx.store.write_now(move |c| {
        sources::insert(c, &source, now)?;
        sources::set_secret(c, id, secret.as_ref())
    });
    written.unwrap();
    knows_source(server, id);
    id
}

/// Waits until the server knows a source.
pub fn knows_source(server: &TestServer, id: SourceId) {
    eventually("the server knows the source", || {
        let sources = server.ctx.live.sources();
        sources.by_id(id).is_some_and(|live| live.sealed_secret().is_some())
    });
}

/// Starts a provider and adds it to the server as the source `corp`.
pub fn corp(server: &TestServer, settings: &[(&str, &str)]) -> RealProvider {
    let real = RealProvider::start();
    real.register("corp", &[&server.base]);
    add_source(server, "corp", &real.issuer, settings);
    real
}

/// Sends a browser to the provider, signs in there as `login`, and returns the address of the
/// callback, as a path.
pub fn callback(client: &Client, at_provider: &BrowserAtProvider, start: &str, form: &[(&str, &str)]) -> String {
    let sent = client.get(start).expect(303);
    let back = at_provider.authorize_with(sent.location(), form);
    let path = back.splitn(4, '/').nth(3).unwrap();
    format!("/{path}")
}

/// Comes back to the callback: whatever the answer is, it leaves the address at once. Returns what
/// the browser gets there.
pub fn arrive(client: &Client, path: &str) -> Answer {
    let moved = client.get(path).expect(303);
    let (page, _) = path.split_once("/callback").unwrap();
    let key = moved.location().strip_prefix(&format!("{page}/answer?id="));
    let is_key = |key: &str| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(key.is_some_and(is_key), "{}", moved.location());
    assert_eq!(moved.header("referrer-policy"), Some("no-referrer"));
    client.get(moved.location())
}

/// Signs in at the provider and here; returns the answer after the callback.
pub fn sign_in(client: &Client, at_provider: &BrowserAtProvider, login: &str) -> Answer {
    let path = callback(client, at_provider, "/login/oidc/corp", &[("login", login)]);
    arrive(client, &path)
}

/// Finds an account by its name.
pub fn find_account(server: &TestServer, name: &str) -> Option<Account> {
    let found: Result<_, StoreError> = server.ctx.store.read_now(|c| accounts::find_by_name_key(c, name));
    found.unwrap()
}

/// The sign-in page's message after a refused sign-in, and the reason in the audit.
pub fn refusal(server: &TestServer, client: &Client, answer: Answer) -> (String, String) {
    let answer = answer.expect(303);
    assert!(answer.location().starts_with("/login?local=1"), "{}", answer.location());
    let message = client.get(answer.location()).expect(200).page().messages().join(" ");
    let entry = server.audit().pop().unwrap();
    (message, entry.reason.unwrap_or_default())
}
