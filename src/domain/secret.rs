//! Secrets: session tokens and one-time passwords, and the digests under which they are stored. The
//! caller provides random bytes; `hashing` hashes passwords.

use std::fmt;

use sha2::{Digest, Sha256};

/// A bearer secret. Debug and Display never show it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text of a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text. This is the only way to read it.
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

/// Encodes 256 random bits as 43 base64url characters.
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

/// Returns the SHA-256 of a token in lower-case hex, which is what is stored.
pub fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Formats `bytes` as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Makes a one-time password that can be read aloud: 5 groups of 4 from an unambiguous alphabet
/// (100 bits; no i, l, o, u). It passes the default password rules.
pub fn one_time_password(random: [u8; 32]) -> Secret {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut text = String::with_capacity(24);
    for (place, byte) in random.iter().take(20).enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        // 32 divides 256, so every letter is equally likely.
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Secret(text)
}
