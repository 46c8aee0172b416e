//! Path patterns of `activity.ignored_paths`, matched on every request without a regular expression
//! engine.

/// A pattern for the whole path: `*` matches any characters (slashes too), `?` one; all others
/// match themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Creates a pattern; every text is valid.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Returns whether the whole `path` matches. Paths are ASCII, so bytes are characters.
    pub fn matches(&self, path: &str) -> bool {
        Self::fits(&self.0, path)
    }

    /// Works like [`Self::matches`], for a pattern that is stored elsewhere.
    ///
    /// After a mismatch only the latest `*` takes one more byte: earlier ones need no second
    /// attempt, which bounds the work by the product of both lengths.
    pub fn fits(pattern: &str, path: &str) -> bool {
        let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
        let (mut p, mut at) = (0, 0);
        let mut star = None;
        while at < path.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, at));
                    p += 1;
                }
                Some(byte) if *byte == b'?' || *byte == path[at] => {
                    p += 1;
                    at += 1;
                }
                Some(_) | None => match star {
                    Some((starred, taken)) => {
                        star = Some((starred, taken + 1));
                        p = starred + 1;
                        at = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}
