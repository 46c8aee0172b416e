//! The named baselines, as data: their requirements and sources, and the values that setup and
//! drafts set. `posture` compares a policy with them.

use std::sync::LazyLock;

use super::requirement::{AcceptedValues, BaselineItem};
use crate::policy::{Key, PolicyDocument, Scope};

/// A named baseline.
#[derive(Debug, Clone, Copy)]
pub struct Baseline {
    /// The identifier, such as `asvs-l2`.
    pub id: &'static str,
    /// The title on screens.
    pub title: &'static str,
    /// The document and version that defines it.
    pub source: &'static str,
    /// Its purpose, in one sentence.
    pub summary: &'static str,
    /// Its requirements.
    pub items: fn() -> &'static [BaselineItem],
    /// Further values that setup sets for everyone, where the source requires nothing or gives no
    /// number.
    pub besides: &'static [(Key, &'static str)],
}

/// Returns all baselines, the product's own defaults first.
pub fn baselines() -> &'static [Baseline] {
    &[HUE, ASVS_L2, NIST_AAL2, PCI_DSS_4]
}

impl Baseline {
    /// Finds a baseline by its ID.
    pub fn find(id: &str) -> Option<&'static Baseline> {
        baselines().iter().find(|baseline| baseline.id == id)
    }

    /// Returns the policy with which setup starts. `session.secure` is left out: over plain http it
    /// would lock the administrator out immediately. `factor.required` is left out too: no one has
    /// a second factor yet, and it is rolled out step by step (docs/factors.md).
    pub fn document(&self) -> PolicyDocument {
        let left_out = [Key::SessionSecure, Key::FactorRequired];
        let items = (self.items)().iter().filter(|item| !left_out.contains(&item.key));
        let asked = items.flat_map(|item| item.sets.map(|text| (item.key, text)).into_iter().chain(item.with));
        let mut document = PolicyDocument::default();
        for (key, text) in asked.chain(self.besides.iter().copied()) {
            // A text that does not parse would be missing; a test checks that there is none.
            if let Ok(value) = key.setting().parse(text) {
                document.set(&Scope::Everyone, key, value);
            }
        }
        document
    }
}

const HUE: Baseline = Baseline {
    id: "hue",
    title: "Hue's defaults",
    source: "Cloudera Hue documentation, Securing sessions",
    summary: "Two weeks absolute lifetime, no idle timeout, moderate validation: barely noticeable.",
    items: || &HUE_ITEMS,
    besides: &[],
};

const ASVS_L2: Baseline = Baseline {
    id: "asvs-l2",
    title: "OWASP ASVS level 2",
    source: "OWASP ASVS 5.0.0, chapters V3, V6, V7 and V16",
    summary: "30 minutes idle timeout, 12 hours absolute lifetime, lockout, long passwords: for most applications.",
    items: || ASVS_L2_ITEMS,
    besides: &[
        (Key::AuthLoginFailureLimit, "5"),
        (Key::AuthLoginCooloffTime, "15 minutes"),
        (Key::SessionSessionValidationMode, "moderate"),
    ],
};

const NIST_AAL2: Baseline = Baseline {
    id: "nist-aal2",
    title: "NIST SP 800-63B AAL2",
    source: "NIST SP 800-63B-4 (2025), sections 2.2, 3.1.1.2, 3.2.2 and 5.1.1",
    summary: "1 hour idle timeout, 1 day absolute lifetime, 15 characters, rate limiting, no forced password changes.",
    items: || NIST_AAL2_ITEMS,
    besides: &[
        (Key::AuthChangeDefaultPassword, "on"),
        (Key::AuthLoginLockOutAtFailure, "on"),
        (Key::AuthLoginFailureLimit, "10"),
        (Key::AuthLoginCooloffTime, "15 minutes"),
        (Key::AuthLoginLockOutByCombinationUserAndIp, "on"),
        (Key::SessionExpireAtBrowserClose, "on"),
    ],
};

const PCI_DSS_4: Baseline = Baseline {
    id: "pci-dss-4",
    title: "PCI DSS 4",
    source: "PCI DSS 4.0.1 (2024), requirements 8.2 to 8.4 and 10.2",
    summary: "15 minutes idle timeout, 30 minutes lockout after 10 failures, passwords changed every 90 days.",
    items: || PCI_DSS_4_ITEMS,
    besides: &[
        (Key::SessionTtl, "12 hours"),
        (Key::AuthLoginLockOutByCombinationUserAndIp, "on"),
        (Key::SessionHttpOnly, "on"),
    ],
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

const fn item(
    key: Key,
    accepts: AcceptedValues,
    sets: &'static str,
    asked_by: &'static str,
    why: &'static str,
) -> BaselineItem {
    BaselineItem {
        key,
        accepts,
        sets: Some(sets),
        asked_by,
        why,
        with: None,
    }
}

const ON: AcceptedValues = AcceptedValues::OneOf(&["on"]);
const SECOND_FACTOR: AcceptedValues = AcceptedValues::OneOf(&["any", "passkey"]);

/// Hue's defaults, for the settings that come from Hue.
static HUE_ITEMS: LazyLock<Vec<BaselineItem>> = LazyLock::new(|| {
    let settings = Key::ALL.iter().map(|key| key.setting());
    settings
        .filter(|setting| setting.source.contains("Hue"))
        .map(|setting| BaselineItem {
            key: setting.key,
            accepts: AcceptedValues::Default,
            sets: None,
            asked_by: "Hue",
            why: setting.effect,
            with: None,
        })
        .collect()
});

const ASVS_L2_ITEMS: &[BaselineItem] = &[
    item(
        Key::SessionTtl,
        AcceptedValues::Between(1, DAY),
        "12 hours",
        "ASVS 7.3.2",
        "A session must end at some time even if it is active. ASVS gives no number; NIST, to which it refers, allows \
         a day.",
    ),
    item(
        Key::AuthIdleSessionTimeout,
        AcceptedValues::Between(1, HOUR),
        "30 minutes",
        "ASVS 7.3.1",
        "A session left open must end automatically. ASVS gives no number; NIST, to which it refers, allows an hour.",
    ),
    item(
        Key::PasswordMinLength,
        AcceptedValues::AtLeast(8),
        "15",
        "ASVS 6.2.1",
        "Short passwords are easy to guess. Eight characters are required, fifteen strongly recommended.",
    ),
    item(
        Key::PasswordMinStrength,
        AcceptedValues::AtLeast(2),
        "3",
        "ASVS 6.2.4",
        "Attackers try common passwords first; zxcvbn gives them 0 or 1.",
    ),
    BaselineItem {
        sets: None,
        ..item(
            Key::PasswordRegex,
            AcceptedValues::OneOf(&[""]),
            "",
            "ASVS 6.2.5",
            "Rules of composition make passwords predictable, not strong.",
        )
    },
    item(
        Key::PasswordMaxAge,
        AcceptedValues::OneOf(&["never"]),
        "never",
        "ASVS 6.2.10",
        "People who must change their password every quarter choose weaker ones.",
    ),
    item(
        Key::AuthChangeDefaultPassword,
        ON,
        "on",
        "ASVS 6.4.1",
        "An initial password that someone else knows must not become permanent.",
    ),
    item(
        Key::AuthLoginLockOutAtFailure,
        ON,
        "on",
        "ASVS 6.3.1",
        "Without it only the two ceilings limit password attempts.",
    ),
    item(
        Key::AuthLoginAccountCeiling,
        AcceptedValues::Between(1, 100),
        "100",
        "ASVS 6.3.1",
        "Limits password attempts on one account from many addresses.",
    ),
    item(
        Key::AuthLoginLockOutByCombinationUserAndIp,
        ON,
        "on",
        "ASVS 6.1.1",
        "With a lock on the pair of user and IP address, strangers cannot lock users out, and one colleague cannot \
         lock out the office.",
    ),
    item(
        Key::SessionSecure,
        ON,
        "on",
        "ASVS 3.3.1",
        "Over plain http anyone on the network path can read the cookie.",
    ),
    item(
        Key::SessionSameSite,
        AcceptedValues::OneOf(&["Lax", "Strict"]),
        "Lax",
        "ASVS 3.3.2",
        "Keeps other sites from acting on behalf of signed-in users.",
    ),
    item(
        Key::SessionHttpOnly,
        ON,
        "on",
        "ASVS 3.3.4",
        "A script injected into a page cannot steal the session.",
    ),
    item(
        Key::SessionSessionSecurityAuditLog,
        ON,
        "on",
        "ASVS 16.3.3",
        "Attempts to use a session from elsewhere are visible only if they are recorded.",
    ),
    item(
        Key::FactorRequired,
        SECOND_FACTOR,
        "any",
        "ASVS 6.3.3",
        "A password that was stolen or guessed is not enough to get in.",
    ),
];

const NIST_AAL2_ITEMS: &[BaselineItem] = &[
    item(
        Key::SessionTtl,
        AcceptedValues::Between(1, DAY),
        "24 hours",
        "SP 800-63B 2.2.3",
        "Users sign in again at least once a day.",
    ),
    item(
        Key::AuthIdleSessionTimeout,
        AcceptedValues::Between(1, HOUR),
        "1 hour",
        "SP 800-63B 2.2.3",
        "A session left open must end automatically.",
    ),
    item(
        Key::PasswordMinLength,
        AcceptedValues::AtLeast(15),
        "15",
        "SP 800-63B 3.1.1.2",
        "Only length makes a password that is the only factor hard to guess.",
    ),
    item(
        Key::PasswordMinStrength,
        AcceptedValues::AtLeast(2),
        "3",
        "SP 800-63B 3.1.1.2",
        "Commonly used passwords are refused; zxcvbn gives them 0 or 1.",
    ),
    BaselineItem {
        sets: None,
        ..item(
            Key::PasswordRegex,
            AcceptedValues::OneOf(&[""]),
            "",
            "SP 800-63B 3.1.1.2",
            "Rules of composition make passwords predictable, not strong.",
        )
    },
    item(
        Key::PasswordMaxAge,
        AcceptedValues::OneOf(&["never"]),
        "never",
        "SP 800-63B 3.1.1.2",
        "Passwords should change when there is evidence of compromise, not periodically.",
    ),
    item(
        Key::AuthLoginAccountCeiling,
        AcceptedValues::Between(1, 100),
        "100",
        "SP 800-63B 3.2.2",
        "At most 100 failures on one account, from all addresses together.",
    ),
    item(
        Key::SessionSecure,
        ON,
        "on",
        "SP 800-63B 5.1.1",
        "Over plain http anyone on the network path can read the cookie.",
    ),
    item(
        Key::SessionHttpOnly,
        ON,
        "on",
        "SP 800-63B 5.1.1",
        "A script injected into a page cannot steal the session.",
    ),
    item(
        Key::SessionSameSite,
        AcceptedValues::OneOf(&["Lax", "Strict"]),
        "Lax",
        "SP 800-63B 5.1.1",
        "Keeps other sites from acting on behalf of signed-in users.",
    ),
    item(
        Key::FactorRequired,
        SECOND_FACTOR,
        "any",
        "SP 800-63B 2.2.1",
        "Two different factors are proved at each sign-in; passkeys also resist phishing (2.2.2).",
    ),
    BaselineItem {
        sets: None,
        ..item(
            Key::FactorTrustedBrowser,
            AcceptedValues::OneOf(&["off"]),
            "",
            "SP 800-63B 2.2.3",
            "After a day both factors are proved again; a browser that is remembered proves neither.",
        )
    },
];

const PCI_DSS_4_ITEMS: &[BaselineItem] = &[
    item(
        Key::AuthIdleSessionTimeout,
        AcceptedValues::Between(1, HOUR / 4),
        "15 minutes",
        "PCI DSS 8.2.8",
        "A session left open at an unattended desk must end soon.",
    ),
    item(
        Key::AuthExpiresAfter,
        AcceptedValues::Between(0, 90 * DAY),
        "90 days",
        "PCI DSS 8.2.6",
        "The theft of an unused account goes unnoticed.",
    ),
    item(
        Key::AuthExpireUnusedAfter,
        AcceptedValues::Between(0, 90 * DAY),
        "90 days",
        "PCI DSS 8.2.6",
        "The same applies to accounts that were never used.",
    ),
    item(
        Key::AuthExpireSuperusers,
        AcceptedValues::OnOrAtMost(90 * DAY),
        "on",
        "PCI DSS 8.2.6",
        "Administrators' accounts are no exception.",
    ),
    item(
        Key::AuthChangeDefaultPassword,
        ON,
        "on",
        "PCI DSS 8.3.5",
        "An initial password must be changed immediately after its first use.",
    ),
    item(
        Key::PasswordMinLength,
        AcceptedValues::AtLeast(12),
        "12",
        "PCI DSS 8.3.6",
        "Short passwords are easy to guess.",
    ),
    BaselineItem {
        with: Some((
            Key::PasswordRegexHint,
            "The password must contain both letters and digits.",
        )),
        ..item(
            Key::PasswordRegex,
            AcceptedValues::LettersAndDigits,
            "^(?=.*[A-Za-z])(?=.*[0-9])",
            "PCI DSS 8.3.6",
            "Passwords must contain both letters and digits.",
        )
    },
    item(
        Key::PasswordHistory,
        AcceptedValues::AtLeast(4),
        "4",
        "PCI DSS 8.3.7",
        "The last four passwords cannot be reused.",
    ),
    item(
        Key::PasswordMaxAge,
        AcceptedValues::Between(1, 90 * DAY),
        "90 days",
        "PCI DSS 8.3.9",
        "Required while the password is the only factor.",
    ),
    item(
        Key::AuthLoginLockOutAtFailure,
        ON,
        "on",
        "PCI DSS 8.3.4",
        "Repeated failures must lock the account.",
    ),
    item(
        Key::AuthLoginFailureLimit,
        AcceptedValues::Between(1, 10),
        "10",
        "PCI DSS 8.3.4",
        "The lock must begin after at most ten attempts.",
    ),
    item(
        Key::AuthLoginCooloffTime,
        AcceptedValues::AtLeastOrNever(HOUR / 2),
        "30 minutes",
        "PCI DSS 8.3.4",
        "The lock must last at least 30 minutes, or until an administrator has verified the user.",
    ),
    item(
        Key::AuthLoginAccountCeiling,
        AcceptedValues::Between(1, 10),
        "10",
        "PCI DSS 8.3.4",
        "The limit applies to the account: attempts from many addresses count together.",
    ),
    item(
        Key::SessionSessionSecurityAuditLog,
        ON,
        "on",
        "PCI DSS 10.2.1.4",
        "Every refused sign-in must be recorded.",
    ),
    item(
        Key::FactorRequired,
        SECOND_FACTOR,
        "any",
        "PCI DSS 8.4.2",
        "All access asks for two factors, that of administrators above all (8.4.1).",
    ),
];

#[cfg(test)]
mod tests;
