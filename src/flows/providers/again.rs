//! Signing in again over a page: only its owner may.

use super::{outcome::ProviderRefusal, sign_in::CallbackRequest};
use crate::{
    domain::{
        audit::Initiator,
        source::{ExternalIdentity, IdentitySource},
    },
    flows::{Ctx, FlowError},
    identity::oidc::OidcFault,
    store::accounts,
};

impl Ctx {
    /// Refuses everyone but the owner of the page over which the sign-in began; `None`: it is the
    /// owner, or anyone may sign in.
    pub(super) async fn refuse_other_person(
        &self,
        source: &IdentitySource,
        identity: &ExternalIdentity,
        request: &CallbackRequest,
    ) -> Result<Option<ProviderRefusal>, FlowError> {
        let Some(owner) = &request.again else {
            return Ok(None);
        };
        let (id, external_id) = (source.id, identity.external_id.clone());
        let account = self
            .read(move |r| Ok(accounts::find_by_external_id(r.connection, id, &external_id)?))
            .await?;
        if account.is_some_and(|account| account.name == *owner) {
            return Ok(None);
        }
        let message = format!("{} signed in another person than {owner}.", source.title);
        let (code, initiator) = (OidcFault::other_person().code(), Initiator::anonymous(&request.client));
        let username = Some(identity.name.as_str());
        let refusal = self.refuse_person(&initiator, source, code, message, username).await?;
        Ok(Some(refusal))
    }
}
