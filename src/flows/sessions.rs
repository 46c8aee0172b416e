//! Looking at sessions and ending them, as an administrator or as their owner.

use super::{Acting, Ctx, FlowError, endings::Ending};
use crate::{
    domain::{
        account::{AccountId, Role},
        agent,
        audit::Event,
        policy::{Scope, effective::Idle},
        session::{End, EndReason, SessionId, ends_at},
        time::{Span, Timestamp},
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        audit::{self, AuditFilter, AuditRow},
        sessions::{self, ListState, Session, SessionFilter, SessionRow, SweepBounds},
    },
};
use std::sync::Arc;

/// A session of a list, judged by the same code that ends it.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// As stored: lists page by its instants.
    pub row: SessionRow,
    /// With the activity that this instance has not written yet.
    pub last_active_at: Timestamp,
    /// When it ends if nothing happens, and why; `None` = never, or ended.
    pub ends: Option<End>,
    /// The scope whose rule that is.
    pub ends_scope: Option<Scope>,
    /// Live at this moment, whatever the sweep has marked.
    pub live: bool,
}

pub struct SessionList {
    pub items: Vec<SessionView>,
    pub total: i64,
    /// False: there are more than `total`.
    pub total_exact: bool,
    pub newer: bool,
    pub older: bool,
}

pub struct SessionDetail {
    pub view: SessionView,
    pub account: Account,
    pub events: Vec<AuditRow>,
}

/// Matches counted at most for a page; an exact count of more takes longer than the page.
const COUNT_CAP: i64 = 10_000;
/// Sessions that one *end matching* ends in one write.
const BATCH: i64 = 500;

pub async fn list(ctx: &Ctx, filter: SessionFilter) -> Result<SessionList, FlowError> {
    let in_force = ctx.current_policy().await?;
    let (page, (total, total_exact)) = ctx
        .store
        .read(move |c| {
            Ok::<_, StoreError>((
                sessions::list(c, &filter)?,
                sessions::count_up_to(c, &filter, COUNT_CAP)?,
            ))
        })
        .await?;
    let items = page.items.into_iter().map(|row| ctx.view(&in_force, row)).collect();
    Ok(SessionList {
        items,
        total,
        total_exact,
        newer: page.newer,
        older: page.older,
    })
}

/// How many sessions a filter matches.
pub async fn count(ctx: &Ctx, filter: SessionFilter) -> Result<i64, FlowError> {
    Ok(ctx.store.read(move |c| sessions::count(c, &filter)).await?)
}

/// The account's live sessions, most recently active first.
pub async fn mine(ctx: &Ctx, account: AccountId) -> Result<Vec<SessionView>, FlowError> {
    let filter = SessionFilter {
        account: Some(account),
        limit: 200,
        ..SessionFilter::default()
    };
    let mut views = list(ctx, filter).await?.items;
    views.retain(|view| view.live);
    Ok(views)
}

pub async fn detail(ctx: &Ctx, id: SessionId) -> Result<Option<SessionDetail>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let found = ctx
        .store
        .read(move |c| {
            let Some(session) = sessions::find(c, id)? else {
                return Ok(None);
            };
            let Some(account) = accounts::find(c, session.account_id)? else {
                return Ok(None);
            };
            let events = audit::list(
                c,
                &AuditFilter {
                    session: Some(id),
                    limit: 100,
                    ..AuditFilter::default()
                },
            )?
            .items;
            Ok::<_, StoreError>(Some((session, account, events)))
        })
        .await?;
    Ok(found.map(|(session, account, events)| {
        let row = SessionRow {
            account_name: account.name.clone(),
            role: account.role,
            session,
        };
        SessionDetail {
            view: ctx.view(&in_force, row),
            account,
            events,
        }
    }))
}

/// Ends these sessions as an administrator; how many were live.
pub async fn end(ctx: &Ctx, acting: &Acting, ids: Vec<SessionId>) -> Result<usize, FlowError> {
    ctx.end_sessions(acting, ids, EndReason::Revoked).await
}

/// Ends every live session that matches but `keep`, also what a page does not show.
pub async fn end_matching(
    ctx: &Ctx,
    acting: &Acting,
    filter: SessionFilter,
    keep: Option<SessionId>,
) -> Result<usize, FlowError> {
    let state = match filter.state {
        ListState::Ended => return Ok(0),
        ListState::All | ListState::Active => ListState::Active,
        ListState::Flagged => ListState::Flagged,
    };
    let filter = SessionFilter { state, ..filter };
    let mut ended = 0;
    loop {
        let matching = filter.clone();
        let mut ids = ctx.store.read(move |c| sessions::ids(c, &matching, BATCH)).await?;
        ids.retain(|id| Some(*id) != keep);
        if ids.is_empty() {
            return Ok(ended);
        }
        ended += ctx.end_sessions(acting, ids, EndReason::Revoked).await?;
    }
}

/// Ends all sessions of an account.
pub async fn end_account(ctx: &Ctx, acting: &Acting, account: AccountId) -> Result<usize, FlowError> {
    let filter = SessionFilter {
        account: Some(account),
        ..SessionFilter::default()
    };
    end_matching(ctx, acting, filter, None).await
}

/// Ends one of the account's own sessions. False: there is none of that id that is theirs and live.
pub async fn end_mine(ctx: &Ctx, acting: &Acting, account: AccountId, id: SessionId) -> Result<bool, FlowError> {
    let owner = ctx
        .store
        .read(move |c| sessions::find(c, id))
        .await?
        .map(|session| session.account_id);
    if owner != Some(account) {
        return Ok(false);
    }
    Ok(ctx.end_sessions(acting, vec![id], EndReason::Revoked).await? == 1)
}

/// The same for one that its owner does not know: what it signed in with is no friend of the account any more.
pub async fn disown_mine(ctx: &Ctx, acting: &Acting, account: AccountId, id: SessionId) -> Result<bool, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    let ended = ctx
        .store
        .write(move |c| {
            let found = flow.held_in(c, vec![id])?.pop();
            let Some((session, owner)) = found.filter(|(session, _)| session.account_id == account) else {
                return Ok(false);
            };
            let ending = Ending {
                session: &session,
                account_name: &owner.name,
                reason: EndReason::Revoked,
                at: now,
                acting: &acting,
                detail: serde_json::Value::Null,
            };
            if !flow.end_in(c, now, &ending)? {
                return Ok(false);
            }
            let device = agent::describe(session.binding.user_agent.as_deref());
            flow.forget_stranger_in(c, account, &device, Some(session.signed_in_ip))?;
            let detail = serde_json::json!({
                "device": device, "ip": session.signed_in_ip, "signed_in_at": session.signed_in_at.to_rfc3339(),
            });
            let entry = flow.entry_of(&acting, Event::SignInDisowned, Some((account, &owner.name)), detail);
            flow.record(c, now, &entry)?;
            Ok::<_, StoreError>(true)
        })
        .await?;
    if ended {
        ctx.forget_ended(&[id], EndReason::Revoked);
    }
    Ok(ended)
}

/// Ends the account's sessions but one; how many.
pub async fn end_others(ctx: &Ctx, acting: &Acting, account: AccountId, keep: SessionId) -> Result<usize, FlowError> {
    let sessions = ctx.store.read(move |c| sessions::live_of_account(c, account)).await?;
    let others = sessions
        .into_iter()
        .map(|session| session.id)
        .filter(|id| *id != keep)
        .collect();
    ctx.end_sessions(acting, others, EndReason::Revoked).await
}

impl Ctx {
    pub(super) fn view(&self, in_force: &InForce, row: SessionRow) -> SessionView {
        if row.session.ended_at.is_some() {
            return SessionView {
                last_active_at: row.session.last_active_at,
                row,
                ends: None,
                ends_scope: None,
                live: false,
            };
        }
        let policy = in_force.effective(row.role, &row.session.applications, None);
        let life = self.life_of(&row.session);
        let ends = ends_at(&life, &policy);
        SessionView {
            last_active_at: life.last_active_at,
            live: ends.is_none_or(|end| self.now() <= end.at),
            ends_scope: ends
                .and_then(|end| policy.lifetimes.get(end.rule))
                .map(|rule| rule.scope.clone()),
            ends,
            row,
        }
    }

    /// The sessions that are there, by id, their owners' rows held: administrators, accounts by id, sessions by id, as all writes do.
    fn held_in(&self, c: &mut Conn, mut ids: Vec<SessionId>) -> Result<Vec<(Session, Account)>, StoreError> {
        accounts::lock_administrators(c)?;
        ids.sort();
        ids.dedup();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(sessions::find(c, id)?);
        }
        let mut owners: Vec<AccountId> = found.iter().map(|session| session.account_id).collect();
        owners.sort();
        owners.dedup();
        let mut held = std::collections::BTreeMap::new();
        for owner in owners {
            sessions::lock_account_sessions(c, owner)?;
            held.extend(accounts::find(c, owner)?.map(|account| (owner, account)));
        }
        let with_owner = |session: Session| held.get(&session.account_id).cloned().map(|account| (session, account));
        Ok(found.into_iter().filter_map(with_owner).collect())
    }

    /// Ends sessions in one write. Those that this instance knows end at once even if the write fails; then the sweep writes them.
    async fn end_sessions(&self, acting: &Acting, ids: Vec<SessionId>, reason: EndReason) -> Result<usize, FlowError> {
        let (flow, acting, now) = (self.clone(), acting.clone(), self.now());
        self.hold_endings(&ids, reason, now);
        let wanted = ids.clone();
        let ended = self
            .store
            .write(move |c| {
                let mut ended = 0;
                for (session, account) in flow.held_in(c, wanted)? {
                    let ending = Ending {
                        session: &session,
                        account_name: &account.name,
                        reason,
                        at: now,
                        acting: &acting,
                        detail: serde_json::Value::Null,
                    };
                    ended += usize::from(flow.end_in(c, now, &ending)?);
                }
                Ok::<_, StoreError>(ended)
            })
            .await?;
        self.forget_ended(&ids, reason);
        Ok(ended)
    }
}

/// Sessions that one sweep looks at in one read.
const SWEEP_PAGE: i64 = 500;

/// Marks the sessions that a rule has ended; the job calls it. How many.
pub async fn sweep(ctx: &Ctx) -> Result<usize, FlowError> {
    ctx.sweep_sessions().await
}

/// The bounds of the strictest rule of any scope.
fn bounds(in_force: &InForce, now: Timestamp) -> SweepBounds {
    let applications: Vec<String> = in_force.policy.document().applications.keys().cloned().collect();
    let mut due = SweepBounds::default();
    for role in [Role::Member, Role::Administrator] {
        let policy = in_force.effective(role, &applications, None);
        for rule in &policy.lifetimes {
            due.signed_in_before = due.signed_in_before.max(Some(now.saturating_sub(rule.ttl)));
            match rule.idle {
                Idle::Never => {}
                Idle::After(idle) => {
                    due.active_before = due.active_before.max(Some(now.saturating_sub(idle)));
                    if let Some(renewal) = rule.renewal {
                        let longest = renewal.as_micros() / idle.as_micros().max(1) * idle.as_micros();
                        let longest = Span::from_micros(longest.saturating_add(idle.as_micros()));
                        due.signed_in_before = due.signed_in_before.max(Some(now.saturating_sub(longest)));
                    }
                }
                Idle::WindowOpen => {
                    due.seen_before = due.seen_before.max(Some(now.saturating_sub(policy.window_close_grace)));
                }
            }
        }
    }
    due
}

impl Ctx {
    /// Marks the sessions that a rule has ended, at the instant at which it did. How many.
    pub(super) async fn sweep_sessions(&self) -> Result<usize, FlowError> {
        let in_force = self.current_policy().await?;
        let now = self.now();
        let due = bounds(&in_force, now);
        let (mut after, mut ended) = (None, 0);
        loop {
            let candidates = self
                .store
                .read(move |c| sessions::sweep_candidates(c, &due, after, SWEEP_PAGE))
                .await?;
            let Some(last) = candidates.last().map(|row| row.session.id) else {
                return Ok(ended);
            };
            after = Some(last);
            ended += self.end_due(&in_force, candidates, now).await?;
        }
    }

    async fn end_due(
        &self,
        in_force: &Arc<InForce>,
        candidates: Vec<SessionRow>,
        now: Timestamp,
    ) -> Result<usize, FlowError> {
        let (flow, in_force) = (self.clone(), in_force.clone());
        let looks_due = |row: &SessionRow| {
            let policy = in_force.effective(row.role, &row.session.applications, None);
            ends_at(&self.life_of(&row.session), &policy).is_some_and(|end| now > end.at)
        };
        let due: Vec<SessionRow> = candidates.into_iter().filter(looks_due).collect();
        if due.is_empty() {
            return Ok(0);
        }
        let ended = self
            .store
            .write(move |c| {
                let mut ended = Vec::new();
                // As they are now: another instance may have seen activity since the page was read.
                let due = due.iter().map(|row| row.session.id).collect();
                for (session, account) in flow.held_in(c, due)? {
                    let Some((at, reason)) = flow.ended_by_rule(&in_force, &account, &session, now) else {
                        continue;
                    };
                    let ending = Ending {
                        session: &session,
                        account_name: &account.name,
                        reason,
                        at,
                        acting: &Acting::system(),
                        detail: serde_json::Value::Null,
                    };
                    if flow.end_in(c, now, &ending)? {
                        ended.push((session.id, reason));
                    }
                }
                Ok::<_, StoreError>(ended)
            })
            .await?;
        for (id, reason) in &ended {
            self.forget_ended(&[*id], *reason);
        }
        Ok(ended.len())
    }
}
