//! One audit event as every list of the console shows it.
use super::{
    list::href,
    part::{Badge, DiffLine},
};
use crate::{
    domain::{
        audit::{AuditRecord, Event, EventOutcome, repeated::times},
        duration,
        login::ONE_TIME_OVER,
        policy::{Key, Scope, diff::Change},
        session::{EndCause, EndReason},
        text::escape_json,
        time::Timestamp,
    },
    http::{filters::format_utc, paths},
};
use serde_json::Value;

/// One audit event, ready to be shown.
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
    /// The page of the account, if it has an ID.
    pub account_href: Option<String>,
    pub session_href: Option<String>,
    pub application: Option<String>,
    pub ip: Option<String>,
    pub reason: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    /// The changes: old → new.
    pub changes: Vec<DiffLine>,
    /// All other facts of the record.
    pub facts: Vec<(String, String)>,
    /// The record as JSON.
    pub json: String,
    /// Links that narrow the list to a value or exclude it: label and address.
    pub narrow: Vec<(String, String)>,
}

impl AuditLine {
    /// Returns the line of an event.
    pub fn new(row: &AuditRecord) -> Self {
        let ok = row.outcome == EventOutcome::Success;
        let (changes, facts) = detail(&row.detail);
        Self {
            id: row.id.simple().to_string(),
            at: row.at,
            event: row.event.as_str(),
            sentence: sentence(row),
            critical: row.event.is_critical(row.reason.as_deref()),
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
            json: escape_json(&serde_json::to_string_pretty(&row.to_json()).unwrap_or_default()),
            narrow: narrow(row),
        }
    }
}

impl AuditLine {
    /// Returns the lines of a timeline: one for each sign-in, which also opened its session.
    pub fn timeline(records: &[AuditRecord]) -> Vec<Self> {
        let shown = records.iter().filter(|record| record.event != Event::SessionOpened);
        shown.map(Self::new).collect()
    }
}

/// Returns the sentence of the event, with its reason if that adds something, and the number if an
/// entry stands for several.
pub fn sentence(row: &AuditRecord) -> String {
    let words = match row.reason.as_deref() {
        Some(code) if row.event == Event::FactorRefused => factor_refusal(code),
        Some("credentials") if row.event == Event::PasswordChanged => "wrong current password",
        Some("credentials") => "wrong username or password",
        Some("locked") => "locked out",
        Some("busy") => "too many attempts at once",
        Some(ONE_TIME_OVER) => "one-time password expired",
        Some("account_disabled") => "account disabled",
        Some("account_expired") => "account expired",
        Some(code) => source_words(code)
            .or_else(|| EndReason::parse(code).map(super::session_line::end_reason_label))
            .unwrap_or_default(),
        None => "",
    };
    let mut sentence = describe_event(row);
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

/// Returns the words for the reasons for which a source refuses.
fn source_words(code: &str) -> Option<&'static str> {
    Some(match code {
        "source_down" => "its source does not answer",
        "source_disabled" => "its source is disabled or deleted",
        "source_changed" => "the source was changed during the sign-in",
        "source_password" => "its source does not take passwords here",
        "bind_limit" => "limit of tries at the directory reached",
        "name_unusable" => "the source’s username cannot be used here",
        "name_taken" => "another account has the username",
        "identity_changed" => "the account with the username belongs to another identity at its source",
        "not_listed" => "no account is listed for the person",
        "directory_ambiguous" => "several entries of the directory match",
        "directory_incomplete" => "the entry lacks its ID or name",
        "directory_gone" => "the person is no longer in the directory",
        "not_in_allowed_group" => "in none of the allowed groups",
        "directory_hours" => "not allowed at this time (directory)",
        "directory_workstation" => "not allowed from this computer (directory)",
        "directory_password_expired" => "password expired in the directory",
        "directory_disabled" => "disabled in the directory",
        "directory_account_expired" => "expired in the directory",
        "directory_must_change" => "password must be changed in the directory first",
        "directory_locked" => "locked in the directory",
        _ => return None,
    })
}

/// Returns the reason of a refused second factor.
fn factor_refusal(code: &str) -> &'static str {
    match code {
        "code" => "wrong code",
        "replayed" => "code already used",
        "key_lost" => "the key of the authenticator app is missing",
        "blocked" => "too many wrong codes",
        "busy" => "too many attempts at once",
        "assertion" => "passkey not accepted",
        "counter" => "the passkey may have been copied",
        _ => "",
    }
}

/// Describes the event; a second factor is named, and a refused action does not read as if it were
/// done.
fn describe_event(row: &AuditRecord) -> String {
    let text = |name: &str| row.detail.get(name).and_then(Value::as_str);
    let act = match row.event {
        Event::FactorAdded => "added",
        Event::FactorRemoved => "removed",
        Event::PasswordChanged if row.outcome == EventOutcome::Failure => {
            return "Password change refused".to_owned();
        }
        event => return event.sentence().to_owned(),
    };
    match (text("kind"), text("passkey")) {
        (Some("passkey"), Some(name)) => format!("Passkey {act}: {name}"),
        (Some("passkey"), None) => format!("Passkey {act}"),
        (Some("authenticator_app"), _) => format!("Authenticator app {act}"),
        (Some(_) | None, _) => row.event.sentence().to_owned(),
    }
}

fn detail(detail: &Value) -> (Vec<DiffLine>, Vec<(String, String)>) {
    let (mut changes, mut facts) = (Vec::new(), Vec::new());
    let Value::Object(fields) = detail else {
        return (changes, facts);
    };
    let cause = EndCause::from_json(detail);
    facts.extend(cause.iter().flat_map(cause_facts));
    for (name, value) in fields {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            (name, _) if cause.is_some() && CAUSE_FIELDS.contains(&name) => {}
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
                    old: format_value(pair.get("old")),
                    new: format_value(pair.get("new")),
                })
            }
            (_, Value::Object(inner)) => {
                facts.extend(
                    inner
                        .iter()
                        .filter(|(_, value)| !value.is_null())
                        .map(|(inner, value)| (label(inner), format_value(Some(value)))),
                );
            }
            (_, value) => facts.push((label(name), format_value(Some(value)))),
        }
    }
    (changes, facts)
}

/// The fields of [`EndCause::to_json`], which [`cause_facts`] shows.
const CAUSE_FIELDS: [&str; 8] = [
    "setting",
    "scope",
    "limit",
    "due_at",
    "window_close_grace",
    "last_active_at",
    "policy_revision",
    "refused_client",
];

/// Returns the facts of a session's end as its own page shows them.
fn cause_facts(cause: &EndCause) -> Vec<(String, String)> {
    let setting = cause.setting.map(Key::setting);
    let limit = setting.zip(cause.limit.as_ref());
    let revision = match cause.policy_revision {
        0 => "defaults, before the first revision".to_owned(),
        revision => format!("revision {revision}"),
    };
    let facts = [
        (
            "Rule",
            setting.map(|setting| format!("{} ({})", setting.label, setting.name)),
        ),
        ("Scope", cause.scope.as_ref().map(Scope::label)),
        ("Limit", limit.map(|(setting, limit)| setting.display(limit))),
        ("Limit reached at", cause.due_at.map(format_utc)),
        (
            "No window for",
            cause
                .window_close_grace
                .map(|grace| duration::humanize(grace.as_secs())),
        ),
        ("Used from", cause.refused_client.clone()),
        ("Last active at", Some(format_utc(cause.last_active_at))),
        ("Policy", Some(revision)),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(label, value)| value.map(|value| (label.to_owned(), value)));
    known.collect()
}

/// Formats a name as a label: `network_changes` → `Network changes`.
fn label(name: &str) -> String {
    let spaced = name.replace('_', " ");
    let mut chars = spaced.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn format_value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::Bool(on)) => if *on { "yes" } else { "no" }.to_owned(),
        Some(Value::String(text)) if text.is_empty() => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "none".to_owned(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| format_value(Some(item)))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other @ (Value::Number(_) | Value::Object(_))) => other.to_string(),
    }
}

fn narrow(row: &AuditRecord) -> Vec<(String, String)> {
    let link =
        |words: &str, name: &'static str, value: &str| (words.to_owned(), href(paths::ADMIN_AUDIT, [(name, value)]));
    let mut links = vec![
        link("only this event", "event", row.event.as_str()),
        link("exclude this event", "without", row.event.as_str()),
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
mod tests;
