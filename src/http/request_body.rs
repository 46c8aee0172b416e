//! The body of a request: its media type, its size and the time it may take.

use super::error::PageError;
use actix_http::h1;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use futures_util::StreamExt;
use std::{future::Future, time::Duration};

/// Maximum size of a form: the policy editor with all fields filled.
pub const MAX_FORM_BYTES: usize = 256 * 1024;
/// Maximum size of a form before sign-in, because anyone can send many of them. A return address
/// may be three times as long once it is encoded.
pub const MAX_SHORT_BYTES: usize = 32 * 1024;
/// The media type of a form.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";
/// The media type of a JSON body.
pub const JSON_TYPE: &str = "application/json";
/// How long a body may take to arrive.
pub const FORM_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads the whole body of at most `limit` bytes, if it has this media type.
pub(super) fn read_body(
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
        tokio::time::timeout(FORM_TIMEOUT, read_payload(payload, limit))
            .await
            .map_err(|_| PageError::Timeout)?
    }
}

/// Returns a body that was read as a payload, for an extractor that reads it again.
pub(super) fn replay_body(body: Vec<u8>) -> Payload {
    let (_, mut again) = h1::Payload::create(true);
    again.unread_data(body.into());
    Payload::H1 { payload: again }
}

async fn read_payload(payload: &mut web::Payload, limit: usize) -> Result<Vec<u8>, PageError> {
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
