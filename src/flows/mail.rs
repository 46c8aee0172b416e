//! Letters: put into the outbox inside the act that causes them, sent by a job, looked after by administrators. A crash between sending
//! and saying so sends a letter twice, under one Message-ID; never not at all.

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        account::{AccountId, check_email},
        audit::{Entry, Event, Outcome as AuditOutcome},
        mail::{KEPT_TRYING, LetterState, next_attempt},
        time::{Span, Timestamp},
    },
    mail::{
        Refusal,
        message::{self, Message, Parts},
        render::{About, Letter, Test, Written},
    },
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        outbox::{self, NewLetter, OutboxFilter, OutboxLetter, Outcome},
    },
};
use uuid::Uuid;

/// A lease is longer than any attempt (`mail::smtp`), so that no two instances send a letter at the same time.
const LEASE: Span = Span::from_secs(180);
/// Letters sent in one run of the job.
const BATCH: usize = 50;

/// How a letter is queued; the default suits most.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// One letter under this key, whoever asks for it and however often.
    pub dedupe: Option<String>,
    /// When it is of no use any more; two days otherwise.
    pub give_up_at: Option<Timestamp>,
}

impl Ctx {
    /// Puts a letter to the account's owner into the outbox, inside the write that gives the reason. False: there is no e-mail address, or the
    /// letter is there already.
    pub(super) fn post(
        &self,
        c: &mut Conn,
        now: Timestamp,
        to: &Account,
        letter: &impl Letter,
        terms: Terms,
    ) -> Result<bool, StoreError> {
        let Some(email) = &to.email else { return Ok(false) };
        let name = [to.display_name.as_str(), to.name.as_str()]
            .into_iter()
            .find(|name| !name.is_empty());
        let queued = self.new_letter(now, (Some(to.id), email, name.unwrap_or(email)), letter, terms)?;
        outbox::queue(c, &queued)
    }

    fn new_letter(
        &self,
        now: Timestamp,
        (account, address, name): (Option<AccountId>, &str, &str),
        letter: &impl Letter,
        terms: Terms,
    ) -> Result<NewLetter, StoreError> {
        let about = About {
            name: name.to_owned(),
            base_url: self.config.base_url(),
        };
        let faulty = |_| StoreError::Corrupt(format!("a letter cannot be worded: {}", letter.kind().as_str()));
        let written = letter.write(&about).map_err(faulty)?;
        let id = self.new_id(now);
        Ok(NewLetter {
            id,
            kind: letter.kind().as_str().to_owned(),
            account,
            recipient: address.to_owned(),
            recipient_name: name.to_owned(),
            subject: letter.subject(),
            body: serde_json::json!(written).to_string(),
            secret: letter.secret(),
            message_id: message::message_id(id, &self.config.mail.from),
            dedupe: terms.dedupe,
            queued_at: now,
            give_up_at: terms.give_up_at.unwrap_or(now.saturating_add(KEPT_TRYING)),
        })
    }
}

/// Sends what is due; how many letters were sent. The job calls it.
pub async fn send_due(ctx: &Ctx) -> Result<usize, FlowError> {
    let mut sent = 0;
    for _ in 0..BATCH {
        let now = ctx.now();
        // Asked without a write: most of the time there is nothing.
        if !ctx.store.read(move |c| outbox::anything_due(c, now)).await? {
            break;
        }
        let until = now.saturating_add(LEASE);
        let Some(letter) = ctx.store.write(move |c| outbox::claim(c, now, until)).await? else {
            break;
        };
        sent += usize::from(send(ctx, letter).await?);
    }
    Ok(sent)
}

/// One attempt at a leased letter, and what came of it.
async fn send(ctx: &Ctx, letter: OutboxLetter) -> Result<bool, FlowError> {
    let taken = if ctx.now() > letter.give_up_at {
        Err(Refusal::Never("it was too late to send it".to_owned()))
    } else {
        match message_of(ctx, &letter) {
            Ok(message) => ctx.mailer.send(&message).await,
            Err(why) => Err(Refusal::Never(why)),
        }
    };
    let now = ctx.now();
    let (outcome, words) = match taken {
        Ok(words) => (Outcome::Sent, words),
        Err(Refusal::Never(words)) => (Outcome::GivenUp, words),
        Err(Refusal::Later(words)) => {
            let spread = ctx.random_bytes()[0];
            match next_attempt(letter.attempts, spread, now, letter.give_up_at) {
                Some(at) => (Outcome::Later(at), words),
                None => (Outcome::GivenUp, words),
            }
        }
    };
    let was_sent = outcome == Outcome::Sent;
    match &outcome {
        Outcome::Sent => {}
        Outcome::Later(_) => {
            tracing::warn!(id = %letter.id, kind = letter.kind, words, "a letter was not taken and will be tried again")
        }
        Outcome::GivenUp => tracing::error!(id = %letter.id, kind = letter.kind, words, "a letter is given up"),
    }
    let flow = ctx.clone();
    ctx.store
        .write(move |c| {
            if outbox::settle(c, &letter, &outcome, &words, now)? && outcome == Outcome::GivenUp {
                let mut entry = flow.mail_entry(c, &Acting::system(), Event::MailGivenUp, &letter)?;
                entry.outcome = AuditOutcome::Failure;
                flow.record(c, now, &entry)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(was_sent)
}

fn message_of(ctx: &Ctx, letter: &OutboxLetter) -> Result<Message, String> {
    let body = letter.body.as_deref().unwrap_or_default();
    let written: Written = serde_json::from_str(body).map_err(|_| "its body cannot be read".to_owned())?;
    Message::new(&Parts {
        id: letter.id,
        message_id: &letter.message_id,
        from: &ctx.config.mail.from,
        to: &letter.recipient,
        to_name: &letter.recipient_name,
        subject: &letter.subject,
        text: &written.text,
        html: &written.html,
        at: letter.queued_at,
        eight_bit: ctx.mailer.takes_eight_bit(),
    })
}

/// The outbox as the console and the command line show it.
pub struct Outbox {
    pub items: Vec<OutboxLetter>,
    pub newer: bool,
    pub older: bool,
    pub counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub queued: i64,
    pub given_up: i64,
    pub sent: i64,
    pub discarded: i64,
}

impl Counts {
    pub fn of(&self, state: LetterState) -> i64 {
        match state {
            LetterState::Queued => self.queued,
            LetterState::Sent => self.sent,
            LetterState::GivenUp => self.given_up,
            LetterState::Discarded => self.discarded,
        }
    }

    pub fn all(&self) -> i64 {
        LetterState::ALL.iter().map(|state| self.of(*state)).sum()
    }
}

fn counts_in(c: &mut Conn) -> Result<Counts, StoreError> {
    Ok(Counts {
        queued: outbox::count(c, Some(LetterState::Queued))?,
        given_up: outbox::count(c, Some(LetterState::GivenUp))?,
        sent: outbox::count(c, Some(LetterState::Sent))?,
        discarded: outbox::count(c, Some(LetterState::Discarded))?,
    })
}

/// Letters, latest first.
pub async fn list(ctx: &Ctx, filter: OutboxFilter) -> Result<Outbox, FlowError> {
    let (page, counts) = ctx
        .store
        .read(move |c| Ok::<_, StoreError>((outbox::list(c, &filter)?, counts_in(c)?)))
        .await?;
    Ok(Outbox {
        items: page.items,
        newer: page.newer,
        older: page.older,
        counts,
    })
}

/// How many letters are in which state.
pub async fn counts(ctx: &Ctx) -> Result<Counts, FlowError> {
    Ok(ctx.store.read(counts_in).await?)
}

/// Has a letter tried again at once, one that was given up as well while its words are there. False: there is nothing to send.
pub async fn retry(ctx: &Ctx, acting: &Acting, id: Uuid) -> Result<bool, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| {
            let letter = outbox::find(c, id)?.ok_or(StoreError::NotFound("letter"))?;
            let again = outbox::retry(c, id, now, now.saturating_add(KEPT_TRYING))?;
            if again {
                let entry = flow.mail_entry(c, &acting, Event::MailRetried, &letter)?;
                flow.record(c, now, &entry)?;
            }
            Ok::<_, StoreError>(again)
        })
        .await?)
}

/// Takes back a letter that was not sent. False: it was, or somebody took it back before.
pub async fn discard(ctx: &Ctx, acting: &Acting, id: Uuid) -> Result<bool, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| {
            let letter = outbox::find(c, id)?.ok_or(StoreError::NotFound("letter"))?;
            let taken_back = outbox::discard(c, id, now)?;
            if taken_back {
                let entry = flow.mail_entry(c, &acting, Event::MailDiscarded, &letter)?;
                flow.record(c, now, &entry)?;
            }
            Ok::<_, StoreError>(taken_back)
        })
        .await?)
}

/// Sends a letter now, past the outbox: `doctor` looks whether mail arrives. Err: why it does not.
pub async fn send_test(ctx: &Ctx, address: &str) -> Result<String, String> {
    let address = check_email(address)?;
    let now = ctx.now();
    let letter = ctx
        .new_letter(
            now,
            (None, &address, &address),
            &Test { sent_at: now },
            Terms::default(),
        )
        .map_err(|error| error.to_string())?;
    let written: Written = serde_json::from_str(&letter.body).map_err(|error| error.to_string())?;
    let message = Message::new(&Parts {
        id: letter.id,
        message_id: &letter.message_id,
        from: &ctx.config.mail.from,
        to: &letter.recipient,
        to_name: "",
        subject: &letter.subject,
        text: &written.text,
        html: &written.html,
        at: now,
        eight_bit: ctx.mailer.takes_eight_bit(),
    })?;
    ctx.mailer.send(&message).await.map_err(|refusal| match refusal {
        Refusal::Later(words) | Refusal::Never(words) => words,
    })
}

impl Ctx {
    /// What happened to a letter: whom it is for and what about, nothing of what it says.
    fn mail_entry(
        &self,
        c: &mut Conn,
        acting: &Acting,
        event: Event,
        letter: &OutboxLetter,
    ) -> Result<Entry, StoreError> {
        let detail = serde_json::json!({
            "letter": letter.id, "kind": letter.kind, "recipient": letter.recipient, "attempts": letter.attempts,
        });
        // Letters are held here, and accounts come before them in the order of locks.
        let name = letter.account.map(|id| accounts::name_of(c, id)).transpose()?.flatten();
        let account = letter.account.zip(name.as_deref());
        Ok(self.entry_of(acting, event, account, detail))
    }
}
