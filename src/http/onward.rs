//! The return address after a required password change. It is in a sealed cookie and not in the
//! query, so that the page for the change always has the same address. Readers validate it again.

use super::sealed_cookie::SealedCookie;
use actix_web::{HttpRequest, HttpResponse, cookie::time::Duration, http::header::HeaderMap};

/// Lives long enough to change a password.
const COOKIE: SealedCookie = SealedCookie::new("onward", Duration::hours(1));
/// Maximum number of bytes of an address that fit into a cookie once encrypted.
const MAX_LENGTH: usize = 2_600;

/// Stores the return address; `None` removes an earlier one.
pub fn store_target(req: &HttpRequest, response: &mut HttpResponse, target: Option<&str>) {
    let headers = response.headers_mut();
    match target.filter(|target| target.len() <= MAX_LENGTH) {
        Some(target) => COOKIE.write(req, headers, target.to_owned()),
        None => COOKIE.remove(req, headers),
    }
}

/// Returns whether an address is stored.
pub fn has_target(req: &HttpRequest) -> bool {
    read_target(req).is_some()
}

/// Deletes the stored address.
pub fn forget(req: &HttpRequest, headers: &mut HeaderMap) {
    COOKIE.remove(req, headers);
}

/// Returns the stored address.
pub fn read_target(req: &HttpRequest) -> Option<String> {
    COOKIE.read(req)
}
