//! Is the bearer of this token let in? From memory when the line to the database is alive, else from the database;
//! judged by the domain; what the verdict asks for is written before the answer. Doubt refuses.

mod activity;
mod change;
mod ending;
mod handover;
mod rehearse;
mod verify;

pub use activity::flush_activity;
pub use ending::write_kept_endings;
pub use handover::{Issued, Redeemed, Traveller, forget_old_handovers, hand_over, redeem};
pub use rehearse::{Outcome, Rehearsal, Rehearsed, Standing, Supposed, Tried, Unreadable, rehearse};
pub use verify::{Forwarded, Passage, verify};

use super::{Ctx, FlowError};
use crate::{
    domain::{
        account::Role,
        application::Application,
        audit::Origin,
        password,
        policy::effective::EffectivePolicy,
        secret::{self, Secret},
        session::{
            AccountState, Binding, Duty, EndReason, Live as LiveVerdict, RequestFacts, SessionFacts, TokenFacts,
            Verdict, judge,
        },
        time::Timestamp,
    },
    live::{policy::InForce, sessions::LiveSession},
    store::{
        StoreError,
        accounts::{self, Account},
        sessions::{self, Token},
    },
};
use change::{Accepted, Change, accept_change, must_be_written};
use std::{borrow::Cow, sync::Arc};

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

/// Where a token was presented.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// The host, as tokens name it: "" is our own and every other one of the cookie domain.
    pub host: &'a str,
    /// Whose rules hold too, before it is entered, for whoever may enter.
    pub application: Option<&'a Application>,
    /// Whether the answer can hand a new id to the browser; otherwise a rotation stays due.
    pub reaches_browser: bool,
}

/// Judges the bearer of `token` for `request`. `acceptable` says whether a token whose cookie was issued in that form counts the way
/// it came: asked before anything is judged or refreshed.
pub async fn admit(
    ctx: &Ctx,
    token: &str,
    request: &RequestFacts<'_>,
    door: Door<'_>,
    origin: impl Fn() -> Origin,
    acceptable: impl Fn(&EffectivePolicy, &str) -> bool,
) -> Result<Access, FlowError> {
    let digest = secret::digest(token);
    let now = ctx.now();
    let in_force = ctx.current_policy().await?;
    let Some((mut session, mut account)) = find(ctx, &digest).await? else {
        return Ok(Access::Anonymous);
    };
    if account.expires_at.is_some_and(|at| now > at) && account.expired_at.is_none() {
        account = Box::pin(ctx.expire_if_due(account.id)).await?;
    }
    for asked_the_store in [false, true] {
        let usable = |token: &&Token| token.killed_at.is_none() && token.opens(door.host);
        let Some(presented) = session.token(&digest).filter(usable) else {
            return Ok(Access::Anonymous);
        };
        let policy = rules_at(&in_force, &session.row.applications, &account, door.application);
        if !acceptable(&policy, &presented.cookie_form) {
            return Ok(Access::Anonymous);
        }
        let (duty, live) = match judge_row(&session, presented, &account, request, &policy, now) {
            Verdict::Ended { reason } => {
                if session.ended().is_some() {
                    return Ok(Access::Ended(reason));
                }
                if !asked_the_store && matches!(reason, EndReason::Idle | EndReason::WindowClosed) {
                    // Another instance may have seen activity: the store is asked once.
                    session = match Box::pin(reread(ctx, &session)).await? {
                        Some(session) => session,
                        None => return Ok(Access::Anonymous),
                    };
                    continue;
                }
                let ending = ending::end(ctx, &in_force, &session, &account, reason, now, origin());
                Box::pin(ending).await?;
                return Ok(Access::Ended(reason));
            }
            Verdict::Live(live) => (None, live),
            Verdict::Duty { what, live } => (Some(what), live),
        };
        let admitted = Admitted {
            cookie_form: presented.cookie_form.clone(),
            session,
            account,
            policy,
            duty,
            rotated_to: None,
        };
        return accept(ctx, admitted, &live, &digest, request, door, now, origin).await;
    }
    Ok(Access::Anonymous)
}

/// The rules that hold for a session that entered these applications, at the door of another: that one's included for whoever may
/// enter it.
fn rules_at(
    in_force: &InForce,
    entered: &[String],
    account: &Account,
    application: Option<&Application>,
) -> Arc<EffectivePolicy> {
    let entering = application.filter(|application| application.admits(account.role, &account.groups));
    let entered = with_entered(entered, entering);
    in_force.effective(account.role, &entered, entering.map(|entering| entering.name.as_str()))
}

/// The applications whose rules hold: those that the session entered, and the one that it is about to enter.
fn with_entered<'a>(entered: &'a [String], entering: Option<&Application>) -> Cow<'a, [String]> {
    match entering.filter(|entering| !entered.contains(&entering.name)) {
        Some(entering) => entered.iter().chain([&entering.name]).cloned().collect(),
        None => Cow::Borrowed(entered),
    }
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
    Box::pin(find_stored(ctx, digest.to_owned())).await
}

async fn find_stored(ctx: &Ctx, digest: String) -> Result<Option<(Arc<LiveSession>, Arc<Account>)>, FlowError> {
    let epoch = ctx.live.epoch();
    let found = ctx
        .store
        .read(move |c| {
            let Some(session) = sessions::find_by_digest(c, &digest)? else {
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

/// The session as the database has it now; `None`: deleted with its account.
async fn reread(ctx: &Ctx, session: &LiveSession) -> Result<Option<Arc<LiveSession>>, FlowError> {
    let epoch = ctx.live.epoch();
    let id = session.id();
    let row = ctx.store.read(move |c| sessions::find(c, id)).await?;
    Ok(row.map(|row| ctx.live.sessions.remember(row, epoch)))
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
        account: AccountState::of(account.disabled_at.is_some(), account.expired_at.is_some()),
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

/// A demand holds at once; the rules by age and by who set the password hold from the next sign-in on.
fn must_change_password(account: &Account, signed_in_at: Timestamp, policy: &EffectivePolicy) -> bool {
    password::must_change(
        &account.password_facts(),
        policy.accounts.change_default_password,
        &policy.password,
        signed_in_at,
    )
    .is_some()
}

/// Carries out what the verdict asks for, and lets in.
#[expect(clippy::too_many_arguments, reason = "the facts of one request, used once")]
async fn accept(
    ctx: &Ctx,
    mut admitted: Admitted,
    live: &LiveVerdict,
    digest: &str,
    request: &RequestFacts<'_>,
    door: Door<'_>,
    now: Timestamp,
    origin: impl Fn() -> Origin,
) -> Result<Access, FlowError> {
    let session = &admitted.session;
    let due = door.reaches_browser && session.token(digest).is_some_and(Token::is_due);
    if due || must_be_written(session, live, request, &admitted.policy) {
        let change = Change {
            session: session.id(),
            account: admitted.account.clone(),
            digest: digest.to_owned(),
            ip: request.ip,
            user_agent: request.user_agent.map(str::to_owned),
            navigation: request.kind.navigation,
            background: request.kind.background,
            path: request.kind.path.to_owned(),
            application: door.application.cloned(),
            reaches_browser: door.reaches_browser,
            origin: origin(),
            now,
        };
        match Box::pin(accept_change(ctx, change)).await? {
            Accepted::Unchanged => {}
            Accepted::Recorded => session.note_recorded(request.ip),
            Accepted::Changed { token } => {
                let Some(session) = Box::pin(reread(ctx, session)).await? else {
                    return Ok(Access::Anonymous);
                };
                let form = session.token(digest).map(|token| token.cookie_form.clone());
                admitted.cookie_form = form.unwrap_or_default();
                admitted.rotated_to = token;
                admitted.session = session;
            }
            Accepted::Refused(reason) => return Ok(Access::Ended(reason)),
        }
    }
    if live.touch || live.seen {
        admitted.session.note_address(request.ip);
        ctx.live.sessions.touch(&admitted.session, now, live.touch);
        if activity::near_its_end(&admitted.session, &admitted.policy, now) {
            Box::pin(activity::write_through(ctx, &admitted.session)).await?;
        }
    }
    Ok(Access::Admitted(Box::new(admitted)))
}

fn binding_json(binding: &Binding) -> serde_json::Value {
    serde_json::json!({ "v4": binding.accepted_v4, "v6": binding.accepted_v6, "changes": binding.changes })
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
    pub fn role(&self) -> Role {
        self.account.role
    }
}
