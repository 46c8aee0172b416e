//! One requirement of a baseline: its setting and the values that meet it.

use crate::{
    duration::humanize,
    policy::{
        Key, Value,
        catalogue::{Kind, Setting, network_groups},
        pattern::Pattern,
    },
};

/// One requirement of a baseline.
#[derive(Debug, Clone, Copy)]
pub struct BaselineItem {
    /// The setting.
    pub key: Key,
    /// The values that meet it.
    pub accepts: AcceptedValues,
    /// The value that the baseline sets; `None`: the default.
    pub sets: Option<&'static str>,
    /// The section of the source, such as `ASVS 7.3.1`.
    pub asked_by: &'static str,
    /// Why it matters, in one sentence.
    pub why: &'static str,
    /// Another setting that makes sense only together with this one.
    pub with: Option<(Key, &'static str)>,
}

/// The values that meet an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedValues {
    /// A number within these bounds; never and unlimited (-1) are outside.
    Between(i64, i64),
    /// A number of at least this; never and unlimited (-1) are outside.
    AtLeast(i64),
    /// The same, or never.
    AtLeastOrNever(i64),
    /// On, or a number up to this.
    OnOrAtMost(i64),
    /// One of these values, as people write them.
    OneOf(&'static [&'static str]),
    /// A pattern that refuses passwords without a digit or without a letter.
    LettersAndDigits,
    /// The catalogue's default, or stricter.
    Default,
}

impl AcceptedValues {
    /// Returns whether `value` meets it.
    pub fn meets(self, setting: &Setting, value: &Value) -> bool {
        match (self, value) {
            (AcceptedValues::Between(least, most), Value::Number(number)) => (least..=most).contains(number),
            (AcceptedValues::AtLeast(least), Value::Number(number)) => *number >= least,
            (AcceptedValues::AtLeastOrNever(least), Value::Number(number)) => *number == -1 || *number >= least,
            (AcceptedValues::OnOrAtMost(_), Value::Flag(on)) => *on,
            (AcceptedValues::OnOrAtMost(most), Value::Number(number)) => (0..=most).contains(number),
            (AcceptedValues::OneOf(texts), value) => texts.iter().any(|text| setting.parse(text).as_ref() == Ok(value)),
            (AcceptedValues::LettersAndDigits, Value::Text(regex)) => asks_letters_and_digits(regex),
            (AcceptedValues::Default, value) => is_as_strict(setting.key, value, &setting.key.default_value()),
            (
                AcceptedValues::Between(..)
                | AcceptedValues::AtLeast(_)
                | AcceptedValues::AtLeastOrNever(_)
                | AcceptedValues::OnOrAtMost(_)
                | AcceptedValues::LettersAndDigits,
                Value::Flag(_) | Value::Number(_) | Value::Text(_) | Value::List(_),
            ) => false,
        }
    }

    /// Describes the accepted values: `at most 30 minutes`, `on`.
    pub fn describe(self, setting: &Setting) -> String {
        let timed = matches!(setting.kind, Kind::Duration { .. } | Kind::FlagOrDuration);
        let number = |number: i64| if timed { humanize(number) } else { number.to_string() };
        match self {
            AcceptedValues::Between(least, most) if timed || least == 0 => {
                let from = if least > 1 {
                    format!("{} to ", number(least))
                } else {
                    "at most ".to_owned()
                };
                format!("{from}{}", number(most))
            }
            AcceptedValues::Between(least, most) => format!("{least} to {most}"),
            AcceptedValues::AtLeast(least) => format!("at least {}", number(least)),
            AcceptedValues::AtLeastOrNever(least) => {
                format!("at least {}, or until an administrator unlocks", number(least))
            }
            AcceptedValues::OnOrAtMost(most) => format!("on, or at most {}", number(most)),
            AcceptedValues::OneOf(texts) => {
                let shown = |text: &&str| {
                    setting
                        .parse(text)
                        .map_or_else(|_| (*text).to_owned(), |value| setting.display(&value))
                };
                texts.iter().map(shown).collect::<Vec<_>>().join(" or ")
            }
            AcceptedValues::LettersAndDigits => "requires letters and digits".to_owned(),
            AcceptedValues::Default => describe_default(setting),
        }
    }
}

/// Describes the values that are the catalogue's default or stricter: `at most 3`, `off`.
fn describe_default(setting: &Setting) -> String {
    let (key, default) = (setting.key, setting.key.default_value());
    let shown = setting.display(&default);
    let meets = |value: Value| is_as_strict(key, &value, &default);
    match default {
        // Less than never, or than no limit, is always strict enough.
        Value::Number(number) if number <= 0 && meets(Value::Number(1)) => "any value".to_owned(),
        Value::Number(number) if meets(Value::Number(number + 1)) => format!("at least {shown}"),
        Value::Number(number) if meets(Value::Number(number - 1)) => format!("at most {shown}"),
        Value::Flag(false) if meets(Value::Flag(true)) => "off or on".to_owned(),
        Value::Text(_) => match setting.kind {
            Kind::Choice(words) => {
                let met = words.iter().filter(|word| meets(Value::Text((**word).to_owned())));
                met.copied().collect::<Vec<_>>().join(" or ")
            }
            Kind::Duration { .. }
            | Kind::FlagOrDuration
            | Kind::Flag
            | Kind::Number { .. }
            | Kind::Count { .. }
            | Kind::NumberChoice(_)
            | Kind::Text { .. }
            | Kind::Globs
            | Kind::Cidrs
            | Kind::NetworkGroups => shown,
        },
        Value::Number(_) | Value::Flag(_) | Value::List(_) => shown,
    }
}

/// Returns whether a change of a setting requires less than before: the old value was stricter, or
/// the two cannot be compared. A setting that has no stricter direction is never loosened.
pub(super) fn loosens(key: Key, old: &Value, new: &Value) -> bool {
    match (key, old, new) {
        // A different pattern may accept what the old one refused.
        (Key::PasswordRegex, Value::Text(old), _) => {
            !old.is_empty() && !is_as_strict(key, new, &Value::Text(old.clone()))
        }
        (Key::PasswordRegexHint, _, _) => false,
        (Key::AuthExpireSuperusers, old, new) => *old != Value::Flag(false) && *new == Value::Flag(false),
        (Key::AuthLoginAllowList, Value::List(old), Value::List(new)) => {
            new.iter().any(|network| !old.contains(network))
        }
        // A group makes changes between its networks possible that nothing else allowed.
        (Key::SessionNetworkGroups, Value::List(old), Value::List(new)) => {
            !network_groups(new).is_covered_by(&network_groups(old))
        }
        (Key::ActivityIgnoredPaths, _, _) => false,
        (_, old, new) => old != new && is_as_strict(key, old, new),
    }
}

/// Returns whether `value` is equal to `than` or stricter: exceeding a baseline is not a fault.
/// Settings that have no stricter direction (the key of a lock, the allow list) must be equal.
fn is_as_strict(key: Key, value: &Value, than: &Value) -> bool {
    // Unlimited and never (-1) are the longest.
    let length = |number: i64| if number < 0 { i64::MAX } else { number };
    if value == than {
        return true;
    }
    match (key, value, than) {
        (
            Key::SessionTtl
            | Key::AuthIdleSessionTimeout
            | Key::AuthExpiresAfter
            | Key::AuthExpireUnusedAfter
            | Key::SessionRenewalPeriod
            | Key::SessionWindowCloseGrace
            | Key::PasswordMaxAge
            | Key::AuthLoginFailureLimit
            | Key::SessionSessionAllowIpChanges
            | Key::SessionSessionIpChangeGracePeriod,
            Value::Number(value),
            Value::Number(than),
        ) => length(*value) < length(*than),
        // 0 means no limit.
        (
            Key::SessionConcurrentUserSessionLimit | Key::AuthLoginIpCeiling | Key::AuthLoginAccountCeiling,
            Value::Number(value),
            Value::Number(than),
        ) => *value > 0 && (*than == 0 || value < than),
        (
            Key::PasswordMinLength | Key::PasswordMinStrength | Key::PasswordHistory,
            Value::Number(value),
            Value::Number(than),
        ) => value > than,
        (Key::AuthLoginCooloffTime, Value::Number(value), Value::Number(than)) => length(*value) > length(*than),
        (Key::SessionSessionIpSubnetBits, Value::Number(value), Value::Number(than)) => value > than,
        // A number is a separate limit, and true is everyone's.
        (Key::AuthExpireSuperusers, Value::Number(_), Value::Flag(_)) => true,
        (
            Key::AuthChangeDefaultPassword
            | Key::AuthLoginLockOutAtFailure
            | Key::SessionSecure
            | Key::SessionHttpOnly
            | Key::SessionSessionIpValidation
            | Key::SessionSessionUserAgentValidation
            | Key::SessionSessionRotationOnIpChange
            | Key::SessionSessionSecurityAuditLog
            | Key::SessionExpireAtBrowserClose,
            Value::Flag(on),
            Value::Flag(_),
        ) => *on,
        (Key::SessionSameSite, Value::Text(value), Value::Text(_)) => value == "Strict",
        (Key::SessionSessionUserAgentMatch, Value::Text(value), Value::Text(_)) => value == "exact",
        (Key::SessionSessionValidationMode, Value::Text(value), Value::Text(_)) => value == "strict",
        // A pattern requires more than no pattern; its error message requires nothing.
        (Key::PasswordRegex, Value::Text(_), Value::Text(than)) => than.is_empty(),
        (Key::PasswordRegexHint, _, _) => true,
        (_, _, _) => false,
    }
}

fn asks_letters_and_digits(regex: &str) -> bool {
    // Long enough for any minimum length, so that only the missing kind of character can be
    // refused.
    let (letters, digits) = ("aZ".repeat(64), "19".repeat(64));
    !regex.is_empty()
        && Pattern::parse(regex).is_ok_and(|pattern| !pattern.matches(&letters) && !pattern.matches(&digits))
}
