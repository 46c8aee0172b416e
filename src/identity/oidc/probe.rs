//! The test of a provider: what it publishes, whether it accepts our registration, and which ways
//! of ending sessions it offers. No person is involved, and nothing is changed.

use super::{
    authorization::AuthorizationRequest,
    discovery::ProviderMetadata,
    fault::{OidcFault, quote},
    keys::{count_usable_keys, fetch_keys},
    provider::Provider,
};
use std::time::{Duration, Instant};
use url::{Url, form_urlencoded};

const AUTHORIZATION_ENDPOINT: &str = "the authorization endpoint";
/// Errors of a provider that would ask the person: it accepts the request itself (OpenID Connect
/// Core 1.0, 3.1.2.6).
const ASKS_THE_PERSON: [&str; 4] = [
    "login_required",
    "interaction_required",
    "consent_required",
    "account_selection_required",
];

/// One step of the test of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderStep {
    /// The code of the step: discovery, keys, authorization, client, sign_out, back_channel.
    pub step: &'static str,
    /// How long it took.
    pub took: Duration,
    /// What it found, or why it failed.
    pub result: Result<String, ProviderStepFault>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderStepFault {
    /// What happened, without secrets.
    pub message: String,
    /// What to do, in a sentence.
    pub remedy: String,
}

impl ProviderStepFault {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// Describes a fault. `remedy`: what to do if the fault itself does not say.
    fn describe(fault: &OidcFault, remedy: &str) -> Self {
        let known = match fault {
            OidcFault::Unreachable { .. } => {
                "Check the issuer, the certificate (ca_file), and the network between this server and the provider."
            }
            OidcFault::Busy => "Try again in a moment.",
            OidcFault::OtherIssuer { .. } => "Copy the issuer from the provider's metadata, byte for byte.",
            OidcFault::Insecure(_) => "Let the provider publish https addresses.",
            OidcFault::Configuration(_) => "Correct the settings of the source.",
            OidcFault::ClientRefused(_) => "Check client_id and client_auth, and enter the client secret again.",
            OidcFault::Status { .. } | OidcFault::Answer { .. } | OidcFault::Refused(_) | OidcFault::Check { .. } => {
                remedy
            }
        };
        Self::new(fault.to_string(), known)
    }
}

/// Our addresses, which are registered at the provider.
pub struct RegisteredAddresses {
    /// Where browsers go after a sign-out there.
    pub post_logout: String,
    /// Where the provider sends logout tokens.
    pub back_channel: String,
}

impl Provider {
    /// Tries each step with fresh requests. Without metadata there is nothing else to try.
    pub async fn probe(
        &self,
        request: &AuthorizationRequest<'_>,
        addresses: &RegisteredAddresses,
    ) -> Vec<ProviderStep> {
        let mut steps = Vec::new();
        let began = Instant::now();
        let fetched = ProviderMetadata::fetch(&self.transport, &self.registration().issuer).await;
        let metadata = match fetched {
            Ok(metadata) => metadata,
            Err(fault) => {
                let remedy = "Check the issuer: its metadata are at ISSUER/.well-known/openid-configuration.";
                note(
                    &mut steps,
                    "discovery",
                    began,
                    Err(ProviderStepFault::describe(&fault, remedy)),
                );
                return steps;
            }
        };
        note(&mut steps, "discovery", began, Ok(quote(&metadata.issuer)));
        let began = Instant::now();
        let keys = self.probe_keys(&metadata).await;
        note(&mut steps, "keys", began, keys);
        let began = Instant::now();
        let authorization = self.probe_authorization(&metadata, request).await;
        note(&mut steps, "authorization", began, authorization);
        let began = Instant::now();
        let client = self.probe_client(&metadata, request).await;
        note(&mut steps, "client", began, client);
        let began = Instant::now();
        note(
            &mut steps,
            "sign_out",
            began,
            Ok(describe_sign_out(&metadata, addresses)),
        );
        note(
            &mut steps,
            "back_channel",
            began,
            Ok(describe_back_channel(&metadata, addresses)),
        );
        steps
    }

    /// Fetches the keys, and finds those that fit the accepted algorithms.
    async fn probe_keys(&self, metadata: &ProviderMetadata) -> Result<String, ProviderStepFault> {
        let keys = fetch_keys(&self.transport, &metadata.jwks_uri)
            .await
            .map_err(|fault| ProviderStepFault::describe(&fault, "Check the address jwks_uri in the metadata."))?;
        let remedy = "Let the provider sign ID tokens with RS256, ES256 or PS256.";
        let algorithms = metadata.algorithm_names();
        if algorithms.is_empty() {
            return Err(ProviderStepFault::new(
                "the provider signs ID tokens with no accepted algorithm",
                remedy,
            ));
        }
        let usable = algorithms
            .into_iter()
            .filter_map(|name| match count_usable_keys(&keys, name) {
                0 => None,
                1 => Some(format!("{name} (1 key)")),
                number => Some(format!("{name} ({number} keys)")),
            });
        let usable: Vec<String> = usable.collect();
        match usable.is_empty() {
            true => Err(ProviderStepFault::new(
                "no published key fits an accepted algorithm",
                remedy,
            )),
            false => Ok(usable.join(", ")),
        }
    }

    /// Asks for a sign-in without a person (`prompt=none`): a provider that knows client and
    /// redirect address sends the browser back with an error.
    async fn probe_authorization(
        &self,
        metadata: &ProviderMetadata,
        request: &AuthorizationRequest<'_>,
    ) -> Result<String, ProviderStepFault> {
        let register = format!(
            "Register the redirect address {}, and check client_id.",
            request.redirect_uri
        );
        let mut url = request.url(metadata, &self.registration().client_id);
        url.query_pairs_mut().append_pair("prompt", "none");
        let sent = match self.transport.get(&url) {
            Ok(request) => self.transport.send(AUTHORIZATION_ENDPOINT, request).await,
            Err(fault) => Err(fault),
        };
        let answer = sent.map_err(|fault| ProviderStepFault::describe(&fault, &register))?;
        let status = answer.status.as_u16();
        if answer.status.is_client_error() || answer.status.is_server_error() {
            return Err(ProviderStepFault::new(
                format!("{AUTHORIZATION_ENDPOINT} answered with status {status}"),
                register,
            ));
        }
        let unchecked = format!(
            "not verified, the provider showed a page of its own; register {}",
            request.redirect_uri
        );
        let Some(back) = answer
            .location
            .filter(|location| location.starts_with(request.redirect_uri))
            .and_then(|location| Url::parse(&location).ok())
        else {
            return Ok(unchecked);
        };
        let error = back.query_pairs().find(|(name, _)| name == "error");
        match error.map(|(_, code)| code.into_owned()) {
            Some(code) if ASKS_THE_PERSON.contains(&code.as_str()) => {
                Ok(format!("{} is registered", request.redirect_uri))
            }
            Some(code) => Err(ProviderStepFault::new(
                format!("{AUTHORIZATION_ENDPOINT} answered with the error {}", quote(&code)),
                "Compare scopes and acr_values with what the provider allows for this client.",
            )),
            None => Ok(unchecked),
        }
    }

    /// Exchanges a made-up code: a provider that accepts our client refuses the code alone
    /// (RFC 6749, 5.2).
    async fn probe_client(
        &self,
        metadata: &ProviderMetadata,
        request: &AuthorizationRequest<'_>,
    ) -> Result<String, ProviderStepFault> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", request.secrets.state.expose())
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("code_verifier", request.secrets.verifier.expose());
        let is_public = self.registration().client_secret.is_none();
        match self.request_tokens(&metadata.token_endpoint, form).await {
            Err(OidcFault::Refused(code)) if code == quote("invalid_grant") => Ok(match is_public {
                true => "the client ID is accepted; there is no secret".to_owned(),
                false => "client ID and secret are accepted".to_owned(),
            }),
            Err(fault @ OidcFault::ClientRefused(_)) if is_public => Err(ProviderStepFault::new(
                fault.to_string(),
                "Enter the client secret, or register the client as public.",
            )),
            Err(fault) => Err(ProviderStepFault::describe(
                &fault,
                "Allow the grant authorization_code for this client at the provider.",
            )),
            Ok(_) => Err(ProviderStepFault::new(
                "the token endpoint issued tokens for a made-up code",
                "Do not use this provider: it signs anyone in.",
            )),
        }
    }
}

fn note(steps: &mut Vec<ProviderStep>, step: &'static str, began: Instant, result: Result<String, ProviderStepFault>) {
    steps.push(ProviderStep {
        step,
        took: began.elapsed(),
        result,
    });
}

fn describe_sign_out(metadata: &ProviderMetadata, addresses: &RegisteredAddresses) -> String {
    match &metadata.end_session_endpoint {
        Some(_) => format!(
            "offered; register the post-logout redirect address {}",
            addresses.post_logout
        ),
        None => "not offered: a sign-out ends only the session here".to_owned(),
    }
}

fn describe_back_channel(metadata: &ProviderMetadata, addresses: &RegisteredAddresses) -> String {
    match metadata.backchannel_logout_supported {
        Some(true) => format!(
            "offered; register {} with the session ID required",
            addresses.back_channel
        ),
        Some(false) | None => "not offered: sessions here go on when they end at the provider".to_owned(),
    }
}
