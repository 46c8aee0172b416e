//! Warnings across settings: values that are accepted but probably unwanted. Each function covers
//! one topic and uses effective values (with pins and defaults).

use crate::{
    account::Role,
    duration::humanize,
    factor::FactorRequirement,
    policy::{
        Key, Pins, PolicyDocument, Scope, Value, Warning,
        effective::{IdleTimeout, LifetimeRule, Policy},
    },
    time::Span,
};

/// WCAG requires a warning of 20 seconds; a fifth of a shorter timeout is less.
const SHORT_IDLE: Span = Span::from_secs(100);

/// Number of failures from which a limit without a ceiling stops no attacker.
const HIGH_LIMIT: i64 = 50;

impl PolicyDocument {
    /// Returns all warnings across settings (docs/policy.md).
    pub fn warnings(&self, pins: &Pins) -> Vec<Warning> {
        let mut advice = Advice {
            policy: Policy::new(0, self.clone(), pins.clone(), false),
            warnings: Vec::new(),
        };
        for (scope, _) in self.scopes() {
            advice.lifetimes(&scope);
            advice.without_guard(&scope);
        }
        advice.administrators();
        advice.sign_in();
        advice.second_factors();
        advice.devices();
        advice.cookie();
        advice.validation();
        advice.warnings
    }
}

struct Advice {
    policy: Policy,
    warnings: Vec<Warning>,
}

impl Advice {
    fn warn(&mut self, scope: &Scope, key: Key, message: impl Into<String>) {
        self.warnings.push(Warning {
            scope: scope.clone(),
            key,
            message: message.into(),
        });
    }

    fn value(&self, key: Key) -> Value {
        self.policy.value_in(&Scope::Everyone, key).0
    }

    fn flag(&self, key: Key) -> bool {
        self.value(key) == Value::Flag(true)
    }

    fn number(&self, scope: &Scope, key: Key) -> i64 {
        match self.policy.value_in(scope, key).0 {
            Value::Number(number) => number,
            Value::Flag(_) | Value::Text(_) | Value::List(_) => -1,
        }
    }

    /// Returns whether the scope itself sets one of the values concerned. Otherwise the warning
    /// belongs to the scope it inherits from.
    fn concerns(&self, scope: &Scope, keys: &[Key]) -> bool {
        *scope == Scope::Everyone || keys.iter().any(|key| self.policy.document().get(scope, *key).is_some())
    }

    /// Warns about settings that need the page guard: our own pages contain it, but an
    /// application's may not.
    fn without_guard(&mut self, scope: &Scope) {
        let Scope::Application(_) = scope else { return };
        if self.concerns(scope, &[Key::AuthIdleSessionTimeout]) && self.number(scope, Key::AuthIdleSessionTimeout) == 0
        {
            let message = "needs the page guard (/nightlatch/guard.js) on the application's pages: without it a \
                session ends after the grace period although a page is open";
            self.warn(scope, Key::AuthIdleSessionTimeout, message);
        }
        let counts = self.policy.value_in(scope, Key::ActivityCounts).0;
        if self.concerns(scope, &[Key::ActivityCounts]) && counts == Value::Text("interaction".to_owned()) {
            let message = "needs the page guard (/nightlatch/guard.js) on the application's pages: without it nothing \
                counts as activity there";
            self.warn(scope, Key::ActivityCounts, message);
        }
    }

    fn lifetimes(&mut self, scope: &Scope) {
        use Key::{AuthIdleSessionTimeout, SessionIdleWarning, SessionRenewalPeriod, SessionTtl};
        let (ttl, idle) = (
            self.number(scope, SessionTtl),
            self.number(scope, AuthIdleSessionTimeout),
        );
        if self.concerns(scope, &[SessionTtl, AuthIdleSessionTimeout]) {
            if idle > ttl {
                let message = format!(
                    "no effect: longer than the absolute lifetime ({}), which ends the session first",
                    humanize(ttl)
                );
                self.warn(scope, AuthIdleSessionTimeout, message);
            }
            if idle > 0 && Span::from_secs(idle) < SHORT_IDLE {
                let message = "very short: users get less than 20 seconds of warning to stay signed in";
                self.warn(scope, AuthIdleSessionTimeout, message);
            }
        }
        let warning = self.number(scope, SessionIdleWarning);
        if self.concerns(scope, &[AuthIdleSessionTimeout, SessionIdleWarning]) && idle > 0 && warning >= idle {
            self.warn(
                scope,
                SessionIdleWarning,
                "as long as the idle timeout: the warning would always be shown",
            );
        }
        let renewal = self.number(scope, SessionRenewalPeriod);
        let renews = matches!(scope, Scope::Everyone | Scope::Administrators);
        if renews && self.concerns(scope, &[AuthIdleSessionTimeout, SessionRenewalPeriod]) && renewal >= 0 && idle <= 0
        {
            self.warn(
                scope,
                SessionRenewalPeriod,
                "no effect: it needs an idle timeout above 0",
            );
        }
    }

    /// Warns if administrators' sessions may live longer than everyone's.
    fn administrators(&mut self) {
        let rule = |role| self.policy.effective(role, &[], None);
        let (everyone, administrators) = (rule(Role::Member), rule(Role::Administrator));
        let ([everyone], [administrators]) = (&everyone.lifetimes[..], &administrators.lifetimes[..]) else {
            return;
        };
        let looser = looser(administrators, everyone);
        for key in looser {
            self.warn(
                &Scope::Administrators,
                key,
                "looser for administrators than for everyone",
            );
        }
        let limit = |scope| match self.number(scope, Key::SessionConcurrentUserSessionLimit) {
            0 => i64::MAX,
            limit => limit,
        };
        if limit(&Scope::Administrators) > limit(&Scope::Everyone) {
            let key = Key::SessionConcurrentUserSessionLimit;
            self.warn(
                &Scope::Administrators,
                key,
                "looser for administrators than for everyone",
            );
        }
    }

    fn sign_in(&mut self) {
        use Key::{AuthLoginAccountCeiling, AuthLoginCooloffTime, AuthLoginFailureLimit, AuthLoginLockOutAtFailure};
        let everyone = &Scope::Everyone;
        let limit = self.number(everyone, AuthLoginFailureLimit);
        if self.flag(AuthLoginLockOutAtFailure) && limit >= HIGH_LIMIT {
            self.warn(
                everyone,
                AuthLoginFailureLimit,
                format!("a limit of {limit} failures is almost no protection"),
            );
        }
        if self.flag(AuthLoginLockOutAtFailure) && self.number(everyone, AuthLoginCooloffTime) == -1 {
            let message = "a lock lasts until an administrator unlocks it: strangers can lock users out permanently";
            self.warn(everyone, AuthLoginCooloffTime, message);
        }
        let ceiling = self.number(everyone, AuthLoginAccountCeiling);
        if ceiling == 0 || ceiling > 100 {
            let message = "more than 100 failures on one account are possible (NIST SP 800-63B allows at most 100)";
            self.warn(everyone, AuthLoginAccountCeiling, message);
        }
        if self.number(everyone, Key::AuthLoginIpCeiling) == 0 && !self.flag(AuthLoginLockOutAtFailure) {
            self.warn(
                everyone,
                Key::AuthLoginIpCeiling,
                "nothing limits password attempts from one IP address",
            );
        }
        let covers_all = |items: &[String]| items.iter().any(|item| item.ends_with("/0"));
        if matches!(self.value(Key::AuthLoginAllowList), Value::List(items) if covers_all(&items)) {
            self.warn(
                everyone,
                Key::AuthLoginAllowList,
                "the allow list covers the whole internet, so nothing is \
                ever locked",
            );
        }
    }

    fn second_factors(&mut self) {
        let required = |scope: &Scope| match self.policy.value_in(scope, Key::FactorRequired).0 {
            Value::Text(word) => FactorRequirement::parse(&word).unwrap_or_default(),
            Value::Flag(_) | Value::Number(_) | Value::List(_) => FactorRequirement::Off,
        };
        let (everyone, administrators) = (required(&Scope::Everyone), required(&Scope::Administrators));
        let looser: Vec<Scope> = self
            .policy
            .document()
            .scopes()
            .filter(|(_, set)| set.contains_key(&Key::FactorRequired))
            .map(|(scope, _)| scope)
            .filter(|scope| required(scope) < everyone)
            .collect();
        for scope in looser {
            let message = "without effect: what is required of everyone is stricter, and the strictest value applies";
            self.warn(&scope, Key::FactorRequired, message);
        }
        for (scope, required) in [(Scope::Everyone, everyone), (Scope::Administrators, administrators)] {
            let trusts = self.number(&scope, Key::FactorTrustedBrowser) > 0;
            let keys = [Key::FactorTrustedBrowser, Key::FactorRequired];
            if trusts && required == FactorRequirement::Passkey && self.concerns(&scope, &keys) {
                let message = "without effect: a trusted browser does not stand in for a passkey";
                self.warn(&scope, Key::FactorTrustedBrowser, message);
            }
        }
        if self.flag(Key::FactorPasswordless) && !self.flag(Key::FactorPasskeys) {
            let set = self.policy.document().everyone.contains_key(&Key::FactorPasswordless);
            if set {
                let message = "without effect: passkeys are switched off";
                self.warn(&Scope::Everyone, Key::FactorPasswordless, message);
            }
        }
    }

    fn devices(&mut self) {
        let key = Key::SessionDeviceBinding;
        let document = self.policy.document();
        let set: Vec<(Scope, Value)> = document
            .scopes()
            .filter_map(|(scope, set)| Some((scope, set.get(&key)?.clone())))
            .collect();
        let is_required = self.value(key) == Value::Text("require".into());
        for (scope, value) in set {
            if value == Value::Text("require".into()) {
                let message = "refuses everyone whose browser cannot be bound: Chrome and Edge can, over https, from \
                    version 145 on Windows and 147 on macOS";
                self.warn(&scope, key, message);
            } else if scope != Scope::Everyone && is_required {
                let message = "without effect: it is required of everyone, and the strictest value applies";
                self.warn(&scope, key, message);
            }
        }
    }

    fn cookie(&mut self) {
        if self.value(Key::SessionSameSite) == Value::Text("Strict".into()) {
            let message = "links from other sites, such as returns from single sign-on, open protected applications \
                signed out";
            self.warn(&Scope::Everyone, Key::SessionSameSite, message);
        }
        if !self.flag(Key::SessionHttpOnly) {
            self.warn(
                &Scope::Everyone,
                Key::SessionHttpOnly,
                "scripts can read the session cookie",
            );
        }
    }

    fn validation(&mut self) {
        use Key::{SessionSessionAllowIpChanges, SessionSessionIpValidation, SessionSessionValidationMode};
        let everyone = &Scope::Everyone;
        let Value::Text(mode) = self.value(SessionSessionValidationMode) else {
            return;
        };
        let set = |key: Key| {
            self.policy
                .document()
                .everyone
                .get(&key)
                .or_else(|| self.policy.pins().get(&key))
                .cloned()
        };
        let (validates, changes) = (set(SessionSessionIpValidation), set(SessionSessionAllowIpChanges));
        if mode == "strict" && changes == Some(Value::Number(-1)) {
            let message = "contradictory: strict validation with unlimited changes of network";
            self.warn(everyone, SessionSessionAllowIpChanges, message);
        }
        if mode == "permissive" && validates == Some(Value::Flag(true)) {
            let message = "contradictory: permissive mode only records changes, but this setting ends sessions at a \
                 change of \
                 network";
            self.warn(everyone, SessionSessionIpValidation, message);
        }
        if self.policy.network_groups().covers_a_family() {
            let message = "a group contains every address of a family: their networks are never compared";
            self.warn(everyone, Key::SessionNetworkGroups, message);
        }
        if mode == "off" {
            self.warn(
                everyone,
                SessionSessionValidationMode,
                "sessions are bound to nothing: a stolen cookie works anywhere",
            );
        }
    }
}

/// Returns the lifetime settings by which one rule lets sessions live longer than another.
fn looser(rule: &LifetimeRule, than: &LifetimeRule) -> Vec<Key> {
    let idle = |idle: IdleTimeout| match idle {
        IdleTimeout::Never => i64::MAX,
        // Lives while a window is open: longer than any timeout, shorter than never.
        IdleTimeout::WindowOpen => i64::MAX - 1,
        IdleTimeout::After(span) => span.as_micros(),
    };
    let renewal = |renewal: Option<Span>| renewal.map_or(i64::MAX, Span::as_micros);
    let mut keys = Vec::new();
    if rule.ttl > than.ttl {
        keys.push(Key::SessionTtl);
    }
    if idle(rule.idle) > idle(than.idle) {
        keys.push(Key::AuthIdleSessionTimeout);
    }
    if renewal(rule.renewal) > renewal(than.renewal) {
        keys.push(Key::SessionRenewalPeriod);
    }
    keys
}
