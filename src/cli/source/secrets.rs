//! Secrets of sources: they come from files or standard input, never from arguments.

use crate::{
    cli::{error::CliError, input},
    domain::secret::Secret,
};
use std::path::PathBuf;

/// Reads a secret from a file; `None`: none is given.
pub fn read_secret(file: Option<&PathBuf>) -> Result<Option<Secret>, CliError> {
    let Some(file) = file else { return Ok(None) };
    let text = input::read_text_file(file, "a secret")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(CliError::refused(format!("{}: the secret is empty", file.display())));
    }
    Ok(Some(Secret::new(text.to_owned())))
}
