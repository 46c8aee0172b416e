//! Envoy: the original method, `Host` and path, below our own prefix; the scheme in `X-Forwarded-Proto`.

use super::{Field, Malformed, Original, one};
use crate::{
    domain::application::{Target, TargetError},
    http::paths::EXT_AUTHZ,
};
use actix_web::HttpRequest;

static PROTO: Field = Field::new("X-Forwarded-Proto", "x-forwarded-proto");
static HOST: Field = Field::new("Host", "host");

pub fn read(req: &HttpRequest) -> Result<Original, Malformed> {
    let (proto, host) = (one(req, &PROTO)?, one(req, &HOST)?);
    // As it came over the wire: what the router decoded would be another path.
    let uri = req.uri().path_and_query().map_or("", |uri| uri.as_str());
    let uri = uri.strip_prefix(EXT_AUTHZ).unwrap_or_default();
    if leads_up(uri) {
        return Err(Malformed {
            header: "path",
            why: "the path leads up".to_owned(),
        });
    }
    let target = Target::of_parts(proto, host, uri).map_err(|error| Malformed {
        header: match error {
            TargetError::Scheme => PROTO.shown,
            TargetError::Host => HOST.shown,
            TargetError::Path => "path",
        },
        why: error.to_string(),
    })?;
    let method = req.method().clone();
    Ok(Original { target, method })
}

/// Whether the path has dot segments in any spelling. To a proxy that closes our prefix to the public it is another address, outside
/// of that prefix; no Envoy that asks us sends one.
fn leads_up(uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let plain = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).any(|segment| segment == "..")
}
