//! The policy in force, with the typed policy of each role prepared.

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

/// Maximum number of typed policies of sessions in applications that are cached per revision.
const MAX_COMBINATIONS: usize = 1024;

/// One revision with its pins. It is replaced as a whole.
pub struct PolicyInForce {
    /// The document and its pins.
    pub policy: Policy,
    /// When its revision was saved.
    pub since: Timestamp,
    /// Set while the revision waits for its confirmation.
    pub provisional: Option<ProvisionalPeriod>,
    member: Arc<EffectivePolicy>,
    administrator: Arc<EffectivePolicy>,
    by_application: Cache<Combination, Arc<EffectivePolicy>>,
}

/// The period in which a revision waits for its confirmation.
pub struct ProvisionalPeriod {
    /// When the revision is reverted unless it is confirmed.
    pub confirm_by: Timestamp,
    /// Who saved the revision.
    pub author: String,
    /// The policy before it.
    pub before: Arc<PolicyInForce>,
}

/// Role, entered applications and the application of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Combination(Role, Vec<String>, Option<String>);

/// A borrowed [`Combination`] for lookups, with the same hash and without an allocation.
#[derive(Hash)]
struct CombinationRef<'a>(Role, &'a [String], Option<&'a str>);

impl Equivalent<Combination> for CombinationRef<'_> {
    fn equivalent(&self, known: &Combination) -> bool {
        self.0 == known.0 && self.1 == known.1 && self.2 == known.2.as_deref()
    }
}

impl PolicyInForce {
    /// Prepares the typed policies of each role.
    pub fn new(policy: Policy, since: Timestamp) -> Self {
        Self {
            member: Arc::new(policy.effective(Role::Member, &[], None)),
            administrator: Arc::new(policy.effective(Role::Administrator, &[], None)),
            by_application: Cache::new(MAX_COMBINATIONS),
            policy,
            since,
            provisional: None,
        }
    }

    /// Marks the revision as provisional.
    pub fn with_provisional(self, provisional: ProvisionalPeriod) -> Self {
        Self {
            provisional: Some(provisional),
            ..self
        }
    }

    /// Returns the policy in force at `now`: this one, or the one before if it was not confirmed in
    /// time.
    pub fn in_force_at(self: Arc<Self>, now: Timestamp) -> Arc<Self> {
        match &self.provisional {
            Some(provisional) if provisional::lapsed_at(provisional.confirm_by, now) => provisional.before.clone(),
            Some(_) | None => self,
        }
    }

    /// Returns the policy for a session of this role that entered these applications, at a request
    /// to one of them or to our own pages.
    pub fn effective(&self, role: Role, entered: &[String], application: Option<&str>) -> Arc<EffectivePolicy> {
        if entered.is_empty() && application.is_none() {
            return match role {
                Role::Member => self.member.clone(),
                Role::Administrator => self.administrator.clone(),
            };
        }
        if let Some(known) = self.by_application.get(&CombinationRef(role, entered, application)) {
            return known;
        }
        let policy = Arc::new(self.policy.effective(role, entered, application));
        let combination = Combination(role, entered.to_vec(), application.map(str::to_owned));
        self.by_application.insert(combination, policy.clone());
        policy
    }

    /// Returns the rules that do not depend on a role: sign-in protection, cookies, password and
    /// account rules.
    pub fn everyone(&self) -> &EffectivePolicy {
        &self.member
    }
}
