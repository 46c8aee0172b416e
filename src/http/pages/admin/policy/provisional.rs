//! `POST /admin/policy/confirm` and `/undo`: the answers to "keep these settings?", which every page of the console asks.
use crate::domain::policy::Scope;
use crate::flows::Ctx;
use crate::flows::policy::{self, Confirmed};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::Form;
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Asked {
    revision: i64,
}

/// The administrator's session is live under the new policy, or this would not have been reached.
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<Asked>,
) -> Result<HttpResponse, PageError> {
    let revision = form.0.revision;
    let flash = match policy::confirm(&ctx, &admin.0.acting, revision).await? {
        Confirmed::Done => Flash::ok(format!("Revision {revision} stays.")),
        Confirmed::TooLate => too_late(revision),
    };
    Ok(redirect(&req, &super::editor::href(&Scope::Everyone, None), &flash))
}

pub async fn undo(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<Asked>,
) -> Result<HttpResponse, PageError> {
    let revision = form.0.revision;
    let flash = match policy::undo(&ctx, &admin.0.acting, revision).await? {
        Confirmed::Done => Flash::ok(format!(
            "Revision {revision} is undone; the policy before it is in force again. Sessions that it ended stay ended."
        )),
        Confirmed::TooLate => too_late(revision),
    };
    Ok(redirect(&req, &super::editor::href(&Scope::Everyone, None), &flash))
}

fn too_late(revision: i64) -> Flash {
    Flash::info(format!(
        "Revision {revision} was settled already: kept, undone, or its time was over. The history tells which."
    ))
}
