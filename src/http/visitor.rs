//! Authority as types: a handler that takes `Admin` cannot be reached by anybody else. They read what the gate judged.

use super::{
    error::PageError,
    gate::{Client, Judged, State},
};
use crate::{
    domain::{
        account::{AccountId, Role},
        audit::Actor,
        policy::effective::EffectivePolicy,
        session::{Duty, End, EndReason, SessionId, ends_at},
    },
    flows::{Acting, Ctx, access::Admitted, audit},
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::Method, web};
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

/// Somebody signed in.
#[derive(Clone)]
pub struct Visitor {
    pub account: AccountId,
    pub name: String,
    pub role: Role,
    pub session: SessionId,
    pub acting: Acting,
    pub policy: Arc<EffectivePolicy>,
    /// When the session ends if nothing happens.
    pub ends: Option<End>,
    pub client: Client,
    pub admitted: Rc<Admitted>,
}

impl Visitor {
    fn new(client: &Client, admitted: &Rc<Admitted>) -> Self {
        let session = admitted.session.id();
        let account = &admitted.account;
        Self {
            account: account.id,
            name: account.name.clone(),
            role: account.role,
            session,
            acting: Acting {
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
}

/// Whoever comes; with the visitor when there is a live session without a pending duty.
pub struct Anyone {
    pub visitor: Option<Visitor>,
    pub client: Client,
    /// Why the session that the cookie named has ended.
    pub ended: Option<EndReason>,
    /// The live session behind the cookie, duty or not: a new sign-in replaces it.
    pub session: Option<SessionId>,
    pub ambiguous: bool,
}

/// Signed in, also while a password change is pending.
pub struct Pending(pub Visitor);

/// Signed in with nothing pending.
pub struct Member(pub Visitor);

/// An administrator with nothing pending.
pub struct Admin(pub Visitor);

fn judged(req: &HttpRequest) -> Result<Judged, PageError> {
    req.extensions().get::<Judged>().cloned().ok_or(PageError::misbuilt())
}

fn pending(req: &HttpRequest) -> Result<Visitor, PageError> {
    let judged = judged(req)?;
    match &judged.state {
        State::Admitted(admitted) => Ok(Visitor::new(&judged.client, admitted)),
        State::Anonymous => Err(PageError::SignIn {
            return_to: return_to(req),
            reason: None,
        }),
        State::Ended(reason) => Err(PageError::SignIn {
            return_to: return_to(req),
            reason: Some(*reason),
        }),
    }
}

fn member(req: &HttpRequest) -> Result<Visitor, PageError> {
    let visitor = pending(req)?;
    if !judged(req)?.may_enter {
        return Err(PageError::NoEntry);
    }
    match visitor.admitted.duty {
        Some(Duty::PasswordChange) => Err(PageError::PasswordChange),
        None => Ok(visitor),
    }
}

/// Only what can be asked for again is returned to.
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
            let (session, ended) = match &judged.state {
                State::Admitted(admitted) => (Some(admitted.session.id()), None),
                State::Ended(reason) => (None, Some(*reason)),
                State::Anonymous => (None, None),
            };
            Self {
                visitor: member(req).ok(),
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
        ready(pending(req).map(Self))
    }
}

impl FromRequest for Member {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(member(req).map(Self))
    }
}

impl FromRequest for Admin {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let ctx = req.app_data::<web::Data<Ctx>>().cloned();
        let found = member(req).and_then(|visitor| Ok((visitor, ctx.ok_or(PageError::misbuilt())?)));
        let path = req.path().to_owned();
        Box::pin(async move {
            let (visitor, ctx) = found?;
            match visitor.role {
                Role::Administrator => Ok(Self(visitor)),
                Role::Member => {
                    if visitor.admitted.session.may_record_denial(ctx.now()) {
                        audit::denied(&ctx, &visitor.acting, path).await?;
                    }
                    Err(PageError::Forbidden)
                }
            }
        })
    }
}
