//! `nightlatch session …`: lists sessions, shows one and ends them. `session/ended` prints ended
//! ones, `session/fields` live ones.

use super::{
    context::CommandContext,
    error::{CliError, CommandResult},
    input::{self, InstantInput},
    output::{self, ListPrinter, format_count},
};
use crate::{
    domain::{
        account::Role,
        session::{EndReason, SessionFilter, SessionId, SessionListState},
    },
    flows::{self, sessions::SessionView},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use fields::{id_parser, session_to_json, session_to_row};
use ipnetwork::IpNetwork;
use std::process::ExitCode;
use uuid::Uuid;

mod ended;
mod fields;

/// Sessions per database query.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum SessionCommand {
    /// List live sessions, latest activity first; with --ended those that have ended, latest end
    /// first
    List(ListSessions),
    /// Show one session; for an ended one also the rule, scope, limit and policy that ended it
    Show(ended::ShowSession),
    /// End sessions immediately, on all servers
    End(EndSessions),
}

#[derive(Args)]
pub struct ListSessions {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only sessions of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only sessions from this IP address or network
    #[arg(long, value_name = "ADDRESS", value_parser = input::parse_network)]
    ip: Option<IpNetwork>,
    /// Only sessions of administrators
    #[arg(long)]
    administrators: bool,
    /// Only sessions that entered this application
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// List sessions that have ended, with the rule that ended each
    #[arg(long)]
    ended: bool,
    /// Only sessions that ended for this reason, such as idle; implies --ended
    #[arg(long, value_name = "CODE", value_parser = reason_parser(), hide_possible_values = true)]
    reason: Option<EndReason>,
    /// Only sessions that ended at or after this time: RFC 3339, a day, or how long ago (2h, 7
    /// days); implies --ended
    #[arg(long, value_name = "TIME", value_parser = input::parse_past_instant)]
    since: Option<InstantInput>,
    /// Only sessions that ended at or before this time; implies --ended
    #[arg(long, value_name = "TIME", value_parser = input::parse_past_instant)]
    until: Option<InstantInput>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct EndSessions {
    /// Ids of sessions, from `session list`
    #[arg(value_name = "ID", value_parser = id_parser())]
    ids: Vec<Uuid>,
    /// All sessions of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// All sessions of everyone
    #[arg(long)]
    all: bool,
}

fn reason_parser() -> impl TypedValueParser<Value = EndReason> {
    PossibleValuesParser::new(EndReason::ALL.iter().map(|reason| reason.as_str()))
        .try_map(|code| EndReason::parse(&code).ok_or("unknown reason"))
}

impl SessionCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::List(list) => list.run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::End(end) => end.run(context).await,
        }
    }
}

/// Headings of the list of live sessions.
const HEADINGS: [&str; 9] = [
    "ID",
    "ACCOUNT",
    "IP ADDRESS",
    "SIGNED IN",
    "LAST ACTIVE",
    "ENDS",
    "RULE",
    "APPLICATIONS",
    "SOURCE",
];

impl ListSessions {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let account = match &self.account {
            Some(name) => Some(context.find_account(name).await?.id),
            None => None,
        };
        let now = context.ctx.now();
        let ended = self.ended || self.reason.is_some() || self.since.is_some() || self.until.is_some();
        let filter = SessionFilter {
            account,
            network: self.ip,
            application: self.application,
            role: self.administrators.then_some(Role::Administrator),
            state: if ended {
                SessionListState::Ended
            } else {
                SessionListState::Active
            },
            end_reason: self.reason,
            ended_since: self.since.map(|since| since.resolve(now)),
            ended_until: self.until.map(|until| until.resolve(now)),
            limit: PAGE,
            ..SessionFilter::default()
        };
        if ended {
            let mut list = ListPrinter::new(self.json, &ended::HEADINGS);
            for_each_session(context, filter, |view| {
                Ok(list.add(|| ended::whole_to_json(view), || ended::ended_to_row(view))?)
            })
            .await?;
            list.finish("No sessions.")?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut list = ListPrinter::new(self.json, &HEADINGS);
        for_each_session(context, filter, |view| {
            // A session that a rule has ended is over, even if no sweep has marked it yet.
            if !view.live {
                return Ok(());
            }
            Ok(list.add(|| session_to_json(view), || session_to_row(view))?)
        })
        .await?;
        list.finish("No sessions.")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads the sessions that match, page by page.
async fn for_each_session(
    context: &CommandContext,
    mut filter: SessionFilter,
    mut act: impl FnMut(&SessionView) -> Result<(), CliError>,
) -> Result<(), CliError> {
    loop {
        let page = flows::sessions::list(&context.ctx, filter.clone()).await?;
        filter.after = page.items.last().map(|view| view.row.cursor(filter.state));
        for view in &page.items {
            act(view)?;
        }
        if !page.older || filter.after.is_none() {
            return Ok(());
        }
    }
}

impl EndSessions {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let (ctx, initiator) = (&context.ctx, &context.initiator);
        let ended = if self.all {
            flows::sessions::end_matching(ctx, initiator, SessionFilter::default(), None).await?
        } else if let Some(name) = &self.account {
            let account = context.find_account(name).await?;
            flows::sessions::end_account(ctx, initiator, account.id).await?
        } else {
            let mut unknown = Vec::new();
            for id in &self.ids {
                if flows::sessions::detail(ctx, SessionId(*id)).await?.is_none() {
                    unknown.push(format!("there is no session {id}"));
                }
            }
            if !unknown.is_empty() {
                return Err(CliError::Faults(unknown));
            }
            flows::sessions::end(ctx, initiator, self.ids.into_iter().map(SessionId).collect()).await?
        };
        output::print_line(&match ended {
            0 => "Nothing to do: no such session is live.".to_owned(),
            ended => format!("Ended {}.", format_count(ended, "session", "sessions")),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
