//! RFC 5322 messages: one sender, one recipient, text and HTML, and a Message-ID that stays the
//! same at every attempt. Nothing that a person typed becomes a header of its own.

use crate::{config::MailFrom, domain::time::Timestamp};
use lettre::{
    Address,
    address::Envelope,
    message::{
        Body, Mailbox, MultiPart,
        header::{ContentTransferEncoding, Header, HeaderName, HeaderValue},
    },
};
use std::time::{Duration, UNIX_EPOCH};
use uuid::Uuid;

/// Longest line in bytes, without its end (RFC 5322, 2.1.1).
const MAX_LINE: usize = 998;

/// The contents of a message.
pub struct MessageParts<'a> {
    /// Id of the email in the outbox.
    pub id: Uuid,
    /// Value of the Message-ID header.
    pub message_id: &'a str,
    /// Sender.
    pub from: &'a MailFrom,
    /// Address of the recipient.
    pub to: &'a str,
    /// Name of the recipient, which may be empty.
    pub to_name: &'a str,
    /// Subject line.
    pub subject: &'a str,
    /// Plain text body.
    pub text: &'a str,
    /// HTML body.
    pub html: &'a str,
    /// Value of the Date header.
    pub at: Timestamp,
    /// Whether the body may contain characters beyond ASCII without an encoding (8BITMIME).
    pub eight_bit: bool,
}

/// A message that is ready to be sent.
pub struct EmailMessage {
    /// Id of the email in the outbox.
    pub id: Uuid,
    /// Sender and recipient for the mail server.
    pub envelope: Envelope,
    /// The message with its headers.
    pub bytes: Vec<u8>,
}

/// Header that asks for no automatic replies (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl EmailMessage {
    /// Builds a message, or says in a sentence which address is invalid.
    pub fn new(parts: &MessageParts<'_>) -> Result<Self, String> {
        let address = |text: &str| {
            let parsed = text.parse::<Address>();
            parsed.map_err(|error| format!("{text:?} is not an email address: {error}"))
        };
        let (from, to) = (address(&parts.from.address)?, address(parts.to)?);
        let at = u64::try_from(parts.at.as_micros()).unwrap_or(0);
        let named = |name: &str| Some(fold_to_line(name)).filter(|name| !name.is_empty());
        let message = lettre::Message::builder()
            .from(Mailbox::new(named(&parts.from.name), from))
            .to(Mailbox::new(named(parts.to_name), to))
            .subject(fold_to_line(parts.subject))
            .date(UNIX_EPOCH + Duration::from_micros(at))
            .message_id(Some(parts.message_id.to_owned()))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(
                build_body(parts.text, parts.eight_bit),
                build_body(parts.html, parts.eight_bit),
            ))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            id: parts.id,
            envelope: message.envelope().clone(),
            bytes: message.formatted(),
        })
    }
}

/// Builds a body that is not wrapped where that is allowed, so that a link stays in one piece in an
/// `.eml` file: the library wraps lines of more than 76 characters.
fn build_body(text: &str, eight_bit: bool) -> Body {
    let encoding = if text.lines().any(|line| line.len() > MAX_LINE) || text.contains('\0') {
        None
    } else if text.is_ascii() {
        Some(ContentTransferEncoding::SevenBit)
    } else {
        eight_bit.then_some(ContentTransferEncoding::EightBit)
    };
    match encoding {
        Some(encoding) => {
            let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
            Body::dangerous_pre_encoded(lines.into_bytes(), encoding)
        }
        None => Body::new(text.to_owned()),
    }
}

/// Returns the Message-ID of an email: its id in the sender's domain.
pub fn message_id(id: Uuid, from: &MailFrom) -> String {
    let domain = from.address.rsplit('@').next().unwrap_or("localhost");
    format!("<{}@{domain}>", id.simple())
}

/// Makes one line of a text for a header, whatever was typed.
fn fold_to_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}
