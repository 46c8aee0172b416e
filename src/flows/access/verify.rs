//! The decision about a forwarded request: which application it is for, whether its session is live
//! under that application's rules too, and whether its account has access. Entering is recorded
//! before the first response that passes. If in doubt, the request is refused.

use super::{Access, AdmittedSession, EntryPoint, PresentedToken, admit, reread};
use crate::{
    domain::{
        application::{AddressMatch, Application, RequestTarget},
        audit::{Actor, Event, RequestOrigin},
        forwarded::{LastProxyRequest, RequestSubject},
        policy::effective::EffectivePolicy,
        session::{DeviceFault, DeviceProof, Duty, EndReason, RequestFacts},
    },
    flows::{Ctx, FlowError, Initiator},
    live::{forwarded::RequestSource, sessions::LiveSession},
    store::sessions,
};
use std::sync::Arc;

/// A request that waits at a proxy.
#[derive(Debug, Clone, Copy)]
pub struct ForwardedRequest<'a> {
    /// The address that was requested.
    pub target: &'a RequestTarget,
    /// The method of the original request.
    pub method: &'a str,
    /// Its host, as tokens store it ([`EntryPoint::host`]).
    pub host: &'a str,
    /// The session's token, if the request has exactly one cookie that we signed.
    pub token: Option<&'a str>,
    /// The facts that the judgement uses.
    pub request: RequestFacts<'a>,
    /// The proof of the device that came with it.
    pub device: Option<DeviceProof>,
    /// The proxy that asks.
    pub by: RequestSource,
}

/// Whether a forwarded request passes.
#[derive(Debug)]
pub enum AccessDecision {
    /// The path is public; no session was looked up.
    Public,
    Admitted(Box<AdmittedSession>),
    /// Signed in, but with a duty first.
    Duty(Duty),
    NotSignedIn(Option<EndReason>),
    /// Signed in, but the request did not prove the device of the session.
    Unproved(DeviceFault),
    /// Signed in, but neither role nor group of the account, which is named, has access.
    NotAllowed(String),
    /// No application answers at this address.
    Unknown,
    /// The path is ambiguous, and decisions there depend on it.
    NotCanonical,
}

/// Decides about one request of a proxy: the user, whether the policy lets the request through, and
/// the headers it carries. `origin` is called only if something is recorded; `acceptable` is that
/// of [`super::admit`].
pub async fn verify(
    ctx: &Ctx,
    forwarded: &ForwardedRequest<'_>,
    origin: impl Fn() -> RequestOrigin,
    acceptable: impl Fn(&EffectivePolicy, &str) -> bool,
) -> Result<AccessDecision, FlowError> {
    let place = ctx
        .current_applications()
        .await?
        .matching(forwarded.target, forwarded.method);
    note(ctx, forwarded, &place);
    let application = match place {
        AddressMatch::Unknown => return Ok(AccessDecision::Unknown),
        AddressMatch::NotCanonical => return Ok(AccessDecision::NotCanonical),
        AddressMatch::Public(_) => return Ok(AccessDecision::Public),
        AddressMatch::Guarded(application) => application,
    };
    let Some(token) = forwarded.token else {
        return Ok(AccessDecision::NotSignedIn(None));
    };
    let presented = PresentedToken {
        token,
        request: &forwarded.request,
        entry_point: EntryPoint {
            host: forwarded.host,
            application: Some(&application),
            // The proxy does not pass cookies of this response to the browser.
            reaches_browser: false,
        },
        device: forwarded.device,
    };
    let access = admit(ctx, presented, &origin, acceptable).await?;
    match access {
        Access::Anonymous => Ok(AccessDecision::NotSignedIn(None)),
        Access::Ended(reason) => Ok(AccessDecision::NotSignedIn(Some(reason))),
        Access::Unproved(fault) => Ok(AccessDecision::Unproved(fault)),
        Access::Admitted(admitted) => match admitted.duty {
            Some(duty) => Ok(AccessDecision::Duty(duty)),
            None => enter(ctx, admitted, &application, forwarded.target, origin).await,
        },
    }
}

/// Stores the request in memory for the console; it is written later.
fn note(ctx: &Ctx, forwarded: &ForwardedRequest<'_>, place: &AddressMatch) {
    let (by, now) = (forwarded.by, ctx.now());
    match place {
        AddressMatch::Public(application) | AddressMatch::Guarded(application) => {
            ctx.live.forwarded.note_answered(&application.name, by, now);
        }
        AddressMatch::Unknown => {
            let asked = LastProxyRequest {
                at: now,
                peer: by.peer,
                dialect: by.dialect,
                lacks: Vec::new(),
            };
            let host = forwarded.target.host().to_owned();
            ctx.live.forwarded.note_refused(RequestSubject::Unknown(host), asked);
        }
        // An ambiguous path is not a fault of the proxy.
        AddressMatch::NotCanonical => {}
    }
}

async fn enter(
    ctx: &Ctx,
    mut admitted: Box<AdmittedSession>,
    application: &Arc<Application>,
    target: &RequestTarget,
    origin: impl Fn() -> RequestOrigin,
) -> Result<AccessDecision, FlowError> {
    if !application.admits(admitted.account.role, &admitted.account.groups) {
        if admitted.session.may_record_denial(ctx.now()) {
            Box::pin(record_denial(ctx, &admitted, application, target, origin())).await?;
        }
        return Ok(AccessDecision::NotAllowed(admitted.account.name.clone()));
    }
    if !admitted.session.row.applications.contains(&application.name) {
        // INVARIANT: no request passes before the entry is recorded. A session that ended in the
        // meantime has no entry.
        match Box::pin(note_entry(ctx, &admitted.session, application)).await? {
            Some(session) => admitted.session = session,
            None => return Ok(AccessDecision::NotSignedIn(None)),
        }
        if let Some(reason) = admitted.session.ended() {
            return Ok(AccessDecision::NotSignedIn(Some(reason)));
        }
    }
    Ok(AccessDecision::Admitted(admitted))
}

/// Returns the session once the entry is recorded; `None`: it ended in the meantime.
async fn note_entry(
    ctx: &Ctx,
    session: &LiveSession,
    application: &Application,
) -> Result<Option<Arc<LiveSession>>, FlowError> {
    let (id, name) = (session.id(), application.name.clone());
    ctx.store
        .write(move |connection| sessions::enter_application(connection, id, &name))
        .await?;
    ctx.live.sessions.forget(id);
    reread(ctx, session).await
}

/// Records that a signed-in user requested an application without access.
pub(super) async fn record_denial(
    ctx: &Ctx,
    admitted: &AdmittedSession,
    application: &Application,
    target: &RequestTarget,
    origin: RequestOrigin,
) -> Result<(), FlowError> {
    /// Maximum number of characters stored of a refused address.
    const MAX_LENGTH: usize = 256;
    let initiator = Initiator {
        actor: Actor::Account {
            id: admitted.account.id,
            name: admitted.account.name.clone(),
        },
        origin,
        session: Some(admitted.session.id()),
    };
    // A query may contain secrets of the application.
    let url = target.url();
    let address: String = url.chars().take_while(|c| *c != '?').take(MAX_LENGTH).collect();
    let entry = initiator
        .entry(Event::AccessDenied)
        .at_application(Some(&application.name))
        .with_detail(serde_json::json!({ "address": address }))
        .failed("role");
    ctx.write(&initiator, move |w| Ok(w.record(&entry)?)).await
}
