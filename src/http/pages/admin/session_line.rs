//! One session as every list of the console shows it.
use super::part::Badge;
use crate::domain::account::Role;
use crate::domain::agent;
use crate::domain::policy::Scope;
use crate::domain::session::{EndReason, SessionId};
use crate::domain::time::Timestamp;
use crate::flows::sessions::SessionView;

pub struct SessionLine {
    pub id: String,
    pub account: String,
    pub account_id: String,
    pub administrator: bool,
    /// The session that looks at it.
    pub yours: bool,
    pub live: bool,
    pub device: String,
    pub ip: String,
    pub applications: Vec<String>,
    pub signed_in: Timestamp,
    pub last_active: Timestamp,
    pub end: Ending,
    pub checks: Vec<Badge>,
}

/// When it ends or ended, and by which rule.
pub enum Ending {
    /// Live: the last instant, the rule in words (`idle`), the scope whose rule it is when that is not everyone's.
    At { at: Timestamp, rule: String, scope: String },
    /// Live, and nothing ends it by itself.
    Never,
    Ended {
        at: Timestamp,
        reason: String,
        by: Option<String>,
    },
}

impl SessionLine {
    pub fn new(view: &SessionView, yours: SessionId) -> Self {
        let session = &view.row.session;
        Self {
            id: session.id.0.to_string(),
            account: view.row.account_name.clone(),
            account_id: session.account_id.0.to_string(),
            administrator: view.row.role == Role::Administrator,
            yours: session.id == yours,
            live: view.live,
            device: agent::describe(session.binding.user_agent.as_deref()),
            ip: session.ip.to_string(),
            applications: session.applications.clone(),
            signed_in: session.signed_in_at,
            last_active: view.last_active_at,
            end: ending(view),
            checks: checks(view),
        }
    }
}

fn ending(view: &SessionView) -> Ending {
    let session = &view.row.session;
    if let Some(at) = session.ended_at {
        let reason = session.end_reason.map_or("ended", reason_words).to_owned();
        return Ending::Ended {
            at,
            reason,
            by: session.ended_by.clone(),
        };
    }
    match &view.ends {
        None => Ending::Never,
        Some(end) if !view.live => Ending::Ended {
            at: end.at,
            reason: reason_words(end.reason).to_owned(),
            by: None,
        },
        Some(end) => Ending::At {
            at: end.at,
            rule: reason_words(end.reason).to_owned(),
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
    if session.user_agent_mismatches > 0 {
        badges.push(Badge::danger(format!(
            "Browser mismatch {}×",
            session.user_agent_mismatches
        )));
    }
    if session.binding.changes > 0 {
        badges.push(Badge::warn(format!("Network changed {}×", session.binding.changes)));
    }
    if badges.is_empty() {
        badges.push(Badge::ok("Same network"));
    }
    badges
}

/// The rule as a word or two, for lists.
pub const fn reason_words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::SignedOut => "signed out",
        EndReason::Revoked => "ended by hand",
        EndReason::AccountDisabled => "account disabled",
        EndReason::AccountExpired => "account expired",
        EndReason::Ttl => "lifetime",
        EndReason::Renewal => "renewal",
        EndReason::Idle => "idle",
        EndReason::WindowClosed => "window closed",
        EndReason::UserAgent => "other browser",
        EndReason::Network => "other network",
        EndReason::NetworkAllowance => "too many networks",
        EndReason::RotatedReuse => "replaced id reused",
        EndReason::PasswordChanged => "password changed",
        EndReason::SessionLimit => "session limit",
    }
}
