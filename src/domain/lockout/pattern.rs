//! Patterns among failed sign-ins that look like an attack.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::account::name_key, Lockout};

/// Number of usernames from one IP address, or IP addresses for one username, that makes a pattern.
const PATTERN_FROM: usize = 5;

/// A pattern among failed sign-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttackPattern {
    /// One IP address tried many usernames.
    Spraying {
        /// The address, as counters store it.
        ip: String,
        /// The number of different usernames.
        usernames: usize,
    },
    /// One username was tried from many IP addresses.
    Targeting {
        /// The username, folded.
        username: String,
        /// The number of different addresses.
        addresses: usize,
    },
}

impl AttackPattern {
    /// Returns how many usernames or addresses it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Spraying { usernames, .. } => *usernames,
            Self::Targeting { addresses, .. } => *addresses,
        }
    }

    /// Describes the pattern to an administrator.
    pub fn sentence(&self) -> String {
        match self {
            Self::Spraying { ip, usernames } => {
                format!("One IP address, many usernames: {ip} tried {usernames}. This looks like password spraying.")
            }
            Self::Targeting { username, addresses } => format!(
                "One username, many IP addresses: {username} was tried from {addresses}. This looks like an attack \
                 on that account."
            ),
        }
    }
}

/// Finds the patterns among these counters, the largest first.
pub fn find_patterns<'a>(counters: impl IntoIterator<Item = &'a Lockout>) -> Vec<AttackPattern> {
    let mut usernames: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut addresses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for counter in counters {
        let Some(ip) = counter.key.ip.as_deref() else { continue };
        let tried = usernames.entry(ip).or_default();
        tried.extend(counter.names_tried.iter().map(|name| name_key(name)));
        if let Some(account) = counter.key.account.as_deref() {
            tried.insert(account.to_owned());
            addresses.entry(account).or_default().insert(ip);
        }
    }
    let spraying = usernames.into_iter().map(|(ip, names)| AttackPattern::Spraying {
        ip: ip.to_owned(),
        usernames: names.len(),
    });
    let targeting = addresses.into_iter().map(|(name, ips)| AttackPattern::Targeting {
        username: name.to_owned(),
        addresses: ips.len(),
    });
    let mut found: Vec<AttackPattern> = spraying
        .chain(targeting)
        .filter(|pattern| pattern.size() >= PATTERN_FROM)
        .collect();
    found.sort_by_key(|pattern| std::cmp::Reverse(pattern.size()));
    found
}
