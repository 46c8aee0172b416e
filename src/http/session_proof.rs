//! Proving a second factor within a live session, because one is required or for a step-up.
//! `flows::factors` decides what proves a factor.

use super::{
    enrolment_link, error::PageError, paths, second_step::StepRefusal, session_store::PREPARED_TOKEN, site::Site,
    visitor::Visitor,
};
use crate::{
    domain::{
        application::RequestTarget,
        factor::{FactorDuty, FactorRequirement},
        origin::{ReturnTo, is_within},
        secret::Secret,
    },
    flows::{
        Ctx,
        access::{AdmittedSession, FactorDutyAt, factor_duty_at},
        factors::{self, FactorMethods, FactorOwner, ProofOutcome, ProvingSession},
        step_up::StepUpMethod,
    },
    http::prove_form::{CodeField, ProveForm},
};
use actix_session::SessionExt;
use actix_web::{HttpRequest, http::header};
use serde_json::Value as Json;

/// Returns what the visitor must do about second factors before reaching `target`.
pub async fn find_duty(
    ctx: &Ctx,
    admitted: &AdmittedSession,
    target: Option<&ReturnTo>,
) -> Result<Option<FactorDutyAt>, PageError> {
    let applications = ctx.current_applications().await.map_err(PageError::Flow)?;
    let page = target.and_then(|target| RequestTarget::of_url(target.as_str()).ok());
    let application = page.and_then(|page| applications.of_page(&page));
    Ok(factor_duty_at(ctx, admitted, application.as_deref()))
}

/// Returns the kinds of factors that a visitor can prove for a duty; `None`: only setting one up
/// fulfills it. The user of a recovery code may have found the passkey again.
pub fn methods(admitted: &AdmittedSession, duty: FactorDuty, required: FactorRequirement) -> Option<FactorMethods> {
    let methods = FactorMethods::in_session(&admitted.policy.factors, admitted.account.factors, required);
    (duty == FactorDuty::Prove || methods.passkey).then_some(methods)
}

/// Describes the code that confirms a visitor's identity beside the password; `None`: none does.
pub fn step_up_code(admitted: &AdmittedSession, method: StepUpMethod) -> Option<CodeField> {
    let (policy, enrolled) = (&admitted.policy.factors, admitted.account.factors);
    let methods = FactorMethods::in_session(policy, enrolled, FactorRequirement::Off);
    CodeField::new(methods).filter(|_| method.needs_code())
}

/// Makes the form that proves what a live session must prove; `None`: it must set up a factor.
pub async fn prove_form(
    req: &HttpRequest,
    ctx: &Ctx,
    visitor: &Visitor,
    duty: &FactorDutyAt,
) -> Result<Option<ProveForm>, PageError> {
    let admitted = &visitor.admitted;
    let Some(methods) = methods(admitted, duty.duty, duty.required) else {
        return Ok(None);
    };
    let are_here = factors::has_passkeys_here(ctx, visitor.account).await?;
    let mut methods = methods.with_passkeys_here(are_here);
    methods.passkey &= passkey_place(req, ctx).is_some();
    let mut form = ProveForm::new(paths::FACTOR, methods, None);
    let has_codes = admitted.policy.factors.usable(admitted.account.factors).recovery_codes > 0;
    if has_codes && !methods.recovery {
        form.lost = "Sign out and sign in again with a recovery code, which opens the setup of another passkey, or ask \
                     an administrator to reset your second factor.";
    }
    Ok(Some(form))
}

/// Returns where passkeys work, seen from the host of a request: `here`, or `elsewhere` (on
/// Nightlatch's own host). `None`: nowhere, or under another name of Nightlatch.
pub fn passkey_place(req: &HttpRequest, ctx: &Ctx) -> Option<&'static str> {
    let domain = ctx.config.passkey_domain()?;
    match Site::from_request(req) {
        Site::Application(entrance) => Some(if is_within(&entrance.host, &domain) {
            "here"
        } else {
            "elsewhere"
        }),
        Site::Own => is_within(&host_name(req)?, &domain).then_some("here"),
    }
}

/// Returns whether passkeys work under the host of a request.
pub fn passkeys_work_here(req: &HttpRequest, ctx: &Ctx) -> bool {
    passkey_place(req, ctx) == Some("here")
}

/// Returns the host without its port, as the browser names it.
pub fn host_name(req: &HttpRequest) -> Option<String> {
    let host = req.headers().get(header::HOST)?.to_str().ok()?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

/// Describes the session in which a factor is proved or managed.
pub fn proving_session(visitor: &Visitor) -> ProvingSession {
    ProvingSession {
        account: visitor.account,
        session: visitor.session,
        token_digest: visitor.admitted.token_digest.clone(),
        client: visitor.client.clone(),
    }
}

/// Describes the session that enrols a factor, with the enrolment link that its browser opened.
pub fn factor_owner(req: &HttpRequest, visitor: &Visitor) -> FactorOwner {
    FactorOwner {
        session: proving_session(visitor),
        link: enrolment_link::token(req),
    }
}

/// Gives the session's new id to the browser, if there is one.
pub fn renew(req: &HttpRequest, token: Option<&Secret>) -> Result<(), PageError> {
    let Some(token) = token else { return Ok(()) };
    req.get_session()
        .insert(PREPARED_TOKEN, token.expose())
        .map_err(|error| PageError::Internal(format!("the session cannot be handed over: {error}")))
}

/// Proves a code.
pub async fn prove_code(
    req: &HttpRequest,
    ctx: &Ctx,
    visitor: &Visitor,
    code: String,
) -> Result<Result<(), StepRefusal>, PageError> {
    let proof = proving_session(visitor);
    let outcome = factors::prove_with_code(ctx, &visitor.initiator, proof, Secret::new(code)).await?;
    finish_proof_attempt(req, ctx, outcome, "That code is wrong or was already used.")
}

/// Starts a passkey proof.
pub async fn start_passkey(ctx: &Ctx, visitor: &Visitor) -> Result<Result<Json, StepRefusal>, PageError> {
    let options = factors::passkey_options(ctx, &proving_session(visitor)).await?;
    Ok(options.ok_or_else(StepRefusal::no_passkey))
}

/// Proves a passkey.
pub async fn prove_passkey(
    req: &HttpRequest,
    ctx: &Ctx,
    visitor: &Visitor,
    answer: Json,
) -> Result<Result<(), StepRefusal>, PageError> {
    let proof = proving_session(visitor);
    let outcome = factors::prove_with_passkey(ctx, &visitor.initiator, proof, answer).await?;
    finish_proof_attempt(req, ctx, outcome, "The passkey was not accepted. Try again.")
}

fn finish_proof_attempt(
    req: &HttpRequest,
    ctx: &Ctx,
    outcome: ProofOutcome,
    wrong: &str,
) -> Result<Result<(), StepRefusal>, PageError> {
    Ok(match outcome {
        ProofOutcome::Proved(token) => {
            renew(req, token.as_ref())?;
            Ok(())
        }
        ProofOutcome::Wrong => Err(StepRefusal::wrong(wrong)),
        ProofOutcome::Refused(refusal) => Err(StepRefusal::from_refusal(&refusal, ctx.now())),
    })
}
