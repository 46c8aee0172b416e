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

/// One audit event, as far as a digest looks at it.
#[derive(Debug, Clone)]
pub struct Happening {
    pub event: Event,
    /// Whom it concerned, or what was typed.
    pub account: Option<String>,
    /// Who did it.
    pub actor: String,
    pub ip: Option<IpAddr>,
}

/// The lines, none when there is nothing to tell.
pub fn digest(happenings: &[Happening]) -> Vec<String> {
    let mut lines = Vec::new();
    let locks = of(happenings, Event::LockoutBegan).count();
    if locks > 0 {
        lines.push(format!(
            "{locks} {} began.",
            if locks == 1 { "lockout" } else { "lockouts" }
        ));
    }
    lines.extend(patterns(happenings));
    lines.extend(
        of(happenings, Event::SessionRotatedIdReused)
            .take(NAMED)
            .map(|happening| {
                let account = happening.account.as_deref().unwrap_or("somebody");
                format!(
                    "A replaced session id of {account} was used again{}: the session was ended.",
                    from(happening.ip)
                )
            }),
    );
    for (event, what) in [
        (Event::PolicyChanged, "changed the policy"),
        (Event::PolicyRestored, "restored an earlier policy"),
        (Event::PolicyReverted, "undid a policy that nobody confirmed"),
    ] {
        lines.extend(
            of(happenings, event)
                .take(NAMED)
                .map(|happening| match happening.actor.as_str() {
                    "system" => format!("Nightlatch {what}."),
                    actor => format!("{actor} {what}."),
                }),
        );
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
