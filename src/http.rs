//! Actix and askama: the routing table, and the middleware in the order in which a request passes
//! it.

pub mod assets;
pub mod back_channel;
pub mod client;
pub mod client_ip;
pub mod csrf;
pub mod destination;
pub mod device;
pub mod device_cookie;
pub mod device_offer;
pub mod enrolment_link;
pub mod error;
pub mod error_page;
pub mod filters;
pub mod flash;
pub mod form_key;
pub mod form_token;
pub mod forms;
pub mod forward_auth;
pub mod gate;
pub mod guard;
pub mod handover;
pub mod headers;
pub mod host;
pub mod judged;
pub mod link_token;
pub mod log_once;
pub mod negotiation;
pub mod no_entry;
pub mod onward;
pub mod pages;
pub mod paths;
pub mod problem;
pub mod prove_form;
pub mod provider_answer;
pub mod provider_cookie;
pub mod request_body;
pub mod request_kind;
pub mod respond;
pub mod route;
pub mod sealed_cookie;
pub mod second_step;
pub mod session_cookie;
pub mod session_proof;
pub mod session_store;
pub mod shell;
pub mod sign_in;
pub mod sign_out;
pub mod site;
pub mod step_up;
pub mod upload;
pub mod visitor;

use crate::flows::Ctx;
use actix_identity::IdentityMiddleware;
use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
};
use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::header,
    middleware::{Compress, from_fn},
    web,
};
use route::Route;
use session_cookie::CookieKeys;
use session_store::LiveSessionStore;
use std::{collections::BTreeMap, sync::Arc};

/// Lists every route.
pub fn routes() -> Vec<Route> {
    let bare = forward_auth::routes().into_iter().chain(device::bare_routes());
    for_people().into_iter().chain(bare).collect()
}

/// Lists the routes for browsers.
fn for_people() -> Vec<Route> {
    [
        pages::routes(),
        pages::admin::routes(),
        guard::routes(),
        handover::routes(),
        back_channel::routes(),
        device::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Builds the application; each worker calls this.
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

/// Builds the application with further routes for browsers, behind the same middleware.
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
        // The gate rewrites the attributes from the live policy.
        .session_lifecycle(BrowserSession::default())
        .build();
    let nothing = || async { Err::<HttpResponse, _>(error::PageError::NotFound) };
    let people = web::scope("")
        .configure(|config| {
            register(config, for_people());
            further(config);
        })
        .default_service(web::to(nothing))
        // A request passes these from the last to the first.
        // 6. carries a rotated token to the cookie, 5. identifies the account of the session, 4.
        //    carries what the flows prepared,
        .wrap(from_fn(gate::carry_prepared_token))
        .wrap(IdentityMiddleware::default())
        .wrap(sessions)
        // 3. judges the session; names and attributes of cookies follow the live policy,
        .wrap(from_fn(gate::judge))
        // 2. accepts only our own host names, and refuses state changes from other sites,
        .wrap(from_fn(csrf::check))
        .wrap(from_fn(host::check))
        .wrap(Compress::default())
        // 1. adds pages for refusals, security headers and a request ID to every response.
        .wrap(from_fn(headers::apply));
    App::new()
        .app_data(web::Data::new(ctx))
        .app_data(web::Data::from(keys))
        // Proxies request a decision before every forwarded request; they skip this middleware.
        .configure(forward_auth::register)
        // Browsers drop a device key permanently after any refusal other than those of this route.
        .configure(device::register)
        .service(people)
        // Requests whose target does not begin with a slash: `OPTIONS *`.
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
        config.service(
            resource
                .default_service(other_methods)
                .wrap(from_fn(error_page::catch_panic)),
        );
    }
}
