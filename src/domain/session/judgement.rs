//! The judgement of one request of a session, in the order of docs/policy.md.

use super::{
    device,
    factor::judge_factors,
    facts::{
        AccountState, Binding, Duty, EndReason, LiveEffect, NetworkEvent, RequestFacts, SessionFacts, SessionId,
        SessionVerdict,
    },
    lifetime::ends_at,
    network,
};
use crate::{activity, agent, policy::effective::EffectivePolicy, time::Timestamp};

/// Judges one request of a session. The order is: revoked → account → lifetimes (the earliest end,
/// see [`ends_at`]) → proof of the device key → reuse of a replaced token → user agent → network →
/// duty (password change, then second factor). It allocates nothing and parses no user agent while
/// nothing has changed since the sign-in.
///
/// INVARIANT: a request whose device did not prove the session's key has no effect on the session,
/// so that a thief of the cookies cannot end it either.
pub fn judge(
    session: &SessionFacts,
    request: &RequestFacts,
    policy: &EffectivePolicy,
    now: Timestamp,
) -> SessionVerdict {
    if let Err(reason) = check_alive(session, policy, now) {
        return SessionVerdict::Ended { reason };
    }
    let proved = match device::judge(session.device, &policy.device, now) {
        Ok(proved) => proved,
        Err(fault) => {
            let (what, live) = (Duty::DeviceProof(fault), LiveEffect::default());
            return SessionVerdict::Duty { what, live };
        }
    };
    let live = match live(session, request, proved, policy, now) {
        Err(reason) => return SessionVerdict::Ended { reason },
        Ok(live) => live,
    };
    if session.must_change_password {
        let what = Duty::PasswordChange;
        return SessionVerdict::Duty { what, live };
    }
    match judge_factors(session, &policy.factors, now) {
        Ok(enrol_by) => SessionVerdict::Live(LiveEffect { enrol_by, ..live }),
        Err(duty) => {
            let what = Duty::Factor(duty);
            SessionVerdict::Duty { what, live }
        }
    }
}

/// Judges what no request can change: the end in the store, the account and the lifetimes.
fn check_alive(session: &SessionFacts, policy: &EffectivePolicy, now: Timestamp) -> Result<(), EndReason> {
    if let Some(reason) = session.ended {
        return Err(reason);
    }
    match session.account {
        AccountState::Enabled => {}
        AccountState::Disabled => return Err(EndReason::AccountDisabled),
        AccountState::Expired => return Err(EndReason::AccountExpired),
    }
    // INVARIANT: limits are inclusive; `end.at` is the last live instant.
    match ends_at(&session.life, policy).filter(|end| now > end.at) {
        Some(end) => Err(end.reason),
        None => Ok(()),
    }
}

/// Judges the token, the browser and the network. `proved`: the device proved the session's key, so
/// that another browser or network is recorded, not counted, and rotates nothing.
fn live(
    session: &SessionFacts,
    request: &RequestFacts,
    proved: bool,
    policy: &EffectivePolicy,
    now: Timestamp,
) -> Result<LiveEffect, EndReason> {
    // Before the user agent: the use of a replaced token must be reported as that, with any
    // browser.
    network::judge_token(session.token, now)?;
    let agent = match judge_agent(session.binding, request, policy) {
        Ok(()) => None,
        Err(_) if proved => Some(NetworkEvent::AgentMismatch),
        Err(reason) => return Err(reason),
    };
    let network = network::judge(session, request.ip, proved, &policy.validation, now)?;
    Ok(LiveEffect {
        touch: activity::counts(&request.kind, &policy.activity),
        seen: !request.kind.check,
        // A proof distinguishes the owner from a thief better than the use of a replaced token, and
        // that use would end the session of an owner whose cookies were copied.
        rotate: network.rebind.is_some() && policy.validation.rotate_on_ip_change && !proved,
        record: network.record.or(agent),
        rebind: network.rebind,
        enrol_by: None,
    })
}

/// Judges the user agent (docs/policy.md, decision 5). A mismatch has no allowance; a program to
/// which the browser passes requests is not a mismatch. Within the family there is nothing to
/// record, just as for a move within the network.
fn judge_agent(binding: &Binding, request: &RequestFacts, policy: &EffectivePolicy) -> Result<(), EndReason> {
    let validation = &policy.validation;
    let (at_sign_in, now) = (binding.user_agent.as_deref(), request.user_agent);
    if !validation.user_agent || agent::is_same(at_sign_in, now, validation.family) {
        return Ok(());
    }
    // A media player that navigates to a page is not a companion.
    let companion = validation.family && !request.kind.navigation && agent::is_companion(at_sign_in, now);
    if companion { Ok(()) } else { Err(EndReason::UserAgent) }
}

/// Returns the sessions to end so that a new one fits (`session.concurrent_user_session_limit`),
/// the least recently active first. `live`: the account's sessions with their last activity,
/// without the new one. Limit 0: unlimited.
pub fn surplus(live: &[(SessionId, Timestamp)], limit: u32) -> Vec<SessionId> {
    let Some(others) = limit.checked_sub(1) else {
        return Vec::new();
    };
    let surplus = live.len().saturating_sub(others as usize);
    let mut by_activity = live.to_vec();
    by_activity.sort_by_key(|(id, last_active_at)| (*last_active_at, *id));
    by_activity.into_iter().take(surplus).map(|(id, _)| id).collect()
}
