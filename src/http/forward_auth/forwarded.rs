//! Traefik and Caddy: `X-Forwarded-Proto`, `-Host`, `-Uri` and `-Method`.

use super::{Field, Malformed, Original, method, one};
use crate::domain::application::{Target, TargetError};
use actix_web::HttpRequest;

static PROTO: Field = Field::new("X-Forwarded-Proto", "x-forwarded-proto");
static HOST: Field = Field::new("X-Forwarded-Host", "x-forwarded-host");
static URI: Field = Field::new("X-Forwarded-Uri", "x-forwarded-uri");
static METHOD: Field = Field::new("X-Forwarded-Method", "x-forwarded-method");

pub fn read(req: &HttpRequest) -> Result<Original, Malformed> {
    let (proto, host, uri) = (one(req, &PROTO)?, one(req, &HOST)?, one(req, &URI)?);
    let target = Target::of_parts(proto, host, uri).map_err(|error| Malformed {
        header: match error {
            TargetError::Scheme => PROTO.shown,
            TargetError::Host => HOST.shown,
            TargetError::Path => URI.shown,
        },
        why: error.to_string(),
    })?;
    let method = method(req, &METHOD)?;
    Ok(Original { target, method })
}
