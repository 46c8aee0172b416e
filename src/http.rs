//! Actix and askama: the routing table, and the middleware in the order in which a request meets it.

pub mod assets;
pub mod client_ip;
pub mod csrf;
pub mod error;
pub mod filters;
pub mod flash;
pub mod forms;
pub mod forward_auth;
pub mod gate;
pub mod guard;
pub mod handover;
pub mod headers;
pub mod host;
pub mod onward;
pub mod pages;
pub mod paths;
pub mod session_cookie;
pub mod site;
pub mod step_up;
pub mod upload;
pub mod visitor;

use crate::{flows::Ctx, live::session_store::LiveSessionStore};
use actix_identity::IdentityMiddleware;
use actix_session::{SessionMiddleware, config::BrowserSession, config::CookieContentSecurity};
use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    guard as route_guard,
    http::{Method, header},
    middleware::{Compress, from_fn},
    web,
};
use session_cookie::CookieKeys;
use std::{collections::BTreeMap, sync::Arc};

/// Who may use a route. The extractor in the handler's signature enforces it; the table lets tests go through all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anyone,
    /// Signed in, even while a password change is pending.
    Pending,
    Member,
    Administrator,
}

/// One entry of the routing table.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub who: Who,
    /// Acts that ask for the password again when its last proof is old: their handler takes a `step_up::Confirmed`.
    pub step_up: bool,
    handler: actix_web::Route,
}

impl Route {
    /// GET and HEAD.
    pub fn get<F, Args>(path: &'static str, who: Who, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        let route = web::route()
            .guard(route_guard::Any(route_guard::Get()).or(route_guard::Head()))
            .to(handler);
        Self {
            method: Method::GET,
            path,
            who,
            step_up: false,
            handler: route,
        }
    }

    /// Whatever the method; the table says GET.
    pub fn any<F, Args>(path: &'static str, who: Who, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        Self {
            method: Method::GET,
            path,
            who,
            step_up: false,
            handler: web::route().to(handler),
        }
    }

    pub fn post<F, Args>(path: &'static str, who: Who, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        Self {
            method: Method::POST,
            path,
            who,
            step_up: false,
            handler: web::post().to(handler),
        }
    }

    /// Says in the table what the handler's `step_up::Confirmed` does.
    pub fn step_up(self) -> Self {
        Self { step_up: true, ..self }
    }
}

/// Every route there is.
pub fn routes() -> Vec<Route> {
    for_people().into_iter().chain(forward_auth::routes()).collect()
}

/// What browsers ask for.
fn for_people() -> Vec<Route> {
    [
        pages::routes(),
        pages::admin::routes(),
        guard::routes(),
        handover::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The application as each worker builds it.
pub fn app(
    ctx: Ctx,
    keys: Arc<CookieKeys>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    app_and(ctx, keys, |_| {})
}

/// The same with further addresses among those of people: behind the same layers.
pub fn app_and(
    ctx: Ctx,
    keys: Arc<CookieKeys>,
    further: impl FnOnce(&mut web::ServiceConfig),
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let sessions = SessionMiddleware::builder(LiveSessionStore(ctx.live.clone()), keys.newest().clone())
        .cookie_name(ctx.config.cookie_name.clone())
        .cookie_content_security(CookieContentSecurity::Signed)
        // Attributes are rewritten from the live policy by the gate.
        .session_lifecycle(BrowserSession::default())
        .build();
    let nothing = || async { Err::<HttpResponse, _>(error::PageError::NotFound) };
    let people = web::scope("")
        .configure(|config| {
            register(config, for_people());
            further(config);
        })
        .default_service(web::to(nothing))
        // A request meets these from the last to the first.
        // 6. a rotated token on its way to the cookie, 5. who the session belongs to, 4. what the flows prepared,
        .wrap(from_fn(gate::carry_prepared_token))
        .wrap(IdentityMiddleware::default())
        .wrap(sessions)
        // 3. judges the session; names and attributes of cookies follow the live policy,
        .wrap(from_fn(gate::judge))
        // 2. answers only under our own name, and refuses state changes that other sites started,
        .wrap(from_fn(csrf::check))
        .wrap(from_fn(host::check))
        .wrap(Compress::default())
        // 1. pages for refusals, security headers and a request id on everything.
        .wrap(from_fn(headers::apply));
    App::new()
        .app_data(web::Data::new(ctx))
        .app_data(web::Data::from(keys))
        // Proxies ask before every request that they forward: they meet none of the layers.
        .configure(forward_auth::register)
        .service(people)
        // What does not even begin with a slash: `OPTIONS *`.
        .default_service(web::to(nothing).wrap(from_fn(headers::apply)))
}

/// Groups the table by path, so that another method is a 405 that names the allowed ones.
fn register(config: &mut web::ServiceConfig, routes: Vec<Route>) {
    let mut by_path: BTreeMap<&'static str, Vec<Route>> = BTreeMap::new();
    for route in routes {
        by_path.entry(route.path).or_default().push(route);
    }
    for (path, routes) in by_path {
        let mut allowed: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        let allow = allowed.join(", ");
        let mut resource = web::resource(path);
        for route in routes {
            resource = resource.route(route.handler);
        }
        let other_methods = web::to(move || {
            let allow = allow.clone();
            async move {
                HttpResponse::MethodNotAllowed()
                    .insert_header((header::ALLOW, allow))
                    .finish()
            }
        });
        config.service(resource.default_service(other_methods).wrap(from_fn(error::catch)));
    }
}
