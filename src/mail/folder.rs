//! Emails as `.eml` files in a folder, where no mail server is configured. A file is complete as
//! soon as it has its name, and an email that is written twice is one file.

use super::{error::SendError, message::EmailMessage};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The folder that takes emails in place of a mail server.
#[derive(Clone)]
pub struct MailFolder {
    path: PathBuf,
}

impl MailFolder {
    /// Uses the folder at `path`, which the first email creates.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Describes where emails go.
    pub fn describe(&self) -> String {
        format!("files in {}", self.path.display())
    }

    /// Writes an email as `ID.eml` and returns the name of the file.
    pub fn send(&self, message: &EmailMessage) -> Result<String, SendError> {
        let name = format!("{}.eml", message.id);
        // The console shows this answer: where the folder is, only the operator should know.
        match write_file(&self.path, &self.path.join(&name), &message.bytes) {
            Ok(()) => Ok(format!("written as {name}")),
            Err(error) => Err(SendError::Temporary(format!("{name} cannot be written: {error}"))),
        }
    }
}

/// Writes a file that only its owner can read: an email may have a link that lets its reader in.
fn write_file(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}
