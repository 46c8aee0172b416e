//! Somebody signed in whom an application sends back to the sign-in again and again: a page that says why, in place of a circle. The
//! count travels in a signed cookie of half a minute, so that nothing is kept here and nobody else can be stopped by it.

use crate::{
    domain::{
        bounce::{Bounces, Configuration, MOST, WITHIN, causes},
        duration::humanize,
        origin::ReturnTo,
        secret,
    },
    flows::Ctx,
    http::{
        error::PageError,
        filters,
        pages::{Shell, page},
        paths,
        session_cookie::CookieKeys,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, CookieJar, SameSite, time::Duration},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use askama::Template;
use url::Origin;

const NAME: &str = "nightlatch-bounces";

#[derive(Template)]
#[template(path = "pages/bounce.html")]
struct BouncePage {
    shell: Shell,
    host: String,
    /// What the configuration tells.
    causes: Vec<String>,
    /// Where it goes on.
    return_to: String,
    often: u32,
    within: String,
    cookie: String,
}

/// `go_on`, unless it leads in a circle.
pub fn watched(
    req: &HttpRequest,
    ctx: &Ctx,
    return_to: &ReturnTo,
    origin: &Origin,
    go_on: HttpResponse,
) -> Result<HttpResponse, PageError> {
    let Origin::Tuple(scheme, host, _) = origin else {
        return Ok(go_on);
    };
    let (https, host) = (scheme == "https", host.to_string());
    // Beyond the cookie domain each tab comes by here once, for its hand-over: there a circle leads to one and the same page.
    let place = if ctx.config.cookie_reaches(&host) {
        host.clone()
    } else {
        secret::digest(return_to.as_str())
    };
    let keys = req.app_data::<web::Data<CookieKeys>>().ok_or(PageError::misbuilt())?;
    let bounces = Bounces::with(counted(req, keys), &place, ctx.now());
    if !bounces.is_loop() {
        return Ok(with_cookie(go_on, ctx, keys, Some(&bounces)));
    }
    let mut shell = Shell::anonymous(req, ctx, "Going in circles");
    shell.flash = None;
    let stopped = BouncePage {
        shell,
        causes: likely(ctx, https, &host),
        host,
        return_to: return_to.as_str().to_owned(),
        often: MOST,
        within: humanize(WITHIN.as_secs()),
        cookie: ctx.config.cookie_name.clone(),
    };
    // Whoever goes on from here is counted from the beginning.
    Ok(with_cookie(page(StatusCode::CONFLICT, &stopped)?, ctx, keys, None))
}

fn likely(ctx: &Ctx, https: bool, host: &str) -> Vec<String> {
    let in_force = ctx.in_force();
    let cookie = &in_force.everyone().cookie;
    causes(&Configuration {
        // Beyond the cookie domain these are two sites in any case.
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

/// What the browser carries, if we wrote it.
fn counted(req: &HttpRequest, keys: &CookieKeys) -> Option<Bounces> {
    let mut jar = CookieJar::new();
    jar.add_original(req.cookie(NAME)?);
    Bounces::parse(jar.signed(keys.newest()).get(NAME)?.value())
}

fn with_cookie(mut response: HttpResponse, ctx: &Ctx, keys: &CookieKeys, bounces: Option<&Bounces>) -> HttpResponse {
    let mut cookie = Cookie::new(NAME, bounces.map(Bounces::to_text).unwrap_or_default());
    cookie.set_path(paths::LOGIN);
    cookie.set_http_only(true);
    cookie.set_secure(ctx.in_force().everyone().cookie.secure);
    // Lax: the application's redirect is what brings it back.
    cookie.set_same_site(SameSite::Lax);
    let line = match bounces {
        None => {
            cookie.set_max_age(Duration::ZERO);
            Some(cookie.to_string())
        }
        Some(_) => {
            cookie.set_max_age(Duration::seconds(WITHIN.as_secs()));
            let mut jar = CookieJar::new();
            jar.signed_mut(keys.newest()).add(cookie);
            jar.get(NAME).map(|cookie| cookie.encoded().to_string())
        }
    };
    if let Some(line) = line.and_then(|line| HeaderValue::from_str(&line).ok()) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}
