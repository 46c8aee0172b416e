//! Options that every command takes, and the configuration they lead to.

use crate::config::{Config, ConfigError, DatabaseUrl, Flags};
use clap::Args;
use std::path::PathBuf;

/// Options that every command takes.
#[derive(Args, Clone)]
pub struct GlobalOptions {
    /// Configuration file [default: nightlatch.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// Database: sqlite:PATH, a path, or postgres://…
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    database_url: Option<String>,
}

impl GlobalOptions {
    /// Reads the configuration from its file, the environment and the command line. A password on
    /// the command line is refused.
    pub fn load_config(&self, flags: Flags) -> Result<Config, ConfigError> {
        let url = self.database_url.clone().map(DatabaseUrl::new);
        if url.is_some_and(|url| url.has_password()) {
            return Err(ConfigError(vec![
                "--database-url: every user of this machine can see the password on the command line (`ps`); use \
                 DATABASE_URL, DATABASE_URL_FILE or nightlatch.toml"
                    .to_owned(),
            ]));
        }
        let flags = Flags {
            database_url: self.database_url.clone(),
            ..flags
        };
        Config::load(self.config.as_deref(), read_environment(), flags)
    }
}

/// Returns the environment variables with readable names. The configuration refuses unreadable
/// values.
fn read_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}
