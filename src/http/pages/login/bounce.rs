//! Redirect loops: an application keeps sending a signed-in user back to the sign-in page, and a
//! page explains why instead of redirecting again. The count is in a sealed cookie that lives half
//! a minute, so that nothing is stored here and no other user is affected.

use crate::{
    domain::{
        bounce::{BounceCount, Configuration, MAX_BOUNCES, WITHIN, causes},
        duration::humanize,
        origin::ReturnTo,
        secret,
    },
    flows::Ctx,
    http::{error::PageError, filters, respond::render_page, sealed_cookie::SealedCookie, shell::Shell},
};
use actix_web::{HttpRequest, HttpResponse, cookie::time::Duration, http::StatusCode};
use askama::Template;
use url::Origin;

const COOKIE: SealedCookie = SealedCookie::new("bounces", Duration::seconds(WITHIN.as_secs()));

#[derive(Template)]
#[template(path = "pages/bounce.html")]
struct BouncePage {
    shell: Shell,
    host: String,
    /// The causes found in the configuration.
    causes: Vec<String>,
    /// The address to continue to.
    return_to: String,
    often: u32,
    within: String,
    cookie: String,
}

/// Returns `go_on`, unless it leads into a redirect loop.
pub fn watched(
    req: &HttpRequest,
    ctx: &Ctx,
    return_to: &ReturnTo,
    origin: &Origin,
    mut go_on: HttpResponse,
) -> Result<HttpResponse, PageError> {
    let Origin::Tuple(scheme, host, _) = origin else {
        return Ok(go_on);
    };
    let (https, host) = (scheme == "https", host.to_string());
    // Outside the cookie domain each tab comes here once for its handover; a loop there leads to
    // the same page again.
    let place = if ctx.config.cookie_reaches(&host) {
        host.clone()
    } else {
        secret::digest(return_to.as_str())
    };
    let bounces = BounceCount::count_from(read_count(req), &place, ctx.now());
    if !bounces.is_loop() {
        COOKIE.write(req, go_on.headers_mut(), bounces.to_text());
        return Ok(go_on);
    }
    let mut shell = Shell::anonymous(req, ctx, "Redirect loop");
    shell.flash = None;
    let stopped = BouncePage {
        shell,
        causes: likely(ctx, https, &host),
        host,
        return_to: return_to.as_str().to_owned(),
        often: MAX_BOUNCES,
        within: humanize(WITHIN.as_secs()),
        cookie: ctx.config.cookie_name.clone(),
    };
    // A user who continues from here starts with a new count.
    let mut response = render_page(StatusCode::CONFLICT, &stopped)?;
    COOKIE.remove(req, response.headers_mut());
    Ok(response)
}

fn likely(ctx: &Ctx, https: bool, host: &str) -> Vec<String> {
    let in_force = ctx.in_force();
    let cookie = &in_force.everyone().cookie;
    causes(&Configuration {
        // Outside the cookie domain these are two sites in any case.
        own_https: if ctx.config.cookie_reaches(host) {
            ctx.config.https()
        } else {
            https
        },
        own_host: &ctx.config.own_host(),
        https,
        host,
        secure: cookie.secure,
        same_site: cookie.same_site,
    })
}

fn read_count(req: &HttpRequest) -> Option<BounceCount> {
    BounceCount::parse(&COOKIE.read(req)?)
}
