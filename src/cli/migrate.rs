//! `nightlatch migrate`: applies pending database migrations.

use super::{error::CommandResult, options::GlobalOptions, output};
use crate::{config::Flags, server::maintenance};
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Migrate {}

impl Migrate {
    /// Applies the migrations and prints whether there were any.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        let config = options.load_config(Flags::default())?;
        let migration = maintenance::migrate(&config)?;
        let database = &migration.database;
        output::print_line(&if migration.was_current {
            format!("Nothing to do: {database} has all migrations.")
        } else {
            format!("Applied the pending migrations: {database} now has all of them.")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
