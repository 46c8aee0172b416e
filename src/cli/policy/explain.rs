//! `nightlatch policy explain`: a timeline of which rule ends a session when, and where every value comes from.

use super::{current, from};
use crate::{
    cli::{
        CliError, Done,
        desk::Desk,
        output::{self, Output, Table, json_time, plain},
    },
    domain::{
        account::Role,
        session::{AccountState, SessionId},
        simulate::explain::{Ending, Provenance, Timeline, Typed},
        time::Timestamp,
    },
    flows::explain::{self, ExplainVerdict, Explained, Who},
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

const EXAMPLES: &str = "\
Times are UTC: 08:00, or 2026-11-21 08:00. A time of day is the first one that is not over yet.

  nightlatch policy explain --role member --signed-in 08:00 --active 08:00-10:30 --pause 09:00-09:40
  nightlatch policy explain --account ada --application wiki@09:00 --move 09:30=203.0.113.7
  nightlatch policy explain --session 0193…: why that session ends when it does";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// A session of this account
    #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "session"])]
    account: Option<String>,
    /// A session of anybody with this role: member or administrator [default: member]
    #[arg(long, value_parser = role, conflicts_with = "session")]
    role: Option<Role>,
    /// A real session, from its own facts on
    #[arg(long, value_name = "ID", conflicts_with_all = ["signed_in", "ip", "user_agent"])]
    session: Option<Uuid>,
    /// An application that it enters, at once or later: NAME or NAME@TIME (may be repeated)
    #[arg(long, value_name = "APPLICATION")]
    application: Vec<String>,
    /// When it signs in
    #[arg(long, value_name = "TIME", default_value = "08:00")]
    signed_in: String,
    /// When there is activity: 08:00-10:30, or a time for one request (may be repeated)
    #[arg(long, value_name = "FROM-TO")]
    active: Vec<String>,
    /// From one request to the next
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    every: String,
    /// What the requests are: pages, requests (of scripts), input or background
    #[arg(long, value_name = "WORD", default_value = "pages")]
    doing: String,
    /// Path of the requests
    #[arg(long, default_value = "/")]
    path: String,
    /// A pause in the activity (may be repeated)
    #[arg(long, value_name = "FROM-TO")]
    pause: Vec<String>,
    /// A window with the page guard stays open until then
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// From then on requests come from that address, or with that user agent (may be repeated)
    #[arg(long = "move", value_name = "TIME=IP")]
    moves: Vec<String>,
    /// Address of the sign-in [default: one of documentation]
    #[arg(long, value_name = "IP")]
    ip: Option<String>,
    /// User agent of the sign-in [default: a Firefox]
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Print JSON: {"revision","account","role","applications","signed_in_at","ends","followed_until","latest","segments","events","others","values"}
    #[arg(long)]
    json: bool,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "it is member or administrator".to_owned())
}

impl Explain {
    pub async fn run(self, desk: &Desk) -> Done {
        let who = match (self.session, &self.account) {
            (Some(id), _) => Who::Session(SessionId(id)),
            (None, Some(name)) => Who::Account(name.clone()),
            (None, None) => Who::Role(self.role.unwrap_or(Role::Member)),
        };
        let json = self.json;
        let (revision, policy) = current(desk).await?;
        let refused = match explain::explain(&desk.ctx, &policy, &who, &self.typed()).await? {
            ExplainVerdict::Explained(explained) => {
                if json {
                    output::say_json(&as_json(revision.revision, &explained))?;
                } else {
                    tell(&explained)?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            ExplainVerdict::NoAccount => "there is no account of that name".to_owned(),
            ExplainVerdict::NoSession => "there is no such session".to_owned(),
            ExplainVerdict::Over { account, at, reason } => {
                let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!("that session of {} ended {}{why}", plain(&account), output::time(at))
            }
            ExplainVerdict::Faulty(faults) => {
                let faults = faults
                    .into_iter()
                    .map(|(field, why)| plain(&format!("--{}: {why}", flag(field))));
                return Err(CliError::Faults(faults.collect()));
            }
        };
        Err(CliError::refused(refused))
    }

    fn typed(self) -> Typed {
        Typed {
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

/// The option of a field.
fn flag(field: &str) -> &str {
    match field {
        "app" => "application",
        "signed_in" => "signed-in",
        field => field,
    }
}

fn tell(explained: &Explained) -> Result<(), CliError> {
    let timeline = &explained.timeline;
    let clock = Clock::of(timeline);
    let mut out = Output::new();
    out.line(&headline(explained))?;
    out.line(&format!("\n{}\n", bar(timeline, &clock)))?;
    let mut events = Table::plain(2);
    for mark in timeline
        .marks
        .iter()
        .filter(|mark| timeline.end.as_ref().is_none_or(|end| mark.at <= end.at))
    {
        events.row([format!("  {}", clock.read(mark.at)), mark.sentence.clone()]);
    }
    match (&timeline.end, timeline.followed_until) {
        (Some(end), _) => events.row([format!("  {}", clock.read(end.at)), format!("Ends: {}", ending(end))]),
        (None, Some(at)) => events.row([
            format!("  {}", clock.read(at)),
            "Followed this far only: too many requests.".to_owned(),
        ]),
        (None, None) => events.row(["  never".to_owned(), "Nothing ends it.".to_owned()]),
    }
    for mark in timeline
        .marks
        .iter()
        .filter(|mark| timeline.end.as_ref().is_some_and(|end| mark.at > end.at))
    {
        events.row([format!("  {}", clock.read(mark.at)), mark.sentence.clone()]);
    }
    out.table(&events)?;
    if let Some(latest) = timeline
        .latest
        .as_ref()
        .filter(|latest| timeline.end.as_ref() != Some(latest))
    {
        out.line(&format!(
            "\nHowever active, it ends {} at the latest: {}",
            clock.read(latest.at),
            ending(latest)
        ))?;
    }
    let (set, defaults): (Vec<_>, Vec<_>) = explained.values.iter().partition(|value| !value.is_default());
    out.line("\nValues that somebody set")?;
    out.table(&values(&set))?;
    out.line("\nValues that are the defaults")?;
    out.table(&values(&defaults))?;
    Ok(out.finish()?)
}

fn headline(explained: &Explained) -> String {
    let role = explained.role.as_str();
    let who = match &explained.account {
        Some((name, AccountState::Enabled)) => format!("{} ({role})", plain(name)),
        Some((name, AccountState::Disabled)) => format!("{} ({role}; disabled, so it cannot sign in)", plain(name)),
        Some((name, AccountState::Expired)) => format!("{} ({role}; expired, so it cannot sign in)", plain(name)),
        None => format!("any {role}"),
    };
    let applications = match explained.applications.as_slice() {
        [] => String::new(),
        names => format!(", in {}", plain(&names.join(", "))),
    };
    let signed_in = output::time(explained.timeline.signed_in_at);
    format!("Session of {who}{applications}, signed in {signed_in}")
}

/// `idle, everyone. No activity for 30 minutes. [auth.idle_session_timeout]`
fn ending(end: &Ending) -> String {
    match end.key {
        Some(key) => format!("{} ({}, {key}). {}", end.reason, end.scope, end.sentence),
        None => format!("{}. {}", end.reason, end.sentence),
    }
}

/// Active and quiet stretches in a line of sixty cells.
fn bar(timeline: &Timeline, clock: &Clock) -> String {
    const CELLS: i64 = 60;
    let (Some(first), Some(last)) = (timeline.segments.first(), timeline.segments.last()) else {
        return format!("  {}", clock.read(timeline.begin));
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
    format!("  {} {cells} {}", clock.read(first.from), clock.read(last.until))
}

fn values(rows: &[&Provenance]) -> Table {
    let mut table = Table::plain(4);
    for row in rows {
        table.row([
            format!("  {}", row.key),
            row.key.setting().display(&row.value),
            from(&row.source),
            if row.binds { "binds".to_owned() } else { String::new() },
        ]);
    }
    table
}

/// Writes times as short as the timeline allows.
struct Clock {
    day: String,
}

impl Clock {
    fn of(timeline: &Timeline) -> Self {
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
    fn read(&self, at: Timestamp) -> String {
        let text = output::time(at).replace('T', " ").replace('Z', "");
        match text.strip_prefix(&self.day) {
            Some(rest) if !self.day.is_empty() => rest.trim_start().to_owned(),
            Some(_) | None => text,
        }
    }
}

fn as_json(revision: i64, explained: &Explained) -> Value {
    let timeline = &explained.timeline;
    json!({
        "revision": revision,
        "account": explained.account.as_ref().map(|(name, _)| name),
        "role": explained.role.as_str(),
        "applications": explained.applications,
        "signed_in_at": timeline.signed_in_at.to_rfc3339(),
        "ends": timeline.end.as_ref().map(end_json),
        "followed_until": json_time(timeline.followed_until),
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

fn end_json(end: &Ending) -> Value {
    json!({
        "at": end.at.to_rfc3339(),
        "reason": end.reason.as_str(),
        "key": end.key.map(|key| key.name()),
        "scope": end.key.map(|_| end.scope.to_string()),
        "sentence": end.sentence,
    })
}
