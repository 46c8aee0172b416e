//! `nightlatch completions SHELL`: prints shell completions.

use super::{error::CommandResult, output::StandardOutput};
use clap::Args;
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Args)]
#[command(after_help = "For example: nightlatch completions bash > /etc/bash_completion.d/nightlatch")]
pub struct Completions {
    /// Shell to complete in
    shell: Shell,
}

impl Completions {
    /// Prints the completions of `program`.
    pub fn run(self, mut program: clap::Command) -> CommandResult {
        // clap_complete panics when it cannot write; a vector takes everything.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "nightlatch", &mut script);
        let mut out = StandardOutput::new();
        out.write_bytes(&script)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
