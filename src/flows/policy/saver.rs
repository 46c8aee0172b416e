//! The effect of a draft on the author who saves it: their session, and their next sign-in from the
//! same address.

use crate::{
    domain::{
        account::{Role, name_key},
        activity::RequestKind,
        audit::Actor,
        lockout::{CounterKind, ReserveVerdict, counters_of, policy_for},
        policy::{
            effective::{EffectivePolicy, FactorPolicy, LockoutPolicy, Policy},
            provisional::{FactorReach, OwnSession, SaverFacts},
        },
        session::{AccountState, DeviceEvidence, RequestFacts, SessionFacts, TokenFacts, ends_at, judge},
    },
    flows::{Initiator, Read},
    store::{StoreError, accounts, enrolment_links, lockouts, sessions},
};
use uuid::Uuid;

/// The author of a save.
#[derive(Debug, Clone)]
pub struct PolicySaver {
    /// The author.
    pub initiator: Initiator,
    /// Whether passkeys work under the address of the author's request.
    pub has_passkeys: bool,
}

/// Returns whether a kind of factor that `policy` requires can be set up, for an author who may.
fn factor_reach(policy: &FactorPolicy, has_passkeys: bool) -> FactorReach {
    if policy.offers(policy.required, has_passkeys) {
        FactorReach::Reachable
    } else if policy.offers(policy.required, true) {
        FactorReach::NoPasskeysHere
    } else {
        FactorReach::Refused
    }
}

impl Read<'_> {
    /// Returns the effect of `new` on the author's own session and address.
    pub(super) fn saver_facts(
        &mut self,
        saver: &PolicySaver,
        old: &Policy,
        new: &Policy,
    ) -> Result<SaverFacts, StoreError> {
        Ok(SaverFacts {
            session: self.own_session(saver, old, new)?,
            newly_locked: self.is_locked_out(&saver.initiator, new)? && !self.is_locked_out(&saver.initiator, old)?,
        })
    }

    fn own_session(
        &mut self,
        saver: &PolicySaver,
        old: &Policy,
        new: &Policy,
    ) -> Result<Option<OwnSession>, StoreError> {
        let has_passkeys = saver.has_passkeys && self.ctx.config.passkey_domain().is_some();
        let saver = &saver.initiator;
        let (Some(id), Some(ip)) = (saver.session, saver.origin.ip) else {
            return Ok(None);
        };
        let Some(session) = sessions::find(self.connection, id)? else {
            return Ok(None);
        };
        let Some(account) = accounts::find(self.connection, session.account_id)? else {
            return Ok(None);
        };
        let effective = |policy: &Policy| policy.effective(account.role, &session.applications, None);
        let (old, new) = (effective(old), effective(new));
        let life = self.ctx.life_of(&session);
        let facts = SessionFacts {
            ended: session.end_reason,
            account: AccountState::Enabled,
            must_change_password: false,
            proofs: session.proofs,
            factors: account.factors,
            grace_from: account.factor_required_at,
            life,
            binding: &session.binding,
            token: TokenFacts::Current,
            device: match session.devices.is_empty() {
                true => DeviceEvidence::Unbound {
                    registrable_until: session.proved_at,
                },
                // The request that saves was admitted, so its device proved itself.
                false => DeviceEvidence::Bound {
                    proved_until: Some(self.now),
                },
            },
        };
        let request = RequestFacts {
            ip,
            user_agent: saver.origin.user_agent.as_deref(),
            kind: RequestKind::default(),
        };
        let linked = enrolment_links::accounts_with_link(self.connection, &[account.id], self.now)?;
        let end = |policy: &EffectivePolicy| ends_at(&life, policy);
        Ok(Some(OwnSession {
            verdict: judge(&facts, &request, &new, self.now),
            factor_reach: if new.factors.may_enrol(account.factors, !linked.is_empty()) {
                factor_reach(&new.factors, has_passkeys)
            } else {
                FactorReach::Refused
            },
            ends_at: end(&new).map(|end| (end.at, end.reason)),
            ends_at_now: end(&old).map(|end| end.at),
        }))
    }

    /// Returns whether a lock would refuse the author's next sign-in.
    fn is_locked_out(&mut self, saver: &Initiator, policy: &Policy) -> Result<bool, StoreError> {
        let (Actor::Account { name, .. }, Some(ip)) = (&saver.actor, saver.origin.ip) else {
            return Ok(false);
        };
        let lockout = policy.effective(Role::Member, &[], None).lockout;
        let lockout: LockoutPolicy = policy_for(ip, &lockout).into_owned();
        for key in counters_of(&name_key(name), ip, saver.origin.user_agent.as_deref(), &lockout) {
            // The author is signed in from here and therefore exempt from the account's ceiling.
            if key.kind == CounterKind::AccountCeiling {
                continue;
            }
            let Some(mut row) = lockouts::find(self.connection, &key)? else {
                continue;
            };
            row.counter.settle(key.kind, &lockout, self.now);
            if row.counter.reserve(key.kind, Uuid::nil(), &lockout, self.now) != ReserveVerdict::Proceed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
