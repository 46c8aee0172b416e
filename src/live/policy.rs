//! The policy in force, with the typed policies of each role ready made.

use crate::domain::{
    account::Role,
    policy::{
        effective::{EffectivePolicy, Policy},
        provisional,
    },
    time::Timestamp,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// One revision with its pins, swapped whole.
pub struct InForce {
    pub policy: Policy,
    /// When its revision was saved.
    pub since: Timestamp,
    /// Set while the revision waits for its confirmation.
    pub provisional: Option<Provisional>,
    member: Arc<EffectivePolicy>,
    administrator: Arc<EffectivePolicy>,
    by_application: Mutex<HashMap<ApplicationKey, Arc<EffectivePolicy>>>,
}

/// Until when a revision holds by itself, and what holds after that.
pub struct Provisional {
    pub confirm_by: Timestamp,
    pub author: String,
    pub before: Arc<InForce>,
}

/// Role, entered applications, application of the request.
type ApplicationKey = (Role, Vec<String>, Option<String>);

impl InForce {
    pub fn new(policy: Policy, since: Timestamp) -> Self {
        Self {
            member: Arc::new(policy.effective(Role::Member, &[], None)),
            administrator: Arc::new(policy.effective(Role::Administrator, &[], None)),
            by_application: Mutex::default(),
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
        let key = (role, entered.to_vec(), application.map(str::to_owned));
        let mut known = self.by_application.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(key)
            .or_insert_with(|| Arc::new(self.policy.effective(role, entered, application)))
            .clone()
    }

    /// The rules that depend on nobody's role: sign-in protection, cookies, password and account rules.
    pub fn everyone(&self) -> &EffectivePolicy {
        &self.member
    }
}
