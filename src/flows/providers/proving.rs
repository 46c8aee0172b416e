//! Confirming one's identity at the provider within a session: the person signs in there again,
//! and the session counts as confirmed. Accounts of a provider have no password here.

use super::{
    outcome::{PendingProviderSignIn, ProviderRefusal},
    sign_in::proofs_of,
};
use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        client::Client,
        factor::Proofs,
        secret::Secret,
        session::SessionId,
        time::Timestamp,
    },
    flows::{
        Ctx, FlowError, Initiator, Write,
        provider_sessions::ProviderSessionFacts,
        session_tokens::{ProvedSession, SessionProof},
    },
    identity::oidc::{CallbackQuery, OidcFault},
    live::sources::LiveSource,
    store::{accounts, provider_sessions},
};
use serde_json::json;

/// The answer of a provider to a confirmation within a session.
pub struct ProviderConfirmation {
    /// The name of the source in the address.
    pub source: String,
    /// The provider's parameters.
    pub query: CallbackQuery,
    /// The request to which its state belongs.
    pub pending: PendingProviderSignIn,
    /// The address of the callback, as the request to the provider named it.
    pub redirect_uri: String,
    /// The account of the session.
    pub account: AccountId,
    /// The session that is to be confirmed.
    pub session: SessionId,
    /// The digest of the token that the request used.
    pub token_digest: String,
    /// Where the request comes from.
    pub client: Client,
}

/// The result of a confirmation at a provider.
pub enum ProviderProofOutcome {
    /// The session is confirmed and continues with this new token; `None`: it got a new one a
    /// moment ago.
    Proved(Option<Secret>),
    /// Nothing was confirmed.
    Refused(ProviderRefusal),
    /// There is no such provider.
    Unknown,
}

/// Confirms a session with a fresh sign-in at the provider of its account.
/// `FlowError::NotFound`: the account or session ended meanwhile.
pub async fn confirm(
    ctx: &Ctx,
    initiator: &Initiator,
    request: ProviderConfirmation,
) -> Result<ProviderProofOutcome, FlowError> {
    let sources = ctx.current_sources().await?;
    let live = sources.by_name(&request.source).filter(|live| live.source.enabled);
    let Some((live, settings)) = live.and_then(|live| Some((live, live.source.oidc()?))) else {
        return Ok(ProviderProofOutcome::Unknown);
    };
    let last_sign_out = ctx.latest_sign_out(live.source.id).await?;
    // The session of the provider is not enough: the person must have signed in since we asked.
    let since = Some(request.pending.started_at);
    let pending = Some(&request.pending);
    let checked = ctx
        .check_answer(live, pending, &request.query, &request.redirect_uri, since)
        .await;
    let (pending, signed_in) = match checked {
        Ok(checked) => checked,
        Err(fault) => return ctx.refuse_confirmation(initiator, live, &fault).await,
    };
    let external_id = settings.external_id(&signed_in.id_token.subject);
    let proof = CheckedConfirmation {
        facts: ctx.seal_provider_session(live.source.id, &external_id, &signed_in)?,
        proofs: proofs_of(settings, &signed_in),
        source: live.source.name.as_str().to_owned(),
        external_id,
        pending,
        last_sign_out,
        request,
    };
    let source = live.source.id;
    let is_owner = move |account: &Account| account.source == Some(source);
    let settled = ctx
        .write(initiator, move |w| w.settle_confirmation(&proof, is_owner))
        .await?;
    match settled {
        Ok(token) => Ok(ProviderProofOutcome::Proved(token)),
        Err(fault) => ctx.refuse_confirmation(initiator, live, &fault).await,
    }
}

/// A verified answer that is yet to be recorded in the session.
struct CheckedConfirmation {
    request: ProviderConfirmation,
    pending: PendingProviderSignIn,
    last_sign_out: Option<Timestamp>,
    facts: ProviderSessionFacts,
    proofs: Proofs,
    source: String,
    external_id: String,
}

impl Ctx {
    async fn refuse_confirmation(
        &self,
        initiator: &Initiator,
        live: &LiveSource,
        fault: &OidcFault,
    ) -> Result<ProviderProofOutcome, FlowError> {
        let refusal = self
            .refuse_fault(initiator, Event::StepUpRefused, &live.source, fault)
            .await?;
        Ok(ProviderProofOutcome::Refused(refusal))
    }
}

impl Write<'_> {
    /// Records the confirmation in the session, if it is of the same person.
    fn settle_confirmation(
        &mut self,
        proof: &CheckedConfirmation,
        is_owner: impl Fn(&Account) -> bool,
    ) -> Result<Result<Option<Secret>, OidcFault>, FlowError> {
        let request = &proof.request;
        let source = self.hold_source(proof.pending.source)?;
        let account = accounts::find(self.connection, request.account)?.ok_or(FlowError::NotFound)?;
        if !is_owner(&account) || account.external_id.as_deref() != Some(&proof.external_id) {
            return Ok(Err(OidcFault::other_person()));
        }
        if !source.is_some_and(|source| source.enabled) {
            return Ok(Err(OidcFault::source_mismatch()));
        }
        if !self.spend_state(&proof.pending)? {
            return Ok(Err(OidcFault::state()));
        }
        if self.is_interrupted(&proof.facts, proof.last_sign_out)? {
            return Ok(Err(OidcFault::ended_session()));
        }
        let proved = self.prove_session(&SessionProof {
            session: request.session,
            token_digest: &request.token_digest,
            ip: request.client.ip,
            proofs: proof.proofs,
            is_step_up: true,
        })?;
        let ProvedSession::Continued(token) = proved else {
            return Err(FlowError::NotFound);
        };
        let is_renewed = self.renew_provider_session(request.session, &proof.facts)?;
        if !is_renewed && provider_sessions::find(self.connection, request.session)?.is_none() {
            self.keep_provider_session(request.session, &proof.facts)?;
        }
        let entry = self
            .entry(Event::StepUpAccepted)
            .with_account(account.id, &account.name);
        let detail = json!({ "source": proof.source, "factors": proof.proofs.to_json() });
        self.record(&entry.with_detail(detail))?;
        Ok(Ok(token))
    }
}
