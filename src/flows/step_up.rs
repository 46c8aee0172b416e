//! Confirming one's identity within a session before a sensitive action, with the strongest proof
//! that the account has. `factors::prove_with_passkey` checks passkeys; this module checks
//! passwords, with a code if one is required.

use super::{
    Ctx, FlowError, Initiator, Write,
    attempts::AttemptReservation,
    factor_checks::{CodeVerdict, FactorReservation},
    factor_rules::factors_at_sign_in,
    password_check::{PasswordCheck, PasswordCheckOutcome},
    session_tokens::{ProvedSession, SessionProof},
};
use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        client::Client,
        factor::{FactorRequirement, Proofs},
        login::SignInRefusal,
        secret::Secret,
        session::{Session, SessionId, proof_holds},
        time::Span,
    },
    live::policy::PolicyInForce,
    store::accounts,
};
use serde_json::json;
use std::sync::Arc;

/// The proof that a step-up asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUpMethod {
    /// The password.
    Password,
    /// The password, and a code of the authenticator app or a recovery code.
    PasswordAndCode,
    /// One of its passkeys, with user verification.
    Passkey,
    /// A new sign-in at the identity provider of the account, which has no password here.
    IdentityProvider,
    /// One of its passkeys; in a browser that cannot use one, the password and a code.
    PasskeyOrCode,
    /// Nothing: its only factors are passkeys that were made for another passkey domain. The
    /// password alone would be less than what the account was protected with.
    DeadPasskeys,
}

impl StepUpMethod {
    /// Returns whether a passkey is accepted.
    pub const fn takes_passkey(self) -> bool {
        matches!(self, Self::Passkey | Self::PasskeyOrCode)
    }

    /// Returns whether the password is accepted, alone or with a code.
    pub const fn takes_password(self) -> bool {
        matches!(self, Self::Password | Self::PasswordAndCode | Self::PasskeyOrCode)
    }

    /// Returns whether the password needs a code beside it.
    pub const fn needs_code(self) -> bool {
        matches!(self, Self::PasswordAndCode | Self::PasskeyOrCode)
    }
}

/// A password typed within a session, and the code that came with it.
pub struct StepUpRequest {
    /// The account.
    pub account: AccountId,
    /// The session that is to be confirmed.
    pub session: SessionId,
    /// The digest of the token that the request used.
    pub token_digest: String,
    /// The client of the request.
    pub client: Client,
    /// The password.
    pub password: Secret,
    /// The typed code, if one is required.
    pub code: Option<Secret>,
}

/// The result of a [`StepUpRequest`].
#[derive(Debug)]
pub enum StepUpOutcome {
    /// The session is confirmed and continues with this new token; `None`: it got a new one a
    /// moment ago.
    Proved(Option<Secret>),
    /// The password is wrong.
    Wrong,
    /// The password is correct, but the code is not.
    WrongCode,
    /// The account must prove more than the request contains; nothing was checked.
    MoreNeeded(StepUpMethod),
    /// Too many attempts: locked, or busy.
    Refused(SignInRefusal),
}

/// Returns what a step-up asks of an account. `FlowError::NotFound`: there is no such account.
pub async fn find_method(ctx: &Ctx, id: AccountId) -> Result<StepUpMethod, FlowError> {
    let in_force = ctx.current_policy().await?;
    let (account, are_here) = ctx.read_for_step_up(id).await?;
    Ok(ctx.step_up_method(&in_force, &account, are_here))
}

/// Checks the password, and the code if one is required. If both are correct, the session records
/// it. `FlowError::NotFound`: the account or session ended meanwhile.
pub async fn prove(ctx: &Ctx, initiator: &Initiator, request: StepUpRequest) -> Result<StepUpOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let id = request.account;
    let (account, are_here) = ctx.read_for_step_up(id).await?;
    let method = ctx.step_up_method(&in_force, &account, are_here);
    let is_asked_for_code = method.needs_code();
    if !method.takes_password() || (is_asked_for_code && request.code.is_none()) {
        return Ok(StepUpOutcome::MoreNeeded(method));
    }
    let check = PasswordCheck {
        initiator: initiator.clone(),
        account: account.clone(),
        client: request.client.clone(),
        password: request.password.clone(),
        event: Event::StepUpRefused,
    };
    let reservation = match ctx.check_password(check).await? {
        PasswordCheckOutcome::Correct(reservation) => reservation,
        PasswordCheckOutcome::Wrong => return Ok(StepUpOutcome::Wrong),
        PasswordCheckOutcome::Refused(refusal) => return Ok(StepUpOutcome::Refused(refusal)),
    };
    let code = match request.code.clone().filter(|_| is_asked_for_code) {
        None => None,
        Some(code) => match ctx.reserve_code(initiator, &account, request.client.ip).await? {
            FactorReservation::Granted(place) => Some((code, place)),
            FactorReservation::Refused(refusal) => {
                ctx.release_attempt(reservation).await?;
                return Ok(StepUpOutcome::Refused(refusal));
            }
        },
    };
    let step_up = CheckedPassword {
        request,
        account,
        reservation,
        code,
        in_force,
    };
    ctx.write(initiator, move |w| w.settle_step_up(&step_up))
        .await?
        .ok_or(FlowError::NotFound)
}

/// Returns whether a session confirmed its owner's identity within `limit`. Where the account has a
/// second factor, the session itself must have proved one: a password from before the factor was
/// enrolled is not a confirmation, and neither is a trusted browser. An id that a confirmation has
/// replaced does not have that confirmation. `token_digest`: that of the presented id.
pub fn is_confirmed(ctx: &Ctx, account: &Account, session: &Session, token_digest: &str, limit: Span) -> bool {
    let in_force = ctx.in_force();
    // Dead passkeys count as others do: what a session had to prove does not become less.
    let is_enough = match ctx.step_up_method(&in_force, account, true) {
        StepUpMethod::Password => true,
        StepUpMethod::PasswordAndCode
        | StepUpMethod::Passkey
        | StepUpMethod::PasskeyOrCode
        | StepUpMethod::DeadPasskeys => session.proofs.has_own_factor(),
        // The second step of the sign-in asked for a factor that the account has here.
        StepUpMethod::IdentityProvider => {
            let policy = factors_at_sign_in(&in_force, account, None);
            !policy.can_prove(account.factors) || session.proofs.has_own_factor()
        }
    };
    is_enough && !session.is_outdated(token_digest) && proof_holds(session.proved_at, limit, ctx.now())
}

impl Ctx {
    /// Returns whether the account's identity is proved at an OpenID Connect provider.
    fn is_of_provider(&self, account: &Account) -> bool {
        let sources = self.live.sources();
        let source = account.source.and_then(|id| sources.by_id(id));
        source.is_some_and(|live| live.source.oidc().is_some())
    }

    /// Reads an account, and whether it has a passkey of the passkey domain of this server.
    async fn read_for_step_up(&self, id: AccountId) -> Result<(Account, bool), FlowError> {
        self.read(move |r| {
            let account = accounts::find(r.connection, id)?.ok_or(FlowError::NotFound)?;
            let are_here = account.factors.passkeys == 0 || r.has_passkeys_here(id)?;
            Ok((account, are_here))
        })
        .await
    }

    /// Returns the strongest step-up method that the account can use here. Where a passkey is
    /// required, no code stands in for it. `are_here`: its passkeys were made for this server.
    fn step_up_method(&self, in_force: &PolicyInForce, account: &Account, are_here: bool) -> StepUpMethod {
        let policy = factors_at_sign_in(in_force, account, None);
        let usable = policy.usable(account.factors);
        let has_passkeys = usable.passkeys > 0 && self.config.passkey_domain().is_some();
        let has_code = usable.authenticator_app || usable.recovery_codes > 0;
        let is_of_provider = self.is_of_provider(account);
        let is_code_enough = has_code && !is_of_provider && policy.required != FactorRequirement::Passkey;
        if has_passkeys && are_here {
            match is_code_enough {
                true => StepUpMethod::PasskeyOrCode,
                false => StepUpMethod::Passkey,
            }
        } else if is_of_provider {
            StepUpMethod::IdentityProvider
        } else if has_code {
            StepUpMethod::PasswordAndCode
        } else if has_passkeys {
            StepUpMethod::DeadPasskeys
        } else {
            StepUpMethod::Password
        }
    }
}

/// A correct password that is yet to be recorded in the session.
struct CheckedPassword {
    request: StepUpRequest,
    /// The account when the password was checked.
    account: Account,
    reservation: AttemptReservation,
    /// The required code and its reservation in the counters.
    code: Option<(Secret, AttemptReservation)>,
    in_force: Arc<PolicyInForce>,
}

impl Write<'_> {
    /// Records the step-up. `None`: the account or session ended, or the password changed.
    fn settle_step_up(&mut self, step_up: &CheckedPassword) -> Result<Option<StepUpOutcome>, FlowError> {
        let CheckedPassword { request, account, .. } = step_up;
        let current = accounts::find(self.connection, account.id)?;
        let current = current.filter(|current| current.password_hash == account.password_hash);
        let outcome = match &current {
            Some(current) => self.settle_current_step_up(step_up, current)?,
            None => None,
        };
        if outcome.is_none()
            && let Some((_, place)) = &step_up.code
        {
            self.release_attempt(place)?;
        }
        // This comes last, because everyone behind an address shares its counter.
        self.release_attempt(&step_up.reservation)?;
        self.forget_session(request.session);
        Ok(outcome)
    }

    fn settle_current_step_up(
        &mut self,
        step_up: &CheckedPassword,
        account: &Account,
    ) -> Result<Option<StepUpOutcome>, FlowError> {
        let request = &step_up.request;
        let mut proofs = Proofs::PASSWORD;
        if let Some((code, place)) = &step_up.code {
            let rules = factors_at_sign_in(&step_up.in_force, account, None);
            match self.check_code(account, &rules, code)? {
                CodeVerdict::Correct(proof) => proofs = proofs.with(proof),
                CodeVerdict::Wrong(reason) => {
                    let locked = self.refuse_code(account, place, reason)?;
                    return Ok(Some(locked.map_or(StepUpOutcome::WrongCode, StepUpOutcome::Refused)));
                }
            }
        }
        let proved = self.prove_session(&SessionProof {
            session: request.session,
            token_digest: &request.token_digest,
            ip: request.client.ip,
            proofs,
            is_step_up: true,
        })?;
        let ProvedSession::Continued(token) = proved else {
            return Ok(None);
        };
        let entry = self
            .entry(Event::StepUpAccepted)
            .with_account(account.id, &account.name);
        self.record(&entry.with_detail(json!({ "factors": proofs.to_json() })))?;
        if let Some((_, place)) = &step_up.code {
            self.complete_attempt(place)?;
        }
        Ok(Some(StepUpOutcome::Proved(token)))
    }
}
