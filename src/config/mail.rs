//! How emails are sent: the URL of the mail server, the sender, and the folder for emails without a
//! server. `mail` sends them.

use super::checker::Checker;
use crate::domain::{account::check_email, text::is_invisible};
use percent_encoding::percent_decode_str;
use std::{fmt, net::IpAddr, path::PathBuf};
use url::{Host, Url};

/// How emails are sent, and their sender.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// The mail server. `None`: emails are written to files.
    pub smtp_url: Option<SmtpUrl>,
    /// The name by which we introduce ourselves to the mail server (EHLO).
    pub smtp_hello: Option<String>,
    /// Sender of emails.
    pub from: MailFrom,
    /// Folder for emails without a mail server.
    pub outbox: PathBuf,
}

impl MailConfig {
    /// Checks the settings about mail. Without one of their own, EHLO and sender use the public
    /// URL's host.
    pub(super) fn check(checker: &mut Checker<'_>, public_url: Option<&Url>) -> Self {
        let host = public_url.and_then(Url::host_str);
        Self {
            smtp_url: checker.optional("smtp_url", SmtpUrl::parse),
            smtp_hello: checker
                .optional("smtp_hello", parse_hello)
                .or_else(|| host.and_then(|host| parse_hello(host).ok())),
            from: checker
                .optional("mail_from", MailFrom::parse)
                .unwrap_or_else(|| MailFrom::at_host(host)),
            outbox: checker.value("mail_outbox", "mail-outbox", |text| {
                (!text.is_empty())
                    .then(|| PathBuf::from(text))
                    .ok_or("a folder".to_owned())
            }),
        }
    }
}

/// Parses a name for EHLO (RFC 5321, 4.1.3): a domain name with a dot, or an IP address in
/// brackets.
fn parse_hello(text: &str) -> Result<String, String> {
    let expected = "a full host name, such as mail.example.org, or an IP address in brackets";
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.trim_start_matches("IPv6:").parse::<IpAddr>() {
        return Ok(match ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        });
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = text.len() <= 253 && text.contains('.') && text.split('.').all(is_label);
    is_name.then(|| text.to_owned()).ok_or(expected.to_owned())
}

/// The URL of a mail server. Its password never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl(Url);

impl SmtpUrl {
    /// Parses `smtps://` (TLS from the start), `smtp://…?tls=required` (STARTTLS or nothing),
    /// `?tls=opportunistic`, or `smtp://` without encryption. A password is only sent encrypted, or
    /// to this machine.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "smtps://USER:PASSWORD@HOST:PORT, or smtp:// with ?tls=required, ?tls=opportunistic or none";
        let url = Url::parse(text).map_err(|_| expected.to_owned())?;
        let options: Vec<_> = url.query_pairs().collect();
        let tls = options
            .iter()
            .find(|(name, _)| name == "tls")
            .map(|(_, value)| value.as_ref());
        let are_known = options.iter().all(|(name, _)| name == "tls");
        let is_encrypted = match (url.scheme(), tls) {
            ("smtps", None) | ("smtp", Some("required")) => true,
            ("smtp", None | Some("opportunistic")) => false,
            _ => return Err(expected.to_owned()),
        };
        if !are_known || url.host_str().is_none_or(str::is_empty) || url.fragment().is_some() {
            return Err(expected.to_owned());
        }
        match (url.username().is_empty(), url.password()) {
            (true, None) => {}
            (false, Some(_)) if is_encrypted || is_local(&url) => {}
            (false, Some(_)) => {
                return Err("smtps:// or ?tls=required: a password is sent to another machine only encrypted".into());
            }
            (true, Some(_)) | (false, None) => return Err("a username and a password, or neither".into()),
        }
        Ok(Self(url))
    }

    /// Returns the host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        let host = self.0.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port, or the default of the encryption: 465, 587 or 25.
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(match self.encryption() {
            SmtpEncryption::FromTheStart => 465,
            SmtpEncryption::StartTls | SmtpEncryption::StartTlsIfOffered => 587,
            SmtpEncryption::None => 25,
        })
    }

    /// Returns how the connection is encrypted.
    pub fn encryption(&self) -> SmtpEncryption {
        let tls = self.0.query_pairs().find(|(name, _)| name == "tls");
        match (self.0.scheme(), tls.as_ref().map(|(_, value)| value.as_ref())) {
            ("smtps", _) => SmtpEncryption::FromTheStart,
            (_, Some("required")) => SmtpEncryption::StartTls,
            (_, Some(_)) => SmtpEncryption::StartTlsIfOffered,
            (_, None) => SmtpEncryption::None,
        }
    }

    /// Returns username and password, for the mail client.
    pub fn credentials(&self) -> Option<(String, String)> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = self.0.password()?;
        Some((decode(self.0.username()), decode(password)))
    }
}

/// How a connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpEncryption {
    /// TLS from the start.
    FromTheStart,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// STARTTLS where the server offers it.
    StartTlsIfOffered,
    /// None.
    None,
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        // The host of a scheme that is not the web's is not parsed as an IP address.
        Some(Host::Domain(name)) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        // Neither fails on a URL with a host.
        shown.set_password(None).ok();
        shown.set_username("").ok();
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The sender of emails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// Name, which may be empty.
    pub name: String,
    /// Email address.
    pub address: String,
}

impl MailFrom {
    /// Parses `Nightlatch <nightlatch@example.org>` or a bare address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "an address, such as Nightlatch <nightlatch@example.org>";
        let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text),
        };
        if name.chars().any(is_invisible) || !address.is_ascii() {
            return Err(expected.to_owned());
        }
        let address = check_email(address).map_err(|why| format!("{expected} ({why})"))?;
        Ok(Self {
            name: name.to_owned(),
            address,
        })
    }

    /// Returns `nightlatch@HOST`, for an installation without a configured sender.
    pub fn at_host(host: Option<&str>) -> Self {
        let host = host.filter(|host| check_email(&format!("nightlatch@{host}")).is_ok());
        Self {
            name: "Nightlatch".to_owned(),
            address: format!("nightlatch@{}", host.unwrap_or("localhost")),
        }
    }
}

#[cfg(test)]
mod tests;
