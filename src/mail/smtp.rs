//! The mail server, one connection a letter: TLS as the URL says, signing in when it has a password, bounded in time at every step and as
//! a whole. What a refusal means for the letter is decided here; when to try again is not.

use super::{MailError, Refusal, message::Message};
use crate::{config::SmtpUrl, domain::mail::kept_words};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, transport::smtp};
use std::{error::Error, time::Duration};

/// How long one step of the conversation may take, and all of it. A lease of a letter is longer.
const STEP: Duration = Duration::from_secs(20);
const WHOLE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    url: SmtpUrl,
    whole: Duration,
}

impl Smtp {
    pub fn new(url: &SmtpUrl) -> Result<Self, MailError> {
        Self::with_timeouts(url, STEP, WHOLE)
    }

    /// With other patience than usual.
    pub fn with_timeouts(url: &SmtpUrl, step: Duration, whole: Duration) -> Result<Self, MailError> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose());
        // In words of ours: the library's may repeat the URL.
        let builder = builder.map_err(|_| MailError(format!("{url} cannot be used as a mail server")))?;
        Ok(Self {
            transport: builder.timeout(Some(step)).build(),
            url: url.clone(),
            whole,
        })
    }

    pub fn describe(&self) -> String {
        self.url.to_string()
    }

    pub async fn send(&self, message: &Message) -> Result<String, Refusal> {
        let sending = self.transport.send_raw(&message.envelope, &message.bytes);
        match tokio::time::timeout(self.whole, sending).await {
            Err(_) => Err(Refusal::Later(format!(
                "no answer within {} s",
                self.whole.as_secs_f32()
            ))),
            Ok(Ok(answer)) => {
                let said: Vec<&str> = answer.message().collect();
                Ok(kept_words(&format!("{} {}", answer.code(), said.join(" "))))
            }
            Ok(Err(error)) => Err(refusal(&error)),
        }
    }
}

/// A permanent answer is about this letter, unless it is about how we come (530 to 538, RFC 4954): then the operator mends it.
fn refusal(error: &smtp::Error) -> Refusal {
    let words = kept_words(&chain(error));
    let about_us = error
        .status()
        .is_some_and(|code| (530..=538).contains(&u16::from(code)));
    if error.is_permanent() && !about_us {
        Refusal::Never(words)
    } else {
        Refusal::Later(words)
    }
}

/// The error and what is behind it, each once.
fn chain(error: &smtp::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        source = inner.source();
    }
    words
}
