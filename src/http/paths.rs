//! Every address that we answer.

pub const HEALTHZ: &str = "/healthz";
pub const READYZ: &str = "/readyz";
pub const HOME: &str = "/";
pub const LOGIN: &str = "/login";
/// The second step of a sign-in: the password was correct, and a second factor is required.
pub const LOGIN_FACTOR: &str = "/login/factor";
pub const LOGIN_FACTOR_OPTIONS: &str = "/login/factor/options";
pub const LOGIN_FACTOR_PASSKEY: &str = "/login/factor/passkey";
/// Signing in with a passkey alone.
pub const LOGIN_PASSKEY: &str = "/login/passkey";
pub const LOGIN_PASSKEY_OPTIONS: &str = "/login/passkey/options";
/// Sends the browser to an identity provider.
pub const LOGIN_OIDC: &str = "/login/oidc/{source}";
/// Where an identity provider sends the browser back.
pub const LOGIN_OIDC_CALLBACK: &str = "/login/oidc/{source}/callback";
/// Sends a signed-in user to their identity provider to confirm their identity.
/// Where the browser goes on once its answer has left the callback's address.
pub const LOGIN_OIDC_ANSWER: &str = "/login/oidc/{source}/answer";
pub const LOGIN_OIDC_CONFIRM: &str = "/login/oidc/{source}/confirm";
/// Sends the owner of a covered page to their identity provider to sign in again.
pub const LOGIN_OIDC_AGAIN: &str = "/login/oidc/{source}/again";
/// Where an identity provider reports that one of its sessions has ended.
pub const OIDC_BACK_CHANNEL: &str = "/oidc/{source}/backchannel-logout";
/// After a sign-out: the way to sign out at the identity provider too.
pub const LOGOUT_PROVIDER: &str = "/logout/provider";
/// Where a live session proves or sets up a second factor.
pub const FACTOR: &str = "/factor";
pub const FACTOR_OPTIONS: &str = "/factor/options";
pub const FACTOR_PASSKEY: &str = "/factor/passkey";
/// A person's own second factors.
pub const FACTORS: &str = "/factors";
/// Page of an enrolment link.
pub const FACTORS_ENROL: &str = "/factors/enrol";
pub const FACTORS_APP_START: &str = "/factors/totp/start";
pub const FACTORS_APP: &str = "/factors/totp";
pub const FACTORS_APP_REMOVE: &str = "/factors/totp/remove";
pub const FACTORS_PASSKEY_NEW: &str = "/factors/passkeys/new";
pub const FACTORS_PASSKEY_OPTIONS: &str = "/factors/passkeys/options";
pub const FACTORS_PASSKEYS: &str = "/factors/passkeys";
pub const FACTORS_PASSKEY_RENAME: &str = "/factors/passkeys/{id}/rename";
pub const FACTORS_PASSKEY_REMOVE: &str = "/factors/passkeys/{id}/remove";
pub const FACTORS_RECOVERY: &str = "/factors/recovery";
pub const FACTORS_BROWSER_REMOVE: &str = "/factors/browsers/{id}/remove";
pub const LOGOUT: &str = "/logout";
/// The address for continuing with another account.
pub const SWITCH: &str = "/switch";
pub const PASSWORD: &str = "/password";
pub const PASSWORD_STRENGTH: &str = "/password/strength";
pub const PASSWORD_FORGOT: &str = "/password/forgot";
pub const PASSWORD_RESET: &str = "/password/reset";
pub const PASSWORD_RESET_STRENGTH: &str = "/password/reset/strength";
pub const CHANGE_PASSWORD: &str = "/.well-known/change-password";
pub const SETUP: &str = "/setup";
pub const SETUP_STRENGTH: &str = "/setup/strength";
pub const SESSION_END: &str = "/sessions/{id}/end";
pub const SESSION_REPORT: &str = "/sessions/{id}/disown";
pub const HISTORY: &str = "/history";
pub const EMAIL: &str = "/email";
pub const EMAIL_CONFIRM: &str = "/email/confirm";
pub const EMAIL_CANCEL: &str = "/email/cancel";
pub const NOT_ME: &str = "/not-me";
pub const NOTICES: &str = "/notices";
pub const SESSIONS_END_OTHERS: &str = "/sessions/end-others";
pub const ADMIN: &str = "/admin";
pub const ADMIN_POLICY: &str = "/admin/policy";
pub const ADMIN_POLICY_POSTURE: &str = "/admin/policy/posture";
pub const ADMIN_POLICY_MATRIX: &str = "/admin/policy/matrix";
pub const ADMIN_POLICY_REVISIONS: &str = "/admin/policy/revisions";
pub const ADMIN_POLICY_REVISION: &str = "/admin/policy/revisions/{number}";
pub const ADMIN_POLICY_RESTORE: &str = "/admin/policy/revisions/{number}/restore";
pub const ADMIN_POLICY_REVIEW: &str = "/admin/policy/review";
pub const ADMIN_POLICY_REVIEW_EXPORT: &str = "/admin/policy/review/export";
pub const ADMIN_POLICY_REVIEW_RESOLVE: &str = "/admin/policy/review/resolve";
pub const ADMIN_POLICY_REVIEW_DISCARD: &str = "/admin/policy/review/discard";
pub const ADMIN_POLICY_CONFIRM: &str = "/admin/policy/confirm";
pub const ADMIN_POLICY_UNDO: &str = "/admin/policy/undo";
pub const ADMIN_POLICY_IMPORT: &str = "/admin/policy/import";
pub const ADMIN_POLICY_EXPORT: &str = "/admin/policy/export";
pub const ADMIN_POLICY_EXPLAIN: &str = "/admin/policy/explain";
pub const ADMIN_SESSIONS: &str = "/admin/sessions";
pub const ADMIN_SESSIONS_EXPORT: &str = "/admin/sessions/export";
pub const ADMIN_SESSIONS_END: &str = "/admin/sessions/end";
pub const ADMIN_SESSION: &str = "/admin/sessions/{id}";
pub const ADMIN_LOCKOUTS: &str = "/admin/lockouts";
pub const ADMIN_LOCKOUTS_BLOCK: &str = "/admin/lockouts/block";
pub const ADMIN_LOCKOUTS_EXPORT: &str = "/admin/lockouts/export";
pub const ADMIN_LOCKOUTS_UNLOCK: &str = "/admin/lockouts/unlock";
pub const ADMIN_AUDIT: &str = "/admin/audit";
pub const ADMIN_AUDIT_EXPORT: &str = "/admin/audit/export";
pub const ADMIN_AUDIT_TARGETS: &str = "/admin/audit/targets";
pub const ADMIN_ACCOUNTS: &str = "/admin/accounts";
pub const ADMIN_ACCOUNTS_EXPORT: &str = "/admin/accounts/export";
pub const ADMIN_ACCOUNTS_NEW: &str = "/admin/accounts/new";
pub const ADMIN_ACCOUNTS_IMPORT: &str = "/admin/accounts/import";
pub const ADMIN_ACCOUNTS_IMPORT_APPLY: &str = "/admin/accounts/import/apply";
pub const ADMIN_ACCOUNTS_BULK: &str = "/admin/accounts/bulk";
pub const ADMIN_ACCOUNTS_ACT: &str = "/admin/accounts/acts/{id}";
pub const ADMIN_ACCOUNTS_ACT_PASSWORDS: &str = "/admin/accounts/acts/{id}/passwords";
pub const ADMIN_ACCOUNT: &str = "/admin/accounts/{id}";
pub const ADMIN_ACCOUNT_CONFIRM: &str = "/admin/accounts/{id}/confirm";
pub const ADMIN_MAIL: &str = "/admin/mail";
pub const ADMIN_APPLICATIONS: &str = "/admin/applications";
pub const ADMIN_APPLICATION: &str = "/admin/applications/{name}";
pub const ADMIN_APPLICATION_TEST: &str = "/admin/applications/{name}/test";
pub const ADMIN_SOURCES: &str = "/admin/sources";
pub const ADMIN_SOURCE: &str = "/admin/sources/{name}";
pub const ADMIN_SOURCE_END: &str = "/admin/sources/{name}/end-sessions";
/// The endpoints for proxies.
pub const AUTHZ: &str = "/api/authz/";
pub const AUTH_REQUEST: &str = "/api/authz/auth-request";
pub const FORWARD_AUTH: &str = "/api/authz/forward-auth";
pub const EXT_AUTHZ: &str = "/api/authz/ext-authz";
pub const EXT_AUTHZ_PATH: &str = "/api/authz/ext-authz/{path:.*}";
/// The prefix of the page guard's addresses, on our own host and those of applications; they answer
/// its script only in JSON.
pub const GUARD: &str = "/nightlatch/";
pub const GUARD_SCRIPT: &str = "/nightlatch/guard.js";
pub const GUARD_SESSION: &str = "/nightlatch/session";
pub const GUARD_EVENTS: &str = "/nightlatch/session/events";
pub const GUARD_TOUCH: &str = "/nightlatch/session/touch";
pub const GUARD_HEARTBEAT: &str = "/nightlatch/session/heartbeat";
pub const GUARD_LOGIN: &str = "/nightlatch/session/login";
pub const GUARD_FACTOR: &str = "/nightlatch/session/factor";
pub const GUARD_FACTOR_OPTIONS: &str = "/nightlatch/session/factor/options";
pub const GUARD_LOGOUT: &str = "/nightlatch/session/logout";
/// Where a sign-in in a window of its own ends.
pub const GUARD_SIGNED_IN: &str = "/nightlatch/signed-in";
/// The style of its pages.
pub const GUARD_STYLE: &str = "/nightlatch/app.css";
/// The page on an application’s host for users without access, for proxies that cannot pass a page
/// on.
pub const GUARD_FORBIDDEN: &str = "/nightlatch/forbidden";
/// The prefix of the addresses where a browser registers and proves the key of its device.
pub const DEVICE: &str = "/nightlatch/device";
pub const DEVICE_START: &str = "/nightlatch/device/start";
pub const DEVICE_REFRESH: &str = "/nightlatch/device/refresh";
/// The address where a browser gets a code that carries its session to an application's host, and
/// the address there that takes it.
pub const HANDOVER: &str = "/handover";
pub const GUARD_HANDOVER_START: &str = "/nightlatch/handover/start";
pub const GUARD_HANDOVER: &str = "/nightlatch/handover";
pub const STATIC: &str = "/static/{file}";
