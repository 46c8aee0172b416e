//! The security log file: one JSON object per line for every audit event, for an external
//! collector. JSON escapes everything that could forge a line. A file that has grown is renamed to
//! `.1` … `.5`.

use crate::domain::text::escape_json;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Size in bytes from which a file is rotated.
const ROTATE_AT: u64 = 32 * 1024 * 1024;
/// Number of rotated files that are kept.
const MAX_FILES: u32 = 5;

/// An open security log.
#[derive(Debug)]
pub struct SecurityLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl SecurityLog {
    /// Opens the file for appending, and creates it if it does not exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(append(path)?),
        })
    }

    /// Opens the path again, after log rotation has moved the file away. After an error the
    /// previous file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let file = append(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line. After an error the line is not there.
    pub fn write(&self, line: &serde_json::Value) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() > ROTATE_AT {
            *file = self.rotate()?;
        }
        let mut text = escape_json(&line.to_string());
        text.push('\n');
        file.write_all(text.as_bytes())
    }

    fn rotate(&self) -> io::Result<File> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..MAX_FILES).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        append(&self.path)
    }
}

fn append(path: &Path) -> io::Result<File> {
    // Names and IP addresses are for the operator only.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
