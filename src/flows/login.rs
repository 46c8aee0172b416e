//! Signing in with a password: reserve the attempt, check the password on a hashing thread, decide,
//! and write everything in one transaction.

mod proof;

use super::{
    Ctx, FlowError, Initiator, Write,
    attempts::{AttemptReservation, CounterSnapshot, PasswordAttempt, ReservationOutcome},
    expiry::may_expire,
    factor_rules::factors_at_sign_in,
    pending_sign_in::PasswordStep,
    session_opening::{SessionOpening, SessionRequest},
    typed_name::TypedName,
};
pub use super::{
    pending_sign_in::FactorDue,
    session_opening::{OpenedSession, SessionTarget},
};
use crate::{
    domain::{
        account::{Account, AccountId, Role, name_key},
        audit::{AuditEntry, Event},
        client::Client,
        login::{LoginAccount, LoginFacts, LoginVerdict, ONE_TIME_OVER, SignInRefusal, decide},
        password::{self, ChangeReason},
        policy::effective::EffectivePolicy,
        secret::Secret,
        time::Timestamp,
    },
    hashing::{HashingClient, HashingPurpose},
    live::policy::PolicyInForce,
    store::{StoreError, accounts},
};
use proof::{PasswordVerdict, TypedCredentials, prove_password};
use std::{sync::Arc, time::Instant};
use uuid::Uuid;

/// The audit reason of an attempt that a source could not answer.
const SOURCE_DOWN: &str = "source_down";

/// One attempt to sign in.
pub struct SignInAttempt {
    /// The name as typed.
    pub username: String,
    /// The password as typed.
    pub password: Secret,
    /// The client of the request.
    pub client: Client,
    /// The place where the session will be valid.
    pub target: SessionTarget,
    /// Where to redirect after the sign-in, validated. It is stored while the second factor is
    /// pending.
    pub return_to: String,
    /// Token of a trusted browser, if the request had its cookie.
    pub trusted: Option<Secret>,
}

/// The result of a [`SignInAttempt`].
pub enum SignInOutcome {
    /// A session was opened.
    Accepted(Box<OpenedSession>),
    /// The password is correct but a second factor is required. No session is open.
    FactorNeeded(Box<FactorDue>),
    /// The attempt was refused.
    Refused(SignInRefusal),
    /// The password is correct, but the account has no access to the application.
    NotAllowed,
}

/// An attempt with its reservations in the counters, and the account that it names.
struct ReservedAttempt {
    attempt: Arc<SignInAttempt>,
    reservation: AttemptReservation,
    account: Option<Account>,
    in_force: Arc<PolicyInForce>,
}

/// Tries to sign in.
pub async fn sign_in(ctx: &Ctx, attempt: SignInAttempt) -> Result<SignInOutcome, FlowError> {
    let began = Instant::now();
    let outcome = try_sign_in(ctx, attempt).await;
    let time = match &outcome {
        Ok(SignInOutcome::Accepted(_)) => metrics::histogram!("nightlatch_sign_in_seconds", "outcome" => "accepted"),
        Ok(SignInOutcome::FactorNeeded(_)) => {
            metrics::histogram!("nightlatch_sign_in_seconds", "outcome" => "factor_needed")
        }
        Ok(SignInOutcome::Refused(_) | SignInOutcome::NotAllowed) => {
            metrics::histogram!("nightlatch_sign_in_seconds", "outcome" => "refused")
        }
        Err(_) => metrics::histogram!("nightlatch_sign_in_seconds", "outcome" => "failed"),
    };
    time.record(began.elapsed());
    outcome
}

async fn try_sign_in(ctx: &Ctx, attempt: SignInAttempt) -> Result<SignInOutcome, FlowError> {
    let attempt = Arc::new(attempt);
    let in_force = ctx.current_policy().await?;
    let (account, snapshot) = read_counters(ctx, &attempt, &in_force).await?;
    // Refused without a write, so that a flood does not delay other requests.
    if let Some(refusal) = snapshot.flooded {
        ctx.count_refusal(ctx.now(), &attempt.refusal_entry(ctx, account.as_ref(), refusal.code()));
        return Ok(SignInOutcome::Refused(refusal));
    }
    let reservation = match reserve(ctx, &attempt, account.clone(), snapshot).await? {
        ReservationOutcome::Granted(reservation) => reservation,
        ReservationOutcome::Refused { refusal, .. } => return Ok(SignInOutcome::Refused(refusal)),
    };
    let (account, verdict) = match prove_password(ctx, &attempt.credentials(), account.clone()).await {
        Ok(proved) => proved,
        Err(fault) => {
            let reason = match &fault {
                FlowError::HashingBusy(_) => Some(SignInRefusal::Busy.code()),
                FlowError::SourceDown(_) => Some(SOURCE_DOWN),
                FlowError::Unavailable(_) | FlowError::EndHeld(_) | FlowError::NotFound | FlowError::Internal(_) => {
                    None
                }
            };
            if let Some(reason) = reason {
                ctx.count_refusal(ctx.now(), &attempt.refusal_entry(ctx, account.as_ref(), reason));
            }
            ctx.release_attempt(reservation).await?;
            return Err(fault);
        }
    };
    let reserved = ReservedAttempt {
        attempt,
        reservation,
        account,
        in_force,
    };
    let (initiator, outage) = (reserved.attempt.initiator(), verdict.outage.clone());
    let outcome = ctx
        .write(&initiator, move |w| w.settle_sign_in(&reserved, verdict))
        .await?;
    match (outcome, outage) {
        // The wrong password was counted; the answer is that of a name that a directory may know.
        (SignInOutcome::Refused(SignInRefusal::Credentials), Some(source)) => Err(FlowError::SourceDown(source)),
        (outcome, _) => Ok(outcome),
    }
}

/// Reads the account that the attempt names and its counters, without locks or writes.
async fn read_counters(
    ctx: &Ctx,
    attempt: &Arc<SignInAttempt>,
    in_force: &Arc<PolicyInForce>,
) -> Result<(Option<Account>, CounterSnapshot), FlowError> {
    let (attempt, in_force) = (attempt.clone(), in_force.clone());
    ctx.read(move |r| {
        let key = name_key(&attempt.username);
        let account = accounts::find_by_name_key(r.connection, &key)?;
        let name = r.ctx.typed_name(&attempt.username, account.is_some());
        let attempt = attempt.password_attempt(&name, account.as_ref());
        let snapshot = r.attempt_counters(&in_force.everyone().lockout, &attempt)?;
        Ok((account, snapshot))
    })
    .await
}

/// Reserves the attempt in every counter before the hash, or refuses it.
async fn reserve(
    ctx: &Ctx,
    attempt: &Arc<SignInAttempt>,
    account: Option<Account>,
    snapshot: CounterSnapshot,
) -> Result<ReservationOutcome, FlowError> {
    let reserving = attempt.clone();
    ctx.write(&attempt.initiator(), move |w| {
        let name = w.ctx.typed_name(&reserving.username, account.is_some());
        let outcome = w.reserve_attempt(snapshot, &reserving.password_attempt(&name, account.as_ref()))?;
        if let ReservationOutcome::Refused { refusal, single } = &outcome {
            w.record_refusal(
                &reserving.refusal_entry(w.ctx, account.as_ref(), refusal.code()),
                *single,
            )?;
        }
        Ok(outcome)
    })
    .await
}

impl SignInAttempt {
    fn initiator(&self) -> Initiator {
        Initiator::anonymous(&self.client)
    }

    fn credentials(&self) -> TypedCredentials<'_> {
        TypedCredentials {
            username: &self.username,
            password: &self.password,
            client: HashingClient::new(HashingPurpose::SignIn, Some(self.client.ip)),
            initiator: self.initiator(),
        }
    }

    fn password_attempt<'a>(&'a self, name: &'a TypedName, account: Option<&'a Account>) -> PasswordAttempt<'a> {
        PasswordAttempt {
            typed: &name.shown,
            name_key: &name.key,
            account,
            ip: self.client.ip,
            user_agent: self.client.user_agent.as_deref(),
        }
    }

    fn password_step(&self) -> PasswordStep<'_> {
        PasswordStep {
            client: &self.client,
            target: &self.target,
            return_to: &self.return_to,
            trusted_browser: self.trusted.as_ref(),
            provider: None,
        }
    }

    /// Creates the event `sign_in.refused`, under the account's own name, or under the typed name
    /// if there is no account.
    fn refusal_entry(&self, ctx: &Ctx, account: Option<&Account>, reason: &str) -> AuditEntry {
        let typed = ctx.typed_name(&self.username, account.is_some()).shown;
        let entry = self.initiator().entry(Event::SignInRefused);
        let entry = match account {
            Some(account) => entry.with_account(account.id, &account.name),
            None => entry.about_name(Some(typed)),
        };
        entry.failed(reason)
    }
}

impl ReservedAttempt {
    /// Returns whether the account is still the one whose password was checked: it was not reset,
    /// renamed or deleted in the meantime.
    fn is_unchanged(&self, current: Option<&Account>, ctx: &Ctx) -> bool {
        match (current, &self.account) {
            (Some(current), Some(checked)) if current.source != checked.source => false,
            (Some(current), Some(checked)) if current.external_id != checked.external_id => false,
            (Some(current), Some(checked)) => {
                current.password_hash == checked.password_hash
                    // A parallel sign-in replaced the hash of the same password.
                    || (current.password_changed_at == checked.password_changed_at
                        && ctx.hasher.outdated(&checked.password_hash))
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Write<'_> {
    /// Decides the attempt with the account's current state, and writes the result.
    fn settle_sign_in(
        &mut self,
        reserved: &ReservedAttempt,
        verdict: PasswordVerdict,
    ) -> Result<SignInOutcome, FlowError> {
        let everyone = reserved.in_force.everyone();
        let account = self.account_signing_in(reserved, verdict.matches)?;
        // The source may have been disabled while it checked the password.
        let is_closed = match &account {
            Some(account) if verdict.matches => self.is_source_closed(account)?,
            Some(_) | None => false,
        };
        let facts = LoginFacts {
            account: account
                .as_ref()
                .map(|account| login_account(account, everyone, self.now)),
            password_matches: verdict.matches && !is_closed && reserved.is_unchanged(account.as_ref(), self.ctx),
        };
        match decide(&facts, self.now) {
            LoginVerdict::Accepted { must_change } => {
                let account = account.ok_or_else(|| FlowError::Internal("accepted without an account".into()))?;
                self.accept_sign_in(reserved, account, must_change, verdict.better_hash)
            }
            LoginVerdict::Refused(refusal) => {
                let by_source = verdict.refusal.or(is_closed.then_some("source_disabled"));
                let by_source = by_source.filter(|_| refusal == SignInRefusal::Credentials);
                let reason = by_source.unwrap_or(refusal.code());
                self.refuse_sign_in(reserved, account.as_ref(), refusal, reason)
            }
            LoginVerdict::OneTimeOver => {
                self.refuse_sign_in(reserved, account.as_ref(), SignInRefusal::Credentials, ONE_TIME_OVER)
            }
        }
    }

    /// Returns the current account with its row locked; if a rule has just expired it, that is
    /// written first. With a wrong password all accounts get the same response, so this work is
    /// skipped.
    fn account_signing_in(&mut self, reserved: &ReservedAttempt, matches: bool) -> Result<Option<Account>, StoreError> {
        let known = reserved.account.as_ref();
        let policy = &reserved.in_force.everyone().accounts;
        let guarded = known.is_some_and(|account| account.role == Role::Administrator && may_expire(account, policy));
        if matches {
            self.lock_owners(known, reserved.attempt.target.replaces, guarded)?;
        }
        // An unknown account is looked up like a known one, so that the time does not reveal the
        // difference.
        let id = known.map_or(AccountId(Uuid::nil()), |account| account.id);
        let Some(mut account) = accounts::find(self.connection, id)? else {
            return Ok(None);
        };
        // An account that became an administrator at this moment is judged at the next request; the
        // administrators' rows are not locked.
        if matches && (guarded || account.role != Role::Administrator) {
            self.expire_account(&mut account, policy)?;
        }
        Ok(Some(account))
    }

    fn accept_sign_in(
        &mut self,
        reserved: &ReservedAttempt,
        mut account: Account,
        must_change: Option<ChangeReason>,
        better_hash: Option<String>,
    ) -> Result<SignInOutcome, FlowError> {
        let attempt = &reserved.attempt;
        if let Some(hash) = better_hash
            && accounts::set_password_hash_if(self.connection, account.id, &account.password_hash, &hash)?
        {
            self.ctx.hasher.move_decoy_cost(&account.password_hash, &hash);
            account.password_hash = hash;
        }
        let rules = factors_at_sign_in(&reserved.in_force, &account, attempt.target.entering.as_deref());
        self.note_requirement(&mut account, &rules)?;
        let step = attempt.password_step();
        let proofs = self.proofs_of_password(&account, &rules, &step)?;
        if rules.needs_second_step(account.factors, proofs) {
            let due = self.begin_second_step(&account, &rules, proofs, &step)?;
            // Nothing is counted or cleared here: the second step decides.
            self.release_attempt(&reserved.reservation)?;
            return Ok(SignInOutcome::FactorNeeded(Box::new(due)));
        }
        let opening = self.open_session(SessionRequest {
            account,
            proofs,
            must_change,
            client: &attempt.client,
            target: &attempt.target,
            in_force: &reserved.in_force,
        })?;
        // This comes last, because everyone behind an address shares its counter.
        self.complete_attempt(&reserved.reservation)?;
        Ok(match opening {
            SessionOpening::Opened(opened) => SignInOutcome::Accepted(opened),
            SessionOpening::NotAllowed => SignInOutcome::NotAllowed,
        })
    }

    /// Counts a wrong password, which may lock and is then answered as locked. The correct password
    /// of a disabled or expired account is not an attempt to guess: nothing is counted or cleared.
    /// `reason`: for the audit.
    fn refuse_sign_in(
        &mut self,
        reserved: &ReservedAttempt,
        account: Option<&Account>,
        refusal: SignInRefusal,
        reason: &str,
    ) -> Result<SignInOutcome, FlowError> {
        self.record(&reserved.attempt.refusal_entry(self.ctx, account, reason))?;
        if matches!(refusal, SignInRefusal::Disabled | SignInRefusal::Expired) {
            self.release_attempt(&reserved.reservation)?;
            return Ok(SignInOutcome::Refused(refusal));
        }
        let locked = self.fail_attempt(&reserved.reservation)?;
        Ok(SignInOutcome::Refused(locked.map_or(refusal, SignInRefusal::Locked)))
    }
}

fn login_account(account: &Account, policy: &EffectivePolicy, now: Timestamp) -> LoginAccount {
    LoginAccount {
        disabled: account.disabled_at.is_some(),
        expired: account.expired_at.is_some(),
        // A password that a source checked has no limit here.
        password_good_until: account.password_good_until.filter(|_| account.source.is_none()),
        must_change: password::must_change(
            &account.password_facts(),
            policy.accounts.change_default_password,
            &policy.password,
            now,
        ),
    }
}
