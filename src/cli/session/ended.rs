//! `nightlatch session show`, and how the command line prints a session that has ended.

use super::fields::{format_applications, id_parser, session_to_json, session_to_row};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{self, StandardOutput, Table, escape_text, format_time, text_or_dash, time_to_json},
    },
    domain::session::{EndCause, SessionId},
    flows::{
        self,
        sessions::{EndedView, SessionView},
    },
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Args)]
pub struct ShowSession {
    /// Id of the session, from `session list` or the audit log
    #[arg(value_name = "ID", value_parser = id_parser())]
    id: Uuid,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ShowSession {
    /// Prints one session, with the rule that ended it.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let found = flows::sessions::detail(&context.ctx, SessionId(self.id)).await?;
        let view = found
            .ok_or_else(|| CliError::refused(format!("there is no session {}", self.id)))?
            .view;
        if self.json {
            output::print_json(&whole_to_json(&view))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        out.write_table(&facts(&view))?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the JSON of `session list`, with the fields about the end whether or not the session has
/// ended.
pub fn whole_to_json(view: &SessionView) -> Value {
    let mut whole = session_to_json(view);
    let ended = view.ended.as_ref();
    let cause = ended.and_then(|ended| ended.cause.as_ref());
    let more = json!({
        "ended_at": time_to_json(ended.map(|ended| ended.at)),
        "end_reason": ended.and_then(|ended| ended.reason).map(|reason| reason.as_str()),
        "ended_by": ended.and_then(|ended| ended.by.as_ref()),
        "end_sentence": ended.and_then(|ended| ended.sentence(&view.row.account_name)),
        "end_cause": cause.map(EndCause::to_json),
    });
    if let (Some(whole), Value::Object(more)) = (whole.as_object_mut(), more) {
        whole.extend(more);
    }
    whole
}

/// Headings of the list of ended sessions.
pub const HEADINGS: [&str; 9] = [
    "ID",
    "ACCOUNT",
    "SOURCE",
    "IP ADDRESS",
    "SIGNED IN",
    "LAST ACTIVE",
    "ENDED",
    "REASON",
    "WHY",
];

/// Returns the row for a table of ended sessions.
pub fn ended_to_row(view: &SessionView) -> [String; 9] {
    let session = &view.row.session;
    let ended = view.ended.as_ref();
    let reason = ended.and_then(|ended| ended.reason);
    [
        session.id.0.to_string(),
        view.row.account_name.clone(),
        view.source.clone(),
        session.ip.to_string(),
        format_time(session.signed_in_at),
        format_time(view.last_active_at),
        text_or_dash(ended.map(|ended| format_time(ended.at)).as_deref()),
        text_or_dash(reason.map(|reason| reason.as_str())),
        text_or_dash(
            ended
                .and_then(|ended| ended.sentence(&view.row.account_name))
                .as_deref(),
        ),
    ]
}

fn facts(view: &SessionView) -> Table {
    let session = &view.row.session;
    let mut table = Table::without_headings(2);
    let mut add = |name: &str, value: String| table.add_row([name.to_owned(), escape_text(&value)]);
    add("Session", session.id.0.to_string());
    add("Account", view.row.account_name.clone());
    add("Source", view.source.clone());
    add("IP address", session.ip.to_string());
    add(
        "User agent",
        session.binding.user_agent.clone().unwrap_or_else(|| "-".to_owned()),
    );
    add(
        "Applications",
        format_applications(view).unwrap_or_else(|| "-".to_owned()),
    );
    add("Signed in", session.signed_in_at.to_rfc3339());
    add("Proved", session.proofs.display());
    for key in &session.devices {
        let host = if key.host.is_empty() { "Nightlatch" } else { &key.host };
        let proved_at = key.proved_at.to_rfc3339();
        add(
            "Device",
            format!("bound on {host}, key {}, proved {proved_at}", key.thumbprint),
        );
    }
    add("Last active", view.last_active_at.to_rfc3339());
    match &view.ended {
        Some(ended) => {
            for (name, value) in ended_facts(ended, &view.row.account_name) {
                add(name, value);
            }
        }
        None => {
            let [.., ends, rule, _] = session_to_row(view);
            add("Ends", ends);
            add("Rule", rule);
        }
    }
    table
}

/// Returns what is known about an end: reason, rule, scope, limit, instants and the policy at that
/// time.
fn ended_facts(ended: &EndedView, owner: &str) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Ended", ended.at.to_rfc3339())];
    facts.extend(ended.reason.map(|reason| ("Reason", reason.to_string())));
    facts.extend(ended.sentence(owner).map(|sentence| ("Why", sentence)));
    facts.extend(ended.by.clone().map(|by| ("Ended by", by)));
    let Some(cause) = &ended.cause else {
        return facts;
    };
    facts.extend(cause.setting.map(|setting| ("Setting", setting.name().to_owned())));
    facts.extend(cause.scope.as_ref().map(|scope| ("Scope", scope.to_string())));
    facts.extend(
        cause
            .setting
            .zip(cause.limit.as_ref())
            .map(|(setting, limit)| ("Limit at that time", setting.setting().display(limit))),
    );
    facts.extend(cause.due_at.map(|due| ("Limit reached", due.to_rfc3339())));
    facts.push(("Last activity", cause.last_active_at.to_rfc3339()));
    facts.push(("Policy revision", cause.policy_revision.to_string()));
    facts
}
