//! Checks of the secrets that the database keeps sealed.

use super::{DoctorFindings, count};
use crate::{cli::output::format_count, config::Config, server::maintenance::DatabaseFacts};

impl DoctorFindings {
    /// Checks whether the configured keys open the secrets of authenticator apps and of sources,
    /// and where the key is stored.
    pub(super) fn check_sealed_secrets(&mut self, config: &Config, facts: &DatabaseFacts) {
        let is_lost = |key: &str| !facts.factor_keys.as_ref().is_some_and(|keys| keys.has(key));
        let lost: i64 = facts
            .sealed_secrets
            .iter()
            .filter(|(key, _)| is_lost(key))
            .map(|(_, number)| number)
            .sum();
        let all: i64 = facts.sealed_secrets.iter().map(|(_, number)| number).sum();
        if lost > 0 {
            let secrets = format_count(count(lost), "authenticator secret", "authenticator secrets");
            let how = "put the key back into secret_key, or reset the factors of those accounts";
            self.fault(
                "factor_keys",
                format!("{secrets} cannot be opened: the key is gone; {how}"),
            );
        } else if all > 0 && config.secret_keys.is_empty() {
            let why = "the key that seals authenticator secrets lies in the same database: a copy of it opens them \
                       all; set NIGHTLATCH_SECRET_KEY_FILE to the generated key, and a new one in front of it";
            self.warning("factor_keys", why);
        } else {
            self.ok("factor_keys", "every authenticator secret opens");
        }
        let of_sources = facts.source_secrets.iter().filter(|(key, _)| is_lost(key));
        let lost: i64 = of_sources.map(|(_, number)| number).sum();
        if lost > 0 {
            let how = "put the key back into secret_key, or enter the secrets again: nightlatch source set NAME \
                       --secret-file FILE";
            let secrets = format_count(count(lost), "secret of a source", "secrets of sources");
            self.fault(
                "source_keys",
                format!("{secrets} cannot be opened: the key is gone; {how}"),
            );
        } else if !facts.source_secrets.is_empty() {
            self.ok("source_keys", "every secret of a source opens");
        }
    }
}
