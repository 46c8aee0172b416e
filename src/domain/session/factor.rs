//! Whether a session has proved enough, and if not, its duty (docs/policy.md, "Second factors").

use super::facts::SessionFacts;
use crate::{
    factor::{FactorDuty, FactorRequirement, Proof},
    policy::effective::FactorPolicy,
    time::{Span, Timestamp},
};

/// Compares a session's proofs with the requirement for its request. `Ok`: enough was proved, or
/// enrolment may be skipped until the given instant, inclusive.
///
/// An account must first prove a factor that it has. Only then does a requirement that it cannot
/// meet lead to enrolment, so that the password alone never adds a factor to an existing one. A
/// user of a recovery code has lost the passkey and enrols another one.
///
/// INVARIANT: a stricter requirement never lets more pass (`tests/domain/properties.rs`).
pub(super) fn judge_factors(
    session: &SessionFacts,
    policy: &FactorPolicy,
    now: Timestamp,
) -> Result<Option<Timestamp>, FactorDuty> {
    judge_requirement(session, policy.required, policy, now)
}

/// Returns the duty of a session under the requirement `required`; `None`: none.
pub fn factor_duty(
    session: &SessionFacts,
    required: FactorRequirement,
    policy: &FactorPolicy,
    now: Timestamp,
) -> Option<FactorDuty> {
    judge_requirement(session, required, policy, now).err()
}

fn judge_requirement(
    session: &SessionFacts,
    required: FactorRequirement,
    policy: &FactorPolicy,
    now: Timestamp,
) -> Result<Option<Timestamp>, FactorDuty> {
    if required.is_met_by(session.proofs) {
        return Ok(None);
    }
    if policy.can_prove(session.factors) && !FactorRequirement::Any.is_met_by(session.proofs) {
        return Err(FactorDuty::Prove);
    }
    if policy.usable(session.factors).can_meet(required) {
        let recovered = session.proofs.contains(Proof::RecoveryCode);
        return Err(if recovered {
            FactorDuty::Enrol
        } else {
            FactorDuty::Prove
        });
    }
    // If the start of the requirement has not been recorded yet, it applies from now on.
    let skip_until = session.grace_from.unwrap_or(now).saturating_add(policy.enrolment_grace);
    if policy.enrolment_grace > Span::ZERO && now <= skip_until {
        Ok(Some(skip_until))
    } else {
        Err(FactorDuty::Enrol)
    }
}
