//! Emails in the outbox: a job sends them, administrators manage them. After a crash between
//! sending an email and recording it, the email is sent again with the same Message-ID, and is
//! never lost. `flows::emails` queues them.

use super::{
    Ctx, FlowError, Initiator, Write,
    emails::{EmailOptions, Recipient},
};
use crate::{
    domain::{
        account::check_email,
        audit::{AuditEntry, Event, EventOutcome},
        mail::{EmailFilter, EmailState, MAX_TRYING_TIME, OutboxEmail, next_attempt},
        time::Span,
    },
    mail::{
        SendError,
        message::{EmailMessage, MessageParts},
        render::{RenderedEmail, TestEmail},
    },
    store::{
        Conn, StoreError, accounts,
        outbox::{self, LeaseOutcome},
    },
};
use uuid::Uuid;

/// A lease lasts longer than any attempt (`mail::smtp`), so that no two instances send an email at
/// the same time.
const LEASE: Span = Span::from_secs(180);
/// Maximum number of emails sent in one run of the job.
const BATCH: usize = 50;

/// Sends the emails that are due and returns how many were sent. Called by a job.
pub async fn send_due(ctx: &Ctx) -> Result<usize, FlowError> {
    let mut sent = 0;
    for _ in 0..BATCH {
        let now = ctx.now();
        // Checked without a write, because usually no email is due.
        if !ctx
            .store
            .read(move |connection| outbox::has_due_email(connection, now))
            .await?
        {
            break;
        }
        let until = now.saturating_add(LEASE);
        let claim = ctx.store.write(move |connection| outbox::claim(connection, now, until));
        let Some(email) = claim.await? else {
            break;
        };
        sent += usize::from(send(ctx, email).await?);
    }
    Ok(sent)
}

/// Makes one attempt to send a leased email. Returns whether it was sent.
async fn send(ctx: &Ctx, email: OutboxEmail) -> Result<bool, FlowError> {
    let taken = if ctx.now() > email.give_up_at {
        Err(SendError::Permanent("the time for sending it was over".to_owned()))
    } else {
        match build_message(ctx, &email) {
            Ok(message) => ctx.mailer.send(&message).await,
            Err(why) => Err(SendError::Permanent(why)),
        }
    };
    let now = ctx.now();
    let (outcome, words) = match taken {
        Ok(words) => (LeaseOutcome::Sent, words),
        Err(SendError::Permanent(words)) => (LeaseOutcome::GivenUp, words),
        Err(SendError::Temporary(words)) => {
            let spread = ctx.random_bytes()[0];
            match next_attempt(email.attempts, spread, now, email.give_up_at) {
                Some(at) => (LeaseOutcome::Later(at), words),
                None => (LeaseOutcome::GivenUp, words),
            }
        }
    };
    let was_sent = outcome == LeaseOutcome::Sent;
    let counted = match &outcome {
        LeaseOutcome::Sent => "sent",
        LeaseOutcome::Later(_) => "postponed",
        LeaseOutcome::GivenUp => "given_up",
    };
    metrics::counter!("nightlatch_email_attempts_total", "outcome" => counted).increment(1);
    match &outcome {
        LeaseOutcome::Sent => {}
        LeaseOutcome::Later(_) => {
            tracing::warn!(id = %email.id, kind = email.kind, words, "an email was not accepted and will be retried")
        }
        LeaseOutcome::GivenUp => {
            tracing::error!(id = %email.id, kind = email.kind, words, "an email failed permanently")
        }
    }
    ctx.write_at(now, &Initiator::system(), move |w| {
        if outbox::settle(w.connection, &email, &outcome, &words, now)? && outcome == LeaseOutcome::GivenUp {
            let mut entry = w.email_entry(Event::MailGivenUp, &email)?;
            entry.outcome = EventOutcome::Failure;
            w.record(&entry)?;
        }
        Ok::<_, FlowError>(())
    })
    .await?;
    Ok(was_sent)
}

fn build_message(ctx: &Ctx, email: &OutboxEmail) -> Result<EmailMessage, String> {
    let body = email.body.as_deref().unwrap_or_default();
    let rendered: RenderedEmail = serde_json::from_str(body).map_err(|_| "its body cannot be read".to_owned())?;
    EmailMessage::new(&MessageParts {
        id: email.id,
        message_id: &email.message_id,
        from: &ctx.config.mail.from,
        to: &email.recipient,
        to_name: &email.recipient_name,
        subject: &email.subject,
        text: &rendered.text,
        html: &rendered.html,
        at: email.queued_at,
        eight_bit: ctx.mailer.supports_eight_bit(),
    })
}

/// The outbox as the console and the command line show it.
pub struct Outbox {
    /// The emails of the page.
    pub items: Vec<OutboxEmail>,
    /// Whether there is a page before this one.
    pub newer: bool,
    /// Whether there is a page after this one.
    pub older: bool,
    /// The numbers of emails in each state.
    pub counts: EmailCounts,
}

/// The number of emails in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmailCounts {
    /// Waiting to be sent.
    pub queued: i64,
    /// Not sent after all attempts.
    pub given_up: i64,
    /// Sent.
    pub sent: i64,
    /// Withdrawn before they were sent.
    pub discarded: i64,
}

impl EmailCounts {
    /// Returns the number in one state.
    pub fn count_of(&self, state: EmailState) -> i64 {
        match state {
            EmailState::Queued => self.queued,
            EmailState::Sent => self.sent,
            EmailState::GivenUp => self.given_up,
            EmailState::Discarded => self.discarded,
        }
    }

    /// Returns the number in all states.
    pub fn total(&self) -> i64 {
        EmailState::ALL.iter().map(|state| self.count_of(*state)).sum()
    }
}

fn read_counts(connection: &mut Conn) -> Result<EmailCounts, StoreError> {
    Ok(EmailCounts {
        queued: outbox::count(connection, Some(EmailState::Queued))?,
        given_up: outbox::count(connection, Some(EmailState::GivenUp))?,
        sent: outbox::count(connection, Some(EmailState::Sent))?,
        discarded: outbox::count(connection, Some(EmailState::Discarded))?,
    })
}

/// Lists emails, latest first.
pub async fn list(ctx: &Ctx, filter: EmailFilter) -> Result<Outbox, FlowError> {
    let (page, counts) = ctx
        .read(move |r| Ok((outbox::list(r.connection, &filter)?, read_counts(r.connection)?)))
        .await?;
    Ok(Outbox {
        items: page.items,
        newer: page.newer,
        older: page.older,
        counts,
    })
}

/// Counts the emails of each state.
pub async fn counts(ctx: &Ctx) -> Result<EmailCounts, FlowError> {
    Ok(ctx.store.read(read_counts).await?)
}

/// Retries an email immediately; a failed one too, if its body is still stored. Returns false if
/// there is nothing to send.
pub async fn retry(ctx: &Ctx, initiator: &Initiator, id: Uuid) -> Result<bool, FlowError> {
    ctx.write(initiator, move |w| {
        let email = outbox::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        let again = outbox::retry(w.connection, id, w.now, w.now.saturating_add(MAX_TRYING_TIME))?;
        if again {
            let entry = w.email_entry(Event::MailRetried, &email)?;
            w.record(&entry)?;
        }
        Ok(again)
    })
    .await
}

/// Cancels an email that was not sent. Returns false if it was sent or cancelled before.
pub async fn discard(ctx: &Ctx, initiator: &Initiator, id: Uuid) -> Result<bool, FlowError> {
    ctx.write(initiator, move |w| {
        let email = outbox::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        let discarded = outbox::discard(w.connection, id, w.now)?;
        if discarded {
            let entry = w.email_entry(Event::MailDiscarded, &email)?;
            w.record(&entry)?;
        }
        Ok(discarded)
    })
    .await
}

/// Sends a test email immediately, without the outbox, and returns the mail server's answer;
/// `doctor` uses it.
///
/// # Errors
///
/// The reason why the email was not accepted.
pub async fn send_test(ctx: &Ctx, address: &str) -> Result<String, String> {
    let address = check_email(address)?;
    let now = ctx.now();
    let recipient = Recipient {
        account: None,
        address: &address,
        name: &address,
    };
    let email = ctx
        .compose_email(now, &recipient, &TestEmail { sent_at: now }, EmailOptions::default())
        .map_err(|error| error.to_string())?;
    let rendered: RenderedEmail = serde_json::from_str(&email.body).map_err(|error| error.to_string())?;
    let message = EmailMessage::new(&MessageParts {
        id: email.id,
        message_id: &email.message_id,
        from: &ctx.config.mail.from,
        to: &email.recipient,
        to_name: "",
        subject: &email.subject,
        text: &rendered.text,
        html: &rendered.html,
        at: now,
        eight_bit: ctx.mailer.supports_eight_bit(),
    })?;
    ctx.mailer.send(&message).await.map_err(|refusal| match refusal {
        SendError::Temporary(words) | SendError::Permanent(words) => words,
    })
}

impl Write<'_> {
    /// Creates an event about an email: its recipient and its kind, but nothing of its text.
    fn email_entry(&mut self, event: Event, email: &OutboxEmail) -> Result<AuditEntry, StoreError> {
        // Emails are locked here, and accounts come before them in the order of locks.
        let name = match email.account {
            Some(id) => accounts::find_name(self.connection, id)?,
            None => None,
        };
        let entry = self.entry(event).with_detail(serde_json::json!({
            "letter": email.id, "kind": email.kind, "recipient": email.recipient, "attempts": email.attempts,
        }));
        Ok(match email.account.zip(name) {
            Some((id, name)) => entry.with_account(id, &name),
            None => entry,
        })
    }
}
