//! `/switch`: continuing with another account. It shows who is signed in; the button signs out and
//! leads to the sign-in page.

use crate::{
    domain::origin::ReturnTo,
    flows::Ctx,
    http::{
        destination::return_to,
        error::{PageError, login_url},
        filters,
        forms::Query,
        respond::render_page,
        shell::Shell,
        visitor::{Anyone, signed_in_name},
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/switch.html")]
struct SwitchPage {
    shell: Shell,
    /// The signed-in user.
    user: Option<String>,
    login: String,
    return_to: Option<String>,
    /// Host of that address.
    host: Option<String>,
}

/// The address to which the other account continues.
#[derive(Deserialize)]
pub struct SwitchQuery {
    #[serde(default)]
    return_to: String,
}

/// `GET /switch`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(query): Query<SwitchQuery>,
) -> Result<HttpResponse, PageError> {
    let (target, origin) = return_to(&ctx, &query.return_to);
    let target = target.as_ref().map(ReturnTo::as_str);
    let page = SwitchPage {
        shell: Shell::anonymous(&req, &ctx, "Use another account"),
        user: signed_in_name(&req),
        login: login_url(target, None),
        host: origin.and_then(|origin| match origin {
            url::Origin::Tuple(_, host, _) => Some(host.to_string()),
            url::Origin::Opaque(_) => None,
        }),
        return_to: target.map(str::to_owned),
    };
    render_page(StatusCode::OK, &page)
}
