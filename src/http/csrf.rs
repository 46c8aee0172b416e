//! State changes that another site started are refused: `Sec-Fetch-Site` first, `Origin` next (http.md). No form tokens:
//! nothing goes stale while a page stays open.

use super::{error::PageError, host, paths, site::Site};
use crate::{
    domain::origin::{CsrfFacts, csrf_allows},
    flows::Ctx,
};
use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};

pub async fn check(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if !matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        let ctx = req.app_data::<web::Data<Ctx>>().ok_or(PageError::misbuilt())?;
        // No browser sends two: whoever does wants one of them overlooked.
        let text = |name: &str| {
            let mut lines = req.headers().get_all(name);
            let first = lines.next().map(|value| value.to_str().unwrap_or("unreadable"));
            if lines.next().is_some() { Some("several") } else { first }
        };
        let own = match Site::of(req.request()) {
            Site::Own => host::own_origins(&ctx.config, req.head()),
            Site::Application(entrance) => entrance.origins.clone(),
        };
        let facts = CsrfFacts {
            sec_fetch_site: text("sec-fetch-site"),
            origin: text("origin"),
            own_origins: &own,
        };
        if !csrf_allows(&facts) {
            return Ok(req.error_response(PageError::CrossSite).map_into_boxed_body());
        }
    }
    // What only scripts ask is no page to open (ASVS 3.2.1).
    let dest = req.headers().get("sec-fetch-dest");
    if req.path().starts_with(paths::GUARD_SESSION) && dest.is_some_and(|dest| dest != "empty") {
        return Ok(req.error_response(PageError::CrossSite).map_into_boxed_body());
    }
    Ok(next.call(req).await?.map_into_boxed_body())
}
