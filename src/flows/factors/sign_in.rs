//! The second step of a sign-in, with a code or a passkey, and signing in with a passkey alone.

use super::settlement::{FactorStepOutcome, PendingStep, PresentedFactor, Settlement};
use crate::{
    domain::{
        account::{Account, AccountId},
        client::Client,
        factor::FactorRequirement,
        secret::{self, Secret},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, FlowError, Initiator,
        factor_assertions::{AssertionCheck, AssertionOutcome},
        factor_checks::FactorReservation,
        factor_rules::factors_at_sign_in,
        pending_sign_in::{FactorMethods, is_carried_on},
        session_opening::SessionTarget,
    },
    second_factor::{challenge::ChallengeBinding, passkeys::PasskeyAnswer},
    store::{
        accounts, passkeys,
        pending_sign_ins::{self, PendingSignIn},
    },
};
use serde_json::Value as Json;

/// What the page of the second step shows.
#[derive(Debug, Clone)]
pub struct PendingView {
    /// Who signs in.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The methods that are accepted.
    pub methods: FactorMethods,
    /// How long this browser can be trusted; `None`: not at all.
    pub trust_for: Option<Span>,
    /// Where to redirect, as validated at the first step; may be empty.
    pub return_to: String,
    /// Last instant at which the sign-in can be completed.
    pub expires_at: Timestamp,
}

/// A code for the second step.
pub struct CodeStep {
    /// The sign-in that the code completes.
    pub step: PendingStep,
    /// Six digits or a recovery code, as typed.
    pub code: Secret,
    /// Whether to trust this browser from now on.
    pub trust: bool,
    /// Where the session will count. It must enter what the first step entered.
    pub target: SessionTarget,
}

/// A passkey's answer for the second step.
pub struct PasskeyStep {
    /// The sign-in that the answer completes.
    pub step: PendingStep,
    /// The browser's `PublicKeyCredential`, as `toJSON()` gives it.
    pub answer: Json,
    /// Whether to trust this browser from now on.
    pub trust: bool,
    /// Where the session will count. It must enter what the first step entered.
    pub target: SessionTarget,
}

/// A passkey's answer that signs in without a password, on the sign-in page or a lock screen. Like
/// a password, it may be anyone's: a covered page that another account unlocks is left
/// (`static/guard.js`).
pub struct PasskeySignIn {
    /// The browser's `PublicKeyCredential`, as `toJSON()` gives it.
    pub answer: Json,
    /// Where the request comes from.
    pub client: Client,
    /// Where the session will count.
    pub target: SessionTarget,
}

/// Options for signing in with a passkey alone.
pub enum SignInOptions {
    /// `{"publicKey": …}` for `navigator.credentials.get`; the same for all clients.
    Options(Json),
    /// Passkey sign-in is not available: the policy or the address of this server rules it out.
    Off,
}

/// Options for the second step of a sign-in with a passkey.
pub enum SecondStepOptions {
    /// `{"publicKey": …}` for `navigator.credentials.get`.
    Options(Json),
    /// The account has no passkey that works here.
    NoPasskey,
    /// There is no such sign-in, or it has expired.
    Over,
}

/// Finds the sign-in that a browser continues. `None`: there is none, or it has expired and must
/// start again.
pub async fn find_pending(ctx: &Ctx, step: &PendingStep) -> Result<Option<PendingView>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let applications = ctx.current_applications().await?;
    let Some((pending, account)) = ctx.find_pending_row(step).await? else {
        return Ok(None);
    };
    let are_here = has_passkeys_here(ctx, account.id).await?;
    let entering = pending.application.as_deref().and_then(|name| applications.named(name));
    let rules = factors_at_sign_in(&in_force, &account, entering.map(AsRef::as_ref));
    Ok(Some(PendingView {
        account: account.id,
        methods: FactorMethods::new(&rules, &account).with_passkeys_here(are_here),
        // A trusted browser never stands for a passkey.
        trust_for: rules
            .trusted_browser
            .filter(|_| rules.strictest != FactorRequirement::Passkey),
        name: account.name,
        return_to: pending.return_to,
        expires_at: pending.expires_at,
    }))
}

/// Returns whether a passkey of the account was made for the passkey domain of this server.
pub async fn has_passkeys_here(ctx: &Ctx, account: AccountId) -> Result<bool, FlowError> {
    ctx.read(move |r| Ok(r.has_passkeys_here(account)?)).await
}

/// Drops a pending sign-in, because its browser signed out or signs in again.
pub async fn abandon_pending(ctx: &Ctx, token: &Secret) -> Result<(), FlowError> {
    let digest = secret::digest(token.expose());
    ctx.write(&Initiator::system(), move |w| {
        pending_sign_ins::delete(w.connection, &digest)?;
        Ok(())
    })
    .await
}

/// Completes a sign-in with a code.
pub async fn sign_in_with_code(ctx: &Ctx, request: CodeStep) -> Result<FactorStepOutcome, FlowError> {
    let Some((_, account)) = ctx.find_pending_row(&request.step).await? else {
        return Ok(FactorStepOutcome::Over);
    };
    let in_force = ctx.current_policy().await?;
    let initiator = Initiator::anonymous(&request.step.client);
    let reservation = match ctx.reserve_code(&initiator, &account, request.step.client.ip).await? {
        FactorReservation::Granted(reservation) => reservation,
        FactorReservation::Refused(refusal) => return Ok(FactorStepOutcome::Refused(refusal)),
    };
    let settlement = Settlement {
        account,
        client: request.step.client.clone(),
        step: Some(request.step),
        target: request.target,
        trust: request.trust,
        in_force,
        reservation,
    };
    let code = request.code;
    ctx.write(&initiator, move |w| {
        w.settle_factor_step(&settlement, PresentedFactor::Code(&code))
    })
    .await
}

/// Starts a passkey proof for the second step.
pub async fn pending_passkey_options(ctx: &Ctx, step: &PendingStep) -> Result<SecondStepOptions, FlowError> {
    let Some((pending, account)) = ctx.find_pending_row(step).await? else {
        return Ok(SecondStepOptions::Over);
    };
    let rules = ctx.current_policy().await?.everyone().factors;
    if rules.usable(account.factors).passkeys == 0 {
        return Ok(SecondStepOptions::NoPasskey);
    }
    let binding = ChallengeBinding::for_second_step(account.id, &pending.digest);
    let options = ctx.begin_proof(&binding, account.id).await?;
    Ok(options.map_or(SecondStepOptions::NoPasskey, SecondStepOptions::Options))
}

/// Completes a sign-in with a passkey's answer.
pub async fn sign_in_with_pending_passkey(ctx: &Ctx, request: PasskeyStep) -> Result<FactorStepOutcome, FlowError> {
    let Some((pending, account)) = ctx.find_pending_row(&request.step).await? else {
        return Ok(FactorStepOutcome::Over);
    };
    let binding = ChallengeBinding::for_second_step(account.id, &pending.digest);
    let arrival = PasskeyArrival {
        binding,
        client: request.step.client.clone(),
        step: Some(request.step),
        target: request.target,
        trust: request.trust,
        answer: request.answer,
    };
    arrival.settle(ctx).await
}

/// Starts a sign-in with a passkey alone.
pub async fn sign_in_options(ctx: &Ctx, client: &Client) -> Result<SignInOptions, FlowError> {
    let rules = ctx.current_policy().await?.everyone().factors;
    if !rules.passwordless {
        return Ok(SignInOptions::Off);
    }
    let Some(site) = ctx.relying_party().await? else {
        return Ok(SignInOptions::Off);
    };
    let challenge = ctx.issue_challenge(&ChallengeBinding::for_sign_in(client.user_agent.as_deref()))?;
    let options = site.start_sign_in(&challenge);
    options
        .map(SignInOptions::Options)
        .map_err(|error| FlowError::Internal(error.to_string()))
}

/// Signs in with a passkey alone, which counts as two factors because of user verification.
pub async fn sign_in_with_passkey(ctx: &Ctx, request: PasskeySignIn) -> Result<FactorStepOutcome, FlowError> {
    let arrival = PasskeyArrival {
        binding: ChallengeBinding::for_sign_in(request.client.user_agent.as_deref()),
        client: request.client,
        step: None,
        target: request.target,
        trust: false,
        answer: request.answer,
    };
    arrival.settle(ctx).await
}

/// A passkey's answer, with or without a first step.
struct PasskeyArrival {
    binding: ChallengeBinding,
    client: Client,
    step: Option<PendingStep>,
    target: SessionTarget,
    trust: bool,
    answer: Json,
}

impl PasskeyArrival {
    async fn settle(self, ctx: &Ctx) -> Result<FactorStepOutcome, FlowError> {
        let in_force = ctx.current_policy().await?;
        let initiator = Initiator::anonymous(&self.client);
        let check = AssertionCheck {
            initiator: initiator.clone(),
            client: self.client.clone(),
            binding: self.binding,
            answer: PasskeyAnswer::read(self.answer),
        };
        let assertion = match ctx.check_assertion(check).await? {
            AssertionOutcome::Verified(assertion) => assertion,
            AssertionOutcome::Wrong => return Ok(FactorStepOutcome::Wrong),
            AssertionOutcome::Unknown => return Ok(FactorStepOutcome::UnknownPasskey),
            AssertionOutcome::Refused(refusal) => return Ok(FactorStepOutcome::Refused(refusal)),
        };
        // After a password the directory was asked a moment ago.
        let (account, reservation) = (&assertion.account, &assertion.reservation);
        if self.step.is_none() && !ctx.passes_directory(&initiator, account, reservation).await? {
            return Ok(FactorStepOutcome::Wrong);
        }
        let settlement = Settlement {
            account: assertion.account.clone(),
            client: self.client,
            step: self.step,
            target: self.target,
            trust: self.trust,
            in_force,
            reservation: assertion.reservation.clone(),
        };
        ctx.write(&initiator, move |w| {
            w.settle_factor_step(&settlement, PresentedFactor::Passkey(&assertion))
        })
        .await
    }
}

impl Ctx {
    /// Returns the pending sign-in that this browser continues, and its account.
    async fn find_pending_row(&self, step: &PendingStep) -> Result<Option<(PendingSignIn, Account)>, FlowError> {
        let step = step.clone();
        let in_force = self.in_force();
        self.read(move |r| {
            let Some(pending) = pending_sign_ins::find(r.connection, &step.digest())? else {
                return Ok(None);
            };
            let groups = &in_force.everyone().validation.groups;
            if !is_carried_on(&pending, &step.client, &step.host, groups, r.now) {
                return Ok(None);
            }
            let account = accounts::find(r.connection, pending.account)?;
            Ok(account.map(|account| (pending, account)))
        })
        .await
    }

    /// Starts a proof with one of an account's passkeys. `None`: none was made for the passkey
    /// domain of this server, or this server supports none.
    pub(in crate::flows) async fn begin_proof(
        &self,
        binding: &ChallengeBinding,
        account: AccountId,
    ) -> Result<Option<Json>, FlowError> {
        let (Some(site), Some(domain)) = (self.relying_party().await?, self.config.passkey_domain()) else {
            return Ok(None);
        };
        let mut passkeys = self
            .read(move |r| Ok(passkeys::of_account(r.connection, account)?))
            .await?;
        passkeys.retain(|passkey| passkey.domain == domain);
        if passkeys.is_empty() {
            return Ok(None);
        }
        let credentials: Vec<String> = passkeys.into_iter().map(|passkey| passkey.credential).collect();
        let options = site.start_proof(&self.issue_challenge(binding)?, &credentials);
        options
            .map(Some)
            .map_err(|error| FlowError::Internal(error.to_string()))
    }
}
