//! `POST /admin/policy/confirm` and `/undo`: the answers to the banner about a provisional save on
//! every page of the console.
use crate::{
    domain::policy::Scope,
    flows::{
        Ctx,
        policy::{self, ConfirmationOutcome},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::Form,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

/// The revision that is kept or reverted.
#[derive(Debug, Deserialize)]
pub struct ProvisionalForm {
    revision: i64,
}

/// `POST /admin/policy/confirm`: the administrator's session is live under the new policy, because
/// otherwise the request would not get here.
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<ProvisionalForm>,
) -> Result<HttpResponse, PageError> {
    let revision = form.0.revision;
    let flash = match policy::confirm(&ctx, &admin.0.initiator, revision).await? {
        ConfirmationOutcome::Done => Flash::ok(format!("Revision {revision} was kept.")),
        ConfirmationOutcome::TooLate => too_late(revision),
    };
    Ok(redirect(&req, &super::editor::href(&Scope::Everyone, None), &flash))
}

/// `POST /admin/policy/undo`
pub async fn undo(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<ProvisionalForm>,
) -> Result<HttpResponse, PageError> {
    let revision = form.0.revision;
    let flash = match policy::undo(&ctx, &admin.0.initiator, revision).await? {
        ConfirmationOutcome::Done => Flash::ok(format!(
            "Revision {revision} was reverted. The previous policy is in effect again. Sessions it ended stay ended."
        )),
        ConfirmationOutcome::TooLate => too_late(revision),
    };
    Ok(redirect(&req, &super::editor::href(&Scope::Everyone, None), &flash))
}

fn too_late(revision: i64) -> Flash {
    Flash::info(format!(
        "Revision {revision} was already kept or reverted, or its time ran out. See the history."
    ))
}
