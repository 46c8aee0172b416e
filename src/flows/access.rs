//! Admission of the bearer of a token. The facts come from memory while the connection for changes
//! is alive, otherwise from the database; the domain judges them; the effects of the verdict are
//! written before the response. In doubt the request is refused.

mod activity;
mod change;
mod device;
mod ending;
mod factor;
mod handover;
mod hypothetical;
mod rules;
mod verify;
mod watch;

pub use activity::flush_activity;
pub use ending::write_kept_ends;
pub use factor::{FactorDutyAt, factor_duty_at};
pub use handover::{
    HandoverIssue, HandoverOutcome, HandoverRequest, HandoverSession, forget_old_handovers, issue_handover, redeem,
    void_handover,
};
pub use hypothetical::{
    AccessTest, AccessTestOutcome, HypotheticalRequest, RequestFault, SessionTest, TestedAccount, TestedSession,
    test_access,
};
pub use verify::{AccessDecision, ForwardedRequest, verify};
pub use watch::{Observation, WatchedSession, WatchedState, observe};

use crate::{
    domain::{
        account::{Account, Role},
        application::Application,
        audit::RequestOrigin,
        factor::Proofs,
        policy::effective::EffectivePolicy,
        secret::{self, Secret},
        session::{
            DeviceFault, DeviceProof, Duty, EndReason, LiveEffect, RequestFacts, SessionToken, SessionVerdict,
            device_fault,
        },
        time::Timestamp,
    },
    flows::{Ctx, FlowError},
    live::sessions::LiveSession,
    store::{Conn, accounts, sessions},
};
use change::{ChangeOutcome, SessionChange, accept_change, must_be_written};
use rules::{judge_row, rules_at};
use std::sync::Arc;

/// The decision of the gate.
#[derive(Debug)]
pub enum Access {
    /// There is no such session, or the token was replaced and its overlap is over.
    Anonymous,
    /// The cookie belongs to a session that has ended.
    Ended(EndReason),
    /// The session is live, but the request did not prove its device. It changed nothing.
    Unproved(DeviceFault),
    Admitted(Box<AdmittedSession>),
}

/// A live session, judged for this request.
#[derive(Debug)]
pub struct AdmittedSession {
    /// The session, in memory.
    pub session: Arc<LiveSession>,
    /// Its account.
    pub account: Arc<Account>,
    /// The rules for this session and request.
    pub policy: Arc<EffectivePolicy>,
    /// What must be done before anything else.
    pub duty: Option<Duty>,
    /// Last instant at which the owner may continue without the required second factor.
    pub enrol_by: Option<Timestamp>,
    /// The new token for the browser, if the session was rotated.
    pub rotated_to: Option<Secret>,
    /// The digest of the presented token.
    pub token_digest: String,
    /// The `cookie_form` of the presented token: how its cookie was issued.
    pub cookie_form: String,
    /// Whether this comes from memory alone, because the database did not answer. Such a visitor
    /// may end sessions and do nothing else.
    pub is_from_memory: bool,
}

impl AdmittedSession {
    fn new(
        session: Arc<LiveSession>,
        account: Arc<Account>,
        policy: Arc<EffectivePolicy>,
        token_digest: String,
        (duty, enrol_by): (Option<Duty>, Option<Timestamp>),
    ) -> Self {
        let form = session.token(&token_digest).map(|token| token.cookie_form.clone());
        Self {
            cookie_form: form.unwrap_or_default(),
            session,
            account,
            policy,
            duty,
            enrol_by,
            rotated_to: None,
            token_digest,
            is_from_memory: false,
        }
    }

    /// Returns what the bearer of the presented token has proved.
    pub fn proofs(&self) -> Proofs {
        self.session.row.proofs_under(&self.token_digest)
    }
}

/// The place where a token was presented.
#[derive(Debug, Clone, Copy)]
pub struct EntryPoint<'a> {
    /// The host, as tokens store it: "" is our own and every other host of the cookie domain.
    pub host: &'a str,
    /// The application whose rules also apply before it is entered, if the user has access.
    pub application: Option<&'a Application>,
    /// Whether the response can give a new token to the browser; otherwise a rotation stays due.
    pub reaches_browser: bool,
}

/// A token with the request that brought it.
#[derive(Debug, Clone, Copy)]
pub struct PresentedToken<'a> {
    /// The session's token.
    pub token: &'a str,
    /// The request that brought it.
    pub request: &'a RequestFacts<'a>,
    /// The place where it was presented.
    pub entry_point: EntryPoint<'a>,
    /// The proof of the device that came with it.
    pub device: Option<DeviceProof>,
}

/// Judges the bearer of a token for its request. `acceptable` decides whether a token whose cookie
/// was issued in a given form is valid here; it is called before anything is judged or refreshed.
pub async fn admit(
    ctx: &Ctx,
    PresentedToken {
        token,
        request,
        entry_point,
        device,
    }: PresentedToken<'_>,
    origin: impl Fn() -> RequestOrigin,
    acceptable: impl Fn(&EffectivePolicy, &str) -> bool,
) -> Result<Access, FlowError> {
    let digest = secret::digest(token);
    let now = ctx.now();
    let in_force = ctx.current_policy().await?;
    let Some((mut session, mut account)) = find_settled(ctx, &digest).await? else {
        return Ok(Access::Anonymous);
    };
    if account.expires_at.is_some_and(|at| now > at) && account.expired_at.is_none() {
        account = Box::pin(ctx.expire_if_due(account.id)).await?;
    }
    // Also if the session ended meanwhile: the browser did keep the cookie.
    ctx.live.awaited_cookies.note_came(session.id());
    for asked_the_store in [false, true] {
        let usable = |token: &&SessionToken| token.killed_at.is_none() && token.opens(entry_point.host);
        let Some(known) = session.token(&digest).filter(usable) else {
            return Ok(Access::Anonymous);
        };
        let policy = rules_at(&in_force, &session.row.applications, &account, entry_point.application);
        if !acceptable(&policy, &known.cookie_form) {
            return Ok(Access::Anonymous);
        }
        let evidence = session.row.device_evidence(known, device);
        let (duty, live) = match judge_row(&session, known, &account, (request, evidence), &policy, now) {
            SessionVerdict::Ended { reason } => {
                if session.ended().is_some() {
                    return Ok(Access::Ended(reason));
                }
                if !asked_the_store && matches!(reason, EndReason::Idle | EndReason::WindowClosed) {
                    // Another instance may have seen activity, so the store is queried once.
                    session = match Box::pin(reread(ctx, &session)).await? {
                        Some(session) => session,
                        None => return Ok(Access::Anonymous),
                    };
                    continue;
                }
                Box::pin(ending::end(ctx, &in_force, &session, &account, reason, origin())).await?;
                return Ok(Access::Ended(reason));
            }
            SessionVerdict::Duty {
                what: Duty::DeviceProof(fault),
                ..
            } => {
                let owner = (&*session, &*account);
                Box::pin(device::record_missing_proof(ctx, owner, fault, request.ip, origin())).await?;
                return Ok(Access::Unproved(fault));
            }
            SessionVerdict::Live(live) => (None, live),
            SessionVerdict::Duty { what, live } => (Some(what), live),
        };
        note_grace(ctx, &live, &account, now).await?;
        let admitted = AdmittedSession::new(session, account, policy, digest.clone(), (duty, live.enrol_by));
        let admission = Admission {
            admitted,
            live,
            digest,
            device,
            now,
        };
        return admission.write_and_admit(ctx, request, entry_point, origin).await;
    }
    Ok(Access::Anonymous)
}

/// Judges the bearer of a token from memory alone, because the database does not answer. That is
/// enough for ending sessions and for nothing else: what ends is checked before it is written. What
/// the judgement would write is left to the next request. `None`: the session is not remembered, or
/// it is over.
pub fn admit_from_memory(
    ctx: &Ctx,
    presented: PresentedToken<'_>,
    acceptable: impl Fn(&EffectivePolicy, &str) -> bool,
) -> Option<AdmittedSession> {
    let PresentedToken {
        token,
        request,
        entry_point,
        device,
    } = presented;
    let digest = secret::digest(token);
    let session = ctx.live.sessions.last_known(&digest)?;
    let account = ctx.live.accounts.last_known(session.row.account_id)?;
    if ctx.live.sessions.held.reason_for(&session.row).is_some() {
        return None;
    }
    let known = session.token(&digest)?;
    let policy = rules_at(
        &ctx.in_force(),
        &session.row.applications,
        &account,
        entry_point.application,
    );
    let usable = known.killed_at.is_none() && known.opens(entry_point.host) && acceptable(&policy, &known.cookie_form);
    let evidence = session.row.device_evidence(known, device);
    let (duty, live) = match judge_row(&session, known, &account, (request, evidence), &policy, ctx.now()) {
        SessionVerdict::Ended { .. }
        | SessionVerdict::Duty {
            what: Duty::DeviceProof(_),
            ..
        } => return None,
        SessionVerdict::Live(live) => (None, live),
        SessionVerdict::Duty { what, live } => (Some(what), live),
    };
    if !usable {
        return None;
    }
    let mut admitted = AdmittedSession::new(session, account, policy, digest, (duty, live.enrol_by));
    admitted.is_from_memory = true;
    Some(admitted)
}

/// Returns whether memory knows that the bearer of a token cannot use its session without a proof
/// of its device, which the request does not have.
pub fn lacks_proof_in_memory(ctx: &Ctx, presented: &PresentedToken<'_>) -> bool {
    let digest = secret::digest(presented.token);
    let session = ctx.live.sessions.last_known(&digest);
    session.is_some_and(|session| {
        let token = session.token(&digest);
        let evidence = token.map(|token| session.row.device_evidence(token, presented.device));
        let rules = ctx.in_force().everyone().device;
        evidence.is_some_and(|evidence| device_fault(evidence, &rules, ctx.now()).is_some())
    })
}

/// Does the same as [`find`], for a session whose end is not in doubt. An end by filter that waits
/// for the database may cover it: until that is written, nobody can tell.
async fn find_settled(ctx: &Ctx, digest: &str) -> Result<Option<(Arc<LiveSession>, Arc<Account>)>, FlowError> {
    let delayed = ctx.live.sessions.held.delayed();
    let found = find(ctx, digest).await?;
    match &found {
        Some((session, _)) if delayed.iter().any(|end| end.may_cover(&session.row)) => {
            let words = "an end of sessions by filter is not written yet";
            Err(FlowError::Unavailable(words.to_owned()))
        }
        _ => Ok(found),
    }
}

/// Finds session and account in memory, otherwise in the database.
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
        metrics::counter!("nightlatch_session_lookups_total", "answered_by" => "memory").increment(1);
        return Ok(Some((session.clone(), account)));
    }
    metrics::counter!("nightlatch_session_lookups_total", "answered_by" => "database").increment(1);
    Box::pin(find_stored(ctx, digest.to_owned())).await
}

async fn find_stored(ctx: &Ctx, digest: String) -> Result<Option<(Arc<LiveSession>, Arc<Account>)>, FlowError> {
    let epoch = ctx.live.epoch();
    let found = ctx.read(move |r| {
        let Some(session) = sessions::find_by_digest(r.connection, &digest)? else {
            return Ok(None);
        };
        let account = accounts::find(r.connection, session.account_id)?;
        Ok(account.map(|account| (session, account)))
    });
    let found = found.await?;
    Ok(found.map(|(session, account)| {
        (
            ctx.live.sessions.remember(session, epoch),
            ctx.live.accounts.remember(account, epoch),
        )
    }))
}

/// Reads the session from the database; `None`: it was deleted with its account.
async fn reread(ctx: &Ctx, session: &LiveSession) -> Result<Option<Arc<LiveSession>>, FlowError> {
    let epoch = ctx.live.epoch();
    let id = session.id();
    let row = ctx.read(move |r| Ok(sessions::find(r.connection, id)?)).await?;
    Ok(row.map(|row| ctx.live.sessions.remember(row, epoch)))
}

/// Records when a second factor was first required of an account, also by an application. The grace
/// period counts from then.
async fn note_grace(ctx: &Ctx, live: &LiveEffect, account: &Account, now: Timestamp) -> Result<(), FlowError> {
    if live.enrol_by.is_none() || account.factor_required_at.is_some() {
        return Ok(());
    }
    let id = account.id;
    let note = move |connection: &mut Conn| accounts::note_factor_required(connection, id, now);
    if Box::pin(ctx.store.write(note)).await? {
        ctx.live.accounts.forget(id);
    }
    Ok(())
}

/// A live session that is being admitted, with the effects of its verdict.
struct Admission {
    admitted: AdmittedSession,
    live: LiveEffect,
    /// The digest of the presented token.
    digest: String,
    /// The proof of its device.
    device: Option<DeviceProof>,
    /// When it was judged.
    now: Timestamp,
}

impl Admission {
    /// Writes the effects of the verdict and admits the session.
    async fn write_and_admit(
        mut self,
        ctx: &Ctx,
        request: &RequestFacts<'_>,
        entry_point: EntryPoint<'_>,
        origin: impl Fn() -> RequestOrigin,
    ) -> Result<Access, FlowError> {
        let session = &self.admitted.session;
        let due = entry_point.reaches_browser && session.token(&self.digest).is_some_and(SessionToken::is_due);
        if due || must_be_written(session, &self.live, request, &self.admitted.policy) {
            let change = self.change(request, entry_point, origin());
            match Box::pin(accept_change(ctx, change)).await? {
                ChangeOutcome::Unchanged => {}
                ChangeOutcome::Recorded => session.note_recorded(request.ip),
                ChangeOutcome::Changed { token } => {
                    let Some(session) = Box::pin(reread(ctx, session)).await? else {
                        return Ok(Access::Anonymous);
                    };
                    let form = session.token(&self.digest).map(|token| token.cookie_form.clone());
                    self.admitted.cookie_form = form.unwrap_or_default();
                    self.admitted.rotated_to = token;
                    self.admitted.session = session;
                }
                ChangeOutcome::Refused(reason) => return Ok(Access::Ended(reason)),
            }
        }
        let admitted = self.admitted;
        if self.live.touch || self.live.seen {
            admitted.session.note_address(request.ip);
            ctx.live.sessions.touch(&admitted.session, self.now, self.live.touch);
            if activity::near_its_end(&admitted.session, &admitted.policy, self.now) {
                Box::pin(activity::write_through(ctx, &admitted.session)).await?;
            }
        }
        Ok(Access::Admitted(Box::new(admitted)))
    }

    /// Returns the change to be written for the verdict.
    fn change(&self, request: &RequestFacts<'_>, entry_point: EntryPoint<'_>, origin: RequestOrigin) -> SessionChange {
        SessionChange {
            session: self.admitted.session.id(),
            account: self.admitted.account.clone(),
            digest: self.digest.clone(),
            ip: request.ip,
            user_agent: request.user_agent.map(str::to_owned),
            navigation: request.kind.navigation,
            background: request.kind.background,
            path: request.kind.path.to_owned(),
            application: entry_point.application.cloned(),
            reaches_browser: entry_point.reaches_browser,
            origin,
            device: self.device,
            now: self.now,
        }
    }
}

/// Finds the session of a token that a browser is about to get, and its rules; nothing is judged.
pub async fn find_bearer(
    ctx: &Ctx,
    token: &str,
) -> Result<Option<(Arc<LiveSession>, Arc<EffectivePolicy>)>, FlowError> {
    let found = find(ctx, &secret::digest(token)).await?;
    Ok(found.map(|(session, account)| {
        let policy = rules_at(&ctx.in_force(), &session.row.applications, &account, None);
        (session, policy)
    }))
}

/// Stores the new form of the cookie of this token, so that it is issued again only once.
pub async fn note_cookie_form(ctx: &Ctx, session: &LiveSession, token: &str, form: String) -> Result<(), FlowError> {
    let digest = secret::digest(token);
    ctx.store
        .write(move |connection| sessions::set_cookie_form(connection, &digest, &form))
        .await?;
    ctx.live.sessions.forget(session.id());
    Ok(())
}

impl AdmittedSession {
    /// Returns the role of the admitted user.
    pub fn role(&self) -> Role {
        self.account.role
    }
}
