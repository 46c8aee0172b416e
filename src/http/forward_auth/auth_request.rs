//! nginx: `X-Original-URL` and `X-Original-Method`.

use super::{Field, Malformed, Original, method, one};
use crate::domain::application::Target;
use actix_web::HttpRequest;

static URL: Field = Field::new("X-Original-URL", "x-original-url");
static METHOD: Field = Field::new("X-Original-Method", "x-original-method");

pub fn read(req: &HttpRequest) -> Result<Original, Malformed> {
    let target = Target::of_url(one(req, &URL)?).map_err(|error| Malformed {
        header: URL.shown,
        why: error.to_string(),
    })?;
    let method = method(req, &METHOD)?;
    Ok(Original { target, method })
}
