//! Requests to a provider: over TLS, without redirects, bounded in time, in size and in number.

use super::fault::{OidcFault, quote};
use crate::identity::describe_certificate_fault;
use reqwest::{RequestBuilder, StatusCode, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_native_certs::load_native_certs;
use serde::de::DeserializeOwned;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use url::{Host, Url};

/// Largest accepted body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Most requests to one provider at a time.
const MAX_OPEN: usize = 16;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// An HTTP client for one provider.
pub(super) struct Transport {
    http: reqwest::Client,
    turns: Semaphore,
    /// Whether http is accepted on loopback addresses.
    accepts_plain: bool,
}

/// A whole answer.
pub(super) struct TransportAnswer {
    pub(super) status: StatusCode,
    /// Where a redirection leads; it is never followed.
    pub(super) location: Option<String>,
    body: Vec<u8>,
    endpoint: &'static str,
}

impl Transport {
    /// Prepares a client for the provider with this issuer. It trusts the authorities in `ca_file`
    /// (PEM), or else the system's.
    pub(super) fn new(issuer: &str, ca_file: Option<&str>, time_limit: Duration) -> Result<Self, OidcFault> {
        let http = build_client(read_roots(ca_file)?, time_limit)?;
        Ok(Self {
            http,
            turns: Semaphore::new(MAX_OPEN),
            accepts_plain: Url::parse(issuer).is_ok_and(|url| is_loopback(&url)),
        })
    }

    /// Refuses addresses at which secrets would travel in the clear. A provider elsewhere must not
    /// name loopback services of this server either.
    pub(super) fn check_address(&self, url: &Url) -> Result<(), OidcFault> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.accepts_plain && is_loopback(url) => Ok(()),
            _ => Err(OidcFault::Insecure(quote(url.as_str()))),
        }
    }

    /// Begins a GET that accepts JSON.
    pub(super) fn get(&self, url: &Url) -> Result<RequestBuilder, OidcFault> {
        self.check_address(url)?;
        Ok(self.http.get(url.clone()).header("accept", "application/json"))
    }

    /// Begins a POST that accepts JSON.
    pub(super) fn post(&self, url: &Url) -> Result<RequestBuilder, OidcFault> {
        self.check_address(url)?;
        Ok(self.http.post(url.clone()).header("accept", "application/json"))
    }

    /// Sends a request and reads the whole answer. `endpoint` names it in faults.
    pub(super) async fn send(
        &self,
        endpoint: &'static str,
        request: RequestBuilder,
    ) -> Result<TransportAnswer, OidcFault> {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.turns.acquire()).await else {
            return Err(OidcFault::Busy);
        };
        let unreachable = |error: reqwest::Error| OidcFault::Unreachable {
            endpoint,
            reason: explain(error),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(OidcFault::Answer {
                    endpoint,
                    problem: "it is longer than 1 MiB".to_owned(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let location = response.headers().get("location");
        Ok(TransportAnswer {
            status: response.status(),
            location: location.and_then(|location| location.to_str().ok()).map(str::to_owned),
            body,
            endpoint,
        })
    }
}

/// Returns a client that trusts the system's authorities and follows no redirects. `None`: TLS
/// cannot be set up.
pub fn make_http_client(time_limit: Duration) -> Option<reqwest::Client> {
    build_client(read_roots(None).ok()?, time_limit).ok()
}

fn build_client(roots: RootCertStore, time_limit: Duration) -> Result<reqwest::Client, OidcFault> {
    let fault = |error: &dyn Error| OidcFault::Configuration(format!("TLS cannot be set up: {error}"));
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // A token request must not be led elsewhere.
        .redirect(Policy::none())
        .timeout(time_limit)
        // Sign-ins are seldom, and a connection would belong to the thread that opened it.
        .pool_max_idle_per_host(0)
        .user_agent("Nightlatch")
        .build()
        .map_err(|error| fault(&error))
}

impl TransportAnswer {
    /// Reads the JSON of a successful answer.
    pub(super) fn into_json<T: DeserializeOwned>(self) -> Result<T, OidcFault> {
        if !self.status.is_success() {
            return Err(OidcFault::Status {
                endpoint: self.endpoint,
                status: self.status.as_u16(),
            });
        }
        self.parse()
    }

    /// Reads the JSON of any answer.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, OidcFault> {
        serde_json::from_slice(&self.body).map_err(|error| OidcFault::Answer {
            endpoint: self.endpoint,
            // The position alone: the message of the error would repeat a part of the answer.
            problem: format!(
                "it is not the expected JSON (line {}, column {})",
                error.line(),
                error.column()
            ),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn read_roots(ca_file: Option<&str>) -> Result<RootCertStore, OidcFault> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        // Certificates that cannot be read are missing, which the handshake reports.
        roots.add_parsable_certificates(load_native_certs().certs);
        return Ok(roots);
    };
    let fault = |reason: String| OidcFault::Configuration(format!("the CA file {} {reason}", quote(path)));
    let pem = std::fs::read(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fault(format!("is not PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| fault(format!("has an unusable certificate: {error}")))?;
    }
    if roots.is_empty() {
        return Err(fault("contains no certificate".to_owned()));
    }
    Ok(roots)
}

/// Describes a failed request by its innermost cause, without the address: a token request may
/// carry credentials there.
fn explain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    describe_certificate_fault(cause.to_string())
}

#[cfg(test)]
mod tests;
