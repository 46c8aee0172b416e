//! `nightlatch audit …`: reads, exports and verifies the audit log, and shows how it is shipped. An
//! export is itself an entry of the log.

mod received;
mod targets;

use super::{
    context::CommandContext,
    error::{CliError, CommandResult},
    input::{self, InstantInput},
    options::GlobalOptions,
    output::{self, ListPrinter, StandardOutput, escape_text, format_count, format_time, text_or_dash, time_to_json},
};
use crate::{
    domain::{
        audit::{AuditFilter, AuditRecord, Event, EventOutcome, repeated::times},
        spreadsheet::{self, guarded},
        time::Timestamp,
    },
    flows::{self, Ctx, audit::seals},
};
use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use std::{borrow::Cow, path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub enum AuditCommand {
    /// List entries, newest first
    List(ListAudit),
    /// Export entries for other programs, newest first; the export is recorded
    Export(ExportAudit),
    /// Check that no entry was changed, removed or inserted since it was sealed
    Verify(VerifyAudit),
    /// Show the systems to which the audit is shipped, and how far
    Targets(targets::ListTargets),
}

#[derive(Args)]
pub struct ListAudit {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Maximum number of entries [default: 100 in a table, all with --json]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    #[command(flatten)]
    filter: FilterOptions,
}

#[derive(Args)]
pub struct ExportAudit {
    /// JSON lines or comma-separated values (CSV)
    #[arg(long, value_enum, default_value = "jsonl")]
    format: AuditFormat,
    /// Begin CSV with a byte order mark, for spreadsheets that need one
    #[arg(long)]
    bom: bool,
    #[command(flatten)]
    filter: FilterOptions,
}

#[derive(Args)]
pub struct VerifyAudit {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A digest that an earlier run printed: the log must still have it
    #[arg(long, value_name = "DIGEST")]
    noted: Option<String>,
    /// Check shipped entries in this file instead of the database (- for standard input)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum AuditFormat {
    /// One JSON object per line
    #[value(alias = "json")]
    Jsonl,
    /// With headings; an apostrophe precedes texts that a spreadsheet would take for a formula
    Csv,
}

/// Options that select entries.
#[derive(Args)]
struct FilterOptions {
    /// Only entries of this event, such as sign_in.refused; may be repeated
    #[arg(long = "event", value_name = "CODE", value_parser = event_parser(), hide_possible_values = true)]
    events: Vec<Event>,
    /// Only entries that concern this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only actions of this actor, as the list shows it: a username, system, anonymous or 'cli:root
    /// (uid 0)'
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only entries from this IP address or network
    #[arg(long, value_name = "ADDRESS", value_parser = input::parse_network)]
    ip: Option<IpNetwork>,
    /// Only successes or failures
    #[arg(long, value_parser = outcome_parser())]
    outcome: Option<EventOutcome>,
    /// Only entries since then: RFC 3339, a day, or how long ago (2h, 7 days)
    #[arg(long, value_name = "TIME", value_parser = input::parse_past_instant)]
    since: Option<InstantInput>,
    /// Only entries until then: RFC 3339, a day, or how long ago
    #[arg(long, value_name = "TIME", value_parser = input::parse_past_instant)]
    until: Option<InstantInput>,
    /// Only entries with this text in actor, account, IP address, user agent, application, reason
    /// or event
    #[arg(long)]
    text: Option<String>,
}

fn event_parser() -> impl TypedValueParser<Value = Event> {
    PossibleValuesParser::new(Event::ALL.iter().map(|event| event.as_str()))
        .try_map(|code| Event::parse(&code).ok_or("unknown event"))
}

fn outcome_parser() -> impl TypedValueParser<Value = EventOutcome> {
    PossibleValuesParser::new([EventOutcome::Success, EventOutcome::Failure].map(EventOutcome::as_str))
        .try_map(|word| EventOutcome::parse(&word).ok_or("unknown outcome"))
}

/// Entries per database query.
const PAGE: usize = 500;
/// Entries in a table unless more are asked for.
const DEFAULT_LIMIT: usize = 100;

impl AuditCommand {
    /// Runs the command.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        if let Self::Verify(VerifyAudit { json, noted, file }) = &self
            && let Some(file) = file
        {
            return received::verify_file(file, noted.as_deref(), *json);
        }
        options.run_with_context(async |context| self.run_on(context).await)
    }

    async fn run_on(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::List(list) => list.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Verify(verify) => verify.run(context).await,
            Self::Targets(targets) => targets.run(context).await,
        }
    }
}

impl FilterOptions {
    fn resolve(self, now: Timestamp) -> AuditFilter {
        AuditFilter {
            events: self.events,
            account: self.account,
            actor: self.actor,
            network: self.ip,
            outcome: self.outcome,
            since: self.since.map(|since| since.resolve(now)),
            until: self.until.map(|until| until.resolve(now)),
            text: self.text,
            ..AuditFilter::default()
        }
    }
}

impl ListAudit {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let filter = self.filter.resolve(context.ctx.now());
        let limit = match self.json {
            true => self.limit,
            false => Some(self.limit.unwrap_or(DEFAULT_LIMIT)),
        };
        let headings = ["TIME", "EVENT", "ACTOR", "ACCOUNT", "IP ADDRESS", "OUTCOME", "REASON"];
        let mut list = ListPrinter::new(self.json, &headings);
        let has_more = for_each_entry(&context.ctx, filter, limit, |row| {
            list.add(|| entry_to_json(row), || entry_to_row(row))
        })
        .await?;
        list.finish("No entries.")?;
        if has_more && !self.json {
            output::print_message("there are older entries: ask for more with --limit, or narrow the search");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ExportAudit {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let filter = self.filter.resolve(context.ctx.now());
        match self.format {
            AuditFormat::Jsonl => {
                flows::audit::export(&context.ctx, &context.initiator, &filter, "jsonl").await?;
                let mut out = StandardOutput::new();
                for_each_entry(&context.ctx, filter, None, |row| {
                    out.write_json_line(&entry_to_json(row))
                })
                .await?;
                out.finish()?;
            }
            AuditFormat::Csv => {
                flows::audit::export(&context.ctx, &context.initiator, &filter, "csv").await?;
                let mut out = StandardOutput::new();
                if self.bom {
                    out.write_bytes(spreadsheet::BYTE_ORDER_MARK.as_bytes())?;
                }
                out.write_bytes(spreadsheet::record(column_names().map(Cow::Borrowed)).as_bytes())?;
                for_each_entry(&context.ctx, filter, None, |row| {
                    out.write_bytes(spreadsheet::record(entry_to_cells(row).map(Cow::Owned)).as_bytes())
                })
                .await?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl VerifyAudit {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let verified = seals::verify(&context.ctx, self.noted.as_deref()).await?;
        let mut faults: Vec<String> = verified.faults.iter().map(ToString::to_string).collect();
        if self.noted.is_some() && !verified.known {
            faults.push("the audit log no longer has the noted digest".to_owned());
        }
        let (from, until) = verified.covered.unzip();
        if self.json {
            output::print_json(&json!({
                "seals": verified.seals,
                "entries": verified.entries,
                "unsealed": verified.unsealed,
                "from": time_to_json(from),
                "until": time_to_json(until),
                "digest": verified.digest,
                "faults": faults,
            }))?;
            return Ok(ExitCode::from(u8::from(!faults.is_empty())));
        }
        if !faults.is_empty() {
            return Err(CliError::Faults(faults));
        }
        match (from.zip(until), &verified.digest) {
            (Some((from, until)), Some(digest)) => output::print_line(&format!(
                "{}, from {} to {}, unchanged since they were sealed. Newer entries, not sealed yet: {}.\nNewest \
                     digest: {digest}",
                format_count(
                    usize::try_from(verified.entries).unwrap_or(usize::MAX),
                    "entry",
                    "entries"
                ),
                format_time(from),
                format_time(until),
                verified.unsealed
            ))?,
            (None, _) | (_, None) => {
                output::print_line(&format!("Nothing is sealed yet. Newer entries: {}.", verified.unsealed))?
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Passes at most `limit` entries to `take`, page by page, and returns whether there are more.
async fn for_each_entry(
    ctx: &Ctx,
    mut filter: AuditFilter,
    limit: Option<usize>,
    mut take: impl FnMut(&AuditRecord) -> std::io::Result<()>,
) -> Result<bool, CliError> {
    let mut left = limit.unwrap_or(usize::MAX);
    loop {
        filter.limit = i64::try_from(left.min(PAGE)).unwrap_or(i64::MAX);
        let page = flows::audit::page(ctx, filter.clone()).await?;
        page.items.iter().try_for_each(&mut take)?;
        left -= page.items.len().min(left);
        let Some(last) = page.items.last().filter(|_| page.older) else {
            if page.truncated {
                output::print_warning("the text was only searched in the newest entries that match the other filters");
            }
            return Ok(false);
        };
        if left == 0 {
            return Ok(true);
        }
        filter.after = Some((last.at, last.id));
    }
}

/// Converts an entry for scripts. Pages and exports use the same fields.
fn entry_to_json(row: &AuditRecord) -> Value {
    json!({
        "id": row.id,
        "at": row.at.to_rfc3339(),
        "event": row.event.as_str(),
        "actor": row.actor,
        "account": row.account,
        "session_id": row.session_id.map(|id| id.0),
        "ip": row.ip,
        "user_agent": row.user_agent,
        "application": row.application,
        "outcome": row.outcome.as_str(),
        "reason": row.reason,
        "detail": row.detail,
    })
}

fn entry_to_row(row: &AuditRecord) -> [String; 7] {
    let reason = text_or_dash(row.reason.as_deref());
    [
        format_time(row.at),
        row.event.as_str().to_owned(),
        row.actor.clone(),
        text_or_dash(row.account.as_deref()),
        row.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()),
        row.outcome.as_str().to_owned(),
        match times(&row.detail) {
            Some(times) => format!("{reason}, {times}"),
            None => reason,
        },
    ]
}

/// Returns the columns of an export: all but the request id, which is the last.
fn column_names() -> impl Iterator<Item = &'static str> {
    let (_, columns) = AuditRecord::FIELDS.split_last().unwrap_or((&"", &[]));
    columns.iter().copied()
}

fn entry_to_cells(row: &AuditRecord) -> [String; 12] {
    let text = |text: &Option<String>| guard_formula(text.as_deref().unwrap_or_default());
    [
        row.id.to_string(),
        row.at.to_rfc3339(),
        row.event.as_str().to_owned(),
        guard_formula(&row.actor),
        text(&row.account),
        row.session_id.map(|id| id.0.to_string()).unwrap_or_default(),
        row.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        text(&row.user_agent),
        text(&row.application),
        row.outcome.as_str().to_owned(),
        text(&row.reason),
        if row.detail.is_null() {
            String::new()
        } else {
            row.detail.to_string()
        },
    ]
}

/// Keeps a stranger's text from becoming a formula in a spreadsheet.
fn guard_formula(text: &str) -> String {
    guarded(&escape_text(text)).into_owned()
}
