//! The dialect of Envoy: the original method, `Host` and path, below our own prefix; the scheme in
//! `X-Forwarded-Proto`.

use super::original::{MalformedHeader, OriginalRequest, ProxyHeader, first_token, single_value};
use crate::{
    domain::application::{RequestTarget, TargetError},
    http::paths::EXT_AUTHZ,
};
use actix_web::HttpRequest;

static PROTO: ProxyHeader = ProxyHeader::new("X-Forwarded-Proto", "x-forwarded-proto");
static HOST: ProxyHeader = ProxyHeader::new("Host", "host");

/// Reads the original request, which Envoy sends as its own.
pub fn read(req: &HttpRequest) -> Result<OriginalRequest, MalformedHeader> {
    let (proto, host) = (first_token(req, &PROTO)?, single_value(req, &HOST)?);
    // The path as received: the router's decoded path would be another one.
    let uri = req.uri().path_and_query().map_or("", |uri| uri.as_str());
    let uri = uri.strip_prefix(EXT_AUTHZ).unwrap_or_default();
    if leads_up(uri) {
        return Err(MalformedHeader {
            header: "path",
            why: "the path leads up".to_owned(),
        });
    }
    let target = RequestTarget::of_parts(proto, host, uri).map_err(|error| MalformedHeader {
        header: match error {
            TargetError::Scheme => PROTO.shown,
            TargetError::Host => HOST.shown,
            TargetError::Path => "path",
        },
        why: error.to_string(),
    })?;
    let method = req.method().clone();
    Ok(OriginalRequest { target, method })
}

/// Returns whether the path has dot segments in any spelling. To a proxy that blocks our prefix for
/// the public it is an address outside of that prefix; no Envoy sends one.
fn leads_up(uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let plain = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).any(|segment| segment == "..")
}
