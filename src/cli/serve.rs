//! `nightlatch serve`: the server, until SIGTERM or Ctrl-C.

use super::{CliError, Global};
use crate::{
    clock::SystemClock,
    config::{Config, Flags},
    random::OsRandom,
    server::{Server, StartError},
};
use clap::Args;
use std::{io::IsTerminal, process::ExitCode, sync::Arc};
use tracing_subscriber::EnvFilter;

#[derive(Args, Default)]
pub struct Serve {
    /// Addresses to serve on, separated by commas [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Refuse to start when migrations are pending, instead of applying them
    #[arg(long)]
    no_migrate: bool,
    /// Development mode: idle endings are off for everyone
    #[arg(long)]
    dev: bool,
}

impl Serve {
    pub fn run(self, global: &Global) -> Result<ExitCode, CliError> {
        let config = global.load(Flags {
            bind: self.bind,
            no_migrate: self.no_migrate,
            dev: self.dev,
            ..Flags::default()
        })?;
        log();
        actix_web::rt::System::new().block_on(serve(config))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(config: Config) -> Result<(), StartError> {
    let database = config.database_url.to_string();
    let server = Server::build(config, Arc::new(SystemClock), Arc::new(OsRandom)).await?;
    tracing::info!("database {database}");
    for address in server.addresses() {
        tracing::info!("serving http://{address}");
    }
    if let Some(link) = server.setup_link() {
        // The one declared exception to "no secrets in logs": without it nobody could begin.
        tracing::info!("there is no account yet: create the first administrator at {link}");
    }
    server.run_until_stopped().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Log lines on standard error; `RUST_LOG` chooses more or less.
fn log() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn,actix_session=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
