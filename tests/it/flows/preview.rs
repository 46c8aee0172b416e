//! A preview agrees with the result of the save, and includes activity that this instance has not
//! written yet.

use crate::harness::{
    client::{CHROME, Client},
    server::{Backend, TestServer, operator},
};
use nightlatch::{
    domain::{
        account::Role,
        policy::{Key, PolicyDocument, Scope},
        session::{EndReason, Session, SessionFilter, SessionId},
        simulate::preview::{Listing, Viewer},
    },
    flows::{
        policy::{self, PolicySaveOutcome, SaveKind},
        preview::{self, PolicyImpact},
        sessions,
    },
    store::StoreError,
};

const IDLE: &str = "auth.idle_session_timeout";

/// The policy in force with these settings in these scopes.
fn draft(server: &TestServer, settings: &[(Scope, &str, &str)]) -> PolicyDocument {
    let mut document = server.run(policy::in_force(&server.ctx)).unwrap().revision.document;
    for (scope, name, text) in settings {
        let key = Key::parse(name).unwrap();
        document.set(scope, key, key.setting().parse(text).unwrap());
    }
    document
}

fn effect(server: &TestServer, draft: &PolicyDocument, viewer: Viewer) -> PolicyImpact {
    server
        .run(preview::effect(&server.ctx, draft.clone(), viewer, Listing::default()))
        .unwrap()
}

fn save(server: &TestServer, draft: &PolicyDocument) {
    let base = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    let initiator = operator();
    let saved = policy::replace(
        &server.ctx,
        &initiator,
        base,
        draft.clone(),
        String::new(),
        SaveKind::Saved,
    );
    let saved = server.run(saved).unwrap();
    assert!(matches!(saved, PolicySaveOutcome::Saved { .. }), "{saved:?}");
}

/// The one live session of an account.
fn session_of(server: &TestServer, name: &str) -> SessionId {
    let filter = SessionFilter {
        text: Some(name.to_owned()),
        limit: 2,
        ..SessionFilter::default()
    };
    let list = server.run(sessions::list(&server.ctx, filter)).unwrap();
    assert_eq!(list.items.len(), 1, "{name}");
    list.items[0].row.session.id
}

/// Saves the draft and sends a request with every session; returns those that are signed out, in
/// the given order.
fn ended_by(server: &TestServer, draft: &PolicyDocument, people: &[(&str, Client)]) -> Vec<(String, String)> {
    save(server, draft);
    let asked = people.iter().map(|(name, client)| (name, client.get("/")));
    asked
        .filter(|(_, answer)| answer.status() != 200)
        .map(|(name, answer)| {
            let reason = answer.location().split("reason=").nth(1).unwrap_or("none").to_owned();
            ((*name).to_owned(), reason)
        })
        .collect()
}

#[test]
fn exactly_those_sessions_end_that_the_preview_ends() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("session.session_validation_mode", "off")]);
        let mut people: Vec<(&str, Client)> = Vec::new();
        for name in ["ada", "grace", "alan", "edsger", "barbara"] {
            people.push((name, server.member(name)));
            server.advance(400);
        }
        server.account("root", Role::Administrator);
        people.push(("root", server.signed_in("root")));
        // Seen from another network since, which the current policy accepts; and with another
        // browser, which is not stored.
        server.account("moved", Role::Member);
        let moved = server.signed_in("moved").thief().from("127.0.0.9");
        moved.get("/").expect(200);
        people.push(("moved", moved));
        server.advance(301);
        let draft = draft(
            &server,
            &[
                (Scope::Everyone, IDLE, "20m"),
                (Scope::Administrators, IDLE, "5m"),
                (Scope::Everyone, "session.session_validation_mode", "strict"),
            ],
        );
        let asking = Viewer {
            account: None,
            session: Some(session_of(&server, "root")),
        };
        let said = effect(&server, &draft, asking);
        let preview = &said.preview;
        assert_eq!(
            preview.sentence(),
            "Ends 5 of 7 sessions now, including yours.",
            "{backend:?}"
        );
        assert_eq!((preview.live, preview.ends_now, preview.at_next_request), (7, 5, 1));
        assert_eq!(preview.sooner.total(), 2);
        assert_eq!(said.unforeseen.len(), 2);
        let mut told: Vec<(String, String)> = preview
            .affected()
            .filter(|one| one.now)
            .map(|one| (one.name.clone(), one.draft.reason.as_str().to_owned()))
            .collect();
        told.sort();
        let mut ended = ended_by(&server, &draft, &people);
        ended.sort();
        assert_eq!(told, ended, "{backend:?}");
    }
}

#[test]
fn activity_that_is_not_written_yet_counts_as_it_does_in_lists() {
    let server = TestServer::start();
    let ada = server.member("ada");
    server.advance(3600);
    ada.get("/").expect(200);
    let draft = draft(&server, &[(Scope::Everyone, IDLE, "15m")]);
    let preview = effect(&server, &draft, Viewer::default()).preview;
    assert_eq!((preview.live, preview.ends_now), (1, 0));
    server.advance(901);
    assert_eq!(effect(&server, &draft, Viewer::default()).preview.ends_now, 1);
    ada.get("/").expect(200);
    assert_eq!(effect(&server, &draft, Viewer::default()).preview.ends_now, 0);
}

#[test]
fn an_unwritten_address_is_the_one_that_is_judged() {
    let server = TestServer::start();
    server.policy(&[("session.session_validation_mode", "off")]);
    let ada = server.member("ada").from("127.0.0.9");
    let draft = draft(
        &server,
        &[(Scope::Everyone, "session.session_validation_mode", "strict")],
    );
    assert_eq!(effect(&server, &draft, Viewer::default()).preview.ends_now, 0);
    ada.get("/").expect(200);
    let preview = effect(&server, &draft, Viewer::default()).preview;
    assert_eq!((preview.ends_now, preview.at_next_request), (1, 1));
    let affected = preview.affected().next().unwrap();
    assert_eq!(
        (affected.ip.to_string(), affected.draft.reason),
        ("127.0.0.9".into(), EndReason::Network)
    );
}

#[test]
fn a_session_past_its_limit_is_not_counted_before_it_is_marked_as_ended() {
    let server = TestServer::start();
    server.policy(&[(IDLE, "1h")]);
    server.member("ada");
    server.advance(3000);
    server.member("grace");
    server.advance(601);
    let draft = draft(&server, &[(Scope::Everyone, IDLE, "10m")]);
    let preview = effect(&server, &draft, Viewer::default()).preview;
    assert_eq!((preview.live, preview.ends_now), (1, 1));
}

#[test]
fn a_pinned_value_holds_in_the_draft_as_well() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT", "7200")
        .start();
    server.member("ada");
    server.advance(3600);
    let draft = draft(&server, &[(Scope::Everyone, IDLE, "10m")]);
    let preview = effect(&server, &draft, Viewer::default()).preview;
    assert_eq!((preview.live, preview.affected_total()), (1, 0));
}

#[test]
fn pages_of_the_whole_list_hold_what_the_preview_counts() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let id = session_of(&server, "ada");
        let template = server
            .run(sessions::detail(&server.ctx, id))
            .unwrap()
            .unwrap()
            .view
            .row
            .session;
        server
            .ctx
            .store
            .write_now(|c| {
                for number in 0..9_000_u128 {
                    let session = Session {
                        id: SessionId(uuid::Uuid::from_u128(number << 64)),
                        tokens: Vec::new(),
                        applications: if number % 3 == 0 {
                            vec!["wiki".into()]
                        } else {
                            Vec::new()
                        },
                        ..template.clone()
                    };
                    nightlatch::store::sessions::insert(c, &session)?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
        server.advance(120);
        let wiki = Scope::Application("wiki".into());
        let draft = draft(&server, &[(wiki, "session.ttl", "1m"), (Scope::Everyone, IDLE, "5m")]);
        let preview = effect(&server, &draft, Viewer::default()).preview;
        assert_eq!(
            (preview.live, preview.ends_now, preview.sooner.total()),
            (9_001, 3_000, 6_001),
            "{backend:?}"
        );
        for (rule, count) in [(None, 9_001), (Some(EndReason::Ttl), 3_000)] {
            let listing = Listing { text: None, rule };
            let walk = server.run(preview::walk(&server.ctx, draft.clone(), listing)).unwrap();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let (page, next) = server.run(walk.page(after)).unwrap();
                found.extend(page.into_iter().map(|one| one.id));
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert!(found.is_sorted());
            found.dedup();
            assert_eq!(found.len(), count, "{backend:?}");
        }
        ada.get("/").expect(200);
        assert_eq!(preview.affected().len(), 50);
    }
}

#[test]
fn a_session_with_another_known_browser_is_reported_as_unforeseen() {
    let server = TestServer::start();
    server.policy(&[("session.session_validation_mode", "off")]);
    let ada = server.member("ada").header("user-agent", CHROME);
    ada.get("/").expect(200);
    let draft = draft(
        &server,
        &[(Scope::Everyone, "session.session_validation_mode", "permissive")],
    );
    let said = effect(&server, &draft, Viewer::default());
    assert_eq!((said.preview.affected_total(), said.unforeseen.len()), (0, 1));
}
