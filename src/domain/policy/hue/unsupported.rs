//! Explanations of keys in a hue.ini that are ignored: what replaces them in Nightlatch.

use super::keys::{PASSWORD_POLICY, find};

/// Returns the explanation for a key that is not a setting of the policy; both names in lower case.
pub(super) fn unsupported_reason(section: &str, name: &str) -> &'static str {
    match (section, name) {
        ("", _) => "before the first [section]: Hue does not read it either",
        ("desktop.auth", "backend") => {
            "setup does this: it creates the first administrator, and accounts are managed in Nightlatch"
        }
        (
            "desktop.auth",
            "user_augmentor" | "user_aug" | "pam_service" | "pam_use_pwd_module" | "remote_user_header",
        )
        | ("desktop.ldap" | "libsaml" | "libopenid" | "liboauth" | "desktop.oidc", _) => {
            "another way to sign in: accounts are managed in Nightlatch"
        }
        ("desktop.auth", "ignore_username_case" | "force_username_lowercase" | "force_username_uppercase") => {
            "not needed: usernames are compared without case"
        }
        ("desktop.auth", "behind_reverse_proxy" | "reverse_proxy_header")
        | ("desktop", "use_x_forwarded_host" | "secure_proxy_ssl_header") => {
            "configured at start: NIGHTLATCH_TRUSTED_PROXIES for the proxies, NIGHTLATCH_PUBLIC_URL for the address"
        }
        ("desktop.session", "cookie_name") => "configured at start: NIGHTLATCH_COOKIE_NAME",
        ("desktop.session", "enable_test_cookie") => "not needed: there is no test cookie",
        ("desktop.session", "trusted_origins") => {
            "not needed: state-changing requests are accepted only from the console's own address"
        }
        ("desktop", "secret_key" | "secret_key_script") => "configured at start: NIGHTLATCH_SECRET_KEY_FILE",
        ("desktop", "http_host" | "http_port") => "configured at start: NIGHTLATCH_BIND",
        ("desktop.smtp", _) => "configured at start: NIGHTLATCH_SMTP_URL and NIGHTLATCH_MAIL_FROM",
        ("desktop", "audit_event_log_dir" | "audit_log_max_file_size") => {
            "configured at start: NIGHTLATCH_SECURITY_LOG; the audit is kept in the database"
        }
        ("desktop" | "desktop.auth" | "desktop.session" | "useradmin.password_policy", name) => {
            misplaced(section, name).unwrap_or("not a setting of the session policy")
        }
        (_, _) => "not about sessions",
    }
}

/// Returns the explanation for a known key in a section where Hue does not read it.
fn misplaced(section: &str, name: &str) -> Option<&'static str> {
    let homes = [
        (
            "desktop.auth",
            "belongs in [desktop] [[auth]]: Hue does not read it here either",
        ),
        (
            "desktop.session",
            "belongs in [desktop] [[session]]: Hue does not read it here either",
        ),
        (
            PASSWORD_POLICY,
            "belongs in [useradmin] [[password_policy]]: Hue does not read it here either",
        ),
    ];
    let mut elsewhere = homes.into_iter().filter(|(home, _)| *home != section);
    elsewhere.find_map(|(home, why)| find(home, name).map(|_| why))
}
