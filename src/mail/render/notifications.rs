//! Notifications about one's account. All have one form: a lead, facts, perhaps a link, and what to
//! do.

use super::{EmailContext, EmailTemplate, RenderedEmail, format_utc};
use crate::domain::{expiry::ExpiryRule, mail::EmailKind, notification::NotificationKind, time::Timestamp};
use askama::Template;
use std::net::IpAddr;

/// A notification about an account, complete but for its reader.
#[derive(Debug, Clone)]
pub struct NotificationEmail {
    kind: EmailKind,
    subject: String,
    /// What happened, in one or two sentences.
    pub lead: String,
    /// Labels and values.
    pub facts: Vec<(&'static str, String)>,
    /// The one link, where there is something to do online.
    pub link: Option<EmailLink>,
    /// What to do now.
    pub closing: String,
}

/// The link of a notification.
#[derive(Debug, Clone)]
pub struct EmailLink {
    /// Text of the link.
    pub label: &'static str,
    /// Its address.
    pub url: String,
    /// Whether the link gives access to something, so that it is treated as a secret.
    is_secret: bool,
}

impl EmailLink {
    fn secret(label: &'static str, url: String) -> Self {
        Self {
            label,
            url,
            is_secret: true,
        }
    }
}

impl EmailTemplate for NotificationEmail {
    fn kind(&self) -> EmailKind {
        self.kind
    }

    fn subject(&self) -> String {
        self.subject.clone()
    }

    fn has_secret_link(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_secret)
    }

    render_with!(NotificationEmail, "mail/notification.txt", "mail/notification.html");
}

impl NotificationEmail {
    fn new(kind: EmailKind, subject: &str, lead: String, closing: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            lead,
            facts: Vec::new(),
            link: None,
            closing: closing.into(),
        }
    }

    fn with_facts(self, facts: Vec<(&'static str, String)>) -> Self {
        Self { facts, ..self }
    }

    fn with_link(self, link: EmailLink) -> Self {
        Self {
            link: Some(link),
            ..self
        }
    }

    /// Reports a sign-in with a new device or from a new network. `link` is where the owner can
    /// report it as not theirs, until `until`.
    pub fn new_sign_in(name: &str, at: Timestamp, device: &str, ip: &str, link: String, until: Timestamp) -> Self {
        Self::new(
            EmailKind::NewSignIn,
            "New sign-in to your account",
            format!("Someone signed in to the account {name} with a new device or from a new network."),
            format!(
                "If this was you, there is nothing to do. If it was not, open the link and confirm: all sessions of \
                 the account end, its password is disabled, and you are sent a link to choose a new one. The link \
                 works once, until {}.",
                format_utc(until)
            ),
        )
        .with_facts(vec![
            ("When", format_utc(at)),
            ("Device", device.to_owned()),
            ("IP address", ip.to_owned()),
        ])
        .with_link(EmailLink::secret("This was not me", link))
    }

    /// Reports a change of the password, by the owner or by an administrator.
    pub fn password_changed(name: &str, at: Timestamp, by_owner: bool, device: Option<&str>, ip: Option<&str>) -> Self {
        let (lead, closing) = if by_owner {
            (
                format!("The password of the account {name} was changed. Its other sessions were ended."),
                "If this was not you, contact an administrator now.",
            )
        } else {
            (
                format!("An administrator reset the password of the account {name}. Its sessions were ended."),
                "If you did not expect this, ask an administrator.",
            )
        };
        let mut facts = vec![("When", format_utc(at))];
        facts.extend(device.map(|device| ("Device", device.to_owned())));
        facts.extend(ip.map(|ip| ("IP address", ip.to_owned())));
        Self::new(EmailKind::PasswordChanged, "Your password was changed", lead, closing).with_facts(facts)
    }

    /// Renders a notification of changed second factors. `device` and `ip` say where the owner made
    /// the change.
    pub fn factor_changed(
        lead: String,
        closing: String,
        at: Timestamp,
        device: Option<String>,
        ip: Option<String>,
    ) -> Self {
        let mut facts = vec![("When", format_utc(at))];
        facts.extend(device.map(|device| ("Device", device)));
        facts.extend(ip.map(|ip| ("IP address", ip)));
        Self::new(EmailKind::FactorChanged, "Your sign-in security changed", lead, closing).with_facts(facts)
    }

    /// Renders the email with a link to enrol a second factor, which works until `until`.
    pub fn enrolment_link(name: &str, link: String, until: Timestamp) -> Self {
        Self::new(
            EmailKind::EnrolmentLink,
            "Set up a second factor",
            format!(
                "An administrator asks you to set up a second factor for the account {name}: a passkey or an \
                 authenticator app. Open the link, sign in with your password and follow the page."
            ),
            format!(
                "The link works once, until {}. If you did not expect this, ask an administrator.",
                format_utc(until)
            ),
        )
        .with_link(EmailLink::secret("Set up a second factor", link))
    }

    /// Asks the new email address of an account for its confirmation. `both`: the current address
    /// must confirm the change too.
    pub fn confirm_email(name: &str, both: bool, link: String, until: Timestamp) -> Self {
        let condition = match both {
            true => "The change takes effect once both this address and the current one have confirmed it.",
            false => "The change takes effect once you confirm it.",
        };
        Self::new(
            EmailKind::EmailConfirm,
            "Confirm your email address",
            format!("A change of the account {name} to this email address was requested. {condition}"),
            format!(
                "The link works once, until {}. If you do not recognize this request, ignore or refuse it: the \
                 address will not be used.",
                format_utc(until)
            ),
        )
        .with_link(EmailLink::secret("Confirm or refuse", link))
    }

    /// Tells the current email address of an account that another one was requested.
    pub fn email_asked_for(name: &str, new: &str, link: String, until: Timestamp) -> Self {
        Self::new(
            EmailKind::EmailAskedFor,
            "Change of your email address requested",
            format!("Someone signed in as {name} requested a change of the email address."),
            format!(
                "If this was you, confirm it: the change takes effect once both this address and the new one have \
                 confirmed it. If it was not, cancel it there and change your password. The link works once, until {}.",
                format_utc(until)
            ),
        )
        .with_facts(vec![("New address", new.to_owned())])
        .with_link(EmailLink::secret("Confirm or cancel", link))
    }

    /// Tells an email address that already belongs to an account that another account requested it.
    pub fn email_taken(name: &str) -> Self {
        Self::new(
            EmailKind::EmailTaken,
            "Another account requested your email address",
            format!(
                "Someone signed in as {name} requested to use this email address. It belongs to your account, so \
                 nothing was changed."
            ),
            "There is nothing to do. If both accounts are yours, ask an administrator.",
        )
    }

    /// Reports to both addresses that the email address was changed.
    pub fn email_changed(name: &str, at: Timestamp, old: Option<&str>, new: Option<&str>) -> Self {
        let shown = |address: Option<&str>| address.unwrap_or("none").to_owned();
        Self::new(
            EmailKind::EmailChanged,
            "Your email address was changed",
            format!("The email address of the account {name} was changed."),
            "If you did not expect this, contact an administrator now.",
        )
        .with_facts(vec![
            ("When", format_utc(at)),
            ("Before", shown(old)),
            ("Now", shown(new)),
        ])
    }

    /// Reports a lockout. `by_address`: sign-ins from one IP address are refused, whatever the
    /// name.
    pub fn locked_out(name: &str, at: Timestamp, failures: i32, ip: Option<&str>, by_address: bool) -> Self {
        let (subject, lead) = match by_address {
            true => (
                "Wrong passwords were tried for your account",
                format!(
                    "Wrong passwords were tried from one IP address, for the account {name} among others. Sign-ins \
                     from that IP address are refused for now. You can sign in from elsewhere."
                ),
            ),
            false => (
                "Your account was locked",
                format!("Wrong passwords were tried for the account {name} until it was locked. No attempt succeeded."),
            ),
        };
        let mut facts = vec![("When", format_utc(at)), ("Failed attempts", failures.to_string())];
        facts.extend(ip.map(|ip| ("Last IP address", ip.to_owned())));
        let closing = "The lock ends automatically, or earlier when an administrator ends it. If this was not you, a \
                       long password that you use nowhere else is enough. Sent at most once an hour.";
        Self::new(EmailKind::LockedOut, subject, lead, closing).with_facts(facts)
    }

    /// Announces that the account is about to expire under `rule`.
    pub fn expires_soon(name: &str, at: Timestamp, rule: ExpiryRule) -> Self {
        let closing = match rule {
            ExpiryRule::ExpireUnusedAfter => "Sign in before then to keep it active.",
            ExpiryRule::ExpiresAt | ExpiryRule::ExpiresAfter | ExpiryRule::ExpireSuperusers => {
                "If you still need the account, ask an administrator."
            }
        };
        Self::new(
            EmailKind::ExpiresSoon,
            "Your account is about to expire",
            format!("The account {name} is about to expire. Nobody can sign in to it after that."),
            closing,
        )
        .with_facts(vec![("Expires", format_utc(at))])
    }

    /// Reports that the account has expired.
    pub fn expired(name: &str, at: Timestamp) -> Self {
        Self::new(
            EmailKind::Expired,
            "Your account has expired",
            format!("The account {name} has expired. Nobody can sign in to it."),
            "Its data is kept. An administrator can reactivate it.",
        )
        .with_facts(vec![("When", format_utc(at))])
    }

    /// Reports that an administrator reactivated the account.
    pub fn reactivated(name: &str, at: Timestamp) -> Self {
        Self::new(
            EmailKind::Reactivated,
            "Your account has been reactivated",
            format!("An administrator reactivated the account {name}. You can sign in again."),
            "If you did not expect this, ask an administrator.",
        )
        .with_facts(vec![("When", format_utc(at))])
    }

    /// Reports that notifications of these kinds were switched off. It is the last one before they
    /// stop.
    pub fn switched_off(name: &str, at: Timestamp, kinds: &[NotificationKind], ip: Option<IpAddr>) -> Self {
        let mut facts = vec![("When", format_utc(at))];
        facts.extend(ip.map(|ip| ("IP address", ip.to_string())));
        facts.extend(kinds.iter().map(|kind| ("No longer sent", kind.label().to_owned())));
        Self::new(
            EmailKind::SwitchedOff,
            "Notifications about your account were switched off",
            format!("Someone signed in as {name} switched off some email notifications."),
            "If this was not you, change your password, then switch them on again in your account.",
        )
        .with_facts(facts)
    }

    /// Sums up for administrators what happened between two instants, one line per finding.
    pub fn digest(since: Timestamp, until: Timestamp, lines: &[String], base_url: &str) -> Self {
        Self::new(
            EmailKind::Digest,
            "Nightlatch security digest",
            format!("Between {} and {}:", format_utc(since), format_utc(until)),
            "Sent at most once an hour.",
        )
        .with_facts(lines.iter().map(|line| ("", line.clone())).collect())
        .with_link(EmailLink {
            label: "Open the audit log",
            url: format!("{base_url}/admin/audit"),
            is_secret: false,
        })
    }
}
