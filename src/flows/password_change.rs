//! Changing one's own password: the current one is required and its failures count like those of a
//! sign-in. All other sessions end, and this one continues with a new token.

use super::{
    Ctx, FlowError, Initiator, Write,
    password_check::{PasswordCheck, PasswordCheckOutcome},
};
use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        client::Client,
        factor::Proofs,
        login::SignInRefusal,
        password::{self, ChangeReason, MAX_CHARS, NewPasswordFacts, PasswordFault, Reuse},
        reset::LinkKind,
        secret::Secret,
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    hashing::{ComparisonHash, HashingClient, HashingPurpose},
    live::policy::PolicyInForce,
    store::{accounts, sessions},
};

/// A new password, with the current one that authorizes it.
pub struct PasswordChange {
    /// The account.
    pub account: AccountId,
    /// The session that continues.
    pub session: SessionId,
    /// The client of the request.
    pub client: Client,
    /// The current password.
    pub current: Secret,
    /// The new one.
    pub new: Secret,
    /// The repetition of the new one.
    pub again: Secret,
    /// The form in which the session's cookie will be issued (`http::session_cookie`).
    pub cookie_form: String,
}

/// The result of a [`PasswordChange`].
pub enum PasswordChangeOutcome {
    /// The password was changed.
    Done {
        /// The session's new token.
        token: Secret,
        /// The number of other sessions that ended.
        ended: usize,
    },
    /// The current password is wrong.
    WrongCurrent,
    /// The account's source, with this title, keeps its password.
    Managed(String),
    /// The faults of the new password.
    Faulty(Vec<PasswordFault>),
    /// Too many attempts: locked, or busy.
    Refused(SignInRefusal),
}

/// Returns why the account must change its password before anything else.
pub async fn find_reason(
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

/// Changes one's own password. `FlowError::NotFound`: the account or session ended in the meantime.
pub async fn change(
    ctx: &Ctx,
    initiator: &Initiator,
    change: PasswordChange,
) -> Result<PasswordChangeOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let id = change.account;
    let account = ctx
        .read(move |r| accounts::find(r.connection, id)?.ok_or(FlowError::NotFound))
        .await?;
    if let Some(title) = ctx.source_title(&account) {
        return Ok(PasswordChangeOutcome::Managed(title));
    }
    let check = PasswordCheck {
        initiator: initiator.clone(),
        account: account.clone(),
        client: change.client.clone(),
        password: change.current.clone(),
        event: Event::PasswordChanged,
    };
    match ctx.check_password(check).await? {
        PasswordCheckOutcome::Correct(reservation) => ctx.release_attempt(reservation).await?,
        PasswordCheckOutcome::Wrong => return Ok(PasswordChangeOutcome::WrongCurrent),
        PasswordCheckOutcome::Refused(refusal) => return Ok(PasswordChangeOutcome::Refused(refusal)),
    }
    let faults = faults(ctx, &change, &account, &in_force).await?;
    if !faults.is_empty() {
        return Ok(PasswordChangeOutcome::Faulty(faults));
    }
    let client = HashingClient::new(HashingPurpose::OwnPassword, Some(change.client.ip));
    let hash = ctx.hasher.hash(&client, change.new.clone(), ctx.salt()).await?;
    let keep = i64::from(in_force.everyone().password.history).max(1);
    ctx.write(initiator, move |w| w.change_password(&change, &account, hash, keep))
        .await
}

/// Returns the faults of the new password; called only if the current one is correct.
async fn faults(
    ctx: &Ctx,
    change: &PasswordChange,
    account: &Account,
    in_force: &PolicyInForce,
) -> Result<Vec<PasswordFault>, FlowError> {
    let short_enough = change.new.expose().chars().count() <= MAX_CHARS;
    let policy = in_force.everyone();
    let mut reused = Reuse::No;
    if change.new.expose() == change.current.expose() {
        reused = Reuse::Current;
    } else if policy.password.history > 0 && short_enough {
        let (id, wanted) = (account.id, i64::from(policy.password.history));
        let earlier = ctx
            .store
            .read(move |connection| accounts::list_passwords(connection, id, wanted));
        let client = HashingClient::new(HashingPurpose::OwnPassword, Some(change.client.ip));
        for old in earlier.await? {
            let candidate = ComparisonHash::Stored(old);
            if ctx.hasher.verify(&client, change.new.clone(), candidate).await? {
                reused = Reuse::History;
                break;
            }
        }
    }
    let email = account.email.clone().unwrap_or_default();
    let account_words = [account.name.as_str(), account.display_name.as_str(), email.as_str()];
    let facts = NewPasswordFacts {
        new: change.new.expose(),
        again: Some(change.again.expose()),
        account_words: &account_words,
        reused,
    };
    Ok(password::decide(&facts, &policy.password))
}

impl Write<'_> {
    /// Sets the password, ends the other sessions and continues with this one under a new token.
    /// `checked`: the account whose password was checked.
    fn change_password(
        &mut self,
        change: &PasswordChange,
        checked: &Account,
        hash: String,
        keep: i64,
    ) -> Result<PasswordChangeOutcome, FlowError> {
        let (id, own) = (change.account, change.session);
        sessions::lock_account_sessions(self.connection, id)?;
        let mut account = accounts::find(self.connection, id)?.ok_or(FlowError::NotFound)?;
        if account.password_hash != checked.password_hash {
            return Ok(PasswordChangeOutcome::WrongCurrent);
        }
        self.void_links(id, LinkKind::ALL)?;
        accounts::choose_password(self.connection, &mut account, hash, self.now, keep)?;
        let live = sessions::list_live_of_account(self.connection, id)?;
        let (kept, others): (Vec<_>, Vec<_>) = live.into_iter().partition(|session| session.id == own);
        if kept.is_empty() {
            // The session ended while the form was open, so nothing may change.
            return Err(FlowError::NotFound);
        }
        let ended = self.end_sessions(&account, &others, EndReason::PasswordChanged)?;
        let token = self.replace_tokens(own, &change.cookie_form)?;
        sessions::add_proofs(self.connection, own, Proofs::PASSWORD, Some(self.now))?;
        let entry = self.entry(Event::PasswordChanged).with_account(id, &account.name);
        self.record(&entry.with_detail(serde_json::json!({ "ended_sessions": ended })))?;
        self.notify_password(&account, true)?;
        self.forget_session(own);
        self.forget_account(id);
        Ok(PasswordChangeOutcome::Done { token, ended })
    }
}
