//! `nightlatch backup` and `restore`: copies of an SQLite database. A copy brings back sessions and
//! links that ended or were used after it was made. All of them end before the copy takes its
//! place, because what has ended must stay so.

use super::{context::run_on, error::CommandResult, options::GlobalOptions, output};
use crate::{
    config::{DatabaseUrl, Flags},
    domain::session::SessionFilter,
    flows,
    server::maintenance,
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

#[derive(Args)]
pub struct BackupDatabase {
    /// The copy, which must not exist yet. It has password hashes and the cookie key: protect it
    /// like the database
    file: PathBuf,
}

#[derive(Args)]
pub struct RestoreDatabase {
    /// A copy made by `nightlatch backup`
    file: PathBuf,
}

impl BackupDatabase {
    /// Copies the database to a file.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        let config = options.load_config(Flags::default())?;
        maintenance::copy_database(&config, &self.file)?;
        output::print_line(&format!("Copied the database to {}.", self.file.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl RestoreDatabase {
    /// Puts a copy in the place of the database.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        let mut config = options.load_config(Flags::default())?;
        // No server starts while this is held. Everything is done to the copy beside its place:
        // until the last step nothing has changed.
        let incoming = maintenance::prepare_restore(&config, &self.file)?;
        config.database_url = DatabaseUrl::new(incoming.url()?);
        let (mut ended, mut with_factors) = (0, 0);
        run_on(config, async |context| {
            let (ctx, initiator) = (&context.ctx, &context.initiator);
            ended = flows::sessions::end_matching(ctx, initiator, SessionFilter::default(), None).await?;
            with_factors = flows::restore::forget_keys(ctx, initiator, ended).await?;
            Ok(ExitCode::SUCCESS)
        })?;
        let kept = incoming.put_in_place()?;
        output::print_line(&format!(
            "Restored from {}. Ended {}: everyone has to sign in again.",
            self.file.display(),
            output::format_count(ended, "session", "sessions")
        ))?;
        if with_factors > 0 {
            let number = usize::try_from(with_factors).unwrap_or(usize::MAX);
            output::print_line(&format!(
                "{} second factors as they were when the copy was made: a passkey, an authenticator app or a \
                 recovery code that was removed or used since counts again. Check them with nightlatch account \
                 factors NAME, and remove what must not count with nightlatch account reset-factors NAME.",
                output::format_count(number, "account has its", "accounts have their")
            ))?;
        }
        if let Some(kept) = kept {
            output::print_line(&format!("The previous database is kept as {}.", kept.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
