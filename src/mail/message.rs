//! A letter as an RFC 5322 message: one sender, one recipient, text and HTML, a Message-ID that stays the same at every attempt.
//! Nothing that somebody typed becomes a header of its own.

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

/// Bytes of a line, without its end (RFC 5322).
const LONGEST_LINE: usize = 998;

/// What a message is made of.
pub struct Parts<'a> {
    pub id: Uuid,
    pub message_id: &'a str,
    pub from: &'a MailFrom,
    pub to: &'a str,
    pub to_name: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
    pub html: &'a str,
    pub at: Timestamp,
    /// Goes where other characters than ASCII's need no wrapping.
    pub eight_bit: bool,
}

/// Ready to be handed over.
pub struct Message {
    pub id: Uuid,
    pub envelope: Envelope,
    pub bytes: Vec<u8>,
}

/// RFC 3834: no holiday answers to this.
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

impl Message {
    /// Err: an address that is none, in a sentence.
    pub fn new(parts: &Parts<'_>) -> Result<Self, String> {
        let address = |text: &str| {
            let parsed = text.parse::<Address>();
            parsed.map_err(|error| format!("{text:?} is no e-mail address: {error}"))
        };
        let (from, to) = (address(&parts.from.address)?, address(parts.to)?);
        let at = u64::try_from(parts.at.as_micros()).unwrap_or(0);
        let named = |name: &str| Some(one_line(name)).filter(|name| !name.is_empty());
        let message = lettre::Message::builder()
            .from(Mailbox::new(named(&parts.from.name), from))
            .to(Mailbox::new(named(parts.to_name), to))
            .subject(one_line(parts.subject))
            .date(UNIX_EPOCH + Duration::from_micros(at))
            .message_id(Some(parts.message_id.to_owned()))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(
                body(parts.text, parts.eight_bit),
                body(parts.html, parts.eight_bit),
            ))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            id: parts.id,
            envelope: message.envelope().clone(),
            bytes: message.formatted(),
        })
    }
}

/// As it is where that may be, so that a link stays in one piece for whoever looks at the file: the library wraps lines from 76 characters on.
fn body(text: &str, eight_bit: bool) -> Body {
    let encoding = if text.lines().any(|line| line.len() > LONGEST_LINE) || text.contains('\0') {
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

/// The Message-ID of a letter: of the sender's domain, from the letter's own id.
pub fn message_id(id: Uuid, from: &MailFrom) -> String {
    let domain = from.address.rsplit('@').next().unwrap_or("localhost");
    format!("<{}@{domain}>", id.simple())
}

/// A header is one line, whatever was typed.
fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}
