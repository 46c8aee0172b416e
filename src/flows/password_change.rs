//! Changing one's own password: the current one is asked for and its failures count like a sign-in's; every other session ends,
//! this one goes on under a new id.

use super::{
    Acting, Ctx, FlowError,
    current_password::{Asked, Current},
};
use crate::{
    domain::{
        audit::Event,
        login::Refusal,
        password::{self, ChangeReason, MAX_CHARS, NewPasswordFacts, PasswordFault, Reuse},
        reset::LinkKind,
        secret::{self, Secret},
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        changes::{self, ChangeKind},
        handovers,
        sessions::{self, Token},
    },
};
use std::net::IpAddr;

pub struct PasswordChange {
    pub account: crate::domain::account::AccountId,
    pub session: SessionId,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub current: Secret,
    pub new: Secret,
    pub again: Secret,
    pub cookie_form: String,
}

pub enum Changed {
    /// The session's new token, and how many other sessions ended.
    Done {
        token: Secret,
        ended: usize,
    },
    /// The current password is wrong.
    WrongCurrent,
    Faulty(Vec<PasswordFault>),
    /// Too many guesses: locked, or busy.
    Refused(Refusal),
}

/// Why the account must change its password before anything else.
pub async fn demanded(
    ctx: &Ctx,
    account: &Account,
    signed_in_at: Timestamp,
) -> Result<Option<ChangeReason>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let policy = in_force.everyone();
    Ok(password::must_change(
        &account.password_facts(),
        policy.accounts.change_default_password,
        &policy.password,
        signed_in_at,
    ))
}

pub async fn change(ctx: &Ctx, acting: &Acting, change: PasswordChange) -> Result<Changed, FlowError> {
    let in_force = ctx.current_policy().await?;
    let id = change.account;
    let account = ctx
        .store
        .read(move |c| accounts::find(c, id))
        .await?
        .ok_or(FlowError::NotFound)?;
    let asked = Asked {
        acting: acting.clone(),
        account: account.clone(),
        ip: change.ip,
        user_agent: change.user_agent.clone(),
        password: change.current.clone(),
        event: Event::PasswordChanged,
    };
    match ctx.check_current(asked).await? {
        Current::Right(guess) => ctx.give_back(guess).await?,
        Current::Wrong => return Ok(Changed::WrongCurrent),
        Current::Refused(refusal) => return Ok(Changed::Refused(refusal)),
    }
    let faults = faults(ctx, &change, &account, &in_force).await?;
    if !faults.is_empty() {
        return Ok(Changed::Faulty(faults));
    }
    let hash = ctx.hasher.hash(change.new.clone(), ctx.salt()).await?;
    write(ctx, acting, change, account, hash, &in_force).await
}

/// What is wrong with the new password; looked at only when the current one is right.
async fn faults(
    ctx: &Ctx,
    change: &PasswordChange,
    account: &Account,
    in_force: &InForce,
) -> Result<Vec<PasswordFault>, FlowError> {
    let short_enough = change.new.expose().chars().count() <= MAX_CHARS;
    let policy = in_force.everyone();
    let mut reused = Reuse::No;
    if change.new.expose() == change.current.expose() {
        reused = Reuse::Current;
    } else if policy.password.history > 0 && short_enough {
        let (id, wanted) = (account.id, i64::from(policy.password.history));
        for old in ctx.store.read(move |c| accounts::list_passwords(c, id, wanted)).await? {
            if ctx.hasher.verify(change.new.clone(), Some(old)).await? {
                reused = Reuse::History;
                break;
            }
        }
    }
    let email = account.email.clone().unwrap_or_default();
    let own_words = [account.name.as_str(), account.display_name.as_str(), email.as_str()];
    let facts = NewPasswordFacts {
        new: change.new.expose(),
        again: Some(change.again.expose()),
        own_words: &own_words,
        reused,
    };
    Ok(password::decide(&facts, &policy.password))
}

async fn write(
    ctx: &Ctx,
    acting: &Acting,
    change: PasswordChange,
    checked: Account,
    hash: String,
    in_force: &InForce,
) -> Result<Changed, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    let keep = i64::from(in_force.everyone().password.history).max(1);
    let (id, own) = (change.account, change.session);
    let (changed, ended) = ctx
        .store
        .write(move |c| {
            sessions::lock_account_sessions(c, id)?;
            let mut account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            if account.password_hash != checked.password_hash {
                return Ok((Changed::WrongCurrent, Vec::new()));
            }
            flow.kill_links_in(c, now, id, LinkKind::ALL)?;
            accounts::choose_password(c, &mut account, hash, now, keep)?;
            let live = sessions::live_of_account(c, id)?;
            let (kept, others): (Vec<_>, Vec<_>) = live.into_iter().partition(|session| session.id == own);
            if kept.is_empty() {
                // Ended while the form was open: nothing may come of it.
                return Err(FlowError::NotFound);
            }
            let ended = flow.end_each_in(c, now, &account, &others, EndReason::PasswordChanged, &acting)?;
            let token = flow.replace_token_in(c, own, now, &change.cookie_form)?;
            sessions::set_proved(c, own, now)?;
            let detail = serde_json::json!({ "ended_sessions": ended.len() });
            flow.record(
                c,
                now,
                &flow.entry_of(&acting, Event::PasswordChanged, Some((id, &account.name)), detail),
            )?;
            flow.tell_password_in(c, now, &account, true, &acting.origin)?;
            Ok((
                Changed::Done {
                    token,
                    ended: ended.len(),
                },
                ended,
            ))
        })
        .await?;
    ctx.forget_ended(&ended, EndReason::PasswordChanged);
    ctx.live.sessions.forget(own);
    ctx.live.accounts.forget(id);
    Ok(changed)
}

impl Ctx {
    /// The session goes on under a new id only; the old ones die at once.
    fn replace_token_in(
        &self,
        c: &mut Conn,
        session: SessionId,
        now: Timestamp,
        cookie_form: &str,
    ) -> Result<Secret, StoreError> {
        let token = secret::token(self.random_bytes());
        let row = Token {
            digest: secret::digest(token.expose()),
            host: String::new(),
            issued_at: now,
            rotated: None,
            killed_at: None,
            cookie_form: cookie_form.to_owned(),
            rotation_due: false,
        };
        sessions::kill_tokens(c, session, now, None)?;
        // A code on its way to another host would become an id all the same.
        handovers::drop_unredeemed(c, session)?;
        sessions::add_token(c, session, &row)?;
        changes::announce(c, ChangeKind::Session, &session.0.to_string())?;
        Ok(token)
    }
}
