//! The second step of a sign-in on the sign-in page and in the page guard: its cookies, and the
//! outcome of an attempt. `flows::factors` decides what proves a factor.

use super::{
    destination::{destination_address, return_to},
    error::PageError,
    judged::TokenRecipient,
    onward, paths,
    problem::{Problem, set_retry_after},
    respond::redirect_to,
    sealed_cookie::SealedCookie,
    sign_in::{describe_refusal, hand_over_session, session_target},
    site::Site,
    visitor::Anyone,
};
use crate::{
    domain::{
        login::SignInRefusal,
        origin::ReturnTo,
        secret::Secret,
        time::{Span, Timestamp},
    },
    flows::{
        Ctx,
        factors::{
            self, CodeStep, CompletedSignIn, FactorStepOutcome, PasskeySignIn, PasskeyStep, PendingStep, PendingView,
            SecondStepOptions, SignInOptions,
        },
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::time::Duration,
    http::{StatusCode, header::HeaderMap},
};
use serde_json::Value as Json;

/// The token of a sign-in with the correct password. Its row lives as long.
const PENDING: SealedCookie = SealedCookie::new("factor", Duration::minutes(5));
/// The token of a browser that is not asked for a second factor again.
const TRUSTED: SealedCookie = SealedCookie::new("trusted", Duration::ZERO);

/// A completed sign-in whose session is already in the cookie.
pub struct FinishedSignIn {
    /// Name of the account.
    pub user: String,
    must_change: bool,
    return_to: String,
    trusted: Option<(Secret, Span)>,
}

/// Why a step proved nothing.
pub struct StepRefusal {
    /// Status of the response.
    pub status: StatusCode,
    /// Code for programs.
    pub code: &'static str,
    /// Sentence for people.
    pub words: String,
    retry_after: Option<i64>,
    /// The passkey is unknown here, so the browser may forget it.
    is_unknown_passkey: bool,
}

/// The result of a step.
type StepResult<T> = Result<Result<T, StepRefusal>, PageError>;

/// Stores the token of a pending sign-in in the browser, in place of an earlier one.
pub async fn remember(req: &HttpRequest, ctx: &Ctx, headers: &mut HeaderMap, token: &Secret) {
    abandon_row(req, ctx).await;
    PENDING.write(req, headers, token.expose().to_owned());
}

/// Deletes the token of a pending sign-in from the browser.
pub fn forget(req: &HttpRequest, headers: &mut HeaderMap) {
    PENDING.remove(req, headers);
}

/// Drops the pending sign-in that the browser left, which nobody may continue later: the row and
/// the cookie. It expires in minutes in any case, so that a failure is only logged.
pub async fn abandon(req: &HttpRequest, ctx: &Ctx, headers: &mut HeaderMap) {
    abandon_row(req, ctx).await;
    if is_carried(req) {
        forget(req, headers);
    }
}

async fn abandon_row(req: &HttpRequest, ctx: &Ctx) {
    let Some(token) = PENDING.read(req) else { return };
    if let Err(error) = factors::abandon_pending(ctx, &Secret::new(token)).await {
        tracing::warn!(%error, "an abandoned second step cannot be deleted; it will expire");
    }
}

/// Returns whether the browser sent the token of a pending sign-in, valid or not.
pub fn is_carried(req: &HttpRequest) -> bool {
    PENDING.read(req).is_some()
}

/// Returns the token of a trusted browser.
pub fn trusted_token(req: &HttpRequest) -> Option<Secret> {
    TRUSTED.read(req).map(Secret::new)
}

fn pending_step(req: &HttpRequest, site: &Site, anyone: &Anyone) -> Option<PendingStep> {
    Some(PendingStep {
        token: PENDING.read(req).map(Secret::new)?,
        client: anyone.client.clone(),
        host: site.token_host().to_owned(),
    })
}

/// Finds the sign-in that the browser continues.
pub async fn find(
    req: &HttpRequest,
    ctx: &Ctx,
    site: &Site,
    anyone: &Anyone,
) -> Result<Option<PendingView>, PageError> {
    match pending_step(req, site, anyone) {
        Some(step) => Ok(factors::find_pending(ctx, &step).await?),
        None => Ok(None),
    }
}

/// Completes the sign-in with a code.
pub async fn settle_code(
    req: &HttpRequest,
    ctx: &Ctx,
    site: &Site,
    anyone: &Anyone,
    code: String,
    trust: bool,
) -> StepResult<FinishedSignIn> {
    let Some(step) = pending_step(req, site, anyone) else {
        return Ok(Err(StepRefusal::expired()));
    };
    let request = CodeStep {
        step,
        code: Secret::new(code),
        trust,
        target: session_target(ctx, site, anyone),
    };
    let outcome = factors::sign_in_with_code(ctx, request).await?;
    conclude(req, ctx, outcome, "That code is wrong or was already used.")
}

/// Starts a passkey proof for the second step.
pub async fn start_proof(req: &HttpRequest, ctx: &Ctx, site: &Site, anyone: &Anyone) -> StepResult<Json> {
    let Some(step) = pending_step(req, site, anyone) else {
        return Ok(Err(StepRefusal::expired()));
    };
    Ok(match factors::pending_passkey_options(ctx, &step).await? {
        SecondStepOptions::Options(options) => Ok(options),
        SecondStepOptions::NoPasskey => Err(StepRefusal::no_passkey()),
        SecondStepOptions::Over => Err(StepRefusal::expired()),
    })
}

/// Completes the sign-in with a passkey's answer.
pub async fn settle_passkey(
    req: &HttpRequest,
    ctx: &Ctx,
    site: &Site,
    anyone: &Anyone,
    answer: Json,
    trust: bool,
) -> StepResult<FinishedSignIn> {
    let Some(step) = pending_step(req, site, anyone) else {
        return Ok(Err(StepRefusal::expired()));
    };
    let request = PasskeyStep {
        step,
        answer,
        trust,
        target: session_target(ctx, site, anyone),
    };
    let outcome = factors::sign_in_with_pending_passkey(ctx, request).await?;
    conclude(req, ctx, outcome, WRONG_PASSKEY)
}

/// Begins a sign-in with a passkey alone.
pub async fn start_sign_in(ctx: &Ctx, anyone: &Anyone) -> StepResult<Json> {
    Ok(match factors::sign_in_options(ctx, &anyone.client).await? {
        SignInOptions::Options(options) => Ok(options),
        SignInOptions::Off => Err(StepRefusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "passkeys_off",
            "Passkeys cannot be used to sign in here. Use your password.",
        )),
    })
}

/// Signs in with a passkey alone.
pub async fn finish_sign_in(
    req: &HttpRequest,
    ctx: &Ctx,
    site: &Site,
    anyone: &Anyone,
    answer: Json,
) -> StepResult<FinishedSignIn> {
    let request = PasskeySignIn {
        answer,
        client: anyone.client.clone(),
        target: session_target(ctx, site, anyone),
    };
    let outcome = factors::sign_in_with_passkey(ctx, request).await?;
    if matches!(outcome, FactorStepOutcome::Completed(_)) {
        abandon_row(req, ctx).await;
    }
    conclude(req, ctx, outcome, WRONG_PASSKEY)
}

const WRONG_PASSKEY: &str = "The passkey was not accepted. Try again, or use another way to sign in.";

/// Gives the session of a completed sign-in to the browser, or says why there is none.
fn conclude(req: &HttpRequest, ctx: &Ctx, outcome: FactorStepOutcome, wrong: &str) -> StepResult<FinishedSignIn> {
    Ok(match outcome {
        FactorStepOutcome::Completed(done) => {
            let CompletedSignIn {
                session,
                return_to,
                trusted,
            } = *done;
            hand_over_session(
                req,
                session.account.id,
                TokenRecipient::from_opened(&session),
                &session.token,
            )?;
            Ok(FinishedSignIn {
                must_change: session.must_change.is_some(),
                user: session.account.name,
                return_to,
                trusted: trusted.map(|(token, until)| (token, until.since(ctx.now()))),
            })
        }
        FactorStepOutcome::Wrong => Err(StepRefusal::wrong(wrong)),
        FactorStepOutcome::UnknownPasskey => Err(StepRefusal {
            is_unknown_passkey: true,
            ..StepRefusal::wrong("This passkey is no longer registered here. Use another way to sign in.")
        }),
        FactorStepOutcome::Refused(refusal) => Err(StepRefusal::from_refusal(&refusal, ctx.now())),
        FactorStepOutcome::Over => Err(StepRefusal::expired()),
        // The password step checked this already, so the account's groups changed meanwhile.
        FactorStepOutcome::NotAllowed => return Err(PageError::NoEntry),
    })
}

impl FinishedSignIn {
    /// Redirects to `target` instead.
    pub fn with_target(mut self, target: Option<&str>) -> Self {
        self.return_to = target.unwrap_or_default().to_owned();
        self
    }

    /// Answers a form.
    pub fn redirect(&self, req: &HttpRequest, ctx: &Ctx) -> Result<HttpResponse, PageError> {
        let mut response = redirect_to(&self.destination(ctx));
        self.finish_response(req, ctx, &mut response);
        Ok(response)
    }

    /// Answers a script: `{"location": …}`.
    pub fn location(&self, req: &HttpRequest, ctx: &Ctx) -> Result<HttpResponse, PageError> {
        let mut response = HttpResponse::Ok().json(serde_json::json!({ "location": self.destination(ctx) }));
        self.finish_response(req, ctx, &mut response);
        Ok(response)
    }

    /// Returns whether the password must be changed before anything else.
    pub fn must_change(&self) -> bool {
        self.must_change
    }

    /// Sets and expires the cookies of the second step.
    pub fn update_cookies(&self, req: &HttpRequest, headers: &mut HeaderMap) {
        if is_carried(req) {
            forget(req, headers);
        }
        if let Some((token, lifetime)) = &self.trusted {
            TRUSTED.write_for(
                req,
                headers,
                token.expose().to_owned(),
                Duration::seconds(lifetime.as_secs()),
            );
        }
    }

    fn destination(&self, ctx: &Ctx) -> String {
        if self.must_change {
            return paths::PASSWORD.to_owned();
        }
        let (target, origin) = return_to(ctx, &self.return_to);
        destination_address(ctx, target.as_ref(), origin.as_ref())
    }

    fn finish_response(&self, req: &HttpRequest, ctx: &Ctx, response: &mut HttpResponse) {
        self.update_cookies(req, response.headers_mut());
        if self.must_change {
            let (target, _) = return_to(ctx, &self.return_to);
            onward::store_target(req, response, target.as_ref().map(ReturnTo::as_str));
        }
    }
}

impl StepRefusal {
    fn new(status: StatusCode, code: &'static str, words: &str) -> Self {
        Self {
            status,
            code,
            words: words.to_owned(),
            retry_after: None,
            is_unknown_passkey: false,
        }
    }

    /// Returns the refusal of a wrong code or answer.
    pub fn wrong(words: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_factor", words)
    }

    /// Returns the refusal of a sign-in that does not exist or has expired.
    fn expired() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "sign_in",
            "The second step took too long or was already used. Sign in again.",
        )
    }

    /// Returns the refusal to use a passkey for an account that has none.
    pub fn no_passkey() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "no_passkey",
            "Your account has no passkey that works here: it has none, or they were made for another domain. Use \
             another way to confirm that it is you, or ask an administrator to reset your second factor.",
        )
    }

    /// Returns the refusal of an account that may not sign in, or of too many attempts.
    pub fn from_refusal(refusal: &SignInRefusal, now: Timestamp) -> Self {
        let (status, retry_after, words) = describe_refusal(refusal, now);
        Self {
            retry_after,
            ..Self::new(status, refusal.code(), &words)
        }
    }

    /// Returns whether there is nothing left to continue.
    pub fn is_gone(&self) -> bool {
        self.code == "sign_in"
    }

    /// Makes a wrong answer a 401, as scripts of the page guard expect it.
    pub fn make_unauthorized(&mut self) {
        if self.status == StatusCode::UNPROCESSABLE_ENTITY {
            self.status = StatusCode::UNAUTHORIZED;
        }
    }

    /// Says when to try again.
    pub fn set_retry_after(&self, response: &mut HttpResponse) {
        set_retry_after(response, self.retry_after);
    }

    /// Answers a program.
    pub fn into_problem(self, ctx: &Ctx) -> HttpResponse {
        let problem = Problem::new(self.status, self.code, &self.words).retry_after(self.retry_after);
        let problem = match self.retry_after {
            Some(seconds) => problem.with_member("retry_after", seconds),
            None => problem,
        };
        match (self.is_unknown_passkey, ctx.config.passkey_domain()) {
            (true, Some(domain)) => problem
                .with_member("unknown_credential", true)
                .with_member("rp_id", domain),
            (_, _) => problem,
        }
        .into_response()
    }
}
