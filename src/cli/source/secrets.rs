//! Secrets of sources: they come from files or standard input, never from arguments.

use crate::{
    cli::{error::CliError, input},
    domain::secret::Secret,
};
use std::path::PathBuf;

/// Reads the secret of a source and its access token for security events.
pub fn read_secrets(
    secret: Option<&PathBuf>,
    events_token: Option<&PathBuf>,
) -> Result<(Option<Secret>, Option<Secret>), CliError> {
    let is_stdin = |file: Option<&PathBuf>| file.is_some_and(|file| file.as_os_str() == "-");
    if is_stdin(secret) && is_stdin(events_token) {
        return Err(CliError::Usage(
            "only one of the two secrets can come from standard input".to_owned(),
        ));
    }
    Ok((read_secret(secret)?, read_secret(events_token)?))
}

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

/// Describes whether a secret is stored, without revealing it.
pub fn secret_state(is_set: bool, is_lost: bool) -> &'static str {
    match (is_set, is_lost) {
        (_, true) => "cannot be opened: enter it again",
        (true, false) => "set, not shown",
        (false, false) => "none",
    }
}
