//! The dialect of Traefik and Caddy: `X-Forwarded-Proto`, `-Host`, `-Uri` and `-Method`.

use super::original::{MalformedHeader, OriginalRequest, ProxyHeader, first_token, read_method, single_value};
use crate::domain::application::{RequestTarget, TargetError};
use actix_web::HttpRequest;

static PROTO: ProxyHeader = ProxyHeader::new("X-Forwarded-Proto", "x-forwarded-proto");
static HOST: ProxyHeader = ProxyHeader::new("X-Forwarded-Host", "x-forwarded-host");
static URI: ProxyHeader = ProxyHeader::new("X-Forwarded-Uri", "x-forwarded-uri");
static METHOD: ProxyHeader = ProxyHeader::new("X-Forwarded-Method", "x-forwarded-method");

/// Reads the original request from the `X-Forwarded-…` headers of Traefik and Caddy.
pub fn read(req: &HttpRequest) -> Result<OriginalRequest, MalformedHeader> {
    let (proto, host, uri) = (
        first_token(req, &PROTO)?,
        single_value(req, &HOST)?,
        single_value(req, &URI)?,
    );
    let target = RequestTarget::of_parts(proto, host, uri).map_err(|error| MalformedHeader {
        header: match error {
            TargetError::Scheme => PROTO.shown,
            TargetError::Host => HOST.shown,
            TargetError::Path => URI.shown,
        },
        why: error.to_string(),
    })?;
    let method = read_method(req, &METHOD)?;
    Ok(OriginalRequest { target, method })
}
