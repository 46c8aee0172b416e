//! `nightlatch lockout …`: lists failed sign-ins and locks, unlocks and blocks.

use super::{
    context::CommandContext,
    error::{CliError, CommandResult},
    input,
    output::{self, ListPrinter, format_count, format_time, text_or_dash, time_to_json},
};
use crate::{
    domain::{
        account::name_key,
        lockout::{LockDuration, LockoutFilter, LockoutListState},
        network,
        time::Timestamp,
    },
    flows::{
        self,
        bind_limits::{UsedUpBinds, list_used_up},
        lockouts::{BlockOutcome, BlockTarget, LockoutView},
    },
};
use clap::{ArgGroup, Args, Subcommand};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use std::{net::IpAddr, process::ExitCode};
use uuid::Uuid;

/// Locks and counters per database query.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum LockoutCommand {
    /// List locks and counters of failed sign-ins, latest attempt first, then the people about whom
    /// a directory is not asked (bind_limit)
    List(ListLockouts),
    /// Release locks and blocks and forget their failures
    #[command(visible_alias = "unblock")]
    Unlock(UnlockSignIns),
    /// Block a username, an IP address or the pair of both until a time, or until it is unlocked
    Block(BlockSignIns),
}

#[derive(Args)]
pub struct ListLockouts {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only what is locked
    #[arg(long)]
    locked: bool,
    /// Only what counts for this username
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only what counts for this IP address or network
    #[arg(long, value_name = "ADDRESS", value_parser = input::parse_network)]
    ip: Option<IpNetwork>,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct UnlockSignIns {
    /// Id of a lock or counter, from `lockout list`
    #[arg(conflicts_with_all = ["account", "ip"])]
    id: Option<Uuid>,
    /// Everything that counts for this username; with --ip only the pairs of both
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Everything that counts for this IP address (for IPv6 its /64)
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
}

#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["id", "account", "ip"]))]
pub struct BlockSignIns {
    /// Id of a lock or counter, from `lockout list`
    #[arg(conflicts_with_all = ["account", "ip"])]
    id: Option<Uuid>,
    /// A username; with --ip only from there
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// An IP address (for IPv6 its /64)
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// When the block ends: RFC 3339, or a day
    #[arg(long, value_name = "TIME", value_parser = input::parse_instant)]
    until: Option<Timestamp>,
    /// Reason, for the list and the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

impl LockoutCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::List(list) => list.run(context).await,
            Self::Unlock(unlock) => unlock.run(context).await,
            Self::Block(block) => block.run(context).await,
        }
    }
}

const HEADINGS: [&str; 8] = [
    "ID",
    "IP ADDRESS",
    "ACCOUNT",
    "USER AGENT",
    "FAILURES",
    "LIMIT",
    "LOCKED",
    "LAST ATTEMPT",
];

impl ListLockouts {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let state = match self.locked {
            true => LockoutListState::Locked,
            false => LockoutListState::All,
        };
        let mut filter = LockoutFilter {
            state,
            account_key: self.account.as_deref().map(name_key),
            ip: self.ip,
            limit: PAGE,
            ..LockoutFilter::default()
        };
        let mut list = ListPrinter::new(self.json, &HEADINGS);
        loop {
            let page = flows::lockouts::list(&context.ctx, filter.clone()).await?;
            filter.after = page
                .items
                .last()
                .map(|view| (view.lockout.last_attempt_at, view.lockout.id));
            // Skips stored counters whose cool-off has passed in the meantime.
            let is_current = |view: &&LockoutView| view.locked.is_some() || (view.failures > 0 && !self.locked);
            for view in page.items.iter().filter(is_current) {
                list.add(|| lockout_to_json(view), || lockout_to_row(view))?;
            }
            if !page.older || filter.after.is_none() {
                break;
            }
        }
        // A directory counts people, whatever address they come from.
        if self.ip.is_none() {
            let binds = list_used_up(&context.ctx, None).await?;
            let is_asked = |binds: &&UsedUpBinds| {
                let key = self.account.as_deref().map(name_key);
                key.is_none_or(|key| name_key(binds.person()) == key)
            };
            for binds in binds.iter().filter(is_asked) {
                list.add(|| binds_to_json(binds), || binds_to_row(binds))?;
            }
        }
        list.finish("No locks and no failed sign-ins.")?;
        Ok(ExitCode::SUCCESS)
    }
}

impl UnlockSignIns {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let (ctx, initiator) = (&context.ctx, &context.initiator);
        let number = match self.id {
            Some(id) => {
                if flows::lockouts::unlock(ctx, initiator, vec![id]).await? == 0 {
                    return Err(CliError::refused(format!("there is no lock or counter {id}")));
                }
                1
            }
            None => {
                let ip = self.ip.map(network::canonical);
                flows::lockouts::unlock_matching(ctx, initiator, self.account.as_deref(), ip).await?
            }
        };
        output::print_line(&format_released(number))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl BlockSignIns {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let target = match self.id {
            Some(id) => BlockTarget::Listed(id),
            None => BlockTarget::Key {
                account: self.account,
                ip: self.ip.map(network::canonical),
            },
        };
        match flows::lockouts::block(&context.ctx, &context.initiator, target, self.until, &self.reason).await? {
            BlockOutcome::Done => output::print_line("Blocked.")?,
            BlockOutcome::Unknown => return Err(CliError::refused("there is no such lock or counter")),
            BlockOutcome::Faulty(faults) => {
                let faults = faults.into_iter().map(|(field, why)| format!("{field}: {why}"));
                return Err(CliError::Faults(faults.collect()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Formats how many locks and counters were released.
pub fn format_released(number: usize) -> String {
    match number {
        0 => "Nothing to do: no lock and no failed sign-in matches.".to_owned(),
        number => format!(
            "Released {}.",
            format_count(number, "lock or counter", "locks and counters")
        ),
    }
}

fn lockout_to_json(view: &LockoutView) -> Value {
    let key = &view.lockout.key;
    let until = match view.locked {
        Some(LockDuration::Until(until)) => Some(until),
        Some(LockDuration::UntilUnlocked) | None => None,
    };
    json!({
        "id": view.lockout.id,
        "keys": { "ip": key.ip, "account": key.account, "user_agent": key.user_agent },
        "failures": view.failures,
        "limit": view.limit,
        "locked": view.locked.is_some(),
        "locked_until": time_to_json(until),
    })
}

fn lockout_to_row(view: &LockoutView) -> [String; 8] {
    let key = &view.lockout.key;
    let locked = match view.locked {
        Some(LockDuration::Until(until)) => format!("until {}", format_time(until)),
        Some(LockDuration::UntilUnlocked) => "until unlocked".to_owned(),
        None => "no".to_owned(),
    };
    [
        view.lockout.id.to_string(),
        text_or_dash(key.ip.as_deref()),
        text_or_dash(key.account.as_deref()),
        text_or_dash(key.user_agent.as_deref()),
        view.failures.to_string(),
        view.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string()),
        locked,
        format_time(view.lockout.last_attempt_at),
    ]
}

fn binds_to_json(binds: &UsedUpBinds) -> Value {
    json!({
        "id": binds.id,
        "keys": { "ip": null, "account": binds.account.as_ref().map(|account| &account.name), "user_agent": null },
        "source": binds.source.as_str(),
        "person": binds.external_id,
        "failures": binds.count.refused,
        "limit": binds.count.limit,
        "locked": true,
        "locked_until": time_to_json(Some(binds.count.until)),
    })
}

fn binds_to_row(binds: &UsedUpBinds) -> [String; 8] {
    let until = format_time(binds.count.until);
    [
        binds.id.to_string(),
        text_or_dash(None),
        format!("{} ({})", binds.person(), binds.source.as_str()),
        text_or_dash(None),
        binds.count.refused.to_string(),
        binds.count.limit.to_string(),
        format!("until {until}"),
        format_time(binds.last_at),
    ]
}
