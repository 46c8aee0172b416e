//! A reading in progress: what the readers of foreign files have in common, and how a fault names its line.

use super::{
    super::{Fault, Key, PolicyDocument, Scope, Value},
    Imported, Remark,
};

/// A reading in progress: the document so far, and all that there is to say about it.
pub(in crate::domain::policy) struct Reading {
    pub imported: Imported,
    pub faults: Vec<Fault>,
    /// What was set, where: a key that comes again is noted.
    seen: Vec<(Scope, Key, usize)>,
}

impl Reading {
    pub fn onto(base: &PolicyDocument) -> Self {
        Self {
            imported: Imported {
                document: base.clone(),
                ..Imported::default()
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

    /// Whether the file has set it.
    pub fn has(&self, scope: &Scope, key: Key) -> bool {
        self.seen.iter().any(|(s, k, _)| s == scope && *k == key)
    }

    /// Whether the file has set anything.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub fn ignore(&mut self, line: usize, key: &str, why: impl Into<String>) {
        self.imported.ignored.push(Remark::at(line, key, why));
    }

    pub fn note(&mut self, line: usize, key: &str, sentence: impl Into<String>) {
        self.imported.notes.push(Remark::at(line, key, sentence));
    }

    pub fn fault(&mut self, line: usize, key: &str, value: &str, message: &str) {
        self.faults.push(fault_at(line, Scope::Everyone, key, value, message));
    }

    pub fn finish(self) -> Result<Imported, Vec<Fault>> {
        if self.faults.is_empty() {
            Ok(self.imported)
        } else {
            Err(self.faults)
        }
    }
}

/// A fault that names its line.
pub(in crate::domain::policy) fn fault_at(line: usize, scope: Scope, key: &str, value: &str, message: &str) -> Fault {
    Fault {
        scope,
        key: key.to_owned(),
        value: value.to_owned(),
        message: format!("{message} (line {line})"),
    }
}

/// The line of a byte, from 1.
pub(in crate::domain::policy) fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}
