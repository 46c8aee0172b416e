//! Asking a signed-in user for the password: an attempt like that of a sign-in, in the same
//! counters. The calling flow decides what the correct password allows.

use super::{
    Ctx, FlowError, Initiator,
    attempts::{AttemptReservation, PasswordAttempt, ReservationOutcome},
    directories::DirectoryVerdict,
};
use crate::{
    domain::{
        account::Account,
        audit::{AuditEntry, Event},
        client::Client,
        login::SignInRefusal,
        password::MAX_CHARS,
        secret::Secret,
    },
    hashing::{ComparisonHash, HashingClient, HashingPurpose},
};
use std::sync::Arc;

/// A password that was entered, and the account that it should belong to.
pub(super) struct PasswordCheck {
    pub(super) initiator: Initiator,
    /// The account as read before. The caller compares its hash again in its own write.
    pub(super) account: Account,
    pub(super) client: Client,
    pub(super) password: Secret,
    /// The event that is recorded if the password is refused.
    pub(super) event: Event,
}

impl PasswordCheck {
    fn refusal_entry(&self, reason: &str) -> AuditEntry {
        let entry = self.initiator.entry(self.event);
        entry.with_account(self.account.id, &self.account.name).failed(reason)
    }
}

/// The result of a [`PasswordCheck`].
pub(super) enum PasswordCheckOutcome {
    /// The reservations still exist; the caller removes them with its result
    /// (`Write::release_attempt`). Nothing is cleared, because this is not a sign-in.
    Correct(AttemptReservation),
    Wrong,
    /// Too many attempts: locked, or busy.
    Refused(SignInRefusal),
}

impl Ctx {
    /// Reserves the attempt, checks the password on a hashing thread, and counts it if it is wrong.
    /// A full hashing queue removes the reservations.
    pub(super) async fn check_password(&self, check: PasswordCheck) -> Result<PasswordCheckOutcome, FlowError> {
        let check = Arc::new(check);
        let reservation = match self.reserve_check(&check).await? {
            ReservationOutcome::Granted(reservation) => reservation,
            ReservationOutcome::Refused { refusal, .. } => return Ok(PasswordCheckOutcome::Refused(refusal)),
        };
        match self.find_refusal(&check).await {
            Ok(None) => Ok(PasswordCheckOutcome::Correct(reservation)),
            Ok(Some(reason)) => self.count_wrong(&check, reservation, reason).await,
            Err(fault) => {
                if matches!(fault, FlowError::HashingBusy(_)) {
                    self.count_refusal(self.now(), &check.refusal_entry(SignInRefusal::Busy.code()));
                }
                self.release_attempt(reservation).await?;
                Err(fault)
            }
        }
    }

    async fn reserve_check(&self, check: &Arc<PasswordCheck>) -> Result<ReservationOutcome, FlowError> {
        let in_force = self.current_policy().await?;
        let asked = check.clone();
        self.write(&check.initiator, move |w| {
            let attempt = PasswordAttempt {
                typed: &asked.account.name,
                name_key: &asked.account.name_key,
                account: Some(&asked.account),
                ip: asked.client.ip,
                user_agent: asked.client.user_agent.as_deref(),
            };
            let snapshot = w.as_read().attempt_counters(&in_force.everyone().lockout, &attempt)?;
            let outcome = w.reserve_attempt(snapshot, &attempt)?;
            if let ReservationOutcome::Refused { refusal, single } = &outcome {
                w.record_refusal(&asked.refusal_entry(refusal.code()), *single)?;
            }
            Ok(outcome)
        })
        .await
    }

    /// Returns why the password is not the account's, for the audit; `None`: it is. A longer
    /// password than any accepted one is not hashed, because it cannot match. The password of an
    /// account of a directory is checked there.
    async fn find_refusal(&self, check: &PasswordCheck) -> Result<Option<&'static str>, FlowError> {
        let wrong = Some(SignInRefusal::Credentials.code());
        if check.password.expose().chars().count() > MAX_CHARS {
            return Ok(wrong);
        }
        if check.account.source.is_some() {
            return Ok(match self.ask_own_directory(&check.account, &check.password).await? {
                DirectoryVerdict::Admitted(_) => None,
                DirectoryVerdict::Refused(reason) => Some(reason),
            });
        }
        let client = HashingClient::new(HashingPurpose::OwnPassword, Some(check.client.ip));
        let candidate = ComparisonHash::Stored(check.account.password_hash.clone());
        let matches = self.hasher.verify(&client, check.password.clone(), candidate).await?;
        Ok(if matches { None } else { wrong })
    }

    async fn count_wrong(
        &self,
        check: &Arc<PasswordCheck>,
        reservation: AttemptReservation,
        reason: &'static str,
    ) -> Result<PasswordCheckOutcome, FlowError> {
        let asked = check.clone();
        let locked = self.write(&check.initiator, move |w| {
            w.record(&asked.refusal_entry(reason))?;
            Ok(w.fail_attempt(&reservation)?)
        });
        Ok(locked.await?.map_or(PasswordCheckOutcome::Wrong, |locked| {
            PasswordCheckOutcome::Refused(SignInRefusal::Locked(locked))
        }))
    }
}
