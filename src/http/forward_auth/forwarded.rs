//! Traefik and Caddy: `X-Forwarded-Proto`, `-Host`, `-Uri` and `-Method`.

use super::{Malformed, Original, method, one};
use crate::domain::application::{Target, TargetError};
use actix_web::HttpRequest;

const PROTO: &str = "X-Forwarded-Proto";
const HOST: &str = "X-Forwarded-Host";
const URI: &str = "X-Forwarded-Uri";

pub fn read(req: &HttpRequest) -> Result<Original, Malformed> {
    let (proto, host, uri) = (one(req, PROTO)?, one(req, HOST)?, one(req, URI)?);
    let target = Target::of_parts(proto, host, uri).map_err(|error| Malformed {
        header: match error {
            TargetError::Scheme => PROTO,
            TargetError::Host => HOST,
            TargetError::Path => URI,
        },
        why: error.to_string(),
    })?;
    let method = method(req, "X-Forwarded-Method")?;
    Ok(Original { target, method })
}
