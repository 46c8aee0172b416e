//! A receiver of CloudEvents: a signed POST for each batch. Only a status of 2xx confirms it;
//! redirects are not followed.

use super::{
    ShippingFault,
    tls::{make_config, make_unused_config},
};
use crate::domain::{
    audit::shipping::{
        RecordFormat, SealedRecord, WebhookTarget, ascii_json,
        cloud_events::{BATCH_TYPE, SIGNATURE_HEADER, signature_value, signed_text, to_event},
    },
    secret::Secret,
    time::Timestamp,
};
use data_encoding::HEXLOWER;
use reqwest::redirect::Policy;
use ring::hmac;
use std::error::Error;
use url::Url;

/// A prepared receiver.
pub(super) struct WebhookSender {
    http: reqwest::Client,
    url: Url,
    secret: Secret,
}

impl WebhookSender {
    pub(super) async fn prepare(target: &WebhookTarget) -> Result<Self, ShippingFault> {
        let tls = match target.url.scheme() {
            "https" => make_config(target.ca_file.clone(), None).await?,
            _ => make_unused_config()?,
        };
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .pool_max_idle_per_host(1)
            .user_agent("Nightlatch")
            .tls_backend_preconfigured(tls);
        Ok(Self {
            http: builder.build().map_err(|error| ShippingFault::Tls(error.to_string()))?,
            url: target.url.clone(),
            secret: target.secret.clone(),
        })
    }

    pub(super) async fn send(
        &self,
        records: &[SealedRecord],
        format: RecordFormat,
        source: &str,
        now: Timestamp,
    ) -> Result<(), ShippingFault> {
        let events = records.iter().map(|record| to_event(record, format, source));
        let body = ascii_json(&events.collect()).into_bytes();
        let seconds = now.as_micros().div_euclid(1_000_000);
        let signature = sign(&self.secret, seconds, &body);
        let request = self.http.post(self.url.clone());
        let request = request
            .header("content-type", BATCH_TYPE)
            .header(SIGNATURE_HEADER, signature_value(seconds, &signature));
        let answer = request.body(body).send().await.map_err(explain)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(ShippingFault::Status(status.as_u16())),
        }
    }
}

/// Returns the HMAC-SHA-256 over the time and the body, in hexadecimal digits.
fn sign(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    HEXLOWER.encode(hmac::sign(&key, &signed_text(seconds, body)).as_ref())
}

/// Describes a failed request by its innermost cause, without the address: its path or query may be
/// secret.
fn explain(error: reqwest::Error) -> ShippingFault {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    ShippingFault::Connection(cause.to_string())
}

#[cfg(test)]
mod tests;
