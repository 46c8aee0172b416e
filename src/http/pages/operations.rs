//! `/healthz`: the process answers. `/readyz`: it may be sent traffic.

use crate::flows::{Ctx, overview};
use actix_web::{HttpResponse, web};

pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// 503 with the reasons, a line each, when the database, its migrations, its clock or the policy are not as they must be.
pub async fn readyz(ctx: web::Data<Ctx>) -> HttpResponse {
    let faults = overview::readiness(&ctx).await;
    let (mut response, body) = if faults.is_empty() {
        (HttpResponse::Ok(), "ready\n".to_owned())
    } else {
        (
            HttpResponse::ServiceUnavailable(),
            faults.iter().map(|fault| format!("{fault}\n")).collect(),
        )
    };
    response.content_type("text/plain; charset=utf-8").body(body)
}
