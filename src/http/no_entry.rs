//! The page for users whose account has no access to an application: it explains why, and offers
//! another account. Proxies that pass our responses on get it with the decision; nginx, which
//! cannot, shows `/nightlatch/forbidden`.

use super::{error::PageError, filters, paths, respond::render_page};
use crate::flows::Ctx;
use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;
use url::form_urlencoded;

#[derive(Template)]
#[template(path = "pages/no_entry.html")]
struct NoEntryPage<'a> {
    /// The application, by name.
    application: Option<&'a str>,
    /// The signed-in user.
    user: Option<&'a str>,
    /// The address for signing in with another account.
    another: String,
    home: String,
}

/// Renders the page with status 403. `return_to`: the refused address.
pub fn render_no_entry(
    ctx: &Ctx,
    application: Option<&str>,
    user: Option<&str>,
    return_to: &str,
) -> Result<HttpResponse, PageError> {
    let home = ctx.config.base_url();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to)
        .finish();
    let page = NoEntryPage {
        application,
        user,
        another: format!("{home}{}?{query}", paths::SWITCH),
        home,
    };
    render_page(StatusCode::FORBIDDEN, &page)
}
