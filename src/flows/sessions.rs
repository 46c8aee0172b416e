//! Reading and ending sessions, for administrators and owners.

use super::{Ctx, FlowError, Initiator, Read, Write, patience::with_long_patience, session_ends::SessionEnd};
use crate::{
    domain::{
        account::{Account, AccountId, Role},
        agent,
        audit::{AuditFilter, AuditRecord, Event},
        policy::{Scope, effective::IdleTimeout},
        session::{
            AccountSession, EndCause, EndReason, LifetimeEnd, SessionEnder, SessionFilter, SessionId, SessionListState,
            SweepBounds, ends_at,
        },
        time::{Span, Timestamp},
    },
    live::{held_ends::HeldScope, policy::PolicyInForce},
    store::{StoreError, accounts, audit, sessions},
};

/// A session of a list, judged by the same code that ends sessions.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The stored row; lists are paged by its instants.
    pub row: AccountSession,
    /// The latest activity, including activity that this instance has not written yet.
    pub last_active_at: Timestamp,
    /// When and why it ends without further activity; `None`: never, or already ended.
    pub ends: Option<LifetimeEnd>,
    /// The scope of that rule.
    pub ends_scope: Option<Scope>,
    /// Whether it is live at this moment, even if the sweep has not marked its end yet.
    pub live: bool,
    /// When it ended, why, and the rule behind it; `None` while it is live.
    pub ended: Option<EndedView>,
    /// Name of the source of its account, `local` or `deleted`.
    pub source: String,
}

/// The end of a listed session.
#[derive(Debug, Clone)]
pub struct EndedView {
    /// The exact instant.
    pub at: Timestamp,
    /// Why it ended; `None` if the row does not say.
    pub reason: Option<EndReason>,
    /// The person who ended it, if any.
    pub by: Option<String>,
    /// The rule and the policy of that time; `None` in rows from before these were stored.
    pub cause: Option<EndCause>,
}

impl EndedView {
    /// Explains why the session of `owner` ended; `None`: the row does not say.
    pub fn sentence(&self, owner: &str) -> Option<String> {
        let person = self.by.as_deref();
        Some(
            self.cause
                .as_ref()?
                .sentence(self.reason?, SessionEnder { person, owner }),
        )
    }
}

/// One page of sessions.
pub struct SessionList {
    /// The sessions of the page.
    pub items: Vec<SessionView>,
    /// The number of all matches.
    pub total: i64,
    /// Whether `total` is exact; otherwise there are more.
    pub total_exact: bool,
    /// Whether there is a page before this one.
    pub newer: bool,
    /// Whether there is a page after this one.
    pub older: bool,
}

/// A session as its own page shows it.
pub struct SessionDetail {
    /// The session as lists show it.
    pub view: SessionView,
    /// Its account.
    pub account: Account,
    /// Its audit events.
    pub events: Vec<AuditRecord>,
}

/// Maximum number of matches that are counted for a page; an exact count of more would take longer
/// than the page.
const COUNT_CAP: i64 = 10_000;

/// Lists the sessions that a filter matches, each judged as its next request would be.
pub async fn list(ctx: &Ctx, filter: SessionFilter) -> Result<SessionList, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let page = sessions::list(r.connection, &filter)?;
        let (total, total_exact) = sessions::count_up_to(r.connection, &filter, COUNT_CAP)?;
        Ok(SessionList {
            items: page
                .items
                .into_iter()
                .map(|row| r.session_view(&in_force, row))
                .collect(),
            total,
            total_exact,
            newer: page.newer,
            older: page.older,
        })
    })
    .await
}

/// Counts the sessions that a filter matches.
pub async fn count(ctx: &Ctx, filter: SessionFilter) -> Result<i64, FlowError> {
    ctx.read(move |r| Ok(sessions::count(r.connection, &filter)?)).await
}

/// Lists the account's live sessions, most recently active first.
pub async fn list_own(ctx: &Ctx, account: AccountId) -> Result<Vec<SessionView>, FlowError> {
    let filter = SessionFilter {
        account: Some(account),
        limit: 200,
        ..SessionFilter::default()
    };
    let mut views = list(ctx, filter).await?.items;
    views.retain(|view| view.live);
    Ok(views)
}

/// Returns one session with its owner and its history; `None`: it does not exist.
pub async fn detail(ctx: &Ctx, id: SessionId) -> Result<Option<SessionDetail>, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let Some(session) = sessions::find(r.connection, id)? else {
            return Ok(None);
        };
        let Some(account) = accounts::find(r.connection, session.account_id)? else {
            return Ok(None);
        };
        let filter = AuditFilter {
            session: Some(id),
            limit: 100,
            ..AuditFilter::default()
        };
        let events = audit::list(r.connection, &filter)?.items;
        let row = AccountSession {
            account_name: account.name.clone(),
            role: account.role,
            source: account.source,
            session,
        };
        Ok(Some(SessionDetail {
            view: r.session_view(&in_force, row),
            account,
            events,
        }))
    })
    .await
}

/// What the bearer of an ended session's token may know about its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnEnd {
    /// The limit that ended it, as a sentence.
    pub sentence: String,
    /// The latest activity.
    pub last_active_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
}

/// Explains to the bearer of its token why a session ended. `None`: there is no such session, it is
/// live, or no limit that counts time ended it.
pub async fn explain_own_end(ctx: &Ctx, token_digest: String) -> Result<Option<OwnEnd>, FlowError> {
    ctx.read(move |r| {
        let found = sessions::find_by_digest(r.connection, &token_digest)?;
        Ok(found.and_then(|session| {
            let cause = session.end_cause.as_ref()?;
            Some(OwnEnd {
                sentence: cause.limit_sentence(session.end_reason?)?,
                last_active_at: cause.last_active_at,
                at: session.ended_at?,
            })
        }))
    })
    .await
}

/// Ends these sessions for an administrator and returns how many were live.
pub async fn end(ctx: &Ctx, initiator: &Initiator, ids: Vec<SessionId>) -> Result<usize, FlowError> {
    let end = ctx.new_end(initiator, HeldScope::Sessions(ids), EndReason::Revoked);
    ctx.end_with_form(end).await
}

/// Ends every live session that matches except `keep`, including those that a page does not show;
/// returns their number.
pub async fn end_matching(
    ctx: &Ctx,
    initiator: &Initiator,
    filter: SessionFilter,
    keep: Option<SessionId>,
) -> Result<usize, FlowError> {
    match matching_scope(filter, keep) {
        Some(scope) => with_long_patience(ctx.end_with_form(ctx.new_end(initiator, scope, EndReason::Revoked))).await,
        None => Ok(0),
    }
}

/// Holds the end of every live session that matches, because the database does not answer. The
/// filter is evaluated when it does. Returns [`FlowError::EndHeld`], or why it is not held.
pub fn hold_matching(ctx: &Ctx, initiator: &Initiator, filter: SessionFilter, keep: Option<SessionId>) -> FlowError {
    let end = matching_scope(filter, keep).map(|scope| ctx.new_end(initiator, scope, EndReason::Revoked));
    let words = "the matching sessions could not be counted";
    ctx.hold_all(end.into_iter().collect(), words.to_owned())
}

/// Returns the scope of the live sessions that match; `None`: there can be none.
fn matching_scope(filter: SessionFilter, keep: Option<SessionId>) -> Option<HeldScope> {
    let state = match filter.state {
        SessionListState::Ended => return None,
        SessionListState::All | SessionListState::Active => SessionListState::Active,
        SessionListState::Flagged => SessionListState::Flagged,
    };
    let filter = Box::new(SessionFilter {
        state,
        after: None,
        before: None,
        limit: 0,
        ..filter
    });
    Some(HeldScope::Matching { filter, keep })
}

/// Ends all sessions of an account and returns how many were live.
pub async fn end_account(ctx: &Ctx, initiator: &Initiator, account: AccountId) -> Result<usize, FlowError> {
    ctx.end_now(ctx.new_end(initiator, HeldScope::Account(account), EndReason::Revoked))
        .await
}

/// Ends one of the initiator's own sessions. Returns false if they have no live session with this
/// id.
pub async fn end_own_session(ctx: &Ctx, initiator: &Initiator, id: SessionId) -> Result<bool, FlowError> {
    let end = ctx.new_end(initiator, HeldScope::OwnSessions(vec![id]), EndReason::Revoked);
    Ok(ctx.end_now(end).await? == 1)
}

/// Ends a session that its owner does not recognize, like [`end_own_session`]. The account also
/// forgets the device and the network of its sign-in.
pub async fn report_own_session(
    ctx: &Ctx,
    initiator: &Initiator,
    account: AccountId,
    id: SessionId,
) -> Result<bool, FlowError> {
    let reported = ctx.write(initiator, move |w| {
        let found = w.hold_sessions(vec![id])?.pop();
        let Some((session, owner)) = found.filter(|(session, _)| session.account_id == account) else {
            return Ok(false);
        };
        if !w.end_session(&session, &owner.name, EndReason::Revoked)? {
            return Ok(false);
        }
        let device = agent::describe(session.binding.user_agent.as_deref());
        w.forget_stranger(account, &device, Some(session.signed_in_ip))?;
        let entry = w.entry(Event::SignInReported).with_account(account, &owner.name);
        w.record(&entry.with_detail(serde_json::json!({
            "device": device, "ip": session.signed_in_ip, "signed_in_at": session.signed_in_at.to_rfc3339(),
        })))?;
        Ok(true)
    });
    // The session ends immediately, even if the report fails.
    let end = || ctx.new_end(initiator, HeldScope::OwnSessions(vec![id]), EndReason::Revoked);
    ctx.hold_on_failure(reported.await, || vec![end()])
}

/// Ends the initiator's other sessions and returns how many.
pub async fn end_others(ctx: &Ctx, initiator: &Initiator) -> Result<usize, FlowError> {
    ctx.end_now(ctx.new_end(initiator, HeldScope::OtherSessions, EndReason::Revoked))
        .await
}

impl Read<'_> {
    /// Returns a row as its next request would be judged.
    pub(super) fn session_view(&self, in_force: &PolicyInForce, row: AccountSession) -> SessionView {
        let source = self.ctx.source_name(row.source);
        if let Some(at) = row.session.ended_at {
            let cause = row.session.end_cause.as_ref();
            return SessionView {
                source,
                last_active_at: cause.map_or(row.session.last_active_at, |cause| cause.last_active_at),
                ended: Some(EndedView {
                    at,
                    reason: row.session.end_reason,
                    by: row.session.ended_by.clone(),
                    cause: row.session.end_cause.clone(),
                }),
                row,
                ends: None,
                ends_scope: None,
                live: false,
            };
        }
        let policy = in_force.effective(row.role, &row.session.applications, None);
        let life = self.ctx.life_of(&row.session);
        let ends = ends_at(&life, &policy);
        let overdue = ends.filter(|end| self.now > end.at);
        SessionView {
            source,
            ended: overdue.map(|end| EndedView {
                at: end.at,
                reason: Some(end.reason),
                by: None,
                cause: Some(EndCause::new(
                    end.reason,
                    &life,
                    row.role,
                    &row.session.applications,
                    &in_force.policy,
                )),
            }),
            last_active_at: life.last_active_at,
            live: ends.is_none_or(|end| self.now <= end.at),
            ends_scope: ends
                .and_then(|end| policy.lifetimes.get(end.rule))
                .map(|rule| rule.scope.clone()),
            ends,
            row,
        }
    }
}

impl Write<'_> {
    /// Ends sessions that a rule has ended, at that instant; returns their number.
    fn end_overdue(&mut self, in_force: &PolicyInForce, due: Vec<SessionId>) -> Result<usize, StoreError> {
        let mut ended = 0;
        // Read again, because another instance may have seen activity since the page was read.
        for (session, account) in self.hold_sessions(due)? {
            let Some((at, reason)) = self.ctx.ended_by_rule(in_force, &account, &session, self.now) else {
                continue;
            };
            ended += usize::from(self.write_session_end(&SessionEnd {
                session: &session,
                account_name: &account.name,
                reason,
                at,
                detail: serde_json::Value::Null,
            })?);
        }
        Ok(ended)
    }
}

/// Number of sessions that a sweep reads at a time.
const SWEEP_PAGE: i64 = 500;

/// Marks the sessions that a rule has ended and returns their number. Called by a job.
pub async fn sweep(ctx: &Ctx) -> Result<usize, FlowError> {
    ctx.sweep_sessions().await
}

/// Returns the bounds of the strictest rule of any scope.
fn sweep_bounds(in_force: &PolicyInForce, now: Timestamp) -> SweepBounds {
    let applications: Vec<String> = in_force.policy.document().applications.keys().cloned().collect();
    let mut due = SweepBounds::default();
    for role in [Role::Member, Role::Administrator] {
        let policy = in_force.effective(role, &applications, None);
        for rule in &policy.lifetimes {
            due.signed_in_before = due.signed_in_before.max(Some(now.saturating_sub(rule.ttl)));
            match rule.idle {
                IdleTimeout::Never => {}
                IdleTimeout::After(idle) => {
                    due.active_before = due.active_before.max(Some(now.saturating_sub(idle)));
                    if let Some(renewal) = rule.renewal {
                        let longest = renewal.as_micros() / idle.as_micros().max(1) * idle.as_micros();
                        let longest = Span::from_micros(longest.saturating_add(idle.as_micros()));
                        due.signed_in_before = due.signed_in_before.max(Some(now.saturating_sub(longest)));
                    }
                }
                IdleTimeout::WindowOpen => {
                    due.seen_before = due.seen_before.max(Some(now.saturating_sub(policy.window_close_grace)));
                }
            }
        }
    }
    due
}

impl Ctx {
    /// Marks the sessions that a rule has ended, at that instant, and returns their number.
    pub(super) async fn sweep_sessions(&self) -> Result<usize, FlowError> {
        let in_force = self.current_policy().await?;
        let now = self.now();
        let due = sweep_bounds(&in_force, now);
        let (mut after, mut ended) = (None, 0);
        loop {
            let candidates = self
                .store
                .read(move |connection| sessions::sweep_candidates(connection, &due, after, SWEEP_PAGE))
                .await?;
            let Some(last) = candidates.last().map(|row| row.session.id) else {
                return Ok(ended);
            };
            after = Some(last);
            let overdue: Vec<SessionId> = candidates
                .into_iter()
                .filter(|row| self.is_overdue(&in_force, row, now))
                .map(|row| row.session.id)
                .collect();
            if !overdue.is_empty() {
                let in_force = in_force.clone();
                let end = move |w: &mut Write<'_>| Ok(w.end_overdue(&in_force, overdue)?);
                ended += self.write_as_system(end).await?;
            }
        }
    }

    fn is_overdue(&self, in_force: &PolicyInForce, row: &AccountSession, now: Timestamp) -> bool {
        let policy = in_force.effective(row.role, &row.session.applications, None);
        ends_at(&self.life_of(&row.session), &policy).is_some_and(|end| now > end.at)
    }
}
