//! Forms and queries as typed values; what cannot be read is refused with our own page.

use super::error::PageError;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    time::Duration,
};

/// The largest form: the policy editor with everything typed.
pub const MAX_FORM_BYTES: usize = 256 * 1024;
/// What `Form` reads.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";
pub const FORM_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest of what people send before they are signed in: everybody can send many at once.
const MAX_SHORT_BYTES: usize = 16 * 1024;

/// An `application/x-www-form-urlencoded` body; repeated keys make lists.
pub struct Form<T, const MOST: usize = MAX_FORM_BYTES>(pub T);

/// What anybody may send.
pub type ShortForm<T> = Form<T, MAX_SHORT_BYTES>;

impl<T: DeserializeOwned + 'static, const MOST: usize> FromRequest for Form<T, MOST> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = body(req, payload, FORM_TYPE, MOST);
        Box::pin(async move { Self::of(&body.await?) })
    }
}

impl<T: DeserializeOwned, const MOST: usize> Form<T, MOST> {
    pub(super) fn of(body: &[u8]) -> Result<Self, PageError> {
        serde_html_form::from_bytes(body)
            .map(Self)
            .map_err(|error| PageError::BadRequest(format!("The form cannot be read: {error}.")))
    }
}

/// An `application/json` body: a type that no other site's form can send (ASVS 3.5.2).
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = body(req, payload, "application/json", MAX_SHORT_BYTES);
        Box::pin(async move {
            // Where it went wrong, not with what: it may be a password.
            serde_json::from_slice(&body.await?).map(Self).map_err(|error| {
                PageError::BadRequest(format!(
                    "The JSON cannot be read at line {} column {}.",
                    error.line(),
                    error.column()
                ))
            })
        })
    }
}

/// The whole body of at most `limit` bytes, when it is of this media type.
pub(super) fn body(
    req: &HttpRequest,
    payload: &mut Payload,
    media_type: &'static str,
    limit: usize,
) -> impl Future<Output = Result<Vec<u8>, PageError>> + use<> {
    let is_given = req.content_type().eq_ignore_ascii_case(media_type);
    let mut payload = web::Payload::from_request(req, payload).into_inner();
    async move {
        if !is_given {
            return Err(PageError::UnsupportedMedia);
        }
        let payload = payload
            .as_mut()
            .map_err(|_| PageError::BadRequest("The body cannot be read.".to_owned()))?;
        tokio::time::timeout(FORM_TIMEOUT, read(payload, limit))
            .await
            .map_err(|_| PageError::Timeout)?
    }
}

async fn read(payload: &mut web::Payload, limit: usize) -> Result<Vec<u8>, PageError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| PageError::BadRequest("The body cannot be read.".to_owned()))?;
        if body.len() + chunk.len() > limit {
            return Err(PageError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

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
