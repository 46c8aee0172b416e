//! Whether a request's network is the accepted one, an acceptable change, or ends the session
//! (docs/policy.md, decisions 1–4 and 6).

use std::net::IpAddr;

use super::facts::{Binding, EndReason, NetworkEvent, SessionFacts, TokenFacts};
use crate::{
    network::{canonical, same_v4, same_v6},
    network_groups::NetworkGroup,
    policy::effective::{ValidationMode, ValidationPolicy},
    time::{Span, Timestamp},
};

/// How long a token that a rotation replaced keeps working, in seconds.
pub const ROTATION_OVERLAP_SECS: i64 = 10;

const ROTATION_OVERLAP: Span = Span::from_secs(ROTATION_OVERLAP_SECS);

/// The effect of a request's network.
#[derive(Default)]
pub(super) struct NetworkEffect {
    pub(super) rebind: Option<Binding>,
    pub(super) record: Option<NetworkEvent>,
}

/// Judges the token (docs/policy.md, decision 6): a replaced one works during the overlap;
/// afterwards its use is reuse.
pub(super) fn judge_token(token: TokenFacts, now: Timestamp) -> Result<(), EndReason> {
    match token {
        TokenFacts::Rotated { at, .. } if now > at.saturating_add(ROTATION_OVERLAP) => Err(EndReason::RotatedReuse),
        TokenFacts::Rotated { .. } | TokenFacts::Current => Ok(()),
    }
}

/// Judges the network of a request. `proved`: the device proved the session's key, so that a change
/// is accepted without being counted.
pub(super) fn judge(
    session: &SessionFacts,
    ip: IpAddr,
    proved: bool,
    validation: &ValidationPolicy,
    now: Timestamp,
) -> Result<NetworkEffect, EndReason> {
    if let TokenFacts::Rotated { from, to, .. } = session.token {
        // Parallel requests of a page may have been sent before the new token arrived.
        let same = |other| validation.groups.is_same_network(ip, other, validation.subnet_bits);
        if same(from) || same(to) {
            return Ok(NetworkEffect::default());
        }
    }
    if is_accepted(session.binding, ip, validation) {
        return Ok(NetworkEffect::default());
    }
    if validation.ip && proved {
        return Ok(NetworkEffect {
            rebind: Some(session.binding.clone().accepting(ip)),
            record: Some(NetworkEvent::NetworkChanged),
        });
    }
    if validation.ip {
        return change(session.binding, ip, validation, now);
    }
    let record = (validation.mode == ValidationMode::Permissive).then_some(NetworkEvent::NetworkMismatch);
    Ok(NetworkEffect { rebind: None, record })
}

/// Returns whether `ip` is in the accepted network of its family (docs/policy.md, decision 3: one
/// per family), or in one group with an accepted network of either family.
fn is_accepted(binding: &Binding, ip: IpAddr, validation: &ValidationPolicy) -> bool {
    let bits = validation.subnet_bits;
    let by_prefix = match canonical(ip) {
        IpAddr::V4(ip) => binding.accepted_v4.is_some_and(|accepted| same_v4(accepted, ip, bits)),
        IpAddr::V6(ip) => binding.accepted_v6.is_some_and(|accepted| same_v6(accepted, ip, bits)),
    };
    by_prefix || accepted_group(binding, ip, validation).is_some()
}

/// Returns the group that `ip` shares with an accepted network.
pub(crate) fn accepted_group<'a>(
    binding: &Binding,
    ip: IpAddr,
    validation: &'a ValidationPolicy,
) -> Option<&'a NetworkGroup> {
    let group = validation.groups.find(ip)?;
    let accepted = [binding.accepted_v4.map(IpAddr::V4), binding.accepted_v6.map(IpAddr::V6)];
    let is_shared = accepted.into_iter().flatten().any(|accepted| group.contains(accepted));
    is_shared.then_some(group)
}

fn change(
    binding: &Binding,
    ip: IpAddr,
    validation: &ValidationPolicy,
    now: Timestamp,
) -> Result<NetworkEffect, EndReason> {
    match validation.allow_ip_changes {
        // Unlimited removes both the limit and the period.
        None => {}
        Some(0) => return Err(EndReason::Network),
        Some(allowed) => {
            // The first change starts the period and is therefore always inside it.
            let closed = binding
                .first_change_at
                .is_some_and(|first| now > first.saturating_add(validation.grace));
            if closed || binding.changes >= allowed {
                return Err(EndReason::NetworkAllowance);
            }
        }
    }
    let mut moved = binding.clone().accepting(ip);
    moved.changes = binding.changes.saturating_add(1);
    moved.first_change_at = binding.first_change_at.or(Some(now));
    Ok(NetworkEffect {
        rebind: Some(moved),
        record: Some(NetworkEvent::NetworkChanged),
    })
}
