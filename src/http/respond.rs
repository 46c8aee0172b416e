//! The two kinds of responses of handlers: a rendered page, or a redirect.

use super::error::PageError;
use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use askama::Template;

/// Renders a page.
pub fn render_page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, PageError> {
    let html = template
        .render()
        .map_err(|error| PageError::Internal(format!("a page cannot be rendered: {error}")))?;
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(html))
}

/// Redirects with 303, the response to every POST that did something.
pub fn redirect_to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .finish()
}
