//! `nightlatch completions SHELL`: what the shell needs to complete our commands.

use super::{Cli, Done, output::Output};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Args)]
#[command(after_help = "For example: nightlatch completions bash > /etc/bash_completion.d/nightlatch")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Done {
        // clap_complete panics when it cannot write; a vector takes everything.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "nightlatch", &mut script);
        let mut out = Output::new();
        out.bytes(&script)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
