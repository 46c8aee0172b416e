//! Envoy: the original method, `Host` and path, below our own prefix; the scheme in `X-Forwarded-Proto`.

use super::{Malformed, Original, one};
use crate::{
    domain::application::{Target, TargetError},
    http::paths::EXT_AUTHZ,
};
use actix_web::HttpRequest;

const PROTO: &str = "X-Forwarded-Proto";
const HOST: &str = "Host";

pub fn read(req: &HttpRequest) -> Result<Original, Malformed> {
    let (proto, host) = (one(req, PROTO)?, one(req, HOST)?);
    // As it came over the wire: what the router decoded would be another path.
    let uri = req.uri().path_and_query().map_or("", |uri| uri.as_str());
    let uri = uri.strip_prefix(EXT_AUTHZ).unwrap_or_default();
    let target = Target::of_parts(proto, host, uri).map_err(|error| Malformed {
        header: match error {
            TargetError::Scheme => PROTO,
            TargetError::Host => HOST,
            TargetError::Path => "path",
        },
        why: error.to_string(),
    })?;
    let method = req.method().clone();
    Ok(Original { target, method })
}
