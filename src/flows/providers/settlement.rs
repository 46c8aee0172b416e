//! The write that completes a sign-in at a provider: it finds or creates the account, and opens the
//! session or begins the second step.

use super::outcome::{PendingProviderSignIn, ProviderRefusal, ProviderSignInOutcome, refusal_entry, with_username};
use crate::{
    domain::{
        account::{Account, Role},
        audit::Event,
        client::Client,
        factor::{Proof, Proofs},
        login::SignInRefusal,
        secret::Secret,
        time::Timestamp,
    },
    flows::{
        Write,
        external_accounts::{ExternalRefusal, IdentifiedPerson, PersonWriteError},
        factor_rules::factors_at_sign_in,
        login::SessionTarget,
        pending_sign_in::PasswordStep,
        provider_sessions::ProviderSessionFacts,
        session_opening::{SessionOpening, SessionRequest},
    },
    identity::oidc::OidcFault,
    live::policy::PolicyInForce,
    store::{StoreError, sources},
};
use std::sync::Arc;

/// The message for a person whom the provider identified, but who gets no account.
pub(super) const NO_ACCOUNT: &str =
    "The identity provider signed you in, but you have no account here that may be used.";

/// A person at the provider with a proved identity, before the write.
pub(super) struct ProviderSettlement {
    pub(super) person: IdentifiedPerson,
    /// The account before the write; `None`: there is none yet.
    pub(super) known: Option<Account>,
    pub(super) facts: ProviderSessionFacts,
    pub(super) proofs: Proofs,
    pub(super) pending: PendingProviderSignIn,
    /// The provider's latest sign-out before the tokens were fetched.
    pub(super) last_sign_out: Option<Timestamp>,
    pub(super) in_force: Arc<PolicyInForce>,
    pub(super) client: Client,
    pub(super) target: SessionTarget,
    pub(super) trusted: Option<Secret>,
}

impl Write<'_> {
    /// Uses up the sign-in, finds or creates the account, and opens the session or begins the
    /// second step.
    pub(super) fn settle_provider_sign_in(
        &mut self,
        settlement: &ProviderSettlement,
    ) -> Result<ProviderSignInOutcome, PersonWriteError> {
        let person = &settlement.person;
        let source = &person.source;
        let policy = &settlement.in_force.everyone().accounts;
        let known = settlement.known.as_ref();
        let concerns_administrators = person.concerns_administrators(known);
        // In the order of all writes: sources, administrators, accounts, sessions.
        let current = self.hold_source(source.id)?;
        self.lock_owners(known, settlement.target.replaces, concerns_administrators)?;
        if !self.spend_state(&settlement.pending)? {
            let message = "This sign-in was already used. Sign in again.";
            return Ok(self.refuse_settlement(person, None, OidcFault::state().code(), message)?);
        }
        if self.is_interrupted(&settlement.facts, settlement.last_sign_out)? {
            let message = "The identity provider has ended this session meanwhile. Sign in again.";
            return Ok(self.refuse_settlement(person, known, OidcFault::ended_session().code(), message)?);
        }
        sources::clear_fault(self.connection, source.id)?;
        let mut account = match self.external_account(person, current.as_ref())? {
            Ok(account) => account,
            Err(refusal) => {
                let message = match refusal {
                    ExternalRefusal::SourceChanged => {
                        "The identity provider's settings were just changed. Sign in again."
                    }
                    _ => NO_ACCOUNT,
                };
                return Ok(self.refuse_settlement(person, known, refusal.code(), message)?);
            }
        };
        if account.role != Role::Administrator || concerns_administrators {
            self.expire_account(&mut account, policy)?;
        }
        let refused = match (account.disabled_at, account.expired_at) {
            (Some(_), _) => Some((
                SignInRefusal::Disabled,
                "This account is disabled. An administrator can enable it again.",
            )),
            (None, Some(_)) => Some((
                SignInRefusal::Expired,
                "This account has expired. An administrator can reactivate it.",
            )),
            (None, None) => None,
        };
        if let Some((refusal, message)) = refused {
            return Ok(self.refuse_settlement(person, Some(&account), refusal.code(), message)?);
        }
        self.open_provider_session(settlement, account)
    }

    fn open_provider_session(
        &mut self,
        settlement: &ProviderSettlement,
        mut account: Account,
    ) -> Result<ProviderSignInOutcome, PersonWriteError> {
        let target = &settlement.target;
        let rules = factors_at_sign_in(&settlement.in_force, &account, target.entering.as_deref());
        self.note_requirement(&mut account, &rules)?;
        let step = PasswordStep {
            client: &settlement.client,
            target,
            return_to: &settlement.pending.return_to,
            trusted_browser: settlement.trusted.as_ref(),
            provider: Some(&settlement.facts),
        };
        let mut proofs = settlement.proofs;
        if self
            .proofs_of_password(&account, &rules, &step)?
            .contains(Proof::TrustedBrowser)
        {
            proofs = proofs.with(Proof::TrustedBrowser);
        }
        if rules.needs_second_step(account.factors, proofs) {
            let due = self.begin_second_step(&account, &rules, proofs, &step)?;
            return Ok(ProviderSignInOutcome::FactorNeeded(Box::new(due)));
        }
        let opening = self.open_session(SessionRequest {
            account,
            proofs,
            must_change: None,
            client: &settlement.client,
            target,
            in_force: &settlement.in_force,
        })?;
        Ok(match opening {
            SessionOpening::Opened(opened) => {
                self.keep_provider_session(opened.session, &settlement.facts)?;
                ProviderSignInOutcome::Accepted(opened)
            }
            SessionOpening::NotAllowed => ProviderSignInOutcome::NotAllowed,
        })
    }

    /// Records the refusal of a person whom the provider identified.
    fn refuse_settlement(
        &mut self,
        person: &IdentifiedPerson,
        account: Option<&Account>,
        code: &'static str,
        message: &str,
    ) -> Result<ProviderSignInOutcome, StoreError> {
        let entry = self.entry(Event::SignInRefused);
        let entry = match account {
            Some(account) => entry.with_account(account.id, &account.name),
            None => entry,
        };
        let entry = refusal_entry(entry, &person.source, code, message);
        self.record(&with_username(entry, Some(&person.identity.name)))?;
        Ok(ProviderSignInOutcome::Refused(ProviderRefusal {
            code,
            message: message.to_owned(),
            is_outage: false,
        }))
    }
}
