//! Security events of a provider (Shared Signals, CAEP), polled from a real transmitter.

use super::kit::{add_source, arrive, knows_source};
use crate::{
    cli::Cli,
    factors::kit::enrol_app,
    harness::{
        client::{Answer, Client},
        forged_provider::{ForgedProvider, SigningKey, parse_numeric_date, signed_with_secret, unsigned},
        real_provider::{CLIENT_ID, CLIENT_SECRET},
        server::{Backend, TestServer, block_on, eventually},
        transmitter::{EVENTS_TOKEN, Transmitter},
    },
};
use nightlatch::{
    domain::source::SourceId,
    flows::security_events::{EventCounts, EventPollOutcome, poll_now},
    store::{event_streams, meta},
};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const CREDENTIAL: &str = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

/// A server, a provider with a key, and the transmitter of the source `corp`.
struct Case {
    server: TestServer,
    key: SigningKey,
    provider: ForgedProvider,
    transmitter: Transmitter,
    source: SourceId,
}

impl Case {
    /// The job of the server polls only if the test lets it.
    fn new(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let server = TestServer::on(backend).start();
        let key = SigningKey::new("first");
        let provider = ForgedProvider::start(&key);
        let transmitter = Transmitter::start();
        let id = SourceId(Uuid::from_u128("corp".bytes().map(u128::from).sum()));
        let now = server.now().as_micros().to_string();
        let held = server
            .ctx
            .store
            .write_now(move |c| meta::set(c, &format!("source.events.{}", id.0), &now));
        held.unwrap();
        let own = [("events_url", transmitter.url.as_str()), ("events_every", "24h")];
        let all: Vec<(&str, &str)> = own.iter().chain(settings).copied().collect();
        let source = add_source(&server, "corp", &provider.issuer, &all);
        assert_eq!(source, id);
        let token = server
            .ctx
            .factor_keys
            .seal_source(source, EVENTS_TOKEN.as_bytes(), [8; 12]);
        let stored = server
            .ctx
            .store
            .write_now(move |c| event_streams::set_token(c, source, token.as_ref()));
        stored.unwrap();
        Self {
            server,
            key,
            provider,
            transmitter,
            source,
        }
    }

    /// Signs a person in at the provider's session `sid`.
    fn sign_in(&self, name: &str, sid: &str) -> Client {
        let client = self.server.anyone();
        self.come_back(&client, name, sid).expect(303);
        client.get("/").expect(200);
        client
    }

    /// Goes to the provider and comes back; returns the answer of the callback.
    fn come_back(&self, client: &Client, name: &str, sid: &str) -> Answer {
        let sent = client.get("/login/oidc/corp").expect(303);
        let address = Url::parse(sent.location()).unwrap();
        let asked = |name: &str| {
            let mut pairs = address.query_pairs();
            pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
        };
        let now = parse_numeric_date(self.server.now());
        let id_token = json!({
            "iss": self.provider.issuer, "sub": name, "aud": CLIENT_ID, "exp": now + 300, "iat": now, "sid": sid,
            "nonce": asked("nonce"), "preferred_username": name,
        });
        self.provider.change(|answers| {
            answers.id_token = self.key.sign(None, &id_token);
            answers.userinfo = json!({ "sub": name });
        });
        let issuer: String = url::form_urlencoded::byte_serialize(self.provider.issuer.as_bytes()).collect();
        let callback = format!("/login/oidc/corp/callback?code=x&state={}&iss={issuer}", asked("state"));
        arrive(client, &callback)
    }

    /// The claims of a valid event about a person.
    fn claims(&self, id: &str, event: &str, subject: &Json) -> Json {
        json!({
            "iss": self.provider.issuer, "aud": CLIENT_ID, "iat": parse_numeric_date(self.server.now()), "jti": id,
            "sub_id": subject, "events": { event: { "event_timestamp": parse_numeric_date(self.server.now()) } },
        })
    }

    fn person(&self, name: &str) -> Json {
        json!({ "format": "iss_sub", "iss": self.provider.issuer, "sub": name })
    }

    fn send(&self, id: &str, claims: &Json) {
        self.transmitter.send(id, self.key.sign(Some("secevent+jwt"), claims));
    }

    fn poll(&self) -> EventCounts {
        match self.server.run(poll_now(&self.server.ctx, "corp")).unwrap() {
            EventPollOutcome::Done(counts) => counts,
            other => panic!("{other:?}"),
        }
    }

    fn events(&self, prefix: &str) -> Vec<String> {
        let events = self.server.events().into_iter();
        events.filter(|event| event.starts_with(prefix)).collect()
    }
}

fn counts(received: usize, refused: usize, ended: usize) -> EventCounts {
    EventCounts {
        received,
        refused,
        ended,
    }
}

#[track_caller]
fn is_ended(client: &Client) {
    assert_eq!(
        client.get("/").expect(303).location(),
        "/login?reason=identity_provider"
    );
}

#[test]
fn an_event_ends_the_sessions_that_it_names_and_is_acknowledged() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::new(backend, &[]);
        let ada = [case.sign_in("ada", "a1"), case.sign_in("ada", "a2")];
        let bob = [case.sign_in("bob", "b1"), case.sign_in("bob", "b2")];
        assert_eq!(case.poll(), counts(0, 0, 0), "{backend:?}");
        case.send("one", &case.claims("one", REVOKED, &case.person("ada")));
        assert_eq!(case.poll(), counts(1, 0, 2), "{backend:?}");
        ada.iter().for_each(is_ended);
        bob[1].get("/").expect(200);
        // One session of a person.
        let complex = json!({
            "format": "complex", "user": case.person("bob"), "session": { "format": "opaque", "id": "b1" },
        });
        case.send("two", &case.claims("two", CREDENTIAL, &complex));
        // Another kind of event is acknowledged and does nothing.
        let stream = json!({ "format": "opaque", "id": "stream" });
        case.send("three", &case.claims("three", VERIFICATION, &stream));
        assert_eq!(case.poll(), counts(2, 0, 1), "{backend:?}");
        is_ended(&bob[0]);
        bob[1].get("/").expect(200);
        // A late event ends no session that began after it.
        let old = case.claims("four", REVOKED, &case.person("ada"));
        case.server.advance(120);
        let again = case.sign_in("ada", "a3");
        case.send("four", &old);
        assert_eq!(case.poll(), counts(1, 0, 0), "{backend:?}");
        again.get("/").expect(200);
        case.transmitter.with(|stream| {
            assert_eq!(stream.acknowledged, ["one", "three", "two", "four"], "{backend:?}");
            assert!(stream.waiting.is_empty() && stream.refused.is_empty());
        });
        assert_eq!(case.events("session.ended"), ["session.ended identity_provider"; 3]);
        assert_eq!(case.events("provider."), ["provider.event"; 3]);
        let audit = case.server.audit();
        let entry = audit.iter().find(|row| row.event.as_str() == "provider.event").unwrap();
        assert_eq!(
            entry.detail,
            json!({ "source": "corp", "events": ["session-revoked"], "ended_sessions": 2 })
        );
    }
}

#[test]
fn an_event_stops_the_sign_ins_that_are_under_way() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::new(backend, &[]);
        let session = json!({ "format": "complex", "session": { "format": "opaque", "id": "a1" } });
        // While the tokens are fetched.
        for (id, subject) in [("one", case.person("ada")), ("two", session.clone())] {
            let client = case.server.anyone();
            case.send(id, &case.claims(id, REVOKED, &subject));
            let ctx = case.server.ctx.clone();
            let act = move || {
                block_on(poll_now(&ctx, "corp")).unwrap();
            };
            case.provider.change(|answers| answers.meanwhile = Some(Arc::new(act)));
            let answer = case.come_back(&client, "ada", "a1").expect(303);
            assert!(answer.location().starts_with("/login?local=1"), "{id} {backend:?}");
            assert_eq!(
                case.server.events().last().unwrap(),
                "sign_in.refused ended_session",
                "{id} {backend:?}"
            );
            client.get("/").expect(303);
        }
        // While the second factor is asked for.
        let owner = case.sign_in("ada", "a0");
        let (app, _) = enrol_app(&case.server, &owner);
        for (id, subject) in [("three", case.person("ada")), ("four", session)] {
            let client = case.server.anyone();
            let answer = case.come_back(&client, "ada", "a1").expect(303);
            assert_eq!(answer.location(), "/login/factor", "{id} {backend:?}");
            case.send(id, &case.claims(id, CREDENTIAL, &subject));
            case.poll();
            case.server.advance(30);
            let answer = client
                .post("/login/factor", &[("code", &app.code(&case.server))])
                .expect(303);
            assert!(
                answer.location().starts_with("/login"),
                "{id} {backend:?}: {}",
                answer.location()
            );
            client.get("/").expect(303);
        }
    }
}

#[test]
fn an_event_whose_acknowledgement_is_lost_comes_again_and_does_nothing_twice() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::new(backend, &[]);
        let ada = case.sign_in("ada", "a1");
        case.send("one", &case.claims("one", REVOKED, &case.person("ada")));
        case.transmitter.with(|stream| stream.loses_acknowledgements = true);
        match case.server.run(poll_now(&case.server.ctx, "corp")).unwrap() {
            EventPollOutcome::Down { counts: found, fault } => {
                assert_eq!(found, counts(1, 0, 1), "{backend:?}");
                assert!(fault.to_string().contains("503"), "{fault}");
            }
            other => panic!("{other:?}"),
        }
        is_ended(&ada);
        assert_eq!(
            case.transmitter.with(|stream| stream.waiting.len()),
            1,
            "not acknowledged"
        );
        case.transmitter.with(|stream| stream.loses_acknowledgements = false);
        // A session that began within the tolerance of clocks shows whether it has an effect again.
        let again = case.sign_in("ada", "a2");
        assert_eq!(case.poll(), counts(1, 1, 0), "{backend:?}");
        again.get("/").expect(200);
        case.transmitter
            .with(|stream| assert_eq!(stream.acknowledged, ["one"], "{backend:?}"));
        assert_eq!(
            case.events("provider."),
            ["provider.event", "provider.event_refused token_id"],
            "{backend:?}"
        );
        assert_eq!(case.events("session.ended"), ["session.ended identity_provider"]);
    }
}

#[test]
fn forged_foreign_and_replayed_tokens_are_refused_reported_and_recorded() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::new(backend, &[]);
        let ada = case.sign_in("ada", "a1");
        let person = case.person("ada");
        let good = |id: &str| case.claims(id, REVOKED, &person);
        let with = |id: &str, name: &str, value: Json| {
            let mut claims = good(id);
            claims[name] = value;
            case.key.sign(Some("secevent+jwt"), &claims)
        };
        let other = SigningKey::new("first");
        let unknown = SigningKey::new("unknown");
        let future = parse_numeric_date(case.server.now()) + 600;
        let foreign = json!({ "format": "iss_sub", "iss": "https://other.example.org", "sub": "ada" });
        let email = json!({ "format": "email", "email": "ada@example.org" });
        for (id, token, reason, err) in [
            ("a", unsigned(&good("a")), "token_type", "invalid_request"),
            (
                "b",
                case.key
                    .sign_under(&json!({ "alg": "none", "typ": "secevent+jwt" }), &good("b")),
                "token_algorithm",
                "invalid_request",
            ),
            (
                "c",
                signed_with_secret(CLIENT_SECRET, &good("c")),
                "token_type",
                "invalid_request",
            ),
            (
                "d",
                other.sign(Some("secevent+jwt"), &good("d")),
                "token_signature",
                "authentication_failed",
            ),
            (
                "e",
                unknown.sign(Some("secevent+jwt"), &good("e")),
                "token_key",
                "invalid_key",
            ),
            ("f", case.key.sign(None, &good("f")), "token_type", "invalid_request"),
            (
                "g",
                case.key.sign(Some("logout+jwt"), &good("g")),
                "token_type",
                "invalid_request",
            ),
            (
                "h",
                with("h", "iss", json!("https://other.example.org")),
                "token_issuer",
                "invalid_issuer",
            ),
            (
                "i",
                with("i", "aud", json!("another")),
                "token_audience",
                "invalid_audience",
            ),
            (
                "j",
                with("j", "iat", json!(future)),
                "token_issued_at",
                "invalid_request",
            ),
            ("k", with("k", "iat", Json::Null), "token_issued_at", "invalid_request"),
            ("l", with("l", "exp", json!(1)), "token_expired", "invalid_request"),
            ("m", with("m", "events", json!({})), "token_events", "invalid_request"),
            ("n", with("n", "sub_id", foreign), "token_subject", "invalid_request"),
            ("o", with("o", "sub_id", email), "token_subject", "invalid_request"),
            (
                "p",
                with("another", "jti", json!("another")),
                "token_id",
                "invalid_request",
            ),
            ("q", "no token".to_owned(), "token_format", "invalid_request"),
        ] {
            case.transmitter.send(id, token);
            assert_eq!(case.poll(), counts(1, 1, 0), "{id} {backend:?}");
            assert_eq!(
                case.server.events().last().unwrap(),
                &format!("provider.event_refused {reason}"),
                "{id} {backend:?}"
            );
            let told = case.transmitter.with(|stream| stream.refused.remove(id));
            assert_eq!(told.as_deref(), Some(err), "{id} {backend:?}");
        }
        ada.get("/").expect(200);
        // A valid one, and the same one again after it was acknowledged.
        let token = case.key.sign(Some("secevent+jwt"), &good("z"));
        case.transmitter.send("z", token.clone());
        assert_eq!(case.poll(), counts(1, 0, 1), "{backend:?}");
        is_ended(&ada);
        let again = case.sign_in("ada", "a2");
        case.transmitter.send("z", token);
        assert_eq!(case.poll(), counts(1, 1, 0), "{backend:?}");
        again.get("/").expect(200);
        assert_eq!(
            case.events("provider.").last().unwrap(),
            "provider.event_refused token_id"
        );
        let audit: String = case.server.audit().iter().map(|row| row.detail.to_string()).collect();
        assert!(!audit.contains("eyJ") && !audit.contains(EVENTS_TOKEN));
    }
}

#[test]
fn the_client_gets_its_own_access_token_and_another_audience_may_be_set() {
    let settings = [
        ("events_access", "client"),
        ("events_scopes", "ssf.read"),
        ("events_audience", "https://login.example.org"),
    ];
    let case = Case::new(Backend::Sqlite, &settings);
    case.transmitter
        .with(|stream| stream.other_token = Some("an access token"));
    let ada = case.sign_in("ada", "a1");
    let mut claims = case.claims("one", REVOKED, &case.person("ada"));
    case.send("one", &claims);
    assert_eq!(case.poll(), counts(1, 1, 0), "the client ID is not the audience");
    claims["jti"] = json!("two");
    claims["aud"] = json!(["https://login.example.org"]);
    case.send("two", &claims);
    assert_eq!(case.poll(), counts(1, 0, 1));
    is_ended(&ada);
    let asked = case.provider.upstream.asked();
    let request = asked.iter().rfind(|request| request.target == "/token").unwrap();
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert_eq!(body, "grant_type=client_credentials&scope=ssf.read");
    assert!(request.header("authorization").unwrap().starts_with("Basic "));
}

/// Two instances: one polls, both end the session; the pages and the command line show the state.
#[test]
fn the_job_polls_and_the_state_and_the_last_fault_are_shown() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::new(backend, &[]);
        let beside = (backend == Backend::Postgres).then(|| {
            TestServer::beside(&case.server.database)
                .clock(&case.server.clock)
                .start()
        });
        let mut ada = case.sign_in("ada", "a1");
        if let Some(beside) = &beside {
            knows_source(beside, case.source);
            ada = ada.at(&beside.base);
            ada.get("/").expect(200);
        }
        case.send("one", &case.claims("one", REVOKED, &case.person("ada")));
        case.server.advance(24 * 60 * 60);
        eventually("the job polled", || {
            case.transmitter.with(|stream| stream.acknowledged == ["one"])
        });
        eventually("every instance knows", || ada.get("/").status() == 303);
        is_ended(&ada);
        assert_eq!(case.events("provider."), ["provider.event"], "{backend:?}");
        let root = case.server.admin("root");
        let page = root.get("/admin/sources/corp").expect(200).page();
        assert!(page.shows("1 received so far"), "{backend:?}");
        case.transmitter.with(|stream| stream.other_token = Some("another"));
        case.server.run(poll_now(&case.server.ctx, "corp")).unwrap();
        let words = "the poll endpoint answered with status 401";
        let page = root.get("/admin/sources/corp").expect(200).page();
        assert!(
            page.shows("Security events cannot be polled") && page.shows(words),
            "{backend:?}"
        );
        assert!(
            root.get("/admin/sources").expect(200).page().shows(words),
            "{backend:?}"
        );
        let cli = Cli::beside(&case.server);
        let shown = cli.run(&["source", "show", "corp", "--json"]).json();
        assert_eq!(shown["events"]["last_fault"], words, "{backend:?}");
        assert_eq!(
            (&shown["events"]["received"], &shown["events"]["has_token"]),
            (&json!(1), &json!(true))
        );
        cli.run(&["source", "show", "corp"])
            .done()
            .prints(&[words, "Events token"]);
        assert_eq!(
            cli.run(&["source", "poll", "corp", "--json"]).code,
            Some(1),
            "{backend:?}"
        );
        assert!(!shown.to_string().contains(EVENTS_TOKEN));
    }
}
