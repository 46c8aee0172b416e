//! The query of the list of sessions: what was asked, the filter it means, and the fields that ask it again.
use super::view::FilterForm;
use crate::domain::account::{AccountId, Role};
use crate::domain::session::SessionId;
use crate::domain::time::{Span, Timestamp};
use crate::domain::{duration, network};
use crate::flows::rows::{Cursor, ListState, SessionFilter};
use crate::http::pages::admin::list::{Faults, faults, filled, limit, none_of, none_such, read_place, sizes};
use crate::http::pages::admin::part::Choice;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// A part of the user's name, an address or a network.
    pub q: String,
    pub app: String,
    pub role: String,
    pub state: String,
    pub idle: String,
    /// Id of the one account.
    pub account: String,
    pub after: String,
    pub before: String,
    pub limit: String,
}

const STATES: [(&str, &str); 4] = [
    ("", "Live"),
    ("flagged", "Live, flagged"),
    ("ended", "Ended"),
    ("all", "All"),
];
const ROLES: [(&str, &str); 3] = [("", "Any"), ("administrator", "Administrator"), ("member", "Member")];

impl Asked {
    pub fn state(&self) -> ListState {
        match self.state.as_str() {
            "ended" => ListState::Ended,
            "flagged" => ListState::Flagged,
            "all" => ListState::All,
            _ => ListState::Active,
        }
    }

    pub fn account(&self) -> Option<AccountId> {
        Uuid::parse_str(&self.account).ok().map(AccountId)
    }

    fn idle_secs(&self) -> Result<Option<i64>, String> {
        match filled(&self.idle) {
            None => Ok(None),
            Some(text) => match duration::parse(&text)? {
                secs if secs >= 0 => Ok(Some(secs)),
                _ => Err("Write a length of time, like 30m or 2 days.".to_owned()),
            },
        }
    }

    pub fn faults(&self) -> Faults {
        // The list's own word for live sessions, and the one that scripts know.
        let state = if self.state == "active" { "" } else { &self.state };
        let account_is_read = self.account.is_empty() || self.account().is_some();
        faults([
            ("idle", self.idle_secs().err()),
            ("role", none_of(&ROLES, &self.role, "role")),
            ("state", none_of(&STATES, state, "state")),
            ("q", (!account_is_read).then(|| none_such("account", &self.account))),
        ])
    }

    pub fn filter(&self, now: Timestamp) -> SessionFilter {
        let network = network::parse_filter(&self.q);
        let place = |text: &str| read_place(text).map(|(at, id)| Cursor { at, id: SessionId(id) });
        SessionFilter {
            account: self.account(),
            text: if network.is_some() { None } else { filled(&self.q) },
            network,
            application: filled(&self.app),
            role: Role::parse(&self.role),
            state: self.state(),
            idle_longer_than: self
                .idle_secs()
                .ok()
                .flatten()
                .map(|secs| now.saturating_sub(Span::from_secs(secs))),
            after: place(&self.after),
            before: place(&self.before),
            limit: limit(&self.limit),
        }
    }

    pub fn is_filtered(&self) -> bool {
        [&self.q, &self.app, &self.role, &self.state, &self.idle, &self.account]
            .iter()
            .any(|field| !field.trim().is_empty())
    }

    /// Everything but the place in the list.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("q", self.q.trim()),
            ("app", self.app.trim()),
            ("role", &self.role),
            ("state", &self.state),
            ("idle", self.idle.trim()),
            ("account", &self.account),
            ("limit", &self.limit),
        ]
    }

    /// What the filter says, for people who are about to end everything that matches.
    pub fn words(&self, account: Option<&str>) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(name) = account {
            words.push(format!("account {name}"));
        }
        match (network::parse_filter(&self.q), filled(&self.q)) {
            (Some(network), _) => words.push(format!("network {network}")),
            (None, Some(text)) => words.push(format!("user contains “{text}”")),
            (None, None) => {}
        }
        words.extend(filled(&self.app).map(|app| format!("application {app}")));
        words.extend(Role::parse(&self.role).map(|role| format!("role {}", role.as_str())));
        words.extend(
            self.idle_secs()
                .ok()
                .flatten()
                .map(|secs| format!("idle for more than {}", duration::humanize(secs))),
        );
        if self.state() == ListState::Flagged {
            words.push("flagged".to_owned());
        }
        words
    }

    pub fn form(&self, account: Option<String>) -> FilterForm {
        FilterForm {
            q: self.q.clone(),
            app: self.app.clone(),
            idle: self.idle.clone(),
            roles: Choice::list(ROLES, &self.role),
            states: Choice::list(STATES, &self.state),
            sizes: sizes(&self.limit),
            account: self.account().map(|id| {
                (
                    id.0.to_string(),
                    account.unwrap_or_else(|| "an account that is gone".to_owned()),
                )
            }),
            faults: self.faults(),
        }
    }
}

/// What a list in this state counts.
pub const fn noun(state: ListState) -> &'static str {
    match state {
        ListState::Active => "live",
        ListState::Ended => "ended",
        ListState::Flagged => "flagged",
        ListState::All => "in all",
    }
}
