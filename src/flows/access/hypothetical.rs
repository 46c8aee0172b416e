//! Access tests: what a forwarded request would get, and why. They use the same table, rules and
//! judgement as a real request, but record, end and enter nothing. `http::forward_auth` formats the
//! response for each proxy's dialect.

mod messages;

use super::{AccessDecision, AdmittedSession};
use crate::{
    domain::{
        account::{Account, Role, name_key},
        activity::RequestKind,
        agent,
        application::{AddressMatch, Application, RequestTarget, TargetError},
        session::{
            AccountState, Duty, LifeFacts, LiveEffect, RequestFacts, Session, SessionId, SessionToken, SessionVerdict,
        },
        time::Timestamp,
    },
    flows::{
        Ctx, FlowError,
        access::rules::{assumed_device, judge_row, rules_at},
    },
    live::{policy::PolicyInForce, sessions::LiveSession},
    store::{accounts, sessions},
};
use std::{net::IpAddr, sync::Arc};

/// A hypothetical request: a browser's page navigation.
#[derive(Debug, Clone, Default)]
pub struct HypotheticalRequest {
    /// The full address: `https://wiki.example.org/page`.
    pub address: String,
    /// The account whose sessions are tested; `None`: only a visitor who is not signed in.
    pub account: Option<String>,
    /// The IP address; `None`: the latest one of each session.
    pub ip: Option<IpAddr>,
    /// The user agent; `None`: the one of each session's sign-in.
    pub user_agent: Option<String>,
}

/// The result of an access test.
#[derive(Debug)]
pub enum AccessTestOutcome {
    /// The decisions.
    Done(Box<AccessTest>),
    /// All faults of the request.
    Faulty(Vec<RequestFault>),
}

/// A fault of a hypothetical request.
#[derive(Debug)]
pub enum RequestFault {
    /// The address cannot be parsed.
    Address(TargetError),
    /// There is no account with that name.
    Account,
}

/// The facts behind the decisions, and the decisions.
#[derive(Debug)]
pub struct AccessTest {
    /// The parsed address.
    pub target: RequestTarget,
    /// The application at that address.
    pub place: AddressMatch,
    /// The account whose sessions were tested.
    pub account: Option<TestedAccount>,
    /// One result for each live session, and a last one without a session.
    pub sessions: Vec<SessionTest>,
}

/// The account of a hypothetical request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedAccount {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its groups.
    pub groups: Vec<String>,
    /// The state of the account.
    pub state: AccountState,
    /// Whether its role or a group has access; `None`: no access is required there.
    pub may_enter: Option<bool>,
}

/// The result for one session, or without a session.
#[derive(Debug)]
pub struct SessionTest {
    /// The session; `None`: a visitor who is not signed in.
    pub session: Option<TestedSession>,
    /// The decision.
    pub decision: AccessDecision,
}

/// A live session that was tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedSession {
    /// Its ID.
    pub id: SessionId,
    /// When the user signed in.
    pub signed_in_at: Timestamp,
    /// The device: `Firefox · Linux`.
    pub device: String,
    /// The IP address of the request.
    pub ip: IpAddr,
}

/// Tests what a hypothetical request would get.
pub async fn test_access(ctx: &Ctx, asked: &HypotheticalRequest) -> Result<AccessTestOutcome, FlowError> {
    let name = asked.account.as_deref().map(str::trim);
    let name = name.filter(|name| !name.is_empty());
    let found = match name {
        None => None,
        Some(name) => find(ctx, name).await?,
    };
    let nobody = (name.is_some() && found.is_none()).then_some(RequestFault::Account);
    let target = match (RequestTarget::of_url(asked.address.trim()), nobody) {
        (Ok(target), None) => target,
        (Ok(_), Some(nobody)) => return Ok(AccessTestOutcome::Faulty(vec![nobody])),
        (Err(error), nobody) => {
            let faults = std::iter::once(RequestFault::Address(error)).chain(nobody);
            return Ok(AccessTestOutcome::Faulty(faults.collect()));
        }
    };
    let in_force = ctx.current_policy().await?;
    let place = ctx.current_applications().await?.matching(&target, "GET");
    let mut sessions = Vec::new();
    if let (AddressMatch::Guarded(application), Some((account, live))) = (&place, &found) {
        for row in live {
            let row = row.clone();
            sessions.push(try_session(ctx, &in_force, asked, &target, application, account, row));
        }
    }
    sessions.push(SessionTest {
        session: None,
        decision: match &place {
            AddressMatch::Unknown => AccessDecision::Unknown,
            AddressMatch::NotCanonical => AccessDecision::NotCanonical,
            AddressMatch::Public(_) => AccessDecision::Public,
            AddressMatch::Guarded(_) => AccessDecision::NotSignedIn(None),
        },
    });
    let account = found.map(|(account, _)| tested_account(&account, &place));
    Ok(AccessTestOutcome::Done(Box::new(AccessTest {
        target,
        place,
        account,
        sessions,
    })))
}

/// Finds an account by its name, with its live sessions.
async fn find(ctx: &Ctx, name: &str) -> Result<Option<(Arc<Account>, Vec<Session>)>, FlowError> {
    let key = name_key(name);
    let found = ctx.read(move |r| {
        let Some(account) = accounts::find_by_name_key(r.connection, &key)? else {
            return Ok(None);
        };
        let live = sessions::list_live_of_account(r.connection, account.id)?;
        Ok(Some((account, live)))
    });
    let found = found.await?;
    Ok(found.map(|(account, live)| (as_of(account, ctx.now()), live)))
}

/// Returns the account as its next request would find it: its expiry may be due without being
/// written yet.
fn as_of(mut account: Account, now: Timestamp) -> Arc<Account> {
    if account.expired_at.is_none() && account.expires_at.is_some_and(|at| now > at) {
        account.expired_at = Some(now);
    }
    Arc::new(account)
}

fn tested_account(account: &Account, place: &AddressMatch) -> TestedAccount {
    TestedAccount {
        name: account.name.clone(),
        role: account.role,
        groups: account.groups.clone(),
        state: AccountState::from_flags(account.disabled_at.is_some(), account.expired_at.is_some()),
        may_enter: match place {
            AddressMatch::Guarded(application) => Some(application.admits(account.role, &account.groups)),
            AddressMatch::Unknown | AddressMatch::NotCanonical | AddressMatch::Public(_) => None,
        },
    }
}

/// Tests one session on a copy.
fn try_session(
    ctx: &Ctx,
    in_force: &PolicyInForce,
    asked: &HypotheticalRequest,
    target: &RequestTarget,
    application: &Application,
    account: &Arc<Account>,
    row: Session,
) -> SessionTest {
    let known = ctx.live.sessions.get_by_id(row.id);
    let session = LiveSession::from_row(row, known.as_ref().map(|known| known.life()));
    if let Some(reason) = known.and_then(|known| known.ended()) {
        session.end(reason);
    }
    let ip = asked.ip.unwrap_or(session.row.ip);
    let agent = asked
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
    let tested = TestedSession {
        id: session.id(),
        signed_in_at: session.row.signed_in_at,
        device: agent::describe(session.row.binding.user_agent.as_deref()),
        ip,
    };
    let decision = decide(ctx, in_force, &session, account, application, target, &request);
    SessionTest {
        session: Some(tested),
        decision,
    }
}

/// Decides as for a real request, without its writes.
fn decide(
    ctx: &Ctx,
    in_force: &PolicyInForce,
    session: &LiveSession,
    account: &Arc<Account>,
    application: &Application,
    target: &RequestTarget,
    request: &RequestFacts<'_>,
) -> AccessDecision {
    let now = ctx.now();
    // Outside the cookie domain browsers send only the cookie that the host set, if there is one.
    let host = if ctx.config.cookie_reaches(target.host()) {
        ""
    } else {
        target.host()
    };
    let current = |token: &&SessionToken| token.killed_at.is_none() && token.rotated.is_none() && token.host == host;
    let Some(presented) = session.row.tokens.iter().find(current) else {
        return AccessDecision::NotSignedIn(None);
    };
    let policy = rules_at(in_force, &session.row.applications, account, Some(application));
    let evidence = assumed_device(session, presented, now);
    match judge_row(session, presented, account, (request, evidence), &policy, now) {
        SessionVerdict::Ended { reason } => AccessDecision::NotSignedIn(Some(reason)),
        SessionVerdict::Duty {
            what: Duty::DeviceProof(fault),
            ..
        } => AccessDecision::Unproved(fault),
        SessionVerdict::Duty { what, .. } => AccessDecision::Duty(what),
        SessionVerdict::Live(_) if !application.admits(account.role, &account.groups) => {
            AccessDecision::NotAllowed(account.name.clone())
        }
        SessionVerdict::Live(live) => {
            let digest = presented.digest.clone();
            let touched = Arc::new(apply_effect(session, &live, now));
            let admitted = AdmittedSession::new(touched, account.clone(), policy, digest, (None, live.enrol_by));
            AccessDecision::Admitted(Box::new(admitted))
        }
    }
}

/// Updates the copy as the request would, to find the remaining time.
fn apply_effect(session: &LiveSession, live: &LiveEffect, now: Timestamp) -> LiveSession {
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
