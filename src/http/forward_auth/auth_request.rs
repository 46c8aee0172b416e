//! nginx: `X-Original-URL` and `X-Original-Method`.

use super::{Malformed, Original, method, one};
use crate::domain::application::Target;
use actix_web::HttpRequest;

const URL: &str = "X-Original-URL";

pub fn read(req: &HttpRequest) -> Result<Original, Malformed> {
    let target = Target::of_url(one(req, URL)?).map_err(|error| Malformed {
        header: URL,
        why: error.to_string(),
    })?;
    let method = method(req, "X-Original-Method")?;
    Ok(Original { target, method })
}
