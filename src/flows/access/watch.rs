//! The state of a session that a page guard watches. It is judged like the owner's next request
//! from the accepted network and browser; nothing is refreshed, recorded or ended.

use super::{
    reread,
    rules::{assumed_device, judge_row, rules_at},
};
use crate::{
    domain::{
        account::{Account, AccountId},
        activity::RequestKind,
        application::Application,
        session::{
            Duty, EndReason, RequestFacts, SessionId, SessionToken, SessionVerdict, ends_at, usable_unbound_until,
            warning,
        },
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError},
    live::sessions::LiveSession,
    store::{accounts, sessions},
};
use std::{net::IpAddr, sync::Arc};

/// The session that a page watches, and where the page is.
#[derive(Debug, Clone)]
pub struct WatchedSession {
    /// The session.
    pub session: SessionId,
    /// Its account.
    pub account: AccountId,
    /// Digest of the token that opened the stream.
    pub token_digest: String,
    /// Host, as tokens store it.
    pub host: String,
    /// The application of the page.
    pub application: Option<Arc<Application>>,
}

/// The state of a watched session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchedState {
    /// It lives.
    Live,
    /// It lives, and ends soon.
    Warned,
    /// It is over.
    Ended,
    /// It lives, but under another token than the one that opened the stream.
    Replaced,
}

/// A watched session as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Its state.
    pub state: WatchedState,
    /// What its owner must do first.
    pub duty: Option<Duty>,
    /// When its state changes by time alone; `None`: never.
    pub next: Option<Timestamp>,
}

impl Observation {
    const fn over(state: WatchedState) -> Self {
        Self {
            state,
            duty: None,
            next: None,
        }
    }

    /// `limits`: the last instants at which the session has no further duty.
    fn live(warns_at: Option<Timestamp>, warns: bool, limits: &[Option<Timestamp>], duty: Option<Duty>) -> Self {
        let after = |at: &Timestamp| at.saturating_add(Span::from_micros(1));
        let over = limits.iter().flatten().map(after);
        let (state, warning) = match warns {
            true => (WatchedState::Warned, None),
            false => (WatchedState::Live, warns_at),
        };
        let next = over.chain(warning).min();
        Self { state, duty, next }
    }
}

/// Returns the state of a watched session. Before it warns or is over for idleness, the store is
/// asked, because another instance may have seen activity.
pub async fn observe(ctx: &Ctx, watched: &WatchedSession) -> Result<Observation, FlowError> {
    let mut turn = None;
    if find_in_memory(ctx, watched).is_none() {
        turn = ctx.live.streams.reading_turn().await;
    }
    let in_force = ctx.current_policy().await?;
    let Some((mut session, account)) = find(ctx, watched).await? else {
        return Ok(Observation::over(WatchedState::Ended));
    };
    for asked_the_store in [false, true] {
        if session.ended().is_some() {
            return Ok(Observation::over(WatchedState::Ended));
        }
        let usable = |token: &&SessionToken| token.killed_at.is_none() && token.opens(&watched.host);
        let Some(token) = session.token(&watched.token_digest).filter(usable) else {
            return Ok(Observation::over(WatchedState::Replaced));
        };
        if token.rotated.is_some() {
            return Ok(Observation::over(WatchedState::Replaced));
        }
        let policy = rules_at(
            &in_force,
            &session.row.applications,
            &account,
            watched.application.as_deref(),
        );
        let now = ctx.now();
        let device = assumed_device(&session, token, now);
        let request = (&owners_request(&session), device);
        let verdict = judge_row(&session, token, &account, request, &policy, now);
        let (duty, enrol_by) = match verdict {
            SessionVerdict::Ended {
                reason: EndReason::Idle | EndReason::WindowClosed,
            } if !asked_the_store => (None, None),
            SessionVerdict::Ended { .. } => return Ok(Observation::over(WatchedState::Ended)),
            SessionVerdict::Live(live) => (None, live.enrol_by),
            SessionVerdict::Duty { what, .. } => (Some(what), None),
        };
        let life = session.life();
        let end = ends_at(&life, &policy);
        let warns_at = end.and_then(|end| Some(end.at.saturating_sub(warning(&end, &life, &policy)?)));
        let warns = warns_at.is_some_and(|at| now >= at) || end.is_some_and(|end| now > end.at);
        if warns && !asked_the_store {
            if turn.is_none() {
                turn = ctx.live.streams.reading_turn().await;
            }
            session = match Box::pin(reread(ctx, &session)).await? {
                Some(session) => session,
                None => return Ok(Observation::over(WatchedState::Ended)),
            };
            continue;
        }
        // A duty that has begun has no further limit.
        let bind_by = usable_unbound_until(device, &policy.device).filter(|by| now <= *by);
        let limits = [end.map(|end| end.at), enrol_by, bind_by];
        return Ok(Observation::live(warns_at, warns, &limits, duty));
    }
    Ok(Observation::over(WatchedState::Ended))
}

/// Returns the next request of the owner: from the accepted network and browser, so that neither
/// decides.
fn owners_request(session: &LiveSession) -> RequestFacts<'_> {
    let binding = &session.row.binding;
    let accepted = binding
        .accepted_v4
        .map(IpAddr::V4)
        .or(binding.accepted_v6.map(IpAddr::V6));
    RequestFacts {
        ip: accepted.unwrap_or(session.row.signed_in_ip),
        user_agent: binding.user_agent.as_deref(),
        kind: RequestKind {
            check: true,
            ..RequestKind::default()
        },
    }
}

/// Finds session and account in memory, if it can be trusted.
fn find_in_memory(ctx: &Ctx, watched: &WatchedSession) -> Option<(Arc<LiveSession>, Arc<Account>)> {
    let live = &ctx.live;
    let session = live.sessions.get_by_id(watched.session)?;
    let account = live.accounts.get(watched.account)?;
    live.freshness.is_fresh().then_some((session, account))
}

async fn find(ctx: &Ctx, watched: &WatchedSession) -> Result<Option<(Arc<LiveSession>, Arc<Account>)>, FlowError> {
    // Another stream may have read it meanwhile.
    if let Some(known) = find_in_memory(ctx, watched) {
        return Ok(Some(known));
    }
    let live = &ctx.live;
    let epoch = live.epoch();
    let (id, account) = (watched.session, watched.account);
    let found = ctx.read(move |r| {
        let session = sessions::find(r.connection, id)?;
        Ok(session.zip(accounts::find(r.connection, account)?))
    });
    let found = Box::pin(found).await?;
    Ok(found.map(|(session, account)| {
        let session = live.sessions.remember(session, epoch);
        (session, live.accounts.remember(account, epoch))
    }))
}
