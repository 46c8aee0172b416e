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
mod tests;
