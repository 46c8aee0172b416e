//! The cause of a session's end: the rule and the policy that ended it, as they were at that
//! moment.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::{
    super::{
        account::Role,
        duration,
        policy::{Key, Scope, Source, Value, effective::Policy},
        time::{Span, Timestamp},
    },
    EndReason, LifeFacts, candidates,
};

/// The cause of a session's end, stored when it ended: a later policy does not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndCause {
    /// The setting whose limit was reached; `None`: no setting ended the session.
    pub setting: Option<Key>,
    /// The scope that set it.
    pub scope: Option<Scope>,
    /// Its value.
    pub limit: Option<Value>,
    /// The last live instant that a lifetime allowed; `None`: no lifetime ended the session.
    pub due_at: Option<Timestamp>,
    /// How long no window had been open, if that ended the session; `limit` is 0 then.
    pub window_close_grace: Option<Span>,
    /// The latest known activity.
    pub last_active_at: Timestamp,
    /// Revision of the policy in force.
    pub policy_revision: i64,
    /// The address or browser of the request that ended the session; `None`: no request did, or
    /// the row is older than this field.
    pub refused_client: Option<String>,
}

/// Who ended a session, as its sentence names them.
#[derive(Debug, Clone, Copy)]
pub struct SessionEnder<'a> {
    /// The name of the person; `None`: a rule ended it.
    pub person: Option<&'a str>,
    /// The name of the session's owner.
    pub owner: &'a str,
}

/// What the names of operators at the command line begin with (`audit::Actor`).
const OPERATOR: &str = "cli:";

/// Returns the subject of the sentence. Only administrators and operators end what is not theirs,
/// so a username that begins like an operator's makes no other claim.
fn describe_person(person: &str) -> Cow<'_, str> {
    match person.strip_prefix(OPERATOR) {
        Some(operator) => format!("An administrator at the command line, {operator},").into(),
        None => person.into(),
    }
}

impl EndCause {
    /// Finds the cause of an end for `reason` under `policy`. `entered`: the session's
    /// applications.
    pub fn new(reason: EndReason, life: &LifeFacts, role: Role, entered: &[String], policy: &Policy) -> Self {
        let unbound = Self {
            setting: None,
            scope: None,
            limit: None,
            due_at: None,
            window_close_grace: None,
            last_active_at: life.last_active_at.max(life.signed_in_at),
            policy_revision: policy.revision(),
            refused_client: None,
        };
        let Some(setting) = reason.setting() else {
            return unbound;
        };
        let rules = policy.effective(role, entered, None);
        let end = candidates(life, &rules)
            .filter(|end| end.reason == reason)
            .min_by_key(|end| end.at);
        let application = end.and_then(|end| application_of(end.rule, entered));
        let (limit, source) = policy.value(setting, role, application);
        Self {
            setting: Some(setting),
            scope: Some(match source {
                Source::SetIn(scope) => scope,
                Source::Default | Source::Mode(_) | Source::Pinned => Scope::Everyone,
            }),
            limit: Some(limit),
            due_at: end.map(|end| end.at),
            window_close_grace: (reason == EndReason::WindowClosed).then_some(rules.window_close_grace),
            ..unbound
        }
    }

    /// Returns the JSON of the audit's `detail`, of `--json` and of the database.
    pub fn to_json(&self) -> Json {
        json!({
            "setting": self.setting.map(|setting| setting.to_string()),
            "scope": self.scope.as_ref().map(Scope::to_string),
            "limit": self.limit.as_ref().map(Value::to_json),
            "due_at": self.due_at.map(|at| at.to_rfc3339()),
            "window_close_grace": self.window_close_grace.map(Span::as_secs),
            "last_active_at": self.last_active_at.to_rfc3339(),
            "policy_revision": self.policy_revision,
            "refused_client": self.refused_client,
        })
    }

    /// Parses [`EndCause::to_json`]; `None`: another object.
    pub fn from_json(json: &Json) -> Option<Self> {
        let instant = |name: &str| json[name].as_str().and_then(Timestamp::parse_rfc3339);
        let optional = |name: &str| Some(&json[name]).filter(|value| !value.is_null());
        Some(Self {
            setting: match optional("setting") {
                Some(setting) => Some(Key::parse(setting.as_str()?)?),
                None => None,
            },
            scope: match optional("scope") {
                Some(scope) => Some(scope.as_str()?.parse().ok()?),
                None => None,
            },
            limit: match optional("limit") {
                Some(limit) => Some(Value::from_json(limit)?),
                None => None,
            },
            due_at: match optional("due_at") {
                Some(_) => Some(instant("due_at")?),
                None => None,
            },
            window_close_grace: match optional("window_close_grace") {
                Some(secs) => Some(Span::from_secs(secs.as_i64()?)),
                None => None,
            },
            last_active_at: instant("last_active_at")?,
            policy_revision: json["policy_revision"].as_i64()?,
            refused_client: json["refused_client"].as_str().map(str::to_owned),
        })
    }
}

impl EndReason {
    /// Returns the setting whose limit ends sessions for this reason. `None`: a person ended the
    /// session, or the account's own date did.
    pub const fn setting(self) -> Option<Key> {
        match self {
            EndReason::Ttl => Some(Key::SessionTtl),
            EndReason::Renewal => Some(Key::SessionRenewalPeriod),
            // 0 in the same setting means while a window is open. The grace period is everyone's;
            // the rule may be an application's.
            EndReason::Idle | EndReason::WindowClosed => Some(Key::AuthIdleSessionTimeout),
            EndReason::UserAgent => Some(Key::SessionSessionUserAgentValidation),
            EndReason::Network | EndReason::NetworkAllowance => Some(Key::SessionSessionAllowIpChanges),
            EndReason::RotatedReuse => Some(Key::SessionSessionRotationOnIpChange),
            EndReason::SessionLimit => Some(Key::SessionConcurrentUserSessionLimit),
            EndReason::SignedOut
            | EndReason::Revoked
            | EndReason::AccountDisabled
            | EndReason::Directory
            | EndReason::AccountExpired
            | EndReason::PasswordChanged
            | EndReason::IdentityProvider => None,
        }
    }
}

impl EndCause {
    /// Explains to an administrator why a session ended for `reason`, with the limit that was in
    /// force and the person who ended it.
    pub fn sentence(&self, reason: EndReason, by: SessionEnder<'_>) -> String {
        let owner = by.owner;
        match (reason, by.person) {
            (EndReason::Revoked, Some(person)) if person == owner => {
                format!("{owner} ended it from another session.")
            }
            (EndReason::PasswordChanged, Some(person)) if person == owner => {
                format!("{owner} changed the password of the account.")
            }
            (EndReason::Revoked, Some(person)) => format!("{} ended it.", describe_person(person)),
            (EndReason::AccountDisabled, Some(person)) => {
                format!("{} disabled the account.", describe_person(person))
            }
            (EndReason::PasswordChanged, Some(person)) => {
                format!("{} reset the password of the account.", describe_person(person))
            }
            (_, _) => self.impersonal_sentence(reason),
        }
    }

    /// Explains to the owner which limit of time ended their session. `None`: none did.
    pub fn limit_sentence(&self, reason: EndReason) -> Option<String> {
        let limit = match self.limit {
            Some(Value::Number(secs)) => duration::humanize(secs.max(0)),
            Some(Value::Flag(_) | Value::Text(_) | Value::List(_)) | None => return None,
        };
        match reason {
            EndReason::Idle => Some(format!("You were signed out after {limit} without activity.")),
            EndReason::Ttl => Some(format!(
                "You were signed out {limit} after you had signed in. Sessions do not last longer, however active \
                 they are."
            )),
            EndReason::WindowClosed => Some(format!(
                "You were signed out because no window had been open for {}.",
                duration::humanize(self.window_close_grace.map_or(0, Span::as_secs))
            )),
            EndReason::Renewal
            | EndReason::SignedOut
            | EndReason::Revoked
            | EndReason::AccountDisabled
            | EndReason::Directory
            | EndReason::AccountExpired
            | EndReason::PasswordChanged
            | EndReason::IdentityProvider
            | EndReason::UserAgent
            | EndReason::Network
            | EndReason::NetworkAllowance
            | EndReason::RotatedReuse
            | EndReason::SessionLimit => None,
        }
    }

    fn impersonal_sentence(&self, reason: EndReason) -> String {
        let limit = || match self.limit {
            Some(Value::Number(secs)) => duration::humanize(secs.max(0)),
            Some(Value::Flag(_) | Value::Text(_) | Value::List(_)) | None => "its limit".to_owned(),
        };
        let client = || {
            let client = self.refused_client.as_ref();
            client.map(|client| format!(" ({client})")).unwrap_or_default()
        };
        let grace = || duration::humanize(self.window_close_grace.map_or(0, Span::as_secs));
        match reason {
            EndReason::SignedOut => "The user signed out.".to_owned(),
            EndReason::Revoked => "It was ended from outside the session.".to_owned(),
            EndReason::AccountDisabled => "The account was disabled.".to_owned(),
            EndReason::Directory => {
                "The directory no longer lets the account in, or it did not answer for too long.".to_owned()
            }
            EndReason::AccountExpired => "The account expired.".to_owned(),
            EndReason::PasswordChanged => "The password of the account was changed.".to_owned(),
            EndReason::IdentityProvider => {
                "The user signed out at the identity provider, or the provider ended its session.".to_owned()
            }
            EndReason::Ttl => format!(
                "Its absolute lifetime of {} was over; activity does not extend it.",
                limit()
            ),
            EndReason::Renewal => format!(
                "Its last lease ran out: leases are renewed only within {} of the sign-in.",
                limit()
            ),
            EndReason::Idle => format!("There was no activity for {}.", limit()),
            EndReason::WindowClosed => format!("No window was open for {}.", grace()),
            EndReason::UserAgent => format!("It was used with a different browser{} than at the sign-in.", client()),
            EndReason::Network => format!(
                "It was used from another network{}; no change of network was allowed.",
                client()
            ),
            EndReason::NetworkAllowance => format!(
                "It was used from another network{} after the allowed changes of network were used up.",
                client()
            ),
            EndReason::RotatedReuse => format!("A session ID that had been replaced was used again{}.", client()),
            EndReason::SessionLimit => match &self.limit {
                Some(Value::Number(most)) => {
                    format!(
                        "The user signed in again; one account may have {most} at a time, and this was the least \
                         recently active."
                    )
                }
                Some(Value::Flag(_) | Value::Text(_) | Value::List(_)) | None => {
                    "The user signed in again and had too many sessions.".to_owned()
                }
            },
        }
    }
}

/// Returns the application whose rule has the index `rule` in the effective lifetimes. The first is
/// the role's own rule, followed by one for each entered application.
fn application_of(rule: usize, entered: &[String]) -> Option<&str> {
    let mut distinct: Vec<&str> = Vec::new();
    for name in entered {
        if !distinct.contains(&name.as_str()) {
            distinct.push(name);
        }
    }
    distinct.get(rule.checked_sub(1)?).copied()
}
