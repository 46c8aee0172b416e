//! The command line: the same flows as the pages, beside a running server or without one.
//! Exit codes: 0 done, 1 refused or failed (the reason on standard error), 2 usage.

mod account;
mod application;
mod audit;
mod backup;
mod completions;
mod config;
mod desk;
mod doctor;
mod input;
mod lockout;
mod mail;
mod migrate;
mod operator;
mod output;
mod policy;
mod serve;
mod session;

use crate::{
    config::{Config, ConfigError, Flags},
    flows::FlowError,
    server::StartError,
    store::StoreError,
};
use clap::{Args, Parser, Subcommand};
use std::{io, path::PathBuf, process::ExitCode};

/// A session-security gateway and admin console: exact, live, explainable session policy.
///
/// Without a command it serves. All other commands work beside a running server, on the same database: what they
/// change holds there within a tenth of a second, without a restart.
#[derive(Parser)]
#[command(name = "nightlatch", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 refused or failed (the reason on standard error), 2 usage.
Settings come from the command line, the environment (DATABASE_URL, NIGHTLATCH_…) and nightlatch.toml, in this order;
`nightlatch config show` says what they are and where from.";

/// Options that every command takes.
#[derive(Args, Clone)]
struct Global {
    /// Configuration file [default: nightlatch.toml, when there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// Database: sqlite:PATH, a path, or postgres://…
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (also what happens without a command)
    Serve(serve::Serve),
    /// Create, look at and look after accounts
    #[command(subcommand)]
    Account(account::Account),
    /// Look at and change the session policy
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Look at sessions and end them
    #[command(subcommand)]
    Session(session::Session),
    /// Say which applications are protected, where they answer and who may enter
    #[command(subcommand)]
    Application(application::Application),
    /// Look at failed sign-ins and release locks
    #[command(subcommand)]
    Lockout(lockout::Lockout),
    /// Look at letters, have them tried again, take them back
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Read the audit trail
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Bring the database to this program's schema
    Migrate(migrate::Migrate),
    /// Copy an SQLite database to a file, also while a server runs
    Backup(backup::Backup),
    /// Put such a copy in the database's place and end its sessions; no server may run
    Restore(backup::Restore),
    /// Look for what is wrong with the installation
    Doctor(doctor::Doctor),
    /// Print the completions for a shell
    Completions(completions::Completions),
}

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A refusal in one line.
    #[error("{0}")]
    Refused(String),
    /// Several refusals, a line each.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// What a command comes to.
type Done = Result<ExitCode, CliError>;

impl CliError {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// Says why on standard error, and the exit code.
    fn report(&self) -> ExitCode {
        match self {
            // `nightlatch … | head`: whoever read has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Faults(faults) => {
                faults.iter().for_each(|fault| output::note(fault));
                ExitCode::FAILURE
            }
            Self::Usage(why) => {
                output::note(&format!("{why}\nFor more information, try '--help'."));
                ExitCode::from(2)
            }
            error @ (Self::Config(_)
            | Self::Start(_)
            | Self::Flow(_)
            | Self::Store(_)
            | Self::Refused(_)
            | Self::Output(_)) => {
                output::note(&error.to_string());
                ExitCode::FAILURE
            }
        }
    }
}

impl Global {
    fn load(&self, flags: Flags) -> Result<Config, ConfigError> {
        let flags = Flags {
            database_url: self.database_url.clone(),
            ..flags
        };
        Config::load(self.config.as_deref(), environment(), flags)
    }
}

/// The environment's variables with readable names; an unreadable value is the configuration's to refuse.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = cli.global;
    let command = cli.command.unwrap_or(Command::Serve(serve::Serve::default()));
    if !matches!(command, Command::Serve(_)) {
        output::log_warnings();
    }
    let done = match command {
        Command::Serve(serve) => serve.run(&global),
        Command::Account(account) => global.at_desk(async |desk| account.run(desk).await),
        Command::Policy(policy) => global.at_desk(async |desk| policy.run(desk).await),
        Command::Session(session) => global.at_desk(async |desk| session.run(desk).await),
        Command::Application(application) => global.at_desk(async |desk| application.run(desk).await),
        Command::Lockout(lockout) => global.at_desk(async |desk| lockout.run(desk).await),
        Command::Mail(mail) => global.at_desk(async |desk| mail.run(desk).await),
        Command::Audit(audit) => global.at_desk(async |desk| audit.run(desk).await),
        Command::Config(config) => config.run(&global),
        Command::Migrate(migrate) => migrate.run(&global),
        Command::Backup(backup) => backup.run(&global),
        Command::Restore(restore) => restore.run(&global),
        Command::Doctor(doctor) => doctor.run(&global),
        Command::Completions(completions) => completions.run(),
    };
    done.unwrap_or_else(|error| error.report())
}
