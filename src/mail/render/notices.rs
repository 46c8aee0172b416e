//! What letters about one's account say: one form for all, a lead, facts, perhaps a link, and what to do.

use super::{About, Letter, Written, utc};
use crate::domain::{mail::LetterKind, notice::Notice, time::Timestamp};
use askama::Template;
use std::net::IpAddr;

/// A notice in full.
#[derive(Debug, Clone)]
pub struct NoticeLetter {
    kind: LetterKind,
    subject: String,
    pub lead: String,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
    pub link: Option<Link>,
    pub close: String,
}

/// The one link of a letter.
#[derive(Debug, Clone)]
pub struct Link {
    pub words: &'static str,
    pub url: String,
    /// It lets its reader do something.
    secret: bool,
}

impl Letter for NoticeLetter {
    fn kind(&self) -> LetterKind {
        self.kind
    }

    fn subject(&self) -> String {
        self.subject.clone()
    }

    fn secret(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.secret)
    }

    written!(NoticeLetter, "mail/notice.txt", "mail/notice.html");
}

fn secret_link(words: &'static str, url: String) -> Option<Link> {
    Some(Link {
        words,
        url,
        secret: true,
    })
}

/// A sign-in with a new device or from a new network.
pub fn new_sign_in(name: &str, at: Timestamp, device: &str, ip: &str, link: String, until: Timestamp) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::NewSignIn,
        subject: "A new sign-in to your account".to_owned(),
        lead: format!(
            "Somebody signed in to the account {name} with a device or from a network that it was not used with before."
        ),
        facts: vec![
            ("When", utc(at)),
            ("Device", device.to_owned()),
            ("Address", ip.to_owned()),
        ],
        link: secret_link("This was not me", link),
        close: format!(
            "If it was you, there is nothing to do. If not, open the link and confirm there: every session of the account ends, its password stops working, \
             and a link to choose a new one is mailed to you. The link works once, until {}.",
            utc(until)
        ),
    }
}

pub fn password_changed(
    name: &str,
    at: Timestamp,
    by_owner: bool,
    device: Option<&str>,
    ip: Option<&str>,
) -> NoticeLetter {
    let mut facts = vec![("When", utc(at))];
    facts.extend(device.map(|device| ("Device", device.to_owned())));
    facts.extend(ip.map(|ip| ("Address", ip.to_owned())));
    let (lead, close) = if by_owner {
        (
            format!("The password of the account {name} was changed; its other sessions were ended."),
            "If it was not you, tell an administrator now.",
        )
    } else {
        (
            format!("An administrator reset the password of the account {name}; its sessions were ended."),
            "If you did not expect this, ask an administrator.",
        )
    };
    NoticeLetter {
        kind: LetterKind::PasswordChanged,
        subject: "Your password was changed".to_owned(),
        lead,
        facts,
        link: None,
        close: close.to_owned(),
    }
}

/// To the new address.
/// `both`: the address of today must confirm too.
pub fn confirm_email(name: &str, both: bool, link: String, until: Timestamp) -> NoticeLetter {
    let lead = match both {
        true => format!(
            "The account {name} is to use this e-mail address. It is used once this address and the one of today have both confirmed it."
        ),
        false => format!("The account {name} is to use this e-mail address. It is used once you confirm it."),
    };
    NoticeLetter {
        kind: LetterKind::EmailConfirm,
        subject: "Confirm your e-mail address".to_owned(),
        lead,
        facts: Vec::new(),
        link: secret_link("Confirm or refuse", link),
        close: format!(
            "The link works once, until {}. If you know nothing of it, do nothing or refuse: the address is not used without you.",
            utc(until)
        ),
    }
}

/// To the old address.
pub fn email_asked_for(name: &str, new: &str, link: String, until: Timestamp) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::EmailAskedFor,
        subject: "Your e-mail address is to be changed".to_owned(),
        lead: format!("Somebody signed in as {name} asked to use another e-mail address."),
        facts: vec![("New address", new.to_owned())],
        link: secret_link("Confirm or cancel", link),
        close: format!(
            "If it was you, confirm it: it is used once this address and the new one have both confirmed it. If not, cancel it there and change your \
             password. The link works once, until {}.",
            utc(until)
        ),
    }
}

/// To an address that has its account, when somebody else asked for it.
pub fn email_taken(name: &str) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::EmailTaken,
        subject: "Your e-mail address was asked for".to_owned(),
        lead: format!(
            "Somebody signed in as {name} asked to use this e-mail address. It belongs to your account, so that nothing is changed."
        ),
        facts: Vec::new(),
        link: None,
        close: "There is nothing to do. If both accounts are yours, ask an administrator.".to_owned(),
    }
}

/// To both addresses.
pub fn email_changed(name: &str, at: Timestamp, old: Option<&str>, new: Option<&str>) -> NoticeLetter {
    let shown = |address: Option<&str>| address.unwrap_or("none").to_owned();
    NoticeLetter {
        kind: LetterKind::EmailChanged,
        subject: "Your e-mail address was changed".to_owned(),
        lead: format!("The e-mail address of the account {name} was changed."),
        facts: vec![("When", utc(at)), ("Before", shown(old)), ("Now", shown(new))],
        link: None,
        close: "If you did not expect this, tell an administrator now.".to_owned(),
    }
}

/// `by_address`: sign-ins from there are refused, for whatever name.
pub fn locked_out(name: &str, at: Timestamp, failures: i32, ip: Option<&str>, by_address: bool) -> NoticeLetter {
    let mut facts = vec![("When", utc(at)), ("Failures", failures.to_string())];
    facts.extend(ip.map(|ip| ("Last address", ip.to_owned())));
    let (subject, lead) = match by_address {
        true => (
            "Wrong passwords were tried for your account",
            format!(
                "Somebody at one address tried wrong passwords, for the account {name} too. Sign-ins from there are refused for now; you can sign in from \
                 elsewhere."
            ),
        ),
        false => (
            "Your account was locked out",
            format!("Somebody tried wrong passwords for the account {name} until it was locked. Nobody got in."),
        ),
    };
    NoticeLetter {
        kind: LetterKind::LockedOut,
        subject: subject.to_owned(),
        lead,
        facts,
        link: None,
        close: "The lock ends by itself or when an administrator ends it. If it was not you, a long password that you use nowhere else is all it takes. \
                You get this at most once an hour."
            .to_owned(),
    }
}

pub fn expires_soon(name: &str, at: Timestamp) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::ExpiresSoon,
        subject: "Your account expires soon".to_owned(),
        lead: format!("The account {name} expires, and nobody can sign in to it afterwards."),
        facts: vec![("When", utc(at))],
        link: None,
        close:
            "If it expires for want of use, signing in keeps it. Otherwise ask an administrator if you still need it."
                .to_owned(),
    }
}

pub fn expired(name: &str, at: Timestamp) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::Expired,
        subject: "Your account has expired".to_owned(),
        lead: format!("The account {name} has expired: nobody can sign in to it."),
        facts: vec![("When", utc(at))],
        link: None,
        close: "It keeps its data. An administrator can re-activate it.".to_owned(),
    }
}

pub fn reactivated(name: &str, at: Timestamp) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::Reactivated,
        subject: "Your account is there again".to_owned(),
        lead: format!("An administrator re-activated the account {name}: you can sign in again."),
        facts: vec![("When", utc(at))],
        link: None,
        close: "If you did not expect this, ask an administrator.".to_owned(),
    }
}

/// The last one before those of these kinds stop.
pub fn switched_off(name: &str, at: Timestamp, kinds: &[Notice], ip: Option<IpAddr>) -> NoticeLetter {
    let mut facts = vec![("When", utc(at))];
    facts.extend(ip.map(|ip| ("Address", ip.to_string())));
    facts.extend(kinds.iter().map(|kind| ("Not sent any more", kind.label().to_owned())));
    NoticeLetter {
        kind: LetterKind::SwitchedOff,
        subject: "Letters about your account were switched off".to_owned(),
        lead: format!("Somebody signed in as {name} chose not to get some letters any more."),
        facts,
        link: None,
        close: "If it was not you, change your password, then switch them on again in your account.".to_owned(),
    }
}

/// For administrators.
pub fn digest(since: Timestamp, until: Timestamp, lines: &[String], base_url: &str) -> NoticeLetter {
    NoticeLetter {
        kind: LetterKind::Digest,
        subject: "Nightlatch: what to look at".to_owned(),
        lead: format!("Between {} and {}:", utc(since), utc(until)),
        facts: lines.iter().map(|line| ("", line.clone())).collect(),
        link: Some(Link {
            words: "Open the audit",
            url: format!("{base_url}/admin/audit"),
            secret: false,
        }),
        close: "You get this at most once an hour, and only when there is something to tell.".to_owned(),
    }
}
