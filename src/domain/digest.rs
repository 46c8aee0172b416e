//! The digest for administrators: lockouts, attack patterns and changes of the last hour, in a few
//! lines.

use crate::{audit::Event, text::quote_stranger};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Number of names from one address, or of addresses for one name, that makes a pattern.
const PATTERN: usize = 5;
/// Maximum number of items of each kind that are named.
const NAMED: usize = 10;
/// Maximum number of events of each kind that are read, newest first. Patterns are evident well
/// before it.
pub const LOOKED_AT: usize = 2_000;

/// The part of an audit event that a digest uses.
#[derive(Debug, Clone)]
pub struct DigestEvent {
    /// The kind of event.
    pub event: Event,
    /// The account that the event is about, or the name that was typed.
    pub account: Option<String>,
    /// The actor.
    pub actor: String,
    /// The address from which it happened.
    pub ip: Option<IpAddr>,
    /// The subject of a lock; empty for other events.
    pub locked: Option<String>,
}

/// Describes the subject of a lock: a name, an address, or both.
pub fn describe_locked(account: Option<&str>, ip: Option<&str>) -> String {
    match (account, ip) {
        (Some(account), Some(ip)) => format!("{} from {ip}", quote_stranger(account)),
        (Some(account), None) => format!("{} from any address", quote_stranger(account)),
        (None, Some(ip)) => format!("everyone from {ip}"),
        (None, None) => "every sign-in".to_owned(),
    }
}

/// Returns the lines of the digest, none if there is nothing to report. The caller passes at most
/// [`LOOKED_AT`] events of each kind.
pub fn digest(happenings: &[DigestEvent]) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(locks(happenings));
    lines.extend(patterns(happenings));
    lines.extend(list_newest(happenings, Event::SessionRotatedIdReused, |happening| {
        let account = happening.account.as_deref().unwrap_or("an unknown account");
        format!(
            "A replaced session ID of {account} was used again{}: the session was ended.",
            from(happening.ip)
        )
    }));
    for (event, what) in [
        (Event::PolicyChanged, "changed the policy"),
        (Event::PolicyRestored, "restored an earlier policy"),
        (
            Event::PolicyReverted,
            "reverted a policy that was not confirmed in time",
        ),
    ] {
        lines.extend(list_newest(happenings, event, |happening| {
            match happening.actor.as_str() {
                "system" => format!("Nightlatch {what}."),
                actor => format!("{actor} {what}."),
            }
        }));
    }
    lines
}

/// Describes how many locks began, and their subjects.
fn locks(happenings: &[DigestEvent]) -> Option<String> {
    let count = of_event(happenings, Event::LockoutBegan).count();
    let subjects: BTreeSet<&str> = of_event(happenings, Event::LockoutBegan)
        .filter_map(|happening| happening.locked.as_deref())
        .collect();
    let lockouts = match count {
        0 => return None,
        1 => "1 lockout".to_owned(),
        LOOKED_AT.. => format!("At least {LOOKED_AT} lockouts"),
        _ => format!("{count} lockouts"),
    };
    if subjects.is_empty() {
        return Some(format!("{lockouts} began."));
    }
    let shown: Vec<&str> = subjects.iter().copied().take(NAMED).collect();
    let more = match subjects.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{lockouts} began: {}{more}.", shown.join(", ")))
}

/// Returns a line for each of the newest events of a kind, and one line for the number of others.
fn list_newest(happenings: &[DigestEvent], event: Event, line: impl Fn(&DigestEvent) -> String) -> Vec<String> {
    let mut lines: Vec<String> = of_event(happenings, event).take(NAMED).map(line).collect();
    let more = of_event(happenings, event).count() - lines.len();
    if more > 0 {
        lines.push(format!("The same happened {more} more times."));
    }
    lines
}

fn of_event(happenings: &[DigestEvent], event: Event) -> impl Iterator<Item = &DigestEvent> {
    happenings.iter().filter(move |happening| happening.event == event)
}

fn from(ip: Option<IpAddr>) -> String {
    ip.map(|ip| format!(", from {ip}")).unwrap_or_default()
}

/// Finds refused sign-ins that belong together: one address with many names, or one name from many
/// addresses.
fn patterns(happenings: &[DigestEvent]) -> Vec<String> {
    let mut names: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    let mut addresses: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    for happening in of_event(happenings, Event::SignInRefused) {
        if let (Some(ip), Some(account)) = (happening.ip, happening.account.as_deref()) {
            names.entry(ip).or_default().insert(account);
            addresses.entry(account).or_default().insert(ip);
        }
    }
    let spraying = names.iter().filter(|(_, names)| names.len() >= PATTERN);
    let targeted = addresses.iter().filter(|(_, addresses)| addresses.len() >= PATTERN);
    let spraying = spraying.map(|(ip, names)| {
        format!(
            "1 address, {} names: {ip} tried many accounts (password \
            spraying).",
            names.len()
        )
    });
    let targeted = targeted.map(|(name, addresses)| {
        format!(
            "{} addresses, 1 name: {} was tried from many addresses (targeted attack).",
            addresses.len(),
            quote_stranger(name)
        )
    });
    spraying.take(NAMED).chain(targeted.take(NAMED)).collect()
}
