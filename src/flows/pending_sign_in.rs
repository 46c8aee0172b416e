//! Sign-ins between the password and the second factor. No session is open yet. A row stores what
//! was proved and for which account, under the digest of a token that the browser holds.

use super::{FlowError, Write, provider_sessions::ProviderSessionFacts, session_opening::SessionTarget};
use crate::{
    domain::{
        account::{Account, AccountId},
        agent,
        client::Client,
        factor::{EnrolledFactors, FactorRequirement, Proof, Proofs},
        network,
        network_groups::NetworkGroups,
        policy::effective::FactorPolicy,
        secret::{self, Secret},
        time::{Span, Timestamp},
    },
    store::{
        StoreError, accounts,
        pending_sign_ins::{self, PendingSignIn},
        trusted_browsers,
    },
};

/// How long the second step may take.
const LIFETIME: Span = Span::from_secs(5 * 60);

/// The ways in which an account can prove a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FactorMethods {
    /// One of its passkeys.
    pub passkey: bool,
    /// A code of its authenticator app.
    pub totp: bool,
    /// A recovery code.
    pub recovery: bool,
    /// Whether the account has passkeys, but all were made for another passkey domain.
    pub dead_passkeys: bool,
    /// What is required. Under a required passkey, a code only opens the setup of one.
    pub required: FactorRequirement,
}

impl FactorMethods {
    /// Returns the ways for a sign-in. Beside a passkey that is required, a code of the app leads
    /// nowhere; a recovery code replaces a lost passkey.
    pub(super) fn new(rules: &FactorPolicy, account: &Account) -> Self {
        Self::under(rules, account.factors, rules.strictest)
    }

    /// Returns the ways for a session that lacks what is `required`. A required passkey that the
    /// account has is the only way: a recovery code would be used up and open nothing.
    pub fn in_session(rules: &FactorPolicy, enrolled: EnrolledFactors, required: FactorRequirement) -> Self {
        let methods = Self::under(rules, enrolled, required);
        Self {
            recovery: methods.recovery && !methods.is_passkey_due(),
            ..methods
        }
    }

    fn under(rules: &FactorPolicy, enrolled: EnrolledFactors, required: FactorRequirement) -> Self {
        let usable = rules.usable(enrolled);
        let methods = Self {
            passkey: usable.passkeys > 0,
            totp: usable.authenticator_app,
            recovery: usable.recovery_codes > 0,
            dead_passkeys: false,
            required,
        };
        Self {
            totp: methods.totp && !methods.is_passkey_due(),
            ..methods
        }
    }

    /// Leaves the passkeys out if none of them was made for the passkey domain of this server.
    #[must_use]
    pub const fn with_passkeys_here(self, are_here: bool) -> Self {
        Self {
            passkey: self.passkey && are_here,
            dead_passkeys: self.passkey && !are_here,
            ..self
        }
    }

    /// Returns whether a passkey is required and the account has one.
    fn is_passkey_due(self) -> bool {
        self.passkey && self.required == FactorRequirement::Passkey
    }

    /// Returns the codes for JSON answers, strongest first: `passkey`, `totp`, `recovery`.
    pub fn codes(self) -> Vec<&'static str> {
        let all = [
            ("passkey", self.passkey),
            ("totp", self.totp),
            ("recovery", self.recovery),
        ];
        all.into_iter()
            .filter(|(_, open)| *open)
            .map(|(code, _)| code)
            .collect()
    }
}

/// A sign-in with the correct password that still needs a second factor.
pub struct FactorDue {
    /// Who signs in.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The token that opens the second step, for an encrypted cookie. Only its digest is stored.
    pub token: Secret,
    /// Last instant at which the sign-in can be completed.
    pub expires_at: Timestamp,
    /// The methods that are accepted.
    pub methods: FactorMethods,
}

/// The browser that sent the password, as far as the second step must come from the same one.
pub(super) struct PasswordStep<'a> {
    pub(super) client: &'a Client,
    pub(super) target: &'a SessionTarget,
    /// Where the browser continues, validated.
    pub(super) return_to: &'a str,
    /// Token of a trusted browser, if the request had one.
    pub(super) trusted_browser: Option<&'a Secret>,
    /// What is kept of the provider's session, if the identity was proved there.
    pub(super) provider: Option<&'a ProviderSessionFacts>,
}

impl Write<'_> {
    /// Returns what a correct password proves: itself, and a trusted browser that is still valid.
    pub(super) fn proofs_of_password(
        &mut self,
        account: &Account,
        rules: &FactorPolicy,
        step: &PasswordStep<'_>,
    ) -> Result<Proofs, StoreError> {
        let (Some(token), Some(trusted_for)) = (step.trusted_browser, rules.trusted_browser) else {
            return Ok(Proofs::PASSWORD);
        };
        let browser = trusted_browsers::find(self.connection, &secret::digest(token.expose()))?;
        // A policy that was shortened since applies too.
        let counts = browser.filter(|browser| {
            browser.account == account.id
                && browser.password_changed_at == account.password_changed_at
                && self.now <= browser.expires_at
                && self.now <= browser.made_at.saturating_add(trusted_for)
        });
        let Some(browser) = counts.filter(|_| rules.usable(account.factors).has_any()) else {
            return Ok(Proofs::PASSWORD);
        };
        trusted_browsers::note_use(self.connection, browser.id, self.now)?;
        Ok(Proofs::PASSWORD.with(Proof::TrustedBrowser))
    }

    /// Stores a sign-in until its second factor is proved.
    pub(super) fn begin_second_step(
        &mut self,
        account: &Account,
        rules: &FactorPolicy,
        proofs: Proofs,
        step: &PasswordStep<'_>,
    ) -> Result<FactorDue, FlowError> {
        let token = secret::token(self.ctx.random_bytes());
        let expires_at = self.now.saturating_add(LIFETIME);
        let pending = PendingSignIn {
            digest: secret::digest(token.expose()),
            account: account.id,
            proofs,
            password_changed_at: account.password_changed_at,
            user_agent: stored_agent(step.client.user_agent.as_deref()),
            network: network::known_network(step.client.ip).to_string(),
            host: step.target.host.clone(),
            application: step.target.entering.as_deref().map(|entering| entering.name.clone()),
            return_to: step.return_to.to_owned(),
            attempts: 0,
            provider: step.provider.map(ProviderSessionFacts::to_text),
            made_at: self.now,
            expires_at,
        };
        pending_sign_ins::insert(self.connection, &pending)?;
        let are_here = self.as_read().has_passkeys_here(account.id)?;
        Ok(FactorDue {
            account: account.id,
            name: account.name.clone(),
            token,
            expires_at,
            methods: FactorMethods::new(rules, account).with_passkeys_here(are_here),
        })
    }

    /// Records that a second factor is required of the account, if the policy says so. The grace
    /// period counts from the first time.
    pub(super) fn note_requirement(&mut self, account: &mut Account, rules: &FactorPolicy) -> Result<(), StoreError> {
        if rules.strictest == FactorRequirement::Off || account.factor_required_at.is_some() {
            return Ok(());
        }
        if accounts::note_factor_required(self.connection, account.id, self.now)? {
            account.factor_required_at = Some(self.now);
            self.forget_account(account.id);
        }
        Ok(())
    }
}

/// Returns whether the browser that started a pending sign-in continues it in time. A change
/// between IPv4 and IPv6 is allowed, and one within a network group.
pub(super) fn is_carried_on(
    pending: &PendingSignIn,
    client: &Client,
    host: &str,
    groups: &NetworkGroups,
    now: Timestamp,
) -> bool {
    let network = network::known_network(client.ip).to_string();
    let is_grouped = || {
        pending
            .network
            .parse()
            .is_ok_and(|known| groups.is_known(client.ip, known))
    };
    let is_same_family = pending.network.contains(':') == network.contains(':');
    now <= pending.expires_at
        && pending.host == host
        && pending.user_agent == stored_agent(client.user_agent.as_deref())
        && (pending.network == network || !is_same_family || is_grouped())
}

fn stored_agent(user_agent: Option<&str>) -> String {
    agent::cut(user_agent.unwrap_or_default()).replace('\0', "\u{fffd}")
}
