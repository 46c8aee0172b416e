//! The gate before every page: finds the session behind the cookie, has it judged, and afterwards dresses the cookies
//! in what the live policy says. Doubt refuses: a database that cannot be asked is a 503, never a pass.

use super::{
    client_ip::client_ip,
    error::PageError,
    flash, guard, paths,
    session_cookie::{self, CookieKeys, Jar, Presented, Written},
    site::Site,
};
use crate::{
    domain::{
        account::Role,
        activity::RequestKind,
        agent,
        audit::Origin,
        policy::effective::EffectivePolicy,
        secret,
        session::{EndReason, RequestFacts},
        time::Timestamp,
    },
    flows::{
        Ctx,
        access::{self, Access, Admitted, Door},
        login::Opened,
    },
    live::session_store::PREPARED_TOKEN,
};
use actix_session::SessionExt;
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    web,
};
use std::{net::IpAddr, rc::Rc, sync::Arc};

/// Where a request comes from, for decisions and records.
#[derive(Debug, Clone)]
pub struct Client {
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub request_id: String,
}

impl Client {
    pub fn origin(&self) -> Origin {
        Origin {
            ip: Some(self.ip),
            user_agent: self.user_agent.clone(),
            request_id: Some(self.request_id.clone()),
        }
    }
}

/// What the gate found, for extractors.
#[derive(Debug, Clone)]
pub struct Judged {
    pub client: Client,
    pub state: State,
    /// Whether the account may enter the application whose page asks; on our own pages always.
    pub may_enter: bool,
    /// Two different session cookies of one name came: the sign-in page expires them.
    pub ambiguous: bool,
}

#[derive(Debug, Clone)]
pub enum State {
    Anonymous,
    /// The cookie named a session that has ended.
    Ended(EndReason),
    Admitted(Rc<Admitted>),
}

/// A request id that `headers::apply` set.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Judges the session before the inner layers see the request.
pub async fn judge(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req.app_data::<web::Data<Ctx>>().ok_or(PageError::misbuilt())?.clone();
    let keys = req
        .app_data::<web::Data<CookieKeys>>()
        .ok_or(PageError::misbuilt())?
        .clone();
    if is_public(req.path()) {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    }
    let client = client_of(&req, &ctx);
    let site = Site::of(req.request());
    let jar = Jar::of(&ctx.config, &site);
    let presented = session_cookie::read(req.headers(), jar, &keys);
    let state = match find(&ctx, &req, &site, &client, &presented).await {
        Ok(state) => state,
        Err(error) => return Ok(req.error_response(error).map_into_boxed_body()),
    };
    let admitted = match &state {
        State::Admitted(admitted) => Some(admitted.clone()),
        State::Anonymous | State::Ended(_) => None,
    };
    session_cookie::hand_on(req.headers_mut(), &presented, admitted.is_some(), jar, &keys);
    let had_flash = flash::is_carried(req.headers());
    req.extensions_mut().insert(Judged {
        client,
        state,
        may_enter: may_enter(&site, admitted.as_deref()),
        ambiguous: presented.ambiguous,
    });
    let mut response = next.call(req).await?.map_into_boxed_body();
    if let Err(error) = dress_cookies(&ctx, jar, &keys, &mut response, &presented, admitted.as_deref()).await {
        return Ok(response.error_response(error));
    }
    if presented.ambiguous {
        let path = response.request().uri().path().to_owned();
        session_cookie::expire_below(response.headers_mut(), jar, &path);
    }
    if had_flash {
        flash::expire_when_shown(&ctx, &mut response);
    }
    Ok(response)
}

/// Inside actix-session: a rotated token travels to the cookie through the session's state.
pub async fn carry_prepared_token(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let rotated = match req.extensions().get::<Judged>().map(|judged| &judged.state) {
        Some(State::Admitted(admitted)) => admitted.rotated_to.as_ref().map(|token| token.expose().to_owned()),
        Some(State::Anonymous | State::Ended(_)) | None => None,
    };
    if let Some(token) = rotated {
        req.get_session().insert(PREPARED_TOKEN, token)?;
    }
    next.call(req).await
}

/// Pages that know nobody: no session is looked for.
fn is_public(path: &str) -> bool {
    path.starts_with("/static/")
        || matches!(path, paths::GUARD_SCRIPT | paths::GUARD_STYLE)
        || path == paths::HEALTHZ
        || path == paths::READYZ
}

fn client_of(req: &ServiceRequest, ctx: &Ctx) -> Client {
    let user_agent = req
        .headers()
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .map(|text| agent::cut(&text).to_owned());
    let request_id = req
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default();
    Client {
        ip: client_ip(req.peer_addr(), req.headers(), &ctx.config),
        user_agent,
        request_id,
    }
}

fn may_enter(site: &Site, admitted: Option<&Admitted>) -> bool {
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
    presented: &Presented,
) -> Result<State, PageError> {
    let Some(token) = &presented.token else {
        return Ok(State::Anonymous);
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
            ..guard::kind(req.method(), req.path())
        },
    };
    let acceptable = |policy: &EffectivePolicy, form: &str| presented.counts(policy, form);
    let door = Door {
        host: site.token_host(),
        application: site.application().map(Arc::as_ref),
        reaches_browser: true,
    };
    Ok(
        match access::admit(ctx, token, &request, door, || client.origin(), acceptable).await? {
            Access::Anonymous => State::Anonymous,
            Access::Ended(reason) => State::Ended(reason),
            Access::Admitted(admitted) => State::Admitted(Rc::new(*admitted)),
        },
    )
}

/// Gives every session cookie of the response the live policy's name and attributes, and issues the cookie of a live session anew
/// when the policy changed since it was issued.
async fn dress_cookies(
    ctx: &Ctx,
    jar: Jar<'_>,
    keys: &CookieKeys,
    response: &mut ServiceResponse,
    presented: &Presented,
    admitted: Option<&Admitted>,
) -> Result<(), PageError> {
    let written: Vec<HeaderValue> = response.headers().get_all(header::SET_COOKIE).cloned().collect();
    let mut lines = Vec::with_capacity(written.len() + 2);
    let mut ours = false;
    for value in written {
        match session_cookie::token_in(value.to_str().unwrap_or_default(), &ctx.config, keys) {
            Written::Token(token) => {
                ours = true;
                let told = response.request().extensions().get::<IssuedTo>().copied();
                let (policy, signed_in_at) = life_of(ctx, told, &token, admitted);
                lines.extend(issue_lines(ctx, jar, keys, &policy, &token, signed_in_at)?);
            }
            Written::Removal => {
                ours = true;
                lines.extend(
                    session_cookie::expire(jar)
                        .iter()
                        .filter_map(|line| HeaderValue::from_str(line).ok()),
                );
            }
            Written::Other => lines.push(value),
        }
    }
    if !ours
        && let (Some(admitted), Some(token)) = (admitted, &presented.token)
        && admitted.session.ended().is_none()
    {
        let form = session_cookie::form(jar, &admitted.policy);
        if form != admitted.cookie_form {
            if let Err(error) = access::note_cookie_form(ctx, &admitted.session, token, form).await {
                // The page is done and stays so; the cookie follows the policy at the next one.
                tracing::warn!(%error, "a cookie could not be issued anew");
                return Ok(());
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
        lines.sort();
        lines.dedup();
        for line in lines {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(())
}

fn issue_lines(
    ctx: &Ctx,
    jar: Jar<'_>,
    keys: &CookieKeys,
    policy: &EffectivePolicy,
    token: &str,
    signed_in_at: Timestamp,
) -> Result<Vec<HeaderValue>, PageError> {
    session_cookie::issue(jar, keys, policy, token, signed_in_at, ctx.now())
        .iter()
        .map(|line| HeaderValue::from_str(line).map_err(|_| PageError::misbuilt()))
        .collect()
}

/// Whom a token was just made for, told by the handler that made it.
#[derive(Debug, Clone, Copy)]
pub struct IssuedTo {
    pub role: Role,
    pub signed_in_at: Timestamp,
}

impl IssuedTo {
    pub fn of(opened: &Opened) -> Self {
        Self {
            role: opened.account.role,
            signed_in_at: opened.signed_in_at,
        }
    }
}

/// The policy and the sign-in of the session that a token was just made for.
fn life_of(
    ctx: &Ctx,
    told: Option<IssuedTo>,
    token: &str,
    admitted: Option<&Admitted>,
) -> (Arc<EffectivePolicy>, Timestamp) {
    let in_force = ctx.in_force();
    if let Some(told) = told {
        return (in_force.effective(told.role, &[], None), told.signed_in_at);
    }
    if let Some(session) = ctx.live.sessions.get(&secret::digest(token)) {
        let role = ctx
            .live
            .accounts
            .get(session.row.account_id)
            .map(|account| account.role);
        let role = role.or(admitted.map(Admitted::role)).unwrap_or(Role::Member);
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
