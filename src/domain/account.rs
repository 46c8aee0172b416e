//! Accounts: names, roles and email addresses. `expiry` decides when an account expires. The store
//! counts administrators, because finding the last one needs a row lock.

mod list;
pub mod profile;
mod record;
mod typed;

pub use list::{AccountFilter, AccountListState, ExpiryBounds};
pub use record::Account;
pub use typed::looks_like_password;

use uuid::Uuid;

use crate::text::{describe_char, fold, is_invisible};

/// The identity of an account. It decides equality, never the name as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub Uuid);

/// The permissions of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Uses applications.
    Member,
    /// Also uses the console; the `administrators` scope of the policy applies to this role.
    Administrator,
}

impl Role {
    /// Both roles.
    pub const ALL: &[Role] = &[Role::Member, Role::Administrator];

    /// Returns `member` or `administrator`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Administrator => "administrator",
        }
    }

    /// Parses a role; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "member" => Some(Role::Member),
            "administrator" => Some(Role::Administrator),
            _ => None,
        }
    }
}

/// Maximum length of a username, in characters after trimming.
pub const MAX_NAME_CHARS: usize = 128;

/// Maximum length of a [`name_key`], in characters.
const MAX_KEY_CHARS: usize = 256;

/// A username as shown; compared by its key (trimmed, NFKC, case-folded). It has 1…128 characters
/// after trimming and no control, bidi-control or zero-width characters and no `,`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountName {
    shown: String,
    key: String,
}

impl AccountName {
    /// Parses a name from a form.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let shown = text.trim();
        if shown.chars().take(MAX_NAME_CHARS + 1).count() > MAX_NAME_CHARS {
            return Err(NameError::TooLong);
        }
        let key = name_key(shown);
        // The key is checked too: NFKC turns a full-width comma into a plain one.
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

    /// Returns the name as its owner writes it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the key by which names are compared.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Returns the key of any text from the sign-in form, valid name or not, cut to 256 characters
/// (lock keys, decoys).
pub fn name_key(typed: &str) -> String {
    // Cut before normalizing, so that a very long name costs nothing, and again afterwards, because
    // NFKC may lengthen it.
    let mut key: String = typed.trim().chars().take(MAX_KEY_CHARS).collect();
    // Case folding can undo the normal form and the reverse; the second round reaches the fixed
    // point.
    for _ in 0..2 {
        key = fold(&key).trim().to_owned();
    }
    match key.char_indices().nth(MAX_KEY_CHARS) {
        Some((end, _)) => key[..end].trim_end().to_owned(),
        None => key,
    }
}

/// Returns whether a character makes two names look alike, or breaks a header or a list.
pub(crate) fn forbidden_in_names(c: char) -> bool {
    c == ',' || is_invisible(c)
}

/// The reason why a text is not a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("a username is missing")]
    Empty,
    /// More than [`MAX_NAME_CHARS`] characters.
    #[error("a username has at most 128 characters")]
    TooLong,
    /// A character that names cannot have.
    #[error("a username cannot contain the character {}", describe_char(*.0))]
    Forbidden(char),
}

/// Checks an email address (`local@domain`, no control characters, at most 254 bytes) and returns
/// it trimmed.
pub fn check_email(text: &str) -> Result<String, String> {
    let address = text.trim();
    if address.len() > 254 {
        return Err("an email address has at most 254 bytes".into());
    }
    if let Some(c) = address
        .chars()
        .find(|c| is_invisible(*c) || c.is_whitespace() || "<>()[]\\,;:\"".contains(*c))
    {
        return Err(format!(
            "an email address cannot contain the character {}",
            describe_char(c)
        ));
    }
    let dotted = |part: &str| !part.is_empty() && part.split('.').all(|label| !label.is_empty());
    match address.split_once('@') {
        Some((local, domain)) if local.len() <= 64 && dotted(local) && dotted(domain) && !domain.contains('@') => {
            Ok(address.to_owned())
        }
        Some(_) | None => Err("an email address looks like name@example.org".into()),
    }
}
