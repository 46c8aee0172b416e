//! Network groups (`session.network_groups`): addresses of one group are one network, such as the
//! LAN and the public address of an office, or the exits of a VPN. A group may contain both address
//! families.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnetwork::IpNetwork;

use crate::network::{canonical, known_network, parse_filter, same_session_network, sort_range};

/// Maximum number of networks in all groups together.
const MAX_NETWORKS: usize = 1_000;

/// All groups of a policy; no address is in two of them. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkGroups(Arc<[NetworkGroup]>);

/// The networks of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkGroup(Vec<IpNetwork>);

impl NetworkGroups {
    /// Parses groups, each with the number of its line.
    ///
    /// # Errors
    /// A sentence that names the line and the value: no address or network, a network that
    /// overlaps one of another group, or more networks than are accepted.
    pub fn parse<'a>(lines: impl IntoIterator<Item = (usize, &'a str)>) -> Result<Self, String> {
        let mut groups = Vec::new();
        let mut networks = Vec::new();
        for (line, text) in lines {
            let group = parse_group(line, text)?;
            networks.extend(group.iter().map(|network| (line, *network)));
            if networks.len() > MAX_NETWORKS {
                return Err(format!("line {line}: more than {MAX_NETWORKS} networks"));
            }
            groups.push(NetworkGroup(group));
        }
        match find_overlap(networks) {
            Some(fault) => Err(fault),
            None => Ok(Self(groups.into())),
        }
    }

    /// Returns the group of an address.
    pub fn find(&self, ip: IpAddr) -> Option<&NetworkGroup> {
        self.0.iter().find(|group| group.contains(ip))
    }

    /// Returns the group that contains both addresses.
    pub fn find_common(&self, a: IpAddr, b: IpAddr) -> Option<&NetworkGroup> {
        self.find(a).filter(|group| group.contains(b))
    }

    /// Returns whether two addresses are one network: under `v4_bits`, or by a group.
    pub fn is_same_network(&self, a: IpAddr, b: IpAddr, v4_bits: u8) -> bool {
        same_session_network(a, b, v4_bits) || self.find_common(a, b).is_some()
    }

    /// Returns whether an address belongs to a [`known_network`]: it lies in it, or the known
    /// network touches the group of the address.
    pub fn is_known(&self, ip: IpAddr, known: IpNetwork) -> bool {
        known_network(ip) == known || self.find(ip).is_some_and(|group| group.overlaps(known))
    }

    /// Returns whether addresses of one group here are in one group of `wide` too.
    pub fn is_covered_by(&self, wide: &NetworkGroups) -> bool {
        self.0.iter().all(|group| {
            let covers = |other: &NetworkGroup| group.0.iter().all(|network| other.covers(*network));
            wide.0.iter().any(covers)
        })
    }

    /// Returns whether a group contains every address of a family, so that their networks are
    /// never compared.
    pub fn covers_a_family(&self) -> bool {
        self.0
            .iter()
            .flat_map(|group| &group.0)
            .any(|network| network.prefix() == 0)
    }

    /// Returns whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl NetworkGroup {
    /// Returns whether an address is in the group.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = canonical(ip);
        self.0.iter().any(|network| network.contains(ip))
    }

    fn overlaps(&self, other: IpNetwork) -> bool {
        let touches = |network: &IpNetwork| network.contains(other.network()) || other.contains(network.network());
        self.0.iter().any(touches)
    }

    fn covers(&self, other: IpNetwork) -> bool {
        let covers = |network: &IpNetwork| network.contains(other.network()) && network.prefix() <= other.prefix();
        self.0.iter().any(covers)
    }

    /// Returns one network that names the group, and that no address outside of it shares.
    pub fn identity(&self) -> Option<IpNetwork> {
        self.0.first().copied()
    }
}

/// Formats a group as its line in the policy.
impl fmt::Display for NetworkGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<String> = self.0.iter().map(IpNetwork::to_string).collect();
        f.write_str(&networks.join(", "))
    }
}

fn parse_group(line: usize, text: &str) -> Result<Vec<IpNetwork>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let group: Vec<IpNetwork> = items
        .map(|item| {
            parse_filter(item)
                .ok_or_else(|| format!("line {line}: “{}” is not an address or network", item.escape_debug()))
        })
        .collect::<Result<_, _>>()?;
    if group.is_empty() {
        return Err(format!("line {line}: a group needs at least one network"));
    }
    Ok(group)
}

/// Writes a network as people do: a single address without a prefix.
fn shown(network: IpNetwork) -> String {
    let is_address = network.prefix() == if network.is_ipv6() { 128 } else { 32 };
    match is_address {
        true => network.ip().to_string(),
        false => network.to_string(),
    }
}

/// Returns the fault of two networks of different lines that share addresses. Networks are disjoint
/// or nested, so that in order of their first address each needs to be compared only with the one
/// that reaches furthest.
fn find_overlap(networks: Vec<(usize, IpNetwork)>) -> Option<String> {
    let mut ranges: Vec<_> = networks
        .into_iter()
        .map(|(line, network)| (network.is_ipv6(), sort_range(network), line, network))
        .collect();
    ranges.sort_by(|(a_v6, (a_first, a_last), ..), (b_v6, (b_first, b_last), ..)| {
        (a_v6, a_first, b_last).cmp(&(b_v6, b_first, a_last))
    });
    let mut furthest: Option<(bool, String, usize, IpNetwork)> = None;
    for (v6, (first, last), line, network) in ranges {
        match &furthest {
            Some((other_v6, other_last, other_line, other)) if *other_v6 == v6 && first <= *other_last => {
                if *other_line != line {
                    let (later, earlier) = if line > *other_line {
                        ((line, network), (*other_line, *other))
                    } else {
                        ((*other_line, *other), (line, network))
                    };
                    return Some(format!(
                        "line {}: “{}” overlaps {} in line {}",
                        later.0,
                        shown(later.1),
                        shown(earlier.1),
                        earlier.0
                    ));
                }
            }
            Some(_) | None => furthest = Some((v6, last, line, network)),
        }
    }
    None
}
