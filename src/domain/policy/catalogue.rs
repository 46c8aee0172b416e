//! Every setting, declared once. The editor, validation, import, export, CLI, diff and
//! docs/settings.md are derived from it. `catalogue/group` lists the sections, `catalogue/values`
//! converts texts to values, `catalogue/reference` writes the reference, `catalogue/macros` defines
//! the notation.

use super::{scope::Scope, value::Value};

mod group;
mod kind;
#[macro_use]
mod macros;
mod reference;
mod values;

pub use group::Group;
pub use kind::Kind;
pub use reference::markdown;
pub(crate) use values::{network_groups, networks};

/// The definition of one setting.
#[derive(Debug)]
pub struct Setting {
    /// The setting's identity.
    pub key: Key,
    /// The name, such as `auth.idle_session_timeout`.
    pub name: &'static str,
    /// Its section in the editor and the reference.
    pub group: Group,
    /// The label on screens.
    pub label: &'static str,
    /// Type and bounds.
    pub kind: Kind,
    /// The value if no scope sets it.
    pub default: fn() -> Value,
    /// Numbers with a special meaning and the word for each (`-1` `automatic`, `0` `no limit`),
    /// accepted and shown.
    pub words: &'static [(i64, &'static str)],
    /// Whether it may be overridden for administrators.
    pub administrators: bool,
    /// Whether it may be overridden for an application.
    pub applications: bool,
    /// The effect, in one sentence.
    pub effect: &'static str,
    /// Other search terms for it.
    pub synonyms: &'static [&'static str],
    /// The product that defines its behavior: `Hue`, `Bloomreach`, `IBM`, `Nightlatch`.
    pub source: &'static str,
}

impl Group {
    /// Returns its settings, in the order of the catalogue.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        Key::ALL
            .iter()
            .map(|key| key.setting())
            .filter(move |setting| setting.group == self)
    }
}

const NEVER: Kind = Kind::Duration { min: 0, never: true };
const DAY: i64 = 86_400;
const UNLIMITED: i64 = 1_000_000;
/// Upper bound of ceilings, because each counted failure is stored with its instant.
const MAX_REMEMBERED: i64 = 10_000;

catalogue! {
    Lifetimes {
        SessionTtl "session.ttl" "Absolute lifetime" [Kind::Duration { min: 1, never: false }] = number 1_209_600,
            for all;
            "Ends a session this long after its sign-in; activity never extends it."
            synonyms ["absolute timeout", "maximum age", "session length", "max lifetime", "expiry"] from "Hue";
        AuthIdleSessionTimeout "auth.idle_session_timeout" "Idle timeout" [NEVER] = number -1, for all,
            words &[(0, "while a window is open")];
            "Ends a session that has had no activity for longer than this; 0 keeps it while a window is open."
            synonyms ["inactivity", "auto logout", "active logout", "token expiry", "idle time",
                "max inactive interval"]
            from "Hue, Bloomreach, IBM";
        SessionWindowCloseGrace "session.window_close_grace" "Grace after the last window"
            [Kind::Duration { min: 1, never: false }] = number 180,
            for everyone;
            "With an idle timeout of 0, ends a session this long after the last sign of an open window; leave room for \
             throttled background tabs."
            synonyms ["heartbeat", "window", "tab", "close"] from "Nightlatch";
        SessionRenewalPeriod "session.renewal_period" "Renewal period" [NEVER] = number -1, for administrators,
            words &[(-1, "unlimited")];
            "With an idle timeout above 0, a lease of that length can be renewed only at lease ends that fall within \
             this long of sign-in; 0 allows one lease."
            synonyms ["token refresh period", "refresh", "lease", "renew"] from "IBM";
        SessionConcurrentUserSessionLimit "session.concurrent_user_session_limit" "Sessions per account"
            [Kind::Number { min: 0, max: UNLIMITED }] = number 0,
            for administrators,
            words &[(0, "no limit")];
            "A sign-in beyond this number of sessions ends the account's least recently active ones."
            synonyms ["concurrent sessions", "parallel", "devices", "maximum sessions"] from "Hue";
        SessionIdleWarning "session.idle_warning" "Warning before an idle end" [NEVER] = number -1, for applications,
            words &[(-1, "automatic")];
            "Warns on the page this long before an idle end; automatic is a fifth of the idle timeout, between 20 \
             seconds and 2 minutes."
            synonyms ["countdown", "notice", "stay signed in", "dialog"] from "Nightlatch";
    }
    Activity {
        ActivityCounts "activity.counts" "What counts as activity"
            [Kind::Choice(&["every_request", "navigation", "interaction"])] = text "every_request",
            for applications;
            "Decides what refreshes idle time: any request, only page navigations, or only real input reported by the \
             page guard."
            synonyms ["refresh", "keep alive", "polling", "ajax", "background"] from "Bloomreach";
        ActivityIgnoredPaths "activity.ignored_paths" "Ignored paths" [Kind::Globs] = list, for applications;
            "Requests to these paths are checked but never refresh idle time (pingers, live tiles)."
            synonyms ["exclude", "ping", "poll", "glob", "background"] from "Bloomreach";
    }
    Accounts {
        AuthChangeDefaultPassword "auth.change_default_password" "Require change of passwords set by an administrator"
            [Kind::Flag] = flag false,
            for everyone;
            "Requires a new password at the next sign-in when an administrator set the current one."
            synonyms ["initial password", "first login", "force change", "temporary password"] from "Hue";
        AuthExpiresAfter "auth.expires_after" "Expire inactive accounts after" [NEVER] = number -1, for everyone;
            "An account with no live session expires this long after its last session ended."
            synonyms ["inactive accounts", "dormant", "disable", "deactivate"] from "Hue";
        AuthExpireUnusedAfter "auth.expire_unused_after" "Expire never used accounts" [NEVER] = number -1, for everyone;
            "An account that never signed in expires this long after it was created or reactivated."
            synonyms ["inactive accounts", "unused", "invitation"] from "Nightlatch";
        AuthExpireSuperusers "auth.expire_superusers" "Administrators expire" [Kind::FlagOrDuration] = flag true,
            for everyone;
            "Whether administrators expire like everyone, never, or after a separate time."
            synonyms ["superuser", "admin", "inactive administrators"] from "Hue";
        AuthExpiryNotice "auth.expiry_notice" "Notice before expiry" [NEVER] = number 604_800, for everyone;
            "Notifies the account by email and banner this long before it expires."
            synonyms ["reminder", "mail", "warning"] from "Nightlatch";
    }
    Passwords {
        PasswordMinLength "password.min_length" "Minimum length" [Kind::Number { min: 8, max: 128 }] = number 12,
            for everyone;
            "New passwords must have at least this many characters; up to 128 are accepted and never truncated."
            synonyms ["minimum", "characters", "short"] from "Nightlatch";
        PasswordMinStrength "password.min_strength" "Minimum strength" [Kind::Number { min: 0, max: 4 }] = number 3,
            for everyone;
            "New passwords must reach this zxcvbn score; the account's own names count as guessable."
            synonyms ["zxcvbn", "complexity", "weak", "score"] from "Nightlatch";
        PasswordHistory "password.history" "Password history" [Kind::Number { min: 0, max: 24 }] = number 0,
            for everyone,
            words &[(0, "none")];
            "Rejects the account's last N passwords."
            synonyms ["reuse", "previous", "repeat"] from "Nightlatch";
        PasswordMaxAge "password.max_age" "Maximum age" [Kind::Duration { min: 1, never: true }] = number -1,
            for everyone;
            "An older password must be changed at the next sign-in."
            synonyms ["rotation", "expiry", "change every"] from "Nightlatch";
        PasswordRegex "password.regex" "Pattern" [Kind::Text { regex: true }] = text "", for everyone;
            "New passwords must match this regular expression from their first character; empty requires nothing."
            synonyms ["pwd_regex", "composition", "complexity", "rule"] from "Hue";
        PasswordRegexHint "password.regex_hint" "Pattern error message" [Kind::Text { regex: false }] = text "",
            for everyone;
            "Shown when a new password does not match the pattern."
            synonyms ["pwd_error_message", "pwd_hint", "message"] from "Hue";
    }
    SignIn {
        AuthLoginLockOutAtFailure "auth.login_lock_out_at_failure" "Lock out after failures" [Kind::Flag] = flag false,
            for everyone;
            "Switches the lock below on; failures are counted in any case, and the two ceilings always apply."
            synonyms ["lockout", "brute force", "axes", "block"] from "Hue";
        AuthLoginFailureLimit "auth.login_failure_limit" "Failure limit" [Kind::Number { min: 1, max: 100 }] = number 3,
            for everyone;
            "The failure that reaches this number locks and is itself refused as locked."
            synonyms ["attempts", "threshold", "tries", "lockout"] from "Hue";
        AuthLoginCooloffTime "auth.login_cooloff_time" "Lockout duration"
            [Kind::Duration { min: 1, never: true }] = number 900,
            for everyone;
            "Forgets a failure and ends a lock after this long; never means locked until an administrator unlocks."
            synonyms ["lockout duration", "unlock", "wait", "permanent"] from "Hue";
        AuthLoginLockOutByCombinationUserAndIp "auth.login_lock_out_by_combination_user_and_ip"
            "Lock by user and IP address"
            [Kind::Flag] = flag false,
            for everyone;
            "Locks the pair of username and IP address instead of the IP address alone."
            synonyms ["combination", "user", "ip", "lock key"] from "Hue";
        AuthLoginLockOutUseUserAgent "auth.login_lock_out_use_user_agent" "Lock by browser too"
            [Kind::Flag] = flag false,
            for everyone;
            "Adds the user agent to what is locked, so that one browser never locks out everyone else."
            synonyms ["user agent", "browser", "lock key"] from "Hue";
        AuthLoginIpCeiling "auth.login_ip_ceiling" "Failures per IP address"
            [Kind::Number { min: 0, max: MAX_REMEMBERED }] = number 100,
            for everyone,
            words &[(0, "off")];
            "Locks an IP address after this many failures within the lockout duration, whatever usernames or browsers \
             they used."
            synonyms ["spray", "spraying", "ceiling", "rate limit"] from "Nightlatch";
        AuthLoginAccountCeiling "auth.login_account_ceiling" "Failures per account"
            [Kind::Number { min: 0, max: MAX_REMEMBERED }] = number 100,
            for everyone,
            words &[(0, "off")];
            "Locks an account after this many failures within the lockout duration, at most 100. Failures from \
             networks that it recently signed in from are counted separately, with the same limit."
            synonyms ["targeted", "botnet", "ceiling", "throttling"] from "Nightlatch";
        AuthResetLimit "auth.reset_limit" "Password resets per hour"
            [Kind::Number { min: 1, max: MAX_REMEMBERED }] = number 5,
            for everyone;
            "Further reset requests for one account or IP address within an hour get the same answer and send nothing."
            synonyms ["forgot password", "mail", "flood"] from "Nightlatch";
        AuthLoginAllowList "auth.login_allow_list" "Allow list" [Kind::Cidrs] = list, for everyone;
            "IP addresses and networks that are never locked; their failures are still counted and audited."
            synonyms ["whitelist", "allow list", "cidr", "office", "proxy"] from "Nightlatch";
    }
    SecondFactors {
        FactorRequired "factor.required" "Required second factor"
            [Kind::Choice(&["off", "any", "passkey"])] = text "off", for all;
            "Defines what a session must prove besides the password. Of the values for everyone, administrators and \
             the application, the strictest applies; passkey accepts only passkeys, which cannot be phished."
            synonyms ["2fa", "mfa", "two-factor", "multi-factor", "totp", "webauthn", "fido2", "phishing-resistant"]
            from "Nightlatch";
        FactorEnrolment "factor.enrolment" "First enrolment"
            [Kind::Choice(&["at_sign_in", "by_link"])] = text "at_sign_in", for administrators;
            "Allows an account without a factor to enrol one right after its password, or only through an enrolment \
             link from an administrator, so that a stolen password cannot enrol a factor."
            synonyms ["enrollment", "register", "roll-out", "link", "2fa", "mfa"] from "Nightlatch";
        FactorEnrolmentGrace "factor.enrolment_grace" "Grace period for enrolment"
            [Kind::Duration { min: 0, never: false }] = number 0, for administrators,
            words &[(0, "none")];
            "Allows users to skip enrolment for this long, counted for each account from the moment at which the \
             requirement first applied to it."
            synonyms ["enrollment", "skip", "later", "roll-out", "2fa", "mfa"] from "Nightlatch";
        FactorAuthenticatorApp "factor.authenticator_app" "Authenticator apps" [Kind::Flag] = flag true, for everyone;
            "Whether authenticator apps (six digits, RFC 6238) may be enrolled and used. An account that can prove \
             nothing else is still asked for its app."
            synonyms ["totp", "otp", "one-time password", "google authenticator", "2fa", "mfa"] from "Nightlatch";
        FactorPasskeys "factor.passkeys" "Passkeys" [Kind::Flag] = flag true, for everyone;
            "Whether passkeys may be enrolled and used. An account that can prove nothing else is still asked for its \
             passkey."
            synonyms ["webauthn", "fido2", "security key", "yubikey", "2fa", "mfa"] from "Nightlatch";
        FactorPasswordless "factor.passwordless" "Sign-in with a passkey alone" [Kind::Flag] = flag true, for everyone;
            "Allows signing in with a passkey with user verification and no password; it counts as two factors."
            synonyms ["passwordless", "webauthn", "one touch", "biometric"] from "Nightlatch";
        FactorTrustedBrowser "factor.trusted_browser" "Trust a browser"
            [Kind::Duration { min: 0, never: false }] = number 0, for administrators,
            words &[(0, "off")];
            "Requires no second factor in a trusted browser for this long after a proof. This meets neither a \
             repeated confirmation nor the requirement of a passkey."
            synonyms ["remember this device", "remember me", "trusted device", "2fa", "mfa"] from "Nightlatch";
        FactorFailureLimit "factor.failure_limit" "Wrong codes"
            [Kind::Number { min: 1, max: 20 }] = number 5, for everyone;
            "Blocks the second step of an account on a network (/24, /64) after this many wrong codes within the \
             lockout duration."
            synonyms ["attempts", "brute force", "guessing", "totp", "recovery code"] from "Nightlatch";
    }
    Cookie {
        SessionSecure "session.secure" "Secure" [Kind::Flag] = flag false, for everyone;
            "Sends the session cookie over https only. Unset, it is on when the public URL is https."
            synonyms ["https", "tls", "cookie", "samesite"] from "Hue";
        SessionHttpOnly "session.http_only" "HttpOnly" [Kind::Flag] = flag true, for everyone;
            "Hides the session cookie from scripts."
            synonyms ["javascript", "cookie", "xss"] from "Hue";
        SessionSameSite "session.same_site" "SameSite" [Kind::Choice(&["Strict", "Lax", "None"])] = text "Lax",
            for everyone;
            "Decides on which requests from other sites the cookie is sent. None needs Secure. With Strict, links \
             from other sites open signed out."
            synonyms ["samesite", "cross-site", "csrf", "cookie", "sso"] from "Hue";
        SessionExpireAtBrowserClose "session.expire_at_browser_close" "Forget when the browser closes"
            [Kind::Flag] = flag false,
            for everyone;
            "Gives the cookie no lifetime of its own; the session still ends at its absolute lifetime."
            synonyms ["persistent", "remember me", "max-age", "cookie"] from "Hue";
    }
    Validation {
        SessionDeviceBinding "session.device_binding" "Device binding"
            [Kind::Choice(&["off", "offer", "require"])] = text "offer",
            for all;
            "Binds sessions to a key that never leaves the device, in browsers that can: offer binds those that can, \
             require refuses sessions that are not bound; the strictest scope applies."
            synonyms ["dbsc", "device bound", "stolen cookie", "hijacking", "token theft"] from "Nightlatch";
        SessionDeviceProofAge "session.device_proof_age" "Lifetime of a device proof"
            [Kind::Duration { min: 300, never: false }] = number 600,
            for everyone;
            "How long a proof of the device counts, so how long copied cookies work at most; longer for sessions on \
             many hosts, because browsers sign six times in nine minutes."
            synonyms ["dbsc", "device bound", "refresh"] from "Nightlatch";
        SessionSessionValidationMode "session.session_validation_mode" "Validation mode"
            [Kind::Choice(&["strict", "moderate", "moderate_vpn", "permissive", "off"])] = text "moderate",
            for everyone;
            "Sets every setting below that has no value of its own; off switches all of them off."
            synonyms ["preset", "hijacking", "binding", "vpn"] from "Hue";
        SessionSessionIpValidation "session.session_ip_validation" "Compare networks" [Kind::Flag] = flag true,
            for everyone;
            "Whether a session is bound to the network of its sign-in."
            synonyms ["ip binding", "address", "hijacking"] from "Hue";
        SessionSessionIpSubnetBits "session.session_ip_subnet_bits" "Network prefix"
            [Kind::NumberChoice(&[8, 16, 24, 32])] = number 24,
            for everyone;
            "Number of leading IPv4 bits that identify a network; for IPv6, 32 means /128, 24 /64, 16 /48 and 8 /32."
            synonyms ["prefix", "netmask", "cidr", "ipv6"] from "Hue";
        SessionNetworkGroups "session.network_groups" "Network groups" [Kind::NetworkGroups] = list, for everyone;
            "Addresses in one group are one network, for sessions, for known networks of lockouts and for emails about \
             new networks: such as the LAN and the public address of an office, or the exits of a VPN."
            synonyms ["office", "lan", "vpn", "dual stack", "ipv6", "cidr", "roaming", "trusted"] from "Nightlatch";
        SessionSessionUserAgentValidation "session.session_user_agent_validation" "Compare browsers"
            [Kind::Flag] = flag true,
            for everyone;
            "Whether a session is bound to the browser of its sign-in; a mismatch ends it."
            synonyms ["user agent", "browser", "hijacking"] from "Hue";
        SessionSessionUserAgentMatch "session.session_user_agent_match" "How browsers are compared"
            [Kind::Choice(&["exact", "family"])] = text "family",
            for everyone;
            "Compares the whole user agent, or only the browser's name so that updates pass."
            synonyms ["user agent", "family", "update"] from "Hue";
        SessionSessionAllowIpChanges "session.session_allow_ip_changes" "Allowed network changes"
            [Kind::Count { max: UNLIMITED }] = number 1,
            for everyone;
            "Number of network changes accepted within the grace period; returning counts as a change, unlimited also \
             lifts the period."
            synonyms ["roaming", "mobile", "vpn", "ip change"] from "Hue";
        SessionSessionIpChangeGracePeriod "session.session_ip_change_grace_period" "Grace period for changes"
            [Kind::Duration { min: 0, never: false }] = number 300,
            for everyone;
            "Accepts further network changes this long after the first one, which is always accepted."
            synonyms ["window", "roaming", "ip change"] from "Hue";
        SessionSessionRotationOnIpChange "session.session_rotation_on_ip_change" "Rotate session ID on change"
            [Kind::Flag] = flag true,
            for everyone;
            "Gives the session a new ID at each accepted network change."
            synonyms ["rotate", "regenerate", "fixation"] from "Hue";
        SessionSessionSecurityAuditLog "session.session_security_audit_log" "Security log" [Kind::Flag] = flag true,
            for everyone;
            "Records changes and failures of validation in the audit and the security log file."
            synonyms ["audit", "log", "siem"] from "Hue";
    }
    Retention {
        RetentionAudit "retention.audit" "Audit entries"
            [Kind::Duration { min: 30 * DAY, never: true }] = number 31_536_000,
            for everyone;
            "Removes older audit entries, by whole days and whole seals; the removal is itself recorded."
            synonyms ["log", "history", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionSessions "retention.sessions" "Ended sessions"
            [Kind::Duration { min: DAY, never: true }] = number 7_776_000,
            for everyone;
            "Removes sessions that ended longer ago; until then they are listed with the reason why they ended."
            synonyms ["history", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionKnownNetworks "retention.known_networks" "Known networks"
            [Kind::Duration { min: 30 * DAY, never: true }] = number 7_776_000,
            for everyone;
            "Deletes networks from which an account has not signed in for longer; the account ceiling excludes those \
             of the last 30 days."
            synonyms ["address", "ip", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionTokens "retention.tokens" "Replaced session IDs"
            [Kind::Duration { min: DAY, never: true }] = number 2_592_000,
            for everyone;
            "Deletes session IDs that were replaced or revoked longer ago; until then their use is recognized."
            synonyms ["token", "rotated", "purge", "delete", "keep"] from "Nightlatch";
        RetentionMail "retention.mail" "Emails" [Kind::Duration { min: DAY, never: true }] = number 2_592_000,
            for everyone;
            "Deletes the record of an email this long after it was sent or failed; its text is deleted immediately."
            synonyms ["mail", "e-mail", "outbox", "purge", "delete", "keep", "gdpr"] from "Nightlatch";
        RetentionPins "retention.pins" "Pinned values of removed servers"
            [Kind::Duration { min: 3_600, never: true }] = number 86_400,
            for everyone;
            "Deletes the pins of a server this long after it was last seen; pins apply only while their server runs."
            synonyms ["environment", "instance", "purge", "delete", "keep"] from "Nightlatch";
    }
    Notices {
        NoticesSignIn "notices.sign_in" "New device or network" [Kind::Flag] = flag true, for everyone;
            "Notifies the owner of a sign-in with a new device or from a new network, with a link to report it."
            synonyms ["mail", "e-mail", "email", "suspicious", "login", "notification"] from "Nightlatch";
        NoticesPassword "notices.password" "Password changed" [Kind::Flag] = flag true, for everyone;
            "Notifies the owner when the password was changed or reset."
            synonyms ["mail", "e-mail", "email", "credentials", "notification"] from "Nightlatch";
        NoticesEmail "notices.email" "Email address changed" [Kind::Flag] = flag true, for everyone;
            "Notifies both addresses when the email address was changed."
            synonyms ["mail", "email", "address", "notification"] from "Nightlatch";
        NoticesLockout "notices.lockout" "Account locked out" [Kind::Flag] = flag true, for everyone;
            "Notifies the owner when failed sign-ins locked the account, or an IP address that tried it, at most once \
             an hour."
            synonyms ["mail", "e-mail", "email", "lockout", "brute force", "notification"] from "Nightlatch";
        NoticesExpiry "notices.expiry" "Account expires" [Kind::Flag] = flag true, for everyone;
            "Notifies the owner before the account expires, when it has expired and when it is reactivated."
            synonyms ["mail", "e-mail", "email", "reminder", "notification"] from "Nightlatch";
        NoticesDigest "notices.digest" "Digest for administrators" [Kind::Flag] = flag true, for everyone;
            "Notifies administrators of lockouts, attack patterns, reused session IDs and policy changes, at most \
             once an hour."
            synonyms ["mail", "e-mail", "email", "spraying", "targeted", "summary", "notification"] from "Nightlatch";
    }
}

/// Similarity from which an unknown name counts as a typing error: 1 is equal, 0 has nothing in
/// common.
const ALIKE: f64 = 0.7;
/// Longer names are not compared.
const MAX_NAME_LENGTH: usize = 80;

impl Key {
    /// Finds the setting with the most similar name, if it is similar enough to be a typing error.
    pub fn nearest(name: &str) -> Option<Key> {
        if name.len() > MAX_NAME_LENGTH {
            return None;
        }
        let name = name.to_lowercase();
        let likeness = |key: &Key| (strsim::normalized_damerau_levenshtein(&name, key.name()), *key);
        let (alike, key) = Key::ALL.iter().map(likeness).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        (alike >= ALIKE).then_some(key)
    }

    /// Returns the message about an unknown name.
    pub fn unknown(name: &str) -> String {
        match Key::nearest(name) {
            Some(key) => format!("unknown setting: did you mean {}?", key.name()),
            None => "unknown setting".to_owned(),
        }
    }

    /// Returns the name, such as `auth.idle_session_timeout`.
    pub fn name(self) -> &'static str {
        self.setting().name
    }

    /// Returns the definition of the setting.
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }

    /// Returns the environment variable that pins it:
    /// `NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT`.
    pub fn env_name(self) -> String {
        format!("{ENV_PREFIX}{}", self.name().replace('.', "__").to_uppercase())
    }

    /// Returns the default.
    pub fn default_value(self) -> Value {
        (self.setting().default)()
    }
}

/// Prefix of the environment variables that pin settings.
pub const ENV_PREFIX: &str = "NIGHTLATCH_POLICY__";

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Setting {
    /// Formats the default for screens, also where the public URL decides about it
    /// ([`super::effective::Policy::default_value`]).
    pub fn describe_default(&self) -> String {
        match self.key {
            Key::SessionSecure => "on if the public URL is https, otherwise off".to_owned(),
            key => self.display(&key.default_value()),
        }
    }

    /// Returns whether the setting may be set in `scope`.
    pub fn allowed_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Everyone => true,
            Scope::Administrators => self.administrators,
            Scope::Application(_) => self.applications,
        }
    }

    /// Returns whether a search finds it: each word must occur in the name, label, effect or a
    /// synonym.
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
