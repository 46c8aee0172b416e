//! Proving a factor within a live session: after a policy became stricter, or as step-up with a
//! passkey. The session continues under a new id, so that an attacker who knows the old id does not
//! gain the proof.

use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        client::Client,
        factor::Proof,
        login::SignInRefusal,
        policy::effective::FactorPolicy,
        secret::Secret,
        session::SessionId,
    },
    flows::{
        Ctx, FlowError, Initiator, Write,
        factor_assertions::{AssertionCheck, AssertionOutcome},
        factor_checks::{CodeVerdict, FactorReservation},
        factor_rules::factors_in_session,
        session_tokens::{ProvedSession, SessionProof},
    },
    live::policy::PolicyInForce,
    second_factor::{challenge::ChallengeBinding, passkeys::PasskeyAnswer},
    store::{accounts, sessions},
};
use serde_json::{Value as Json, json};

/// A session in which a factor is proved.
#[derive(Debug, Clone)]
pub struct ProvingSession {
    /// Whose session it is.
    pub account: AccountId,
    /// The session.
    pub session: SessionId,
    /// Digest of the id under which it was asked.
    pub token_digest: String,
    /// Where the request comes from.
    pub client: Client,
}

/// The outcome of a proof.
#[derive(Debug)]
pub enum ProofOutcome {
    /// The session has proved the factor and continues under this new id; `None`: its id was
    /// replaced a moment ago.
    Proved(Option<Secret>),
    /// The code or the answer is wrong.
    Wrong,
    /// Too many attempts: blocked, or busy.
    Refused(SignInRefusal),
}

/// Proves a code of the authenticator app, or a recovery code. `FlowError::NotFound`: the account
/// or session ended meanwhile. A code alone is not a step-up, which also asks for the password.
pub async fn prove_with_code(
    ctx: &Ctx,
    initiator: &Initiator,
    proof: ProvingSession,
    code: Secret,
) -> Result<ProofOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let account = proof.find_account(ctx).await?;
    let reservation = match ctx.reserve_code(initiator, &account, proof.client.ip).await? {
        FactorReservation::Granted(reservation) => reservation,
        FactorReservation::Refused(refusal) => return Ok(ProofOutcome::Refused(refusal)),
    };
    ctx.write(initiator, move |w| {
        let Some((account, rules)) = w.proving_account(&proof, &in_force)? else {
            w.release_attempt(&reservation)?;
            return Ok(None);
        };
        match w.check_code(&account, &rules, &code)? {
            CodeVerdict::Wrong(reason) => {
                let locked = w.refuse_code(&account, &reservation, reason)?;
                Ok(Some(locked.map_or(ProofOutcome::Wrong, ProofOutcome::Refused)))
            }
            CodeVerdict::Correct(factor) => {
                let token = w.add_proof(&proof, &account, factor, false)?;
                w.complete_attempt(&reservation)?;
                Ok(Some(ProofOutcome::Proved(token)))
            }
        }
    })
    .await?
    .ok_or(FlowError::NotFound)
}

/// Starts a passkey proof: `{"publicKey": …}`. `None`: the account has no passkey that counts here.
pub async fn passkey_options(ctx: &Ctx, proof: &ProvingSession) -> Result<Option<Json>, FlowError> {
    let account = proof.find_account(ctx).await?;
    let rules = ctx.current_policy().await?.everyone().factors;
    if rules.usable(account.factors).passkeys == 0 {
        return Ok(None);
    }
    ctx.begin_proof(&proof.binding(), account.id).await
}

/// Proves a passkey, which also counts as a step-up. `FlowError::NotFound`: the account or session
/// ended meanwhile.
pub async fn prove_with_passkey(
    ctx: &Ctx,
    initiator: &Initiator,
    proof: ProvingSession,
    answer: Json,
) -> Result<ProofOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let check = AssertionCheck {
        initiator: initiator.clone(),
        client: proof.client.clone(),
        binding: proof.binding(),
        answer: PasskeyAnswer::read(answer),
    };
    let assertion = match ctx.check_assertion(check).await? {
        AssertionOutcome::Verified(assertion) => assertion,
        AssertionOutcome::Wrong | AssertionOutcome::Unknown => return Ok(ProofOutcome::Wrong),
        AssertionOutcome::Refused(refusal) => return Ok(ProofOutcome::Refused(refusal)),
    };
    ctx.write(initiator, move |w| {
        let Some((account, rules)) = w.proving_account(&proof, &in_force)? else {
            w.release_attempt(&assertion.reservation)?;
            return Ok(None);
        };
        let is_allowed = rules.usable(account.factors).passkeys > 0;
        if !is_allowed || !w.note_passkey_use(&assertion)? {
            let locked = w.refuse_code(&account, &assertion.reservation, "assertion")?;
            return Ok(Some(locked.map_or(ProofOutcome::Wrong, ProofOutcome::Refused)));
        }
        let token = w.add_proof(&proof, &account, assertion.proof(), true)?;
        w.release_attempt(&assertion.reservation)?;
        Ok(Some(ProofOutcome::Proved(token)))
    })
    .await?
    .ok_or(FlowError::NotFound)
}

impl ProvingSession {
    fn binding(&self) -> ChallengeBinding {
        ChallengeBinding::for_proof(self.account, self.session)
    }

    async fn find_account(&self, ctx: &Ctx) -> Result<Account, FlowError> {
        let id = self.account;
        ctx.read(move |r| accounts::find(r.connection, id)?.ok_or(FlowError::NotFound))
            .await
    }
}

impl Write<'_> {
    /// Returns the account and rules of a session that is live and belongs to the account.
    fn proving_account(
        &mut self,
        proof: &ProvingSession,
        in_force: &PolicyInForce,
    ) -> Result<Option<(Account, FactorPolicy)>, FlowError> {
        let Some(account) = accounts::find(self.connection, proof.account)? else {
            return Ok(None);
        };
        let session = sessions::find(self.connection, proof.session)?;
        let live = session.filter(|session| session.ended_at.is_none() && session.account_id == account.id);
        let usable = live.filter(|_| account.is_enabled());
        Ok(usable.map(|session| {
            let rules = factors_in_session(in_force, &account, &session.applications);
            (account, rules)
        }))
    }

    /// Adds the proofs to the session and gives it a new token. `is_step_up`: the proof also
    /// confirms the identity for critical actions, without the password.
    pub(in crate::flows) fn add_proof(
        &mut self,
        proving: &ProvingSession,
        account: &Account,
        factor: Proof,
        is_step_up: bool,
    ) -> Result<Option<Secret>, FlowError> {
        let proved = self.prove_session(&SessionProof {
            session: proving.session,
            token_digest: &proving.token_digest,
            ip: proving.client.ip,
            proofs: factor.into(),
            is_step_up,
        })?;
        let ProvedSession::Continued(token) = proved else {
            return Err(FlowError::NotFound);
        };
        self.record_proof(account, factor)?;
        if is_step_up {
            let entry = self
                .entry(Event::StepUpAccepted)
                .with_account(account.id, &account.name);
            self.record(&entry.with_detail(json!({ "factors": [factor.as_str()] })))?;
        }
        Ok(token)
    }
}
