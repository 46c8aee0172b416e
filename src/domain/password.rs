//! Which new passwords are accepted, and when a password must be changed. A password is compared in
//! its normal form ([`normalize`]), but never trimmed or case-folded.

use super::{
    policy::effective::PasswordPolicy,
    text,
    time::{Span, Timestamp},
};

/// Converts a password to the form in which it is hashed: Unicode NFKC (NIST SP 800-63B-4,
/// 3.1.1.2), so that é typed as one character or as two is the same password.
pub fn normalize(password: &str) -> std::borrow::Cow<'_, str> {
    text::normalize(password)
}

/// Maximum length of a password in characters. A longer one is refused before hashing, never cut.
pub const MAX_CHARS: usize = 128;

/// The product's name, which attackers try first (ASVS 6.1.2).
const PRODUCT: &str = "nightlatch";

/// Facts that decide whether a new password is accepted.
pub struct NewPasswordFacts<'a> {
    /// The password, as typed.
    pub new: &'a str,
    /// The repetition, if the form asks for one.
    pub again: Option<&'a str>,
    /// Words about the account: name, display name, email address.
    pub account_words: &'a [&'a str],
    /// Whether it equals the current password or an earlier one (the caller compares the hashes).
    pub reused: Reuse,
}

/// Whether the account has had this password before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// No.
    No,
    /// It is the current password.
    Current,
    /// It is an earlier password.
    History,
}

/// The reason why a new password is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFault {
    /// Empty or nothing but white space.
    Blank,
    /// The repetition differs.
    Mismatch,
    /// Fewer characters than the policy requires.
    TooShort {
        /// `password.min_length`.
        min: usize,
    },
    /// More than [`MAX_CHARS`].
    TooLong,
    /// Too easy to guess.
    TooWeak {
        /// Its zxcvbn score.
        score: u8,
        /// `password.min_strength`.
        min: u8,
        /// Advice for a stronger password.
        advice: String,
    },
    /// An earlier password.
    Reused,
    /// The current password.
    SameAsCurrent,
    /// `password.regex` does not match.
    Pattern {
        /// `password.regex_hint`.
        hint: String,
    },
    /// A control character, which some keyboards cannot type and some programs cut off.
    Control,
    /// A word about the account with little around it.
    OwnWord {
        /// That word.
        word: String,
    },
}

impl PasswordFault {
    /// Returns the message that is shown beside the field.
    pub fn message(&self) -> String {
        match self {
            PasswordFault::Blank => "Enter a new password.".into(),
            PasswordFault::Mismatch => "The two new passwords differ.".into(),
            PasswordFault::TooShort { min } => format!("Use at least {min} characters."),
            PasswordFault::TooLong => format!("Use at most {MAX_CHARS} characters."),
            PasswordFault::TooWeak { advice, .. } => format!("This password is too easy to guess. {advice}"),
            PasswordFault::Reused => "You have used this password before.".into(),
            PasswordFault::SameAsCurrent => "The new password must differ from the current one.".into(),
            PasswordFault::Pattern { hint } if hint.is_empty() => {
                "The password does not match the pattern that your administrator requires.".into()
            }
            PasswordFault::Pattern { hint } => hint.clone(),
            PasswordFault::Control => "Leave out control characters such as tabs and line breaks.".into(),
            PasswordFault::OwnWord { word } => {
                format!("Do not build the password around “{word}”: attackers try that first.")
            }
        }
    }
}

/// Returns all faults of a new password; empty: accepted.
pub fn decide(facts: &NewPasswordFacts, policy: &PasswordPolicy) -> Vec<PasswordFault> {
    if facts.new.trim().is_empty() || facts.new.chars().all(|c| c.is_whitespace() || text::is_invisible(c)) {
        return vec![PasswordFault::Blank];
    }
    let mut faults = judged(facts, policy);
    // The repetition's field comes after the password's.
    if facts
        .again
        .is_some_and(|again| normalize(again) != normalize(facts.new))
    {
        faults.push(PasswordFault::Mismatch);
    }
    faults
}

/// Returns the faults of the password itself.
fn judged(facts: &NewPasswordFacts, policy: &PasswordPolicy) -> Vec<PasswordFault> {
    let mut faults = Vec::new();
    // A password that is too long is not examined further, so that the work stays bounded.
    if facts.new.chars().nth(MAX_CHARS).is_some() {
        faults.push(PasswordFault::TooLong);
        return faults;
    }
    if facts.new.chars().count() < policy.min_length {
        faults.push(PasswordFault::TooShort { min: policy.min_length });
    }
    if facts.new.chars().any(char::is_control) {
        faults.push(PasswordFault::Control);
    }
    match facts.reused {
        Reuse::No => {}
        Reuse::Current => faults.push(PasswordFault::SameAsCurrent),
        Reuse::History => faults.push(PasswordFault::Reused),
    }
    if policy.regex.as_ref().is_some_and(|pattern| !pattern.matches(facts.new)) {
        faults.push(PasswordFault::Pattern {
            hint: policy.regex_hint.clone(),
        });
    }
    let account_words = account_words(facts.account_words);
    match find_base_word(facts.new, &account_words) {
        Some(word) => faults.push(PasswordFault::OwnWord { word }),
        None => faults.extend(weakness(facts.new, &account_words, policy.min_strength)),
    }
    faults
}

/// The strength of a password while it is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordStrength {
    /// The zxcvbn score, 0…4; 0 for a password that is too long.
    pub score: u8,
    /// The faults so far.
    pub faults: Vec<PasswordFault>,
}

impl PasswordStrength {
    /// Describes the score, for people who do not see the bar.
    pub const fn describe(&self) -> &'static str {
        match self.score {
            0 => "Very easy to guess",
            1 => "Easy to guess",
            2 => "Could be guessed",
            3 => "Hard to guess",
            _ => "Very hard to guess",
        }
    }
}

/// Judges a password like [`decide`] while it is being typed, but without checking earlier
/// passwords.
pub fn rate(new: &str, account_words: &[&str], policy: &PasswordPolicy) -> PasswordStrength {
    let facts = NewPasswordFacts {
        new,
        again: None,
        account_words,
        reused: Reuse::No,
    };
    let words = self::account_words(account_words);
    let inputs: Vec<&str> = words.iter().map(String::as_str).collect();
    let short_enough = new.chars().nth(MAX_CHARS).is_none();
    PasswordStrength {
        score: if short_enough {
            u8::from(estimate(new, &inputs).score())
        } else {
            0
        },
        faults: decide(&facts, policy),
    }
}

/// Returns the words and their parts (`ada.lovelace@example.org` → also `ada`, `lovelace`,
/// `example`), folded, longest first. Parts shorter than three characters are left out, because
/// every text contains them.
fn account_words(given: &[&str]) -> Vec<String> {
    let given = given.iter().copied().chain([PRODUCT]);
    let folded: Vec<String> = given.map(|word| text::fold(word.trim())).collect();
    let parts = folded
        .iter()
        .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()));
    let mut words: Vec<String> = folded
        .iter()
        .map(String::as_str)
        .chain(parts)
        .map(str::to_owned)
        .collect();
    words.retain(|word| word.chars().count() >= 3);
    words.sort_by_key(|word| (std::cmp::Reverse(word.len()), word.clone()));
    words.dedup();
    words
}

/// Returns the first word about the account on which the password depends: what remains without it
/// would be guessed within a million attempts (`ada2026!!!!!!!`). Applies regardless of
/// `min_strength`.
fn find_base_word(password: &str, account_words: &[String]) -> Option<String> {
    let mut rest = text::fold(password);
    let mut first = None;
    for word in account_words {
        if rest.contains(word) {
            rest = rest.replace(word, " ");
            first.get_or_insert(word);
        }
    }
    let first = first?;
    let rest: String = rest.split_whitespace().collect();
    let weak = u8::from(estimate(&rest, &[]).score()) < 2;
    weak.then(|| first.clone())
}

fn weakness(password: &str, account_words: &[String], min: u8) -> Option<PasswordFault> {
    let inputs: Vec<&str> = account_words.iter().map(String::as_str).collect();
    let estimate = estimate(password, &inputs);
    let score = u8::from(estimate.score());
    if score >= min {
        return None;
    }
    let feedback = estimate.feedback();
    let warning = feedback
        .and_then(|feedback| feedback.warning())
        .map(|warning| warning.to_string());
    let suggestions = feedback.map(|feedback| feedback.suggestions()).unwrap_or_default();
    let mut advice: Vec<String> = warning
        .into_iter()
        .chain(suggestions.iter().map(ToString::to_string))
        .collect();
    if advice.is_empty() {
        advice.push("Use more words, and less common ones.".into());
    }
    Some(PasswordFault::TooWeak {
        score,
        min,
        advice: advice.join(" "),
    })
}

/// Runs zxcvbn in bounded time.
///
/// zxcvbn tries every way in which symbols could stand for letters, and the number of ways
/// multiplies: 24 random symbols take a second. If there are many ways, symbols that stand for the
/// same letter are first replaced by one of them. This makes words with symbols slightly easier to
/// guess, and a password of random symbols stays random.
fn estimate(password: &str, inputs: &[&str]) -> zxcvbn::Entropy {
    const MANY: usize = 8;
    const ALIKE: [&[char]; 6] = [
        &['4', '@'],
        &['(', '{', '[', '<'],
        &['6', '9'],
        &['1', '!', '|'],
        &['$', '5'],
        &['7', '+'],
    ];
    let ways = |signs: &&[char]| signs.iter().filter(|sign| password.contains(**sign)).count().max(1);
    if ALIKE.iter().map(ways).product::<usize>() <= MANY {
        return zxcvbn::zxcvbn(password, inputs);
    }
    let first = |c: char| {
        ALIKE
            .iter()
            .find(|signs| signs.contains(&c))
            .map_or(c, |signs| signs[0])
    };
    zxcvbn::zxcvbn(&password.chars().map(first).collect::<String>(), inputs)
}

/// How long a password works that someone else set and its owner must change; inclusive.
pub const ONE_TIME: Span = Span::from_secs(72 * 3600);
/// The last instant of a password that nobody knows: it never works.
pub const NEVER: Timestamp = Timestamp::from_micros(0);

/// Returns the last instant of a password that someone else set at `at`; `None`: it has no limit.
pub fn valid_until(must_change: bool, at: Timestamp) -> Option<Timestamp> {
    must_change.then(|| at.saturating_add(ONE_TIME))
}

/// Returns whether a password with that last instant works. A password that its owner chose has no
/// limit.
pub fn is_valid_at(valid_until: Option<Timestamp>, now: Timestamp) -> bool {
    valid_until.is_none_or(|until| now <= until)
}

/// Facts about the account's current password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeFacts {
    /// When it was set.
    pub changed_at: Timestamp,
    /// Whether an administrator or the CLI set it.
    pub set_by_other: bool,
    /// Whether it must be changed regardless of the policy (one-time passwords, `--must-change`).
    pub must_change: bool,
}

impl ChangeFacts {
    /// Returns the facts of an account whose source keeps its password: nothing here ever requires
    /// another one.
    pub const fn kept_by_source() -> Self {
        Self {
            changed_at: Timestamp::from_micros(i64::MAX),
            set_by_other: false,
            must_change: false,
        }
    }
}

/// The reason why a password must be changed before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeReason {
    /// A one-time password, `--must-change`, or an administrator's request.
    Demanded,
    /// `auth.change_default_password`.
    SetByOther,
    /// `password.max_age`.
    TooOld,
}

impl ChangeReason {
    /// Returns the stable code: `demanded`, `set_by_other` or `too_old`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeReason::Demanded => "demanded",
            ChangeReason::SetByOther => "set_by_other",
            ChangeReason::TooOld => "too_old",
        }
    }
}

/// Returns why the password must be changed before anything else, if it must (docs/policy.md,
/// `auth.change_default_password`, `password.max_age`).
pub fn must_change(
    facts: &ChangeFacts,
    change_default: bool,
    policy: &PasswordPolicy,
    now: Timestamp,
) -> Option<ChangeReason> {
    let too_old = |age: Span| now > facts.changed_at.saturating_add(age);
    if facts.must_change {
        Some(ChangeReason::Demanded)
    } else if change_default && facts.set_by_other {
        Some(ChangeReason::SetByOther)
    } else if policy.max_age.is_some_and(too_old) {
        Some(ChangeReason::TooOld)
    } else {
        None
    }
}
