//! The policy in force, with the typed policies of each role ready made.

use crate::domain::{
    account::Role,
    policy::{
        effective::{EffectivePolicy, Policy},
        provisional,
    },
    time::Timestamp,
};
use quick_cache::{Equivalent, sync::Cache};
use std::sync::Arc;

/// Typed policies of sessions that entered applications, remembered at most for each revision.
const COMBINATIONS: usize = 1024;

/// One revision with its pins, swapped whole.
pub struct InForce {
    pub policy: Policy,
    /// When its revision was saved.
    pub since: Timestamp,
    /// Set while the revision waits for its confirmation.
    pub provisional: Option<Provisional>,
    member: Arc<EffectivePolicy>,
    administrator: Arc<EffectivePolicy>,
    by_application: Cache<Combination, Arc<EffectivePolicy>>,
}

/// Until when a revision holds by itself, and what holds after that.
pub struct Provisional {
    pub confirm_by: Timestamp,
    pub author: String,
    pub before: Arc<InForce>,
}

/// Role, entered applications, application of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Combination(Role, Vec<String>, Option<String>);

/// A [`Combination`] as it is asked for: hashed alike, and nothing allocated.
#[derive(Hash)]
struct Asked<'a>(Role, &'a [String], Option<&'a str>);

impl Equivalent<Combination> for Asked<'_> {
    fn equivalent(&self, known: &Combination) -> bool {
        self.0 == known.0 && self.1 == known.1 && self.2 == known.2.as_deref()
    }
}

impl InForce {
    pub fn new(policy: Policy, since: Timestamp) -> Self {
        Self {
            member: Arc::new(policy.effective(Role::Member, &[], None)),
            administrator: Arc::new(policy.effective(Role::Administrator, &[], None)),
            by_application: Cache::new(COMBINATIONS),
            policy,
            since,
            provisional: None,
        }
    }

    /// The same, until `provisional` says otherwise.
    pub fn provisionally(self, provisional: Provisional) -> Self {
        Self {
            provisional: Some(provisional),
            ..self
        }
    }

    /// What holds at `now`: this, or what was in force before it when nobody confirmed it in time.
    pub fn at(self: Arc<Self>, now: Timestamp) -> Arc<Self> {
        match &self.provisional {
            Some(provisional) if provisional::lapsed_at(provisional.confirm_by, now) => provisional.before.clone(),
            Some(_) | None => self,
        }
    }

    /// What holds for a session of this role that entered these applications, at a request to one of them or to our own pages.
    pub fn effective(&self, role: Role, entered: &[String], application: Option<&str>) -> Arc<EffectivePolicy> {
        if entered.is_empty() && application.is_none() {
            return match role {
                Role::Member => self.member.clone(),
                Role::Administrator => self.administrator.clone(),
            };
        }
        if let Some(known) = self.by_application.get(&Asked(role, entered, application)) {
            return known;
        }
        let policy = Arc::new(self.policy.effective(role, entered, application));
        let combination = Combination(role, entered.to_vec(), application.map(str::to_owned));
        self.by_application.insert(combination, policy.clone());
        policy
    }

    /// The rules that depend on nobody's role: sign-in protection, cookies, password and account rules.
    pub fn everyone(&self) -> &EffectivePolicy {
        &self.member
    }
}
