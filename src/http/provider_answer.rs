//! Answers of identity providers move from the callback's address to an encrypted cookie
//! immediately, so that code, state and errors stay in no address bar, history or referrer. The
//! browser goes on at an address that only says which answer it brings.

use super::{link_token::omit_referrer, respond::redirect_to, sealed_cookie::SealedCookie};
use crate::{domain::secret, identity::oidc::CallbackQuery};
use actix_web::{HttpRequest, HttpResponse, cookie::time::Duration, http::header::HeaderMap};
use serde::{Deserialize, Serialize};

/// The answers, in two cookies: codes of some providers are longer than half a cookie.
const COOKIES: [SealedCookie; 2] = [
    SealedCookie::new("answer", LIFETIME),
    SealedCookie::new("answer-2", LIFETIME),
];
/// The page that reads the answer is opened at once, and reloaded while the database is away.
const LIFETIME: Duration = Duration::minutes(2);
/// Most bytes in one cookie: sealed and encoded they stay below 4 KiB.
const MAX_PART: usize = 2_700;
/// Most answers at once, one for each tab.
const MAX_ANSWERS: usize = 3;
/// Number of characters that tell answers apart in the address.
const KEY_LENGTH: usize = 16;

/// An answer as the cookie keeps it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct KeptAnswer {
    code: String,
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

impl KeptAnswer {
    fn key(&self) -> String {
        secret::digest(&self.state)[..KEY_LENGTH].to_owned()
    }
}

/// Redirects from the callback to `path` with the key of the answer, which moves to the cookie. An
/// answer that cannot be read, or is too long, is not kept: then the sign-in has to begin again.
pub fn exchange(req: &HttpRequest, path: &str) -> HttpResponse {
    let answer: KeptAnswer = serde_html_form::from_str(req.query_string()).unwrap_or_default();
    let key = answer.key();
    let mut response = omit_referrer(redirect_to(&format!("{path}?id={key}")));
    // Without a state it belongs to no sign-in.
    if !answer.state.is_empty() {
        let mut all = kept(req);
        all.retain(|kept| kept.state != answer.state);
        all.insert(0, answer);
        write(req, response.headers_mut(), all);
    }
    response
}

/// Returns the answer with this key; an empty one belongs to no sign-in.
pub fn find(req: &HttpRequest, key: &str) -> CallbackQuery {
    let found = kept(req).into_iter().find(|kept| kept.key() == key);
    let answer = found.unwrap_or_default();
    CallbackQuery {
        code: answer.code,
        state: answer.state,
        iss: answer.iss,
        error: answer.error,
    }
}

/// Forgets an answer that was used up.
pub fn forget(req: &HttpRequest, headers: &mut HeaderMap, answer: &CallbackQuery) {
    let mut all = kept(req);
    all.retain(|kept| kept.state != answer.state);
    write(req, headers, all);
}

fn kept(req: &HttpRequest) -> Vec<KeptAnswer> {
    let text: String = COOKIES.iter().filter_map(|cookie| cookie.read(req)).collect();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Writes the newest answers that fit.
fn write(req: &HttpRequest, headers: &mut HeaderMap, mut all: Vec<KeptAnswer>) {
    all.truncate(MAX_ANSWERS);
    let mut text = String::new();
    while !all.is_empty() {
        text = serde_json::to_string(&all).unwrap_or_default();
        if text.len() <= COOKIES.len() * MAX_PART {
            break;
        }
        text.clear();
        all.pop();
    }
    for cookie in &COOKIES {
        // The next part begins at a character.
        let end = text.floor_char_boundary(MAX_PART);
        let rest = text.split_off(end);
        if !text.is_empty() {
            cookie.write(req, headers, text);
        } else if cookie.read(req).is_some() {
            cookie.remove(req, headers);
        }
        text = rest;
    }
}
