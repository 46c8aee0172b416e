//! The common parts of reading and writing policy files: results, comments for the user, and faults
//! that name their line. `interchange` lists the formats.

use std::fmt;

use super::{Key, PolicyDocument, PolicyFault, Scope, Value};

/// A comment of a reader or writer about the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileComment {
    /// The line in the file, from 1; `None`: it is about something missing.
    pub line: Option<usize>,
    /// The key as written in the file.
    pub key: String,
    /// The message for users.
    pub sentence: String,
}

impl FileComment {
    /// Creates a comment about one line of the file.
    pub fn in_line(line: usize, key: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            key: key.into(),
            sentence: sentence.into(),
        }
    }

    /// Creates a comment about the file as a whole.
    pub fn new(key: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            line: None,
            key: key.into(),
            sentence: sentence.into(),
        }
    }
}

/// Formats `line 12: desktop.auth.backend: …`.
impl fmt::Display for FileComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.sentence)
    }
}

/// The result of importing a file without faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedDocument {
    /// The base with the file's settings applied; for TOML and JSON only the file's document.
    pub document: PolicyDocument,
    /// Keys of the file that were ignored, and why.
    pub ignored: Vec<FileComment>,
    /// Values that were interpreted differently from how they are written, and values that the file
    /// does not have.
    pub notes: Vec<FileComment>,
}

/// The result of exporting a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedDocument {
    /// The text of the file.
    pub text: String,
    /// What the format cannot express.
    pub lossy: Vec<FileComment>,
}

/// An import in progress: the document so far and all comments and faults.
pub(super) struct ImportProgress {
    /// What was read so far.
    pub imported: ImportedDocument,
    /// What is wrong with the file.
    pub faults: Vec<PolicyFault>,
    /// Where each setting was set: a key that is given again causes a comment.
    seen: Vec<(Scope, Key, usize)>,
}

impl ImportProgress {
    /// Starts with the document that the file changes.
    pub fn based_on(base: &PolicyDocument) -> Self {
        Self {
            imported: ImportedDocument {
                document: base.clone(),
                ..ImportedDocument::default()
            },
            faults: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Sets a value; the last of several counts.
    pub fn set(&mut self, line: usize, name: &str, scope: &Scope, key: Key, value: Value) {
        match self.seen.iter_mut().find(|(s, k, _)| s == scope && *k == key) {
            Some((_, _, earlier)) => {
                let again = format!("given again; it counts instead of line {earlier}");
                *earlier = line;
                self.note(line, name, again);
            }
            None => self.seen.push((scope.clone(), key, line)),
        }
        self.imported.document.set(scope, key, value);
    }

    /// Returns whether the file has set it.
    pub fn has(&self, scope: &Scope, key: Key) -> bool {
        self.seen.iter().any(|(s, k, _)| s == scope && *k == key)
    }

    /// Returns whether the file has set nothing.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Adds a comment that a key was ignored, and why.
    pub fn ignore(&mut self, line: usize, key: &str, why: impl Into<String>) {
        self.imported.ignored.push(FileComment::in_line(line, key, why));
    }

    /// Adds a comment on a key that was read.
    pub fn note(&mut self, line: usize, key: &str, sentence: impl Into<String>) {
        self.imported.notes.push(FileComment::in_line(line, key, sentence));
    }

    /// Adds a fault of a key's value.
    pub fn fault(&mut self, line: usize, key: &str, value: &str, message: &str) {
        self.faults.push(fault_at(line, Scope::Everyone, key, value, message));
    }

    /// Returns the imported document, or all faults.
    pub fn finish(self) -> Result<ImportedDocument, Vec<PolicyFault>> {
        if self.faults.is_empty() {
            Ok(self.imported)
        } else {
            Err(self.faults)
        }
    }
}

/// Creates a fault that names its line.
pub(super) fn fault_at(line: usize, scope: Scope, key: &str, value: &str, message: &str) -> PolicyFault {
    PolicyFault {
        scope,
        key: key.to_owned(),
        value: value.to_owned(),
        message: format!("{message} (line {line})"),
    }
}

/// Returns the line of a byte, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}
