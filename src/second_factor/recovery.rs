//! Recovery codes: 80 random bits each, in Crockford's alphabet, which people can read aloud.

use crate::{domain::secret::Secret, random::Random};

/// Number of codes in a set.
pub const CODES: usize = 10;
/// Number of characters of a code, five bits each.
const CHARS: usize = 16;
/// Number of characters between two dashes.
const GROUP: usize = 4;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Makes a set of codes, formatted for people: `XXXX-XXXX-XXXX-XXXX`.
pub fn generate(random: &dyn Random) -> Vec<Secret> {
    (0..CODES).map(|_| generate_one(random)).collect()
}

fn generate_one(random: &dyn Random) -> Secret {
    let mut bytes = [0; CHARS];
    random.fill(&mut bytes);
    let mut code = String::with_capacity(CHARS + CHARS / GROUP);
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 && place % GROUP == 0 {
            code.push('-');
        }
        // 32 divides 256: every character is equally likely.
        code.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Secret::new(code)
}

/// Normalizes a typed code: case, spaces and dashes are ignored, and similar characters are equal.
/// Returns the form for digests; `None`: it is not a recovery code.
pub fn normalize(typed: &str) -> Option<String> {
    let mut code = String::with_capacity(CHARS);
    for typed in typed.chars().filter(|typed| !typed.is_whitespace() && *typed != '-') {
        let read = match typed.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let is_known = u8::try_from(read).is_ok_and(|byte| ALPHABET.contains(&byte));
        if !is_known || code.len() == CHARS {
            return None;
        }
        code.push(read);
    }
    (code.len() == CHARS).then_some(code)
}

#[cfg(test)]
mod tests;
