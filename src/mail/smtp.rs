//! Delivery to the mail server, one connection per email. TLS is as the URL says, a password is
//! used when there is one, and every step and the whole are bounded in time. This module decides
//! what a refusal means for the email, not when it is tried again.

use super::{
    error::{MailError, SendError},
    message::EmailMessage,
};
use crate::{
    config::{MailConfig, SmtpEncryption, SmtpUrl},
    domain::mail::truncate_words,
};
use lettre::{
    address::Envelope,
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, MailParameter},
        response::Response,
    },
};
use std::{error::Error, net::Ipv4Addr, time::Duration};
use tokio::time::timeout;

/// Maximum time for one step of the conversation.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum time for the whole conversation. The lease of a queued email is longer.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of the configured mail server.
#[derive(Clone)]
pub struct SmtpMailer {
    url: SmtpUrl,
    hello: ClientId,
    tls: Option<TlsParameters>,
    step_timeout: Duration,
    total_timeout: Duration,
}

/// A failed delivery, and whether the recipient had been named before.
struct DeliveryFailure {
    reason: String,
    /// A permanent answer about the recipient or the email: it would be the same at every attempt.
    is_final: bool,
}

impl SmtpMailer {
    /// Prepares a client for the mail server at `url`; connects to nothing yet.
    pub fn new(url: &SmtpUrl, config: &MailConfig) -> Result<Self, MailError> {
        Self::with_timeouts(url, config.smtp_hello.as_deref(), STEP_TIMEOUT, TOTAL_TIMEOUT)
    }

    /// Prepares a client with other timeouts for one step and for the whole conversation.
    pub fn with_timeouts(
        url: &SmtpUrl,
        hello: Option<&str>,
        step_timeout: Duration,
        total_timeout: Duration,
    ) -> Result<Self, MailError> {
        let tls = match url.encryption() {
            SmtpEncryption::None => None,
            SmtpEncryption::FromTheStart | SmtpEncryption::StartTls | SmtpEncryption::StartTlsIfOffered => {
                // The library's own message may repeat the URL with its password.
                let tls = TlsParameters::new(url.host().to_owned());
                Some(tls.map_err(|_| MailError(format!("{url} cannot be used as a mail server")))?)
            }
        };
        Ok(Self {
            url: url.clone(),
            hello: hello.map_or_else(default_hello, |name| ClientId::Domain(name.to_owned())),
            tls,
            step_timeout,
            total_timeout,
        })
    }

    /// Describes the mail server, without a password.
    pub fn describe(&self) -> String {
        self.url.to_string()
    }

    /// Sends an email and returns the server's answer.
    pub async fn send(&self, message: &EmailMessage) -> Result<String, SendError> {
        match timeout(self.total_timeout, self.deliver(message)).await {
            Err(_) => Err(SendError::Temporary(no_answer(self.total_timeout))),
            Ok(Ok(answer)) => {
                let lines: Vec<&str> = answer.message().collect();
                Ok(truncate_words(&format!("{} {}", answer.code(), lines.join(" "))))
            }
            Ok(Err(failure)) => {
                let reason = truncate_words(&failure.reason);
                Err(match failure.is_final {
                    true => SendError::Permanent(reason),
                    false => SendError::Temporary(reason),
                })
            }
        }
    }

    /// A refusal before the recipient is named is about how we introduce ourselves, sign in or call
    /// the sender: the operator repairs that, and the email waits.
    async fn deliver(&self, message: &EmailMessage) -> Result<Response, DeliveryFailure> {
        let mut connection = self.connect().await?;
        let sender = Mail::new(message.envelope.from().cloned(), mail_parameters(&message.envelope));
        self.step(connection.command(sender))
            .await
            .map_err(DeliveryFailure::retry)?;
        for recipient in message.envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            self.step(connection.command(recipient)).await?;
        }
        self.step(connection.command(Data)).await?;
        let answer = self.step(connection.message(&message.bytes)).await?;
        // The email is accepted, whatever becomes of the farewell.
        self.step(connection.quit()).await.ok();
        Ok(answer)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, DeliveryFailure> {
        let (server, hello) = ((self.url.host(), self.url.port()), &self.hello);
        let wrapper = match self.url.encryption() {
            SmtpEncryption::FromTheStart => self.tls.clone(),
            SmtpEncryption::StartTls | SmtpEncryption::StartTlsIfOffered | SmtpEncryption::None => None,
        };
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(self.step_timeout), hello, wrapper, None);
        let mut connection = self.step(connecting).await.map_err(DeliveryFailure::retry)?;
        let upgrade = match self.url.encryption() {
            SmtpEncryption::StartTls => true,
            SmtpEncryption::StartTlsIfOffered => connection.can_starttls(),
            SmtpEncryption::FromTheStart | SmtpEncryption::None => false,
        };
        if let Some(tls) = self.tls.clone().filter(|_| upgrade) {
            let upgrading = connection.starttls(tls, hello);
            self.step(upgrading).await.map_err(DeliveryFailure::retry)?;
        }
        if let Some((user, password)) = self.url.credentials() {
            let credentials = Credentials::new(user, password);
            let signing_in = connection.auth(DEFAULT_MECHANISMS, &credentials);
            self.step(signing_in).await.map_err(DeliveryFailure::retry)?;
        }
        Ok(connection)
    }

    async fn step<T>(&self, step: impl Future<Output = Result<T, smtp::Error>>) -> Result<T, DeliveryFailure> {
        match timeout(self.step_timeout, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                // 530 to 538 are about our own sign-in (RFC 4954), at whatever step.
                let code = error.status().map(u16::from);
                let about_sign_in = code.is_some_and(|code| (530..=538).contains(&code));
                Err(DeliveryFailure {
                    reason: explain(&error),
                    is_final: error.is_permanent() && !about_sign_in,
                })
            }
            Err(_) => Err(DeliveryFailure {
                reason: no_answer(self.step_timeout),
                is_final: false,
            }),
        }
    }
}

impl DeliveryFailure {
    fn retry(self) -> Self {
        Self {
            is_final: false,
            ..self
        }
    }
}

fn no_answer(timeout: Duration) -> String {
    format!("no answer within {} s", timeout.as_secs_f32())
}

/// Returns this machine's name for EHLO if it is a full one, otherwise an address literal: some
/// servers refuse a name without a dot.
fn default_hello() -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if !name.contains('.') => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
        name => name,
    }
}

/// Returns the extensions that the addresses need (RFC 6531).
fn mail_parameters(envelope: &Envelope) -> Vec<MailParameter> {
    let needs_utf8 = envelope.from().into_iter().chain(envelope.to()).any(|address| {
        let text: &str = address.as_ref();
        !text.is_ascii()
    });
    if needs_utf8 {
        vec![MailParameter::SmtpUtfEight]
    } else {
        Vec::new()
    }
}

/// Formats an error and its causes, each of them once, and says what to do where that is known.
fn explain(error: &smtp::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let cause = inner.to_string();
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
        source = inner.source();
    }
    match advise(&message) {
        Some(advice) => format!("{message}; {advice}"),
        None => message,
    }
}

/// Returns what to do about the certificate of a mail server.
fn advise(message: &str) -> Option<&'static str> {
    if message.contains("CaUsedAsEndEntity") {
        Some(
            "the mail server's certificate is marked as a certificate authority: give the server one that is not \
             (basicConstraints CA:FALSE)",
        )
    } else if message.contains("UnknownIssuer") {
        Some("this machine does not trust the certificate: name its certificate authority in SSL_CERT_FILE")
    } else {
        None
    }
}
