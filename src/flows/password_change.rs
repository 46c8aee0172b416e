//! Changing one's own password: the current one is asked for and its failures count like a sign-in's; every other session ends,
//! this one goes on under a new id.

use super::{
    Acting, Ctx, FlowError,
    attempts::{Guess, Guessing, Reservation},
    endings::Ending,
};
use crate::{
    domain::{
        audit::{Event, Outcome},
        lockout::Locked,
        login::Refusal,
        password::{self, ChangeReason, MAX_CHARS, NewPasswordFacts, PasswordFault, Reuse},
        secret::{self, Secret},
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        changes::{self, ChangeKind},
        sessions::{self, Token},
    },
};
use std::{net::IpAddr, sync::Arc};

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
    let facts = password::ChangeFacts {
        changed_at: account.password_changed_at,
        set_by_other: account.password_set_by_other,
        must_change: account.must_change_password,
    };
    Ok(password::must_change(
        &facts,
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
    let guess = match reserve(ctx, acting, &change, &account, &in_force).await? {
        Ok(guess) => guess,
        Err(refusal) => return Ok(Changed::Refused(refusal)),
    };
    let checked = check(ctx, &change, &account, &in_force).await;
    let (matches, faults) = match checked {
        Ok(checked) => checked,
        Err(busy) => {
            settle(ctx, acting, &account, guess, Outcome::Success).await?;
            return Err(busy);
        }
    };
    if !matches {
        return Ok(match settle(ctx, acting, &account, guess, Outcome::Failure).await? {
            Some(locked) => Changed::Refused(Refusal::Locked(locked)),
            None => Changed::WrongCurrent,
        });
    }
    settle(ctx, acting, &account, guess, Outcome::Success).await?;
    if !faults.is_empty() {
        return Ok(Changed::Faulty(faults));
    }
    let hash = ctx.hasher.hash(change.new.clone(), ctx.salt()).await?;
    write(ctx, acting, change, account, hash, &in_force).await
}

/// Whether the current password is right, and what is wrong with the new one (looked at only then).
async fn check(
    ctx: &Ctx,
    change: &PasswordChange,
    account: &Account,
    in_force: &InForce,
) -> Result<(bool, Vec<PasswordFault>), FlowError> {
    let short_enough = |secret: &Secret| secret.expose().chars().count() <= MAX_CHARS;
    if !short_enough(&change.current)
        || !ctx
            .hasher
            .verify(change.current.clone(), Some(account.password_hash.clone()))
            .await?
    {
        return Ok((false, Vec::new()));
    }
    let policy = in_force.everyone();
    let mut reused = Reuse::No;
    if change.new.expose() == change.current.expose() {
        reused = Reuse::Current;
    } else if policy.password.history > 0 && short_enough(&change.new) {
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
    Ok((true, password::decide(&facts, &policy.password)))
}

/// The current password is a guess like a sign-in's, in the same counters.
async fn reserve(
    ctx: &Ctx,
    acting: &Acting,
    change: &PasswordChange,
    account: &Account,
    in_force: &Arc<InForce>,
) -> Result<Result<Guess, Refusal>, FlowError> {
    let (flow, acting, account, in_force, now) = (
        ctx.clone(),
        acting.clone(),
        account.clone(),
        in_force.clone(),
        ctx.now(),
    );
    let (ip, user_agent) = (change.ip, change.user_agent.clone());
    Ok(ctx
        .store
        .write(move |c| {
            let guessing = Guessing {
                typed: &account.name,
                name_key: &account.name_key,
                account: Some(&account),
                ip,
                user_agent: user_agent.as_deref(),
                origin: &acting.origin,
            };
            let look = flow.look(c, now, &in_force.everyone().lockout, &guessing)?;
            match flow.reserve_in(c, now, look, &guessing)? {
                Reservation::Granted(guess) => Ok::<_, StoreError>(Ok(guess)),
                Reservation::Refused {
                    refusal,
                    refused_this_minute,
                } => {
                    if refused_this_minute.is_some() {
                        flow.record(c, now, &flow.failed(&acting, &account, refusal.code()))?;
                    }
                    Ok(Err(refusal))
                }
            }
        })
        .await?)
}

/// A right one gives its place back and clears nothing (a change is no sign-in); a wrong one counts and may lock.
async fn settle(
    ctx: &Ctx,
    acting: &Acting,
    account: &Account,
    guess: Guess,
    outcome: Outcome,
) -> Result<Option<Locked>, FlowError> {
    let (flow, acting, account, now) = (ctx.clone(), acting.clone(), account.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| match outcome {
            Outcome::Success => flow.give_back_in(c, now, &guess).map(|()| None),
            Outcome::Failure => {
                flow.record(c, now, &flow.failed(&acting, &account, Refusal::Credentials.code()))?;
                flow.fail_in(c, now, &guess, &acting.origin)
            }
        })
        .await?)
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
            accounts::push_password(c, id, &account.password_hash, now, keep)?;
            account.password_hash = hash;
            account.password_changed_at = now;
            account.password_set_by_other = false;
            account.must_change_password = false;
            accounts::update(c, &account)?;
            changes::announce(c, ChangeKind::Account, &id.0.to_string())?;
            let mut ended = Vec::new();
            let mut kept = false;
            for session in sessions::live_of_account(c, id)? {
                if session.id == own {
                    kept = true;
                    continue;
                }
                let ending = Ending {
                    session: &session,
                    account_name: &account.name,
                    reason: EndReason::PasswordChanged,
                    at: now,
                    acting: &acting,
                    detail: serde_json::Value::Null,
                };
                if flow.end_in(c, now, &ending)? {
                    ended.push(session.id);
                }
            }
            if !kept {
                // Ended while the form was open: nothing may come of it.
                return Err(FlowError::NotFound);
            }
            let token = flow.replace_token_in(c, own, now, &change.cookie_form)?;
            let detail = serde_json::json!({ "ended_sessions": ended.len() });
            flow.record(
                c,
                now,
                &flow.entry_of(&acting, Event::PasswordChanged, Some((id, &account.name)), detail),
            )?;
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
        sessions::add_token(c, session, &row)?;
        changes::announce(c, ChangeKind::Session, &session.0.to_string())?;
        Ok(token)
    }

    fn failed(&self, acting: &Acting, account: &Account, reason: &str) -> crate::domain::audit::Entry {
        let mut entry = self.entry_of(
            acting,
            Event::PasswordChanged,
            Some((account.id, &account.name)),
            serde_json::Value::Null,
        );
        entry.outcome = Outcome::Failure;
        entry.reason = Some(reason.to_owned());
        entry
    }
}
