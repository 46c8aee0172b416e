//! everyone ⊕ administrators ⊕ applications → the typed values that the rules read, with provenance per key.
//! Typed policies are made once per policy and kind of session and then shared; making one per request is a mistake.

use std::sync::Arc;

use super::*;
use crate::domain::{account::Role, notice::Notice, time::Span};

mod glob;
mod pattern;
mod validation;

pub use glob::Glob;
pub use pattern::Pattern;
pub use validation::{Mode, ValidationPolicy};

/// A document with pins applied, ready to answer; cheap to share.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    revision: i64,
    document: PolicyDocument,
    pins: Pins,
    dev: bool,
    /// `password.regex`, compiled once: it is the one value that takes time to type.
    pattern: Option<Pattern>,
}

impl Policy {
    /// `dev`: idle endings off for everyone (serve --dev).
    pub fn new(revision: i64, document: PolicyDocument, pins: Pins, dev: bool) -> Self {
        let regex = pins
            .get(&Key::PasswordRegex)
            .or_else(|| document.get(&Scope::Everyone, Key::PasswordRegex));
        let pattern = match regex {
            Some(Value::Text(regex)) if !regex.is_empty() => Pattern::parse(regex).ok(),
            Some(Value::Text(_) | Value::Flag(_) | Value::Number(_) | Value::List(_)) | None => None,
        };
        Self(Arc::new(Inner {
            revision,
            document,
            pins,
            dev,
            pattern,
        }))
    }

    /// The number of the revision; 0 for a draft.
    pub fn revision(&self) -> i64 {
        self.0.revision
    }

    /// What is set, without pins.
    pub fn document(&self) -> &PolicyDocument {
        &self.0.document
    }

    /// What the environment fixes.
    pub fn pins(&self) -> &Pins {
        &self.0.pins
    }

    /// Whether development mode switches idle endings off, whatever [`Policy::value`] says.
    pub fn dev(&self) -> bool {
        self.0.dev
    }

    /// Effective value of a key and where it comes from.
    ///
    /// Pin, else application override, else administrators' override, else everyone, else what the validation mode
    /// derives, else default. `off` wins over the knobs it switches off, whoever set them.
    pub fn value(&self, key: Key, role: Role, application: Option<&str>) -> (Value, Source) {
        let application = application.map(|name| Scope::Application(name.to_owned()));
        let administrators = (role == Role::Administrator).then_some(Scope::Administrators);
        let scopes: Vec<Scope> = application
            .into_iter()
            .chain(administrators)
            .chain([Scope::Everyone])
            .collect();
        self.first_set(key, &scopes)
    }

    /// What a scope shows: own value, or inherited from everyone.
    pub fn value_in(&self, scope: &Scope, key: Key) -> (Value, Source) {
        self.first_set(key, &[scope.clone(), Scope::Everyone])
    }

    fn first_set(&self, key: Key, scopes: &[Scope]) -> (Value, Source) {
        let mode = validation::mode_of(key).then(|| self.mode());
        if let Some((mode, source)) = &mode
            && let Some(value) = mode.forces(key)
        {
            return (value, derived(*mode, source));
        }
        if let Some(value) = self.0.pins.get(&key) {
            return (value.clone(), Source::Pinned);
        }
        // A value in a scope that the key does not allow is a fault of the document and never takes effect.
        for scope in scopes.iter().filter(|scope| key.setting().allowed_in(scope)) {
            if let Some(value) = self.0.document.get(scope, key) {
                return (value.clone(), Source::SetIn(scope.clone()));
            }
        }
        match mode {
            Some((mode, source)) => match mode.derives(key) {
                Some(value) => (value, derived(mode, &source)),
                None => (key.default_value(), Source::Default),
            },
            None => (key.default_value(), Source::Default),
        }
    }

    fn mode(&self) -> (Mode, Source) {
        let (value, source) = self.value_in(&Scope::Everyone, Key::SessionSessionValidationMode);
        let mode = match &value {
            Value::Text(word) => Mode::parse(word),
            Value::Flag(_) | Value::Number(_) | Value::List(_) => None,
        };
        (mode.unwrap_or(Mode::Moderate), source)
    }

    /// The typed policy for a session: role, entered applications (each adds its lifetime rule), the application of
    /// this request (activity, warning). Costs some microseconds: keep the answer, as long as the policy is in force.
    pub fn effective(&self, role: Role, entered: &[String], application: Option<&str>) -> EffectivePolicy {
        let mut lifetimes = vec![self.lifetime(role, None)];
        for (place, name) in entered.iter().enumerate() {
            if !entered[..place].contains(name) {
                lifetimes.push(self.lifetime(role, Some(name)));
            }
        }
        let read = Read {
            policy: self,
            role,
            application,
        };
        EffectivePolicy {
            role,
            lifetimes,
            window_close_grace: Span::from_secs(read.number(Key::SessionWindowCloseGrace)),
            concurrent_limit: read.count(Key::SessionConcurrentUserSessionLimit),
            idle_warning: read.span(Key::SessionIdleWarning),
            activity: read.activity(),
            accounts: read.accounts(),
            password: read.password(),
            lockout: read.lockout(),
            cookie: read.cookie(),
            validation: read.validation(),
            retention: read.retention(),
            notices: read.notices(),
        }
    }

    fn lifetime(&self, role: Role, application: Option<&String>) -> LifetimeRule {
        let read = Read {
            policy: self,
            role,
            application: application.map(String::as_str),
        };
        let lifetimes = [Key::SessionTtl, Key::AuthIdleSessionTimeout, Key::SessionRenewalPeriod];
        let overridden = lifetimes
            .iter()
            .any(|key| self.0.document.administrators.contains_key(key));
        let base = if role == Role::Administrator && overridden {
            Scope::Administrators
        } else {
            Scope::Everyone
        };
        let idle = match read.number(Key::AuthIdleSessionTimeout) {
            _ if self.0.dev => Idle::Never,
            0 => Idle::WindowOpen,
            secs if secs > 0 => Idle::After(Span::from_secs(secs)),
            _ => Idle::Never,
        };
        LifetimeRule {
            scope: application.map_or(base, |name| Scope::Application(name.clone())),
            ttl: Span::from_secs(read.number(Key::SessionTtl)),
            idle,
            // An application cannot set it, so the base rule alone carries it.
            renewal: if application.is_none() {
                read.span(Key::SessionRenewalPeriod)
            } else {
                None
            },
        }
    }
}

fn derived(mode: Mode, source: &Source) -> Source {
    // An untouched mode is itself the default, and so is what it derives.
    if *source == Source::Default {
        Source::Default
    } else {
        Source::Mode(mode.as_str().to_owned())
    }
}

/// Everything the rules ask about one kind of session.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    /// The role it was made for.
    pub role: Role,
    /// The role's own rule first, then one for each entered application; all hold, the earliest end wins.
    pub lifetimes: Vec<LifetimeRule>,
    /// `session.window_close_grace`.
    pub window_close_grace: Span,
    /// `session.concurrent_user_session_limit`; 0 = no limit.
    pub concurrent_limit: u32,
    /// `session.idle_warning`; None = automatic.
    pub idle_warning: Option<Span>,
    /// What refreshes idle time.
    pub activity: ActivityPolicy,
    /// When accounts expire.
    pub accounts: AccountPolicy,
    /// Which passwords are accepted.
    pub password: PasswordPolicy,
    /// How guessing is held up.
    pub lockout: LockoutPolicy,
    /// The cookie's attributes.
    pub cookie: CookiePolicy,
    /// What a session is bound to.
    pub validation: ValidationPolicy,
    /// How long what has happened is kept.
    pub retention: RetentionPolicy,
    /// The kinds of letters that are sent.
    pub notices: Vec<Notice>,
}

/// The lifetimes that one scope asks for, each value with its fallback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifetimeRule {
    /// Who asks: everyone, administrators, or an entered application.
    pub scope: Scope,
    /// `session.ttl`.
    pub ttl: Span,
    /// `auth.idle_session_timeout`.
    pub idle: Idle,
    /// `session.renewal_period`; None = unlimited (always so for applications).
    pub renewal: Option<Span>,
}

/// `auth.idle_session_timeout`, typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// -1.
    Never,
    /// 0: while a window is open.
    WindowOpen,
    /// After this long without activity; above zero.
    After(Span),
}

/// What refreshes idle time.
#[derive(Debug, Clone)]
pub struct ActivityPolicy {
    /// `activity.counts`.
    pub counts: Counts,
    /// `activity.ignored_paths`.
    pub ignored: Vec<Glob>,
}

/// `activity.counts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Any request.
    EveryRequest,
    /// Only page navigations.
    Navigation,
    /// Only the page guard's report of real input.
    Interaction,
}

/// When accounts expire. None = never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPolicy {
    /// `auth.change_default_password`.
    pub change_default_password: bool,
    /// `auth.expires_after`.
    pub expires_after: Option<Span>,
    /// `auth.expire_unused_after`.
    pub expire_unused_after: Option<Span>,
    /// `auth.expire_superusers`.
    pub expire_superusers: ExpireSuperusers,
    /// `auth.expiry_notice`.
    pub expiry_notice: Option<Span>,
}

/// `auth.expire_superusers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireSuperusers {
    /// true.
    LikeEveryone,
    /// false.
    Never,
    /// A number.
    After(Span),
}

/// Which passwords are accepted.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    /// `password.min_length`, in characters.
    pub min_length: usize,
    /// `password.min_strength`, a zxcvbn score.
    pub min_strength: u8,
    /// `password.history`.
    pub history: u32,
    /// `password.max_age`; None = never too old.
    pub max_age: Option<Span>,
    /// `password.regex`; None = asks nothing.
    pub regex: Option<Pattern>,
    /// `password.regex_hint`.
    pub regex_hint: String,
}

/// How guessing is held up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// `auth.login_lock_out_at_failure`, the master switch of key locks.
    pub lock_out: bool,
    /// `auth.login_failure_limit`.
    pub failure_limit: u32,
    /// `auth.login_cooloff_time`; None = never forgotten.
    pub cooloff: Option<Span>,
    /// `auth.login_lock_out_by_combination_user_and_ip`.
    pub by_user_and_ip: bool,
    /// `auth.login_lock_out_use_user_agent`.
    pub by_user_agent: bool,
    /// `auth.login_ip_ceiling`; 0 = off.
    pub ip_ceiling: u32,
    /// `auth.login_account_ceiling`; 0 = off.
    pub account_ceiling: u32,
    /// `auth.reset_limit`, per hour.
    pub reset_limit: u32,
    /// `auth.login_allow_list`.
    pub allow_list: Vec<ipnetwork::IpNetwork>,
}

/// How long what has happened is kept. None = for ever.
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
    /// `session.same_site`.
    pub same_site: SameSite,
    /// `session.expire_at_browser_close`.
    pub expire_at_browser_close: bool,
}

/// `session.same_site`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never sent from other sites.
    Strict,
    /// Sent on navigations.
    Lax,
    /// Always sent; needs Secure.
    None,
}

/// Typed reading of one kind of session's values. A stored value of the wrong type (a document that nobody checked)
/// reads as the default: the rules must always have an answer.
struct Read<'a> {
    policy: &'a Policy,
    role: Role,
    application: Option<&'a str>,
}

impl Read<'_> {
    fn value(&self, key: Key) -> Value {
        let (value, _) = self.policy.value(key, self.role, self.application);
        if key.setting().check(&value).is_ok() {
            value
        } else {
            key.default_value()
        }
    }

    fn flag(&self, key: Key) -> bool {
        matches!(self.value(key), Value::Flag(true))
    }

    fn number(&self, key: Key) -> i64 {
        match self.value(key) {
            Value::Number(number) => number,
            Value::Flag(_) | Value::Text(_) | Value::List(_) => -1,
        }
    }

    /// Numbers whose bounds lie within `u32`.
    fn count(&self, key: Key) -> u32 {
        u32::try_from(self.number(key)).unwrap_or(0)
    }

    /// None = -1.
    fn span(&self, key: Key) -> Option<Span> {
        Some(self.number(key)).filter(|secs| *secs >= 0).map(Span::from_secs)
    }

    fn text(&self, key: Key) -> String {
        match self.value(key) {
            Value::Text(text) => text,
            Value::Flag(_) | Value::Number(_) | Value::List(_) => String::new(),
        }
    }

    fn list(&self, key: Key) -> Vec<String> {
        match self.value(key) {
            Value::List(items) => items,
            Value::Flag(_) | Value::Number(_) | Value::Text(_) => Vec::new(),
        }
    }

    fn activity(&self) -> ActivityPolicy {
        ActivityPolicy {
            counts: match self.text(Key::ActivityCounts).as_str() {
                "navigation" => Counts::Navigation,
                "interaction" => Counts::Interaction,
                _ => Counts::EveryRequest,
            },
            ignored: self
                .list(Key::ActivityIgnoredPaths)
                .iter()
                .map(|glob| Glob::new(glob))
                .collect(),
        }
    }

    fn accounts(&self) -> AccountPolicy {
        AccountPolicy {
            change_default_password: self.flag(Key::AuthChangeDefaultPassword),
            expires_after: self.span(Key::AuthExpiresAfter),
            expire_unused_after: self.span(Key::AuthExpireUnusedAfter),
            expire_superusers: match self.value(Key::AuthExpireSuperusers) {
                Value::Flag(true) => ExpireSuperusers::LikeEveryone,
                Value::Number(secs) => ExpireSuperusers::After(Span::from_secs(secs)),
                Value::Flag(false) | Value::Text(_) | Value::List(_) => ExpireSuperusers::Never,
            },
            expiry_notice: self.span(Key::AuthExpiryNotice),
        }
    }

    fn password(&self) -> PasswordPolicy {
        PasswordPolicy {
            min_length: self.count(Key::PasswordMinLength) as usize,
            min_strength: u8::try_from(self.number(Key::PasswordMinStrength)).unwrap_or(0),
            history: self.count(Key::PasswordHistory),
            max_age: self.span(Key::PasswordMaxAge),
            regex: self.policy.0.pattern.clone(),
            regex_hint: self.text(Key::PasswordRegexHint),
        }
    }

    fn lockout(&self) -> LockoutPolicy {
        LockoutPolicy {
            lock_out: self.flag(Key::AuthLoginLockOutAtFailure),
            failure_limit: self.count(Key::AuthLoginFailureLimit),
            cooloff: self.span(Key::AuthLoginCooloffTime),
            by_user_and_ip: self.flag(Key::AuthLoginLockOutByCombinationUserAndIp),
            by_user_agent: self.flag(Key::AuthLoginLockOutUseUserAgent),
            ip_ceiling: self.count(Key::AuthLoginIpCeiling),
            account_ceiling: self.count(Key::AuthLoginAccountCeiling),
            reset_limit: self.count(Key::AuthResetLimit),
            allow_list: catalogue::networks(&self.list(Key::AuthLoginAllowList)),
        }
    }

    fn notices(&self) -> Vec<Notice> {
        let sent = Notice::ALL.iter().copied().filter(|notice| self.flag(notice.key()));
        sent.collect()
    }

    fn cookie(&self) -> CookiePolicy {
        CookiePolicy {
            secure: self.flag(Key::SessionSecure),
            http_only: self.flag(Key::SessionHttpOnly),
            same_site: match self.text(Key::SessionSameSite).as_str() {
                "Strict" => SameSite::Strict,
                "None" => SameSite::None,
                _ => SameSite::Lax,
            },
            expire_at_browser_close: self.flag(Key::SessionExpireAtBrowserClose),
        }
    }

    fn retention(&self) -> RetentionPolicy {
        RetentionPolicy {
            audit: self.span(Key::RetentionAudit),
            sessions: self.span(Key::RetentionSessions),
            known_networks: self.span(Key::RetentionKnownNetworks),
            tokens: self.span(Key::RetentionTokens),
            mail: self.span(Key::RetentionMail),
            pins: self.span(Key::RetentionPins),
        }
    }

    fn validation(&self) -> ValidationPolicy {
        ValidationPolicy {
            mode: self.policy.mode().0,
            ip: self.flag(Key::SessionSessionIpValidation),
            subnet_bits: u8::try_from(self.number(Key::SessionSessionIpSubnetBits)).unwrap_or(32),
            user_agent: self.flag(Key::SessionSessionUserAgentValidation),
            family: self.text(Key::SessionSessionUserAgentMatch) == "family",
            allow_ip_changes: u32::try_from(self.number(Key::SessionSessionAllowIpChanges)).ok(),
            grace: Span::from_secs(self.number(Key::SessionSessionIpChangeGracePeriod)),
            rotate_on_ip_change: self.flag(Key::SessionSessionRotationOnIpChange),
            security_audit_log: self.flag(Key::SessionSessionSecurityAuditLog),
        }
    }
}
