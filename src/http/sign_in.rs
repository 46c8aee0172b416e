//! The shared parts of every way to sign in: the attempt, setting the session's cookie, and the
//! response to a refusal. The sign-in page, the page guard, the handover and step-up use them.

use super::{
    error::PageError,
    judged::TokenRecipient,
    session_cookie::{self, CookieScope},
    session_store::PREPARED_TOKEN,
    site::Site,
    visitor::Anyone,
};
use crate::{
    domain::{
        account::AccountId, duration::humanize, lockout::LockDuration, login::SignInRefusal, secret::Secret,
        time::Timestamp,
    },
    flows::{
        Ctx,
        login::{SessionTarget, SignInAttempt},
    },
};
use actix_identity::Identity;
use actix_session::SessionExt;
use actix_web::{HttpMessage, HttpRequest, http::StatusCode};

/// Creates an attempt; a live session of the same browser ends when it succeeds.
pub fn sign_in_attempt(ctx: &Ctx, site: &Site, anyone: &Anyone, username: String, password: String) -> SignInAttempt {
    SignInAttempt {
        username,
        password: Secret::new(password),
        client: anyone.client.clone(),
        target: session_target(ctx, site, anyone),
        return_to: String::new(),
        trusted: None,
    }
}

/// Describes the session that a sign-in opens. A live session of the same browser ends.
pub fn session_target(ctx: &Ctx, site: &Site, anyone: &Anyone) -> SessionTarget {
    SessionTarget {
        replaces: anyone.session,
        cookie_form: session_cookie::form(CookieScope::for_site(&ctx.config, site), ctx.in_force().everyone()),
        host: site.token_host().to_owned(),
        entering: site.application().cloned(),
    }
}

/// Passes a session under its new token to actix-identity and actix-session, which set the cookie.
pub fn hand_over_session(
    req: &HttpRequest,
    account: AccountId,
    issued_to: TokenRecipient,
    token: &Secret,
) -> Result<(), PageError> {
    let fault =
        |error: &dyn std::fmt::Display| PageError::Internal(format!("the session cannot be handed over: {error}"));
    req.extensions_mut().insert(issued_to);
    Identity::login(&req.extensions(), account.0.to_string()).map_err(|error| fault(&error))?;
    req.get_session()
        .insert(PREPARED_TOKEN, token.expose())
        .map_err(|error| fault(&error))
}

/// Returns status, `Retry-After` in seconds and the message of a refusal: the same whether or not
/// the account exists.
pub fn describe_refusal(refusal: &SignInRefusal, now: Timestamp) -> (StatusCode, Option<i64>, String) {
    match refusal {
        SignInRefusal::Credentials => (
            StatusCode::UNPROCESSABLE_ENTITY,
            None,
            "Username or password is wrong.".to_owned(),
        ),
        SignInRefusal::Disabled => (
            StatusCode::FORBIDDEN,
            None,
            "This account is disabled. An administrator can enable it again.".to_owned(),
        ),
        SignInRefusal::Expired => (
            StatusCode::FORBIDDEN,
            None,
            "This account has expired. An administrator can reactivate it.".to_owned(),
        ),
        SignInRefusal::Busy => (
            StatusCode::TOO_MANY_REQUESTS,
            Some(1),
            "Too many attempts at once. Try again in a moment.".to_owned(),
        ),
        SignInRefusal::Locked(LockDuration::Until(until)) => {
            let secs = until.since(now).as_secs_ceil().max(1);
            (
                StatusCode::TOO_MANY_REQUESTS,
                Some(secs),
                format!("Too many attempts. Try again in {}.", format_wait(secs)),
            )
        }
        SignInRefusal::Locked(LockDuration::UntilUnlocked) => (
            StatusCode::FORBIDDEN,
            None,
            "Too many attempts. Ask an administrator to unlock your sign-in.".to_owned(),
        ),
    }
}

/// Rounds up, so that no one returns too early: to seconds within a minute, otherwise to minutes.
fn format_wait(secs: i64) -> String {
    if secs <= 60 {
        humanize(secs)
    } else {
        humanize((secs + 59) / 60 * 60)
    }
}
