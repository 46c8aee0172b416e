//! Comparison of the policy in force and the installation with the baselines. It changes nothing.

use super::{Ctx, FlowError, Read};
use crate::{
    domain::{
        account::{AccountFilter, AccountListState, Role},
        application::Application,
        forwarded::RequestSubject,
        lockout::{LockoutFilter, LockoutListState},
        policy::{
            effective::Policy,
            posture::{
                self, Baseline, FactorCoverage, Finding, Installation, ItemFinding, ProtectedApplication, baselines,
                installation,
            },
        },
    },
    store::{StoreError, accounts, applications, forwarded, lockouts, policies},
};
use std::collections::BTreeSet;

/// The result of the comparison with the baselines.
pub struct Posture {
    /// The policy in force, pins included.
    pub policy: Policy,
    /// Findings about the installation.
    pub installation: Vec<Finding>,
    /// The findings of each baseline.
    pub baselines: Vec<(&'static Baseline, Vec<ItemFinding>)>,
}

/// Maximum number of locks that are checked for a single address.
const LOCKS_LOOKED_AT: i64 = 50;

/// Checks the policy in force and the installation against every baseline.
pub async fn posture(ctx: &Ctx) -> Result<Posture, FlowError> {
    let policy = ctx.current_policy().await?.policy.clone();
    let judged = policy.clone();
    let installation = ctx.read(move |r| Ok(r.installation(&judged)?)).await?;
    let checked = |baseline: &'static Baseline| (baseline, posture::check(baseline, &policy));
    Ok(Posture {
        installation,
        baselines: baselines().iter().map(checked).collect(),
        policy,
    })
}

impl Read<'_> {
    fn protected(&mut self, known: Vec<Application>) -> Result<Vec<ProtectedApplication>, StoreError> {
        let asked = forwarded::list(self.connection)?;
        let protected = known.into_iter().map(|application| ProtectedApplication {
            asked: asked
                .iter()
                .any(|(subject, _)| *subject == RequestSubject::Answered(application.name.clone())),
            within_reach: application
                .hosts
                .iter()
                .all(|host| self.ctx.config.cookie_reaches(&host.name)),
            name: application.name,
        });
        Ok(protected.collect())
    }

    /// Counts usable accounts of a role without a second factor.
    fn count_without_factor(&mut self, role: Role) -> Result<i64, StoreError> {
        let filter = AccountFilter {
            role: Some(role),
            state: Some(AccountListState::Active),
            second_factor: Some(false),
            ..AccountFilter::default()
        };
        accounts::count(self.connection, &filter)
    }

    /// Collects the facts about the installation and checks them.
    pub(super) fn installation(&mut self, policy: &Policy) -> Result<Vec<Finding>, StoreError> {
        let locked = LockoutFilter {
            state: LockoutListState::Locked,
            limit: LOCKS_LOOKED_AT,
            ..LockoutFilter::default()
        };
        let locks = lockouts::list(self.connection, &locked)?.items;
        let addresses: BTreeSet<_> = locks.iter().filter_map(|lock| lock.last_ip).collect();
        let proxies = &self.ctx.config.trusted_proxies;
        let protected = applications::list(self.connection)?;
        let hosts = protected.iter().flat_map(|application| &application.hosts);
        let own_keys: BTreeSet<&str> = hosts
            .map(|host| host.name.as_str())
            .filter(|host| !self.ctx.config.cookie_reaches(host))
            .collect();
        let device_hosts = own_keys.len() + 1;
        let facts = Installation {
            public_address: self.ctx.config.public_url.is_some(),
            https: self.ctx.config.https(),
            binds_devices: self.ctx.config.cookie_domain.is_none() || self.ctx.config.owns_cookie_domain(),
            device_hosts,
            trusts_proxies: !proxies.is_empty(),
            trusts_every_address: proxies.iter().any(|network| network.prefix() == 0),
            one_locked_address: addresses
                .first()
                .filter(|_| locks.len() > 1 && addresses.len() == 1)
                .map(ToString::to_string),
            security_log: self.ctx.config.security_log.is_some(),
            applications: self.protected(protected)?,
            pins: policies::list_pins(self.connection, self.ctx.pins_fresh_since())?,
            accounts: FactorCoverage {
                bare_administrators: self.count_without_factor(Role::Administrator)?,
                bare_members: self.count_without_factor(Role::Member)?,
            },
        };
        Ok(installation(&facts, policy))
    }
}
