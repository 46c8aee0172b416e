//! The query of the account list: its filter, and the fields that repeat it.
use crate::{
    domain::account::{AccountFilter, AccountListState, Role},
    http::{
        pages::admin::{
            list::{FormFaults, ListQuery, PageQuery, faults, filled, limit, source_choices, unknown_choice},
            part::Choice,
        },
        paths,
    },
    live::sources::Sources,
};
use serde::Deserialize;

/// The filter of the list of accounts, as its address spells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AccountListQuery {
    pub q: String,
    pub role: String,
    pub state: String,
    pub group: String,
    /// `with` or `without` a second factor.
    pub factor: String,
    /// The name of a source, or `local`.
    pub source: String,
    /// The name keys after which, or before which, the page begins.
    pub after: String,
    pub before: String,
    pub limit: String,
}

const ROLES: [(&str, &str); 3] = [("", "Any"), ("administrator", "Administrator"), ("member", "Member")];
const STATES: [(&str, &str); 6] = [
    ("", "Any"),
    ("active", "Active"),
    ("password_change", "Must change password"),
    ("invited", "Invited"),
    ("expired", "Expired"),
    ("disabled", "Disabled"),
];

const FACTORS: [(&str, &str); 3] = [
    ("", "Any"),
    ("without", "Without a second factor"),
    ("with", "With a second factor"),
];

impl ListQuery for AccountListQuery {
    const PATH: &'static str = paths::ADMIN_ACCOUNTS;

    fn fields(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("q", self.q.trim()),
            ("role", &self.role),
            ("state", &self.state),
            ("group", self.group.trim()),
            ("factor", &self.factor),
            ("source", self.source.trim()),
        ]
    }

    fn place(&self) -> PageQuery<'_> {
        PageQuery {
            after: &self.after,
            before: &self.before,
            limit: &self.limit,
        }
    }

    fn faults(&self) -> FormFaults {
        faults([
            ("role", unknown_choice(&ROLES, &self.role, "role")),
            ("state", unknown_choice(&STATES, &self.state, "status")),
            ("factor", unknown_choice(&FACTORS, &self.factor, "second factor")),
        ])
    }
}

impl AccountListQuery {
    /// Returns the filter of the query.
    pub fn filter(&self) -> AccountFilter {
        AccountFilter {
            text: filled(&self.q),
            role: Role::parse(&self.role),
            state: AccountListState::parse(&self.state),
            group: filled(&self.group),
            second_factor: match self.factor.as_str() {
                "with" => Some(true),
                "without" => Some(false),
                _ => None,
            },
            source: filled(&self.source),
            after: filled(&self.after),
            before: filled(&self.before),
            limit: limit(&self.limit),
        }
    }

    /// Describes the filter to an administrator who is about to change all matches.
    pub fn describe(&self) -> Vec<String> {
        let label = |choices: &[(&str, &str)], value: &str| {
            let found = choices.iter().find(|(known, _)| !value.is_empty() && *known == value);
            found.map(|(_, label)| label.to_lowercase())
        };
        let mut conditions = Vec::new();
        conditions.extend(filled(&self.q).map(|text| format!("name or email contains “{text}”")));
        conditions.extend(label(&ROLES, &self.role).map(|role| format!("role {role}")));
        conditions.extend(label(&STATES, &self.state));
        conditions.extend(label(&FACTORS, &self.factor));
        conditions.extend(filled(&self.source).map(|source| format!("from source {source}")));
        conditions.extend(filled(&self.group).map(|group| format!("in group {group}")));
        conditions
    }

    /// Returns the roles as options.
    pub fn roles(&self) -> Vec<Choice> {
        Choice::list(ROLES, &self.role)
    }

    /// Returns the filter of second factors as options.
    pub fn factors(&self) -> Vec<Choice> {
        Choice::list(FACTORS, &self.factor)
    }

    /// Returns the sources as options; empty: every account is local.
    pub fn sources(&self, known: &Sources) -> Vec<Choice> {
        source_choices(known, self.source.trim())
    }

    /// Returns the states as options.
    pub fn states(&self) -> Vec<Choice> {
        Choice::list(STATES, &self.state)
    }
}
