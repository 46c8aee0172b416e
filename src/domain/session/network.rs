//! Whether a request's network is the accepted one, an acceptable change, or an end (decisions 1–4 and 6 of policy.md).

use std::net::IpAddr;

use super::{Binding, EndReason, ROTATION_OVERLAP, Record, SessionFacts, TokenFacts};
use crate::domain::{
    network::{canonical, same_session_network, same_v4, same_v6},
    policy::effective::{Mode, ValidationPolicy},
    time::Timestamp,
};

/// What a request's network brings about.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) rebind: Option<Binding>,
    pub(super) record: Option<Record>,
}

/// Decision 6: a replaced id lives for the overlap; its use afterwards is reuse.
pub(super) fn judge_token(token: TokenFacts, now: Timestamp) -> Result<(), EndReason> {
    match token {
        TokenFacts::Rotated { at, .. } if now > at.saturating_add(ROTATION_OVERLAP) => Err(EndReason::RotatedReuse),
        TokenFacts::Rotated { .. } | TokenFacts::Current => Ok(()),
    }
}

pub(super) fn judge(
    session: &SessionFacts,
    ip: IpAddr,
    validation: &ValidationPolicy,
    now: Timestamp,
) -> Result<Outcome, EndReason> {
    if let TokenFacts::Rotated { from, to, .. } = session.token {
        // A page's parallel requests: they left before the new id arrived.
        let same = |other| same_session_network(ip, other, validation.subnet_bits);
        if same(from) || same(to) {
            return Ok(Outcome::default());
        }
    }
    if accepted(session.binding, ip, validation.subnet_bits) {
        return Ok(Outcome::default());
    }
    if validation.ip {
        return change(session.binding, ip, validation, now);
    }
    let record = (validation.mode == Mode::Permissive).then_some(Record::NetworkMismatch);
    Ok(Outcome { rebind: None, record })
}

/// Whether `ip` is in the accepted network of its family (decision 3: one per family).
fn accepted(binding: &Binding, ip: IpAddr, bits: u8) -> bool {
    match canonical(ip) {
        IpAddr::V4(ip) => binding.accepted_v4.is_some_and(|accepted| same_v4(accepted, ip, bits)),
        IpAddr::V6(ip) => binding.accepted_v6.is_some_and(|accepted| same_v6(accepted, ip, bits)),
    }
}

fn change(binding: &Binding, ip: IpAddr, validation: &ValidationPolicy, now: Timestamp) -> Result<Outcome, EndReason> {
    match validation.allow_ip_changes {
        // Unlimited lifts the count and the window.
        None => {}
        Some(0) => return Err(EndReason::Network),
        Some(allowed) => {
            // The first change opens the window and is therefore always inside it.
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
    Ok(Outcome {
        rebind: Some(moved),
        record: Some(Record::NetworkChanged),
    })
}
