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
mod tests {
    use super::{check_code, read_code, setup};
    use crate::domain::time::Timestamp;

    const SECRET: &[u8; 20] = b"12345678901234567890";

    /// RFC 6238, appendix B, SHA-1: the last six of its eight digits.
    #[test]
    fn the_vectors_of_the_rfc_are_accepted() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let at = Timestamp::from_micros(seconds * 1_000_000);
            assert_eq!(check_code(SECRET, code, at), Some(seconds / 30), "{seconds}");
            assert_eq!(check_code(SECRET, "000000", at), None);
        }
    }

    #[test]
    fn a_code_is_accepted_one_step_early_and_late() {
        // The code of the step that starts at 1 111 111 110.
        let accepted = |seconds: i64| check_code(SECRET, "050471", Timestamp::from_micros(seconds * 1_000_000));
        let step = 1_111_111_110 / 30;
        for (seconds, expected) in [
            (1_111_111_079, None),
            (1_111_111_080, Some(step)),
            (1_111_111_110, Some(step)),
            (1_111_111_139, Some(step)),
            (1_111_111_169, Some(step)),
            (1_111_111_170, None),
        ] {
            assert_eq!(accepted(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn blanks_in_a_code_do_not_count() {
        assert_eq!(read_code(" 123 456\t").as_deref(), Some("123456"));
        for wrong in ["12345", "1234567", "+12345", "１２３４５６", "12345a", ""] {
            assert_eq!(read_code(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_address_names_the_account_without_a_colon() {
        let setup = setup(SECRET, "ada: x").unwrap();
        assert_eq!(setup.secret.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = setup.url.expose();
        assert!(
            url.starts_with("otpauth://totp/Nightlatch:ada%20%20x?secret=GEZDGNBVGY3TQOJQ"),
            "{url}"
        );
    }
}
