//! Signing in at a provider: the request, and the checked answer.

use super::{
    outcome::{PendingProviderSignIn, ProviderRefusal, ProviderSignInOutcome, refusal_entry, with_username},
    settlement::{NO_ACCOUNT, ProviderSettlement},
};
use crate::{
    domain::{
        audit::{AuditEntry, Event},
        client::Client,
        factor::{Proof, Proofs},
        secret::Secret,
        source::{ExternalIdentity, FactorTrust, IdentitySource, OidcSettings, SourceId},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, FlowError, Initiator,
        external_accounts::{ExternalRefusal, IdentifiedPerson},
        login::SessionTarget,
    },
    identity::oidc::{AuthorizationRequest, CallbackQuery, OidcFault, ProviderSignIn, SignInSecrets},
    live::sources::LiveSource,
    store::sources,
};
use std::sync::Arc;
use url::Url;

/// How long a sign-in at the provider may take.
pub const LIFETIME: Span = Span::from_secs(15 * 60);
/// Refusals of one kind in a minute that get an audit entry of their own; others are counted.
const SINGLE_REFUSALS: u32 = 20;

/// The result of starting a sign-in.
pub enum SignInStart {
    /// The browser goes to this address of the provider.
    Redirect(Box<(Url, PendingProviderSignIn)>),
    /// There is no such provider, or it is switched off.
    Unknown,
    /// The provider cannot be used now.
    Refused(ProviderRefusal),
}

/// The answer of a provider, as it arrived.
pub struct CallbackRequest {
    /// The name of the source in the address.
    pub source: String,
    /// The provider's parameters.
    pub query: CallbackQuery,
    /// The sign-in to which its state belongs; `None`: this browser began none.
    pub pending: Option<PendingProviderSignIn>,
    /// The name of the account whose owner signs in again over a page that is theirs: no one else
    /// may, and only by proving it to the provider again. `None`: anyone may sign in.
    pub again: Option<String>,
    /// The address of the callback, as the request to the provider named it.
    pub redirect_uri: String,
    /// Where the request comes from.
    pub client: Client,
    /// Where the session will be valid.
    pub target: SessionTarget,
    /// Token of a trusted browser, if the request had its cookie.
    pub trusted: Option<Secret>,
}

/// A sign-in to be started.
pub struct SignInRequest {
    /// The name of the source.
    pub source: String,
    /// Where the browser continues, validated; may be empty.
    pub return_to: String,
    /// The username for the provider's form.
    pub hint: Option<String>,
    /// Whether the person must sign in there again, whatever session the provider has.
    pub must_authenticate: bool,
}

/// Starts a sign-in at the provider of a source. `redirect_uri`: where the answer comes back.
pub async fn start(
    ctx: &Ctx,
    client: &Client,
    asked: SignInRequest,
    redirect_uri: &str,
) -> Result<SignInStart, FlowError> {
    let sources = ctx.current_sources().await?;
    let Some((live, settings)) = usable(sources.by_name(&asked.source)) else {
        return Ok(SignInStart::Unknown);
    };
    let now = ctx.now();
    let secrets = SignInSecrets::new([ctx.random_bytes(), ctx.random_bytes(), ctx.random_bytes()]);
    let request = AuthorizationRequest {
        redirect_uri,
        secrets: &secrets,
        scopes: &settings.scopes,
        acr_values: &settings.acr_values,
        must_authenticate: asked.must_authenticate,
        login_hint: asked.hint.as_deref(),
    };
    let url = match ctx.provider_of(live) {
        Ok(provider) => provider.authorization_url(&request, now).await,
        Err(fault) => Err(fault),
    };
    Ok(match url {
        Ok(url) => SignInStart::Redirect(Box::new((
            url,
            PendingProviderSignIn {
                source: live.source.id,
                secrets,
                started_at: now,
                return_to: asked.return_to,
            },
        ))),
        Err(fault) => SignInStart::Refused(
            ctx.refuse_fault(
                &Initiator::anonymous(client),
                Event::SignInRefused,
                &live.source,
                &fault,
            )
            .await?,
        ),
    })
}

fn usable(live: Option<&LiveSource>) -> Option<(&LiveSource, &OidcSettings)> {
    let live = live.filter(|live| live.source.enabled)?;
    Some((live, live.source.oidc()?))
}

/// Completes a sign-in with the provider's answer.
pub async fn complete(ctx: &Ctx, request: CallbackRequest) -> Result<ProviderSignInOutcome, FlowError> {
    let sources = ctx.current_sources().await?;
    let Some((live, settings)) = usable(sources.by_name(&request.source)) else {
        return Ok(ProviderSignInOutcome::Unknown);
    };
    let source = &live.source;
    let initiator = Initiator::anonymous(&request.client);
    let pending = request.pending.as_ref();
    let since = pending
        .filter(|_| request.again.is_some())
        .map(|pending| pending.started_at);
    let last_sign_out = ctx.latest_sign_out(source.id).await?;
    let checked = ctx
        .check_answer(live, pending, &request.query, &request.redirect_uri, since)
        .await;
    let (pending, signed_in) = match checked {
        Ok(checked) => checked,
        Err(fault) => {
            let refusal = ctx.refuse_fault(&initiator, Event::SignInRefused, source, &fault);
            return Ok(ProviderSignInOutcome::Refused(refusal.await?));
        }
    };
    let username = signed_in.claims.name.as_deref();
    let identity = match identity_of(settings, &signed_in) {
        Ok(identity) => identity,
        Err((code, message)) => {
            let refusal = ctx.refuse_person(&initiator, source, code, message, username);
            return Ok(ProviderSignInOutcome::Refused(refusal.await?));
        }
    };
    if let Some(refusal) = ctx.refuse_other_person(source, &identity, &request).await? {
        return Ok(ProviderSignInOutcome::Refused(refusal));
    }
    let person = IdentifiedPerson::new(source, identity);
    let settlement = ProviderSettlement {
        facts: ctx.seal_provider_session(source.id, &person.identity.external_id, &signed_in)?,
        proofs: proofs_of(settings, &signed_in),
        known: ctx.find_external_account(&person).await?,
        person,
        pending,
        last_sign_out,
        in_force: ctx.current_policy().await?,
        client: request.client.clone(),
        target: request.target,
        trusted: request.trusted,
    };
    let settlement = Arc::new(settlement);
    let settled = ctx.write_about_person(&initiator, move |w| w.settle_provider_sign_in(&settlement));
    match settled.await? {
        Some(outcome) => Ok(outcome),
        None => {
            let code = ExternalRefusal::NameTaken.code();
            let refusal = ctx.refuse_person(&initiator, source, code, NO_ACCOUNT.to_owned(), username);
            Ok(ProviderSignInOutcome::Refused(refusal.await?))
        }
    }
}

/// Reads who signed in.
fn identity_of(
    settings: &OidcSettings,
    signed_in: &ProviderSignIn,
) -> Result<ExternalIdentity, (&'static str, String)> {
    let claims = &signed_in.claims;
    let Some(name) = claims.name.clone() else {
        let message = format!("The provider sent no username in the claim {}.", settings.name_claim);
        return Err(("claim_missing", message));
    };
    let domain = |email: &String| email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
    let is_in_domain = |domain: String| settings.email_domains.contains(&domain);
    let is_admitted =
        settings.email_domains.is_empty() || claims.email.as_ref().and_then(domain).is_some_and(is_in_domain);
    if !is_admitted {
        let message = "The account has no verified email address in a domain that may sign in here.".to_owned();
        return Err(("email_domain", message));
    }
    Ok(ExternalIdentity {
        external_id: settings.external_id(&signed_in.id_token.subject),
        name,
        display_name: claims.display_name.clone().unwrap_or_default(),
        email: claims.email.clone(),
        groups: claims.groups.clone(),
    })
}

/// Returns what the sign-in proves here: that the provider signed the person in, and its second
/// factor, if the source trusts it and the token names one of the listed methods or classes.
pub(super) fn proofs_of(settings: &OidcSettings, signed_in: &ProviderSignIn) -> Proofs {
    let token = &signed_in.id_token;
    let is_listed = |value: &String| settings.factor_values.contains(value);
    let is_vouched = token.methods.iter().any(is_listed) || token.class.iter().any(is_listed);
    let signed_in = Proofs::from(Proof::ProviderSignIn);
    match settings.factors {
        FactorTrust::Trusted if is_vouched => signed_in.with(Proof::IdentityProvider),
        FactorTrust::Trusted | FactorTrust::Ignored => signed_in,
    }
}

impl Ctx {
    /// Checks that the answer belongs to a sign-in of this browser with this source, and verifies
    /// it with the provider.
    pub(super) async fn check_answer(
        &self,
        live: &LiveSource,
        pending: Option<&PendingProviderSignIn>,
        query: &CallbackQuery,
        redirect_uri: &str,
        authenticated_since: Option<Timestamp>,
    ) -> Result<(PendingProviderSignIn, ProviderSignIn), OidcFault> {
        let now = self.now();
        let is_current = |pending: &&PendingProviderSignIn| {
            pending.started_at <= now && now <= pending.started_at.saturating_add(LIFETIME)
        };
        let pending = pending.filter(is_current).ok_or_else(OidcFault::state)?;
        if pending.source != live.source.id {
            return Err(OidcFault::source_mismatch());
        }
        let provider = self.provider_of(live)?;
        let signed_in = provider
            .complete(query, &pending.secrets, redirect_uri, authenticated_since, now)
            .await?;
        Ok((pending.clone(), signed_in))
    }

    /// Records that a provider's answer, or the provider itself, was refused.
    pub(super) async fn refuse_fault(
        &self,
        initiator: &Initiator,
        event: Event,
        source: &IdentitySource,
        fault: &OidcFault,
    ) -> Result<ProviderRefusal, FlowError> {
        let about_source = !matches!(fault, OidcFault::Check { .. } | OidcFault::Refused(_) | OidcFault::Busy);
        let message = match fault {
            fault if fault.is_outage() => format!("{} cannot be reached now. Try again in a moment.", source.title),
            OidcFault::Refused(_) | OidcFault::ClientRefused(_) => format!("{} did not sign you in.", source.title),
            _ => format!(
                "The answer of {} was not accepted. An administrator can find the reason in the audit log: {}.",
                source.title,
                fault.code()
            ),
        };
        let refusal = ProviderRefusal {
            code: fault.code(),
            message,
            is_outage: fault.is_outage(),
        };
        let entry = refusal_entry(initiator.entry(event), source, refusal.code, &fault.to_string());
        self.record_provider_refusal(initiator, entry, about_source.then_some(source.id))
            .await?;
        Ok(refusal)
    }

    /// Records that a person whom the provider identified may not sign in.
    pub(super) async fn refuse_person(
        &self,
        initiator: &Initiator,
        source: &IdentitySource,
        code: &'static str,
        message: String,
        username: Option<&str>,
    ) -> Result<ProviderRefusal, FlowError> {
        let refusal = ProviderRefusal {
            code,
            message,
            is_outage: false,
        };
        let entry = refusal_entry(initiator.entry(Event::SignInRefused), source, code, &refusal.message);
        let entry = with_username(entry, username);
        self.record_provider_refusal(initiator, entry, None).await?;
        Ok(refusal)
    }

    /// Records a refusal; a flood is counted instead of written one by one. `faulty`: the source
    /// whose page shows the fault.
    async fn record_provider_refusal(
        &self,
        initiator: &Initiator,
        entry: AuditEntry,
        faulty: Option<SourceId>,
    ) -> Result<(), FlowError> {
        if !self.live.refusals.note(&entry, self.now(), SINGLE_REFUSALS) {
            return Ok(());
        }
        self.write(initiator, move |w| {
            if let Some(source) = faulty {
                let message = entry.detail["message"].as_str().unwrap_or_default();
                sources::record_fault(w.connection, source, w.now, message)?;
            }
            Ok(w.record(&entry)?)
        })
        .await
    }
}
