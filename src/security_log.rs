//! The security log file: one JSON object a line for every audit event, for a collector outside.
//! JSON escapes what could forge a line; the file is renamed to `.1` … `.5` when it has grown.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A file beyond this many bytes is put aside.
const ROTATE_AT: u64 = 32 * 1024 * 1024;
const KEPT: u32 = 5;

/// An open log.
#[derive(Debug)]
pub struct SecurityLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl SecurityLog {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(append(path)?),
        })
    }

    /// Appends one line; an error means that it is not there.
    pub fn write(&self, line: &serde_json::Value) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() > ROTATE_AT {
            *file = self.rotate()?;
        }
        let mut text = escape_separators(&line.to_string());
        text.push('\n');
        file.write_all(text.as_bytes())
    }

    fn rotate(&self) -> io::Result<File> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..KEPT).rev() {
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
    // Names and addresses are for the operator only.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// JSON may carry line separators, bidi controls and DEL as they are; a viewer must not be fooled by them.
fn escape_separators(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_line_stays_one_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("security.log");
        let log = SecurityLog::open(&path).unwrap();
        let evil = "eve\r\n{\"event\":\"sign_in.accepted\"}\u{2028}\u{202e}\u{1b}[31m";
        log.write(&serde_json::json!({ "account": evil })).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.is_ascii(), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["account"],
            evil
        );
    }
}
