//! The context of a command: the database, which a running server may use at the same time, and the
//! operator as actor.

use super::{
    error::{CliError, CommandResult},
    operator::describe_operator,
    options::GlobalOptions,
    output::escape_text,
};
use crate::{
    clock::SteadyClock,
    config::{Config, Flags},
    domain::{
        account::Account,
        audit::{Actor, RequestOrigin},
    },
    flows::{self, Ctx, Initiator},
    random::OsRandom,
    server,
};
use std::sync::Arc;

/// Database connections of a command. It does one thing at a time, and the server beside it needs
/// the others.
const CONNECTIONS: u32 = 2;

/// What a command works with.
pub struct CommandContext {
    /// Database, clock, memory and configuration.
    pub ctx: Ctx,
    /// The operator, for the audit log.
    pub initiator: Initiator,
}

impl GlobalOptions {
    /// Runs a command on the configured database, which it creates and migrates where needed.
    pub fn run_with_context(&self, command: impl AsyncFnOnce(&CommandContext) -> CommandResult) -> CommandResult {
        run_on(self.load_config(Flags::default())?, command)
    }
}

/// Runs a command on the database of this configuration.
pub fn run_on(mut config: Config, command: impl AsyncFnOnce(&CommandContext) -> CommandResult) -> CommandResult {
    block_on(async {
        config.database_connections = CONNECTIONS;
        let ctx = server::context(config, Arc::new(SteadyClock::default()), Arc::new(OsRandom), false)?;
        if ctx.in_force().policy.revision() == 0 {
            flows::policy::ensure_first_revision(&ctx).await?;
        }
        let initiator = Initiator {
            actor: Actor::Cli {
                user: describe_operator(),
            },
            origin: RequestOrigin::default(),
            session: None,
        };
        command(&CommandContext { ctx, initiator }).await
    })
}

/// Runs asynchronous work to its end: flows are asynchronous, a command is not.
pub fn block_on(work: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| CliError::refused(format!("cannot start: {error}")))?
        .block_on(work)
}

impl CommandContext {
    /// Finds an account by its name, or refuses.
    pub async fn find_account(&self, name: &str) -> Result<Account, CliError> {
        let found = flows::accounts::find_by_name(&self.ctx, name).await?;
        found.ok_or_else(|| CliError::refused(format!("there is no account named {}", escape_text(name))))
    }
}
