//! The failure of a command: its message on standard error and its exit code.

use super::output;
use crate::{config::ConfigError, flows::FlowError, server::StartError};
use std::{io, process::ExitCode};

/// The result of a command: its exit code, or why it failed.
pub type CommandResult = Result<ExitCode, CliError>;

/// The reason for which a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database or another resource could not be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The operation itself failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A refusal in one line.
    #[error("{0}")]
    Refused(String),
    /// Several refusals, one per line.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// Standard output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// Creates a refusal.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    /// Prints the reason on standard error and returns the exit code: 1, or 2 for wrong usage.
    pub fn report(&self) -> ExitCode {
        match self {
            // `nightlatch … | head`: the reader has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Faults(faults) => {
                faults.iter().for_each(|fault| output::print_message(fault));
                ExitCode::FAILURE
            }
            Self::Usage(reason) => {
                output::print_message(&format!("{reason}\nFor more information, try '--help'."));
                ExitCode::from(2)
            }
            error @ (Self::Config(_) | Self::Start(_) | Self::Flow(_) | Self::Refused(_) | Self::Output(_)) => {
                output::print_message(&error.to_string());
                ExitCode::FAILURE
            }
        }
    }
}
