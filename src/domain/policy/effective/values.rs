//! The typed values of a policy, in the form that the rules use.

use super::{factors::FactorPolicy, validation::ValidationPolicy};
use crate::{
    account::Role,
    network_groups::NetworkGroups,
    notification::NotificationKind,
    policy::{Scope, glob::Glob, pattern::Pattern},
    time::Span,
};

/// All values that the rules need about one kind of session.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    /// The role for which it was made.
    pub role: Role,
    /// The role's own rule first, then one for each entered application. All of them apply, and the
    /// earliest end wins.
    pub lifetimes: Vec<LifetimeRule>,
    /// `session.window_close_grace`.
    pub window_close_grace: Span,
    /// `session.concurrent_user_session_limit`; 0: no limit.
    pub concurrent_limit: u32,
    /// `session.idle_warning`; `None`: automatic.
    pub idle_warning: Option<Span>,
    /// What counts as activity.
    pub activity: ActivityPolicy,
    /// Expiry of accounts.
    pub accounts: AccountPolicy,
    /// Requirements on passwords.
    pub password: PasswordPolicy,
    /// Protection against guessed passwords.
    pub lockout: LockoutPolicy,
    /// Requirements on second factors.
    pub factors: FactorPolicy,
    /// The cookie's attributes.
    pub cookie: CookiePolicy,
    /// What a session is bound to.
    pub validation: ValidationPolicy,
    /// Binding to a key of the device.
    pub device: DevicePolicy,
    /// How long data is kept.
    pub retention: RetentionPolicy,
    /// The kinds of emails that are sent.
    pub notifications: Vec<NotificationKind>,
}

/// The lifetimes that one scope requires, each value with its fallback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifetimeRule {
    /// The scope of the rule: everyone, administrators, or an entered application.
    pub scope: Scope,
    /// `session.ttl`.
    pub ttl: Span,
    /// `auth.idle_session_timeout`.
    pub idle: IdleTimeout,
    /// `session.renewal_period`; `None`: unlimited (always for applications).
    pub renewal: Option<Span>,
}

/// The typed value of `auth.idle_session_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleTimeout {
    /// -1.
    Never,
    /// 0: while a window is open.
    WindowOpen,
    /// After this long without activity; above zero.
    After(Span),
}

/// What counts as activity.
#[derive(Debug, Clone)]
pub struct ActivityPolicy {
    /// The typed value of `activity.counts`.
    pub counts: ActivityMeasure,
    /// `activity.ignored_paths`.
    pub ignored: Vec<Glob>,
}

/// The typed value of `activity.counts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityMeasure {
    /// Any request.
    EveryRequest,
    /// Only page navigations.
    Navigation,
    /// Only the page guard's report of real input.
    Interaction,
}

/// Expiry of accounts. `None`: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPolicy {
    /// `auth.change_default_password`.
    pub change_default_password: bool,
    /// `auth.expires_after`.
    pub expires_after: Option<Span>,
    /// `auth.expire_unused_after`.
    pub expire_unused_after: Option<Span>,
    /// The typed value of `auth.expire_superusers`.
    pub expire_superusers: ExpireSuperusers,
    /// `auth.expiry_notice`.
    pub expiry_notice: Option<Span>,
}

/// The typed value of `auth.expire_superusers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireSuperusers {
    /// true.
    LikeEveryone,
    /// false.
    Never,
    /// A number.
    After(Span),
}

/// Requirements on passwords.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    /// `password.min_length`, in characters.
    pub min_length: usize,
    /// `password.min_strength`, a zxcvbn score.
    pub min_strength: u8,
    /// `password.history`.
    pub history: u32,
    /// `password.max_age`; `None`: unlimited.
    pub max_age: Option<Span>,
    /// `password.regex`; `None`: no requirement.
    pub regex: Option<Pattern>,
    /// `password.regex_hint`.
    pub regex_hint: String,
}

/// Protection against guessed passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// `auth.login_lock_out_at_failure`, the main switch of key locks.
    pub lock_out: bool,
    /// `auth.login_failure_limit`.
    pub failure_limit: u32,
    /// `auth.login_cooloff_time`; `None`: never forgotten.
    pub cooloff: Option<Span>,
    /// `auth.login_lock_out_by_combination_user_and_ip`.
    pub by_user_and_ip: bool,
    /// `auth.login_lock_out_use_user_agent`.
    pub by_user_agent: bool,
    /// `auth.login_ip_ceiling`; 0: off.
    pub ip_ceiling: u32,
    /// `auth.login_account_ceiling`; 0: off.
    pub account_ceiling: u32,
    /// `auth.reset_limit`, per hour.
    pub reset_limit: u32,
    /// `auth.login_allow_list`.
    pub allow_list: Vec<ipnetwork::IpNetwork>,
    /// `session.network_groups`: an account known from one network of a group is known from all.
    pub network_groups: NetworkGroups,
    /// `factor.failure_limit`.
    pub factor_failure_limit: u32,
}

/// Binding of sessions to a key of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePolicy {
    /// `session.device_binding` for the request: the strictest of the role's value and the
    /// requested application's.
    pub binding: DeviceBinding,
    /// `session.device_proof_age`.
    pub proof_age: Span,
}

/// The typed value of `session.device_binding`, in the order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceBinding {
    /// Keys are neither offered nor judged.
    Off,
    /// Sessions are bound in browsers that can.
    Offer,
    /// Sessions that are not bound are refused.
    Require,
}

impl DeviceBinding {
    /// Parses a word of the setting; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "off" => Some(DeviceBinding::Off),
            "offer" => Some(DeviceBinding::Offer),
            "require" => Some(DeviceBinding::Require),
            _ => None,
        }
    }
}

/// How long data is kept. `None`: forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// `retention.audit`.
    pub audit: Option<Span>,
    /// `retention.sessions`.
    pub sessions: Option<Span>,
    /// `retention.known_networks`.
    pub known_networks: Option<Span>,
    /// `retention.tokens`.
    pub tokens: Option<Span>,
    /// `retention.mail`.
    pub mail: Option<Span>,
    /// `retention.pins`.
    pub pins: Option<Span>,
}

/// The session cookie's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookiePolicy {
    /// `session.secure`.
    pub secure: bool,
    /// `session.http_only`.
    pub http_only: bool,
    /// The typed value of `session.same_site`.
    pub same_site: SameSite,
    /// `session.expire_at_browser_close`.
    pub expire_at_browser_close: bool,
}

/// The typed value of `session.same_site`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never sent from other sites.
    Strict,
    /// Sent on navigations.
    Lax,
    /// Always sent; needs Secure.
    None,
}
