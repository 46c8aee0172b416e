//! What administrators are told of the last hour, in a few lines: what locked, what looks like an attack, what was changed.

use super::super::audit::Event;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// So many names from one address, or addresses at one name, are a pattern.
const PATTERN: usize = 5;
/// Of each kind at most so many are named.
const NAMED: usize = 10;
/// Of each kind at most so many are looked at, the newest: beyond, the patterns are plain enough.
pub const LOOKED_AT: usize = 2_000;

/// One audit event, as far as a digest looks at it.
#[derive(Debug, Clone)]
pub struct Happening {
    pub event: Event,
    /// Whom it concerned, or what was typed.
    pub account: Option<String>,
    /// Who did it.
    pub actor: String,
    pub ip: Option<IpAddr>,
    /// What a lock locked, and nothing else does.
    pub locked: Option<String>,
}

/// What a lock is on, in words: a name, an address, or both.
pub fn locked_words(account: Option<&str>, ip: Option<&str>) -> String {
    match (account, ip) {
        (Some(account), Some(ip)) => format!("{account} from {ip}"),
        (Some(account), None) => format!("{account} from anywhere"),
        (None, Some(ip)) => format!("everybody from {ip}"),
        (None, None) => "somebody".to_owned(),
    }
}

/// The lines, none when there is nothing to tell. Of each kind no more than [`LOOKED_AT`] are given.
pub fn digest(happenings: &[Happening]) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(locks(happenings));
    lines.extend(patterns(happenings));
    lines.extend(named(happenings, Event::SessionRotatedIdReused, |happening| {
        let account = happening.account.as_deref().unwrap_or("somebody");
        format!(
            "A replaced session id of {account} was used again{}: the session was ended.",
            from(happening.ip)
        )
    }));
    for (event, what) in [
        (Event::PolicyChanged, "changed the policy"),
        (Event::PolicyRestored, "restored an earlier policy"),
        (Event::PolicyReverted, "undid a policy that nobody confirmed"),
    ] {
        lines.extend(named(happenings, event, |happening| match happening.actor.as_str() {
            "system" => format!("Nightlatch {what}."),
            actor => format!("{actor} {what}."),
        }));
    }
    lines
}

/// How many locks began, and on what.
fn locks(happenings: &[Happening]) -> Option<String> {
    let count = of(happenings, Event::LockoutBegan).count();
    let on: BTreeSet<&str> = of(happenings, Event::LockoutBegan)
        .filter_map(|happening| happening.locked.as_deref())
        .collect();
    let words = match count {
        0 => return None,
        1 => "1 lockout".to_owned(),
        LOOKED_AT.. => format!("At least {LOOKED_AT} lockouts"),
        _ => format!("{count} lockouts"),
    };
    if on.is_empty() {
        return Some(format!("{words} began."));
    }
    let shown: Vec<&str> = on.iter().copied().take(NAMED).collect();
    let more = match on.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{words} began: {}{more}.", shown.join(", ")))
}

/// A line for each of the newest events of a kind, and one that says how many there were beside them.
fn named(happenings: &[Happening], event: Event, line: impl Fn(&Happening) -> String) -> Vec<String> {
    let mut lines: Vec<String> = of(happenings, event).take(NAMED).map(line).collect();
    let more = of(happenings, event).count() - lines.len();
    if more > 0 {
        lines.push(format!("The same happened {more} more times."));
    }
    lines
}

fn of(happenings: &[Happening], event: Event) -> impl Iterator<Item = &Happening> {
    happenings.iter().filter(move |happening| happening.event == event)
}

fn from(ip: Option<IpAddr>) -> String {
    ip.map(|ip| format!(", from {ip}")).unwrap_or_default()
}

/// Refused sign-ins that belong together: one address with many names, one name from many addresses.
fn patterns(happenings: &[Happening]) -> Vec<String> {
    let mut names: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    let mut addresses: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    for happening in of(happenings, Event::SignInRefused) {
        if let (Some(ip), Some(account)) = (happening.ip, happening.account.as_deref()) {
            names.entry(ip).or_default().insert(account);
            addresses.entry(account).or_default().insert(ip);
        }
    }
    let spraying = names.iter().filter(|(_, names)| names.len() >= PATTERN);
    let targeted = addresses.iter().filter(|(_, addresses)| addresses.len() >= PATTERN);
    let spraying =
        spraying.map(|(ip, names)| format!("1 address, {} names: {ip} tries many accounts (spraying).", names.len()));
    let targeted = targeted.map(|(name, addresses)| {
        format!(
            "{} addresses, 1 name: {name} is tried from many places (targeted).",
            addresses.len()
        )
    });
    spraying.take(NAMED).chain(targeted.take(NAMED)).collect()
}
