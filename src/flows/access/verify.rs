//! May this forwarded request pass? Which application it is for, whether its session is live by that application's rules too, and
//! whether its account may enter. Entering is recorded before the first pass. Doubt refuses.

use super::{
    super::{Acting, Ctx, FlowError},
    Access, Admitted, Door, admit, reread,
};
use crate::{
    domain::{
        application::{Application, Place, Target},
        audit::{Actor, Entry, Event, Origin, Outcome},
        forwarded::{Asked, Subject},
        policy::effective::EffectivePolicy,
        session::{EndReason, RequestFacts},
    },
    live::{forwarded::By, sessions::LiveSession},
    store::sessions,
};
use std::sync::Arc;

/// A request that waits at a proxy.
#[derive(Debug, Clone, Copy)]
pub struct Forwarded<'a> {
    pub target: &'a Target,
    /// Its host, as tokens name it ([`Door::host`]).
    pub host: &'a str,
    /// The session's token, if exactly one that we signed came with it.
    pub token: Option<&'a str>,
    pub request: RequestFacts<'a>,
    pub by: By,
}

/// Whether it passes.
#[derive(Debug)]
pub enum Passage {
    /// Anybody gets this path; nobody was looked for.
    Public,
    Admitted(Box<Admitted>),
    /// Signed in, but the password comes first.
    PasswordChange,
    NotSignedIn(Option<EndReason>),
    /// Signed in, and neither role nor group may enter.
    NotAllowed,
    /// No application answers at this address.
    Unknown,
    /// The path has more than one reading, and decisions there depend on it.
    NotCanonical,
}

pub async fn verify(
    ctx: &Ctx,
    forwarded: &Forwarded<'_>,
    origin: impl Fn() -> Origin,
    acceptable: impl Fn(&EffectivePolicy, &str) -> bool,
) -> Result<Passage, FlowError> {
    let place = ctx.current_applications().await?.matching(forwarded.target);
    note(ctx, forwarded, &place);
    let application = match place {
        Place::Unknown => return Ok(Passage::Unknown),
        Place::NotCanonical => return Ok(Passage::NotCanonical),
        Place::Public(_) => return Ok(Passage::Public),
        Place::Guarded(application) => application,
    };
    let Some(token) = forwarded.token else {
        return Ok(Passage::NotSignedIn(None));
    };
    let door = Door {
        host: forwarded.host,
        application: Some(&application),
        // The cookie of such an answer stays with the proxy.
        reaches_browser: false,
    };
    let access = admit(ctx, token, &forwarded.request, door, &origin, acceptable).await?;
    match access {
        Access::Anonymous => Ok(Passage::NotSignedIn(None)),
        Access::Ended(reason) => Ok(Passage::NotSignedIn(Some(reason))),
        Access::Admitted(admitted) if admitted.duty.is_some() => Ok(Passage::PasswordChange),
        Access::Admitted(admitted) => enter(ctx, admitted, &application, forwarded.target, origin).await,
    }
}

/// That somebody asked, for the console; what was noted is written later.
fn note(ctx: &Ctx, forwarded: &Forwarded<'_>, place: &Place) {
    let (by, now) = (forwarded.by, ctx.now());
    match place {
        Place::Public(application) | Place::Guarded(application) => {
            ctx.live.forwarded.answered(&application.name, by, now);
        }
        Place::Unknown => {
            let asked = Asked {
                at: now,
                peer: by.peer,
                dialect: by.dialect,
                lacks: Vec::new(),
            };
            let host = forwarded.target.host().to_owned();
            ctx.live.forwarded.refused(Subject::Unknown(host), asked);
        }
        // The path's fault, not the proxy's.
        Place::NotCanonical => {}
    }
}

async fn enter(
    ctx: &Ctx,
    mut admitted: Box<Admitted>,
    application: &Arc<Application>,
    target: &Target,
    origin: impl Fn() -> Origin,
) -> Result<Passage, FlowError> {
    if !application.admits(admitted.account.role, &admitted.account.groups) {
        if admitted.session.may_record_denial(ctx.now()) {
            Box::pin(denied(ctx, &admitted, application, target, origin())).await?;
        }
        return Ok(Passage::NotAllowed);
    }
    if !admitted.session.row.applications.contains(&application.name) {
        // INVARIANT: nobody passes whose entry is not on record; a session that ended meanwhile has none.
        match Box::pin(note_entry(ctx, &admitted.session, application)).await? {
            Some(session) => admitted.session = session,
            None => return Ok(Passage::NotSignedIn(None)),
        }
        if let Some(reason) = admitted.session.ended() {
            return Ok(Passage::NotSignedIn(Some(reason)));
        }
    }
    Ok(Passage::Admitted(admitted))
}

/// The session as it is once the entry is on record; `None`: it ended meanwhile.
async fn note_entry(
    ctx: &Ctx,
    session: &LiveSession,
    application: &Application,
) -> Result<Option<Arc<LiveSession>>, FlowError> {
    let (id, name) = (session.id(), application.name.clone());
    ctx.store
        .write(move |c| sessions::enter_application(c, id, &name))
        .await?;
    ctx.live.sessions.forget(id);
    reread(ctx, session).await
}

/// Somebody signed in asked for an application that is not theirs.
pub(super) async fn denied(
    ctx: &Ctx,
    admitted: &Admitted,
    application: &Application,
    target: &Target,
    origin: Origin,
) -> Result<(), FlowError> {
    /// Characters kept of an address that was refused.
    const KEPT: usize = 256;
    let acting = Acting {
        actor: Actor::Account {
            id: admitted.account.id,
            name: admitted.account.name.clone(),
        },
        origin,
        session: Some(admitted.session.id()),
    };
    // A query may hold secrets of the application.
    let url = target.url();
    let address: String = url.chars().take_while(|c| *c != '?').take(KEPT).collect();
    let entry = Entry {
        application: Some(application.name.clone()),
        outcome: Outcome::Failure,
        reason: Some("role".to_owned()),
        ..ctx.entry_of(
            &acting,
            Event::AccessDenied,
            None,
            serde_json::json!({ "address": address }),
        )
    };
    let (flow, now) = (ctx.clone(), ctx.now());
    Ok(ctx.store.write(move |c| flow.record(c, now, &entry)).await?)
}
