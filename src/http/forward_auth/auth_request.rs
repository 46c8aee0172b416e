//! The dialect of nginx: `X-Original-URL` and `X-Original-Method`.

use super::original::{MalformedHeader, OriginalRequest, ProxyHeader, read_method, single_value};
use crate::domain::application::RequestTarget;
use actix_web::HttpRequest;

static URL: ProxyHeader = ProxyHeader::new("X-Original-URL", "x-original-url");
static METHOD: ProxyHeader = ProxyHeader::new("X-Original-Method", "x-original-method");

/// Reads the original request from the headers of nginx `auth_request`.
pub fn read(req: &HttpRequest) -> Result<OriginalRequest, MalformedHeader> {
    let target = RequestTarget::of_url(single_value(req, &URL)?).map_err(|error| MalformedHeader {
        header: URL.shown,
        why: error.to_string(),
    })?;
    let method = read_method(req, &METHOD)?;
    Ok(OriginalRequest { target, method })
}
