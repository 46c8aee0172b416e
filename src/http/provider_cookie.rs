//! Sign-ins that were sent to an identity provider, in an encrypted cookie of this browser. Several
//! may be open at once, one for each tab; each is taken out when its answer arrives.

use super::sealed_cookie::SealedCookie;
use crate::{
    domain::{secret::Secret, session::SessionId, source::SourceId, time::Timestamp},
    flows::providers::PendingProviderSignIn,
    identity::oidc::{CallbackQuery, SignInSecrets},
};
use actix_web::{HttpRequest, cookie::time::Duration, http::header::HeaderMap};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// It lives as long as the flow accepts the answer.
const COOKIE: SealedCookie = SealedCookie::new("provider", Duration::minutes(15));
/// Most sign-ins that are open at once; an older one is forgotten.
const MAX_COOKIES: usize = 3;
/// Longest return address that is kept, so that the cookie stays below 4 KiB.
const MAX_RETURN_LENGTH: usize = 500;

/// What a sign-in at the provider is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderPurpose {
    /// Opening a session.
    SignIn,
    /// Opening a session for the owner of a covered page, by the name of their account.
    Again(String),
    /// Confirming one's identity within this session.
    Confirm(SessionId),
}

impl ProviderPurpose {
    /// Returns the only person who may sign in, by the name of their account; `None`: anyone may.
    pub fn into_owner(self) -> Option<String> {
        match self {
            ProviderPurpose::Again(name) => Some(name),
            ProviderPurpose::SignIn | ProviderPurpose::Confirm(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SignInCookie {
    source: Uuid,
    state: String,
    nonce: String,
    verifier: String,
    started_at: i64,
    return_to: String,
    confirms: Option<Uuid>,
    again: Option<String>,
}

impl SignInCookie {
    fn new(pending: &PendingProviderSignIn, errand: ProviderPurpose) -> Self {
        let return_to = Some(&pending.return_to).filter(|address| address.len() <= MAX_RETURN_LENGTH);
        let (confirms, again) = match errand {
            ProviderPurpose::SignIn => (None, None),
            ProviderPurpose::Again(name) => (None, Some(name)),
            ProviderPurpose::Confirm(session) => (Some(session.0), None),
        };
        Self {
            source: pending.source.0,
            state: pending.secrets.state.expose().to_owned(),
            nonce: pending.secrets.nonce.expose().to_owned(),
            verifier: pending.secrets.verifier.expose().to_owned(),
            started_at: pending.started_at.as_micros(),
            return_to: return_to.cloned().unwrap_or_default(),
            confirms,
            again,
        }
    }

    fn into_pending(self) -> (PendingProviderSignIn, ProviderPurpose) {
        let pending = PendingProviderSignIn {
            source: SourceId(self.source),
            secrets: SignInSecrets {
                state: Secret::new(self.state),
                nonce: Secret::new(self.nonce),
                verifier: Secret::new(self.verifier),
            },
            started_at: Timestamp::from_micros(self.started_at),
            return_to: self.return_to,
        };
        let errand = match (self.confirms, self.again) {
            (Some(session), _) => ProviderPurpose::Confirm(SessionId(session)),
            (None, Some(name)) => ProviderPurpose::Again(name),
            (None, None) => ProviderPurpose::SignIn,
        };
        (pending, errand)
    }
}

fn kept(req: &HttpRequest) -> Vec<SignInCookie> {
    let text = COOKIE.read(req);
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn write(req: &HttpRequest, headers: &mut HeaderMap, kept: &[SignInCookie]) {
    match serde_json::to_string(kept) {
        Ok(text) if !kept.is_empty() => COOKIE.write(req, headers, text),
        Ok(_) | Err(_) => COOKIE.remove(req, headers),
    }
}

/// Remembers a sign-in that is sent to a provider.
pub fn remember(req: &HttpRequest, headers: &mut HeaderMap, pending: &PendingProviderSignIn, errand: ProviderPurpose) {
    let mut all = kept(req);
    all.insert(0, SignInCookie::new(pending, errand));
    all.truncate(MAX_COOKIES);
    write(req, headers, &all);
}

/// Finds the sign-in to which an answer belongs by its state. `None`: this browser began none.
pub fn find(req: &HttpRequest, answer: &CallbackQuery) -> Option<(PendingProviderSignIn, ProviderPurpose)> {
    let all = kept(req).into_iter().map(SignInCookie::into_pending);
    all.into_iter().find(|(pending, _)| answer.belongs_to(&pending.secrets))
}

/// Forgets the sign-in to which an answer belongs.
pub fn forget(req: &HttpRequest, headers: &mut HeaderMap, answer: &CallbackQuery) {
    let all = kept(req);
    if all.is_empty() {
        return;
    }
    let others: Vec<SignInCookie> = all.into_iter().filter(|kept| kept.state != answer.state).collect();
    write(req, headers, &others);
}
