//! `nightlatch lockout …`: which sign-ins failed of late, what is locked, and letting people in again.

use super::{
    CliError, Done,
    desk::Desk,
    input,
    output::{self, JsonList, Output, Table, count, json_time, or_dash, time},
};
use crate::{
    domain::{account::name_key, lockout::Locked, network, time::Timestamp},
    flows::{
        self,
        lockouts::{Blocked, Blocking, LockoutView},
    },
    store::lockouts::{LockoutFilter, LockoutListState},
};
use clap::{ArgGroup, Args, Subcommand};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use std::{net::IpAddr, process::ExitCode};
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Lockout {
    /// List locks and counters of failed sign-ins, latest attempt first
    List(List),
    /// Release locks and blocks and forget their failures
    #[command(visible_alias = "unblock")]
    Unlock(Unlock),
    /// Refuse a name, an address or the pair of both until an instant, or until it is unlocked
    Block(Block),
}

#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only what is locked
    #[arg(long)]
    locked: bool,
    /// Only what counts for this name
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only what counts for this address or network
    #[arg(long, value_name = "ADDRESS", value_parser = input::network)]
    ip: Option<IpNetwork>,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Unlock {
    /// Id of a lock or counter, as `lockout list` shows it
    #[arg(conflicts_with_all = ["account", "ip"])]
    id: Option<Uuid>,
    /// What counts for this name, with --ip only the pairs of both
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// What counts for this address (of an IPv6 address its /64)
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
}

#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["id", "account", "ip"]))]
pub struct Block {
    /// Id of a lock or counter, as `lockout list` shows it
    #[arg(conflicts_with_all = ["account", "ip"])]
    id: Option<Uuid>,
    /// A name; with --ip only from there
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// An address (of an IPv6 address its /64)
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// When it ends by itself: RFC 3339, or a day
    #[arg(long, value_name = "TIME", value_parser = input::instant)]
    until: Option<Timestamp>,
    /// Why, for the list and the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

impl Lockout {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::List(list) => list.run(desk).await,
            Self::Unlock(unlock) => unlock.run(desk).await,
            Self::Block(block) => block.run(desk).await,
        }
    }
}

/// Counters read at once.
const PAGE: i64 = 500;

impl List {
    async fn run(self, desk: &Desk) -> Done {
        let mut filter = LockoutFilter {
            state: if self.locked {
                LockoutListState::Locked
            } else {
                LockoutListState::All
            },
            account_key: self.account.as_deref().map(name_key),
            ip: self.ip,
            limit: PAGE,
            ..LockoutFilter::default()
        };
        let mut json = self.json.then(JsonList::new);
        let mut table = Table::new(&[
            "ID",
            "ADDRESS",
            "ACCOUNT",
            "USER AGENT",
            "FAILURES",
            "LIMIT",
            "LOCKED",
            "LAST ATTEMPT",
        ]);
        loop {
            let page = flows::lockouts::list(&desk.ctx, filter.clone()).await?;
            filter.after = page
                .items
                .last()
                .map(|view| (view.lockout.last_attempt_at, view.lockout.id));
            // What cooled off since it was written down is over.
            let counts = |view: &&LockoutView| view.locked.is_some() || (view.failures > 0 && !self.locked);
            for view in page.items.iter().filter(counts) {
                match &mut json {
                    Some(list) => list.item(&as_json(view))?,
                    None => table.row(as_row(view)),
                }
            }
            if !page.older || filter.after.is_none() {
                break;
            }
        }
        match json {
            Some(list) => list.finish()?,
            None if table.is_empty() => output::say("No locks and no failed sign-ins.")?,
            None => {
                let mut out = Output::new();
                out.table(&table)?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Unlock {
    async fn run(self, desk: &Desk) -> Done {
        let (ctx, acting) = (&desk.ctx, &desk.acting);
        let number = match self.id {
            Some(id) => {
                if flows::lockouts::unlock(ctx, acting, vec![id]).await? == 0 {
                    return Err(CliError::refused(format!("there is no lock and no counter {id}")));
                }
                1
            }
            None => {
                let ip = self.ip.map(network::canonical);
                flows::lockouts::unlock_matching(ctx, acting, self.account.as_deref(), ip).await?
            }
        };
        output::say(&released(number))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Block {
    async fn run(self, desk: &Desk) -> Done {
        let what = match self.id {
            Some(id) => Blocking::Listed(id),
            None => Blocking::Key {
                account: self.account,
                ip: self.ip.map(network::canonical),
            },
        };
        match flows::lockouts::block(&desk.ctx, &desk.acting, what, self.until, &self.reason).await? {
            Blocked::Done => output::say("Blocked.")?,
            Blocked::Unknown => return Err(CliError::refused("there is no such lock and no such counter")),
            Blocked::Faulty(faults) => {
                let faults = faults.into_iter().map(|(field, why)| format!("{field}: {why}"));
                return Err(CliError::Faults(faults.collect()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What unlocking came to.
pub fn released(number: usize) -> String {
    match number {
        0 => "Nothing to do: no lock and no failed sign-in matches.".to_owned(),
        number => format!("Released {}.", count(number, "lock or counter", "locks and counters")),
    }
}

fn as_json(view: &LockoutView) -> Value {
    let key = &view.lockout.key;
    let until = match view.locked {
        Some(Locked::Until(until)) => Some(until),
        Some(Locked::UntilUnlocked) | None => None,
    };
    json!({
        "id": view.lockout.id,
        "keys": { "ip": key.ip, "account": key.account, "user_agent": key.user_agent },
        "failures": view.failures,
        "limit": view.limit,
        "locked": view.locked.is_some(),
        "locked_until": json_time(until),
    })
}

fn as_row(view: &LockoutView) -> [String; 8] {
    let key = &view.lockout.key;
    let locked = match view.locked {
        Some(Locked::Until(until)) => format!("until {}", time(until)),
        Some(Locked::UntilUnlocked) => "until unlocked".to_owned(),
        None => "no".to_owned(),
    };
    [
        view.lockout.id.to_string(),
        or_dash(key.ip.as_deref()),
        or_dash(key.account.as_deref()),
        or_dash(key.user_agent.as_deref()),
        view.failures.to_string(),
        view.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string()),
        locked,
        time(view.lockout.last_attempt_at),
    ]
}
