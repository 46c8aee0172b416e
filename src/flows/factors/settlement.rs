//! Completes a second step, or a passkey sign-in. One write judges the current state, consumes the
//! first step and opens the session.

use crate::{
    domain::{
        account::{Account, Role},
        agent,
        audit::Event,
        client::Client,
        factor::{Proof, Proofs},
        login::SignInRefusal,
        password,
        policy::effective::FactorPolicy,
        secret::{self, Secret},
        time::{Span, Timestamp},
    },
    flows::{
        FlowError, Write,
        attempts::AttemptReservation,
        expiry::may_expire,
        factor_assertions::VerifiedAssertion,
        factor_checks::CodeVerdict,
        factor_emails::FactorNotification,
        factor_rules::factors_at_sign_in,
        pending_sign_in::is_carried_on,
        provider_sessions::ProviderSessionFacts,
        session_opening::{OpenedSession, SessionOpening, SessionRequest, SessionTarget},
    },
    live::policy::PolicyInForce,
    store::{
        StoreError, accounts,
        pending_sign_ins::{self, PendingSignIn},
        trusted_browsers::{self, TrustedBrowser},
    },
};
use std::sync::Arc;

/// Maximum number of attempts at one second step, regardless of the counters.
const MAX_ATTEMPTS: i32 = 20;

/// A browser in the second step.
#[derive(Debug, Clone)]
pub struct PendingStep {
    /// The token from the first step ([`super::FactorDue::token`]).
    pub token: Secret,
    /// Where the request comes from.
    pub client: Client,
    /// The host for which the session will count, as tokens name it. It must be the host of the
    /// first step.
    pub host: String,
}

impl PendingStep {
    pub(super) fn digest(&self) -> String {
        secret::digest(self.token.expose())
    }
}

/// A completed sign-in.
pub struct CompletedSignIn {
    /// The session that was opened.
    pub session: OpenedSession,
    /// Where to redirect; empty after a sign-in without a first step.
    pub return_to: String,
    /// Token of the trusted browser for its cookie, and the last instant at which it counts.
    pub trusted: Option<(Secret, Timestamp)>,
}

/// The outcome of a second step or of a passkey sign-in.
pub enum FactorStepOutcome {
    /// A session was opened.
    Completed(Box<CompletedSignIn>),
    /// The code or the answer is wrong; the second step continues.
    Wrong,
    /// No account has this passkey, so the browser may forget it.
    UnknownPasskey,
    /// Blocked, busy, or the account is disabled or expired.
    Refused(SignInRefusal),
    /// There is no such sign-in, or it has expired; it must start again with the password.
    Over,
    /// The application is not for this account.
    NotAllowed,
}

/// What one write settles: for which account, from where, and where to redirect.
pub(super) struct Settlement {
    /// The account as read before the write.
    pub(super) account: Account,
    pub(super) client: Client,
    /// The first step; `None` for a passkey sign-in.
    pub(super) step: Option<PendingStep>,
    pub(super) target: SessionTarget,
    pub(super) trust: bool,
    pub(super) in_force: Arc<PolicyInForce>,
    pub(super) reservation: AttemptReservation,
}

/// The second factor that was presented.
pub(super) enum PresentedFactor<'a> {
    Code(&'a Secret),
    Passkey(&'a VerifiedAssertion),
}

impl Write<'_> {
    /// Decides a second step on the current state, and writes the outcome.
    pub(super) fn settle_factor_step(
        &mut self,
        settlement: &Settlement,
        given: PresentedFactor<'_>,
    ) -> Result<FactorStepOutcome, FlowError> {
        // Its provider may be ending the session just now.
        if let Some(source) = settlement.account.source {
            self.hold_source(source)?;
        }
        let Some(account) = self.factor_account(settlement)? else {
            self.release_attempt(&settlement.reservation)?;
            return Ok(FactorStepOutcome::Over);
        };
        let entering = settlement.target.entering.as_deref();
        let rules = factors_at_sign_in(&settlement.in_force, &account, entering);
        let pending = match &settlement.step {
            Some(step) => match self.pending_of(step, settlement, &account)? {
                Some(pending) => Some(pending),
                None => {
                    self.release_attempt(&settlement.reservation)?;
                    return Ok(FactorStepOutcome::Over);
                }
            },
            None => None,
        };
        if let Some(refusal) = refusal_of(&account) {
            let reason = refusal.code();
            return self.refuse_factor_sign_in(settlement, &account, refusal, reason);
        }
        // It may have been disabled since the first step.
        if self.is_source_closed(&account)? {
            return self.refuse_factor_sign_in(settlement, &account, SignInRefusal::Disabled, "source_disabled");
        }
        match self.judge_given(settlement, &account, &rules, given)? {
            CodeVerdict::Wrong(reason) => {
                let locked = self.refuse_code(&account, &settlement.reservation, reason)?;
                Ok(locked.map_or(FactorStepOutcome::Wrong, FactorStepOutcome::Refused))
            }
            CodeVerdict::Correct(proof) => self.complete_factor_step(settlement, account, &rules, pending, proof),
        }
    }

    /// Returns the current account with its row locked. If a rule has just expired the account, the
    /// expiry is carried out first.
    fn factor_account(&mut self, settlement: &Settlement) -> Result<Option<Account>, StoreError> {
        let policy = &settlement.in_force.everyone().accounts;
        let known = &settlement.account;
        let guarded = known.role == Role::Administrator && may_expire(known, policy);
        self.lock_owners(Some(known), settlement.target.replaces, guarded)?;
        let Some(mut account) = accounts::find(self.connection, known.id)? else {
            return Ok(None);
        };
        if guarded || account.role != Role::Administrator {
            self.expire_account(&mut account, policy)?;
        }
        Ok(Some(account))
    }

    /// Returns the first step if this browser continues it with the same password and target, and
    /// counts the attempt in it.
    fn pending_of(
        &mut self,
        step: &PendingStep,
        settlement: &Settlement,
        account: &Account,
    ) -> Result<Option<PendingSignIn>, StoreError> {
        let digest = step.digest();
        if !pending_sign_ins::count_attempt(self.connection, &digest, MAX_ATTEMPTS, self.now)? {
            return Ok(None);
        }
        let entering = settlement.target.entering.as_deref();
        let pending = pending_sign_ins::find(self.connection, &digest)?;
        let in_force = self.ctx.in_force();
        let groups = &in_force.everyone().validation.groups;
        Ok(pending.filter(|pending| {
            is_carried_on(pending, &step.client, &step.host, groups, self.now)
                && pending.account == account.id
                && pending.password_changed_at == account.password_changed_at
                && settlement.target.host == pending.host
                && entering.map(|entering| entering.name.as_str()) == pending.application.as_deref()
        }))
    }

    fn judge_given(
        &mut self,
        settlement: &Settlement,
        account: &Account,
        rules: &FactorPolicy,
        given: PresentedFactor<'_>,
    ) -> Result<CodeVerdict, FlowError> {
        match given {
            PresentedFactor::Code(code) => self.check_code(account, rules, code),
            PresentedFactor::Passkey(assertion) => {
                let is_allowed = match settlement.step {
                    Some(_) => rules.usable(account.factors).passkeys > 0,
                    None => rules.passwordless && assertion.proof() == Proof::PasskeyVerified,
                };
                if is_allowed && self.note_passkey_use(assertion)? {
                    return Ok(CodeVerdict::Correct(assertion.proof()));
                }
                Ok(CodeVerdict::Wrong("assertion"))
            }
        }
    }

    /// Refuses the correct factor of an account that may not sign in. Nothing is counted or
    /// cleared.
    fn refuse_factor_sign_in(
        &mut self,
        settlement: &Settlement,
        account: &Account,
        refusal: SignInRefusal,
        reason: &str,
    ) -> Result<FactorStepOutcome, FlowError> {
        let entry = self.entry(Event::SignInRefused).with_account(account.id, &account.name);
        self.record(&entry.failed(reason))?;
        pending_sign_ins::delete_of_account(self.connection, account.id)?;
        self.release_attempt(&settlement.reservation)?;
        Ok(FactorStepOutcome::Refused(refusal))
    }

    /// Consumes the first step and opens the session.
    fn complete_factor_step(
        &mut self,
        settlement: &Settlement,
        mut account: Account,
        rules: &FactorPolicy,
        pending: Option<PendingSignIn>,
        proof: Proof,
    ) -> Result<FactorStepOutcome, FlowError> {
        let (mut proofs, mut return_to) = (Proofs::from(proof), String::new());
        let mut provider = None;
        if let Some(pending) = pending {
            if !pending_sign_ins::redeem(self.connection, &pending.digest, self.now)? {
                return Err(FlowError::Internal("a pending sign-in was settled twice".to_owned()));
            }
            proofs = pending.proofs.with(proof);
            return_to = pending.return_to;
            provider = pending.provider.as_deref().and_then(ProviderSessionFacts::parse);
        }
        self.note_requirement(&mut account, rules)?;
        self.record_proof(&account, proof)?;
        let policy = settlement.in_force.everyone();
        let must_change = password::must_change(
            &account.password_facts(),
            policy.accounts.change_default_password,
            &policy.password,
            self.now,
        );
        let owner = account.clone();
        let opening = self.open_session(SessionRequest {
            account,
            proofs,
            must_change,
            client: &settlement.client,
            target: &settlement.target,
            in_force: &settlement.in_force,
        })?;
        let SessionOpening::Opened(session) = opening else {
            self.release_attempt(&settlement.reservation)?;
            return Ok(FactorStepOutcome::NotAllowed);
        };
        if let Some(facts) = provider {
            self.keep_provider_session(session.session, &facts)?;
        }
        let trusted = match rules.trusted_browser.filter(|_| settlement.trust) {
            Some(trusted_for) => Some(self.trust_browser(&owner, &settlement.client, trusted_for)?),
            None => None,
        };
        // Comes last, because the counter of an address is shared by everyone behind it.
        self.complete_attempt(&settlement.reservation)?;
        if settlement.step.is_some() {
            self.clear_password_failures(&owner, &settlement.client, &policy.lockout)?;
        }
        Ok(FactorStepOutcome::Completed(Box::new(CompletedSignIn {
            session: *session,
            return_to,
            trusted,
        })))
    }

    /// Trusts this browser. Returns its token, and the last instant at which it counts.
    fn trust_browser(
        &mut self,
        account: &Account,
        client: &Client,
        trusted_for: Span,
    ) -> Result<(Secret, Timestamp), StoreError> {
        let token = secret::token(self.ctx.random_bytes());
        let expires_at = self.now.saturating_add(trusted_for);
        let label = agent::describe(client.user_agent.as_deref());
        let browser = TrustedBrowser {
            id: self.ctx.new_id(self.now),
            digest: secret::digest(token.expose()),
            account: account.id,
            password_changed_at: account.password_changed_at,
            label: label.clone(),
            made_at: self.now,
            last_used_at: self.now,
            expires_at,
        };
        trusted_browsers::insert(self.connection, &browser)?;
        let entry = self
            .entry(Event::BrowserTrusted)
            .with_account(account.id, &account.name);
        let detail = serde_json::json!({ "browser": label, "until": expires_at.to_rfc3339() });
        self.record(&entry.with_detail(detail))?;
        self.notify_factor_change(account, &FactorNotification::BrowserTrusted { until: expires_at })?;
        Ok((token, expires_at))
    }
}

fn refusal_of(account: &Account) -> Option<SignInRefusal> {
    match account {
        Account {
            disabled_at: Some(_), ..
        } => Some(SignInRefusal::Disabled),
        Account {
            expired_at: Some(_), ..
        } => Some(SignInRefusal::Expired),
        _ => None,
    }
}
