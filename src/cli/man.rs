//! `nightlatch man DIRECTORY`: writes a manual page for each command, for packages.

use super::error::CommandResult;
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

#[derive(Args)]
pub struct ManualPages {
    /// Folder to write them to
    directory: PathBuf,
}

impl ManualPages {
    /// Writes the pages of `program` and its commands.
    pub fn run(self, program: clap::Command) -> CommandResult {
        clap_mangen::generate_to(program, &self.directory)?;
        Ok(ExitCode::SUCCESS)
    }
}
