//! Is the bearer of this token let in? From memory when the line to the database is alive, else from the database;
//! judged by the domain; what the verdict asks for is written before the answer. Doubt refuses.

use super::{Acting, Ctx, FlowError, endings::Ending};
use crate::{
    domain::{
        account::{AccountId, Role},
        activity::RequestKind,
        audit::{Actor, Entry, Event, Origin, Outcome},
        password,
        policy::effective::{EffectivePolicy, Idle},
        secret::{self, Secret},
        session::{
            AccountState, Binding, Duty, EndReason, Live as LiveVerdict, Record, RequestFacts, SessionFacts, SessionId,
            TokenFacts, Verdict, judge,
        },
        time::{Span, Timestamp},
    },
    live::{policy::InForce, sessions::LiveSession},
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        changes::{self, ChangeKind},
        sessions::{self, Session, Token},
    },
};
use std::{net::IpAddr, sync::Arc};

/// Activity counts as possibly unwritten for so long, in seconds (the flush job runs every second).
const FLUSH_SECS: i64 = 5;

/// What the gate answers.
#[derive(Debug)]
pub enum Access {
    /// No such session, or a token that was replaced for good.
    Anonymous,
    /// The cookie named a session that ended.
    Ended(EndReason),
    Admitted(Box<Admitted>),
}

/// A live session, judged for this request.
#[derive(Debug)]
pub struct Admitted {
    pub session: Arc<LiveSession>,
    pub account: Arc<Account>,
    pub policy: Arc<EffectivePolicy>,
    pub duty: Option<Duty>,
    /// A new token to hand to the browser: the session was rotated.
    pub rotated_to: Option<Secret>,
    /// `cookie_form` of the presented token: how its cookie was issued.
    pub cookie_form: String,
}

/// Judges the bearer of `token` for `request`.
pub async fn admit(
    ctx: &Ctx,
    token: &str,
    request: &RequestFacts<'_>,
    origin: impl Fn() -> Origin,
) -> Result<Access, FlowError> {
    let digest = secret::digest(token);
    let now = ctx.now();
    let in_force = ctx.current_policy().await?;
    let Some((mut session, mut account)) = find(ctx, &digest).await? else {
        return Ok(Access::Anonymous);
    };
    if account.expires_at.is_some_and(|at| now > at) && account.expired_at.is_none() {
        account = ctx.expire_if_due(account.id).await?;
    }
    for asked_the_store in [false, true] {
        let Some(presented) = session.token(&digest).filter(|token| token.killed_at.is_none()) else {
            return Ok(Access::Anonymous);
        };
        let policy = in_force.effective(account.role, &session.row.applications, None);
        match judge_row(&session, presented, &account, request, &policy, now) {
            Verdict::Ended { reason } => {
                if session.ended().is_some() {
                    return Ok(Access::Ended(reason));
                }
                if !asked_the_store && matches!(reason, EndReason::Idle | EndReason::WindowClosed) {
                    // Another instance may have seen activity: the store is asked once.
                    session = reread(ctx, &session).await?;
                    continue;
                }
                end(ctx, &in_force, &session, &account, reason, now, origin()).await?;
                return Ok(Access::Ended(reason));
            }
            Verdict::Live(live) => {
                return admitted(
                    ctx, session, account, policy, None, &live, &digest, request, now, origin,
                )
                .await;
            }
            Verdict::Duty { what, live } => {
                return admitted(
                    ctx,
                    session,
                    account,
                    policy,
                    Some(what),
                    &live,
                    &digest,
                    request,
                    now,
                    origin,
                )
                .await;
            }
        }
    }
    Ok(Access::Anonymous)
}

/// Session and account from memory, else from the database.
async fn find(ctx: &Ctx, digest: &str) -> Result<Option<(Arc<LiveSession>, Arc<Account>)>, FlowError> {
    let remembered = ctx
        .live
        .freshness
        .is_fresh()
        .then(|| ctx.live.sessions.get(digest))
        .flatten();
    if let Some(session) = &remembered
        && let Some(account) = ctx.live.accounts.get(session.row.account_id)
    {
        return Ok(Some((session.clone(), account)));
    }
    let epoch = ctx.live.epoch();
    let wanted = digest.to_owned();
    let found = ctx
        .store
        .read(move |c| {
            let Some(session) = sessions::find_by_digest(c, &wanted)? else {
                return Ok(None);
            };
            let account = accounts::find(c, session.account_id)?;
            Ok::<_, StoreError>(account.map(|account| (session, account)))
        })
        .await?;
    Ok(found.map(|(session, account)| {
        (
            ctx.live.sessions.remember(session, epoch),
            ctx.live.accounts.remember(account, epoch),
        )
    }))
}

async fn reread(ctx: &Ctx, session: &LiveSession) -> Result<Arc<LiveSession>, FlowError> {
    let epoch = ctx.live.epoch();
    let id = session.id();
    let row = ctx
        .store
        .read(move |c| sessions::find(c, id))
        .await?
        .ok_or(FlowError::NotFound)?;
    Ok(ctx.live.sessions.remember(row, epoch))
}

fn judge_row(
    session: &LiveSession,
    token: &Token,
    account: &Account,
    request: &RequestFacts<'_>,
    policy: &EffectivePolicy,
    now: Timestamp,
) -> Verdict {
    let facts = SessionFacts {
        ended: session.ended(),
        account: account_state(account),
        must_change_password: must_change_password(account, session.row.signed_in_at, policy),
        life: session.life(),
        binding: &session.row.binding,
        token: match token.rotated {
            None => TokenFacts::Current,
            Some((at, from, to)) => TokenFacts::Rotated { at, from, to },
        },
    };
    judge(&facts, request, policy, now)
}

fn account_state(account: &Account) -> AccountState {
    if account.disabled_at.is_some() {
        AccountState::Disabled
    } else if account.expired_at.is_some() {
        AccountState::Expired
    } else {
        AccountState::Enabled
    }
}

/// A demand holds at once; the rules by age and by who set the password hold from the next sign-in on.
fn must_change_password(account: &Account, signed_in_at: Timestamp, policy: &EffectivePolicy) -> bool {
    let facts = password::ChangeFacts {
        changed_at: account.password_changed_at,
        set_by_other: account.password_set_by_other,
        must_change: account.must_change_password,
    };
    password::must_change(
        &facts,
        policy.accounts.change_default_password,
        &policy.password,
        signed_in_at,
    )
    .is_some()
}

#[expect(clippy::too_many_arguments, reason = "the facts of one request, used once")]
async fn admitted(
    ctx: &Ctx,
    session: Arc<LiveSession>,
    account: Arc<Account>,
    policy: Arc<EffectivePolicy>,
    duty: Option<Duty>,
    live: &LiveVerdict,
    digest: &str,
    request: &RequestFacts<'_>,
    now: Timestamp,
    origin: impl Fn() -> Origin,
) -> Result<Access, FlowError> {
    let mut rotated_to = None;
    let mut session = session;
    if must_be_written(&session, live, request, &policy) {
        let change = Change {
            session: session.id(),
            account: account.clone(),
            digest: digest.to_owned(),
            ip: request.ip,
            user_agent: request.user_agent.map(str::to_owned),
            navigation: request.kind.navigation,
            background: request.kind.background,
            path: request.kind.path.to_owned(),
            origin: origin(),
            now,
        };
        match accept_change(ctx, change).await? {
            Accepted::Unchanged => {}
            Accepted::Changed { token } => {
                rotated_to = token;
                session = reread(ctx, &session).await?;
            }
            Accepted::Refused(reason) => return Ok(Access::Ended(reason)),
        }
    }
    if live.touch || live.seen {
        session.note_address(request.ip);
        ctx.live.sessions.touch(&session, now, live.touch);
        if near_its_end(&session, &policy, now) {
            write_through(ctx, &session).await?;
        }
    }
    let cookie_form = session
        .token(digest)
        .map(|token| token.cookie_form.clone())
        .unwrap_or_default();
    Ok(Access::Admitted(Box::new(Admitted {
        session,
        account,
        policy,
        duty,
        rotated_to,
        cookie_form,
    })))
}

/// Whether the verdict carries more than activity. A mismatch that is only recorded is recorded once for an address.
fn must_be_written(
    session: &LiveSession,
    live: &LiveVerdict,
    request: &RequestFacts<'_>,
    policy: &EffectivePolicy,
) -> bool {
    live.rebind.is_some()
        || live.rotate
        || match live.record {
            None => false,
            Some(Record::NetworkMismatch) => session.row.ip != request.ip,
            Some(Record::NetworkChanged) => policy.validation.security_audit_log,
        }
}

enum Accepted {
    /// Another request of the same browser had it accepted already.
    Unchanged,
    Changed {
        token: Option<Secret>,
    },
    Refused(EndReason),
}

/// A request that brought a change, owned so that it can go where the write is.
struct Change {
    session: SessionId,
    account: Arc<Account>,
    digest: String,
    ip: IpAddr,
    user_agent: Option<String>,
    navigation: bool,
    background: bool,
    path: String,
    origin: Origin,
    now: Timestamp,
}

impl Change {
    fn request(&self) -> RequestFacts<'_> {
        let kind = RequestKind {
            path: &self.path,
            navigation: self.navigation,
            background: self.background,
            ..RequestKind::default()
        };
        RequestFacts {
            ip: self.ip,
            user_agent: self.user_agent.as_deref(),
            kind,
        }
    }

    fn entry(&self, event: Event, detail: serde_json::Value) -> Entry {
        Entry {
            event,
            actor: Actor::Account {
                id: self.account.id,
                name: self.account.name.clone(),
            },
            account: Some((Some(self.account.id), self.account.name.clone())),
            session: Some(self.session),
            origin: self.origin.clone(),
            application: None,
            outcome: Outcome::Success,
            reason: None,
            detail,
        }
    }
}

/// Writes an accepted change of network: judged again on the row itself, under the account's lock, so that parallel requests
/// count as one change.
async fn accept_change(ctx: &Ctx, change: Change) -> Result<Accepted, FlowError> {
    let (flow, id) = (ctx.clone(), change.session);
    let accepted = ctx.store.write(move |c| flow.accept_in(c, &change)).await?;
    match &accepted {
        Accepted::Unchanged => {}
        Accepted::Changed { .. } => ctx.live.sessions.forget(id),
        Accepted::Refused(reason) => ctx.forget_ended(&[id], *reason),
    }
    Ok(accepted)
}

impl Ctx {
    fn accept_in(&self, c: &mut Conn, change: &Change) -> Result<Accepted, StoreError> {
        sessions::lock_account_sessions(c, change.account.id)?;
        let Some(row) = sessions::find(c, change.session)? else {
            return Ok(Accepted::Refused(EndReason::Revoked));
        };
        if let (Some(_), Some(reason)) = (row.ended_at, row.end_reason) {
            return Ok(Accepted::Refused(reason));
        }
        let policy = self.in_force().effective(change.account.role, &row.applications, None);
        let known = self.live.sessions.get_by_id(change.session).map(|known| known.life());
        let current = LiveSession::from_row(row, known);
        let Some(presented) = current.token(&change.digest).filter(|token| token.killed_at.is_none()) else {
            return Ok(Accepted::Refused(EndReason::RotatedReuse));
        };
        match judge_row(
            &current,
            presented,
            &change.account,
            &change.request(),
            &policy,
            change.now,
        ) {
            Verdict::Live(live) | Verdict::Duty { live, .. } => {
                self.write_change_in(c, change, &current, presented, &live, &policy)
            }
            Verdict::Ended { reason } => {
                let acting = Acting {
                    actor: Actor::System,
                    origin: change.origin.clone(),
                    session: Some(change.session),
                };
                let ending = Ending {
                    session: &current.row,
                    account_name: &change.account.name,
                    reason,
                    at: change.now,
                    acting: &acting,
                    detail: serde_json::json!({ "binding": binding_json(&current.row.binding) }),
                };
                self.end_in(c, change.now, &ending)?;
                Ok(Accepted::Refused(reason))
            }
        }
    }

    /// What a live verdict asks for: the new binding, its record, a new id.
    fn write_change_in(
        &self,
        c: &mut Conn,
        change: &Change,
        current: &LiveSession,
        presented: &Token,
        live: &LiveVerdict,
        policy: &EffectivePolicy,
    ) -> Result<Accepted, StoreError> {
        if !must_be_written(current, live, &change.request(), policy) {
            return Ok(Accepted::Unchanged);
        }
        if let Some(binding) = &live.rebind
            && !sessions::rebind(c, change.session, binding, change.ip)?
        {
            return Ok(Accepted::Refused(EndReason::Revoked));
        }
        if let Some(record) = live.record {
            if record == Record::NetworkMismatch {
                // Shown from now on, so that it is recorded once.
                sessions::set_ip(c, change.session, change.ip)?;
            }
            if record == Record::NetworkMismatch || policy.validation.security_audit_log {
                let detail = serde_json::json!({
                    "from": binding_json(&current.row.binding),
                    "to": change.ip,
                    "accepted": record == Record::NetworkChanged,
                });
                self.record(c, change.now, &change.entry(Event::SessionNetworkChanged, detail))?;
            }
        }
        changes::announce(c, ChangeKind::Session, &change.session.0.to_string())?;
        let token = if live.rotate && presented.rotated.is_none() {
            self.rotate_in(c, change, current, presented)?
        } else {
            None
        };
        Ok(Accepted::Changed { token })
    }

    /// A new id beside the old one, which goes on for its overlap. `None`: another request was first.
    fn rotate_in(
        &self,
        c: &mut Conn,
        change: &Change,
        current: &LiveSession,
        presented: &Token,
    ) -> Result<Option<Secret>, StoreError> {
        if !sessions::mark_rotated(c, &change.digest, change.now, current.row.ip, change.ip)? {
            return Ok(None);
        }
        let token = secret::token(self.random_bytes());
        let replacement = Token {
            digest: secret::digest(token.expose()),
            host: presented.host.clone(),
            issued_at: change.now,
            rotated: None,
            killed_at: None,
            cookie_form: presented.cookie_form.clone(),
        };
        sessions::add_token(c, change.session, &replacement)?;
        self.record(
            c,
            change.now,
            &change.entry(Event::SessionRotated, serde_json::Value::Null),
        )?;
        Ok(Some(token))
    }
}

fn binding_json(binding: &Binding) -> serde_json::Value {
    serde_json::json!({ "v4": binding.accepted_v4, "v6": binding.accepted_v6, "changes": binding.changes })
}

/// An ending is never held up: it holds here at once, and the answer waits for the write only to say 503 when it fails.
/// The sweep writes it later then.
async fn end(
    ctx: &Ctx,
    in_force: &Arc<InForce>,
    session: &Arc<LiveSession>,
    account: &Arc<Account>,
    reason: EndReason,
    now: Timestamp,
    origin: Origin,
) -> Result<(), FlowError> {
    session.end(reason);
    ctx.live.sessions.end(session.id(), reason);
    let by_rule = ctx
        .ended_by_rule(in_force, account, &session.row, now)
        .filter(|(_, rule)| *rule == reason);
    let at = by_rule.map_or(now, |(at, _)| at);
    ctx.live.sessions.keep_until_written(session);
    let written = write_end(ctx, session, account.name.clone(), reason, at, now, origin).await;
    if written.is_ok() {
        ctx.live.sessions.ending_written(session.id());
        ctx.live.sessions.forget(session.id());
    }
    written
}

async fn write_end(
    ctx: &Ctx,
    session: &Arc<LiveSession>,
    account_name: String,
    reason: EndReason,
    at: Timestamp,
    now: Timestamp,
    origin: Origin,
) -> Result<(), FlowError> {
    let flow = ctx.clone();
    let session = session.clone();
    let acting = Acting {
        actor: Actor::System,
        origin,
        session: Some(session.id()),
    };
    ctx.store
        .write(move |c| {
            let detail = match reason {
                EndReason::UserAgent | EndReason::Network | EndReason::NetworkAllowance | EndReason::RotatedReuse => {
                    serde_json::json!({ "binding": binding_json(&session.row.binding), "agent": session.row.binding.user_agent })
                }
                _ => serde_json::Value::Null,
            };
            let ending = Ending { session: &session.row, account_name: &account_name, reason, at, acting: &acting, detail };
            let ended = flow.end_in(c, now, &ending)?;
            let event = match reason {
                EndReason::RotatedReuse => Some(Event::SessionRotatedIdReused),
                EndReason::UserAgent => Some(Event::SessionUserAgentChanged),
                _ => None,
            };
            if let Some(event) = event.filter(|_| ended) {
                let entry = Entry {
                    event,
                    actor: Actor::Anonymous,
                    account: Some((Some(session.row.account_id), account_name.clone())),
                    session: Some(session.id()),
                    origin: acting.origin.clone(),
                    application: None,
                    outcome: Outcome::Failure,
                    reason: Some(reason.as_str().to_owned()),
                    detail: serde_json::Value::Null,
                };
                flow.record(c, now, &entry)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(())
}

/// Writes the endings whose first write failed. The sweep calls it.
pub async fn write_kept_endings(ctx: &Ctx) -> Result<usize, FlowError> {
    let kept = ctx.live.sessions.unwritten_endings();
    let count = kept.len();
    for session in kept {
        let Some(reason) = session.ended() else { continue };
        let account_id = session.row.account_id;
        let account = ctx.store.read(move |c| accounts::find(c, account_id)).await?;
        let name = account.map(|account| account.name).unwrap_or_default();
        let now = ctx.now();
        write_end(ctx, &session, name, reason, now, now, Origin::default()).await?;
        ctx.live.sessions.ending_written(session.id());
        ctx.live.sessions.forget(session.id());
    }
    Ok(count)
}

/// Close enough to an idle end that another instance, which knows only the stored instant, could end the session:
/// then the touch is written before the answer (architecture.md, Activity).
fn near_its_end(session: &LiveSession, policy: &EffectivePolicy, now: Timestamp) -> bool {
    let (stored_active, stored_seen) = session.stored();
    policy.lifetimes.iter().any(|rule| match rule.idle {
        Idle::Never => false,
        Idle::After(idle) => now.since(stored_active) >= slack(idle),
        Idle::WindowOpen => now.since(stored_seen) >= slack(policy.window_close_grace),
    })
}

/// idle − 2F, F = min(5 s, idle / 10); an idle time that short that a flush may come too late is written through always.
fn slack(idle: Span) -> Span {
    let flush = (FLUSH_SECS * 1_000_000).min(idle.as_micros() / 10);
    if flush < 1_000_000 {
        Span::ZERO
    } else {
        Span::from_micros(idle.as_micros() - 2 * flush)
    }
}

async fn write_through(ctx: &Ctx, session: &LiveSession) -> Result<(), FlowError> {
    let life = session.life();
    let touch = [(session.id(), life.last_active_at, life.last_seen_at)];
    ctx.store.write(move |c| sessions::touch_many(c, &touch)).await?;
    ctx.live.sessions.written(&touch);
    Ok(())
}

/// Writes all activity that is only in memory yet; called by the flush job and at the end.
pub async fn flush_activity(ctx: &Ctx) -> Result<usize, FlowError> {
    let moved = ctx.live.sessions.moved();
    if !moved.is_empty() {
        ctx.store
            .write(move |c| moved.iter().try_for_each(|(id, ip)| sessions::set_ip(c, *id, *ip)))
            .await?;
    }
    let touches = ctx.live.sessions.unwritten();
    for batch in touches.chunks(500) {
        let batch = batch.to_vec();
        let live = ctx.live.clone();
        ctx.store
            .write(move |c| {
                sessions::touch_many(c, &batch)?;
                Ok::<_, StoreError>(batch)
            })
            .await
            .map(|batch| live.sessions.written(&batch))?;
    }
    Ok(touches.len())
}

/// The cookie of this token was issued in another form: remembered, so that it happens once.
pub async fn note_cookie_form(ctx: &Ctx, session: &LiveSession, token: &str, form: String) -> Result<(), FlowError> {
    let digest = secret::digest(token);
    ctx.store
        .write(move |c| sessions::set_cookie_form(c, &digest, &form))
        .await?;
    ctx.live.sessions.forget(session.id());
    Ok(())
}

/// Whom an access belongs to, for handlers.
impl Admitted {
    pub fn account_id(&self) -> AccountId {
        self.account.id
    }

    pub fn role(&self) -> Role {
        self.account.role
    }

    pub fn session_row(&self) -> &Session {
        &self.session.row
    }
}
