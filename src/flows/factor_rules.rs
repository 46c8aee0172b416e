//! The policy in force for the second factors of one account, and the site for which passkeys are
//! made.

use super::{Ctx, FlowError, Read};
use crate::{
    domain::{
        account::{Account, AccountId},
        application::Application,
        origin::is_within,
        policy::effective::FactorPolicy,
    },
    live::policy::PolicyInForce,
    second_factor::passkeys::RelyingParty,
    store::{StoreError, passkeys},
};
use url::Url;

/// Returns the policy for an account that signs in, on the page of an application or on
/// Nightlatch's own page.
pub(super) fn factors_at_sign_in(
    in_force: &PolicyInForce,
    account: &Account,
    entering: Option<&Application>,
) -> FactorPolicy {
    let entered: Vec<String> = entering.iter().map(|application| application.name.clone()).collect();
    let asking = entering.map(|application| application.name.as_str());
    in_force.effective(account.role, &entered, asking).factors
}

/// Returns the policy for an account whose session has entered these applications.
pub(super) fn factors_in_session(in_force: &PolicyInForce, account: &Account, entered: &[String]) -> FactorPolicy {
    in_force.effective(account.role, entered, None).factors
}

impl Read<'_> {
    /// Returns whether a passkey of the account was made for the passkey domain of this server.
    /// True on a server that has no such domain, where no passkey works anyway.
    pub(super) fn has_passkeys_here(&mut self, account: AccountId) -> Result<bool, StoreError> {
        let Some(domain) = self.ctx.config.passkey_domain() else {
            return Ok(true);
        };
        let passkeys = passkeys::of_account(self.connection, account)?;
        Ok(passkeys.iter().any(|passkey| passkey.domain == domain))
    }
}

impl Ctx {
    /// Returns the site for which passkeys are made: Nightlatch's own origin, and those of
    /// applications below its domain. `None`: people reach this server by an IP address, for which
    /// browsers support no passkeys.
    pub(super) async fn relying_party(&self) -> Result<Option<RelyingParty>, FlowError> {
        let (Some(domain), Some(own)) = (self.config.passkey_domain(), self.config.passkey_origin()) else {
            return Ok(None);
        };
        let scheme = own.scheme().to_owned();
        let mut origins = vec![own];
        for application in self.current_applications().await?.all() {
            let below = application.hosts.iter().filter(|host| is_within(&host.name, &domain));
            origins.extend(below.filter_map(|host| Url::parse(&format!("{scheme}://{host}")).ok()));
        }
        let site = RelyingParty::new(&domain, &origins);
        site.map(Some).map_err(|error| FlowError::Internal(error.to_string()))
    }
}
