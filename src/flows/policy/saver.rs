//! What a draft would do to the very person who saves it: their session, and their next sign-in from where they are.

use super::super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        account::{Role, name_key},
        activity::RequestKind,
        audit::Actor,
        lockout::{CounterKind, ReserveVerdict, counters_of, policy_for},
        policy::{
            effective::{EffectivePolicy, LockoutPolicy, Policy},
            provisional::{OwnSession, SaverFacts},
        },
        session::{AccountState, RequestFacts, SessionFacts, TokenFacts, ends_at, judge},
    },
    store::{Conn, StoreError, accounts, lockouts, sessions},
};
use uuid::Uuid;

impl Ctx {
    /// What the saver's own session and address would meet under `new`.
    pub(super) async fn saver_facts(
        &self,
        acting: &Acting,
        old: &Policy,
        new: &Policy,
    ) -> Result<SaverFacts, FlowError> {
        let (flow, acting, old, new) = (self.clone(), acting.clone(), old.clone(), new.clone());
        Ok(self
            .store
            .read(move |c| {
                Ok::<_, StoreError>(SaverFacts {
                    session: flow.own_session_in(c, &acting, &old, &new)?,
                    newly_locked: flow.locked_out_in(c, &acting, &new)? && !flow.locked_out_in(c, &acting, &old)?,
                })
            })
            .await?)
    }

    fn own_session_in(
        &self,
        c: &mut Conn,
        acting: &Acting,
        old: &Policy,
        new: &Policy,
    ) -> Result<Option<OwnSession>, StoreError> {
        let (Some(id), Some(ip)) = (acting.session, acting.origin.ip) else {
            return Ok(None);
        };
        let Some(session) = sessions::find(c, id)? else {
            return Ok(None);
        };
        let Some(account) = accounts::find(c, session.account_id)? else {
            return Ok(None);
        };
        let effective = |policy: &Policy| policy.effective(account.role, &session.applications, None);
        let (old, new) = (effective(old), effective(new));
        let life = self.life_of(&session);
        let facts = SessionFacts {
            ended: session.end_reason,
            account: AccountState::Enabled,
            must_change_password: false,
            life,
            binding: &session.binding,
            token: TokenFacts::Current,
        };
        let request = RequestFacts {
            ip,
            user_agent: acting.origin.user_agent.as_deref(),
            kind: RequestKind::default(),
        };
        let end = |policy: &EffectivePolicy| ends_at(&life, policy);
        Ok(Some(OwnSession {
            verdict: judge(&facts, &request, &new, self.now()),
            ends_at: end(&new).map(|end| (end.at, end.reason)),
            ends_at_now: end(&old).map(|end| end.at),
        }))
    }

    /// Whether a lock would refuse the saver's own next sign-in.
    fn locked_out_in(&self, c: &mut Conn, acting: &Acting, policy: &Policy) -> Result<bool, StoreError> {
        let (Actor::Account { name, .. }, Some(ip)) = (&acting.actor, acting.origin.ip) else {
            return Ok(false);
        };
        let lockout = policy.effective(Role::Member, &[], None).lockout;
        let lockout: LockoutPolicy = policy_for(ip, &lockout).into_owned();
        let now = self.now();
        for key in counters_of(&name_key(name), ip, acting.origin.user_agent.as_deref(), &lockout) {
            // Signed in from here, the saver is exempt from the account's ceiling.
            if key.kind == CounterKind::AccountCeiling {
                continue;
            }
            let Some(mut row) = lockouts::find(c, &key)? else {
                continue;
            };
            row.counter.settle(key.kind, &lockout, now);
            if row.counter.reserve(key.kind, Uuid::nil(), &lockout, now) != ReserveVerdict::Proceed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
