//! Every setting, declared once: the editor, validation, import, export, CLI, diff and docs/settings.md are driven by this.
//! How texts become values stands in `catalogue/values`, the reference for people in `catalogue/reference`.

use super::Value;

mod reference;
mod values;

pub use reference::markdown;
pub(crate) use values::networks;

/// Everything there is to know about one setting.
#[derive(Debug)]
pub struct Setting {
    /// The setting's identity.
    pub key: Key,
    /// `auth.idle_session_timeout`.
    pub name: &'static str,
    /// Its section in the editor and the reference.
    pub group: Group,
    /// What people call it.
    pub label: &'static str,
    /// Type and bounds.
    pub kind: Kind,
    /// The value when nobody sets it.
    pub default: fn() -> Value,
    /// Numbers with a meaning of their own and the word for it (`-1` `automatic`, `0` `no limit`); accepted and shown.
    pub words: &'static [(i64, &'static str)],
    /// May be overridden for administrators.
    pub administrators: bool,
    /// May be overridden for an application.
    pub applications: bool,
    /// One sentence: what it decides.
    pub effect: &'static str,
    /// Other words under which people look for it.
    pub synonyms: &'static [&'static str],
    /// The product whose behaviour it is: `Hue`, `Bloomreach`, `IBM`, `Nightlatch`.
    pub source: &'static str,
}

/// Type and bounds of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole seconds from `min`; -1 (never) allowed or not. Bounded by ten years.
    Duration {
        /// The least, in seconds.
        min: i64,
        /// Whether -1 is allowed.
        never: bool,
    },
    /// On or off.
    Flag,
    /// On, off, or whole seconds.
    FlagOrDuration,
    /// A whole number within bounds.
    Number {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// -1 unlimited, or 0…max
    Count {
        /// The most.
        max: i64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Numbers offered as choices (8, 16, 24, 32)
    NumberChoice(&'static [i64]),
    /// Free text of one line.
    Text {
        /// It must be a regular expression.
        regex: bool,
    },
    /// Path patterns: `*` any characters, `?` one.
    Globs,
    /// Addresses and networks.
    Cidrs,
}

/// A section of the editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// How long sessions live.
    Lifetimes,
    /// What keeps them alive.
    Activity,
    /// When accounts expire.
    Accounts,
    /// Which passwords are accepted.
    Passwords,
    /// How guessing is held up.
    SignIn,
    /// The session cookie's attributes.
    Cookie,
    /// What a session is bound to.
    Validation,
    /// How long what has happened is kept.
    Retention,
    /// Which letters are sent.
    Notices,
}

impl Group {
    /// All groups, in the order of the editor.
    pub const ALL: &[Group] = &[
        Group::Lifetimes,
        Group::Activity,
        Group::Accounts,
        Group::Passwords,
        Group::SignIn,
        Group::Cookie,
        Group::Validation,
        Group::Retention,
        Group::Notices,
    ];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Lifetimes => "Lifetimes",
            Group::Activity => "Activity",
            Group::Accounts => "Accounts",
            Group::Passwords => "Passwords",
            Group::SignIn => "Sign-in protection",
            Group::Cookie => "Cookie",
            Group::Validation => "Session validation",
            Group::Retention => "Retention",
            Group::Notices => "Letters",
        }
    }

    /// The heading's anchor in a page's address.
    pub const fn anchor(self) -> &'static str {
        match self {
            Group::Lifetimes => "lifetimes",
            Group::Activity => "activity",
            Group::Accounts => "accounts",
            Group::Passwords => "passwords",
            Group::SignIn => "sign-in",
            Group::Cookie => "cookie",
            Group::Validation => "validation",
            Group::Retention => "retention",
            Group::Notices => "notices",
        }
    }

    /// Its settings, in the order of the catalogue.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        Key::ALL
            .iter()
            .map(|key| key.setting())
            .filter(move |setting| setting.group == self)
    }
}

/// One value of a default as the table below writes it.
macro_rules! default_value {
    (flag $on:literal) => {
        || Value::Flag($on)
    };
    (number $number:literal) => {
        || Value::Number($number)
    };
    (text $text:literal) => {
        || Value::Text(String::from($text))
    };
    (list) => {
        || Value::List(Vec::new())
    };
}

/// Which scopes besides everyone a row of the table below allows: (administrators, applications).
macro_rules! overridable {
    (all, $which:ident) => {
        true
    };
    (everyone, $which:ident) => {
        false
    };
    (administrators, administrators) => {
        true
    };
    (administrators, applications) => {
        false
    };
    (applications, administrators) => {
        false
    };
    (applications, applications) => {
        true
    };
}

/// Declares every setting once; makes [`Key`] and the table behind [`Key::setting`].
macro_rules! catalogue {
    ($($group:ident { $(
        $key:ident $name:literal $label:literal [$kind:expr] = $default_kind:ident $($default:literal)?,
            for $scopes:ident $(, words $words:expr)?;
            $effect:literal
            synonyms [$($synonym:literal),*] from $source:literal;
    )+ })+) => {
        /// The identity of a setting, such as `auth.idle_session_timeout`; ordered as the editor shows them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key { $($( #[doc = concat!("`", $name, "`: ", $effect)] $key, )+)+ }

        /// In the order of [`Key`], whose discriminants are the indices.
        static SETTINGS: &[Setting] = &[$($(
            Setting {
                key: Key::$key,
                name: $name,
                group: Group::$group,
                label: $label,
                kind: $kind,
                default: default_value!($default_kind $($default)?),
                words: { const WORDS: &[(i64, &str)] = { #[allow(unused)] let words: &[(i64, &str)] = &[]; $(let words = $words;)? words }; WORDS },
                administrators: overridable!($scopes, administrators),
                applications: overridable!($scopes, applications),
                effect: $effect,
                synonyms: &[$($synonym),*],
                source: $source,
            },
        )+)+];

        impl Key {
            /// Every setting, in the order of the editor.
            pub const ALL: &[Key] = &[$($(Key::$key,)+)+];

            /// The key of a name; `None`: no such setting.
            pub fn parse(name: &str) -> Option<Key> {
                match name { $($($name => Some(Key::$key),)+)+ _ => None }
            }
        }
    };
}

const NEVER: Kind = Kind::Duration { min: 0, never: true };
const DAY: i64 = 86_400;
const UNLIMITED: i64 = 1_000_000;
/// Each counted failure is kept with its instant.
const MOST_REMEMBERED: i64 = 10_000;

catalogue! {
    Lifetimes {
        SessionTtl "session.ttl" "Absolute lifetime" [Kind::Duration { min: 1, never: false }] = number 1_209_600, for all;
            "Ends a session this long after its sign-in; activity never extends it."
            synonyms ["absolute timeout", "maximum age", "session length", "max lifetime", "expiry"] from "Hue";
        AuthIdleSessionTimeout "auth.idle_session_timeout" "Idle timeout" [NEVER] = number -1, for all,
            words &[(0, "while a window is open")];
            "Ends a session that has had no activity for longer than this; 0 keeps it while a window is open."
            synonyms ["inactivity", "auto logout", "active logout", "token expiry", "idle time", "max inactive interval"]
            from "Hue, Bloomreach, IBM";
        SessionWindowCloseGrace "session.window_close_grace" "Grace after the last window" [Kind::Duration { min: 1, never: false }] = number 180, for everyone;
            "With an idle timeout of 0, ends a session this long after the last sign of an open window; leave room for throttled background tabs."
            synonyms ["heartbeat", "window", "tab", "close"] from "Nightlatch";
        SessionRenewalPeriod "session.renewal_period" "Renewal period" [NEVER] = number -1, for administrators,
            words &[(-1, "unlimited")];
            "With an idle timeout above 0, a lease of that length can be renewed only at lease ends that fall within this long of sign-in; 0 allows one lease."
            synonyms ["token refresh period", "refresh", "lease", "renew"] from "IBM";
        SessionConcurrentUserSessionLimit "session.concurrent_user_session_limit" "Sessions per account" [Kind::Number { min: 0, max: UNLIMITED }] = number 0, for administrators,
            words &[(0, "no limit")];
            "Signing in beyond this many sessions ends the account's least recently active ones."
            synonyms ["concurrent sessions", "parallel", "devices", "maximum sessions"] from "Hue";
        SessionIdleWarning "session.idle_warning" "Warning before an idle end" [NEVER] = number -1, for applications,
            words &[(-1, "automatic")];
            "Warns on the page this long before an idle end; automatic is a fifth of the idle timeout, between 20 seconds and 2 minutes."
            synonyms ["countdown", "notice", "stay signed in", "dialog"] from "Nightlatch";
    }
    Activity {
        ActivityCounts "activity.counts" "What counts as activity" [Kind::Choice(&["every_request", "navigation", "interaction"])] = text "every_request", for applications;
            "Says what refreshes idle time: any request, only page navigations, or only real input reported by the page guard."
            synonyms ["refresh", "keep alive", "polling", "ajax", "background"] from "Bloomreach";
        ActivityIgnoredPaths "activity.ignored_paths" "Ignored paths" [Kind::Globs] = list, for applications;
            "Requests to these paths are checked but never refresh idle time (pingers, live tiles)."
            synonyms ["exclude", "ping", "poll", "glob", "background"] from "Bloomreach";
    }
    Accounts {
        AuthChangeDefaultPassword "auth.change_default_password" "Change passwords set by others" [Kind::Flag] = flag false, for everyone;
            "An account whose password somebody else set must change it at its next sign-in."
            synonyms ["initial password", "first login", "force change", "temporary password"] from "Hue";
        AuthExpiresAfter "auth.expires_after" "Expire unused after last session" [NEVER] = number -1, for everyone;
            "An account with no live session expires this long after its last session ended."
            synonyms ["inactive accounts", "dormant", "disable", "deactivate"] from "Hue";
        AuthExpireUnusedAfter "auth.expire_unused_after" "Expire never used accounts" [NEVER] = number -1, for everyone;
            "An account that never signed in expires this long after it was created or re-activated."
            synonyms ["inactive accounts", "unused", "invitation"] from "Nightlatch";
        AuthExpireSuperusers "auth.expire_superusers" "Administrators expire" [Kind::FlagOrDuration] = flag true, for everyone;
            "Whether administrators expire like everyone, never, or after a time of their own."
            synonyms ["superuser", "admin", "inactive administrators"] from "Hue";
        AuthExpiryNotice "auth.expiry_notice" "Notice before expiry" [NEVER] = number 604_800, for everyone;
            "Tells an account by e-mail and banner this long before it expires."
            synonyms ["reminder", "mail", "warning"] from "Nightlatch";
    }
    Passwords {
        PasswordMinLength "password.min_length" "Least length" [Kind::Number { min: 8, max: 128 }] = number 12, for everyone;
            "New passwords have at least this many characters; up to 128 are accepted and never cut."
            synonyms ["minimum", "characters", "short"] from "Nightlatch";
        PasswordMinStrength "password.min_strength" "Least strength" [Kind::Number { min: 0, max: 4 }] = number 3, for everyone;
            "New passwords reach at least this zxcvbn score, with the account's own names counted as guessable."
            synonyms ["zxcvbn", "complexity", "weak", "score"] from "Nightlatch";
        PasswordHistory "password.history" "Remembered passwords" [Kind::Number { min: 0, max: 24 }] = number 0, for everyone,
            words &[(0, "none")];
            "Refuses the account's last so many passwords."
            synonyms ["reuse", "previous", "repeat"] from "Nightlatch";
        PasswordMaxAge "password.max_age" "Greatest age" [Kind::Duration { min: 1, never: true }] = number -1, for everyone;
            "An older password must be changed at the next sign-in."
            synonyms ["rotation", "expiry", "change every"] from "Nightlatch";
        PasswordRegex "password.regex" "Pattern" [Kind::Text { regex: true }] = text "", for everyone;
            "New passwords match this regular expression from their first character; empty asks nothing."
            synonyms ["pwd_regex", "composition", "complexity", "rule"] from "Hue";
        PasswordRegexHint "password.regex_hint" "Pattern's error text" [Kind::Text { regex: false }] = text "", for everyone;
            "Shown when a new password does not match the pattern."
            synonyms ["pwd_error_message", "pwd_hint", "message"] from "Hue";
    }
    SignIn {
        AuthLoginLockOutAtFailure "auth.login_lock_out_at_failure" "Lock out after failures" [Kind::Flag] = flag false, for everyone;
            "Master switch of the lock below; failures are counted either way, and the two ceilings work whatever it says."
            synonyms ["lockout", "brute force", "axes", "block"] from "Hue";
        AuthLoginFailureLimit "auth.login_failure_limit" "Failures that lock" [Kind::Number { min: 1, max: 100 }] = number 3, for everyone;
            "The failure that reaches this number locks, and is itself answered as locked."
            synonyms ["attempts", "threshold", "tries", "lockout"] from "Hue";
        AuthLoginCooloffTime "auth.login_cooloff_time" "Cool-off" [Kind::Duration { min: 1, never: true }] = number 900, for everyone;
            "A failure is forgotten and a lock ends this long after it happened; never means locked until an administrator unlocks."
            synonyms ["lockout duration", "unlock", "wait", "permanent"] from "Hue";
        AuthLoginLockOutByCombinationUserAndIp "auth.login_lock_out_by_combination_user_and_ip" "Lock by user and address" [Kind::Flag] = flag false, for everyone;
            "Locks the pair of user name and address instead of the address alone."
            synonyms ["combination", "user", "ip", "lock key"] from "Hue";
        AuthLoginLockOutUseUserAgent "auth.login_lock_out_use_user_agent" "Lock by browser too" [Kind::Flag] = flag false, for everyone;
            "Adds the user agent to what is locked, so that one browser string never locks the world."
            synonyms ["user agent", "browser", "lock key"] from "Hue";
        AuthLoginIpCeiling "auth.login_ip_ceiling" "Failures per address" [Kind::Number { min: 0, max: MOST_REMEMBERED }] = number 100, for everyone,
            words &[(0, "off")];
            "This many failures from one address within the cool-off lock it, whatever names or browsers they used."
            synonyms ["spray", "spraying", "ceiling", "rate limit"] from "Nightlatch";
        AuthLoginAccountCeiling "auth.login_account_ceiling" "Failures per account" [Kind::Number { min: 0, max: MOST_REMEMBERED }] = number 100, for everyone,
            words &[(0, "off")];
            "This many failures on one account within the cool-off lock it for every network it has not lately signed in from."
            synonyms ["targeted", "botnet", "ceiling", "throttling"] from "Nightlatch";
        AuthResetLimit "auth.reset_limit" "Password resets per hour" [Kind::Number { min: 1, max: MOST_REMEMBERED }] = number 5, for everyone;
            "Further reset requests for one account or address within an hour are answered alike and send nothing."
            synonyms ["forgot password", "mail", "flood"] from "Nightlatch";
        AuthLoginAllowList "auth.login_allow_list" "Never locked" [Kind::Cidrs] = list, for everyone;
            "Addresses and networks that are never locked; their failures are still counted and audited."
            synonyms ["whitelist", "allow list", "cidr", "office", "proxy"] from "Nightlatch";
    }
    Cookie {
        SessionSecure "session.secure" "Secure" [Kind::Flag] = flag false, for everyone;
            "Sends the session cookie over https only."
            synonyms ["https", "tls", "cookie", "samesite"] from "Hue";
        SessionHttpOnly "session.http_only" "HttpOnly" [Kind::Flag] = flag true, for everyone;
            "Hides the session cookie from scripts."
            synonyms ["javascript", "cookie", "xss"] from "Hue";
        SessionSameSite "session.same_site" "SameSite" [Kind::Choice(&["Strict", "Lax", "None"])] = text "Lax", for everyone;
            "Says on which requests from other sites the cookie is sent; None needs Secure, Strict makes links and sign-on returns arrive signed out."
            synonyms ["samesite", "cross-site", "csrf", "cookie", "sso"] from "Hue";
        SessionExpireAtBrowserClose "session.expire_at_browser_close" "Forget when the browser closes" [Kind::Flag] = flag false, for everyone;
            "Gives the cookie no lifetime of its own; the session still ends at its absolute lifetime."
            synonyms ["persistent", "remember me", "max-age", "cookie"] from "Hue";
    }
    Validation {
        SessionSessionValidationMode "session.session_validation_mode" "Validation mode" [Kind::Choice(&["strict", "moderate", "moderate_vpn", "permissive", "off"])] = text "moderate", for everyone;
            "Sets the settings below that are not set themselves; off switches all of them off."
            synonyms ["preset", "hijacking", "binding", "vpn"] from "Hue";
        SessionSessionIpValidation "session.session_ip_validation" "Compare networks" [Kind::Flag] = flag true, for everyone;
            "Whether a session is bound to the network of its sign-in."
            synonyms ["ip binding", "address", "hijacking"] from "Hue";
        SessionSessionIpSubnetBits "session.session_ip_subnet_bits" "Size of a network" [Kind::NumberChoice(&[8, 16, 24, 32])] = number 24, for everyone;
            "Leading IPv4 bits that make one network; for IPv6 32 means /128, 24 /64, 16 /48 and 8 /32."
            synonyms ["prefix", "netmask", "cidr", "ipv6"] from "Hue";
        SessionSessionUserAgentValidation "session.session_user_agent_validation" "Compare browsers" [Kind::Flag] = flag true, for everyone;
            "Whether a session is bound to the browser of its sign-in; a mismatch ends it."
            synonyms ["user agent", "browser", "hijacking"] from "Hue";
        SessionSessionUserAgentMatch "session.session_user_agent_match" "How browsers are compared" [Kind::Choice(&["exact", "family"])] = text "family", for everyone;
            "Compares the whole user agent, or only the browser's name so that updates pass."
            synonyms ["user agent", "family", "update"] from "Hue";
        SessionSessionAllowIpChanges "session.session_allow_ip_changes" "Allowed network changes" [Kind::Count { max: UNLIMITED }] = number 1, for everyone;
            "Changes of network accepted within the grace period; returning counts as a change, unlimited also lifts the period."
            synonyms ["roaming", "mobile", "vpn", "ip change"] from "Hue";
        SessionSessionIpChangeGracePeriod "session.session_ip_change_grace_period" "Grace period for changes" [Kind::Duration { min: 0, never: false }] = number 300, for everyone;
            "How long after the first change of network further ones are accepted; the first is always inside."
            synonyms ["window", "roaming", "ip change"] from "Hue";
        SessionSessionRotationOnIpChange "session.session_rotation_on_ip_change" "New id at a change" [Kind::Flag] = flag true, for everyone;
            "Gives the session a new id at each accepted change of network."
            synonyms ["rotate", "regenerate", "fixation"] from "Hue";
        SessionSessionSecurityAuditLog "session.session_security_audit_log" "Security log" [Kind::Flag] = flag true, for everyone;
            "Records changes and failures of validation in the audit and the security log file."
            synonyms ["audit", "log", "siem"] from "Hue";
    }
    Retention {
        RetentionAudit "retention.audit" "Audit entries" [Kind::Duration { min: 30 * DAY, never: true }] = number 31_536_000, for everyone;
            "Removes audit entries that are older, by whole days and whole seals; that it did is itself an entry."
            synonyms ["log", "history", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionSessions "retention.sessions" "Ended sessions" [Kind::Duration { min: DAY, never: true }] = number 7_776_000, for everyone;
            "Removes sessions that ended longer ago; until then they are listed with the reason of their end."
            synonyms ["history", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionKnownNetworks "retention.known_networks" "Known networks" [Kind::Duration { min: 30 * DAY, never: true }] = number 7_776_000, for everyone;
            "Forgets networks that an account has not signed in from for longer; the ceiling on an account spares those of the last 30 days."
            synonyms ["address", "ip", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionTokens "retention.tokens" "Replaced session ids" [Kind::Duration { min: DAY, never: true }] = number 2_592_000, for everyone;
            "Forgets session ids that were replaced or made void longer ago; until then their use is told from that of an unknown one."
            synonyms ["token", "rotated", "purge", "delete", "keep"] from "Nightlatch";
        RetentionMail "retention.mail" "Letters" [Kind::Duration { min: DAY, never: true }] = number 2_592_000, for everyone;
            "Forgets what became of a letter this long after it was sent or given up; its text goes at once."
            synonyms ["mail", "e-mail", "outbox", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionPins "retention.pins" "Pins of servers that are gone" [Kind::Duration { min: 3_600, never: true }] = number 86_400, for everyone;
            "Forgets what a server had pinned this long after it was last heard of; it counts only while the server is heard of."
            synonyms ["environment", "instance", "purge", "delete", "keep"] from "Nightlatch";
    }
    Notices {
        NoticesSignIn "notices.sign_in" "New device or network" [Kind::Flag] = flag true, for everyone;
            "Mails the owner when somebody signs in with a new device or from a new network, with a link to say that it was somebody else."
            synonyms ["mail", "e-mail", "letter", "suspicious", "login", "notification"] from "Nightlatch";
        NoticesPassword "notices.password" "Password changed" [Kind::Flag] = flag true, for everyone;
            "Mails the owner when the password was changed or reset."
            synonyms ["mail", "e-mail", "letter", "credentials", "notification"] from "Nightlatch";
        NoticesEmail "notices.email" "E-mail address changed" [Kind::Flag] = flag true, for everyone;
            "Mails both addresses when the e-mail address was changed."
            synonyms ["mail", "letter", "address", "notification"] from "Nightlatch";
        NoticesLockout "notices.lockout" "Account locked out" [Kind::Flag] = flag true, for everyone;
            "Mails the owner when failures locked the account, or an address from which it was tried in vain, at most once an hour."
            synonyms ["mail", "e-mail", "letter", "lockout", "brute force", "notification"] from "Nightlatch";
        NoticesExpiry "notices.expiry" "Account expires" [Kind::Flag] = flag true, for everyone;
            "Mails the owner before the account expires, when it has expired and when it is re-activated."
            synonyms ["mail", "e-mail", "letter", "reminder", "notification"] from "Nightlatch";
        NoticesDigest "notices.digest" "Digest for administrators" [Kind::Flag] = flag true, for everyone;
            "Mails administrators about lockouts, patterns of attack, reused session ids and policy changes, at most once an hour."
            synonyms ["mail", "e-mail", "letter", "spraying", "targeted", "summary", "notification"] from "Nightlatch";
    }
}

/// From here on a name is taken for another one, mistyped: 1 is the same, 0 has nothing in common.
const ALIKE: f64 = 0.7;
/// Names that are longer are nobody's slip.
const LONGEST_NAME: usize = 80;

impl Key {
    /// The setting whose name is most like this one, when it is like enough to have been meant.
    pub fn nearest(name: &str) -> Option<Key> {
        if name.len() > LONGEST_NAME {
            return None;
        }
        let name = name.to_lowercase();
        let likeness = |key: &Key| (strsim::normalized_damerau_levenshtein(&name, key.name()), *key);
        let (alike, key) = Key::ALL.iter().map(likeness).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        (alike >= ALIKE).then_some(key)
    }

    /// What is said of a name that is no setting's.
    pub fn unknown(name: &str) -> String {
        match Key::nearest(name) {
            Some(key) => format!("unknown setting: did you mean {}?", key.name()),
            None => "unknown setting".to_owned(),
        }
    }

    /// `auth.idle_session_timeout`.
    pub fn name(self) -> &'static str {
        self.setting().name
    }

    /// The facts of the setting.
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }

    /// The environment variable that pins it: `NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT`.
    pub fn env_name(self) -> String {
        format!("{ENV_PREFIX}{}", self.name().replace('.', "__").to_uppercase())
    }

    /// The catalogue's default.
    pub fn default_value(self) -> Value {
        (self.setting().default)()
    }
}

/// How the names of pinning environment variables begin.
pub const ENV_PREFIX: &str = "NIGHTLATCH_POLICY__";

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Setting {
    /// Whether the setting may be set in `scope`.
    pub fn allowed_in(&self, scope: &super::Scope) -> bool {
        match scope {
            super::Scope::Everyone => true,
            super::Scope::Administrators => self.administrators,
            super::Scope::Application(_) => self.applications,
        }
    }

    /// Whether a search for `words` finds it: each word in the name, label, effect or a synonym.
    pub fn matches(&self, words: &str) -> bool {
        let haystack = [self.name, self.label, self.effect, &self.synonyms.join(" ")]
            .join(" ")
            .to_lowercase()
            .replace('_', " ");
        words
            .to_lowercase()
            .replace('_', " ")
            .split_whitespace()
            .all(|word| haystack.contains(word))
    }
}
