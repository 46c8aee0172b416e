//! Queueing an email in the transaction of the action that causes it. `flows::mail` sends it.

use super::{Ctx, Write};
use crate::{
    domain::{
        account::{Account, AccountId},
        mail::{MAX_TRYING_TIME, NewEmail},
        time::Timestamp,
    },
    mail::{
        message,
        render::{EmailContext, EmailTemplate},
    },
    store::{StoreError, outbox},
};

/// Options of a queued email; the default suits most.
#[derive(Debug, Clone, Default)]
pub(super) struct EmailOptions {
    /// A key for which at most one email is queued.
    pub(super) dedupe: Option<String>,
    /// The last instant at which the email is useful; by default two days later.
    pub(super) give_up_at: Option<Timestamp>,
}

/// The recipient of an email.
pub(super) struct Recipient<'a> {
    pub(super) account: Option<AccountId>,
    pub(super) address: &'a str,
    pub(super) name: &'a str,
}

impl Write<'_> {
    /// Queues an email to the account's owner. Returns false if there is no address, or if the
    /// email is already queued.
    pub(super) fn enqueue_email(
        &mut self,
        to: &Account,
        email: &impl EmailTemplate,
        options: EmailOptions,
    ) -> Result<bool, StoreError> {
        let Some(address) = &to.email else { return Ok(false) };
        let names = [to.display_name.as_str(), to.name.as_str()];
        let recipient = Recipient {
            account: Some(to.id),
            address,
            name: names.into_iter().find(|name| !name.is_empty()).unwrap_or(address),
        };
        let queued = self.ctx.compose_email(self.now, &recipient, email, options)?;
        outbox::queue(self.connection, &queued)
    }
}

impl Ctx {
    /// Creates an email for the outbox; nothing is written.
    pub(super) fn compose_email(
        &self,
        now: Timestamp,
        recipient: &Recipient<'_>,
        email: &impl EmailTemplate,
        options: EmailOptions,
    ) -> Result<NewEmail, StoreError> {
        let context = EmailContext {
            name: recipient.name.to_owned(),
            base_url: self.config.base_url(),
        };
        let faulty = |_| StoreError::Corrupt(format!("an email cannot be rendered: {}", email.kind().as_str()));
        let rendered = email.render(&context).map_err(faulty)?;
        let id = self.new_id(now);
        Ok(NewEmail {
            id,
            kind: email.kind().as_str().to_owned(),
            account: recipient.account,
            recipient: recipient.address.to_owned(),
            recipient_name: recipient.name.to_owned(),
            subject: email.subject(),
            body: serde_json::json!(rendered).to_string(),
            secret: email.has_secret_link(),
            message_id: message::message_id(id, &self.config.mail.from),
            dedupe: options.dedupe,
            queued_at: now,
            give_up_at: options.give_up_at.unwrap_or(now.saturating_add(MAX_TRYING_TIME)),
        })
    }
}
