//! The OpenID Connect providers that this instance uses, each with its fetched metadata and keys.
//! After a change of a source's registration they are fetched again.

use crate::{
    domain::source::SourceId,
    identity::oidc::{OidcFault, Provider, ProviderRegistration},
};
use parking_lot::Mutex;
use std::{collections::HashMap, fmt, sync::Arc};

/// The providers by source.
#[derive(Default)]
pub struct ProviderCache(Mutex<HashMap<SourceId, Arc<Provider>>>);

impl ProviderCache {
    /// Returns the provider of a source under this registration.
    ///
    /// # Errors
    /// The registration names a CA file that cannot be used.
    pub fn provider(&self, source: SourceId, registration: ProviderRegistration) -> Result<Arc<Provider>, OidcFault> {
        let mut providers = self.0.lock();
        if let Some(known) = providers
            .get(&source)
            .filter(|known| *known.registration() == registration)
        {
            return Ok(known.clone());
        }
        let provider = Arc::new(Provider::new(registration)?);
        providers.insert(source, provider.clone());
        Ok(provider)
    }
}

impl fmt::Debug for ProviderCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProviderCache").field(&self.0.lock().len()).finish()
    }
}
