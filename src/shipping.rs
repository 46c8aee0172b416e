//! Sending audit records to other systems. A record counts as delivered only once the receiver
//! confirmed it, so that what was in flight when a connection broke is sent again.

mod fault;
mod file;
mod syslog;
mod tls;
mod webhook;

pub use fault::ShippingFault;

use crate::domain::{
    audit::shipping::{AuditTarget, SealedRecord, TargetKind},
    time::Timestamp,
};
use parking_lot::Mutex;
use std::{path::PathBuf, sync::Arc, time::Duration};
use syslog::SyslogSender;
use tokio::time::timeout;
use webhook::WebhookSender;

/// Longest attempt to deliver a batch, with its confirmation.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest batch, by the sealed texts in it; a single record may be larger.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// What receivers are told about this installation.
#[derive(Debug, Clone)]
pub struct ShippingOrigin {
    /// Its address.
    pub url: String,
    /// Its host name; may be empty.
    pub hostname: String,
}

/// Sends records to one target.
pub struct Shipper {
    target: AuditTarget,
    installation: ShippingOrigin,
    /// What was prepared for the target; made again after a fault, so that new certificates are
    /// read.
    sender: Mutex<Option<Arc<TargetSender>>>,
}

enum TargetSender {
    Syslog(SyslogSender),
    Webhook(WebhookSender),
    File(PathBuf),
}

impl Shipper {
    /// Prepares nothing yet.
    pub fn new(target: AuditTarget, installation: ShippingOrigin) -> Self {
        Self {
            target,
            installation,
            sender: Mutex::new(None),
        }
    }

    /// Returns the target.
    pub fn target(&self) -> &AuditTarget {
        &self.target
    }

    /// Returns how many of the records go into one batch; at least one, if there are any.
    pub fn batch_len(records: &[SealedRecord]) -> usize {
        let mut bytes = 0;
        let fitting = records.iter().take_while(|record| {
            bytes += record.sealed.len();
            bytes <= MAX_BATCH_BYTES
        });
        fitting.count().max(1).min(records.len())
    }

    /// Delivers a batch. After a fault, any part of it may have arrived.
    pub async fn send(&self, records: &[SealedRecord], now: Timestamp) -> Result<(), ShippingFault> {
        let sent = timeout(ATTEMPT_TIMEOUT, self.attempt(records, now)).await;
        let sent = sent.unwrap_or(Err(ShippingFault::Timeout));
        if sent.is_err() {
            *self.sender.lock() = None;
        }
        sent
    }

    /// Checks what can be checked without the receiver: certificates.
    pub async fn check(&self) -> Result<(), ShippingFault> {
        self.sender().await.map(drop)
    }

    async fn attempt(&self, records: &[SealedRecord], now: Timestamp) -> Result<(), ShippingFault> {
        let format = self.target.format;
        match &*self.sender().await? {
            TargetSender::Syslog(sender) => sender.send(records, format).await,
            TargetSender::Webhook(sender) => sender.send(records, format, &self.installation.url, now).await,
            TargetSender::File(path) => file::append(path, records, format).await,
        }
    }

    async fn sender(&self) -> Result<Arc<TargetSender>, ShippingFault> {
        if let Some(sender) = self.sender.lock().clone() {
            return Ok(sender);
        }
        let sender = Arc::new(match &self.target.kind {
            TargetKind::Syslog(target) => {
                let hostname = self.installation.hostname.clone();
                TargetSender::Syslog(SyslogSender::prepare(target, hostname).await?)
            }
            TargetKind::Webhook(target) => TargetSender::Webhook(WebhookSender::prepare(target).await?),
            TargetKind::File(path) => TargetSender::File(path.clone()),
        });
        *self.sender.lock() = Some(sender.clone());
        Ok(sender)
    }
}

#[cfg(test)]
mod tests;
