//! The query of the session list: its filter, and the fields that repeat it.
use super::view::SessionFilterForm;
use crate::{
    domain::{
        account::{AccountId, Role},
        duration, network,
        session::{EndReason, SessionCursor, SessionFilter, SessionId, SessionListState},
        time::{Span, Timestamp},
    },
    flows::{Ctx, accounts},
    http::{
        error::PageError,
        pages::admin::{
            list::{
                FormFaults, ListQuery, PageQuery, faults, filled, limit, read_ago, read_place, read_until, sizes,
                source_choices, unknown, unknown_choice,
            },
            part::Choice,
            session_line::end_reason_label,
        },
        paths,
    },
    live::sources::Sources,
};
use serde::Deserialize;
use uuid::Uuid;

/// The filter of the list of sessions, as its address spells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SessionListQuery {
    /// Part of the user's name, an address or a network.
    pub q: String,
    pub app: String,
    pub role: String,
    /// The name of a source, or `local`.
    pub source: String,
    pub state: String,
    pub idle: String,
    /// The ID of the only account.
    pub account: String,
    /// Code of the reason for which it ended.
    pub reason: String,
    /// Start and end of the range in which it ended.
    pub since: String,
    pub until: String,
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

impl ListQuery for SessionListQuery {
    const PATH: &'static str = paths::ADMIN_SESSIONS;

    fn fields(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("q", self.q.trim()),
            ("app", self.app.trim()),
            ("role", &self.role),
            ("source", self.source.trim()),
            ("state", &self.state),
            ("idle", self.idle.trim()),
            ("account", &self.account),
            ("reason", &self.reason),
            ("since", self.since.trim()),
            ("until", self.until.trim()),
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
        // Both the list's word for live sessions and the one of scripts are accepted.
        let state = if self.state == "active" { "" } else { &self.state };
        let reason = Some(&self.reason).filter(|code| !code.is_empty() && EndReason::parse(code).is_none());
        let time = |text: &str| {
            let is_read = |text: &str| {
                read_until(text)
                    .or_else(|| read_ago(text, Timestamp::default()))
                    .is_some()
            };
            let unread = filled(text).filter(|text| !is_read(text));
            unread.map(|_| {
                "Enter a day, a day and time such as 2026-11-21 17:20, or how long ago, such as 2h.".to_owned()
            })
        };
        let account_is_read = self.account.is_empty() || self.account().is_some();
        faults([
            ("idle", self.idle_secs().err()),
            ("role", unknown_choice(&ROLES, &self.role, "role")),
            ("state", unknown_choice(&STATES, state, "state")),
            ("reason", reason.map(|code| unknown("reason", code))),
            ("since", time(&self.since)),
            ("until", time(&self.until)),
            ("q", (!account_is_read).then(|| unknown("account", &self.account))),
        ])
    }
}

impl SessionListQuery {
    /// Returns the state that the list is restricted to. A reason or time of the end selects ended
    /// sessions.
    pub fn state(&self) -> SessionListState {
        match self.state.as_str() {
            "" if self.has_end_filter() => SessionListState::Ended,
            "ended" => SessionListState::Ended,
            "flagged" => SessionListState::Flagged,
            "all" => SessionListState::All,
            _ => SessionListState::Active,
        }
    }

    fn has_end_filter(&self) -> bool {
        [&self.reason, &self.since, &self.until]
            .iter()
            .any(|text| !text.trim().is_empty())
    }

    /// Returns the only account in the filter.
    pub fn account(&self) -> Option<AccountId> {
        Uuid::parse_str(&self.account).ok().map(AccountId)
    }

    /// Returns the name of the only account in the filter; `None` if it was deleted.
    pub(super) async fn account_name(&self, ctx: &Ctx) -> Result<Option<String>, PageError> {
        match self.account() {
            Some(id) => Ok(accounts::name_of(ctx, id).await?),
            None => Ok(None),
        }
    }

    fn idle_secs(&self) -> Result<Option<i64>, String> {
        match filled(&self.idle) {
            None => Ok(None),
            Some(text) => match duration::parse(&text)? {
                secs if secs >= 0 => Ok(Some(secs)),
                _ => Err("Enter a duration, such as 30m or 2 days.".to_owned()),
            },
        }
    }

    /// Returns the filter of the query at `now`.
    pub fn filter(&self, now: Timestamp) -> SessionFilter {
        let network = network::parse_filter(&self.q);
        let place = |text: &str| read_place(text).map(|(at, id)| SessionCursor { at, id: SessionId(id) });
        SessionFilter {
            account: self.account(),
            text: if network.is_some() { None } else { filled(&self.q) },
            network,
            application: filled(&self.app),
            role: Role::parse(&self.role),
            source: filled(&self.source),
            state: self.state(),
            idle_longer_than: self
                .idle_secs()
                .ok()
                .flatten()
                .map(|secs| now.saturating_sub(Span::from_secs(secs))),
            end_reason: EndReason::parse(&self.reason),
            ended_since: Timestamp::parse_written(&self.since).or_else(|| read_ago(&self.since, now)),
            ended_until: read_until(&self.until).or_else(|| read_ago(&self.until, now)),
            after: place(&self.after),
            before: place(&self.before),
            limit: limit(&self.limit),
        }
    }

    /// Describes the filter to an administrator who is about to end all matches.
    pub fn describe(&self, account: Option<&str>) -> Vec<String> {
        let mut conditions = Vec::new();
        if let Some(name) = account {
            conditions.push(format!("account {name}"));
        }
        match (network::parse_filter(&self.q), filled(&self.q)) {
            (Some(network), _) => conditions.push(format!("network {network}")),
            (None, Some(text)) => conditions.push(format!("user contains “{text}”")),
            (None, None) => {}
        }
        conditions.extend(filled(&self.app).map(|app| format!("application {app}")));
        conditions.extend(Role::parse(&self.role).map(|role| format!("role {}", role.as_str())));
        conditions.extend(filled(&self.source).map(|source| format!("from source {source}")));
        conditions.extend(
            self.idle_secs()
                .ok()
                .flatten()
                .map(|secs| format!("idle for more than {}", duration::humanize(secs))),
        );
        if self.state() == SessionListState::Flagged {
            conditions.push("flagged".to_owned());
        }
        conditions
    }

    /// Returns the word after the number of sessions in this state.
    pub const fn noun(state: SessionListState) -> &'static str {
        match state {
            SessionListState::Active => "live",
            SessionListState::Ended => "ended",
            SessionListState::Flagged => "flagged",
            SessionListState::All => "total",
        }
    }

    /// Returns the filter form; `account` is the name for its account ID.
    pub fn form(&self, account: Option<String>, known: &Sources) -> SessionFilterForm {
        let state = match self.state() {
            SessionListState::Ended => "ended",
            SessionListState::All | SessionListState::Active | SessionListState::Flagged => &self.state,
        };
        let reasons = EndReason::ALL
            .iter()
            .map(|reason| (reason.as_str(), end_reason_label(*reason)));
        SessionFilterForm {
            reasons: Choice::list(std::iter::once(("", "Any")).chain(reasons), &self.reason),
            since: self.since.clone(),
            until: self.until.clone(),
            past: matches!(self.state(), SessionListState::Ended | SessionListState::All),
            q: self.q.clone(),
            app: self.app.clone(),
            idle: self.idle.clone(),
            roles: Choice::list(ROLES, &self.role),
            sources: source_choices(known, self.source.trim()),
            states: Choice::list(STATES, state),
            sizes: sizes(&self.limit),
            account: self.account().map(|id| {
                (
                    id.0.to_string(),
                    account.unwrap_or_else(|| "a deleted account".to_owned()),
                )
            }),
            faults: self.faults(),
        }
    }
}
