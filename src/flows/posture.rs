//! How the policy in force and the installation around it stand against the named baselines; nothing is changed here.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        forwarded::Subject,
        policy::{
            effective::Policy,
            posture::{self, Baseline, Checked, Finding, Installation, Protected, baselines, installation},
        },
    },
    store::{
        Conn, StoreError, applications, forwarded,
        lockouts::{self, LockoutFilter, LockoutListState},
        policies,
    },
};
use std::collections::BTreeSet;

pub struct Posture {
    /// The policy in force, pins included.
    pub policy: Policy,
    pub installation: Vec<Finding>,
    pub baselines: Vec<(&'static Baseline, Vec<Checked>)>,
}

/// Locks looked at to see whether all have one address.
const LOCKS_LOOKED_AT: i64 = 50;

pub async fn posture(ctx: &Ctx) -> Result<Posture, FlowError> {
    let policy = ctx.current_policy().await?.policy.clone();
    let (flow, judged) = (ctx.clone(), policy.clone());
    let installation = ctx.store.read(move |c| flow.installation(c, &judged)).await?;
    let checked = |baseline: &'static Baseline| (baseline, posture::check(baseline, &policy));
    Ok(Posture {
        installation,
        baselines: baselines().iter().map(checked).collect(),
        policy,
    })
}

impl Ctx {
    fn protected(&self, c: &mut Conn) -> Result<Vec<Protected>, StoreError> {
        let asked = forwarded::list(c)?;
        let known = applications::list(c)?.into_iter();
        let protected = known.map(|application| Protected {
            asked: asked
                .iter()
                .any(|(subject, _)| *subject == Subject::Answered(application.name.clone())),
            within_reach: application
                .hosts
                .iter()
                .all(|host| self.config.cookie_reaches(&host.name)),
            name: application.name,
        });
        Ok(protected.collect())
    }

    /// What is known about the installation, judged.
    pub(super) fn installation(&self, c: &mut Conn, policy: &Policy) -> Result<Vec<Finding>, StoreError> {
        let locked = LockoutFilter {
            state: LockoutListState::Locked,
            limit: LOCKS_LOOKED_AT,
            ..LockoutFilter::default()
        };
        let locks = lockouts::list(c, &locked)?.items;
        let addresses: BTreeSet<_> = locks.iter().filter_map(|lock| lock.last_ip).collect();
        let proxies = &self.config.trusted_proxies;
        let facts = Installation {
            public_address: self.config.public_url.is_some(),
            https: self.config.https(),
            trusts_proxies: !proxies.is_empty(),
            trusts_everybody: proxies.iter().any(|network| network.prefix() == 0),
            one_locked_address: addresses
                .first()
                .filter(|_| locks.len() > 1 && addresses.len() == 1)
                .map(ToString::to_string),
            security_log: self.config.security_log.is_some(),
            applications: self.protected(c)?,
            pins: policies::pins(c, self.pins_fresh_since())?,
        };
        Ok(installation(&facts, policy))
    }
}
