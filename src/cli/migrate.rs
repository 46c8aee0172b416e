//! `nightlatch migrate`: brings the database to this program's schema and says what was done.

use super::{Done, Global, output};
use crate::{
    config::Flags,
    store::{OpenOptions, Store},
};
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Migrate {}

impl Migrate {
    pub fn run(self, global: &Global) -> Done {
        let config = global.load(Flags::default())?;
        let url = config.database_url.expose();
        let options = |migrate| OpenOptions {
            migrate,
            pool_size: 1,
            exclusive: false,
        };
        // Opened without migrating it refuses when anything is pending; whatever else is wrong is wrong the second time too.
        let current = Store::open(url, options(false)).is_ok();
        let store = Store::open(url, options(true))?;
        let database = store.describe();
        output::say(&if current {
            format!("Nothing to do: {database} has all migrations.")
        } else {
            format!("Migrations applied: {database} has all of them now.")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
