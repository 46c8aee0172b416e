//! Codes of an authenticator app: RFC 6238 with SHA-1, 6 digits and 30 seconds, because some apps
//! silently ignore other parameters. One step before and after the current one is accepted.

use crate::domain::{secret::Secret, time::Timestamp};
use totp_rs::{Builder, Secret as TotpSecret, Totp};

/// Length of a secret in bytes (RFC 4226, 4: at least 128 bits, 160 recommended).
pub const SECRET_BYTES: usize = 20;
/// Number of digits of a code.
const DIGITS: usize = 6;
/// The name under which apps list the account.
const ISSUER: &str = "Nightlatch";

/// The data for setting up an app.
pub struct AppSetup {
    /// The secret in base32, for typing.
    pub secret: Secret,
    /// The `otpauth://` address, for the QR code.
    pub url: Secret,
}

/// Parses a typed code, ignoring spaces. `None`: it does not have six digits.
pub fn read_code(typed: &str) -> Option<String> {
    let digits: String = typed.chars().filter(|typed| !typed.is_whitespace()).collect();
    let is_code = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_code.then_some(digits)
}

/// Checks a code at an instant and returns its step (Unix time / 30). The caller accepts every step
/// once, and none before an accepted one.
pub fn check_code(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let seconds = u64::try_from(now.as_micros().div_euclid(1_000_000)).ok()?;
    let step = build(secret, "")?.check(code, seconds)?;
    i64::try_from(step).ok()
}

/// Returns the address and the text of a secret. `None`: the secret is shorter than the RFC allows.
pub fn setup(secret: &[u8], username: &str) -> Option<AppSetup> {
    // The label has a colon between issuer and name.
    let totp = build(secret, &username.replace(':', " "))?;
    Some(AppSetup {
        secret: Secret::new(TotpSecret::from(secret.to_vec()).to_base32()),
        url: Secret::new(totp.to_url().ok()?),
    })
}

fn build(secret: &[u8], username: &str) -> Option<Totp> {
    Builder::new()
        .with_secret(TotpSecret::from(secret.to_vec()))
        .with_issuer(Some(ISSUER))
        .with_account_name(username)
        .build()
        .ok()
}

#[cfg(test)]
mod tests;
