//! Asking somebody who is signed in for their password: a guess like a sign-in's, in the same counters. What the right one
//! opens is the flow's that asked.

use super::{
    Acting, Ctx, FlowError,
    attempts::{Guess, Guessing, Reservation},
};
use crate::{
    domain::{
        audit::{Entry, Event, Outcome},
        login::Refusal,
        password::MAX_CHARS,
        secret::Secret,
    },
    hashing::HashingBusyError,
    store::{StoreError, accounts::Account},
};
use std::{net::IpAddr, sync::Arc};

/// Whose password is asked for, and what was typed.
pub(super) struct Asked {
    pub acting: Acting,
    /// As it was read before: whoever goes on compares its hash in their own write.
    pub account: Account,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub password: Secret,
    /// Recorded with the reason when it is refused.
    pub event: Event,
}

pub(super) enum Current {
    /// Its place in the counters is still taken: it is given back with what comes of it ([`Ctx::give_back_in`]), and
    /// nothing is cleared, as this is no sign-in.
    Right(Guess),
    Wrong,
    /// Too many guesses: locked, or busy.
    Refused(Refusal),
}

impl Ctx {
    /// Reserves the guess, checks it off the reactor, and counts it when it is wrong. A full hashing queue gives it back.
    pub(super) async fn check_current(&self, asked: Asked) -> Result<Current, FlowError> {
        let asked = Arc::new(asked);
        let guess = match self.reserve_current(&asked).await? {
            Ok(guess) => guess,
            Err(refusal) => return Ok(Current::Refused(refusal)),
        };
        match self.matches(&asked).await {
            Ok(true) => Ok(Current::Right(guess)),
            Ok(false) => self.count_wrong(&asked, guess).await,
            Err(busy) => {
                self.count_refusal(self.now(), &self.refused_current(&asked, Refusal::Busy.code()));
                self.give_back(guess).await?;
                Err(busy.into())
            }
        }
    }

    /// Gives a right guess its place back in a write of its own.
    pub(super) async fn give_back(&self, guess: Guess) -> Result<(), FlowError> {
        let (flow, now) = (self.clone(), self.now());
        Ok(self.store.write(move |c| flow.give_back_in(c, now, &guess)).await?)
    }

    async fn reserve_current(&self, asked: &Arc<Asked>) -> Result<Result<Guess, Refusal>, FlowError> {
        let in_force = self.current_policy().await?;
        let (flow, asked, now) = (self.clone(), asked.clone(), self.now());
        Ok(self
            .store
            .write(move |c| {
                let guessing = Guessing {
                    typed: &asked.account.name,
                    name_key: &asked.account.name_key,
                    account: Some(&asked.account),
                    ip: asked.ip,
                    user_agent: asked.user_agent.as_deref(),
                    origin: &asked.acting.origin,
                };
                let look = flow.look(c, now, &in_force.everyone().lockout, &guessing)?;
                match flow.reserve_in(c, now, look, &guessing)? {
                    Reservation::Granted(guess) => Ok::<_, StoreError>(Ok(guess)),
                    Reservation::Refused { refusal, single } => {
                        flow.record_refusal_in(c, now, &flow.refused_current(&asked, refusal.code()), single)?;
                        Ok(Err(refusal))
                    }
                }
            })
            .await?)
    }

    /// A password longer than any that could have been set is not hashed: it cannot match.
    async fn matches(&self, asked: &Asked) -> Result<bool, HashingBusyError> {
        if asked.password.expose().chars().count() > MAX_CHARS {
            return Ok(false);
        }
        let hash = asked.account.password_hash.clone();
        self.hasher.verify(asked.password.clone(), Some(hash)).await
    }

    async fn count_wrong(&self, asked: &Arc<Asked>, guess: Guess) -> Result<Current, FlowError> {
        let (flow, asked, now) = (self.clone(), asked.clone(), self.now());
        let locked = self
            .store
            .write(move |c| {
                flow.record(c, now, &flow.refused_current(&asked, Refusal::Credentials.code()))?;
                flow.fail_in(c, now, &guess, &asked.acting.origin)
            })
            .await?;
        Ok(locked.map_or(Current::Wrong, |locked| Current::Refused(Refusal::Locked(locked))))
    }

    fn refused_current(&self, asked: &Asked, reason: &str) -> Entry {
        let account = (asked.account.id, asked.account.name.as_str());
        let mut entry = self.entry_of(&asked.acting, asked.event, Some(account), serde_json::Value::Null);
        entry.outcome = Outcome::Failure;
        entry.reason = Some(reason.to_owned());
        entry
    }
}
