//! `nightlatch audit …`: reads the audit trail. An export is itself an event of the trail.

use super::{
    CliError, Done,
    desk::Desk,
    input::{self, Since},
    output::{self, JsonList, Output, Table, json_time, or_dash, time},
};
use crate::{
    domain::{
        audit::{Event, Outcome, repeated::times},
        spreadsheet::{self, guarded},
        time::Timestamp,
    },
    flows::{self, Ctx, audit::seals},
    store::audit::{AuditFilter, AuditRow},
};
use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use std::{borrow::Cow, process::ExitCode};

#[derive(Subcommand)]
pub enum Audit {
    /// List events, newest first
    List(List),
    /// Write events to standard output for other programs, newest first; the export is recorded
    Export(Export),
    /// Check that no event was changed, taken out or put in since it was sealed
    Verify(Verify),
}

#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// At most so many events [default: 100 for people, all with --json]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Args)]
pub struct Export {
    /// JSON lines or comma-separated values
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Args)]
pub struct Verify {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A digest that an earlier run printed: the trail must still have it
    #[arg(long, value_name = "DIGEST")]
    noted: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line
    #[value(alias = "json")]
    Jsonl,
    /// With a head; texts that a spreadsheet would take for a formula begin with an apostrophe
    Csv,
}

/// Which events.
#[derive(Args)]
struct Filter {
    /// Only this event, such as sign_in.refused; may be repeated
    #[arg(long = "event", value_name = "CODE", value_parser = event(), hide_possible_values = true)]
    events: Vec<Event>,
    /// Only events that concern this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only what this actor did, as the list writes it: a name, system, anonymous or such as 'cli:root (uid 0)'
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only from this address or network
    #[arg(long, value_name = "ADDRESS", value_parser = input::network)]
    ip: Option<IpNetwork>,
    /// Only successes or failures
    #[arg(long, value_parser = outcome())]
    outcome: Option<Outcome>,
    /// Only since then: RFC 3339, a day, or how long ago (2h, 7 days)
    #[arg(long, value_name = "TIME", value_parser = input::since)]
    since: Option<Since>,
    /// Only until then: RFC 3339, a day, or how long ago
    #[arg(long, value_name = "TIME", value_parser = input::since)]
    until: Option<Since>,
    /// Only with this text in actor, account, address, user agent, application, reason or event
    #[arg(long)]
    text: Option<String>,
}

fn event() -> impl TypedValueParser<Value = Event> {
    PossibleValuesParser::new(Event::ALL.iter().map(|event| event.as_str()))
        .try_map(|code| Event::parse(&code).ok_or("unknown event"))
}

fn outcome() -> impl TypedValueParser<Value = Outcome> {
    PossibleValuesParser::new([Outcome::Success, Outcome::Failure].map(Outcome::as_str))
        .try_map(|word| Outcome::parse(&word).ok_or("unknown outcome"))
}

/// Events read at once.
const PAGE: usize = 500;
/// Events that people are shown unless they ask for more.
const SHOWN: usize = 100;

impl Audit {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::List(list) => list.run(desk).await,
            Self::Export(export) => export.run(desk).await,
            Self::Verify(verify) => verify.run(desk).await,
        }
    }
}

impl Filter {
    fn at(self, now: Timestamp) -> AuditFilter {
        AuditFilter {
            events: self.events,
            account: self.account,
            actor: self.actor,
            network: self.ip,
            outcome: self.outcome,
            since: self.since.map(|since| since.before(now)),
            until: self.until.map(|until| until.before(now)),
            text: self.text,
            ..AuditFilter::default()
        }
    }
}

impl List {
    async fn run(self, desk: &Desk) -> Done {
        let filter = self.filter.at(desk.ctx.now());
        if self.json {
            let mut list = JsonList::new();
            each(&desk.ctx, filter, self.limit, |row| list.item(&as_json(row))).await?;
            list.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["TIME", "EVENT", "ACTOR", "ACCOUNT", "ADDRESS", "OUTCOME", "REASON"]);
        let more = each(&desk.ctx, filter, Some(self.limit.unwrap_or(SHOWN)), |row| {
            table.row(as_row(row));
            Ok(())
        })
        .await?;
        if table.is_empty() {
            output::say("No events.")?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = Output::new();
        out.table(&table)?;
        out.finish()?;
        if more {
            output::note("there are older events: ask for more with --limit, or narrow the search");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    async fn run(self, desk: &Desk) -> Done {
        let filter = self.filter.at(desk.ctx.now());
        match self.format {
            Format::Jsonl => {
                flows::audit::export(&desk.ctx, &desk.acting, &filter, "jsonl").await?;
                let mut out = Output::new();
                each(&desk.ctx, filter, None, |row| out.json_line(&as_json(row))).await?;
                out.finish()?;
            }
            Format::Csv => {
                flows::audit::export(&desk.ctx, &desk.acting, &filter, "csv").await?;
                let mut out = Output::new();
                out.bytes(spreadsheet::record(columns().map(Cow::Borrowed)).as_bytes())?;
                each(&desk.ctx, filter, None, |row| {
                    out.bytes(spreadsheet::record(as_cells(row).map(Cow::Owned)).as_bytes())
                })
                .await?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    async fn run(self, desk: &Desk) -> Done {
        let verified = seals::verify(&desk.ctx, self.noted.as_deref()).await?;
        let mut faults: Vec<String> = verified.faults.iter().map(ToString::to_string).collect();
        if self.noted.is_some() && !verified.known {
            faults.push("the trail no longer has the digest that was noted".to_owned());
        }
        let (from, until) = verified.covered.unzip();
        if self.json {
            output::say_json(&json!({
                "seals": verified.seals,
                "entries": verified.entries,
                "unsealed": verified.unsealed,
                "from": json_time(from),
                "until": json_time(until),
                "digest": verified.digest,
                "faults": faults,
            }))?;
            return Ok(ExitCode::from(u8::from(!faults.is_empty())));
        }
        if !faults.is_empty() {
            return Err(CliError::Faults(faults));
        }
        match (from.zip(until), &verified.digest) {
            (Some((from, until)), Some(digest)) => output::say(&format!(
                "{}, from {} to {}, as they were sealed. Newer, not sealed yet: {}.\nNewest digest: {digest}",
                output::count(
                    usize::try_from(verified.entries).unwrap_or(usize::MAX),
                    "event",
                    "events"
                ),
                time(from),
                time(until),
                verified.unsealed
            ))?,
            (None, _) | (_, None) => {
                output::say(&format!("Nothing is sealed yet; newer events: {}.", verified.unsealed))?
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Hands over at most `limit` events, page by page. Whether there are more.
async fn each(
    ctx: &Ctx,
    mut filter: AuditFilter,
    limit: Option<usize>,
    mut take: impl FnMut(&AuditRow) -> std::io::Result<()>,
) -> Result<bool, super::CliError> {
    let mut left = limit.unwrap_or(usize::MAX);
    loop {
        filter.limit = i64::try_from(left.min(PAGE)).unwrap_or(i64::MAX);
        let page = flows::audit::page(ctx, filter.clone()).await?;
        page.items.iter().try_for_each(&mut take)?;
        left -= page.items.len().min(left);
        let Some(last) = page.items.last().filter(|_| page.older) else {
            if page.truncated {
                output::warn("the text was looked for only among the newest events that match the other filters");
            }
            return Ok(false);
        };
        if left == 0 {
            return Ok(true);
        }
        filter.after = Some((last.at, last.id));
    }
}

/// The shape of http.md, field by field.
fn as_json(row: &AuditRow) -> Value {
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

fn as_row(row: &AuditRow) -> [String; 7] {
    let reason = or_dash(row.reason.as_deref());
    [
        time(row.at),
        row.event.as_str().to_owned(),
        row.actor.clone(),
        or_dash(row.account.as_deref()),
        row.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()),
        row.outcome.as_str().to_owned(),
        match times(&row.detail) {
            Some(times) => format!("{reason}, {times}"),
            None => reason,
        },
    ]
}

/// Columns of the command line's shapes: all but the request's id, which stands last.
fn columns() -> impl Iterator<Item = &'static str> {
    let (_, columns) = AuditRow::FIELDS.split_last().unwrap_or((&"", &[]));
    columns.iter().copied()
}

fn as_cells(row: &AuditRow) -> [String; 12] {
    let text = |text: &Option<String>| no_formula(text.as_deref().unwrap_or_default());
    [
        row.id.to_string(),
        row.at.to_rfc3339(),
        row.event.as_str().to_owned(),
        no_formula(&row.actor),
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

/// What strangers typed must not become a formula of whoever opens the file in a spreadsheet.
fn no_formula(text: &str) -> String {
    guarded(&output::plain(text)).into_owned()
}
