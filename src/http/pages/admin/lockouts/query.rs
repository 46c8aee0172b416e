//! The query of the lockout list: its filter, and the fields that repeat it.
use crate::{
    domain::{
        lockout::{LockoutFilter, LockoutListState},
        network,
        policy::effective::LockoutPolicy,
    },
    http::{
        pages::admin::list::{FormFaults, ListQuery, PageQuery, faults, filled, limit, read_place, unknown_choice},
        paths,
    },
};
use serde::Deserialize;

/// The filter of the list of lockouts, as its address spells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LockoutListQuery {
    /// A part of a username, an IP address or a network.
    pub q: String,
    pub state: String,
    pub after: String,
    pub before: String,
    pub limit: String,
}

/// The states of the list's tabs.
pub const STATES: [(&str, &str); 3] = [("", "All"), ("locked", "Locked"), ("counting", "Counting")];

impl ListQuery for LockoutListQuery {
    const PATH: &'static str = paths::ADMIN_LOCKOUTS;

    fn fields(&self) -> Vec<(&'static str, &str)> {
        vec![("q", self.q.trim()), ("state", &self.state)]
    }

    fn place(&self) -> PageQuery<'_> {
        PageQuery {
            after: &self.after,
            before: &self.before,
            limit: &self.limit,
        }
    }

    fn faults(&self) -> FormFaults {
        faults([("q", unknown_choice(&STATES, &self.state, "state"))])
    }
}

impl LockoutListQuery {
    /// Returns whether the list is requested without filters from its beginning: locks then come
    /// first.
    pub fn is_overview(&self) -> bool {
        !self.is_filtered() && self.after.is_empty() && self.before.is_empty()
    }

    /// Returns the state in the filter.
    pub fn state(&self) -> LockoutListState {
        match self.state.as_str() {
            "locked" => LockoutListState::Locked,
            "counting" => LockoutListState::Counting,
            _ => LockoutListState::All,
        }
    }

    /// Returns whether the list begins with the people about whom a directory is not asked.
    pub fn begins_with_binds(&self) -> bool {
        self.state() != LockoutListState::Counting && self.after.is_empty() && self.before.is_empty()
    }

    /// Returns the part of a name that is searched; `None`: any. Counts of directories have no
    /// address: with one, the query matches none of them.
    pub fn person(&self) -> Option<Option<String>> {
        network::parse_filter(&self.q).is_none().then(|| filled(&self.q))
    }

    /// Returns the filter of the query.
    pub fn filter(&self, policy: &LockoutPolicy) -> LockoutFilter {
        let ip = network::parse_filter(&self.q);
        LockoutFilter {
            // A search shows all counters of its subject.
            ceilings_from: filled(&self.q).is_none().then(|| near_ceilings(policy)),
            state: self.state(),
            text: if ip.is_some() { None } else { filled(&self.q) },
            ip,
            account_key: None,
            after: read_place(&self.after),
            before: read_place(&self.before),
            limit: limit(&self.limit),
        }
    }
}

/// Returns half of each ceiling: from this number on a counter is listed.
fn near_ceilings(policy: &LockoutPolicy) -> (i32, i32) {
    let half = |ceiling: u32| i32::try_from(ceiling.div_ceil(2)).unwrap_or(i32::MAX);
    (half(policy.ip_ceiling), half(policy.account_ceiling))
}
