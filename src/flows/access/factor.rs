//! What a session lacks at a place other than the one that was requested: the page that asks for a
//! second factor asks for what is required where its visitor wants to go.

use super::{
    AdmittedSession,
    rules::{facts_of, rules_at},
};
use crate::{
    domain::{
        application::Application,
        factor::{FactorDuty, FactorRequirement},
        session::factor_duty,
    },
    flows::Ctx,
};

/// A duty and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorDutyAt {
    /// What must be done.
    pub duty: FactorDuty,
    /// What is required.
    pub required: FactorRequirement,
    /// The application that requires it; `None`: the account's own rules require it.
    pub application: Option<String>,
}

/// Returns what an admitted session must do about second factors before it reaches `application`
/// (`None`: Nightlatch's own pages). `None`: nothing.
pub fn factor_duty_at(
    ctx: &Ctx,
    admitted: &AdmittedSession,
    application: Option<&Application>,
) -> Option<FactorDutyAt> {
    let in_force = ctx.in_force();
    let (session, account) = (&admitted.session, &admitted.account);
    let token = session.token(&admitted.token_digest)?;
    let duty_under = |application: Option<&Application>| {
        let policy = rules_at(&in_force, &session.row.applications, account, application);
        let device = session.row.device_evidence(token, None);
        let facts = facts_of(session, token, account, device, &policy);
        let required = policy.factors.required;
        factor_duty(&facts, required, &policy.factors, ctx.now()).map(|duty| (duty, required))
    };
    let own = duty_under(None);
    let in_application = application.and_then(|application| Some((duty_under(Some(application))?, application)));
    match (own, in_application) {
        (Some((duty, required)), None) => Some(FactorDutyAt {
            duty,
            required,
            application: None,
        }),
        (own, Some(((duty, required), application))) => Some(FactorDutyAt {
            duty,
            required,
            application: own
                .is_none_or(|(_, own)| own < required)
                .then(|| application.name.clone()),
        }),
        (None, None) => None,
    }
}
