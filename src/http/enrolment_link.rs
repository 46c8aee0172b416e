//! The token of an enrolment link, between the page of the link and the page that enrols. It is
//! kept in a sealed cookie, so that it appears in only one address.

use super::sealed_cookie::SealedCookie;
use crate::domain::secret::Secret;
use actix_web::{HttpRequest, cookie::time::Duration, http::header::HeaderMap};

/// Lives long enough to sign in and to enrol a factor.
const COOKIE: SealedCookie = SealedCookie::new("enrolment", Duration::hours(1));

/// Stores the token of an opened link in the browser.
pub fn keep(req: &HttpRequest, headers: &mut HeaderMap, token: &Secret) {
    COOKIE.write(req, headers, token.expose().to_owned());
}

/// Returns the token of the opened link.
pub fn token(req: &HttpRequest) -> Option<Secret> {
    COOKIE.read(req).map(Secret::new)
}

/// Returns whether a link was opened in this browser.
pub fn is_carried(req: &HttpRequest) -> bool {
    token(req).is_some()
}

/// Deletes the token of a used link from the browser.
pub fn forget(req: &HttpRequest, headers: &mut HeaderMap) {
    COOKIE.remove(req, headers);
}
