//! Which new passwords are accepted, and when a password must be changed.
//! Verification is exact and elsewhere: no trimming, no case, no Unicode normal form; é typed in two ways is two passwords.

use super::{
    account,
    policy::effective::PasswordPolicy,
    time::{Span, Timestamp},
};

/// Longest password in characters; longer is refused before hashing, never cut.
pub const MAX_CHARS: usize = 128;

/// Our own name is everybody's own word (ASVS 6.1.2).
const PRODUCT: &str = "nightlatch";

/// What a new password is judged by.
pub struct NewPasswordFacts<'a> {
    /// The password, as typed.
    pub new: &'a str,
    /// Its repetition, when the form asks for one.
    pub again: Option<&'a str>,
    /// The account's own words: name, display name, e-mail.
    pub own_words: &'a [&'a str],
    /// Equal to the current password or to one of the remembered ones (hash-checked by the caller).
    pub reused: Reuse,
}

/// Whether the account had this password already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It is new.
    No,
    /// It is the one being changed.
    Current,
    /// It is one of the remembered ones.
    History,
}

/// Why a new password is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFault {
    /// Empty or nothing but white space.
    Blank,
    /// The repetition differs.
    Mismatch,
    /// Fewer characters than the policy asks.
    TooShort {
        /// `password.min_length`.
        min: usize,
    },
    /// More than [`MAX_CHARS`].
    TooLong,
    /// Too easily guessed.
    TooWeak {
        /// Its zxcvbn score.
        score: u8,
        /// `password.min_strength`.
        min: u8,
        /// What would help.
        advice: String,
    },
    /// One of the remembered passwords.
    Reused,
    /// The password being changed.
    SameAsCurrent,
    /// `password.regex` does not match.
    Pattern {
        /// `password.regex_hint`.
        hint: String,
    },
    /// A control character, which some keyboards cannot type and some programs cut at.
    Control,
    /// One of the account's own words with little around it.
    OwnWord {
        /// That word.
        word: String,
    },
}

impl PasswordFault {
    /// The sentence shown beside the field.
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
                "The password does not match the pattern that the administrator asks for.".into()
            }
            PasswordFault::Pattern { hint } => hint.clone(),
            PasswordFault::Control => "Leave out control characters such as tabs and line breaks.".into(),
            PasswordFault::OwnWord { word } => {
                format!("Do not build the password around “{word}”: it is the first thing that somebody would try.")
            }
        }
    }
}

/// All faults of a new password at once; empty = accepted.
pub fn decide(facts: &NewPasswordFacts, policy: &PasswordPolicy) -> Vec<PasswordFault> {
    if facts.new.trim().is_empty() || facts.new.chars().all(|c| c.is_whitespace() || account::invisible(c)) {
        return vec![PasswordFault::Blank];
    }
    let mut faults = judged(facts, policy);
    // Its field comes after that of the password.
    if facts.again.is_some_and(|again| again != facts.new) {
        faults.push(PasswordFault::Mismatch);
    }
    faults
}

/// What is wrong with the password itself.
fn judged(facts: &NewPasswordFacts, policy: &PasswordPolicy) -> Vec<PasswordFault> {
    let mut faults = Vec::new();
    // Nothing that grows with the text is done to one that is too long.
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
    let own_words = own_words(facts.own_words);
    match built_around(facts.new, &own_words) {
        Some(word) => faults.push(PasswordFault::OwnWord { word }),
        None => faults.extend(weakness(facts.new, &own_words, policy.min_strength)),
    }
    faults
}

/// How a password stands while it is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// zxcvbn's, 0…4; nothing for one that is too long.
    pub score: u8,
    /// What speaks against it so far.
    pub faults: Vec<PasswordFault>,
}

impl Standing {
    /// The score in words, for people who see no bar.
    pub const fn words(&self) -> &'static str {
        match self.score {
            0 => "Very easy to guess",
            1 => "Easy to guess",
            2 => "Could be guessed",
            3 => "Hard to guess",
            _ => "Very hard to guess",
        }
    }
}

/// Judges what was typed so far like [`decide`]; whether it was used before is not looked at.
pub fn standing(new: &str, own_words: &[&str], policy: &PasswordPolicy) -> Standing {
    let facts = NewPasswordFacts {
        new,
        again: None,
        own_words,
        reused: Reuse::No,
    };
    let words = self::own_words(own_words);
    let inputs: Vec<&str> = words.iter().map(String::as_str).collect();
    let short_enough = new.chars().nth(MAX_CHARS).is_none();
    Standing {
        score: if short_enough {
            u8::from(estimate(new, &inputs).score())
        } else {
            0
        },
        faults: decide(&facts, policy),
    }
}

/// The words and their parts (`ada.lovelace@example.org` → also `ada`, `lovelace`, `example`), folded, longest first;
/// shorter than three characters they are in everything.
fn own_words(given: &[&str]) -> Vec<String> {
    let given = given.iter().copied().chain([PRODUCT]);
    let folded: Vec<String> = given.map(|word| account::fold(word.trim())).collect();
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

/// The first own word without which little is left of the password: what remains would be guessed within a million
/// tries (`ada2026!!!!!!!`). Holds whatever `min_strength` says.
fn built_around(password: &str, own_words: &[String]) -> Option<String> {
    let mut rest = account::fold(password);
    let mut first = None;
    for word in own_words {
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

fn weakness(password: &str, own_words: &[String], min: u8) -> Option<PasswordFault> {
    let inputs: Vec<&str> = own_words.iter().map(String::as_str).collect();
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
        advice.push("Use more words, and less usual ones.".into());
    }
    Some(PasswordFault::TooWeak {
        score,
        min,
        advice: advice.join(" "),
    })
}

/// zxcvbn, in bounded time.
///
/// It tries every way in which signs could stand for letters, and their number multiplies: 24 signs at random cost a
/// second. Where there are many ways, the signs that stand for one letter are first made one sign; guessing words
/// through them becomes easier by that, and a password of random signs stays one.
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

/// How long a password works that somebody else made and its owner must change; inclusive.
pub const ONE_TIME: Span = Span::from_secs(72 * 3600);
/// The last instant of a password that nobody knows: it never works.
pub const NEVER: Timestamp = Timestamp::from_micros(0);

/// The last instant of a password that somebody else set at `at`; `None`: it works without limit.
pub fn good_until(must_change: bool, at: Timestamp) -> Option<Timestamp> {
    must_change.then(|| at.saturating_add(ONE_TIME))
}

/// Whether a password with that last instant works. One that its owner chose has none.
pub fn works_at(good_until: Option<Timestamp>, now: Timestamp) -> bool {
    good_until.is_none_or(|until| now <= until)
}

/// What is known of the account's present password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeFacts {
    /// When it was set.
    pub changed_at: Timestamp,
    /// An administrator or the CLI set it.
    pub set_by_other: bool,
    /// Demanded whatever the policy says (one-time passwords, `--must-change`).
    pub must_change: bool,
}

/// Why a password must be changed before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeReason {
    /// One-time password, `--must-change`, or an administrator's demand.
    Demanded,
    /// `auth.change_default_password`.
    SetByOther,
    /// `password.max_age`.
    TooOld,
}

impl ChangeReason {
    /// Stable code: `demanded`, `set_by_other`, `too_old`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeReason::Demanded => "demanded",
            ChangeReason::SetByOther => "set_by_other",
            ChangeReason::TooOld => "too_old",
        }
    }
}

/// Whether the password must be changed before anything else (policy.md `auth.change_default_password`, `password.max_age`).
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
