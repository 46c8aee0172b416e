//! The token of an emailed or printed link moves from the address to an encrypted cookie
//! immediately: otherwise the page's assets would send it in `Referer`, and every proxy on the way
//! would log it (ASVS 14.2.1).

use super::{respond::redirect_to, sealed_cookie::SealedCookie};
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::time::Duration,
    http::header::{self, HeaderValue},
};

/// Maximum length of a token in bytes; our own tokens are much shorter.
const MAX_TOKEN_LEN: usize = 128;

/// The cookie with the token of one kind of link while its page is open.
pub struct LinkCookie(SealedCookie);

impl LinkCookie {
    /// Describes the cookie of one kind of link; it lives for 15 minutes.
    pub const fn new(suffix: &'static str) -> Self {
        Self(SealedCookie::new(suffix, Duration::minutes(15)))
    }

    /// Redirects to the same page without a query; the token moves to the cookie, so that it is in
    /// no referrer.
    pub fn exchange(&self, req: &HttpRequest, token: &str) -> HttpResponse {
        let mut response = omit_referrer(redirect_to(req.path()));
        let headers = response.headers_mut();
        if token.len() <= MAX_TOKEN_LEN {
            self.0.write(req, headers, token.to_owned());
        } else {
            self.0.remove(req, headers);
        }
        response
    }

    /// Returns the token in the browser's cookie.
    pub fn read(&self, req: &HttpRequest) -> Option<String> {
        self.0.read(req)
    }

    /// Removes the token from the browser.
    pub fn forget(&self, req: &HttpRequest, response: &mut HttpResponse) {
        self.0.remove(req, response.headers_mut());
    }
}

/// Makes the browser send no `Referer` from this page.
pub fn omit_referrer(mut response: HttpResponse) -> HttpResponse {
    let no_referrer = HeaderValue::from_static("no-referrer");
    response.headers_mut().insert(header::REFERRER_POLICY, no_referrer);
    response
}
