//! Tests of [`super`].

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
