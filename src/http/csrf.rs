//! Refuses state changes that another site started, judged by `Sec-Fetch-Site`, then `Origin`, then
//! `Referer`. Where a browser hides all three, the form token decides.

use super::{
    client::read_client,
    error::PageError,
    form_token::{self, FormOwner},
    host, log_once, paths,
    site::Site,
};
use crate::{
    domain::origin::{CrossSiteCause, CsrfFacts, CsrfVerdict, judge_csrf},
    flows::{
        Ctx,
        refused_requests::{RequestRefusal, record_refused_request},
    },
};
use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};

/// Refuses a request that another site started. Pages over plain http get form tokens.
pub async fn check(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req
        .app_data::<web::Data<Ctx>>()
        .ok_or(PageError::missing_middleware())?
        .clone();
    let owner = FormOwner::of(&req, &ctx);
    if !matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        let refused = match judge(&req, &ctx) {
            CsrfVerdict::Allowed => None,
            CsrfVerdict::NeedsFormToken if form_token::is_proved(&mut req, &ctx, &owner).await => None,
            CsrfVerdict::NeedsFormToken => Some(CrossSiteCause::NullOrigin),
            CsrfVerdict::Refused(cause) => Some(cause),
        };
        if let Some(cause) = refused {
            return Ok(refuse(req, &ctx, cause).await.map_into_boxed_body());
        }
    }
    // Addresses for scripts are not pages to open (ASVS 3.2.1).
    let dest = req.headers().get("sec-fetch-dest");
    if req.path().starts_with(paths::GUARD_SESSION) && dest.is_some_and(|dest| dest != "empty") {
        return Ok(refuse(req, &ctx, CrossSiteCause::FetchSite).await.map_into_boxed_body());
    }
    let response = next.call(req).await?.map_into_boxed_body();
    Ok(form_token::add_to_forms(response, &ctx, &owner))
}

fn judge(req: &ServiceRequest, ctx: &Ctx) -> CsrfVerdict {
    // No browser sends two lines; a second one would hide the first.
    let text = |name: &str| {
        let mut lines = req.headers().get_all(name);
        let first = lines.next().map(|value| value.to_str().unwrap_or("unreadable"));
        if lines.next().is_some() { Some("several") } else { first }
    };
    judge_csrf(&CsrfFacts {
        sec_fetch_site: text("sec-fetch-site"),
        origin: text("origin"),
        referer: text("referer"),
        own_origins: &own_origins(req, ctx),
    })
}

fn own_origins(req: &ServiceRequest, ctx: &Ctx) -> Vec<String> {
    match Site::from_request(req.request()) {
        Site::Own => host::own_origins(&ctx.config, req.head()),
        Site::Application(entrance) => entrance.origins.clone(),
    }
}

async fn refuse(req: ServiceRequest, ctx: &Ctx, cause: CrossSiteCause) -> ServiceResponse<actix_web::body::BoxBody> {
    let text = |name: &str| {
        let value = req.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("none").to_owned()
    };
    let (origin, referer) = (text("origin"), text("referer"));
    let refusal = RequestRefusal::CrossSite {
        path: req.path().to_owned(),
        origin: if cause == CrossSiteCause::Referer {
            referer
        } else {
            origin.clone()
        },
    };
    record_refused_request(ctx, read_client(&req, ctx).origin(), refusal).await;
    let own = own_origins(&req, ctx).pop().unwrap_or_default();
    let message = describe_cause(cause, &origin, &own);
    if matches!(cause, CrossSiteCause::NullOrigin | CrossSiteCause::Origin) {
        log_once::warn(&format!("refused a form: {message}"));
    }
    req.error_response(PageError::CrossSite(message)).map_into_boxed_body()
}

fn describe_cause(cause: CrossSiteCause, origin: &str, own: &str) -> String {
    match cause {
        CrossSiteCause::FetchSite | CrossSiteCause::Referer => {
            "The request came from another site, so it was refused. Nothing was changed.".to_owned()
        }
        CrossSiteCause::Origin => format!(
            "The request came from {origin:?}, and this server answers as {own}, so it was refused. Nothing was \
                 changed. If both are \
             this server, an administrator must set public_url to the address that people use."
        ),
        CrossSiteCause::NullOrigin => {
            "The browser did not say which site the form came from (Origin: null), so it was \
             refused. \
             Nothing was changed. The likely cause is a proxy in front of Nightlatch that adds the header \
             Referrer-Policy: no-referrer. An administrator must remove it there, or serve Nightlatch over https. If \
             the \
             page has been open for a long time, reload it and try again."
                .to_owned()
        }
    }
}
