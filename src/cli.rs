//! The command line: the same operations as the pages, beside a running server or without one.
//! Exit codes: 0 done, 1 refused or failed (the reason on standard error), 2 usage.

mod account;
mod application;
mod audit;
mod backup;
mod completions;
mod config;
mod context;
mod doctor;
mod error;
mod health;
mod input;
mod lockout;
mod mail;
mod man;
mod migrate;
mod operator;
mod options;
mod output;
mod policy;
mod serve;
mod session;
mod source;

use clap::{CommandFactory, Parser, Subcommand};
use options::GlobalOptions;
use std::{process::ExitCode, sync::LazyLock};

/// A session-security gateway and admin console: exact, live, explainable session policy.
///
/// Without a command, it runs the server. All other commands work beside a running server, on the
/// same database: their changes take effect there within a tenth of a second, without a restart.
#[derive(Parser)]
#[command(name = "nightlatch", version = VERSION.as_str(), after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    options: GlobalOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The version, with the commit if the build set `NIGHTLATCH_COMMIT`.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("NIGHTLATCH_COMMIT") {
    Some(commit) if !commit.is_empty() => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    _ => env!("CARGO_PKG_VERSION").to_owned(),
});

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 refused or failed (the reason on standard error), 2 usage.
Settings come from the command line, the environment (DATABASE_URL, NIGHTLATCH_…) and nightlatch.toml, in this order.
`nightlatch config show` prints them and where they come from.";

#[derive(Subcommand)]
enum Command {
    /// Run the server (also what happens without a command)
    Serve(serve::Serve),
    /// Manage accounts
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Show and change the session policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// List and end sessions
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Manage protected applications: where they answer and who has access
    #[command(subcommand)]
    Application(application::ApplicationCommand),
    /// Manage directories and identity providers: where people prove who they are
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// List failed sign-ins, unlock and block
    #[command(subcommand)]
    Lockout(lockout::LockoutCommand),
    /// List, retry or cancel queued mail
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Read, export, verify and ship the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Apply pending database migrations
    Migrate(migrate::Migrate),
    /// Copy an SQLite database to a file, also while a server runs
    Backup(backup::BackupDatabase),
    /// Replace the SQLite database with a backup and end all its sessions; stop the server first
    Restore(backup::RestoreDatabase),
    /// Check the installation for problems
    Doctor(doctor::Doctor),
    /// Ask the running server whether it is ready: exit code 0 if it is
    Health(health::HealthCheck),
    /// Print shell completions
    Completions(completions::Completions),
    /// Write manual pages, for packagers
    #[command(hide = true)]
    Man(man::ManualPages),
}

/// Runs the command that the arguments name, and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = cli.options;
    let command = cli.command.unwrap_or(Command::Serve(serve::Serve::default()));
    if !matches!(command, Command::Serve(_)) {
        output::init_warning_log();
    }
    let result = match command {
        Command::Serve(serve) => serve.run(&options),
        Command::Account(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Policy(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Session(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Application(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Source(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Lockout(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Mail(command) => options.run_with_context(async |context| command.run(context).await),
        Command::Audit(command) => command.run(&options),
        Command::Config(command) => command.run(&options),
        Command::Migrate(migrate) => migrate.run(&options),
        Command::Backup(backup) => backup.run(&options),
        Command::Restore(restore) => restore.run(&options),
        Command::Doctor(doctor) => doctor.run(&options),
        Command::Health(health) => health.run(&options),
        Command::Man(man) => man.run(Cli::command()),
        Command::Completions(completions) => completions.run(Cli::command()),
    };
    result.unwrap_or_else(|error| error.report())
}
