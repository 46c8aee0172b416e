//! Why a key of a hue.ini is left aside: what takes its place in Nightlatch, in a few words.

/// For a key that is no setting of the policy; both names in lower case.
pub(super) fn why(section: &str, name: &str) -> &'static str {
    match (section, name) {
        ("", _) => "stands before the first [section]: Hue does not read it either",
        ("desktop.auth", "backend") => {
            "our set-up does this: it makes the first administrator, and accounts are Nightlatch's own"
        }
        (
            "desktop.auth",
            "user_augmentor" | "user_aug" | "pam_service" | "pam_use_pwd_module" | "remote_user_header",
        )
        | ("desktop.ldap" | "libsaml" | "libopenid" | "liboauth" | "desktop.oidc", _) => {
            "another way to sign in: accounts are Nightlatch's own"
        }
        ("desktop.auth", "ignore_username_case" | "force_username_lowercase" | "force_username_uppercase") => {
            "not needed: user names compare without case"
        }
        ("desktop.auth", "behind_reverse_proxy" | "reverse_proxy_header")
        | ("desktop", "use_x_forwarded_host" | "secure_proxy_ssl_header") => {
            "decided at the start: NIGHTLATCH_TRUSTED_PROXIES names the proxies, NIGHTLATCH_PUBLIC_URL the address"
        }
        ("desktop.session", "cookie_name") => "decided at the start: NIGHTLATCH_COOKIE_NAME",
        ("desktop.session", "enable_test_cookie") => "not needed: there is no test cookie",
        ("desktop.session", "trusted_origins") => {
            "not needed: requests that change something are accepted from the console's own address only"
        }
        ("desktop", "secret_key" | "secret_key_script") => "decided at the start: NIGHTLATCH_SECRET_KEY_FILE",
        ("desktop", "http_host" | "http_port") => "decided at the start: NIGHTLATCH_BIND",
        ("desktop.smtp", _) => "decided at the start: NIGHTLATCH_SMTP_URL and NIGHTLATCH_MAIL_FROM",
        ("desktop", "audit_event_log_dir" | "audit_log_max_file_size") => {
            "decided at the start: NIGHTLATCH_SECURITY_LOG; the audit is kept in the database"
        }
        ("desktop" | "desktop.auth" | "desktop.session" | "useradmin.password_policy", name) => {
            misplaced(section, name).unwrap_or("not a setting of the session policy")
        }
        (_, _) => "not about sessions",
    }
}

/// A known key in a section where Hue does not look for it.
fn misplaced(section: &str, name: &str) -> Option<&'static str> {
    let homes = [
        (
            "desktop.auth",
            "belongs into [desktop] [[auth]]: where it stands, Hue does not read it either",
        ),
        (
            "desktop.session",
            "belongs into [desktop] [[session]]: where it stands, Hue does not read it either",
        ),
        (
            super::PASSWORD_POLICY,
            "belongs into [useradmin] [[password_policy]]: where it stands, Hue does not read it either",
        ),
    ];
    let mut elsewhere = homes.into_iter().filter(|(home, _)| *home != section);
    elsewhere.find_map(|(home, why)| super::find(home, name).map(|_| why))
}
