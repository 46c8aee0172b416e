//! The facts for judging a request: the rules in force, the session and its token.

use crate::{
    domain::{
        account::Account,
        application::Application,
        password,
        policy::effective::EffectivePolicy,
        session::{
            AccountState, Binding, DeviceEvidence, RequestFacts, SessionFacts, SessionToken, SessionVerdict,
            TokenFacts, judge,
        },
        time::Timestamp,
    },
    live::{policy::PolicyInForce, sessions::LiveSession},
};
use std::{borrow::Cow, sync::Arc};

/// Returns the rules for a session that entered these applications and requests another one. The
/// rules of that one are included if the user may enter it.
pub(super) fn rules_at(
    in_force: &PolicyInForce,
    entered: &[String],
    account: &Account,
    application: Option<&Application>,
) -> Arc<EffectivePolicy> {
    let entering = application.filter(|application| application.admits(account.role, &account.groups));
    let entered = with_entered(entered, entering);
    in_force.effective(account.role, &entered, entering.map(|entering| entering.name.as_str()))
}

pub(super) fn judge_row(
    session: &LiveSession,
    token: &SessionToken,
    account: &Account,
    (request, device): (&RequestFacts<'_>, DeviceEvidence),
    policy: &EffectivePolicy,
    now: Timestamp,
) -> SessionVerdict {
    judge(&facts_of(session, token, account, device, policy), request, policy, now)
}

/// Returns the device of a request that is not made yet: a browser that is bound is assumed to
/// prove itself.
pub(super) fn assumed_device(session: &LiveSession, token: &SessionToken, now: Timestamp) -> DeviceEvidence {
    match session.row.device_of(token) {
        Some(_) => DeviceEvidence::Bound {
            proved_until: Some(now),
        },
        None => session.row.device_evidence(token, None),
    }
}

/// Returns the facts for judging a session by one of its ids.
pub(super) fn facts_of<'a>(
    session: &'a LiveSession,
    token: &SessionToken,
    account: &Account,
    device: DeviceEvidence,
    policy: &EffectivePolicy,
) -> SessionFacts<'a> {
    SessionFacts {
        ended: session.ended(),
        account: AccountState::from_flags(account.disabled_at.is_some(), account.expired_at.is_some()),
        must_change_password: must_change_password(account, session.row.signed_in_at, policy),
        proofs: token.proofs.unwrap_or(session.row.proofs),
        factors: account.factors,
        grace_from: account.factor_required_at,
        life: session.life(),
        binding: &session.row.binding,
        token: match token.rotated {
            None => TokenFacts::Current,
            Some((at, from, to)) => TokenFacts::Rotated { at, from, to },
        },
        device,
    }
}

pub(super) fn binding_json(binding: &Binding) -> serde_json::Value {
    serde_json::json!({ "v4": binding.accepted_v4, "v6": binding.accepted_v6, "changes": binding.changes })
}

/// Returns the applications whose rules apply: those that the session entered, and the one that it
/// is about to enter.
pub(super) fn with_entered<'a>(entered: &'a [String], entering: Option<&Application>) -> Cow<'a, [String]> {
    match entering.filter(|entering| !entered.contains(&entering.name)) {
        Some(entering) => entered.iter().chain([&entering.name]).cloned().collect(),
        None => Cow::Borrowed(entered),
    }
}

/// A demand applies immediately. The rules by age and by who set the password apply from the next
/// sign-in on.
fn must_change_password(account: &Account, signed_in_at: Timestamp, policy: &EffectivePolicy) -> bool {
    password::must_change(
        &account.password_facts(),
        policy.accounts.change_default_password,
        &policy.password,
        signed_in_at,
    )
    .is_some()
}
