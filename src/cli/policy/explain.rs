//! `nightlatch policy explain`: a timeline of a session, the rule that ends it, and where each
//! value comes from.

use super::lookup::{format_source, load_current};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{self, StandardOutput, Table, escape_text, format_time, time_to_json},
    },
    domain::{
        account::Role,
        session::{AccountState, SessionId},
        simulate::explain::{Provenance, ScenarioInput, Timeline, TimelineEnd},
        time::Timestamp,
    },
    flows::explain::{self, ExplainSubject, ExplainVerdict, Explanation},
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

const EXAMPLES: &str = "\
Times are UTC: 08:00, or 2026-11-21 08:00. A time of day means its next occurrence.

  nightlatch policy explain --role member --signed-in 08:00 --active 08:00-10:30 --pause 09:00-09:40
  nightlatch policy explain --account ada --application wiki@09:00 --move 09:30=203.0.113.7
  nightlatch policy explain --session 0193…: why that session ends when it does";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainSession {
    /// A session of this account
    #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "session"])]
    account: Option<String>,
    /// A session of any account with this role: member or administrator [default: member]
    #[arg(long, value_parser = parse_role, conflicts_with = "session")]
    role: Option<Role>,
    /// A real session, as it is
    #[arg(long, value_name = "ID", conflicts_with_all = ["signed_in", "ip", "user_agent"])]
    session: Option<Uuid>,
    /// An application that it enters, at sign-in or later: NAME or NAME@TIME; may be repeated
    #[arg(long, value_name = "APPLICATION")]
    application: Vec<String>,
    /// Time of the sign-in
    #[arg(long, value_name = "TIME", default_value = "08:00")]
    signed_in: String,
    /// A period of activity, such as 08:00-10:30, or a time for one request; may be repeated
    #[arg(long, value_name = "FROM-TO")]
    active: Vec<String>,
    /// Time between two requests
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    every: String,
    /// Kind of the requests: pages, requests (of scripts), input or background
    #[arg(long, value_name = "WORD", default_value = "pages")]
    doing: String,
    /// Path of the requests
    #[arg(long, default_value = "/")]
    path: String,
    /// A pause in the activity; may be repeated
    #[arg(long, value_name = "FROM-TO")]
    pause: Vec<String>,
    /// Time until which a window with the page guard stays open
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// From then on requests come from that IP address; may be repeated
    #[arg(long = "move", value_name = "TIME=IP")]
    moves: Vec<String>,
    /// IP address of the sign-in [default: an example address]
    #[arg(long, value_name = "IP")]
    ip: Option<String>,
    /// User agent of the sign-in [default: Firefox]
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Print JSON:
    /// {"revision","account","role","applications","factors","provider","signed_in_at","ends","followed_until","latest","segments","events","others","values"}
    #[arg(long)]
    json: bool,
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "write member or administrator".to_owned())
}

impl ExplainSession {
    /// Prints the timeline.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let who = match (self.session, &self.account) {
            (Some(id), _) => ExplainSubject::Session(SessionId(id)),
            (None, Some(name)) => ExplainSubject::Account(name.clone()),
            (None, None) => ExplainSubject::Role(self.role.unwrap_or(Role::Member)),
        };
        let json = self.json;
        let (revision, policy) = load_current(context).await?;
        let refused = match explain::explain(&context.ctx, &policy, &who, &self.into_input()).await? {
            ExplainVerdict::Explained(explained) => {
                if json {
                    output::print_json(&explanation_to_json(revision.revision, &explained))?;
                } else {
                    print_explanation(&explained)?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            ExplainVerdict::NoAccount => "there is no account of that name".to_owned(),
            ExplainVerdict::NoSession => "there is no such session".to_owned(),
            ExplainVerdict::Past(past) => {
                if json {
                    output::print_json(&explanation_to_json(past.revision, &past.explained))?;
                } else {
                    output::print_line(&format!(
                        "This session has ended. Under revision {}, in force then:",
                        past.revision
                    ))?;
                    print_explanation(&past.explained)?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            ExplainVerdict::Faulty(faults) => {
                let faults = faults
                    .into_iter()
                    .map(|(field, why)| escape_text(&format!("--{}: {why}", option_name(field))));
                return Err(CliError::Faults(faults.collect()));
            }
        };
        Err(CliError::refused(refused))
    }

    fn into_input(self) -> ScenarioInput {
        ScenarioInput {
            signed_in: self.signed_in,
            applications: self.application,
            active: self.active,
            every: self.every,
            doing: self.doing,
            path: self.path,
            pauses: self.pause,
            window: self.window.unwrap_or_default(),
            ip: self.ip.unwrap_or_default(),
            agent: self.user_agent.unwrap_or_default(),
            moves: self.moves,
        }
    }
}

/// Returns the option that sets a field.
fn option_name(field: &str) -> &str {
    match field {
        "app" => "application",
        "signed_in" => "signed-in",
        field => field,
    }
}

fn print_explanation(explained: &Explanation) -> Result<(), CliError> {
    let timeline = &explained.timeline;
    let clock = TimeFormat::for_timeline(timeline);
    let mut out = StandardOutput::new();
    out.write_line(&format_headline(explained))?;
    if let Some(proved) = &explained.proved {
        out.write_line(&proved.sentence())?;
    }
    if let Some(device) = &explained.device {
        out.write_line(&device.sentence(|at| clock.format(at)))?;
    }
    if let Some(provider) = &explained.provider {
        out.write_line(&provider.sentence(|at| clock.format(at)))?;
    }
    out.write_line(&format!("\n{}\n", format_bar(timeline, &clock)))?;
    let mut events = Table::without_headings(2);
    for mark in timeline
        .marks
        .iter()
        .filter(|mark| timeline.end.as_ref().is_none_or(|end| mark.at <= end.at))
    {
        events.add_row([format!("  {}", clock.format(mark.at)), mark.sentence.clone()]);
    }
    match (&timeline.end, timeline.followed_until) {
        (Some(end), _) => events.add_row([
            format!("  {}", clock.format(end.at)),
            format!("Ends: {}", format_end(end)),
        ]),
        (None, Some(at)) => events.add_row([
            format!("  {}", clock.format(at)),
            "Followed only up to here: too many requests.".to_owned(),
        ]),
        (None, None) => events.add_row(["  never".to_owned(), "Nothing ends it.".to_owned()]),
    }
    for mark in timeline
        .marks
        .iter()
        .filter(|mark| timeline.end.as_ref().is_some_and(|end| mark.at > end.at))
    {
        events.add_row([format!("  {}", clock.format(mark.at)), mark.sentence.clone()]);
    }
    out.write_table(&events)?;
    if let Some(latest) = timeline
        .latest
        .as_ref()
        .filter(|latest| timeline.end.as_ref() != Some(latest))
    {
        out.write_line(&format!(
            "\nEven if active, it ends at {} at the latest: {}",
            clock.format(latest.at),
            format_end(latest)
        ))?;
    }
    let (set, defaults): (Vec<_>, Vec<_>) = explained.values.iter().partition(|value| !value.is_default());
    out.write_line("\nValues that are set")?;
    out.write_table(&values_to_table(&set))?;
    out.write_line("\nDefault values")?;
    out.write_table(&values_to_table(&defaults))?;
    Ok(out.finish()?)
}

fn format_headline(explained: &Explanation) -> String {
    let role = explained.role.as_str();
    let who = match &explained.account {
        Some((name, AccountState::Enabled)) => format!("{} ({role})", escape_text(name)),
        Some((name, AccountState::Disabled)) => {
            format!("{} ({role}; disabled, so it cannot sign in)", escape_text(name))
        }
        Some((name, AccountState::Expired)) => format!("{} ({role}; expired, so it cannot sign in)", escape_text(name)),
        None => format!("any {role}"),
    };
    let applications = match explained.applications.as_slice() {
        [] => String::new(),
        names => format!(", in {}", escape_text(&names.join(", "))),
    };
    let signed_in = format_time(explained.timeline.signed_in_at);
    format!("Session of {who}{applications}, signed in {signed_in}")
}

/// `idle, everyone. No activity for 30 minutes. [auth.idle_session_timeout]`
fn format_end(end: &TimelineEnd) -> String {
    match end.key {
        Some(key) => format!("{} ({}, {key}). {}", end.reason, end.scope, end.sentence),
        None => format!("{}. {}", end.reason, end.sentence),
    }
}

/// Draws active and inactive periods in a line of sixty cells.
fn format_bar(timeline: &Timeline, clock: &TimeFormat) -> String {
    const CELLS: i64 = 60;
    let (Some(first), Some(last)) = (timeline.segments.first(), timeline.segments.last()) else {
        return format!("  {}", clock.format(timeline.begin));
    };
    let whole = last.until.since(first.from).as_micros().max(1);
    let cell = |number: i64| {
        // 128 bits: sixty times ten years of microseconds are too many for 64.
        let passed = i128::from(whole) * i128::from(2 * number + 1) / i128::from(2 * CELLS);
        let at = Timestamp::from_micros(first.from.as_micros() + i64::try_from(passed).unwrap_or(whole));
        let active = timeline
            .segments
            .iter()
            .any(|segment| segment.active && segment.from <= at && at < segment.until);
        if active { '█' } else { '░' }
    };
    let cells: String = (0..CELLS).map(cell).collect();
    format!("  {} {cells} {}", clock.format(first.from), clock.format(last.until))
}

fn values_to_table(rows: &[&Provenance]) -> Table {
    let mut table = Table::without_headings(4);
    for row in rows {
        table.add_row([
            format!("  {}", row.key),
            row.key.setting().display(&row.value),
            format_source(&row.source),
            if row.binds { "binds".to_owned() } else { String::new() },
        ]);
    }
    table
}

/// Formats times as short as the timeline allows.
struct TimeFormat {
    day: String,
}

impl TimeFormat {
    fn for_timeline(timeline: &Timeline) -> Self {
        let last = timeline.end.as_ref().map_or(timeline.begin, |end| end.at);
        let (first, last) = (timeline.signed_in_at.to_rfc3339(), last.to_rfc3339());
        let same_day = first.get(..10) == last.get(..10);
        Self {
            day: if same_day {
                first.get(..10).unwrap_or_default().to_owned()
            } else {
                String::new()
            },
        }
    }

    /// `08:30:00`, or `2026-11-21 08:30:00` when the timeline is longer than its day.
    fn format(&self, at: Timestamp) -> String {
        let text = format_time(at).replace('T', " ").replace('Z', "");
        match text.strip_prefix(&self.day) {
            Some(rest) if !self.day.is_empty() => rest.trim_start().to_owned(),
            Some(_) | None => text,
        }
    }
}

fn explanation_to_json(revision: i64, explained: &Explanation) -> Value {
    let timeline = &explained.timeline;
    json!({
        "revision": revision,
        "account": explained.account.as_ref().map(|(name, _)| name),
        "role": explained.role.as_str(),
        "applications": explained.applications,
        "factors": explained.proved.map(|proved| json!({
            "proved": proved.proofs.to_json(),
            "required": proved.required.as_str(),
            "duty": proved.duty.map(|duty| duty.as_str()),
        })),
        "device": explained.device.map(|device| json!({
            "hosts": device.hosts,
            "proof_lifetime": device.lifetime.as_secs(),
            "proved_at": device.proved_at.to_rfc3339(),
        })),
        "provider": explained.provider.as_ref().map(|provider| json!({
            "title": provider.title,
            "authenticated_at": time_to_json(provider.authenticated_at),
            "token_expires_at": provider.token_expires_at.to_rfc3339(),
        })),
        "signed_in_at": timeline.signed_in_at.to_rfc3339(),
        "ends": timeline.end.as_ref().map(end_json),
        "followed_until": time_to_json(timeline.followed_until),
        "latest": timeline.latest.as_ref().map(end_json),
        "segments": timeline.segments.iter().map(|segment| json!({
            "from": segment.from.to_rfc3339(),
            "until": segment.until.to_rfc3339(),
            "active": segment.active,
        })).collect::<Vec<_>>(),
        "events": timeline.marks.iter().map(|mark| json!({
            "at": mark.at.to_rfc3339(),
            "kind": mark.kind.as_str(),
            "sentence": mark.sentence,
        })).collect::<Vec<_>>(),
        "others": timeline.others.iter().map(end_json).collect::<Vec<_>>(),
        "values": explained.values.iter().map(|row| json!({
            "key": row.key.name(),
            "value": row.value.to_json(),
            "scope": row.scope.to_string(),
            "source": row.source.to_string(),
            "binds": row.binds,
        })).collect::<Vec<_>>(),
    })
}

fn end_json(end: &TimelineEnd) -> Value {
    json!({
        "at": end.at.to_rfc3339(),
        "reason": end.reason.as_str(),
        "key": end.key.map(|key| key.name()),
        "scope": end.key.map(|_| end.scope.to_string()),
        "sentence": end.sentence,
    })
}
