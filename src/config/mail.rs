//! How letters leave: the mail server's URL, who writes, and the folder for where there is no server. Sending is `mail`.

use crate::domain::account::{check_email, invisible};
use std::{fmt, net::IpAddr, path::PathBuf};
use url::{Host, Url};

/// Where mail goes, and whom it comes from.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// `None`: letters become files.
    pub smtp_url: Option<SmtpUrl>,
    pub from: MailFrom,
    /// The folder for letters without a mail server.
    pub outbox: PathBuf,
}

/// A mail server's URL; its password never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl(Url);

impl SmtpUrl {
    /// `smtps://` (TLS from the start), `smtp://…?tls=required` (STARTTLS or nothing), `?tls=opportunistic`, or none.
    /// A password is only sent encrypted, or to this machine.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "smtps://USER:PASSWORD@HOST:PORT, or smtp:// with ?tls=required, ?tls=opportunistic or none";
        let url = Url::parse(text).map_err(|_| expected.to_owned())?;
        let options: Vec<_> = url.query_pairs().collect();
        let tls = options
            .iter()
            .find(|(name, _)| name == "tls")
            .map(|(_, value)| value.as_ref());
        let known = options.iter().all(|(name, _)| name == "tls");
        let encrypted = match (url.scheme(), tls) {
            ("smtps", None) | ("smtp", Some("required")) => true,
            ("smtp", None | Some("opportunistic")) => false,
            _ => return Err(expected.to_owned()),
        };
        if !known || url.host_str().is_none_or(str::is_empty) || url.fragment().is_some() {
            return Err(expected.to_owned());
        }
        match (url.username().is_empty(), url.password()) {
            (true, None) => {}
            (false, Some(_)) if encrypted || is_local(&url) => {}
            (false, Some(_)) => {
                return Err("smtps:// or ?tls=required: a password is sent to another machine only encrypted".into());
            }
            (true, Some(_)) | (false, None) => return Err("a user name and a password, or neither".into()),
        }
        Ok(Self(url))
    }

    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        // Of schemes that are not the web's the host is not read as an address.
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

/// Whom letters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// May be empty.
    pub name: String,
    pub address: String,
}

impl MailFrom {
    /// `Nightlatch <nightlatch@example.org>` or a bare address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "an address, such as Nightlatch <nightlatch@example.org>";
        let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text),
        };
        if name.chars().any(invisible) || !address.is_ascii() {
            return Err(expected.to_owned());
        }
        let address = check_email(address).map_err(|why| format!("{expected} ({why})"))?;
        Ok(Self {
            name: name.to_owned(),
            address,
        })
    }

    /// `nightlatch@HOST`, for where nothing is configured.
    pub fn of_host(host: Option<&str>) -> Self {
        let host = host.filter(|host| check_email(&format!("nightlatch@{host}")).is_ok());
        Self {
            name: "Nightlatch".to_owned(),
            address: format!("nightlatch@{}", host.unwrap_or("localhost")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_named_by_its_url_and_its_password_never_shows() {
        for url in [
            "smtp://mail.example.org",
            "smtp://mail.example.org:2525?tls=opportunistic",
            "smtp://ada:hunter2@mail.example.org?tls=required",
            "smtps://ada:hunter2@mail.example.org",
            "smtp://ada:hunter2@127.0.0.1:2525",
            "smtp://ada:hunter2@localhost:2525",
            "smtp://ada:hunter2@[::1]:2525",
        ] {
            let parsed = SmtpUrl::parse(url).unwrap_or_else(|why| panic!("{url}: {why}"));
            assert!(!format!("{parsed} {parsed:?}").contains("hunter2"), "{url}");
        }
        for url in [
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://mail.example.org?tls=perhaps",
            "smtp://mail.example.org?timeout=1",
            "smtp://ada@mail.example.org",
            "smtp://ada:hunter2@mail.example.org",
            "smtp://ada:hunter2@mail.example.org?tls=opportunistic",
        ] {
            let why = SmtpUrl::parse(url).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_sender_has_an_address_and_perhaps_a_name() {
        let of = |text| MailFrom::parse(text).map(|from| (from.name, from.address));
        let (name, address) = ("Nightlatch".to_owned(), "nightlatch@example.org".to_owned());
        assert_eq!(
            of("Nightlatch <nightlatch@example.org>"),
            Ok((name.clone(), address.clone()))
        );
        assert_eq!(
            of("\"Nightlatch\" <nightlatch@example.org>"),
            Ok((name, address.clone()))
        );
        assert_eq!(of("nightlatch@example.org"), Ok((String::new(), address)));
        for odd in [
            "",
            "nobody",
            "a\r\nBcc: <b@example.org>",
            "<a@example.org> b",
            "a <b@c@d>",
        ] {
            assert!(of(odd).is_err(), "{odd}");
        }
        assert_eq!(
            MailFrom::of_host(Some("login.example.org")).address,
            "nightlatch@login.example.org"
        );
        assert_eq!(MailFrom::of_host(None).address, "nightlatch@localhost");
    }
}
