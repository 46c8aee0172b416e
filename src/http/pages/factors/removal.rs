//! The question before a factor is removed: what it means for its owner.

use super::parse_id;
use crate::{
    domain::factor::FactorRequirement,
    flows::{
        Ctx,
        factors::{RemovableFactor, RemovalImpact, removal_impact},
    },
    http::{
        error::PageError, filters, paths, respond::render_page, session_proof::proving_session, shell::Shell,
        visitor::Member,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/factors/remove.html")]
struct RemovalPage {
    shell: Shell,
    /// The address that removes it.
    action: String,
    /// The name of the passkey; `None`: it is the authenticator app.
    passkey: Option<String>,
    /// Whether it must stay, because it is the last one and one is required.
    is_last: bool,
    /// What the removal means, one sentence each.
    effects: Vec<String>,
}

/// `GET /factors/totp/remove`
pub async fn confirm_app(req: HttpRequest, ctx: web::Data<Ctx>, member: Member) -> Result<HttpResponse, PageError> {
    let action = paths::FACTORS_APP_REMOVE.to_owned();
    confirm(&req, &ctx, &member, RemovableFactor::App, action).await
}

/// `GET /factors/passkeys/{id}/remove`
pub async fn confirm_passkey(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    member: Member,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = parse_id(&id)?;
    let action = paths::FACTORS_PASSKEY_REMOVE.replace("{id}", &id.to_string());
    confirm(&req, &ctx, &member, RemovableFactor::Passkey(id), action).await
}

async fn confirm(
    req: &HttpRequest,
    ctx: &Ctx,
    member: &Member,
    what: RemovableFactor,
    action: String,
) -> Result<HttpResponse, PageError> {
    let impact = removal_impact(ctx, &proving_session(&member.0), what).await?;
    let impact = impact.ok_or(PageError::NotFound)?;
    let page = RemovalPage {
        shell: Shell::member(req, ctx, member, "Remove a second factor", "security"),
        action,
        is_last: impact.is_last,
        effects: describe_impact(&impact),
        passkey: impact.passkey,
    };
    render_page(StatusCode::OK, &page)
}

/// Describes how the owner signs in without the factor, and what asks for another one.
fn describe_impact(impact: &RemovalImpact) -> Vec<String> {
    let required = match impact.required {
        FactorRequirement::Off | FactorRequirement::Any => "a second factor",
        FactorRequirement::Passkey => "a passkey",
    };
    if impact.is_last {
        return vec![format!(
            "Your account requires {required}, and this is the last one. Add another one first."
        )];
    }
    let codes = match impact.lost_codes {
        0 => String::new(),
        1 => "; your recovery code stops working".to_owned(),
        codes => format!("; your {codes} recovery codes stop working"),
    };
    let sign_in = if impact.keeps_others {
        "You keep your other second factors.".to_owned()
    } else {
        format!("You will sign in with your password alone{codes}.")
    };
    let enrol = impact
        .must_enrol
        .then(|| format!("Your account requires {required}, which you still have to set up."));
    let applications = match impact.applications.as_slice() {
        [] => None,
        names => Some(format!(
            "You will have to set up another one before you can open {}.",
            names.join(", ")
        )),
    };
    [Some(sign_in), enrol, applications].into_iter().flatten().collect()
}
