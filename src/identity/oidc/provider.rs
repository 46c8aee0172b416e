//! A provider as one source knows it: its metadata and keys, fetched when they are needed, and the
//! conversation of a sign-in.

use super::{
    authorization::{AuthorizationRequest, CallbackQuery, SignInSecrets},
    claims::{ClaimNames, ClaimSet, needs_userinfo},
    discovery::ProviderMetadata,
    fault::{FailedCheck, OidcFault, quote},
    id_token::{IdTokenExpectation, VerifiedIdToken, check_hash, check_start, verify_id_token},
    keys::{DecodedToken, Payload, fetch_keys},
    logout_token::{LogoutNotice, TokenParties, verify_logout_token},
    transport::Transport,
};
use crate::domain::{
    secret::{Secret, digest},
    time::{Span, Timestamp},
};
use openidconnect::core::CoreJsonWebKeySet;
use parking_lot::RwLock;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

pub(super) const TOKEN_ENDPOINT: &str = "the token endpoint";
const USERINFO_ENDPOINT: &str = "the userinfo endpoint";
/// Age at which metadata and keys are fetched again.
const REFRESH_AFTER: Span = Span::from_secs(60 * 60);
/// Age up to which they are used while the provider cannot be reached.
const USABLE_FOR: Span = Span::from_secs(24 * 60 * 60);
/// Minimum time between two fetches of the keys because a token has an unknown one, and between two
/// attempts to reach a provider that is out of service.
const RETRY_AFTER: Span = Span::from_secs(10);

/// Our registration at a provider.
#[derive(Clone)]
pub struct ProviderRegistration {
    /// The provider's issuer, byte for byte.
    pub issuer: String,
    /// Our client ID.
    pub client_id: String,
    /// Our client secret; `None`: a public client.
    pub client_secret: Option<Secret>,
    /// Whether the secret is sent in the body of token requests instead of the header.
    pub secret_in_body: bool,
    /// A PEM file with the authorities of the provider's certificate; `None`: the system's.
    pub ca_file: Option<String>,
    /// How long one request may take.
    pub time_limit: Duration,
    /// The claims that are read.
    pub claims: ClaimNames,
}

impl PartialEq for ProviderRegistration {
    fn eq(&self, other: &Self) -> bool {
        let digest = |registration: &Self| {
            registration
                .client_secret
                .as_ref()
                .map(|secret| digest(secret.expose()))
        };
        digest(self) == digest(other)
            && self.issuer == other.issuer
            && self.client_id == other.client_id
            && self.secret_in_body == other.secret_in_body
            && self.ca_file == other.ca_file
            && self.time_limit == other.time_limit
            && self.claims == other.claims
    }
}

/// A completed sign-in at the provider.
pub struct ProviderSignIn {
    /// The facts that the ID token proves.
    pub id_token: VerifiedIdToken,
    /// The claims about the person.
    pub claims: ClaimSet,
    /// The ID token itself, for the sign-out at the provider.
    pub hint: Secret,
}

/// A provider of one source.
pub struct Provider {
    registration: ProviderRegistration,
    pub(super) transport: Transport,
    known: RwLock<Option<Arc<KnownProvider>>>,
    /// Held while metadata or keys are fetched, so that one request at a time does it.
    fetching: Mutex<FetchHistory>,
}

/// The published metadata and keys of a provider.
#[derive(Clone)]
pub(super) struct KnownProvider {
    pub(super) metadata: Arc<ProviderMetadata>,
    pub(super) keys: Arc<CoreJsonWebKeySet>,
    fetched_at: Timestamp,
}

/// The last attempts to fetch.
#[derive(Default)]
struct FetchHistory {
    failed: Option<(Timestamp, OidcFault)>,
    keys_fetched_again_at: Option<Timestamp>,
}

/// The answer of the token endpoint.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) id_token: Option<String>,
    pub(super) access_token: Option<String>,
}

/// The answer of an endpoint that refuses; the poll endpoint calls the code `err`.
#[derive(Deserialize)]
pub(super) struct ErrorAnswer {
    #[serde(alias = "err")]
    pub(super) error: String,
}

impl Provider {
    /// Prepares a provider; nothing is fetched yet.
    pub fn new(registration: ProviderRegistration) -> Result<Self, OidcFault> {
        let transport = Transport::new(
            &registration.issuer,
            registration.ca_file.as_deref(),
            registration.time_limit,
        )?;
        Ok(Self {
            registration,
            transport,
            known: RwLock::new(None),
            fetching: Mutex::default(),
        })
    }

    /// Returns the registration for which it was prepared.
    pub fn registration(&self) -> &ProviderRegistration {
        &self.registration
    }

    /// Returns the address at the provider to which a browser is sent to sign in.
    pub async fn authorization_url(
        &self,
        request: &AuthorizationRequest<'_>,
        now: Timestamp,
    ) -> Result<Url, OidcFault> {
        let known = self.known(now).await?;
        Ok(request.url(&known.metadata, &self.registration.client_id))
    }

    /// Completes a sign-in with the provider's answer.
    ///
    /// `redirect_uri`: the address of the request, which the provider compares.
    /// `authenticated_since`: the earliest accepted authentication, for a re-authentication.
    pub async fn complete(
        &self,
        answer: &CallbackQuery,
        secrets: &SignInSecrets,
        redirect_uri: &str,
        authenticated_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<ProviderSignIn, OidcFault> {
        let known = self.known(now).await?;
        let code = answer.check(&known.metadata, secrets)?;
        let tokens = self.exchange(&known.metadata, &code, secrets, redirect_uri).await?;
        let hint = tokens.id_token.ok_or_else(|| OidcFault::Answer {
            endpoint: TOKEN_ENDPOINT,
            problem: "it contains no ID token; is the scope openid missing?".to_owned(),
        })?;
        let expected = IdTokenExpectation {
            client_id: &self.registration.client_id,
            issuer: &self.registration.issuer,
            nonce: secrets.nonce.expose(),
            authenticated_since,
        };
        let verify = |known: &KnownProvider| {
            let keys = CoreJsonWebKeySet::clone(&known.keys);
            verify_id_token(&hint, keys, known.metadata.algorithms(), &expected, now)
        };
        let verified = self.with_keys(known.clone(), now, verify).await?;
        // The signature covers these bytes, so the payload can be read for further claims.
        let payload = DecodedToken::decode(&hint)?.payload;
        check_start(&payload, now)?;
        check_hash(&payload, "c_hash", Some(code.expose()))?;
        check_hash(&payload, "at_hash", tokens.access_token.as_deref())?;
        let names = &self.registration.claims;
        let userinfo = match (&known.metadata.userinfo_endpoint, &tokens.access_token) {
            (Some(url), Some(token)) if needs_userinfo(names, &payload) => {
                Some(self.userinfo(url, token, &verified.subject).await?)
            }
            (_, _) => None,
        };
        Ok(ProviderSignIn {
            claims: ClaimSet::read(names, &payload, userinfo.as_ref())?,
            id_token: verified,
            hint: Secret::new(hint),
        })
    }

    /// Returns the address that signs a browser out at the provider (RP-Initiated Logout 1.0);
    /// `None`: the provider has none.
    pub async fn sign_out_url(
        &self,
        hint: Option<&Secret>,
        return_to: &str,
        now: Timestamp,
    ) -> Result<Option<Url>, OidcFault> {
        let known = self.known(now).await?;
        let Some(mut url) = known.metadata.end_session_endpoint.clone() else {
            return Ok(None);
        };
        let mut query = url.query_pairs_mut();
        if let Some(hint) = hint {
            query.append_pair("id_token_hint", hint.expose());
        }
        query
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("post_logout_redirect_uri", return_to);
        drop(query);
        Ok(Some(url))
    }

    /// Verifies a logout token.
    pub async fn verify_logout(&self, token: &str, now: Timestamp) -> Result<LogoutNotice, OidcFault> {
        let known = self.known(now).await?;
        let parties = self.parties();
        let verify = |known: &KnownProvider| verify_logout_token(token, &known.keys, &parties, now);
        self.with_keys(known, now, verify).await
    }

    /// Returns what a token must name as its issuer and audience.
    pub(super) fn parties(&self) -> TokenParties<'_> {
        TokenParties {
            issuer: &self.registration.issuer,
            client_id: &self.registration.client_id,
        }
    }

    /// Exchanges the code for tokens (RFC 6749, 4.1.3).
    async fn exchange(
        &self,
        metadata: &ProviderMetadata,
        code: &Secret,
        secrets: &SignInSecrets,
        redirect_uri: &str,
    ) -> Result<TokenAnswer, OidcFault> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.expose())
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_verifier", secrets.verifier.expose());
        self.request_tokens(&metadata.token_endpoint, form).await
    }

    /// Sends a token request with the credentials of our client (RFC 6749, 2.3.1).
    pub(super) async fn request_tokens(
        &self,
        endpoint: &Url,
        mut form: form_urlencoded::Serializer<'_, String>,
    ) -> Result<TokenAnswer, OidcFault> {
        let ProviderRegistration {
            client_id,
            client_secret,
            secret_in_body,
            ..
        } = &self.registration;
        let mut request = self
            .transport
            .post(endpoint)?
            .header("content-type", "application/x-www-form-urlencoded");
        match client_secret {
            // Both parts are encoded before they are joined.
            Some(secret) if !secret_in_body => {
                request = request.basic_auth(encode(client_id), Some(encode(secret.expose())));
            }
            Some(secret) => {
                form.append_pair("client_id", client_id)
                    .append_pair("client_secret", secret.expose());
            }
            None => {
                form.append_pair("client_id", client_id);
            }
        }
        let answer = self.transport.send(TOKEN_ENDPOINT, request.body(form.finish())).await?;
        if answer.status.is_client_error()
            && let Ok(refusal) = answer.parse::<ErrorAnswer>()
        {
            return Err(match refusal.error.as_str() {
                "invalid_client" | "unauthorized_client" => OidcFault::ClientRefused(quote(&refusal.error)),
                _ => OidcFault::Refused(quote(&refusal.error)),
            });
        }
        answer.into_json()
    }

    /// Asks the userinfo endpoint; an answer about another person is refused (Core 1.0, 5.3.2).
    async fn userinfo(&self, url: &Url, access_token: &str, subject: &str) -> Result<Payload, OidcFault> {
        let request = self.transport.get(url)?.bearer_auth(access_token);
        let claims: Payload = self.transport.send(USERINFO_ENDPOINT, request).await?.into_json()?;
        match claims.get("sub").and_then(|found| found.as_str()) == Some(subject) {
            true => Ok(claims),
            false => Err(OidcFault::failed(FailedCheck::UserinfoSubject)),
        }
    }

    /// Verifies with the known keys. If none fits, fetches the keys once and tries again.
    pub(super) async fn with_keys<T>(
        &self,
        known: Arc<KnownProvider>,
        now: Timestamp,
        verify: impl Fn(&KnownProvider) -> Result<T, OidcFault>,
    ) -> Result<T, OidcFault> {
        let fault = match verify(&known) {
            Err(
                fault @ OidcFault::Check {
                    check: FailedCheck::Key | FailedCheck::Signature,
                    ..
                },
            ) => fault,
            verified => return verified,
        };
        match self.fetch_keys_again(&known, now).await? {
            Some(newer) => verify(&newer),
            None => Err(fault),
        }
    }

    /// Fetches the keys again, because a token fits none of `known`. `None`: they were fetched a
    /// moment ago.
    async fn fetch_keys_again(
        &self,
        known: &Arc<KnownProvider>,
        now: Timestamp,
    ) -> Result<Option<Arc<KnownProvider>>, OidcFault> {
        let mut history = self.fetching.lock().await;
        if let Some(current) = self.held()
            && !Arc::ptr_eq(&current, known)
        {
            return Ok(Some(current));
        }
        if history
            .keys_fetched_again_at
            .is_some_and(|at| is_recent(at, now, RETRY_AFTER))
        {
            return Ok(None);
        }
        history.keys_fetched_again_at = Some(now);
        let newer = Arc::new(KnownProvider {
            keys: Arc::new(fetch_keys(&self.transport, &known.metadata.jwks_uri).await?),
            ..KnownProvider::clone(known)
        });
        *self.known.write() = Some(newer.clone());
        Ok(Some(newer))
    }

    fn held(&self) -> Option<Arc<KnownProvider>> {
        self.known.read().clone()
    }

    /// Returns metadata and keys, fetched within the last hour; older ones while the provider
    /// cannot be reached.
    pub(super) async fn known(&self, now: Timestamp) -> Result<Arc<KnownProvider>, OidcFault> {
        let is_current = |known: &Arc<KnownProvider>| is_recent(known.fetched_at, now, REFRESH_AFTER);
        let held = self.held();
        if let Some(known) = held.clone().filter(is_current) {
            return Ok(known);
        }
        let usable = held.filter(|known| is_recent(known.fetched_at, now, USABLE_FOR));
        let mut history = match (self.fetching.try_lock(), &usable) {
            (Ok(turn), _) => turn,
            // Another request is fetching them.
            (Err(_), Some(known)) => return Ok(known.clone()),
            (Err(_), None) => self.fetching.lock().await,
        };
        if let Some(known) = self.held().filter(is_current) {
            return Ok(known);
        }
        let fault = match history.failed.clone() {
            Some((at, fault)) if is_recent(at, now, RETRY_AFTER) => fault,
            Some(_) | None => match self.fetch(now).await {
                Ok(known) => {
                    history.failed = None;
                    *self.known.write() = Some(known.clone());
                    return Ok(known);
                }
                Err(fault) => {
                    history.failed = Some((now, fault.clone()));
                    fault
                }
            },
        };
        usable.ok_or(fault)
    }

    async fn fetch(&self, now: Timestamp) -> Result<Arc<KnownProvider>, OidcFault> {
        let metadata = ProviderMetadata::fetch(&self.transport, &self.registration.issuer).await?;
        let keys = fetch_keys(&self.transport, &metadata.jwks_uri).await?;
        Ok(Arc::new(KnownProvider {
            metadata: Arc::new(metadata),
            keys: Arc::new(keys),
            fetched_at: now,
        }))
    }
}

/// Returns whether `at` is at most `span` before `now`, and not after it: a clock that was set back
/// must not keep anything forever.
fn is_recent(at: Timestamp, now: Timestamp, span: Span) -> bool {
    at <= now && now < at.saturating_add(span)
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
