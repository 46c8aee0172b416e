//! LDAP directories: the client against OpenLDAP's server and Samba, sign-in and sync.

mod active_directory;
mod bind_limit;
mod client;
mod dry_run;
mod floods;
mod parallel;
mod samba;
mod servers;
mod sign_in;
mod sync;
mod timing;

use crate::harness::{
    client::{Answer, Client},
    server::TestServer,
    slapd::{SERVICE_PASSWORD, Slapd},
};
use nightlatch::{
    domain::{
        account::Account,
        audit::AuditRecord,
        source::{IdentitySource, SourceDefinition, SourceId, SourceName},
    },
    flows::accounts,
    store::{meta, sources},
};

/// The rules of most tests: `staff` may sign in, `admins` become administrators.
const RULES: [(&str, &str); 2] = [
    ("allowed_groups", "staff\nadmins"),
    ("mapping", "admins -> administrator\nwiki -> group editors"),
];

/// Stores a directory as a source of a server. The job of the server does not compare it, so that
/// tests decide when that happens.
pub fn add_source(server: &TestServer, name: &str, slapd: &Slapd, replaced: &[(&str, &str)]) -> SourceId {
    let seldom = [("sync_every", "24h")];
    let all: Vec<(&str, &str)> = RULES.iter().chain(&seldom).chain(replaced).copied().collect();
    add_definition(server, name, slapd.definition(&all), SERVICE_PASSWORD)
}

/// Stores a directory with these settings, like [`add_source`].
fn add_definition(server: &TestServer, name: &str, definition: SourceDefinition, secret: &str) -> SourceId {
    let source = IdentitySource {
        id: SourceId(server.ctx.new_id(server.now())),
        name: SourceName::parse(name).unwrap(),
        title: name.to_owned(),
        enabled: true,
        position: 1,
        in_file: false,
        definition,
    };
    let sealed = server
        .ctx
        .factor_keys
        .seal_source(source.id, secret.as_bytes(), [9; 12])
        .unwrap();
    let (id, now) = (source.id, server.now());
    let stored = source.clone();
    let write = server.ctx.store.write(move |c| {
        meta::set(c, &format!("source.sync.{}", id.0), &now.as_micros().to_string())?;
        sources::insert(c, &stored, now)?;
        sources::set_secret(c, id, Some(&sealed))
    });
    server.run(write).unwrap();
    crate::harness::server::eventually("the source is known", || {
        let known = server.run(server.ctx.current_sources()).unwrap();
        known.by_id(id).is_some_and(|live| live.sealed_secret().is_some())
    });
    id
}

/// Changes a stored source.
fn change_source(server: &TestServer, id: SourceId, change: impl Fn(&mut IdentitySource)) {
    let known = server.run(server.ctx.current_sources()).unwrap();
    let mut source = known.by_id(id).unwrap().source.clone();
    change(&mut source);
    let (stored, now) = (source.clone(), server.now());
    server
        .run(server.ctx.store.write(move |c| sources::update(c, &stored, now)))
        .unwrap();
    crate::harness::server::eventually("the change is known", || {
        let known = server.run(server.ctx.current_sources()).unwrap();
        known.by_id(id).is_some_and(|live| live.source == source)
    });
}

fn find(server: &TestServer, name: &str) -> Option<Account> {
    server.run(accounts::find_by_name(&server.ctx, name)).unwrap()
}

pub fn signed_in(server: &TestServer, name: &str, password: &str) -> Client {
    let client = server.anyone();
    let answer = client.sign_in(name, password);
    assert_eq!(answer.status(), 303, "{name}: {}", answer.text());
    client
}

/// The latest refusal in the audit, with its reason.
fn last_refusal(server: &TestServer) -> (AuditRecord, String) {
    let rows = server.audit();
    let row = rows
        .into_iter()
        .rev()
        .find(|row| row.event.as_str() == "sign_in.refused")
        .unwrap();
    let reason = row.reason.clone().unwrap_or_default();
    (row, reason)
}

/// A refused sign-in, which must look like one of an unknown name.
#[track_caller]
fn refused_like_unknown(answer: &Answer, name: &str, unknown: &str) {
    assert_eq!(answer.status(), 422, "{name}: {}", answer.text());
    let shown = answer.text().replace(&format!("value=\"{name}\""), "value=NAME");
    assert_eq!(shown, unknown, "{name}");
}

/// The body of a refusal of an unknown name, with the name left out.
fn unknown_body(server: &TestServer) -> String {
    let answer = server.anyone().sign_in("nobody-at-all", "not the password").expect(422);
    answer.text().replace("value=\"nobody-at-all\"", "value=NAME")
}

fn definition_with(source: &IdentitySource, replaced: &[(&str, &str)]) -> SourceDefinition {
    let mut texts = source.definition.texts();
    texts.extend(
        replaced
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned())),
    );
    SourceDefinition::parse(source.kind(), &texts).unwrap()
}
