//! All second factors of a database, without their secrets: compares a copy of a database with the
//! one that it replaces.

use crate::account::AccountId;
use std::collections::BTreeMap;

/// The kind of a stored factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactorKind {
    /// A confirmed authenticator app.
    AuthenticatorApp,
    /// A passkey.
    Passkey,
    /// An unused recovery code.
    RecoveryCode,
}

/// The second factors of every account that has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FactorInventory(BTreeMap<AccountId, AccountFactors>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct AccountFactors {
    name: String,
    /// What people call each factor, by kind and identity.
    factors: BTreeMap<(FactorKind, String), String>,
}

/// The number of factors of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactorTotals {
    /// Accounts with any.
    pub accounts: usize,
    /// Authenticator apps.
    pub authenticator_apps: usize,
    /// Passkeys.
    pub passkeys: usize,
    /// Recovery codes.
    pub recovery_codes: usize,
}

/// The factors of one account that one state has and the other does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorDifference {
    /// The account's name.
    pub account: String,
    /// Whether it has an app that the other state lacks.
    pub authenticator_app: bool,
    /// The names of such passkeys.
    pub passkeys: Vec<String>,
    /// The number of such recovery codes.
    pub recovery_codes: usize,
    /// Whether the other state has an app or a passkey of the account.
    pub has_others: bool,
}

impl FactorInventory {
    /// Adds a factor. `id` identifies it within its kind, `label` is what its owner calls it.
    pub fn add(&mut self, account: AccountId, name: &str, kind: FactorKind, id: String, label: String) {
        let entry = self.0.entry(account).or_default();
        name.clone_into(&mut entry.name);
        entry.factors.insert((kind, id), label);
    }

    /// Returns whether there is no factor at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts the factors.
    pub fn totals(&self) -> FactorTotals {
        let count = |kind| {
            let kinds = self.0.values().flat_map(|account| account.factors.keys());
            kinds.filter(|(found, _)| *found == kind).count()
        };
        FactorTotals {
            accounts: self.0.len(),
            authenticator_apps: count(FactorKind::AuthenticatorApp),
            passkeys: count(FactorKind::Passkey),
            recovery_codes: count(FactorKind::RecoveryCode),
        }
    }

    /// Returns what this state has and `other` lacks, by the names of the accounts.
    pub fn beyond(&self, other: &Self) -> Vec<FactorDifference> {
        let mut found: Vec<FactorDifference> = self
            .0
            .iter()
            .filter_map(|(id, account)| account.beyond(other.0.get(id)))
            .collect();
        found.sort_by(|a, b| a.account.cmp(&b.account));
        found
    }
}

impl AccountFactors {
    fn beyond(&self, other: Option<&Self>) -> Option<FactorDifference> {
        let missing = |key: &(FactorKind, String)| other.is_none_or(|other| !other.factors.contains_key(key));
        let of_kind = |kind| {
            let labels = self.factors.iter().filter(move |((found, _), _)| *found == kind);
            labels.filter(|(key, _)| missing(key)).map(|(_, label)| label.clone())
        };
        let is_own = |(kind, _): &(FactorKind, String)| *kind != FactorKind::RecoveryCode;
        let difference = FactorDifference {
            account: self.name.clone(),
            authenticator_app: of_kind(FactorKind::AuthenticatorApp).next().is_some(),
            passkeys: of_kind(FactorKind::Passkey).collect(),
            recovery_codes: of_kind(FactorKind::RecoveryCode).count(),
            has_others: other.is_some_and(|other| other.factors.keys().any(is_own)),
        };
        let is_any = difference.authenticator_app || !difference.passkeys.is_empty() || difference.recovery_codes > 0;
        is_any.then_some(difference)
    }
}

impl FactorDifference {
    /// Lists the factors: `authenticator app, passkey “Blue key”, 2 recovery codes`.
    pub fn display(&self) -> String {
        let app = self.authenticator_app.then(|| "authenticator app".to_owned());
        let passkeys = self.passkeys.iter().map(|name| format!("passkey “{name}”"));
        let codes = match self.recovery_codes {
            0 => None,
            1 => Some("1 recovery code".to_owned()),
            codes => Some(format!("{codes} recovery codes")),
        };
        app.into_iter()
            .chain(passkeys)
            .chain(codes)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
