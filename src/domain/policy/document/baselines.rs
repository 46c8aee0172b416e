//! Named starting points for set-up and posture, as data: which source asks for which values.
//! `session.secure` stands in none of them: set over plain http it would lock the administrator out at once.

use super::{Key, PolicyDocument, Scope};

/// A named starting point.
#[derive(Debug, Clone, Copy)]
pub struct Baseline {
    /// `asvs-l2`.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Document and version that asks for it.
    pub source: &'static str,
    /// One sentence: what it is for.
    pub summary: &'static str,
    /// What it sets, all for everyone.
    pub document: fn() -> PolicyDocument,
}

/// All baselines, the product's own defaults first.
pub fn baselines() -> &'static [Baseline] {
    &[
        Baseline {
            id: "hue",
            title: "Hue's defaults",
            source: "Cloudera Hue documentation, Securing sessions",
            summary: "Two weeks of absolute lifetime, no idle end, moderate validation: nothing that people notice.",
            document: PolicyDocument::default,
        },
        Baseline {
            id: "asvs-l2",
            title: "OWASP ASVS level 2",
            source: "OWASP ASVS 5.0.0, chapters V6 and V7",
            summary: "Half an hour idle, twelve hours in all, lockout on, long passwords: for most applications.",
            document: || document(ASVS_L2),
        },
        Baseline {
            id: "nist-aal2",
            title: "NIST SP 800-63B AAL2",
            source: "NIST SP 800-63B-4 (2025), sections 2.2, 3.1.1 and 3.2.2",
            summary: "An hour idle, a day in all, fifteen characters, throttling, no forced change of passwords.",
            document: || document(NIST_AAL2),
        },
        Baseline {
            id: "pci-dss-4",
            title: "PCI DSS 4",
            source: "PCI DSS 4.0.1 (2024), requirements 8.2 and 8.3",
            summary: "A quarter of an hour idle, locked for half an hour after ten failures, passwords changed each 90 days.",
            document: || document(PCI_DSS_4),
        },
    ]
}

type Settings = &'static [(Key, &'static str)];

/// 7.3.1, 7.3.2 lifetimes; 6.2.1 length; 6.3.1 lockout, keyed so that strangers lock nobody out; 6.4.1 first passwords.
const ASVS_L2: Settings = &[
    (Key::SessionTtl, "12 hours"),
    (Key::AuthIdleSessionTimeout, "30 minutes"),
    (Key::AuthChangeDefaultPassword, "on"),
    (Key::PasswordMinLength, "15"),
    (Key::PasswordMinStrength, "3"),
    (Key::AuthLoginLockOutAtFailure, "on"),
    (Key::AuthLoginFailureLimit, "5"),
    (Key::AuthLoginCooloffTime, "15 minutes"),
    (Key::AuthLoginLockOutByCombinationUserAndIp, "on"),
    (Key::SessionHttpOnly, "on"),
    (Key::SessionSameSite, "Lax"),
    (Key::SessionSessionValidationMode, "moderate"),
];

/// 2.2.3 reauthentication; 3.1.1.2 length without composition or rotation; 3.2.2 at most 100 failures per account.
const NIST_AAL2: Settings = &[
    (Key::SessionTtl, "24 hours"),
    (Key::AuthIdleSessionTimeout, "1 hour"),
    (Key::AuthChangeDefaultPassword, "on"),
    (Key::PasswordMinLength, "15"),
    (Key::PasswordMinStrength, "3"),
    (Key::PasswordMaxAge, "never"),
    (Key::AuthLoginLockOutAtFailure, "on"),
    (Key::AuthLoginFailureLimit, "10"),
    (Key::AuthLoginCooloffTime, "15 minutes"),
    (Key::AuthLoginLockOutByCombinationUserAndIp, "on"),
    (Key::AuthLoginAccountCeiling, "100"),
    (Key::SessionHttpOnly, "on"),
    (Key::SessionExpireAtBrowserClose, "on"),
];

/// 8.2.6 unused accounts; 8.2.8 idle; 8.3.4 lockout of the user id; 8.3.5 first passwords; 8.3.6 length with letters
/// and digits; 8.3.7 history; 8.3.9 age while the password is the only factor.
const PCI_DSS_4: Settings = &[
    (Key::SessionTtl, "12 hours"),
    (Key::AuthIdleSessionTimeout, "15 minutes"),
    (Key::AuthChangeDefaultPassword, "on"),
    (Key::AuthExpiresAfter, "90 days"),
    (Key::AuthExpireUnusedAfter, "90 days"),
    (Key::PasswordMinLength, "12"),
    (Key::PasswordHistory, "4"),
    (Key::PasswordMaxAge, "90 days"),
    (Key::PasswordRegex, "^(?=.*[A-Za-z])(?=.*[0-9])"),
    (
        Key::PasswordRegexHint,
        "The password must have both letters and digits.",
    ),
    (Key::AuthLoginLockOutAtFailure, "on"),
    (Key::AuthLoginFailureLimit, "10"),
    (Key::AuthLoginCooloffTime, "30 minutes"),
    (Key::AuthLoginLockOutByCombinationUserAndIp, "on"),
    (Key::AuthLoginAccountCeiling, "10"),
    (Key::SessionHttpOnly, "on"),
];

fn document(settings: Settings) -> PolicyDocument {
    let mut document = PolicyDocument::default();
    for (key, text) in settings {
        // A text that does not parse would be missing; a test holds that none is.
        if let Ok(value) = key.setting().parse(text) {
            document.set(&Scope::Everyone, *key, value);
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_baseline_parses() {
        for (key, text) in [ASVS_L2, NIST_AAL2, PCI_DSS_4].into_iter().flatten() {
            assert!(key.setting().parse(text).is_ok(), "{key} = {text}");
        }
    }
}
