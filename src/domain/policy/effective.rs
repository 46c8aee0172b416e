//! The effective policy: everyone ⊕ administrators ⊕ applications as typed values for the rules
//! (`effective/values`), with the source of each value. Typed policies are made once per policy and
//! kind of session and then shared; do not make one per request.

use std::sync::Arc;

use super::*;
use crate::{
    account::Role, factor::FactorRequirement, network_groups::NetworkGroups, notification::NotificationKind,
    policy::catalogue::Kind, time::Span,
};

mod factors;
mod validation;
mod values;

pub use super::{glob::Glob, pattern::Pattern};
pub use factors::{EnrolmentBarrier, EnrolmentMode, FactorPolicy};
pub use validation::{ValidationMode, ValidationPolicy};
pub use values::{
    AccountPolicy, ActivityMeasure, ActivityPolicy, CookiePolicy, DeviceBinding, DevicePolicy, EffectivePolicy,
    ExpireSuperusers, IdleTimeout, LifetimeRule, LockoutPolicy, PasswordPolicy, RetentionPolicy, SameSite,
};

/// A document with pins applied; cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy(Arc<PolicyContents>);

/// What the server decides about a policy beside its document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyEnvironment {
    /// Values that the environment fixes.
    pub pins: Pins,
    /// Development mode: idle timeouts are off for everyone (`serve --dev`).
    pub dev: bool,
    /// Whether the public URL is https; if so, `session.secure` is on by default.
    pub https: bool,
}

#[derive(Debug)]
struct PolicyContents {
    revision: i64,
    document: PolicyDocument,
    environment: PolicyEnvironment,
    /// `password.regex`, compiled once, because this is the only value that is expensive to
    /// convert.
    pattern: Option<Pattern>,
    /// `session.network_groups`, parsed once.
    groups: NetworkGroups,
}

impl Policy {
    /// Returns the policy of a server without a public https URL. `dev`: idle timeouts are off for
    /// everyone (`serve --dev`).
    pub fn new(revision: i64, document: PolicyDocument, pins: Pins, dev: bool) -> Self {
        let https = false;
        Self::in_environment(revision, document, PolicyEnvironment { pins, dev, https })
    }

    /// Returns the policy that a document makes on a server.
    pub fn in_environment(revision: i64, document: PolicyDocument, environment: PolicyEnvironment) -> Self {
        let pins = &environment.pins;
        let everyone = |key: Key| pins.get(&key).or_else(|| document.get(&Scope::Everyone, key));
        let groups = match everyone(Key::SessionNetworkGroups) {
            Some(Value::List(lines)) => catalogue::network_groups(lines),
            Some(Value::Text(_) | Value::Flag(_) | Value::Number(_)) | None => NetworkGroups::default(),
        };
        let pattern = match everyone(Key::PasswordRegex) {
            Some(Value::Text(regex)) if !regex.is_empty() => Pattern::parse(regex).ok(),
            Some(Value::Text(_) | Value::Flag(_) | Value::Number(_) | Value::List(_)) | None => None,
        };
        Self(Arc::new(PolicyContents {
            revision,
            document,
            environment,
            pattern,
            groups,
        }))
    }

    /// Returns the number of the revision; 0 for a draft.
    pub fn revision(&self) -> i64 {
        self.0.revision
    }

    /// Returns the document, without pins.
    pub fn document(&self) -> &PolicyDocument {
        &self.0.document
    }

    /// Returns the settings that the environment pins.
    pub fn pins(&self) -> &Pins {
        &self.0.environment.pins
    }

    /// Returns what the server decides.
    pub fn environment(&self) -> &PolicyEnvironment {
        &self.0.environment
    }

    /// Returns the networks that count as one.
    pub fn network_groups(&self) -> &NetworkGroups {
        &self.0.groups
    }

    /// Returns whether development mode switches idle timeouts off, regardless of
    /// [`Policy::value`].
    pub fn dev(&self) -> bool {
        self.0.environment.dev
    }

    /// Returns the effective value of a key and its source.
    ///
    /// The order is: pin, application override, administrators' override, everyone, validation
    /// mode, default. The mode `off` overrides the settings that it switches off, even in the
    /// document. Of `factor.required` and `session.device_binding`, the strictest of these values
    /// applies.
    pub fn value(&self, key: Key, role: Role, application: Option<&str>) -> (Value, Source) {
        let application = application.map(|name| Scope::Application(name.to_owned()));
        let administrators = (role == Role::Administrator).then_some(Scope::Administrators);
        let scopes: Vec<Scope> = application
            .into_iter()
            .chain(administrators)
            .chain([Scope::Everyone])
            .collect();
        match key {
            Key::FactorRequired | Key::SessionDeviceBinding => self.strictest_value(key, &scopes),
            _ => self.first_set(key, &scopes),
        }
    }

    /// Returns the strictest value of a requirement among the scopes, with its source: a scope may
    /// add to what everyone must prove, and never takes anything from it. A pin applies alone.
    fn strictest_value(&self, key: Key, scopes: &[Scope]) -> (Value, Source) {
        // The choices of both settings are in the order of strictness.
        let strictness = |(value, _): &(Value, Source)| {
            match (value, key.setting().kind) {
                (Value::Text(word), Kind::Choice(words)) => words.iter().position(|choice| choice == word),
                (Value::Flag(_) | Value::Number(_) | Value::Text(_) | Value::List(_), _) => None,
            }
            .unwrap_or(usize::MAX)
        };
        // Of equal values, the most specific scope is named: it is the last one here.
        let counts = |scope: &&Scope| **scope == Scope::Everyone || self.sets(scope, key);
        let values = scopes.iter().rev().filter(counts);
        let strictest = values
            .map(|scope| self.first_set(key, std::slice::from_ref(scope)))
            .max_by_key(strictness);
        strictest.unwrap_or_else(|| self.first_set(key, scopes))
    }

    fn sets(&self, scope: &Scope, key: Key) -> bool {
        self.0.document.get(scope, key).is_some()
    }

    /// Returns the value that a scope shows: its own, or the one inherited from everyone.
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
        if let Some(value) = self.0.environment.pins.get(&key) {
            return (value.clone(), Source::Pinned);
        }
        // A value in a scope that the key does not allow is a fault of the document and never takes
        // effect.
        for scope in scopes.iter().filter(|scope| key.setting().allowed_in(scope)) {
            if let Some(value) = self.0.document.get(scope, key) {
                return (value.clone(), Source::SetIn(scope.clone()));
            }
        }
        match mode {
            Some((mode, source)) => match mode.derives(key) {
                Some(value) => (value, derived(mode, &source)),
                None => (self.default_value(key), Source::Default),
            },
            None => (self.default_value(key), Source::Default),
        }
    }

    /// Returns the value of a key that nobody sets. Behind https, the cookie is sent over https
    /// only.
    pub fn default_value(&self, key: Key) -> Value {
        if key == Key::SessionSecure && self.0.environment.https {
            return Value::Flag(true);
        }
        key.default_value()
    }

    fn mode(&self) -> (ValidationMode, Source) {
        let (value, source) = self.value_in(&Scope::Everyone, Key::SessionSessionValidationMode);
        let mode = match &value {
            Value::Text(word) => ValidationMode::parse(word),
            Value::Flag(_) | Value::Number(_) | Value::List(_) => None,
        };
        (mode.unwrap_or(ValidationMode::Moderate), source)
    }

    /// Returns the typed policy for a session: its role, the applications it entered (each adds its
    /// lifetime rule), and the application of this request (activity, warning). It costs some
    /// microseconds; keep the result while the policy is in force.
    pub fn effective(&self, role: Role, entered: &[String], application: Option<&str>) -> EffectivePolicy {
        let mut lifetimes = vec![self.lifetime(role, None)];
        for (place, name) in entered.iter().enumerate() {
            if !entered[..place].contains(name) {
                lifetimes.push(self.lifetime(role, Some(name)));
            }
        }
        let read = DocumentReader {
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
            factors: read.factors(entered),
            cookie: read.cookie(),
            validation: read.validation(),
            device: read.device(),
            retention: read.retention(),
            notifications: read.notifications(),
        }
    }

    fn lifetime(&self, role: Role, application: Option<&String>) -> LifetimeRule {
        let read = DocumentReader {
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
            _ if self.0.environment.dev => IdleTimeout::Never,
            0 => IdleTimeout::WindowOpen,
            secs if secs > 0 => IdleTimeout::After(Span::from_secs(secs)),
            _ => IdleTimeout::Never,
        };
        LifetimeRule {
            scope: application.map_or(base, |name| Scope::Application(name.clone())),
            ttl: Span::from_secs(read.number(Key::SessionTtl)),
            idle,
            // An application cannot set it, so only the base rule has it.
            renewal: if application.is_none() {
                read.span(Key::SessionRenewalPeriod)
            } else {
                None
            },
        }
    }
}

fn derived(mode: ValidationMode, source: &Source) -> Source {
    // A default mode derives default values.
    if *source == Source::Default {
        Source::Default
    } else {
        Source::Mode(mode.as_str().to_owned())
    }
}

/// Returns the setting that switches a kind of notification on.
pub const fn notification_key(notice: NotificationKind) -> Key {
    match notice {
        NotificationKind::SignIn => Key::NoticesSignIn,
        NotificationKind::Password => Key::NoticesPassword,
        NotificationKind::Email => Key::NoticesEmail,
        NotificationKind::Lockout => Key::NoticesLockout,
        NotificationKind::Expiry => Key::NoticesExpiry,
        NotificationKind::Digest => Key::NoticesDigest,
    }
}

/// Reads the values of one kind of session. A stored value of the wrong type (in an unchecked
/// document) reads as the default, because the rules must always have a value.
struct DocumentReader<'a> {
    policy: &'a Policy,
    role: Role,
    application: Option<&'a str>,
}

impl DocumentReader<'_> {
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

    /// Reads a number whose bounds lie within `u32`.
    fn count(&self, key: Key) -> u32 {
        u32::try_from(self.number(key)).unwrap_or(0)
    }

    /// Reads a duration; `None`: -1.
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
                "navigation" => ActivityMeasure::Navigation,
                "interaction" => ActivityMeasure::Interaction,
                _ => ActivityMeasure::EveryRequest,
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
            factor_failure_limit: self.count(Key::FactorFailureLimit),
            network_groups: self.policy.network_groups().clone(),
        }
    }

    fn factors(&self, entered: &[String]) -> FactorPolicy {
        let required = self.required_at(None).max(self.required_at(self.application));
        let of_entered = entered.iter().map(|name| self.required_at(Some(name)));
        let passkeys = self.flag(Key::FactorPasskeys);
        FactorPolicy {
            required,
            strictest: of_entered.fold(required, FactorRequirement::max),
            // An unreadable value must not allow enrolment after a stolen password.
            enrolment: EnrolmentMode::parse(&self.text(Key::FactorEnrolment)).unwrap_or(EnrolmentMode::ByLink),
            enrolment_grace: self.span(Key::FactorEnrolmentGrace).unwrap_or(Span::ZERO),
            authenticator_app: self.flag(Key::FactorAuthenticatorApp),
            passkeys,
            passwordless: passkeys && self.flag(Key::FactorPasswordless),
            trusted_browser: self.span(Key::FactorTrustedBrowser).filter(|span| *span > Span::ZERO),
            failure_limit: self.count(Key::FactorFailureLimit),
        }
    }

    /// Returns the requirement of the role, or of an application.
    fn required_at(&self, application: Option<&str>) -> FactorRequirement {
        let read = DocumentReader { application, ..*self };
        FactorRequirement::parse(&read.text(Key::FactorRequired)).unwrap_or(FactorRequirement::Passkey)
    }

    fn notifications(&self) -> Vec<NotificationKind> {
        let sent = NotificationKind::ALL
            .iter()
            .copied()
            .filter(|notice| self.flag(notification_key(*notice)));
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

    fn device(&self) -> DevicePolicy {
        DevicePolicy {
            // An unreadable value must not let an unbound session pass.
            binding: DeviceBinding::parse(&self.text(Key::SessionDeviceBinding)).unwrap_or(DeviceBinding::Require),
            proof_age: Span::from_secs(self.number(Key::SessionDeviceProofAge)),
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
            groups: self.policy.network_groups().clone(),
            user_agent: self.flag(Key::SessionSessionUserAgentValidation),
            family: self.text(Key::SessionSessionUserAgentMatch) == "family",
            allow_ip_changes: u32::try_from(self.number(Key::SessionSessionAllowIpChanges)).ok(),
            grace: Span::from_secs(self.number(Key::SessionSessionIpChangeGracePeriod)),
            rotate_on_ip_change: self.flag(Key::SessionSessionRotationOnIpChange),
            security_audit_log: self.flag(Key::SessionSessionSecurityAuditLog),
        }
    }
}
