//! `nightlatch backup` and `restore`: copies of an SQLite database. A copy brings back sessions and links, some of which ended or were
//! used after it was made: all of them end before it takes its place, for what has ended must stay so.

use super::{Done, Global, desk::at_desk_of, output};
use crate::{
    config::{DatabaseUrl, Flags},
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
        let mut config = global.load(Flags::default())?;
        // No server begins while this is held. All is done to the copy beside its place: until the last step nothing has changed.
        let incoming = backup::bring(config.database_url.expose(), &self.file)?;
        config.database_url = DatabaseUrl::new(incoming.url()?);
        let mut ended = 0;
        at_desk_of(config, async |desk| {
            ended = flows::sessions::end_matching(&desk.ctx, &desk.acting, SessionFilter::default(), None).await?;
            flows::restore::forget_keys(&desk.ctx, &desk.acting, ended).await?;
            Ok(ExitCode::SUCCESS)
        })?;
        let kept = incoming.put_in_place()?;
        output::say(&format!(
            "Restored from {}. Ended {}: everybody signs in anew.",
            self.file.display(),
            output::count(ended, "session", "sessions")
        ))?;
        if let Some(kept) = kept {
            output::say(&format!("The database from before is kept as {}.", kept.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
