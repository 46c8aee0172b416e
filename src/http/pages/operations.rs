//! `/healthz`: the process is running. `/readyz`: it is ready for traffic.

use crate::flows::{Ctx, overview};
use actix_web::{HttpResponse, web};

/// `GET /healthz`: answers while the process runs.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// `GET /readyz`: answers 200, or 503 with the reasons, one per line: the server is stopping, or
/// there is a problem with the database, its migrations, its clock or the policy.
pub async fn readyz(ctx: web::Data<Ctx>) -> HttpResponse {
    let faults = match ctx.live.is_stopping() {
        true => vec!["this server is stopping".to_owned()],
        false => overview::readiness(&ctx).await,
    };
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
