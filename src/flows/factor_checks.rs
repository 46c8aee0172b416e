//! Checks a second factor: a typed code, or a passkey's answer. Like a password attempt, each
//! attempt reserves its place in the counters before anything is checked. The calling flow decides
//! what a correct factor opens.

use super::{
    Ctx, FlowError, Initiator, Write,
    attempts::{AttemptReservation, CounterSnapshot, PasswordAttempt, ReservationOutcome},
    factor_emails::FactorNotification,
};
use crate::{
    domain::{
        account::{Account, AccountId},
        audit::{Actor, AuditEntry, Event},
        client::Client,
        factor::Proof,
        login::SignInRefusal,
        policy::effective::{FactorPolicy, LockoutPolicy},
        secret::Secret,
    },
    second_factor::{SealedSecret, recovery, totp},
    store::{StoreError, authenticator_apps, recovery_codes},
};
use serde_json::json;
use std::net::IpAddr;

/// Number of remaining recovery codes from which on the owner is warned.
const FEW_CODES: u32 = 3;

/// Reasons of `factor.refused`.
const WRONG_CODE: &str = "code";
const REPLAYED: &str = "replayed";
const KEY_LOST: &str = "key_lost";
const BLOCKED: &str = "blocked";

/// The outcome of reserving an attempt at a factor.
pub(super) enum FactorReservation {
    Granted(AttemptReservation),
    /// Too many wrong attempts: blocked, or busy.
    Refused(SignInRefusal),
}

/// The result of checking a typed code.
pub(super) enum CodeVerdict {
    Correct(Proof),
    /// The code is wrong, for this reason in the audit.
    Wrong(&'static str),
}

/// Returns a `factor.refused` entry, about the account if it is known.
pub(super) fn refusal_entry(initiator: &Initiator, account: Option<&Account>, reason: &str) -> AuditEntry {
    let entry = initiator.entry(Event::FactorRefused);
    let entry = match account {
        Some(account) => entry.with_account(account.id, &account.name),
        None => entry,
    };
    entry.failed(reason)
}

impl Ctx {
    /// Reserves an attempt at a code of this account, before the code is checked.
    pub(super) async fn reserve_code(
        &self,
        initiator: &Initiator,
        account: &Account,
        ip: IpAddr,
    ) -> Result<FactorReservation, FlowError> {
        let in_force = self.current_policy().await?;
        let account = account.clone();
        self.write(initiator, move |w| {
            let attempt = factor_attempt(&account, ip);
            let snapshot = w.as_read().code_counters(&in_force.everyone().lockout, &attempt)?;
            w.reserve_factor(snapshot, &attempt, Some(&account))
        })
        .await
    }
}

/// Returns an attempt at a factor as the counters see it.
pub(super) fn factor_attempt(account: &Account, ip: IpAddr) -> PasswordAttempt<'_> {
    PasswordAttempt {
        typed: &account.name,
        name_key: &account.name_key,
        account: Some(account),
        ip,
        user_agent: None,
    }
}

impl Write<'_> {
    /// Reserves an attempt, or records a refusal as `factor.refused`.
    pub(super) fn reserve_factor(
        &mut self,
        snapshot: CounterSnapshot,
        attempt: &PasswordAttempt<'_>,
        account: Option<&Account>,
    ) -> Result<FactorReservation, FlowError> {
        match self.reserve_attempt(snapshot, attempt)? {
            ReservationOutcome::Granted(reservation) => Ok(FactorReservation::Granted(reservation)),
            ReservationOutcome::Refused { refusal, single } => {
                let entry = refusal_entry(&self.initiator, account, BLOCKED);
                self.record_refusal(&entry, single)?;
                Ok(FactorReservation::Refused(refusal))
            }
        }
    }

    /// Checks a typed code against the account's authenticator app and recovery codes, and consumes
    /// it if it is correct. The account's row must be locked.
    pub(super) fn check_code(
        &mut self,
        account: &Account,
        rules: &FactorPolicy,
        typed: &Secret,
    ) -> Result<CodeVerdict, FlowError> {
        let usable = rules.usable(account.factors);
        if let Some(code) = totp::read_code(typed.expose()) {
            if !usable.authenticator_app {
                return Ok(CodeVerdict::Wrong(WRONG_CODE));
            }
            return self.check_app_code(account.id, &code);
        }
        match recovery::normalize(typed.expose()) {
            Some(code) if usable.recovery_codes > 0 => self.redeem_recovery_code(account, &code),
            Some(_) | None => Ok(CodeVerdict::Wrong(WRONG_CODE)),
        }
    }

    fn check_app_code(&mut self, account: AccountId, code: &str) -> Result<CodeVerdict, FlowError> {
        let Some(app) = authenticator_apps::find(self.connection, account)? else {
            return Ok(CodeVerdict::Wrong(WRONG_CODE));
        };
        let sealed = SealedSecret {
            text: app.sealed_secret,
            key_id: app.key_id,
        };
        let Some(secret) = self.ctx.factor_keys.open(account, &sealed) else {
            // `nightlatch doctor` counts them; a recovery code still signs the owner in.
            tracing::error!("the secret of an authenticator app does not open: its key is no longer in secret_key");
            return Ok(CodeVerdict::Wrong(KEY_LOST));
        };
        let Some(step) = totp::check_code(&secret, code, self.now) else {
            return Ok(CodeVerdict::Wrong(WRONG_CODE));
        };
        if !authenticator_apps::accept_step(self.connection, app.id, step)? {
            return Ok(CodeVerdict::Wrong(REPLAYED));
        }
        if sealed.key_id != self.ctx.factor_keys.newest_id() {
            let anew = self.ctx.seal_secret(account, &secret)?;
            authenticator_apps::reseal(self.connection, app.id, &anew.text, &anew.key_id)?;
        }
        Ok(CodeVerdict::Correct(Proof::Totp))
    }

    fn redeem_recovery_code(&mut self, account: &Account, code: &str) -> Result<CodeVerdict, FlowError> {
        let digests = self.ctx.factor_keys.recovery_digests(account.id, code);
        if !recovery_codes::redeem(self.connection, account.id, &digests)? {
            return Ok(CodeVerdict::Wrong(WRONG_CODE));
        }
        let left = account.factors.recovery_codes.saturating_sub(1);
        self.forget_account(account.id);
        let entry = self.owners_entry(Event::RecoveryCodeUsed, account);
        self.record(&entry.with_detail(json!({ "left": left })))?;
        self.notify_factor_change(
            account,
            &FactorNotification::RecoveryCodeUsed {
                left,
                few: left <= FEW_CODES,
            },
        )?;
        Ok(CodeVerdict::Correct(Proof::RecoveryCode))
    }

    /// Counts and records a wrong code. Returns the lock that it started.
    pub(super) fn refuse_code(
        &mut self,
        account: &Account,
        reservation: &AttemptReservation,
        reason: &str,
    ) -> Result<Option<SignInRefusal>, FlowError> {
        let entry = refusal_entry(&self.initiator, Some(account), reason);
        self.record(&entry)?;
        Ok(self.fail_attempt(reservation)?.map(SignInRefusal::Locked))
    }

    /// Records `factor.proved`.
    pub(super) fn record_proof(&mut self, account: &Account, proof: Proof) -> Result<(), StoreError> {
        let entry = self.owners_entry(Event::FactorProved, account);
        self.record(&entry.with_detail(json!({ "factor": proof.as_str() })))
    }

    /// Starts an entry about an account whose owner has just proved who they are. In the second
    /// step of a sign-in the initiator is still anonymous.
    fn owners_entry(&self, event: Event, account: &Account) -> AuditEntry {
        let actor = Actor::Account {
            id: account.id,
            name: account.name.clone(),
        };
        let entry = self.entry(event).with_account(account.id, &account.name);
        AuditEntry { actor, ..entry }
    }

    /// Resets the account's password counters after a completed sign-in.
    pub(super) fn clear_password_failures(
        &mut self,
        account: &Account,
        client: &Client,
        policy: &LockoutPolicy,
    ) -> Result<(), StoreError> {
        let attempt = PasswordAttempt {
            user_agent: client.user_agent.as_deref(),
            ..factor_attempt(account, client.ip)
        };
        self.clear_failures(policy, &attempt)
    }
}

impl Ctx {
    /// Seals a secret of an account with the newest key.
    pub(super) fn seal_secret(&self, account: AccountId, secret: &[u8]) -> Result<SealedSecret, FlowError> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        let sealed = self.factor_keys.seal(account, secret, nonce);
        sealed.ok_or_else(|| FlowError::Internal("a secret cannot be sealed".to_owned()))
    }
}
