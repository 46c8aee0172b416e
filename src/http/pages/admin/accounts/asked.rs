//! The query of the list of accounts, and what an account's states are called.
use crate::domain::account::{ExpiryRule, Role};
use crate::domain::duration::humanize;
use crate::domain::lockout::Locked;
use crate::domain::password::ChangeReason;
use crate::domain::time::{Span, Timestamp};
use crate::flows::accounts::{AccountState, AccountView};
use crate::flows::rows::{AccountFilter, AccountListState};
use crate::http::filters::relative_words;
use crate::http::pages::admin::list::{Faults, faults, filled, limit, none_of};
use crate::http::pages::admin::part::{Badge, Choice};
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub q: String,
    pub role: String,
    pub state: String,
    pub group: String,
    /// Name keys.
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

impl Asked {
    pub fn filter(&self) -> AccountFilter {
        AccountFilter {
            text: filled(&self.q),
            role: Role::parse(&self.role),
            state: AccountListState::parse(&self.state),
            group: filled(&self.group),
            after: filled(&self.after),
            before: filled(&self.before),
            limit: limit(&self.limit),
        }
    }

    pub fn faults(&self) -> Faults {
        faults([
            ("role", none_of(&ROLES, &self.role, "role")),
            ("state", none_of(&STATES, &self.state, "status")),
        ])
    }

    pub fn is_filtered(&self) -> bool {
        [&self.q, &self.role, &self.state, &self.group]
            .iter()
            .any(|field| !field.trim().is_empty())
    }

    /// Everything but the place in the list.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("q", self.q.trim()),
            ("role", &self.role),
            ("state", &self.state),
            ("group", self.group.trim()),
            ("limit", &self.limit),
        ]
    }

    /// What the filter says, for people who are about to do something to everybody that matches.
    pub fn words(&self) -> Vec<String> {
        let label = |choices: &[(&str, &str)], value: &str| {
            let found = choices.iter().find(|(known, _)| !value.is_empty() && *known == value);
            found.map(|(_, label)| label.to_lowercase())
        };
        let mut words = Vec::new();
        words.extend(filled(&self.q).map(|text| format!("name or e-mail contains “{text}”")));
        words.extend(label(&ROLES, &self.role).map(|role| format!("role {role}")));
        words.extend(label(&STATES, &self.state));
        words.extend(filled(&self.group).map(|group| format!("in group {group}")));
        words
    }

    pub fn roles(&self) -> Vec<Choice> {
        Choice::list(ROLES, &self.role)
    }

    pub fn states(&self) -> Vec<Choice> {
        Choice::list(STATES, &self.state)
    }
}

pub fn badges(view: &AccountView, now: Timestamp) -> Vec<Badge> {
    let state = match view.state {
        AccountState::Active => Badge::ok("Active"),
        AccountState::MustChange(ChangeReason::Demanded) => Badge::warn("Must change password"),
        AccountState::MustChange(ChangeReason::SetByOther) => Badge::warn("Must change password: set by somebody else"),
        AccountState::MustChange(ChangeReason::TooOld) => Badge::warn("Must change password: too old"),
        AccountState::Disabled => Badge::plain("pause", "Disabled"),
        AccountState::Expired => Badge::plain("clock", "Expired"),
    };
    let invited = view.invited.map(|until| {
        let relative = relative_words(until, now);
        let words = match now <= until {
            true => format!("Invited, link runs out {relative}"),
            false => format!("Invitation ran out {relative}"),
        };
        Badge::info(words).with_icon("mail")
    });
    let mut badges = match (view.state, invited) {
        // Nobody has chosen a password: there is nothing that it could be active with.
        (AccountState::Active | AccountState::MustChange(_), Some(invited)) => vec![invited],
        (_, invited) => std::iter::once(state).chain(invited).collect(),
    };
    match view.locked {
        Some(Locked::Until(at)) => {
            badges.push(Badge::danger(format!("Locked, ends {}", relative_words(at, now))).with_icon("lock"))
        }
        Some(Locked::UntilUnlocked) => badges.push(Badge::danger("Locked until unlocked").with_icon("lock")),
        None => {}
    }
    badges
}

pub const fn rule_words(rule: ExpiryRule) -> &'static str {
    match rule {
        ExpiryRule::ExpiresAt => "its own date",
        ExpiryRule::ExpiresAfter => "unused since its last session",
        ExpiryRule::ExpireUnusedAfter => "never used",
        ExpiryRule::ExpireSuperusers => "rule for administrators",
    }
}

/// What stands instead of an instant while it is signed in.
pub fn later_words((after, rule): (Span, ExpiryRule)) -> String {
    let rule = match rule {
        ExpiryRule::ExpireSuperusers => ", by the rule for administrators",
        ExpiryRule::ExpiresAt | ExpiryRule::ExpiresAfter | ExpiryRule::ExpireUnusedAfter => "",
    };
    format!("{} after its last session ends{rule}", humanize(after.as_secs()))
}

/// The rule behind an expiry that has happened, by its recorded code.
pub fn expired_words(code: &str) -> &str {
    let rules = [
        ExpiryRule::ExpiresAt,
        ExpiryRule::ExpiresAfter,
        ExpiryRule::ExpireUnusedAfter,
        ExpiryRule::ExpireSuperusers,
    ];
    match rules.into_iter().find(|rule| rule.code() == code) {
        Some(rule) => rule_words(rule),
        None if code == "administrator" => "by an administrator",
        None => code,
    }
}
