//! `nightlatch backup` and `restore`: copies of an SQLite database. A copy brings back sessions and
//! links that ended or were used after it was made. All of them end before the copy takes its
//! place, because what has ended must stay so.

use super::{
    context::run_on,
    error::{CliError, CommandResult},
    options::GlobalOptions,
    output,
};
use crate::{
    config::{DatabaseUrl, Flags},
    domain::{
        factor::{FactorDifference, FactorInventory},
        session::SessionFilter,
    },
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
        let replaced = maintenance::read_replaced_factors(&config);
        config.database_url = DatabaseUrl::new(incoming.url()?);
        let (mut ended, mut factors) = (0, FactorInventory::default());
        run_on(config, async |context| {
            let (ctx, initiator) = (&context.ctx, &context.initiator);
            ended = flows::sessions::end_matching(ctx, initiator, SessionFilter::default(), None).await?;
            factors = flows::restore::forget_keys(ctx, initiator, ended).await?;
            Ok(ExitCode::SUCCESS)
        })?;
        let kept = incoming.put_in_place()?;
        output::print_line(&format!(
            "Restored from {}. Ended {}: everyone has to sign in again.",
            self.file.display(),
            output::format_count(ended, "session", "sessions")
        ))?;
        print_factors(&factors, replaced.as_ref())?;
        if let Some(kept) = kept {
            output::print_line(&format!("The previous database is kept as {}.", kept.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints how many second factors the copy has, and whose differ from those of the replaced
/// database.
fn print_factors(copy: &FactorInventory, replaced: Option<&FactorInventory>) -> Result<(), CliError> {
    if !copy.is_empty() {
        let totals = copy.totals();
        output::print_line(&format!(
            "In the copy {} second factors: {}, {}, {}.",
            output::format_count(totals.accounts, "account has", "accounts have"),
            output::format_count(totals.authenticator_apps, "authenticator app", "authenticator apps"),
            output::format_count(totals.passkeys, "passkey", "passkeys"),
            output::format_count(totals.recovery_codes, "recovery code", "recovery codes"),
        ))?;
    }
    let Some(replaced) = replaced else {
        if !copy.is_empty() {
            output::print_line(
                "They are as they were when the copy was made: what was removed or used since counts again, and what \
                 was added since is lost. The replaced database could not be read to compare them.",
            )?;
        }
        return Ok(());
    };
    let (lost, back) = (replaced.beyond(copy), copy.beyond(replaced));
    if !lost.is_empty() {
        output::print_line("Lost, because they were added after the copy was made:")?;
    }
    for difference in &lost {
        let left = if difference.has_others {
            ""
        } else {
            "; no second factor is left"
        };
        print_difference(difference, left)?;
    }
    if !back.is_empty() {
        output::print_line(
            "Valid again, although they were removed or used after the copy was made (remove what must not count with \
             nightlatch account reset-factors NAME):",
        )?;
    }
    back.iter().try_for_each(|difference| print_difference(difference, ""))
}

fn print_difference(difference: &FactorDifference, left: &str) -> Result<(), CliError> {
    let (account, factors) = (output::escape_text(&difference.account), difference.display());
    Ok(output::print_line(&format!(
        "  {account}: {}{left}",
        output::escape_text(&factors)
    ))?)
}
