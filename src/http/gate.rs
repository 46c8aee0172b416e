//! The gate in front of every page: it finds the session of the cookie, judges it, and sets the
//! cookies' attributes from the live policy. If in doubt, it refuses: without the database the
//! response is a 503.

use super::{
    client::read_client,
    device_cookie, device_offer,
    error::PageError,
    flash,
    judged::{JudgedRequest, JudgedSession, TokenRecipient},
    paths,
    request_kind::request_kind,
    session_cookie::{self, CookieKeys, CookieScope, PresentedCookie, WrittenCookie},
    session_store::PREPARED_TOKEN,
    site::Site,
};
use crate::{
    domain::{
        account::Role, activity::RequestKind, client::Client, policy::effective::EffectivePolicy, secret,
        session::RequestFacts, time::Timestamp,
    },
    flows::{
        Ctx, FlowError,
        access::{self, Access, AdmittedSession, EntryPoint, PresentedToken},
    },
};
use actix_session::SessionExt;
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderValue},
    },
    middleware::Next,
    web,
};
use std::{rc::Rc, sync::Arc};
use uuid::Uuid;

/// Judges the session before the inner middleware sees the request.
pub async fn judge(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req
        .app_data::<web::Data<Ctx>>()
        .ok_or(PageError::missing_middleware())?
        .clone();
    let keys = req
        .app_data::<web::Data<CookieKeys>>()
        .ok_or(PageError::missing_middleware())?
        .clone();
    if is_public(req.path()) {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    }
    let client = read_client(&req, &ctx);
    let site = Site::from_request(req.request());
    let jar = CookieScope::for_site(&ctx.config, &site);
    let presented = session_cookie::read(req.headers(), jar, &keys);
    let state = match find(&ctx, &req, &site, &client, &presented).await {
        Ok(state) => state,
        Err(error) => return Ok(req.error_response(error).map_into_boxed_body()),
    };
    let admitted = match &state {
        JudgedSession::Admitted(admitted) => Some(admitted.clone()),
        JudgedSession::Anonymous
        | JudgedSession::Ended(..)
        | JudgedSession::Unproved(_)
        | JudgedSession::Unjudged(_) => None,
    };
    session_cookie::pass_on_token(req.headers_mut(), &presented, admitted.is_some(), jar, &keys);
    let had_flash = flash::is_carried(&ctx, req.headers());
    req.extensions_mut().insert(JudgedRequest {
        client,
        state,
        may_enter: may_enter(&site, admitted.as_deref()),
        ambiguous: presented.ambiguous,
    });
    let mut response = next.call(req).await?.map_into_boxed_body();
    let issued = match apply_cookie_attributes(&ctx, jar, &keys, &mut response, &presented, admitted.as_deref()).await {
        Ok(issued) => issued,
        Err(error) => return Ok(response.error_response(error)),
    };
    device_offer::add(&ctx, &site, &mut response, issued.as_deref(), admitted.as_deref()).await;
    if presented.ambiguous {
        let path = response.request().uri().path().to_owned();
        session_cookie::expire_below(response.headers_mut(), jar, &path);
    }
    if had_flash {
        flash::expire_when_shown(&mut response);
    }
    Ok(response)
}

/// Inside actix-session: passes a rotated token to the cookie through the session's state.
pub async fn carry_prepared_token(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let rotated = match req.extensions().get::<JudgedRequest>().map(|judged| &judged.state) {
        Some(JudgedSession::Admitted(admitted)) => admitted.rotated_to.as_ref().map(|token| token.expose().to_owned()),
        Some(
            JudgedSession::Anonymous
            | JudgedSession::Ended(..)
            | JudgedSession::Unproved(_)
            | JudgedSession::Unjudged(_),
        )
        | None => None,
    };
    if let Some(token) = rotated {
        req.get_session().insert(PREPARED_TOKEN, token)?;
    }
    next.call(req).await
}

/// Returns whether the page needs no session, so that none is looked up.
fn is_public(path: &str) -> bool {
    path.starts_with("/static/")
        || matches!(path, paths::GUARD_SCRIPT | paths::GUARD_STYLE)
        || path == paths::HEALTHZ
        || path == paths::READYZ
        // It only takes the provider's answer out of the address, also while the database is away.
        || (path.starts_with("/login/oidc/") && path.ends_with("/callback"))
}

fn may_enter(site: &Site, admitted: Option<&AdmittedSession>) -> bool {
    match (site.application(), admitted) {
        (Some(application), Some(admitted)) => application.admits(admitted.role(), &admitted.account.groups),
        (None, _) | (_, None) => true,
    }
}

async fn find(
    ctx: &Ctx,
    req: &ServiceRequest,
    site: &Site,
    client: &Client,
    presented: &PresentedCookie,
) -> Result<JudgedSession, PageError> {
    let Some(token) = &presented.token else {
        return Ok(JudgedSession::Anonymous);
    };
    let header_is = |name: &str, value: &str| {
        req.headers()
            .get(name)
            .is_some_and(|given| given.as_bytes() == value.as_bytes())
    };
    let request = RequestFacts {
        ip: client.ip,
        user_agent: client.user_agent.as_deref(),
        kind: RequestKind {
            navigation: header_is("sec-fetch-mode", "navigate"),
            background: header_is("x-nightlatch-background", "1"),
            ..request_kind(req.method(), req.path())
        },
    };
    let acceptable = |policy: &EffectivePolicy, form: &str| presented.counts(policy, form);
    let presented_token = PresentedToken {
        token,
        request: &request,
        entry_point: EntryPoint {
            host: site.token_host(),
            application: site.application().map(Arc::as_ref),
            reaches_browser: true,
        },
        device: device_cookie::read(req.headers(), ctx),
    };
    match access::admit(ctx, presented_token, || client.origin(), acceptable).await {
        Ok(Access::Anonymous) => Ok(JudgedSession::Anonymous),
        Ok(Access::Ended(reason)) => Ok(JudgedSession::Ended(reason, secret::digest(token))),
        Ok(Access::Unproved(fault)) => Ok(JudgedSession::Unproved(fault)),
        Ok(Access::Admitted(admitted)) => Ok(JudgedSession::Admitted(Rc::new(*admitted))),
        // Ending sessions is not delayed: memory is enough to know who asks.
        Err(FlowError::Unavailable(words)) if may_end_sessions(req) => {
            match access::admit_from_memory(ctx, presented_token, acceptable) {
                Some(admitted) => Ok(JudgedSession::Admitted(Rc::new(admitted))),
                None if access::lacks_proof_in_memory(ctx, &presented_token) => {
                    Err(FlowError::Unavailable(words).into())
                }
                None if signs_out(req) => Ok(JudgedSession::Unjudged(secret::digest(token))),
                None => Err(PageError::NothingEnded(words)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns whether the request may end sessions. The forms of accounts do that and more; their
/// handlers refuse the rest to visitors who are known from memory alone.
fn may_end_sessions(req: &ServiceRequest) -> bool {
    let path = req.path();
    let ends_own = path.starts_with("/sessions/") && path.ends_with("/end");
    let account = path
        .strip_prefix(paths::ADMIN_ACCOUNTS)
        .and_then(|id| id.strip_prefix('/'));
    let of_account = account.is_some_and(|id| Uuid::parse_str(id).is_ok());
    let ends = [
        paths::SESSIONS_END_OTHERS,
        paths::ADMIN_SESSIONS_END,
        paths::ADMIN_ACCOUNTS_BULK,
    ]
    .contains(&path);
    *req.method() == Method::POST && (signs_out(req) || ends_own || of_account || ends)
}

fn signs_out(req: &ServiceRequest) -> bool {
    *req.method() == Method::POST && [paths::LOGOUT, paths::GUARD_LOGOUT].contains(&req.path())
}

/// Gives every session cookie of the response the live policy's name and attributes, and issues the
/// cookie of a live session again if the policy changed since it was issued. Returns the new token
/// of the response, if there is one.
async fn apply_cookie_attributes(
    ctx: &Ctx,
    jar: CookieScope<'_>,
    keys: &CookieKeys,
    response: &mut ServiceResponse,
    presented: &PresentedCookie,
    admitted: Option<&AdmittedSession>,
) -> Result<Option<String>, PageError> {
    let mut issued = None;
    let written: Vec<HeaderValue> = response.headers().get_all(header::SET_COOKIE).cloned().collect();
    let mut lines = Vec::with_capacity(written.len() + 2);
    let mut ours = false;
    for value in written {
        match session_cookie::token_in(value.to_str().unwrap_or_default(), &ctx.config, keys) {
            WrittenCookie::Token(token) => {
                if presented.any {
                    lines.extend(header_values(session_cookie::expire_other_scopes(
                        jar,
                        &ctx.in_force().everyone().cookie,
                    )));
                }
                ours = true;
                let issued_to = response.request().extensions().get::<TokenRecipient>().copied();
                let (policy, signed_in_at) = life_of(ctx, issued_to, &token, admitted);
                lines.extend(issue_lines(ctx, jar, keys, &policy, &token, signed_in_at)?);
                issued = Some(token);
            }
            WrittenCookie::Removal => {
                ours = true;
                lines.extend(header_values(session_cookie::expire(jar)));
            }
            WrittenCookie::Other => lines.push(value),
        }
    }
    if !ours
        && let (Some(admitted), Some(token)) = (admitted, &presented.token)
        && admitted.session.ended().is_none()
    {
        let form = session_cookie::form(jar, &admitted.policy);
        if form != admitted.cookie_form {
            if let Err(error) = access::note_cookie_form(ctx, &admitted.session, token, form).await {
                // The page is ready and stays as it is; the cookie follows the policy at the next
                // one.
                tracing::warn!(%error, "a cookie could not be issued again");
                return Ok(None);
            }
            lines.extend(issue_lines(
                ctx,
                jar,
                keys,
                &admitted.policy,
                token,
                admitted.session.row.signed_in_at,
            )?);
            ours = true;
        }
    }
    if ours {
        response.headers_mut().remove(header::SET_COOKIE);
        // In order: a cookie that expires another variant comes before the one that issues this
        // one.
        for (index, line) in lines.iter().enumerate() {
            if !lines[..index].contains(line) {
                response.headers_mut().append(header::SET_COOKIE, line.clone());
            }
        }
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(issued)
}

fn header_values(lines: Vec<String>) -> impl Iterator<Item = HeaderValue> {
    lines.into_iter().filter_map(|line| HeaderValue::from_str(&line).ok())
}

fn issue_lines(
    ctx: &Ctx,
    jar: CookieScope<'_>,
    keys: &CookieKeys,
    policy: &EffectivePolicy,
    token: &str,
    signed_in_at: Timestamp,
) -> Result<Vec<HeaderValue>, PageError> {
    session_cookie::issue(jar, keys, policy, token, signed_in_at, ctx.now())
        .iter()
        .map(|line| HeaderValue::from_str(line).map_err(|_| PageError::missing_middleware()))
        .collect()
}

/// Returns the policy and the sign-in of the session for which a token was just made.
fn life_of(
    ctx: &Ctx,
    issued_to: Option<TokenRecipient>,
    token: &str,
    admitted: Option<&AdmittedSession>,
) -> (Arc<EffectivePolicy>, Timestamp) {
    let in_force = ctx.in_force();
    if let Some(issued_to) = issued_to {
        return (in_force.effective(issued_to.role, &[], None), issued_to.signed_in_at);
    }
    if let Some(session) = ctx.live.sessions.get(&secret::digest(token)) {
        let role = ctx
            .live
            .accounts
            .get(session.row.account_id)
            .map(|account| account.role);
        let role = role.or(admitted.map(AdmittedSession::role)).unwrap_or(Role::Member);
        return (
            in_force.effective(role, &session.row.applications, None),
            session.row.signed_in_at,
        );
    }
    match admitted {
        Some(admitted) => (admitted.policy.clone(), admitted.session.row.signed_in_at),
        None => (in_force.effective(Role::Member, &[], None), ctx.now()),
    }
}
