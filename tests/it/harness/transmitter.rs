//! A transmitter of security events with poll delivery (RFC 8936), over real HTTP.

use super::upstream::{ReceivedRequest, Reply, Upstream};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The access token that the transmitter accepts.
pub const EVENTS_TOKEN: &str = "access token of the event stream";

/// What the transmitter holds and has received.
#[derive(Default)]
pub struct Stream {
    /// Tokens by ID, until they are acknowledged or refused.
    pub waiting: BTreeMap<String, String>,
    /// IDs that were acknowledged, in order.
    pub acknowledged: Vec<String>,
    /// Error codes by ID.
    pub refused: BTreeMap<String, String>,
    /// Whether it fails on requests that acknowledge something, as if the receiver had been killed
    /// before it sent them.
    pub loses_acknowledgements: bool,
    /// The accepted access token, if it is another one.
    pub other_token: Option<&'static str>,
}

/// The running transmitter; it ends with the test process.
pub struct Transmitter {
    pub url: String,
    stream: Arc<Mutex<Stream>>,
}

impl Transmitter {
    pub fn start() -> Self {
        let stream = Arc::new(Mutex::new(Stream::default()));
        let current = stream.clone();
        let upstream = Upstream::start(Arc::new(move |request| answer(request, &mut current.lock().unwrap())));
        Self {
            url: format!("http://{}/poll", upstream.address),
            stream,
        }
    }

    /// Reads or changes its state.
    pub fn with<T>(&self, act: impl FnOnce(&mut Stream) -> T) -> T {
        act(&mut self.stream.lock().unwrap())
    }

    /// Has a token waiting for the receiver.
    pub fn send(&self, id: &str, token: String) {
        self.with(|stream| stream.waiting.insert(id.to_owned(), token));
    }
}

fn answer(request: &ReceivedRequest, stream: &mut Stream) -> Reply {
    let expected = format!("Bearer {}", stream.other_token.unwrap_or(EVENTS_TOKEN));
    if request.header("authorization") != Some(expected) {
        return refusal("401 Unauthorized");
    }
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/poll"));
    assert_eq!(request.header("content-type").as_deref(), Some("application/json"));
    let poll: Json = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(poll["returnImmediately"], true);
    let acknowledged: Vec<String> = serde_json::from_value(poll["ack"].clone()).unwrap();
    if stream.loses_acknowledgements && !acknowledged.is_empty() {
        return refusal("503 Service Unavailable");
    }
    for id in acknowledged {
        stream.waiting.remove(&id);
        stream.acknowledged.push(id);
    }
    for (id, refusal) in poll["setErrs"].as_object().into_iter().flatten() {
        stream.waiting.remove(id);
        assert!(!refusal["description"].as_str().unwrap().is_empty());
        stream
            .refused
            .insert(id.clone(), refusal["err"].as_str().unwrap().to_owned());
    }
    let most = usize::try_from(poll["maxEvents"].as_u64().unwrap()).unwrap();
    let sets: BTreeMap<&String, &String> = stream.waiting.iter().take(most).collect();
    Reply::json(&json!({ "sets": sets, "moreAvailable": stream.waiting.len() > most }))
}

fn refusal(status: &'static str) -> Reply {
    Reply {
        status,
        headers: String::new(),
        body: String::new(),
    }
}
