//! The stored account.

use std::fmt;

use super::{
    super::{factor::EnrolledFactors, password::ChangeFacts, source::SourceId, time::Timestamp},
    AccountId, Role,
};

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its identity; it survives a change of name.
    pub id: AccountId,
    /// The username as its owner writes it.
    pub name: String,
    /// The key by which usernames are compared ([`super::name_key`]); unique.
    pub name_key: String,
    /// The person's name, for screens and for the `Remote-Name` header; may be empty.
    pub display_name: String,
    /// The address for emails about the account.
    pub email: Option<String>,
    /// The permissions of the account.
    pub role: Role,
    /// Groups for access to applications, sorted, without duplicates.
    pub groups: Vec<String>,
    /// The argon2id hash, in PHC format; never printed.
    pub password_hash: String,
    /// When the password was set, by anyone.
    pub password_changed_at: Timestamp,
    /// Whether an administrator set the password, so that its owner must choose another.
    pub password_set_by_other: bool,
    /// Whether an administrator requires another password.
    pub must_change_password: bool,
    /// When an administrator disabled the account; `None`: enabled.
    pub disabled_at: Option<Timestamp>,
    /// The expiry date that an administrator set.
    pub expires_at: Option<Timestamp>,
    /// When the account was marked as expired; `None`: not expired.
    pub expired_at: Option<Timestamp>,
    /// Code of the rule by which the account expired ([`super::ExpiryRule::code`]).
    pub expired_by: Option<String>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Creation or latest reactivation.
    pub activated_at: Timestamp,
    /// Latest completed sign-in; `None`: never.
    pub last_sign_in_at: Option<Timestamp>,
    /// When the latest session ended; `None`: none has ended.
    pub last_session_ended_at: Option<Timestamp>,
    /// Last instant at which the password works, if its owner did not choose it
    /// (`domain::password::is_valid_at`).
    pub password_good_until: Option<Timestamp>,
    /// When a second factor was first required of the account, which starts its grace period.
    pub factor_required_at: Option<Timestamp>,
    /// The second factors that it has.
    pub factors: EnrolledFactors,
    /// Where its identity is proved; `None`: here, by its own password.
    pub source: Option<SourceId>,
    /// Its stable identity at the source; `None`: it is local, or an administrator listed it and it
    /// has not signed in yet.
    pub external_id: Option<String>,
}

impl Account {
    /// Returns whether its identity is proved here, and so administrators may change everything.
    pub fn is_local(&self) -> bool {
        self.source.is_none()
    }

    /// Returns whether its owner may sign in: it is neither disabled nor expired.
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none() && self.expired_at.is_none()
    }

    /// Returns the facts that decide whether the password must be changed.
    pub fn password_facts(&self) -> ChangeFacts {
        if self.source.is_some() {
            return ChangeFacts::kept_by_source();
        }
        ChangeFacts {
            changed_at: self.password_changed_at,
            set_by_other: self.password_set_by_other,
            must_change: self.must_change_password,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("name_key", &self.name_key)
            .field("display_name", &self.display_name)
            .field("email", &self.email)
            .field("role", &self.role)
            .field("groups", &self.groups)
            .field("password_hash", &"…")
            .field("password_changed_at", &self.password_changed_at)
            .field("password_set_by_other", &self.password_set_by_other)
            .field("must_change_password", &self.must_change_password)
            .field("disabled_at", &self.disabled_at)
            .field("expires_at", &self.expires_at)
            .field("expired_at", &self.expired_at)
            .field("expired_by", &self.expired_by)
            .field("created_at", &self.created_at)
            .field("activated_at", &self.activated_at)
            .field("last_sign_in_at", &self.last_sign_in_at)
            .field("last_session_ended_at", &self.last_session_ended_at)
            .field("password_good_until", &self.password_good_until)
            .field("factor_required_at", &self.factor_required_at)
            .field("factors", &self.factors)
            .field("source", &self.source)
            .field("external_id", &self.external_id)
            .finish()
    }
}
