//! The command line: the same flows as the pages, beside a running server or without one.
//! Exit codes: 0 done, 1 refused or failed (the reason on standard error), 2 usage.

mod serve;

use crate::{
    config::{Config, ConfigError, Flags},
    server::StartError,
};
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(name = "nightlatch", version, about, long_about = None)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options that every command takes.
#[derive(Args, Clone)]
struct Global {
    /// Configuration file [default: nightlatch.toml, when there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database: sqlite:PATH, a path, or postgres://…
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (also what happens without a command)
    Serve(serve::Serve),
}

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Global {
    fn load(&self, flags: Flags) -> Result<Config, ConfigError> {
        let flags = Flags {
            database_url: self.database_url.clone(),
            ..flags
        };
        Config::load(self.config.as_deref(), std::env::vars(), flags)
    }
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(serve::Serve::default()));
    let done = match command {
        Command::Serve(serve) => serve.run(&cli.global),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nightlatch: {error}");
            ExitCode::FAILURE
        }
    }
}
