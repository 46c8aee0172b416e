//! Passkeys: whether they can exist under the address of this server, and whether enrolled ones
//! still work.

use super::{DoctorFindings, count, pins_in_force};
use crate::{
    cli::output::format_count,
    config::Config,
    domain::{
        factor::FactorRequirement,
        policy::{Key, Scope, Value, effective::Policy},
    },
    server::maintenance::DatabaseFacts,
};

/// Returns the scopes in which a passkey is required; without a policy, nothing is.
fn scopes_requiring_passkeys(config: &Config, facts: &DatabaseFacts) -> Vec<String> {
    let Ok(Some((revision, document))) = &facts.policy else {
        return Vec::new();
    };
    let policy = Policy::new(*revision, document.clone(), pins_in_force(config, facts), false);
    let required = Value::Text(FactorRequirement::Passkey.as_str().to_owned());
    document
        .scopes()
        .filter(|(scope, set)| *scope == Scope::Everyone || set.contains_key(&Key::FactorRequired))
        .map(|(scope, _)| scope)
        .filter(|scope| policy.value_in(scope, Key::FactorRequired).0 == required)
        .map(|scope| scope.to_string())
        .collect()
}

impl DoctorFindings {
    /// Checks whether passkeys can exist if they are required, and whether enrolled ones belong to
    /// the current passkey domain.
    pub(super) fn check_passkeys(&mut self, config: &Config, facts: &DatabaseFacts) {
        let domain = config.passkey_domain();
        let requiring = scopes_requiring_passkeys(config, facts);
        if domain.is_none() && !requiring.is_empty() {
            let requiring = requiring.join(", ");
            return self.fault(
                "passkeys",
                format!(
                    "factor.required is passkey ({requiring}), but none can exist, because people reach this server by \
                     an IP address: nobody can get in. Set public_url to a name, or relax factor.required"
                ),
            );
        }
        let elsewhere = facts
            .passkeys
            .iter()
            .filter(|(made_for, _)| domain.as_ref() != Some(made_for));
        let dead: Vec<String> = elsewhere
            .map(|(made_for, number)| format!("{} for {made_for}", format_count(count(*number), "passkey", "passkeys")))
            .collect();
        let domain = domain.unwrap_or_else(|| "none, because people reach this server by an IP address".to_owned());
        if dead.is_empty() {
            self.ok("passkeys", format!("domain: {domain}"));
        } else {
            let dead = dead.join(", ");
            let how = "set passkey_domain back, or have their owners enrol others";
            self.warning(
                "passkeys",
                format!("the domain is {domain}, and these work nowhere: {dead}; {how}"),
            );
        }
    }
}
