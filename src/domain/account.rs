//! Accounts: names, roles, and when an account expires.
//! Counting which administrator is the last needs a row lock and is therefore the store's.

pub mod profile;

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use uuid::Uuid;

use super::{
    policy::effective::{AccountPolicy, ExpireSuperusers},
    time::{Span, Timestamp},
};

/// The identity of an account; expiry is decided by it, never by the name as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub Uuid);

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Uses applications.
    Member,
    /// Also runs the console; the `administrators` scope of the policy is theirs.
    Administrator,
}

impl Role {
    /// Both roles.
    pub const ALL: &[Role] = &[Role::Member, Role::Administrator];

    /// `member` or `administrator`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Administrator => "administrator",
        }
    }

    /// The role of a word; `None`: neither of the two.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "member" => Some(Role::Member),
            "administrator" => Some(Role::Administrator),
            _ => None,
        }
    }
}

/// Longest user name, in characters after trimming.
pub const MAX_NAME_CHARS: usize = 128;

/// Longest [`name_key`], in characters.
const MAX_KEY_CHARS: usize = 256;

/// A user name as people see it; compared by its key (trimmed, NFKC, case-folded).
/// No control, bidi-control or zero-width characters, no `,`, 1…128 characters after trimming.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountName {
    shown: String,
    key: String,
}

impl AccountName {
    /// Reads a name as typed into a form.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let shown = text.trim();
        if shown.chars().take(MAX_NAME_CHARS + 1).count() > MAX_NAME_CHARS {
            return Err(NameError::TooLong);
        }
        let key = name_key(shown);
        // The key too: a full-width comma becomes a plain one.
        if let Some(c) = shown.chars().chain(key.chars()).find(|c| forbidden_in_names(*c)) {
            return Err(NameError::Forbidden(c));
        }
        if key.is_empty() {
            return Err(NameError::Empty);
        }
        Ok(Self {
            shown: shown.to_owned(),
            key,
        })
    }

    /// As its owner writes it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What it is compared by.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Key of whatever was typed into the sign-in form, valid name or not, cut to 256 characters (lock keys, decoys).
pub fn name_key(typed: &str) -> String {
    // Cut first, so that a megabyte of name costs nothing; cut again, for NFKC may lengthen.
    let mut key: String = typed.trim().chars().take(MAX_KEY_CHARS).collect();
    // Folding can undo normal form and the reverse; a second round is the fixed point.
    for _ in 0..2 {
        key = fold(&key).trim().to_owned();
    }
    match key.char_indices().nth(MAX_KEY_CHARS) {
        Some((end, _)) => key[..end].trim_end().to_owned(),
        None => key,
    }
}

/// NFKC, case-folded, NFKC again.
pub(crate) fn fold(text: &str) -> String {
    const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
    let composed: Cow<'_, str> = NFKC.normalize(text);
    let folded = CaseMapper::new().fold_string(&composed).into_owned();
    NFKC.normalize(&folded).into_owned()
}

/// Characters that make two names look alike, or break a header or a list.
pub(crate) fn forbidden_in_names(c: char) -> bool {
    c == ',' || invisible(c)
}

/// Control, bidi-control, zero-width and line-separating characters.
pub(crate) fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// Why a text is no user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("a user name is missing")]
    Empty,
    /// More than [`MAX_NAME_CHARS`] characters.
    #[error("a user name has at most 128 characters")]
    TooLong,
    /// A character that names may not have.
    #[error("a user name cannot have the character {}", describe_char(*.0))]
    Forbidden(char),
}

/// Invisible characters by code point: printing them would show nothing, or turn the line around.
fn describe_char(c: char) -> String {
    if invisible(c) {
        format!("U+{:04X}", u32::from(c))
    } else {
        format!("“{c}”")
    }
}

/// `local@domain`, no control characters, ≤ 254 bytes. Ok: the address, trimmed.
pub fn check_email(text: &str) -> Result<String, String> {
    let address = text.trim();
    if address.len() > 254 {
        return Err("an e-mail address has at most 254 bytes".into());
    }
    if let Some(c) = address
        .chars()
        .find(|c| invisible(*c) || c.is_whitespace() || "<>()[]\\,;:\"".contains(*c))
    {
        return Err(format!(
            "an e-mail address cannot have the character {}",
            describe_char(c)
        ));
    }
    let dotted = |part: &str| !part.is_empty() && part.split('.').all(|label| !label.is_empty());
    match address.split_once('@') {
        Some((local, domain)) if local.len() <= 64 && dotted(local) && dotted(domain) && !domain.contains('@') => {
            Ok(address.to_owned())
        }
        Some(_) | None => Err("an e-mail address looks like name@example.org".into()),
    }
}

/// What expiry is decided from.
#[derive(Debug, Clone)]
pub struct ExpiryFacts {
    /// Administrators have a rule of their own (`auth.expire_superusers`).
    pub role: Role,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Creation or latest re-activation: unused and last-ended clocks start no earlier.
    pub activated_at: Timestamp,
    /// While one lives, only an explicit date expires the account.
    pub has_live_session: bool,
    /// None: never signed in.
    pub last_sign_in_at: Option<Timestamp>,
    /// When the last session was ended by its rule (`ends_at`), never before the save that caused it.
    pub last_session_ended_at: Option<Timestamp>,
    /// An explicit date set by an administrator.
    pub expires_at: Option<Timestamp>,
    /// The last enabled administrator never expires.
    pub is_last_administrator: bool,
}

/// By which rule an account expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpiryRule {
    /// The account's own date.
    ExpiresAt,
    /// `auth.expires_after`.
    ExpiresAfter,
    /// `auth.expire_unused_after`.
    ExpireUnusedAfter,
    /// `auth.expire_superusers` as a number.
    ExpireSuperusers,
}

impl ExpiryRule {
    /// Stable code: `expires_at`, `auth.expires_after`, …
    pub const fn code(self) -> &'static str {
        match self {
            ExpiryRule::ExpiresAt => "expires_at",
            ExpiryRule::ExpiresAfter => "auth.expires_after",
            ExpiryRule::ExpireUnusedAfter => "auth.expire_unused_after",
            ExpiryRule::ExpireSuperusers => "auth.expire_superusers",
        }
    }
}

/// When the account expires and by which rule: last instant at which it is not expired; None = never.
pub fn expires_at(facts: &ExpiryFacts, policy: &AccountPolicy) -> Option<(Timestamp, ExpiryRule)> {
    // INVARIANT: somebody can always get in and repair the policy, whatever it says.
    if facts.is_last_administrator {
        return None;
    }
    let by_date = facts.expires_at.map(|at| (at, ExpiryRule::ExpiresAt));
    let by_disuse = disuse(facts, policy).map(|(start, after, rule)| (start.saturating_add(after), rule));
    by_date.into_iter().chain(by_disuse).min_by_key(|(at, _)| *at)
}

/// The clock of disuse that runs for this account: its start, its length, its rule.
fn disuse(facts: &ExpiryFacts, policy: &AccountPolicy) -> Option<(Timestamp, Span, ExpiryRule)> {
    if facts.has_live_session {
        return None;
    }
    let superuser = match facts.role {
        Role::Member => ExpireSuperusers::LikeEveryone,
        Role::Administrator => policy.expire_superusers,
    };
    let Some(signed_in_at) = facts.last_sign_in_at.or(facts.last_session_ended_at) else {
        // A number replaces `expires_after`, which by its own words never concerns unused accounts.
        let exempt = superuser == ExpireSuperusers::Never;
        let after = policy.expire_unused_after.filter(|_| !exempt)?;
        return Some((
            facts.activated_at.max(facts.created_at),
            after,
            ExpiryRule::ExpireUnusedAfter,
        ));
    };
    let (after, rule) = match superuser {
        ExpireSuperusers::Never => return None,
        ExpireSuperusers::After(after) => (after, ExpiryRule::ExpireSuperusers),
        ExpireSuperusers::LikeEveryone => (policy.expires_after?, ExpiryRule::ExpiresAfter),
    };
    let ended_at = facts.last_session_ended_at.unwrap_or(signed_in_at);
    Some((ended_at.max(signed_in_at).max(facts.activated_at), after, rule))
}

/// While a session lives: how long after the last one it would expire, and by which rule. `None`: nothing is waiting for that.
pub fn expires_after_sessions(facts: &ExpiryFacts, policy: &AccountPolicy) -> Option<(Span, ExpiryRule)> {
    if !facts.has_live_session || facts.is_last_administrator {
        return None;
    }
    let signed_out = ExpiryFacts {
        has_live_session: false,
        ..facts.clone()
    };
    disuse(&signed_out, policy).map(|(_, after, rule)| (after, rule))
}

/// Whether it has expired at `now` (limits are inclusive: valid at exactly t).
pub fn expired_at(facts: &ExpiryFacts, policy: &AccountPolicy, now: Timestamp) -> Option<ExpiryRule> {
    expires_at(facts, policy)
        .filter(|(at, _)| now > *at)
        .map(|(_, rule)| rule)
}
