//! Secrets: session tokens and one-time passwords, and the digests under which they are stored.
//! The random bytes come in from outside; password hashing is not here either.

use std::fmt;

use sha2::{Digest, Sha256};

/// A bearer secret. Debug and Display never show it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret's text into custody.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The only way out.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// 256 random bits as 43 base64url characters.
pub fn token(random: [u8; 32]) -> Secret {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(43);
    for chunk in random.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        // n bytes fill n + 1 characters of six bits; base64url carries no padding.
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    Secret(text)
}

/// SHA-256, lower-case hex: what is stored of a token.
pub fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// A one-time password people can read aloud: 5 groups of 4 from an unambiguous alphabet
/// (100 bits: no i, l, o, u), passes the default password rules.
pub fn one_time_password(random: [u8; 32]) -> Secret {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut text = String::with_capacity(24);
    for (place, byte) in random.iter().take(20).enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        // 32 divides 256: every letter is equally likely.
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Secret(text)
}
