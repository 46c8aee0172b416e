//! One session as every list of the console shows it.
use super::part::Badge;
use crate::{
    domain::{
        account::Role,
        agent,
        policy::Scope,
        session::{EndCause, EndReason, SessionId},
        time::Timestamp,
    },
    flows::sessions::SessionView,
    http::{filters::setting_anchor, paths},
};
use url::form_urlencoded;

/// One session, ready to be shown.
pub struct SessionLine {
    pub id: String,
    pub account: String,
    pub account_id: String,
    pub administrator: bool,
    /// The name of the account's source; `None`: it is local.
    pub source: Option<String>,
    /// Whether it is the visitor's own session.
    pub yours: bool,
    pub live: bool,
    pub device: String,
    pub ip: String,
    pub applications: Vec<String>,
    pub signed_in: Timestamp,
    pub last_active: Timestamp,
    pub end: SessionEndView,
    pub checks: Vec<Badge>,
    /// Its proofs for display: `password, authenticator app`.
    pub proved: String,
    /// Whether it has a proof that counts as a second factor.
    pub has_second_factor: bool,
}

/// When it ends or ended, and by which rule.
pub enum SessionEndView {
    /// A live session: when it ends, by which rule (`idle`), and the rule's scope if that is not
    /// everyone's.
    At { at: Timestamp, rule: String, scope: String },
    /// Live, without an automatic end.
    Never,
    Ended {
        at: Timestamp,
        reason: String,
        by: Option<String>,
        /// The sentence behind the reason, with the limit that was in force; empty if it is not
        /// known.
        why: String,
    },
}

/// Why a session ended, in full: the rule, its limit and the policy of that time.
pub struct EndDetail {
    /// The exact instant.
    pub at: Timestamp,
    /// The reason in a word or two, and its code.
    pub reason: &'static str,
    pub code: &'static str,
    pub sentence: String,
    /// The person who ended it, if any.
    pub by: Option<String>,
    pub rule: Option<EndRule>,
    pub last_active: Timestamp,
    /// Revision of the policy in force then, and the address of its page (none for revision 0).
    pub revision: i64,
    pub revision_href: Option<String>,
}

/// The setting that ended a session, with its value at that time.
pub struct EndRule {
    pub label: &'static str,
    pub key: &'static str,
    /// The setting's place in the editor of its scope.
    pub href: String,
    pub scope: String,
    pub limit: String,
    /// When the limit was reached, if it is a time limit.
    pub due: Option<Timestamp>,
}

impl EndDetail {
    /// Returns why a session ended. `None`: it is live, or its row is from before this was stored.
    pub fn new(view: &SessionView) -> Option<Self> {
        let ended = view.ended.as_ref()?;
        let (cause, reason) = (ended.cause.as_ref()?, ended.reason?);
        Some(Self {
            at: ended.at,
            reason: end_reason_label(reason),
            code: reason.as_str(),
            sentence: ended.sentence(&view.row.account_name).unwrap_or_default(),
            by: ended.by.clone(),
            rule: end_rule(cause),
            last_active: cause.last_active_at,
            revision: cause.policy_revision,
            revision_href: (cause.policy_revision > 0)
                .then(|| paths::ADMIN_POLICY_REVISION.replace("{number}", &cause.policy_revision.to_string())),
        })
    }
}

fn scope_query(scope: &Scope) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("scope", &scope.to_string()).finish()
}

fn end_rule(cause: &EndCause) -> Option<EndRule> {
    let (key, scope, limit) = (cause.setting?, cause.scope.as_ref()?, cause.limit.as_ref()?);
    let setting = key.setting();
    Some(EndRule {
        label: setting.label,
        key: setting.name,
        href: format!(
            "{}?{}#{}",
            paths::ADMIN_POLICY,
            scope_query(scope),
            setting_anchor(setting.name)
        ),
        scope: scope.label(),
        limit: setting.display(limit),
        due: cause.due_at,
    })
}

impl SessionLine {
    /// Returns the line of a session; `yours` is the visitor’s own.
    pub fn new(view: &SessionView, yours: SessionId) -> Self {
        let session = &view.row.session;
        Self {
            id: session.id.0.to_string(),
            account: view.row.account_name.clone(),
            account_id: session.account_id.0.to_string(),
            administrator: view.row.role == Role::Administrator,
            source: view.row.source.is_some().then(|| view.source.clone()),
            yours: session.id == yours,
            live: view.live,
            device: agent::describe(session.binding.user_agent.as_deref()),
            ip: session.ip.to_string(),
            applications: session.applications.clone(),
            signed_in: session.signed_in_at,
            last_active: view.last_active_at,
            end: session_end_view(view),
            checks: checks(view),
            proved: session.proofs.display(),
            has_second_factor: session.proofs.has_second_factor(),
        }
    }
}

fn session_end_view(view: &SessionView) -> SessionEndView {
    if let Some(ended) = &view.ended {
        return SessionEndView::Ended {
            at: ended.at,
            reason: ended.reason.map_or("ended", end_reason_label).to_owned(),
            by: ended.by.clone(),
            why: ended.sentence(&view.row.account_name).unwrap_or_default(),
        };
    }
    match &view.ends {
        None => SessionEndView::Never,
        Some(end) => SessionEndView::At {
            at: end.at,
            rule: end_reason_label(end.reason).to_owned(),
            scope: match &view.ends_scope {
                None | Some(Scope::Everyone) => String::new(),
                Some(scope @ (Scope::Administrators | Scope::Application(_))) => scope.label(),
            },
        },
    }
}

fn checks(view: &SessionView) -> Vec<Badge> {
    let session = &view.row.session;
    let mut badges = Vec::new();
    if session.binding.changes > 0 {
        badges.push(Badge::warn(format!("Network {}×", session.binding.changes)));
    }
    if !session.devices.is_empty() {
        badges.push(Badge::ok("Device-bound"));
    }
    badges
}

/// Returns the rule as one or two words, for lists.
pub const fn end_reason_label(reason: EndReason) -> &'static str {
    match reason {
        EndReason::SignedOut => "signed out",
        EndReason::Revoked => "ended on request",
        EndReason::AccountDisabled => "account disabled",
        EndReason::Directory => "closed in the directory",
        EndReason::AccountExpired => "account expired",
        EndReason::Ttl => "lifetime",
        EndReason::Renewal => "renewal",
        EndReason::Idle => "idle",
        EndReason::WindowClosed => "window closed",
        EndReason::UserAgent => "other browser",
        EndReason::Network => "other network",
        EndReason::NetworkAllowance => "too many network changes",
        EndReason::RotatedReuse => "old session ID reused",
        EndReason::PasswordChanged => "password changed",
        EndReason::IdentityProvider => "ended by the identity provider",
        EndReason::SessionLimit => "session limit",
    }
}
