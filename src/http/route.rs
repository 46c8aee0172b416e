//! One entry of the routing table: method, path, handler and the visitors who may use it.

use actix_web::{guard as route_guard, http::Method, web};

/// Visitors who may use a route. The extractor in the handler's signature enforces it; the table
/// lets tests visit all routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everyone, signed in or not.
    Anyone,
    /// Signed in, even while a password change is pending.
    Pending,
    /// Signed in, with nothing pending; some extractors also allow a pending second factor.
    Member,
    /// Signed in as an administrator, with nothing pending.
    Administrator,
}

/// One entry of the routing table.
pub struct Route {
    /// Method that it answers; GET includes HEAD.
    pub method: Method,
    /// Pattern of the path, one of `paths`.
    pub path: &'static str,
    /// Visitors who may use it.
    pub audience: Audience,
    /// Whether it asks to confirm the identity when the last confirmation is too old; its handler
    /// then takes a `step_up::ConfirmedVisitor`.
    pub step_up: bool,
    /// Handler with its guard, in actix-web's form.
    pub(in crate::http) handler: actix_web::Route,
}

impl Route {
    /// Creates a route for GET and HEAD.
    pub fn get<F, Args>(path: &'static str, audience: Audience, handler: F) -> Self
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
            audience,
            step_up: false,
            handler: route,
        }
    }

    /// Creates a route that answers every method; its `method` is GET, for the tests that visit it.
    pub fn any_method<F, Args>(path: &'static str, audience: Audience, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        Self {
            method: Method::GET,
            path,
            audience,
            step_up: false,
            handler: web::route().to(handler),
        }
    }

    /// Creates a route for POST.
    pub fn post<F, Args>(path: &'static str, audience: Audience, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        Self {
            method: Method::POST,
            path,
            audience,
            step_up: false,
            handler: web::post().to(handler),
        }
    }

    /// Marks a route whose handler takes a `step_up::ConfirmedVisitor`.
    pub fn step_up(self) -> Self {
        Self { step_up: true, ..self }
    }
}
