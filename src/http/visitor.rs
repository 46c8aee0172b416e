//! Authorization as types: only an administrator reaches a handler that takes `Admin`. The
//! extractors read the results of the gate.

use super::{
    error::PageError,
    judged::{JudgedRequest, JudgedSession},
    site::Site,
};
use crate::{
    domain::{
        account::{AccountId, Role},
        audit::Actor,
        client::Client,
        factor::FactorDuty,
        policy::effective::EffectivePolicy,
        session::{Duty, EndReason, LifetimeEnd, SessionId, ends_at},
    },
    flows::{Ctx, FlowError, Initiator, access::AdmittedSession, audit},
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::Method, web};
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

/// A signed-in user.
#[derive(Clone)]
pub struct Visitor {
    pub account: AccountId,
    pub name: String,
    pub role: Role,
    pub session: SessionId,
    pub initiator: Initiator,
    pub policy: Arc<EffectivePolicy>,
    /// When the session ends without further activity.
    pub ends: Option<LifetimeEnd>,
    pub client: Client,
    pub admitted: Rc<AdmittedSession>,
}

impl Visitor {
    pub(in crate::http) fn new(client: &Client, admitted: &Rc<AdmittedSession>) -> Self {
        let session = admitted.session.id();
        let account = &admitted.account;
        Self {
            account: account.id,
            name: account.name.clone(),
            role: account.role,
            session,
            initiator: Initiator {
                actor: Actor::Account {
                    id: account.id,
                    name: account.name.clone(),
                },
                origin: client.origin(),
                session: Some(session),
            },
            policy: admitted.policy.clone(),
            ends: ends_at(&admitted.session.life(), &admitted.policy),
            client: client.clone(),
            admitted: admitted.clone(),
        }
    }

    /// Returns the visitor, unless only memory knows them, because the database does not answer:
    /// they may end sessions and do nothing else.
    pub fn looked_up(&self) -> Result<&Self, PageError> {
        if self.admitted.is_from_memory {
            return Err(FlowError::Unavailable("the session could not be looked up".to_owned()).into());
        }
        Ok(self)
    }
}

/// Any visitor; with the user if there is a live session without a pending duty.
pub struct Anyone {
    pub visitor: Option<Visitor>,
    /// What the live session of the cookie must do first.
    pub duty: Option<Duty>,
    pub client: Client,
    /// Why the session of the cookie has ended.
    pub ended: Option<EndReason>,
    /// Digest of the token of that session.
    pub ended_token: Option<String>,
    /// The live session of the cookie, even with a duty: a new sign-in replaces it.
    pub session: Option<SessionId>,
    pub ambiguous: bool,
    /// Digest of a token that could not be looked up. Its bearer may still sign out.
    pub unjudged: Option<String>,
}

/// Signed in, even while a password change is pending, which comes before every other duty.
pub struct Pending(pub Visitor);

/// Signed in with nothing pending.
pub struct Member(pub Visitor);

/// A signed-in visitor, even if a second factor is required. A password change comes first.
pub struct FactorVisitor(pub Visitor);

/// A visitor who may manage their second factors: signed in with nothing pending, or required only
/// to set up a factor.
#[derive(Clone)]
pub struct EnrollingVisitor(pub Visitor);

/// An administrator with nothing pending.
pub struct Admin(pub Visitor);

fn judged(req: &HttpRequest) -> Result<JudgedRequest, PageError> {
    req.extensions()
        .get::<JudgedRequest>()
        .cloned()
        .ok_or(PageError::missing_middleware())
}

fn pending(req: &HttpRequest) -> Result<Visitor, PageError> {
    let judged = judged(req)?;
    match &judged.state {
        JudgedSession::Admitted(admitted) => Ok(Visitor::new(&judged.client, admitted)),
        JudgedSession::Anonymous => Err(PageError::SignIn {
            return_to: return_to(req),
            reason: None,
        }),
        JudgedSession::Ended(reason, _) => Err(PageError::SignIn {
            return_to: return_to(req),
            reason: Some(*reason),
        }),
        JudgedSession::Unproved(fault) => Err(PageError::DeviceProof {
            return_to: return_to(req),
            fault: *fault,
        }),
        JudgedSession::Unjudged(_) => {
            Err(FlowError::Unavailable("the session could not be looked up".to_owned()).into())
        }
    }
}

fn member(req: &HttpRequest) -> Result<Visitor, PageError> {
    let visitor = pending(req)?;
    if !judged(req)?.may_enter {
        return Err(PageError::NoEntry);
    }
    match visitor.admitted.duty {
        Some(duty) => Err(refuse_until_done(req, duty)),
        None => Ok(visitor),
    }
}

/// Returns the refusal that redirects to the page of a duty.
fn refuse_until_done(req: &HttpRequest, duty: Duty) -> PageError {
    match duty {
        Duty::PasswordChange => PageError::PasswordChange,
        Duty::Factor(duty) => PageError::Factor {
            return_to: return_to(req),
            duty,
        },
        Duty::DeviceProof(fault) => PageError::DeviceProof {
            return_to: return_to(req),
            fault,
        },
    }
}

/// Returns the account name of the request's session, with or without a duty.
pub fn signed_in_name(req: &HttpRequest) -> Option<String> {
    match judged(req).ok()?.state {
        JudgedSession::Admitted(admitted) => Some(admitted.account.name.clone()),
        JudgedSession::Anonymous
        | JudgedSession::Ended(..)
        | JudgedSession::Unproved(_)
        | JudgedSession::Unjudged(_) => None,
    }
}

/// Returns the visitor for whom an error page keeps its navigation: signed in on our own host,
/// without a pending duty.
pub fn find_visitor_for_error(req: &HttpRequest) -> Option<Visitor> {
    matches!(Site::from_request(req), Site::Own)
        .then(|| member(req).ok())
        .flatten()
}

/// Returns the name on an error page of our own host while something is pending.
pub fn find_pending_name_for_error(req: &HttpRequest) -> Option<String> {
    matches!(Site::from_request(req), Site::Own)
        .then(|| signed_in_name(req))
        .flatten()
}

/// Only addresses that can be requested again are used for the return.
fn return_to(req: &HttpRequest) -> Option<String> {
    (req.method() == Method::GET)
        .then(|| req.uri().path_and_query().map(|target| target.as_str().to_owned()))
        .flatten()
}

impl FromRequest for Anyone {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(judged(req).map(|judged| {
            let (session, duty, ended) = match &judged.state {
                JudgedSession::Admitted(admitted) => (Some(admitted.session.id()), admitted.duty, None),
                JudgedSession::Ended(reason, _) => (None, None, Some(*reason)),
                // A sign-in does not replace a session whose device did not prove itself: it may be
                // the owner's, in other hands.
                JudgedSession::Anonymous | JudgedSession::Unproved(_) | JudgedSession::Unjudged(_) => {
                    (None, None, None)
                }
            };
            let ended_token = match &judged.state {
                JudgedSession::Ended(_, digest) => Some(digest.clone()),
                JudgedSession::Admitted(_)
                | JudgedSession::Anonymous
                | JudgedSession::Unproved(_)
                | JudgedSession::Unjudged(_) => None,
            };
            let unjudged = match &judged.state {
                JudgedSession::Unjudged(digest) => Some(digest.clone()),
                JudgedSession::Admitted(_)
                | JudgedSession::Ended(..)
                | JudgedSession::Unproved(_)
                | JudgedSession::Anonymous => None,
            };
            Self {
                ended_token,
                unjudged,
                visitor: member(req).ok(),
                duty,
                ended,
                session,
                ambiguous: judged.ambiguous,
                client: judged.client,
            }
        }))
    }
}

impl FromRequest for Pending {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pending(req).and_then(|visitor| match visitor.admitted.duty {
            Some(duty @ (Duty::Factor(_) | Duty::DeviceProof(_))) => Err(refuse_until_done(req, duty)),
            Some(Duty::PasswordChange) | None => Ok(Self(visitor)),
        }))
    }
}

impl FromRequest for Member {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(member(req).map(Self))
    }
}

impl FromRequest for FactorVisitor {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pending(req).and_then(|visitor| match visitor.admitted.duty {
            Some(duty @ (Duty::PasswordChange | Duty::DeviceProof(_))) => Err(refuse_until_done(req, duty)),
            Some(Duty::Factor(_)) | None => Ok(Self(visitor)),
        }))
    }
}

impl FromRequest for EnrollingVisitor {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let owner = pending(req).and_then(|visitor| match visitor.admitted.duty {
            None | Some(Duty::Factor(FactorDuty::Enrol)) => Ok(Self(visitor)),
            Some(duty) => Err(refuse_until_done(req, duty)),
        });
        ready(owner)
    }
}

impl FromRequest for Admin {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let ctx = req.app_data::<web::Data<Ctx>>().cloned();
        let found = member(req).and_then(|visitor| Ok((visitor, ctx.ok_or(PageError::missing_middleware())?)));
        let path = req.path().to_owned();
        Box::pin(async move {
            let (visitor, ctx) = found?;
            match visitor.role {
                Role::Administrator => Ok(Self(visitor)),
                Role::Member => {
                    if visitor.admitted.session.may_record_denial(ctx.now()) {
                        audit::denied(&ctx, &visitor.initiator, path).await?;
                    }
                    Err(PageError::Forbidden)
                }
            }
        })
    }
}
