//! Letters as `.eml` files in a folder, where no mail server is configured. A file is complete as soon as it has its name, and a
//! letter that is written twice is one file.

use super::{Refusal, message::Message};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[derive(Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn describe(&self) -> String {
        format!("files in {}", self.folder.display())
    }

    pub fn send(&self, message: &Message) -> Result<String, Refusal> {
        let name = format!("{}.eml", message.id);
        // The console shows these words: where the folder is, is the operator's to know.
        match write(&self.folder, &self.folder.join(&name), &message.bytes) {
            Ok(()) => Ok(format!("written as {name}")),
            Err(error) => Err(Refusal::Later(format!("{name} cannot be written: {error}"))),
        }
    }
}

/// A letter may carry a link that lets its reader in: the files are their owner's alone.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
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
