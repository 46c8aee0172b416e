//! `nightlatch backup` and `restore`: copies of an SQLite database. A restored database brings back sessions, some of which ended after
//! the copy was made: all of them end, for what has ended must stay so.

use super::{Done, Global, output};
use crate::{
    config::Flags,
    flows,
    store::{backup, sessions::SessionFilter},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

#[derive(Args)]
pub struct Backup {
    /// The copy; must not exist yet. It holds password hashes and the cookie key: keep it as you keep the database
    file: PathBuf,
}

#[derive(Args)]
pub struct Restore {
    /// A copy made by `nightlatch backup`
    file: PathBuf,
}

impl Backup {
    pub fn run(self, global: &Global) -> Done {
        let config = global.load(Flags::default())?;
        backup::copy(config.database_url.expose(), &self.file)?;
        output::say(&format!("The database is copied to {}.", self.file.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Restore {
    pub fn run(self, global: &Global) -> Done {
        let config = global.load(Flags::default())?;
        // Held until the sessions have ended: no server begins before.
        let restored = backup::restore(config.database_url.expose(), &self.file)?;
        global.at_desk(async |desk| {
            let ended = flows::sessions::end_matching(&desk.ctx, &desk.acting, SessionFilter::default(), None).await?;
            output::say(&format!(
                "Restored from {}. Ended {}: everybody signs in anew.",
                self.file.display(),
                output::count(ended, "session", "sessions")
            ))?;
            if let Some(kept) = &restored.kept {
                output::say(&format!("The database from before is kept as {}.", kept.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
