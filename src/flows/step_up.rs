//! Proving one's password again within a session, before an act that matters.

use super::{
    Acting, Ctx, FlowError,
    current_password::{Asked, Current},
};
use crate::{
    domain::{account::AccountId, audit::Event, login::Refusal, secret::Secret, session::SessionId},
    store::{StoreError, accounts, sessions},
};
use std::net::IpAddr;

/// A password typed within a session.
pub struct Proof {
    pub account: AccountId,
    pub session: SessionId,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub password: Secret,
}

#[derive(Debug)]
pub enum Proved {
    /// From now on the session counts as proved.
    Done,
    Wrong,
    /// Too many guesses: locked, or busy.
    Refused(Refusal),
}

/// Checks the password and, when it is right, notes so in the session. `FlowError::NotFound`: account or session ended meanwhile.
pub async fn prove(ctx: &Ctx, acting: &Acting, proof: Proof) -> Result<Proved, FlowError> {
    let (id, session) = (proof.account, proof.session);
    let account = ctx
        .store
        .read(move |c| accounts::find(c, id))
        .await?
        .ok_or(FlowError::NotFound)?;
    let asked = Asked {
        acting: acting.clone(),
        account: account.clone(),
        ip: proof.ip,
        user_agent: proof.user_agent,
        password: proof.password,
        event: Event::StepUpRefused,
    };
    let guess = match ctx.check_current(asked).await? {
        Current::Right(guess) => guess,
        Current::Wrong => return Ok(Proved::Wrong),
        Current::Refused(refusal) => return Ok(Proved::Refused(refusal)),
    };
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    let proved = ctx
        .store
        .write(move |c| {
            let still = accounts::find(c, id)?.is_some_and(|current| current.password_hash == account.password_hash);
            let proved = still && sessions::set_proved(c, session, now)?;
            if proved {
                let whose = Some((id, account.name.as_str()));
                let entry = flow.entry_of(&acting, Event::StepUpAccepted, whose, serde_json::Value::Null);
                flow.record(c, now, &entry)?;
            }
            // Last: an address's counter is everybody's behind it.
            flow.give_back_in(c, now, &guess)?;
            Ok::<_, StoreError>(proved)
        })
        .await?;
    ctx.live.sessions.forget(session);
    if proved {
        Ok(Proved::Done)
    } else {
        Err(FlowError::NotFound)
    }
}
