//! Tokens, digests and one-time passwords.

use std::collections::HashSet;

use nightlatch_domain::{
    password::{NewPasswordFacts, Reuse, decide},
    secret::*,
};

fn random(seed: u8) -> [u8; 32] {
    std::array::from_fn(|place| (place as u8).wrapping_mul(73).wrapping_add(seed.wrapping_mul(41)) ^ seed)
}

#[test]
fn a_secret_never_shows_in_debug_or_display() {
    let secret = Secret::new("hunter2-hunter2".into());
    assert_eq!(secret.expose(), "hunter2-hunter2");
    assert!(!format!("{secret:?} {secret}").contains("hunter2"));
}

#[test]
fn a_token_is_43_base64url_characters_and_keeps_every_bit() {
    assert_eq!(token([0; 32]).expose(), "A".repeat(43));
    assert_eq!(token([255; 32]).expose(), format!("{}8", "_".repeat(42)));
    let bytes = std::array::from_fn(|place| place as u8);
    assert_eq!(token(bytes).expose(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let mut tokens = HashSet::new();
    for bit in 0..256 {
        let mut bytes = [0; 32];
        bytes[bit / 8] = 1 << (bit % 8);
        tokens.insert(token(bytes).expose().to_owned());
    }
    assert_eq!(tokens.len(), 256);
}

#[test]
fn a_digest_is_lower_case_sha_256() {
    assert_eq!(
        digest("abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(digest("").len(), 64);
}

#[test]
fn a_one_time_password_can_be_read_aloud_and_passes_the_default_rules() {
    let policy = super::effective(&[("password.min_strength", "4")]).password;
    for seed in 0..=255 {
        let password = one_time_password(random(seed));
        let text = password.expose();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 5], "{text}");
        assert!(!text.contains(['i', 'l', 'o', 'u', 'I', 'O']), "{text}");
        let facts = NewPasswordFacts {
            new: text,
            again: None,
            account_words: &["ada", "nightlatch"],
            reused: Reuse::No,
        };
        assert_eq!(decide(&facts, &policy), [], "{text}");
    }
}
