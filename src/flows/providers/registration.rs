//! The providers among the sources: our registration at each, and what the sign-in page shows.

use crate::{
    domain::{
        account::Account,
        source::{ClientAuth, SourceKind},
    },
    flows::Ctx,
    identity::oidc::{ClaimNames, OidcFault, Provider, ProviderRegistration},
    live::sources::LiveSource,
};
use std::{sync::Arc, time::Duration};

/// A provider on the sign-in page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderButton {
    /// The name of the source, for addresses.
    pub name: String,
    /// The title, for people.
    pub title: String,
}

/// Lists the providers through which people can sign in, in their order, as last learned.
pub fn buttons(ctx: &Ctx) -> Vec<ProviderButton> {
    let sources = ctx.live.sources();
    sources.enabled_of(SourceKind::Oidc).map(button).collect()
}

/// Returns the provider to which the sign-in page leads at once: the only source, if it says so.
pub fn find_automatic(ctx: &Ctx) -> Option<ProviderButton> {
    let sources = ctx.live.sources();
    let mut enabled = sources.enabled();
    let (only, other) = (enabled.next()?, enabled.next());
    let is_automatic = other.is_none() && only.source.oidc().is_some_and(|settings| settings.auto_redirect);
    is_automatic.then(|| button(only))
}

fn button(live: &LiveSource) -> ProviderButton {
    ProviderButton {
        name: live.source.name.as_str().to_owned(),
        title: live.source.title.clone(),
    }
}

/// Returns the provider at which the owner of an account can confirm their identity; `None`: the
/// account is not of an enabled provider.
pub fn find_confirming_source(ctx: &Ctx, account: &Account) -> Option<ProviderButton> {
    let sources = ctx.live.sources();
    let live = sources.by_id(account.source?)?;
    let is_usable = live.source.enabled && live.source.kind() == SourceKind::Oidc;
    is_usable.then(|| button(live))
}

impl Ctx {
    /// Returns the provider of a source.
    pub(in crate::flows) fn provider_of(&self, live: &LiveSource) -> Result<Arc<Provider>, OidcFault> {
        let registration = self.registration_of(live)?;
        self.live.providers.provider(live.source.id, registration)
    }

    /// Returns our registration at the provider of a source.
    pub(in crate::flows) fn registration_of(&self, live: &LiveSource) -> Result<ProviderRegistration, OidcFault> {
        let fault = |message: String| OidcFault::Configuration(message);
        let settings = live
            .source
            .oidc()
            .ok_or_else(|| fault("the source is no OpenID Connect provider".to_owned()))?;
        let secret = live
            .open_secret(&self.factor_keys)
            .map_err(|error| fault(error.to_string()))?;
        Ok(ProviderRegistration {
            issuer: settings.issuer.clone(),
            client_id: settings.client_id.clone(),
            client_secret: secret,
            secret_in_body: settings.client_auth == ClientAuth::Post,
            ca_file: settings.ca_file.clone(),
            time_limit: Duration::from_micros(u64::try_from(settings.timeout.as_micros()).unwrap_or_default()),
            claims: ClaimNames {
                name: settings.name_claim.clone(),
                display_name: settings.display_name_claim.clone(),
                email: settings.email_claim.clone(),
                groups: settings.groups_claim.clone(),
            },
        })
    }
}
