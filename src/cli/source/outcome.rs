//! The outcome of a change to a source, and the refusals.

use crate::{
    cli::{
        error::{CliError, CommandResult},
        output::{self, escape_text},
    },
    flows::sources::SourceOutcome,
};
use std::process::ExitCode;

/// Prints the outcome of a change.
pub fn report(outcome: SourceOutcome, name: &str, done: &str) -> CommandResult {
    match outcome {
        SourceOutcome::Done => {
            output::print_line(&format!("Source {} {done}.", escape_text(name.trim())))?;
            Ok(ExitCode::SUCCESS)
        }
        SourceOutcome::Faulty(faults) => Err(CliError::Faults(
            faults
                .iter()
                .map(|fault| format!("{} {}", fault.key, fault.message))
                .collect(),
        )),
        SourceOutcome::Unknown => Err(unknown_source(name)),
        SourceOutcome::InFile => Err(source_in_file(name)),
    }
}

/// Refuses a name that no source has.
pub fn unknown_source(name: &str) -> CliError {
    CliError::refused(format!("there is no source named {}", escape_text(name)))
}

/// Refuses a change of a source that the configuration file sets.
pub fn source_in_file(name: &str) -> CliError {
    let name = escape_text(name);
    CliError::refused(format!(
        "source {name} is set by [sources.{name}] in the configuration file: change it there and restart"
    ))
}
