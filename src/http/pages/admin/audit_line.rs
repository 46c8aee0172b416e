//! One audit event as every list of the console shows it.
use super::list::href;
use super::part::{Badge, DiffLine};
use crate::domain::audit::{Event, Outcome, repeated::times};
use crate::domain::login::ONE_TIME_OVER;
use crate::domain::policy::diff::Change;
use crate::domain::session::EndReason;
use crate::domain::time::Timestamp;
use crate::flows::rows::AuditRow;
use crate::http::paths;
use serde_json::Value;

pub struct AuditLine {
    pub id: String,
    pub at: Timestamp,
    pub event: &'static str,
    pub sentence: String,
    pub critical: bool,
    pub ok: bool,
    pub outcome: Badge,
    pub actor: String,
    pub account: Option<String>,
    /// Page of the account, when it has an id.
    pub account_href: Option<String>,
    pub session_href: Option<String>,
    pub application: Option<String>,
    pub ip: Option<String>,
    pub reason: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    /// Old → new.
    pub changes: Vec<DiffLine>,
    /// Everything else the record holds.
    pub facts: Vec<(String, String)>,
    /// As recorded.
    pub json: String,
    /// Lists narrowed to, or without, this value: words and address.
    pub narrow: Vec<(String, String)>,
}

impl AuditLine {
    pub fn new(row: &AuditRow) -> Self {
        let ok = row.outcome == Outcome::Success;
        let (changes, facts) = detail(&row.detail);
        Self {
            id: row.id.simple().to_string(),
            at: row.at,
            event: row.event.as_str(),
            sentence: sentence(row),
            critical: row.event.critical(),
            ok,
            outcome: if ok { Badge::ok("OK") } else { Badge::danger("Failed") },
            actor: row.actor.clone(),
            account: row.account.clone(),
            account_href: row
                .account_id
                .filter(|_| row.event != Event::AccountDeleted)
                .map(|id| format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0)),
            session_href: row.session_id.map(|id| format!("{}/{}", paths::ADMIN_SESSIONS, id.0)),
            application: row.application.clone(),
            ip: row.ip.map(|ip| ip.to_string()),
            reason: row.reason.clone(),
            user_agent: row.user_agent.clone(),
            request_id: row.request_id.clone(),
            changes,
            facts,
            json: serde_json::to_string_pretty(&row.to_json()).unwrap_or_default(),
            narrow: narrow(row),
        }
    }
}

/// What happened, with its reason when that says more, and how often when an entry stands for several.
pub fn sentence(row: &AuditRow) -> String {
    let words = match row.reason.as_deref() {
        Some("credentials") => "wrong name or password",
        Some("locked") => "locked out",
        Some("busy") => "too many attempts at once",
        Some(ONE_TIME_OVER) => "right one-time password, too late",
        Some("account_disabled") => "account disabled",
        Some("account_expired") => "account expired",
        Some(code) => EndReason::parse(code).map_or("", super::session_line::reason_words),
        None => "",
    };
    let mut sentence = row.event.sentence().to_owned();
    if !words.is_empty() {
        sentence = format!("{sentence}: {words}");
    }
    let Some(times) = times(&row.detail) else {
        return sentence;
    };
    match (&row.account, row.ip) {
        (Some(_), _) => format!("{sentence}, {times}"),
        (None, Some(_)) => format!("{sentence}, {times} under various names"),
        (None, None) => format!("{sentence}, {times} from various addresses"),
    }
}

fn detail(detail: &Value) -> (Vec<DiffLine>, Vec<(String, String)>) {
    let (mut changes, mut facts) = (Vec::new(), Vec::new());
    let Value::Object(fields) = detail else {
        return (changes, facts);
    };
    for (name, value) in fields {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("changes", Value::Array(items)) => changes.extend(
                items
                    .iter()
                    .filter_map(Change::from_json)
                    .map(|change| DiffLine::new(&change)),
            ),
            (_, Value::Object(pair)) if pair.contains_key("old") && pair.contains_key("new") => {
                changes.push(DiffLine {
                    label: label(name),
                    key: name.clone(),
                    scope: String::new(),
                    old: words(pair.get("old")),
                    new: words(pair.get("new")),
                })
            }
            (_, Value::Object(inner)) => {
                facts.extend(
                    inner
                        .iter()
                        .filter(|(_, value)| !value.is_null())
                        .map(|(inner, value)| (label(inner), words(Some(value)))),
                );
            }
            (_, value) => facts.push((label(name), words(Some(value)))),
        }
    }
    (changes, facts)
}

/// `network_changes` → `Network changes`.
fn label(name: &str) -> String {
    let spaced = name.replace('_', " ");
    let mut chars = spaced.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::Bool(on)) => if *on { "yes" } else { "no" }.to_owned(),
        Some(Value::String(text)) if text.is_empty() => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "none".to_owned(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| words(Some(item)))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other @ (Value::Number(_) | Value::Object(_))) => other.to_string(),
    }
}

fn narrow(row: &AuditRow) -> Vec<(String, String)> {
    let link =
        |words: &str, name: &'static str, value: &str| (words.to_owned(), href(paths::ADMIN_AUDIT, [(name, value)]));
    let mut links = vec![
        link("only this event", "event", row.event.as_str()),
        link("without this event", "without", row.event.as_str()),
    ];
    links.extend(
        row.account
            .as_deref()
            .map(|account| link("this account", "account", account)),
    );
    if row.account.as_deref() != Some(row.actor.as_str()) {
        links.push(link("this actor", "actor", &row.actor));
    }
    links.extend(row.ip.map(|ip| link("this address", "ip", &ip.to_string())));
    links.extend(
        row.session_id
            .map(|id| link("this session", "session", &id.0.to_string())),
    );
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_stands_for_several_says_how_many() {
        let mut row = AuditRow {
            id: uuid::Uuid::nil(),
            at: Timestamp::from_micros(0),
            event: Event::SignInRefused,
            actor: "anonymous".to_owned(),
            actor_id: None,
            account: Some("eve".to_owned()),
            account_id: None,
            session_id: None,
            ip: Some([192, 0, 2, 1].into()),
            user_agent: None,
            application: None,
            outcome: Outcome::Failure,
            reason: Some("locked".to_owned()),
            detail: Value::Null,
            request_id: None,
        };
        assert_eq!(sentence(&row), "Sign-in refused: locked out");
        row.detail = serde_json::json!({ "refusals": 21 });
        assert_eq!(sentence(&row), "Sign-in refused: locked out, 21 times");
        row.account = None;
        assert_eq!(
            sentence(&row),
            "Sign-in refused: locked out, 21 times under various names"
        );
        row.ip = None;
        assert_eq!(
            sentence(&row),
            "Sign-in refused: locked out, 21 times from various addresses"
        );
    }

    #[test]
    fn old_and_new_become_a_diff_and_the_rest_facts() {
        let recorded = serde_json::json!({
            "revision": 7,
            "reason": "",
            "changes": [{ "scope": "everyone", "key": "auth.idle_session_timeout", "old": 900, "new": 600 }],
            "email": { "old": null, "new": "a@example.org" },
            "keys": { "ip": "203.0.113.9", "account": null },
            "baseline": null,
        });
        let (changes, facts) = detail(&recorded);
        let changes: Vec<(&str, &str, &str)> = changes
            .iter()
            .map(|line| (line.label.as_str(), line.old.as_str(), line.new.as_str()))
            .collect();
        assert_eq!(
            changes,
            [
                ("Idle timeout", "15 minutes", "10 minutes"),
                ("Email", "none", "a@example.org")
            ]
        );
        let facts: Vec<(&str, &str)> = facts
            .iter()
            .map(|(label, words)| (label.as_str(), words.as_str()))
            .collect();
        assert_eq!(facts, [("Revision", "7"), ("Reason", "none"), ("Ip", "203.0.113.9")]);
    }
}
