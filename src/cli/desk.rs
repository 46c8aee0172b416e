//! Where a command sits down to work: the database opened beside a running server, and who is sitting there.

use super::{CliError, Done, Global, operator::operator};
use crate::{
    clock::SystemClock,
    config::{Config, Flags},
    domain::{audit::Actor, audit::Origin},
    flows::{self, Acting, Ctx},
    random::OsRandom,
    server,
    store::accounts::Account,
};
use std::sync::Arc;

/// A command does one thing at a time; the server beside it needs the connections.
const CONNECTIONS: u32 = 2;

/// What a command works with.
pub struct Desk {
    pub ctx: Ctx,
    pub acting: Acting,
}

impl Global {
    /// Runs a command on the database, which it creates and migrates where needed.
    pub fn at_desk(&self, command: impl AsyncFnOnce(&Desk) -> Done) -> Done {
        at_desk_of(self.load(Flags::default())?, command)
    }
}

/// As [`Global::at_desk`], on the database of this configuration.
pub fn at_desk_of(mut config: Config, command: impl AsyncFnOnce(&Desk) -> Done) -> Done {
    block_on(async {
        config.database_connections = CONNECTIONS;
        let ctx = server::context(config, Arc::new(SystemClock), Arc::new(OsRandom), false)?;
        if ctx.in_force().policy.revision() == 0 {
            flows::policy::ensure_first_revision(&ctx).await?;
        }
        let acting = Acting {
            actor: Actor::Cli { user: operator() },
            origin: Origin::default(),
            session: None,
        };
        command(&Desk { ctx, acting }).await
    })
}

/// Flows are asynchronous, a command is not.
pub fn block_on(work: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| CliError::refused(format!("cannot start: {error}")))?
        .block_on(work)
}

impl Desk {
    /// The account of that name.
    pub async fn account(&self, name: &str) -> Result<Account, CliError> {
        let found = flows::accounts::find_by_name(&self.ctx, name).await?;
        found.ok_or_else(|| CliError::refused(format!("there is no account named {}", super::output::plain(name))))
    }
}
