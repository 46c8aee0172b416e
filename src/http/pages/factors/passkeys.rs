//! Setting up, naming and removing passkeys. The ceremony itself is JSON for `static/passkeys.js`.

use super::{
    EnrolmentChoices, PasskeyOffer, app, factor_owner, forget_way, next_url, parse_id, refuse, refuse_script, render,
    return_url,
};
use crate::{
    domain::{account::Role, agent, factor::FactorRequirement, secret::Secret},
    flows::{
        Ctx,
        factors::{
            PasskeyEnrolment, PasskeyOptions, RemovalOutcome, RenameOutcome, find_enrolment_refusals, finish_passkey,
            remove_passkey, rename_passkey, start_passkey,
        },
    },
    http::{
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::{EmptyBody, Form, Json},
        negotiation::wants_html,
        paths,
        problem::Problem,
        respond::render_page,
        session_proof::{proving_session, renew},
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::{EnrollingVisitor, Member},
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/factors/passkey.html")]
struct PasskeyPage {
    shell: Shell,
    /// The domain for which it is made.
    domain: String,
    /// Whether to warn about a later change of the domain: before an administrator's first passkey.
    advises: bool,
    /// Suggested name.
    suggested: String,
    /// Whether an app can be set up instead.
    app_allowed: bool,
    back: &'static str,
    /// Filled in by the script.
    codes: Vec<&'static str>,
    onward: &'static str,
}

/// A new passkey.
#[derive(Deserialize)]
pub struct NewPasskey {
    #[serde(default)]
    name: String,
    credential: serde_json::Value,
}

/// A passkey's new name.
#[derive(Deserialize)]
pub struct PasskeyNameForm {
    #[serde(default)]
    name: String,
}

impl CriticalForm for PasskeyNameForm {}

/// `POST /factors/passkeys/new`: the page on which a passkey is made.
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(enrolling, ()): ConfirmedVisitor<EnrollingVisitor, ()>,
) -> Result<HttpResponse, PageError> {
    let visitor = &enrolling.0;
    let back = return_url(&enrolling);
    let refusals = find_enrolment_refusals(&ctx, &factor_owner(&req, visitor)).await?;
    if let Some(refusal) = refusals.passkey {
        return Ok(refuse(&req, &ctx, refusal, back));
    }
    let choices = EnrolmentChoices::under(&req, &ctx, visitor, FactorRequirement::Off);
    let domain = match choices.passkeys {
        PasskeyOffer::Offered(domain) => domain,
        PasskeyOffer::Unusable(words) => return Ok(flash::redirect(&req, back, &Flash::error(words))),
        PasskeyOffer::Off => {
            let words = Flash::error("An administrator has turned passkeys off.");
            return Ok(flash::redirect(&req, back, &words));
        }
    };
    let page = PasskeyPage {
        shell: Shell::enrolling(&req, &ctx, &enrolling, "Set up a passkey"),
        domain,
        advises: visitor.role == Role::Administrator && visitor.admitted.account.factors.passkeys == 0,
        suggested: agent::describe(visitor.client.user_agent.as_deref()),
        app_allowed: choices.authenticator_app,
        back,
        codes: Vec::new(),
        onward: paths::FACTORS,
    };
    render_page(StatusCode::OK, &page)
}

/// `POST /factors/passkeys/options`
pub async fn options(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(enrolling, Json(_)): ConfirmedVisitor<EnrollingVisitor, Json<EmptyBody>>,
) -> Result<HttpResponse, PageError> {
    Ok(match start_passkey(&ctx, &factor_owner(&req, &enrolling.0)).await? {
        PasskeyOptions::Options(options) => HttpResponse::Ok().json(options),
        PasskeyOptions::Refused(refusal) => refuse_script(&ctx, refusal),
    })
}

/// `POST /factors/passkeys`
pub async fn add(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(enrolling, Json(new)): ConfirmedVisitor<EnrollingVisitor, Json<NewPasskey>>,
) -> Result<HttpResponse, PageError> {
    let owner = factor_owner(&req, &enrolling.0);
    let added = finish_passkey(&ctx, &enrolling.0.initiator, owner, &new.name, new.credential).await?;
    let (id, name, codes, token) = match added {
        PasskeyEnrolment::Added {
            id,
            name,
            recovery_codes,
            token,
        } => (id, name, recovery_codes, token),
        PasskeyEnrolment::Invalid => {
            let words = "The passkey could not be verified. Start again.";
            return Ok(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "assertion", words).into_response());
        }
        PasskeyEnrolment::Known => {
            let words = "This passkey is set up already.";
            return Ok(Problem::new(StatusCode::CONFLICT, "known_passkey", words).into_response());
        }
        PasskeyEnrolment::Refused(refusal) => return Ok(refuse_script(&ctx, refusal)),
    };
    renew(&req, token.as_ref())?;
    let codes: Vec<&str> = codes.iter().flatten().map(Secret::expose).collect();
    let body = serde_json::json!({
        "id": id,
        "name": name,
        "recovery_codes": codes,
        "location": next_url(&req, &ctx, &enrolling),
    });
    let mut response = HttpResponse::Ok().json(body);
    forget_way(&req, response.headers_mut());
    Ok(response)
}

/// `POST /factors/passkeys/{id}/rename`
pub async fn rename(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, Form(form)): ConfirmedVisitor<Member, Form<PasskeyNameForm>>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let renamed = rename_passkey(&ctx, &visitor.initiator, visitor.account, parse_id(&id)?, &form.name).await?;
    match renamed {
        RenameOutcome::Renamed(name) => {
            let words = Flash::ok(format!("The passkey was renamed to {name}."));
            Ok(flash::redirect(&req, paths::FACTORS, &words))
        }
        RenameOutcome::NotFound => Err(PageError::NotFound),
        RenameOutcome::InvalidName => {
            let words = "Enter a name of at most 64 characters.";
            if wants_html(&req) {
                let fault = (format!("name-{}", id.as_str()), words.to_owned());
                return render(&req, &ctx, &member, false, vec![fault]).await;
            }
            Ok(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "passkey_name", words).into_response())
        }
    }
}

/// `POST /factors/passkeys/{id}/remove`
pub async fn remove(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    match remove_passkey(&ctx, &visitor.initiator, &proving_session(visitor), parse_id(&id)?).await? {
        RemovalOutcome::Removed => {
            let words = Flash::ok("The passkey was removed. You can delete it from your device too.");
            Ok(flash::redirect(&req, paths::FACTORS, &words))
        }
        RemovalOutcome::NotFound => Err(PageError::NotFound),
        RemovalOutcome::LastFactor => Ok(app::last_factor(&req)),
    }
}
