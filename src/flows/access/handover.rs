//! Handover of a session to an application's host outside the cookie domain: a one-time code, bound
//! to the browser that requested it there, becomes a token of the same session that is valid only
//! on that host. `http::handover` redirects the browser between the hosts.

use super::{AdmittedSession, verify::record_denial};
use crate::{
    domain::{
        account::Account,
        activity::RequestKind,
        application::{Application, Applications, RequestTarget},
        audit::{Actor, Event, RequestOrigin},
        client::Client,
        network,
        network_groups::NetworkGroup,
        secret::{self, Secret},
        session::{DeviceFault, DeviceProof, Duty, RequestFacts, SessionToken, SessionVerdict},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, FlowError, Initiator, PURGED, Write,
        access::rules::{judge_row, with_entered},
        session_tokens::new_token,
    },
    live::{policy::PolicyInForce, sessions::LiveSession},
    store::{
        StoreError, accounts,
        handovers::{self, Handover, HandoverBinding},
        sessions,
    },
};
use std::sync::Arc;

/// Validity of a code, inclusive.
const VALID: Span = Span::from_secs(30);
/// Maximum number of codes of one session within that time: enough for the tabs that a browser
/// opens at start. More means a redirect loop, because the browser stores no cookie there.
const MAX_HANDOVERS: i64 = 32;
/// Tabs of one browser that arrive within this time keep their own tokens. A new arrival revokes
/// older tokens of that host, because its cookie replaces theirs.
const TOGETHER: Span = Span::from_secs(60);

/// A browser on its way to an application's host.
#[derive(Debug, Clone)]
pub struct HandoverRequest {
    /// The host, as tokens store it.
    pub host: String,
    /// The digest of the nonce that the browser holds on that host.
    pub nonce: String,
    /// The browser.
    pub client: Client,
    /// The proof of the device on that host.
    pub device: Option<DeviceProof>,
}

/// The result of a request for a code.
pub enum HandoverIssue {
    Code(Secret),
    /// Neither role nor group has access.
    NotAllowed,
    /// Too many codes within a short time.
    TooMany,
    /// No application answers there.
    Unknown,
}

/// The result of a code at the application's host.
pub enum HandoverOutcome {
    Carried(Box<HandoverSession>),
    /// The code is unknown, used, expired or another browser's, or its session has ended.
    Refused,
    /// The session is bound on this host, and the browser did not prove its key there.
    Unproved {
        fault: DeviceFault,
        return_to: String,
    },
    NotAllowed,
}

/// A session with its own token on a host.
pub struct HandoverSession {
    /// The account that is signed in.
    pub account: Account,
    /// When the session began.
    pub signed_in_at: Timestamp,
    /// The token for the application's host.
    pub token: Secret,
    /// The page that was requested first.
    pub return_to: String,
}

/// Issues a code for a live session if the account has access to the application at `return_to`.
pub async fn issue_handover(
    ctx: &Ctx,
    admitted: &AdmittedSession,
    request: &HandoverRequest,
    return_to: &str,
    origin: RequestOrigin,
) -> Result<HandoverIssue, FlowError> {
    let applications = ctx.current_applications().await?;
    let Ok(page) = RequestTarget::of_url(return_to) else {
        return Ok(HandoverIssue::Unknown);
    };
    let Some(application) = applications.of_page(&page) else {
        return Ok(HandoverIssue::Unknown);
    };
    if !application.admits(admitted.account.role, &admitted.account.groups) {
        if admitted.session.may_record_denial(ctx.now()) {
            record_denial(ctx, admitted, &application, &page, origin).await?;
        }
        return Ok(HandoverIssue::NotAllowed);
    }
    let (now, code) = (ctx.now(), secret::token(ctx.random_bytes()));
    let handover = Handover {
        bound: binding(ctx.current_policy().await?.as_ref(), request, &code),
        session: admitted.session.id(),
        return_to: return_to.to_owned(),
        issued_at: now,
        expires_at: now.saturating_add(VALID),
    };
    let account = admitted.account.id;
    let issued = ctx
        .store
        .write(move |connection| {
            sessions::lock_account_sessions(connection, account)?;
            let room = handovers::count_since(connection, handover.session, now.saturating_sub(VALID))? < MAX_HANDOVERS;
            if room {
                handovers::insert(connection, &handover)?;
            }
            Ok::<_, StoreError>(room)
        })
        .await?;
    Ok(if issued {
        HandoverIssue::Code(code)
    } else {
        HandoverIssue::TooMany
    })
}

fn binding(in_force: &PolicyInForce, request: &HandoverRequest, code: &Secret) -> HandoverBinding {
    let validation = &in_force.everyone().validation;
    let group = validation
        .groups
        .find(request.client.ip)
        .and_then(NetworkGroup::identity);
    HandoverBinding {
        digest: secret::digest(code.expose()),
        host: request.host.clone(),
        nonce: request.nonce.clone(),
        user_agent: request.client.user_agent.clone().unwrap_or_default(),
        network: group.unwrap_or_else(|| network::session_network(request.client.ip, validation.subnet_bits)),
    }
}

/// The arrival of a browser with a code, with owned fields so that it can move into the write.
struct HandoverArrival {
    bound: HandoverBinding,
    request: HandoverRequest,
    cookie_form: String,
    applications: Arc<Applications>,
    in_force: Arc<PolicyInForce>,
    origin: RequestOrigin,
    now: Timestamp,
}

/// Consumes the code. `cookie_form`: the form in which the token's cookie will be issued.
pub async fn redeem(
    ctx: &Ctx,
    code: &Secret,
    request: HandoverRequest,
    cookie_form: String,
    origin: RequestOrigin,
) -> Result<HandoverOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let arrival = HandoverArrival {
        bound: binding(&in_force, &request, code),
        request,
        cookie_form,
        applications: ctx.current_applications().await?,
        in_force,
        origin,
        now: ctx.now(),
    };
    let initiator = Initiator {
        actor: Actor::Anonymous,
        origin: arrival.origin.clone(),
        session: None,
    };
    ctx.write_at(arrival.now, &initiator, move |w| Ok(w.redeem_handover(&arrival)?))
        .await
}

/// Voids a code that arrived where it cannot be redeemed.
pub async fn void_handover(ctx: &Ctx, code: &Secret) -> Result<(), FlowError> {
    let digest = secret::digest(code.expose());
    let void = ctx
        .store
        .write(move |connection| handovers::drop_code(connection, &digest));
    Ok(void.await?)
}

/// Deletes expired codes.
pub async fn forget_old_handovers(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(VALID);
    let purge = ctx
        .store
        .write(move |connection| handovers::purge(connection, before, PURGED).map(drop));
    Ok(purge.await?)
}

impl Write<'_> {
    /// Consumes the code in any case; the session and its account are judged in their current
    /// state.
    fn redeem_handover(&mut self, arrival: &HandoverArrival) -> Result<HandoverOutcome, StoreError> {
        let Some((id, return_to)) = handovers::redeem(self.connection, &arrival.bound, self.now)? else {
            // Someone else has the code, or it is too late: it must not work any longer.
            handovers::drop_code(self.connection, &arrival.bound.digest)?;
            return Ok(HandoverOutcome::Refused);
        };
        let Some(account) = sessions::find(self.connection, id)?.map(|session| session.account_id) else {
            return Ok(HandoverOutcome::Refused);
        };
        sessions::lock_account_sessions(self.connection, account)?;
        let session = sessions::find(self.connection, id)?;
        let (Some(session), Some(account)) = (session, accounts::find(self.connection, account)?) else {
            return Ok(HandoverOutcome::Refused);
        };
        let page = RequestTarget::of_url(&return_to).ok();
        let Some(application) = page.and_then(|page| arrival.applications.of_page(&page)) else {
            return Ok(HandoverOutcome::Refused);
        };
        if !application.admits(account.role, &account.groups) {
            return Ok(HandoverOutcome::NotAllowed);
        }
        let known = self.ctx.live.sessions.get_by_id(id).map(|known| known.life());
        let session = LiveSession::from_row(session, known);
        let token = secret::token(self.ctx.random_bytes());
        let row = new_token(&token, &arrival.request.host, &arrival.cookie_form, self.now);
        if let Err(outcome) = arrival.judge(&session, &row, &account, &application, return_to.as_str()) {
            return Ok(outcome);
        }
        let outlived = self.now.saturating_sub(TOGETHER);
        sessions::revoke_tokens_of_host(self.connection, id, &row.host, outlived, self.now)?;
        sessions::add_token(self.connection, id, &row)?;
        self.forget_session(id);
        self.record_handover(arrival, &session, &account, &application)?;
        Ok(HandoverOutcome::Carried(Box::new(HandoverSession {
            signed_in_at: session.row.signed_in_at,
            account,
            token,
            return_to,
        })))
    }

    /// Records `session.handed_over`, with the application on whose host the session is now known
    /// too.
    fn record_handover(
        &mut self,
        arrival: &HandoverArrival,
        session: &LiveSession,
        account: &Account,
        application: &Application,
    ) -> Result<(), StoreError> {
        self.initiator.actor = Actor::Account {
            id: account.id,
            name: account.name.clone(),
        };
        self.initiator.session = Some(session.id());
        let entry = self
            .entry(Event::SessionHandedOver)
            .with_account(account.id, &account.name)
            .at_application(Some(&application.name));
        self.record(&entry.with_detail(serde_json::json!({ "host": arrival.request.host })))
    }
}

impl HandoverArrival {
    /// Judges whether the session is live under the application's rules and has no duty. Other
    /// effects of the verdict wait for the next request.
    fn judge(
        &self,
        session: &LiveSession,
        token: &SessionToken,
        account: &Account,
        application: &Application,
        return_to: &str,
    ) -> Result<(), HandoverOutcome> {
        let entered = with_entered(&session.row.applications, Some(application));
        let policy = self
            .in_force
            .effective(account.role, &entered, Some(application.name.as_str()));
        let request = RequestFacts {
            ip: self.request.client.ip,
            user_agent: self.request.client.user_agent.as_deref(),
            kind: RequestKind {
                check: true,
                ..RequestKind::default()
            },
        };
        let expired = account.expires_at.is_some_and(|at| self.now > at);
        let evidence = session.row.device_evidence(token, self.request.device);
        match judge_row(session, token, account, (&request, evidence), &policy, self.now) {
            SessionVerdict::Live(_) if !expired => Ok(()),
            SessionVerdict::Duty {
                what: Duty::DeviceProof(fault),
                ..
            } => Err(HandoverOutcome::Unproved {
                fault,
                return_to: return_to.to_owned(),
            }),
            SessionVerdict::Live(_) | SessionVerdict::Duty { .. } | SessionVerdict::Ended { .. } => {
                Err(HandoverOutcome::Refused)
            }
        }
    }
}
