//! `nightlatch serve`: runs the server until SIGTERM or Ctrl-C.

use super::{error::CommandResult, options::GlobalOptions, output};
use crate::{
    clock::SteadyClock,
    config::{Config, ConfigError, Flags, LogFormat},
    random::OsRandom,
    server::{HarmlessSignals, Server, StartError, notify_service_manager},
};
use clap::Args;
use sd_notify::NotifyState;
use std::{io::IsTerminal, process::ExitCode, sync::Arc};
use tracing_subscriber::EnvFilter;

#[derive(Args, Default)]
pub struct Serve {
    /// Addresses to listen on, comma-separated [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Refuse to start when migrations are pending, instead of applying them
    #[arg(long)]
    no_migrate: bool,
    /// Development mode: no session ends for inactivity
    #[arg(long)]
    dev: bool,
}

impl Serve {
    /// Serves until a signal stops the process.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        let options = options.clone();
        let flags = Flags {
            bind: self.bind,
            no_migrate: self.no_migrate,
            dev: self.dev,
            ..Flags::default()
        };
        let load = move || options.load_config(flags.clone());
        let system = actix_web::rt::System::new();
        // This comes first: a SIGHUP during the start must not end the server.
        let harmless = system.block_on(async { HarmlessSignals::install() });
        let harmless = harmless.map_err(StartError::from)?;
        let config = load()?;
        init_log(config.log_format);
        system.block_on(serve(config, harmless, load))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(
    config: Config,
    harmless: HarmlessSignals,
    load: impl Fn() -> Result<Config, ConfigError> + 'static,
) -> Result<(), StartError> {
    let database = config.database_url.to_string();
    let server = Server::build(config, Arc::new(SteadyClock::default()), Arc::new(OsRandom)).await?;
    tracing::info!("database {database}");
    for address in server.addresses() {
        tracing::info!("serving http://{address}");
    }
    if let Some(link) = server.setup_link() {
        // The one declared exception to "no secrets in logs": without the link nobody could begin.
        tracing::info!("there is no account yet: create the first administrator at {link}");
    }
    notify_service_manager(&[NotifyState::Ready]);
    match server.run_with_signals(harmless, load).await {
        Err(error @ StartError::Unwritten(_)) => {
            output::print_message(&error.to_string());
            // An orderly exit would wait for threads that wait for the database.
            std::process::exit(1)
        }
        stopped => stopped?,
    }
    tracing::info!("stopped");
    Ok(())
}

/// Sends log lines to standard error. `RUST_LOG` chooses more or less.
fn init_log(format: LogFormat) {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let base = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn,actix_session=warn"));
    // The library writes a line for each malformed request; the transport counts them instead.
    let filter = match "actix_http::h1=off".parse() {
        Ok(quiet) if !chosen.contains("actix_http") => base.add_directive(quiet),
        Ok(_) | Err(_) => base,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
