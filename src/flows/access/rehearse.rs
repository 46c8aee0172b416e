//! What would a forwarded request get, and why? By the same table, rules and judgement as at the door. Nothing is touched, recorded,
//! ended or entered. How the answer is told in each proxy's dialect is `http::forward_auth`'s.

mod words;

use super::{
    super::{Ctx, FlowError},
    Admitted, Passage, judge_row, rules_at,
};
use crate::{
    domain::{
        account::{Role, name_key},
        activity::RequestKind,
        agent,
        application::{Application, Place, Target, TargetError},
        session::{AccountState, Duty, LifeFacts, Live as LiveVerdict, RequestFacts, SessionId, Verdict},
        time::Timestamp,
    },
    live::{policy::InForce, sessions::LiveSession},
    store::{
        StoreError,
        accounts::{self, Account},
        sessions::{self, Session, Token},
    },
};
use std::{net::IpAddr, sync::Arc};

/// The request that is supposed: a browser's navigation.
#[derive(Debug, Clone, Default)]
pub struct Supposed {
    /// `https://wiki.example.org/page`
    pub address: String,
    /// Whose sessions are tried; none: only somebody who is not signed in.
    pub account: Option<String>,
    /// Where it comes from; none: from where each session came last.
    pub ip: Option<IpAddr>,
    /// None: with the browser that each session signed in with.
    pub user_agent: Option<String>,
}

/// What became of a rehearsal.
#[derive(Debug)]
pub enum Rehearsed {
    Done(Box<Rehearsal>),
    /// Everything that keeps it from being tried.
    Faulty(Vec<Unreadable>),
}

/// What of a supposed request means nothing.
#[derive(Debug)]
pub enum Unreadable {
    Address(TargetError),
    /// There is none of that name.
    Account,
}

/// Everything that the answer depends on, and the answers.
#[derive(Debug)]
pub struct Rehearsal {
    pub target: Target,
    pub place: Place,
    pub account: Option<Standing>,
    /// One for each live session, and the last for somebody who is not signed in.
    pub outcomes: Vec<Outcome>,
}

/// The account that was supposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub name: String,
    pub role: Role,
    pub groups: Vec<String>,
    pub state: AccountState,
    /// Whether its role or a group may enter; none: nothing is asked of anybody there.
    pub may_enter: Option<bool>,
}

/// What one session, or none, would come to.
#[derive(Debug)]
pub struct Outcome {
    pub session: Option<Tried>,
    pub passage: Passage,
}

/// A live session as it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub id: SessionId,
    pub signed_in_at: Timestamp,
    /// `Firefox · Linux`
    pub device: String,
    /// The address that the request was supposed to come from.
    pub ip: IpAddr,
}

pub async fn rehearse(ctx: &Ctx, supposed: &Supposed) -> Result<Rehearsed, FlowError> {
    let name = supposed.account.as_deref().map(str::trim);
    let name = name.filter(|name| !name.is_empty());
    let found = match name {
        None => None,
        Some(name) => find(ctx, name).await?,
    };
    let nobody = (name.is_some() && found.is_none()).then_some(Unreadable::Account);
    let target = match (Target::of_url(supposed.address.trim()), nobody) {
        (Ok(target), None) => target,
        (Ok(_), Some(nobody)) => return Ok(Rehearsed::Faulty(vec![nobody])),
        (Err(error), nobody) => {
            let faults = std::iter::once(Unreadable::Address(error)).chain(nobody);
            return Ok(Rehearsed::Faulty(faults.collect()));
        }
    };
    let in_force = ctx.current_policy().await?;
    let place = ctx.current_applications().await?.matching(&target);
    let mut outcomes = Vec::new();
    if let (Place::Guarded(application), Some((account, live))) = (&place, &found) {
        for row in live {
            let row = row.clone();
            outcomes.push(try_session(
                ctx,
                &in_force,
                supposed,
                &target,
                application,
                account,
                row,
            ));
        }
    }
    outcomes.push(Outcome {
        session: None,
        passage: match &place {
            Place::Unknown => Passage::Unknown,
            Place::NotCanonical => Passage::NotCanonical,
            Place::Public(_) => Passage::Public,
            Place::Guarded(_) => Passage::NotSignedIn(None),
        },
    });
    let account = found.map(|(account, _)| standing(&account, &place));
    Ok(Rehearsed::Done(Box::new(Rehearsal {
        target,
        place,
        account,
        outcomes,
    })))
}

/// The account of that name, with its live sessions.
async fn find(ctx: &Ctx, name: &str) -> Result<Option<(Arc<Account>, Vec<Session>)>, FlowError> {
    let key = name_key(name);
    let found = ctx
        .store
        .read(move |c| {
            let Some(account) = accounts::find_by_name_key(c, &key)? else {
                return Ok(None);
            };
            let live = sessions::live_of_account(c, account.id)?;
            Ok::<_, StoreError>(Some((account, live)))
        })
        .await?;
    Ok(found.map(|(account, live)| (as_of(account, ctx.now()), live)))
}

/// The account as its next request would find it: its expiry may be due and not yet written.
fn as_of(mut account: Account, now: Timestamp) -> Arc<Account> {
    if account.expired_at.is_none() && account.expires_at.is_some_and(|at| now > at) {
        account.expired_at = Some(now);
    }
    Arc::new(account)
}

fn standing(account: &Account, place: &Place) -> Standing {
    Standing {
        name: account.name.clone(),
        role: account.role,
        groups: account.groups.clone(),
        state: AccountState::of(account.disabled_at.is_some(), account.expired_at.is_some()),
        may_enter: match place {
            Place::Guarded(application) => Some(application.admits(account.role, &account.groups)),
            Place::Unknown | Place::NotCanonical | Place::Public(_) => None,
        },
    }
}

/// One session at that door, judged on a copy of its own.
fn try_session(
    ctx: &Ctx,
    in_force: &InForce,
    supposed: &Supposed,
    target: &Target,
    application: &Application,
    account: &Arc<Account>,
    row: Session,
) -> Outcome {
    let known = ctx.live.sessions.get_by_id(row.id);
    let session = LiveSession::from_row(row, known.as_ref().map(|known| known.life()));
    if let Some(reason) = known.and_then(|known| known.ended()) {
        session.end(reason);
    }
    let ip = supposed.ip.unwrap_or(session.row.ip);
    let agent = supposed
        .user_agent
        .as_deref()
        .or(session.row.binding.user_agent.as_deref());
    let request = RequestFacts {
        ip,
        user_agent: agent,
        kind: RequestKind {
            path: target.path(),
            navigation: true,
            ..RequestKind::default()
        },
    };
    let tried = Tried {
        id: session.id(),
        signed_in_at: session.row.signed_in_at,
        device: agent::describe(session.row.binding.user_agent.as_deref()),
        ip,
    };
    let passage = passage(ctx, in_force, &session, account, application, target, &request);
    Outcome {
        session: Some(tried),
        passage,
    }
}

/// As the door would decide, without what it would write.
fn passage(
    ctx: &Ctx,
    in_force: &InForce,
    session: &LiveSession,
    account: &Arc<Account>,
    application: &Application,
    target: &Target,
    request: &RequestFacts<'_>,
) -> Passage {
    let now = ctx.now();
    // Beyond the cookie domain browsers send what that host was given, if anything.
    let host = if ctx.config.cookie_reaches(target.host()) {
        ""
    } else {
        target.host()
    };
    let current = |token: &&Token| token.killed_at.is_none() && token.rotated.is_none() && token.host == host;
    let Some(presented) = session.row.tokens.iter().find(current) else {
        return Passage::NotSignedIn(None);
    };
    let policy = rules_at(in_force, &session.row.applications, account, Some(application));
    match judge_row(session, presented, account, request, &policy, now) {
        Verdict::Ended { reason } => Passage::NotSignedIn(Some(reason)),
        Verdict::Duty {
            what: Duty::PasswordChange,
            ..
        } => Passage::PasswordChange,
        Verdict::Live(_) if !application.admits(account.role, &account.groups) => Passage::NotAllowed,
        Verdict::Live(live) => {
            let cookie_form = presented.cookie_form.clone();
            Passage::Admitted(Box::new(Admitted {
                session: Arc::new(after(session, &live, now)),
                account: account.clone(),
                policy,
                duty: None,
                rotated_to: None,
                cookie_form,
            }))
        }
    }
}

/// The copy as it would stand after the request, for the time that would be left.
fn after(session: &LiveSession, live: &LiveVerdict, now: Timestamp) -> LiveSession {
    let life = session.life();
    let touched = LifeFacts {
        last_active_at: if live.touch { now } else { life.last_active_at },
        last_seen_at: if live.seen || live.touch {
            now
        } else {
            life.last_seen_at
        },
        ..life
    };
    LiveSession::from_row(session.row.clone(), Some(touched))
}
