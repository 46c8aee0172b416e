//! Forms and queries as typed values; an unreadable one is refused with our own page.

use super::{
    error::PageError,
    form_token::without_token,
    request_body::{FORM_TYPE, JSON_TYPE, MAX_FORM_BYTES, MAX_SHORT_BYTES, read_body},
};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
};

/// The largest JSON body; a passkey's answer is smaller than 8 KiB.
pub const MAX_JSON_BYTES: usize = MAX_SHORT_BYTES;

/// An `application/x-www-form-urlencoded` body; repeated keys make lists.
pub struct Form<T, const MAX: usize = MAX_FORM_BYTES>(pub T);

/// A form that visitors may send without signing in.
pub type ShortForm<T> = Form<T, MAX_SHORT_BYTES>;

impl<T: DeserializeOwned + 'static, const MAX: usize> FromRequest for Form<T, MAX> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read_body(req, payload, FORM_TYPE, MAX);
        Box::pin(async move { Self::parse_body(&body.await?) })
    }
}

impl<T: DeserializeOwned, const MAX: usize> Form<T, MAX> {
    pub(super) fn parse_body(body: &[u8]) -> Result<Self, PageError> {
        serde_html_form::from_bytes(&without_token(body))
            .map(Self)
            .map_err(|error| PageError::BadRequest(format!("The form cannot be read: {error}.")))
    }
}

/// An `application/json` body: a type that forms of other sites cannot send (ASVS 3.5.2).
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read_body(req, payload, JSON_TYPE, MAX_JSON_BYTES);
        Box::pin(async move { Self::parse_body(&body.await?) })
    }
}

impl<T: DeserializeOwned> Json<T> {
    pub(super) fn parse_body(body: &[u8]) -> Result<Self, PageError> {
        // Says where it is invalid but does not quote it, because it may contain a password.
        serde_json::from_slice(body).map(Self).map_err(|error| {
            PageError::BadRequest(format!(
                "The JSON cannot be read at line {} column {}.",
                error.line(),
                error.column()
            ))
        })
    }
}

/// The JSON body of a request without parameters: `{}`.
#[derive(Deserialize)]
pub struct EmptyBody {}

/// The query string; repeated keys make lists.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            serde_html_form::from_str(req.query_string())
                .map(Self)
                .map_err(|error| PageError::BadRequest(format!("The address cannot be read: {error}."))),
        )
    }
}

/// Replaces each `{FIELD}` of an action by what was typed into that field: *Create the account
/// {name}*.
pub fn fill_placeholders(act: &str, fields: &[(String, String)]) -> String {
    let mut named = act.to_owned();
    for (field, value) in fields {
        named = named.replace(&format!("{{{field}}}"), value.trim());
    }
    named
}
