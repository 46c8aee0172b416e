//! `password.regex`: Hue's own example begins with look-aheads, which the linear-time regex engine
//! does not support. Look-aheads at the very start only add conditions on the same text, so they
//! become separate conditions.

use std::sync::Arc;

use regex::Regex;

/// A password pattern: all its conditions must hold from the first character on, as with Python's
/// `re.match`.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The conditions, each with whether it must match or must not; shared, because typed policies
    /// are cloned.
    conditions: Arc<[(Regex, bool)]>,
}

impl Pattern {
    /// Parses a regular expression; `(?=…)` and `(?!…)` only at its start, after an optional `^`.
    ///
    /// # Errors
    ///
    /// The engine's message, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.strip_prefix('^').unwrap_or(text);
        let mut conditions = Vec::new();
        while let Some((wanted, after)) = rest
            .strip_prefix("(?=")
            .map(|after| (true, after))
            .or_else(|| rest.strip_prefix("(?!").map(|after| (false, after)))
        {
            let end = closing(after).ok_or("a look-ahead is not closed")?;
            conditions.push((compile(&after[..end])?, wanted));
            rest = &after[end + 1..];
        }
        // `^` in an alternation applies to its branch only; only an anchored text is taken
        // unchanged.
        if conditions.is_empty() {
            rest = text;
        }
        conditions.push((compile(rest)?, true));
        Ok(Self {
            conditions: conditions.into(),
        })
    }

    /// Returns whether `password` meets all conditions.
    pub fn matches(&self, password: &str) -> bool {
        self.conditions
            .iter()
            .all(|(regex, wanted)| regex.is_match(password) == *wanted)
    }
}

fn compile(condition: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(&format!("^(?:{condition})"))
        .size_limit(1 << 20)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // The engine shows the place over several lines; the last one contains the message.
        error => error
            .to_string()
            .lines()
            .last()
            .unwrap_or("it cannot be read")
            .trim_start_matches("error: ")
            .to_owned(),
    })
}

/// Finds the parenthesis that closes a group opened before `text`; escapes and classes are skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut class, mut escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if class => class = false,
            _ if class => {}
            '[' => class = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
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
    fn what_the_engine_lacks_is_refused_in_one_line() {
        for text in ["(", "(?=a", "a(?=b)", r"(a)\1", "a{1000}{1000}{1000}"] {
            let fault = Pattern::parse(text).unwrap_err();
            assert!(!fault.is_empty() && !fault.contains('\n'), "{text}: {fault}");
        }
    }
}
