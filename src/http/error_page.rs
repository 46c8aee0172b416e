//! The page for people and the problem+json for programs, into which the outer middleware turns
//! bare refusals.

use super::{
    error::{PageError, RefusalDetails, SignInHint},
    filters,
    judged::RequestId,
    negotiation::wants_html,
    onward, paths,
    problem::{Problem, describe_status},
    shell::Shell,
    site::Site,
    visitor::find_pending_name_for_error,
};
use crate::flows::Ctx;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web,
};
use askama::Template;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage {
    shell: Shell,
    /// The user who is signed in, but has something to do first: without navigation.
    pending: Option<String>,
    status: u16,
    title: String,
    message: String,
    code: String,
    request_id: String,
}

/// Turns a panic of a handler into a bare refusal. It is placed around each resource: further out,
/// holding the request would keep middleware and router from changing it.
pub async fn catch_panic(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let request = req.request().clone();
    Ok(match AssertUnwindSafe(next.call(req)).catch_unwind().await {
        Ok(Ok(response)) => response.map_into_boxed_body(),
        Ok(Err(error)) => ServiceResponse::new(request, error.error_response()),
        Err(_) => {
            tracing::error!("a handler panicked");
            ServiceResponse::new(request, PageError::Internal("panic".to_owned()).error_response())
        }
    })
}

/// Turns a bare refusal into a page or a problem+json; other responses pass unchanged.
pub fn render(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let bare = !response.headers().contains_key(header::CONTENT_TYPE)
        || response.response().extensions().contains::<RefusalDetails>();
    if !bare || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (request, inner) = response.into_parts();
    let answer = answer_for(&request, inner);
    ServiceResponse::new(request, answer)
}

fn answer_for(request: &HttpRequest, bare: HttpResponse) -> HttpResponse {
    let status = bare.status();
    let details = bare.extensions().get::<RefusalDetails>().cloned();
    let details = details.unwrap_or_else(|| RefusalDetails {
        code: code_for_status(status).to_owned(),
        message: None,
        sign_in: None,
    });
    let html = wants_html(request) && !request.path().starts_with(paths::GUARD);
    let mut response = match (&details.sign_in, html) {
        (Some(sign_in), true) => redirect_to_sign_in(request, sign_in),
        (_, true) => html_page(request, status, &details),
        (_, false) => problem_json(request, status, &details),
    };
    for (name, value) in bare.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}

/// Redirects to the sign-in page, whose address contains the return address; or to the page for a
/// password change, which keeps it in a cookie.
fn redirect_to_sign_in(request: &HttpRequest, sign_in: &SignInHint) -> HttpResponse {
    let mut response = HttpResponse::SeeOther()
        .insert_header((header::LOCATION, sign_in.location.as_str()))
        .finish();
    let target = request.uri().path_and_query().map(|target| target.as_str());
    if sign_in.location == paths::PASSWORD && request.method() == Method::GET {
        onward::store_target(request, &mut response, target);
    }
    response
}

fn problem_json(request: &HttpRequest, status: StatusCode, details: &RefusalDetails) -> HttpResponse {
    let message = describe_status(status).1;
    let problem = Problem::new(status, &details.code, details.message.as_deref().unwrap_or(message));
    match (&details.sign_in, request.app_data::<web::Data<Ctx>>()) {
        (Some(sign_in), Some(ctx)) => problem.with_member(
            "login_url",
            Site::from_request(request).link(&ctx.config, &sign_in.location),
        ),
        (_, _) => problem,
    }
    .into_response()
}

fn html_page(request: &HttpRequest, status: StatusCode, details: &RefusalDetails) -> HttpResponse {
    let (title, message) = describe_status(status);
    let shell = Shell::around_error(request, title);
    let page = ErrorPage {
        pending: find_pending_name_for_error(request).filter(|_| shell.visitor.is_none()),
        shell,
        status: status.as_u16(),
        title: title.to_owned(),
        message: details.message.clone().unwrap_or_else(|| message.to_owned()),
        code: details.code.clone(),
        request_id: request
            .extensions()
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default(),
    };
    match page.render() {
        Ok(html) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => {
            tracing::error!(%error, "the error page cannot be rendered");
            HttpResponse::build(status)
                .content_type("text/plain; charset=utf-8")
                .body(title)
        }
    }
}

fn code_for_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        status if status.is_server_error() => "internal",
        _ => "bad_request",
    }
}
