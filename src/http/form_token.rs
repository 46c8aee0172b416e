//! Form tokens, which prove that a form is Nightlatch's when the browser hides its origin (`Origin:
//! null`, as with `Referrer-Policy: no-referrer`). Over https every browser sends `Sec-Fetch-Site`,
//! so only pages over plain http have them.
//!
//! A token needs no cookie. It is derived with the installation's key from the session, or for
//! people who are not signed in from address and browser, and is valid for 12 hours.

use super::{
    client::read_client,
    judged::{JudgedRequest, JudgedSession},
    request_body::{FORM_TYPE, MAX_FORM_BYTES, MAX_SHORT_BYTES, read_body, replay_body},
    session_cookie::{self, CookieKeys, CookieScope},
    site::Site,
};
use crate::{
    domain::{
        secret,
        time::{Span, Timestamp},
    },
    flows::Ctx,
};
use actix_web::{
    HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    web,
};
use std::{borrow::Cow, sync::Arc};
use url::form_urlencoded;

/// Name of the hidden field.
const FIELD: &str = "form_token";
/// How long a form may stay open.
const VALID: Span = Span::from_secs(12 * 3600);

/// The owner of a form.
pub struct FormOwner {
    keys: Option<Arc<CookieKeys>>,
    /// Address and browser.
    client: String,
    /// The token of the session cookie, valid or not.
    session: Option<String>,
}

impl FormOwner {
    /// Reads the owner of the form that a request sends or asks for.
    pub fn of(req: &ServiceRequest, ctx: &Ctx) -> Self {
        let keys = req
            .app_data::<web::Data<CookieKeys>>()
            .map(|keys| keys.clone().into_inner());
        let site = Site::from_request(req.request());
        let scope = CookieScope::for_site(&ctx.config, &site);
        let session = keys
            .as_ref()
            .and_then(|keys| session_cookie::read(req.headers(), scope, keys).token);
        let client = read_client(req, ctx);
        Self {
            keys,
            client: format!("{} {}", client.ip, client.user_agent.unwrap_or_default()),
            session,
        }
    }

    /// Returns the token of a form made at this time. `session`: token of the session cookie at
    /// that time.
    fn token(&self, made_at: Timestamp, session: Option<&str>) -> Option<String> {
        let owner = session.map_or_else(
            || format!("client {}", self.client),
            |session| format!("session {session}"),
        );
        let secs = made_at.as_micros() / 1_000_000;
        let mac = self.keys.as_ref()?.mac(&format!("form {secs} {owner}"));
        Some(format!("{secs}.{}", secret::digest(&mac)))
    }

    fn accepts(&self, token: &str, now: Timestamp) -> bool {
        let Some(secs) = token.split('.').next().and_then(|secs| secs.parse::<i64>().ok()) else {
            return false;
        };
        let made_at = Timestamp::from_micros(secs.saturating_mul(1_000_000));
        let age = now.since(made_at);
        let expected = self.token(made_at, self.session.as_deref());
        // Digests are compared, so that the time reveals nothing about the token.
        age >= Span::ZERO && age <= VALID && expected.is_some_and(|own| secret::digest(&own) == secret::digest(token))
    }
}

/// Returns whether the form contains a token of this owner. The form is read but stays available to
/// the handler.
pub async fn is_proved(req: &mut ServiceRequest, ctx: &Ctx, owner: &FormOwner) -> bool {
    let (request, payload) = req.parts_mut();
    let most = if owner.session.is_some() {
        MAX_FORM_BYTES
    } else {
        MAX_SHORT_BYTES
    };
    let Ok(form) = read_body(request, &mut payload.take(), FORM_TYPE, most).await else {
        return false;
    };
    let fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(&form).collect();
    let token = fields
        .iter()
        .find(|(name, _)| name == FIELD)
        .map(|(_, value)| value.as_ref());
    let is_proved = token.is_some_and(|token| owner.accepts(token, ctx.now()));
    req.set_payload(replay_body(form));
    is_proved
}

/// Adds the token to the forms of a page over plain http.
pub fn add_to_forms(response: ServiceResponse<BoxBody>, ctx: &Ctx, owner: &FormOwner) -> ServiceResponse<BoxBody> {
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|content| content.as_bytes().starts_with(b"text/html"));
    if ctx.config.https() || !is_page {
        return response;
    }
    let Some(token) = owner.token(ctx.now(), next_session(&response, owner).as_deref()) else {
        return response;
    };
    let (request, inner) = response.into_parts();
    let (inner, body) = inner.into_parts();
    let body = match body.try_into_bytes() {
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(html) => BoxBody::new(with_token(html, &token)),
            Err(_) => BoxBody::new(bytes),
        },
        Err(body) => body,
    };
    ServiceResponse::new(request, inner.set_body(body))
}

/// Returns the token of the session cookie with which the browser will send the page's forms.
fn next_session(response: &ServiceResponse<BoxBody>, owner: &FormOwner) -> Option<String> {
    let extensions = response.request().extensions();
    let rotated = extensions
        .get::<JudgedRequest>()
        .and_then(|judged| match &judged.state {
            JudgedSession::Admitted(admitted) => admitted.rotated_to.as_ref().map(|token| token.expose().to_owned()),
            JudgedSession::Anonymous
            | JudgedSession::Ended(..)
            | JudgedSession::Unproved(_)
            | JudgedSession::Unjudged(_) => None,
        });
    rotated.or_else(|| owner.session.clone())
}

fn with_token(html: &str, token: &str) -> String {
    let mut page = String::with_capacity(html.len() + 1024);
    let mut rest = html;
    while let Some(at) = rest.find("<form") {
        let Some(end) = rest[at..].find('>').map(|end| at + end + 1) else {
            break;
        };
        page.push_str(&rest[..end]);
        if rest[at..end].contains("method=\"post\"") {
            page.push_str(&format!("<input type=\"hidden\" name=\"{FIELD}\" value=\"{token}\">"));
        }
        rest = &rest[end..];
    }
    page.push_str(rest);
    page
}

/// Returns the form without the token, which handlers do not expect.
pub fn without_token(form: &[u8]) -> Cow<'_, [u8]> {
    let is_token = |field: &[u8]| {
        field
            .strip_prefix(FIELD.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    };
    if !form.split(|byte| *byte == b'&').any(is_token) {
        return Cow::Borrowed(form);
    }
    let kept: Vec<&[u8]> = form
        .split(|byte| *byte == b'&')
        .filter(|field| !is_token(field))
        .collect();
    Cow::Owned(kept.join(&b'&'))
}

#[cfg(test)]
mod tests;
