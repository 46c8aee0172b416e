//! The named baselines, as data: what each source asks for, where, and what set-up and drafts set to meet it.
//! Judging a policy by them is `posture`'s.

use std::sync::LazyLock;

use super::{Accepts, Item};
use crate::domain::policy::{Key, PolicyDocument, Scope};

/// A named baseline.
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
    /// What it asks for.
    pub items: fn() -> &'static [Item],
    /// What set-up sets besides, all for everyone: fitting values where the source asks for nothing, or for no number.
    pub besides: &'static [(Key, &'static str)],
}

/// All baselines, the product's own defaults first.
pub fn baselines() -> &'static [Baseline] {
    &[HUE, ASVS_L2, NIST_AAL2, PCI_DSS_4]
}

impl Baseline {
    /// The baseline of that id.
    pub fn find(id: &str) -> Option<&'static Baseline> {
        baselines().iter().find(|baseline| baseline.id == id)
    }

    /// What set-up starts from. `session.secure` is left out: set over plain http it would lock the administrator out
    /// at once.
    pub fn document(&self) -> PolicyDocument {
        let items = (self.items)().iter().filter(|item| item.key != Key::SessionSecure);
        let asked = items.flat_map(|item| item.sets.map(|text| (item.key, text)).into_iter().chain(item.with));
        let mut document = PolicyDocument::default();
        for (key, text) in asked.chain(self.besides.iter().copied()) {
            // A text that does not parse would be missing; a test holds that none is.
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
    summary: "Two weeks of absolute lifetime, no idle end, moderate validation: nothing that people notice.",
    items: || &HUE_ITEMS,
    besides: &[],
};

const ASVS_L2: Baseline = Baseline {
    id: "asvs-l2",
    title: "OWASP ASVS level 2",
    source: "OWASP ASVS 5.0.0, chapters V3, V6, V7 and V16",
    summary: "Half an hour idle, twelve hours in all, lockout on, long passwords: for most applications.",
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
    source: "NIST SP 800-63B-4 (2025), sections 2.2.3, 3.1.1.2, 3.2.2 and 5.1.1",
    summary: "An hour idle, a day in all, fifteen characters, throttling, no forced change of passwords.",
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
    source: "PCI DSS 4.0.1 (2024), requirements 8.2, 8.3 and 10.2",
    summary: "A quarter of an hour idle, locked for half an hour after ten failures, passwords changed each 90 days.",
    items: || PCI_DSS_4_ITEMS,
    besides: &[
        (Key::SessionTtl, "12 hours"),
        (Key::AuthLoginLockOutByCombinationUserAndIp, "on"),
        (Key::SessionHttpOnly, "on"),
    ],
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

const fn item(key: Key, accepts: Accepts, sets: &'static str, asked_by: &'static str, why: &'static str) -> Item {
    Item {
        key,
        accepts,
        sets: Some(sets),
        asked_by,
        why,
        with: None,
    }
}

const ON: Accepts = Accepts::OneOf(&["on"]);

/// What Hue has, where the setting is Hue's.
static HUE_ITEMS: LazyLock<Vec<Item>> = LazyLock::new(|| {
    let settings = Key::ALL.iter().map(|key| key.setting());
    settings
        .filter(|setting| setting.source.contains("Hue"))
        .map(|setting| Item {
            key: setting.key,
            accepts: Accepts::Default,
            sets: None,
            asked_by: "Hue",
            why: setting.effect,
            with: None,
        })
        .collect()
});

const ASVS_L2_ITEMS: &[Item] = &[
    item(
        Key::SessionTtl,
        Accepts::Between(1, DAY),
        "12 hours",
        "ASVS 7.3.2",
        "A session has an end that no activity moves. ASVS names no number; NIST, to which it refers, allows a day.",
    ),
    item(
        Key::AuthIdleSessionTimeout,
        Accepts::Between(1, HOUR),
        "30 minutes",
        "ASVS 7.3.1",
        "A session left open ends by itself. ASVS names no number; NIST, to which it refers, allows an hour.",
    ),
    item(
        Key::PasswordMinLength,
        Accepts::AtLeast(8),
        "15",
        "ASVS 6.2.1",
        "Short passwords are guessed. Eight characters are required, fifteen strongly recommended.",
    ),
    item(
        Key::PasswordMinStrength,
        Accepts::AtLeast(2),
        "3",
        "ASVS 6.2.4",
        "Passwords that many people have are tried first; zxcvbn gives them 0 or 1.",
    ),
    Item {
        sets: None,
        ..item(
            Key::PasswordRegex,
            Accepts::Default,
            "",
            "ASVS 6.2.5",
            "Rules of composition make passwords predictable, not strong.",
        )
    },
    item(
        Key::PasswordMaxAge,
        Accepts::OneOf(&["never"]),
        "never",
        "ASVS 6.2.10",
        "Whoever must change a password each quarter chooses weaker ones.",
    ),
    item(
        Key::AuthChangeDefaultPassword,
        ON,
        "on",
        "ASVS 6.4.1",
        "A first password that somebody else knows must not become the lasting one.",
    ),
    item(
        Key::AuthLoginLockOutAtFailure,
        ON,
        "on",
        "ASVS 6.3.1",
        "Without it nothing but the two ceilings holds up guessing.",
    ),
    item(
        Key::AuthLoginAccountCeiling,
        Accepts::Between(1, 100),
        "100",
        "ASVS 6.3.1",
        "Holds up guesses at one account that come from everywhere.",
    ),
    item(
        Key::AuthLoginLockOutByCombinationUserAndIp,
        ON,
        "on",
        "ASVS 6.1.1",
        "Locking a pair of name and address keeps strangers from locking people out, and one colleague from locking the office.",
    ),
    item(
        Key::SessionSecure,
        ON,
        "on",
        "ASVS 3.3.1",
        "Over plain http anybody on the way can read the cookie.",
    ),
    item(
        Key::SessionSameSite,
        Accepts::OneOf(&["Lax", "Strict"]),
        "Lax",
        "ASVS 3.3.2",
        "Keeps other sites from acting in the name of whoever is signed in.",
    ),
    item(
        Key::SessionHttpOnly,
        ON,
        "on",
        "ASVS 3.3.4",
        "A script that gets onto the page cannot carry the session away.",
    ),
    item(
        Key::SessionSessionSecurityAuditLog,
        ON,
        "on",
        "ASVS 16.3.3",
        "Attempts to use a session from elsewhere are seen only if they are recorded.",
    ),
];

const NIST_AAL2_ITEMS: &[Item] = &[
    item(
        Key::SessionTtl,
        Accepts::Between(1, DAY),
        "24 hours",
        "SP 800-63B 2.2.3",
        "People prove anew who they are, at least once a day.",
    ),
    item(
        Key::AuthIdleSessionTimeout,
        Accepts::Between(1, HOUR),
        "1 hour",
        "SP 800-63B 2.2.3",
        "A session left open ends by itself.",
    ),
    item(
        Key::PasswordMinLength,
        Accepts::AtLeast(15),
        "15",
        "SP 800-63B 3.1.1.2",
        "Length is what makes a password that is the only factor hard to guess.",
    ),
    item(
        Key::PasswordMinStrength,
        Accepts::AtLeast(2),
        "3",
        "SP 800-63B 3.1.1.2",
        "Commonly used passwords are refused; zxcvbn gives them 0 or 1.",
    ),
    Item {
        sets: None,
        ..item(
            Key::PasswordRegex,
            Accepts::Default,
            "",
            "SP 800-63B 3.1.1.2",
            "Rules of composition make passwords predictable, not strong.",
        )
    },
    item(
        Key::PasswordMaxAge,
        Accepts::OneOf(&["never"]),
        "never",
        "SP 800-63B 3.1.1.2",
        "Passwords are changed when there is evidence that they are known, not by the calendar.",
    ),
    item(
        Key::AuthLoginAccountCeiling,
        Accepts::Between(1, 100),
        "100",
        "SP 800-63B 3.2.2",
        "At most a hundred failures on one account, wherever they come from.",
    ),
    item(
        Key::SessionSecure,
        ON,
        "on",
        "SP 800-63B 5.1.1",
        "Over plain http anybody on the way can read the cookie.",
    ),
    item(
        Key::SessionHttpOnly,
        ON,
        "on",
        "SP 800-63B 5.1.1",
        "A script that gets onto the page cannot carry the session away.",
    ),
    item(
        Key::SessionSameSite,
        Accepts::OneOf(&["Lax", "Strict"]),
        "Lax",
        "SP 800-63B 5.1.1",
        "Keeps other sites from acting in the name of whoever is signed in.",
    ),
];

const PCI_DSS_4_ITEMS: &[Item] = &[
    item(
        Key::AuthIdleSessionTimeout,
        Accepts::Between(1, HOUR / 4),
        "15 minutes",
        "PCI DSS 8.2.8",
        "A desk that somebody left is not a desk that somebody else may use.",
    ),
    item(
        Key::AuthExpiresAfter,
        Accepts::Between(0, 90 * DAY),
        "90 days",
        "PCI DSS 8.2.6",
        "Accounts that nobody uses are the ones whose theft nobody notices.",
    ),
    item(
        Key::AuthExpireUnusedAfter,
        Accepts::Between(0, 90 * DAY),
        "90 days",
        "PCI DSS 8.2.6",
        "The same for accounts that never were used.",
    ),
    item(
        Key::AuthExpireSuperusers,
        Accepts::OnOrAtMost(90 * DAY),
        "on",
        "PCI DSS 8.2.6",
        "Administrators' accounts are no exception.",
    ),
    item(
        Key::AuthChangeDefaultPassword,
        ON,
        "on",
        "PCI DSS 8.3.5",
        "A first password is changed at once after its first use.",
    ),
    item(
        Key::PasswordMinLength,
        Accepts::AtLeast(12),
        "12",
        "PCI DSS 8.3.6",
        "Short passwords are guessed.",
    ),
    Item {
        with: Some((
            Key::PasswordRegexHint,
            "The password must have both letters and digits.",
        )),
        ..item(
            Key::PasswordRegex,
            Accepts::LettersAndDigits,
            "^(?=.*[A-Za-z])(?=.*[0-9])",
            "PCI DSS 8.3.6",
            "Letters and digits are both asked for.",
        )
    },
    item(
        Key::PasswordHistory,
        Accepts::AtLeast(4),
        "4",
        "PCI DSS 8.3.7",
        "The last four passwords do not come back.",
    ),
    item(
        Key::PasswordMaxAge,
        Accepts::Between(1, 90 * DAY),
        "90 days",
        "PCI DSS 8.3.9",
        "Asked for while the password is the only factor.",
    ),
    item(
        Key::AuthLoginLockOutAtFailure,
        ON,
        "on",
        "PCI DSS 8.3.4",
        "Guessing ends in a lock.",
    ),
    item(
        Key::AuthLoginFailureLimit,
        Accepts::Between(1, 10),
        "10",
        "PCI DSS 8.3.4",
        "After at most ten attempts.",
    ),
    item(
        Key::AuthLoginCooloffTime,
        Accepts::AtLeastOrNever(HOUR / 2),
        "30 minutes",
        "PCI DSS 8.3.4",
        "For half an hour at least, or until somebody has made sure who it is.",
    ),
    item(
        Key::AuthLoginAccountCeiling,
        Accepts::Between(1, 10),
        "10",
        "PCI DSS 8.3.4",
        "The limit is the account's: attempts from many addresses count together.",
    ),
    item(
        Key::SessionSessionSecurityAuditLog,
        ON,
        "on",
        "PCI DSS 10.2.1.4",
        "Every refused attempt to get in is recorded.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_baseline_parses_and_meets_what_it_asks() {
        for baseline in baselines() {
            for item in (baseline.items)() {
                let setting = item.key.setting();
                let value = item
                    .sets
                    .map_or_else(|| item.key.default_value(), |text| setting.parse(text).expect("parses"));
                assert!(item.accepts.meets(setting, &value), "{} {}", baseline.id, item.key);
            }
            for (key, text) in (baseline.items)()
                .iter()
                .filter_map(|item| item.with)
                .chain(baseline.besides.iter().copied())
            {
                assert!(key.setting().parse(text).is_ok(), "{key} = {text}");
            }
        }
    }
}
