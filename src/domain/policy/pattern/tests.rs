//! Tests of [`super`].

use super::*;

#[test]
fn hues_own_pattern_is_understood() {
    let pattern = Pattern::parse(r"^(?=.*?[A-Z])(?=(.*[a-z]){1,})(?=(.*[\d]){1,})(?=(.*[\W_]){1,}).{8,}$").unwrap();
    assert!(pattern.matches("Passw0rd!"));
    for missing in ["passw0rd!", "PASSW0RD!", "Password!", "Passw0rds", "Pw0rd!"] {
        assert!(!pattern.matches(missing), "{missing}");
    }
}

#[test]
fn a_negative_look_ahead_must_not_match() {
    let pattern = Pattern::parse(r"(?!.*[)\]])[a-z()\]]+$").unwrap();
    assert!(pattern.matches("abc("));
    assert!(!pattern.matches("abc)"));
}

#[test]
fn a_pattern_holds_from_the_first_character() {
    let pattern = Pattern::parse("[0-9]|x").unwrap();
    assert!(pattern.matches("1a") && pattern.matches("xa"));
    assert!(!pattern.matches("a1"));
}

#[test]
fn unsupported_pattern_syntax_is_refused_in_one_line() {
    for text in ["(", "(?=a", "a(?=b)", r"(a)\1", "a{1000}{1000}{1000}"] {
        let fault = Pattern::parse(text).unwrap_err();
        assert!(!fault.is_empty() && !fault.contains('\n'), "{text}: {fault}");
    }
}
