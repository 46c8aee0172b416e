//! The state of a sign-in at a provider, which counts once.

use super::{outcome::PendingProviderSignIn, sign_in::LIFETIME};
use crate::{
    domain::secret::digest,
    flows::{FlowError, Write},
    store::spent_provider_values,
};

impl Write<'_> {
    /// Uses up the state of a sign-in. Returns false if it was used before.
    pub(super) fn spend_state(&mut self, pending: &PendingProviderSignIn) -> Result<bool, FlowError> {
        let value = format!("state {}", pending.secrets.state.expose());
        let until = pending.started_at.saturating_add(LIFETIME);
        Ok(spent_provider_values::spend(self.connection, &digest(&value), until)?)
    }
}
