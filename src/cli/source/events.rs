//! `nightlatch source poll`, and the state of security events in `source show`.

use super::{outcome::unknown_source, secrets::secret_state};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{self, escape_text, format_count, format_time_or_dash, text_or_dash},
    },
    domain::{source::SourceKind, time::Timestamp},
    flows::{
        FlowError,
        security_events::{EventCounts, EventPollOutcome, poll_now},
        sources::SourceView,
    },
};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
#[command(after_help = "The server does this by itself at the interval of the source (events_every).")]
pub struct PollSource {
    /// Name of the source, which must be an identity provider with an events_url
    name: String,
    /// Print JSON: {"received","refused","ended","fault"}
    #[arg(long)]
    json: bool,
}

impl PollSource {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let name = escape_text(&self.name);
        let outcome = poll_now(&context.ctx, &self.name).await.map_err(|error| match error {
            FlowError::NotFound => unknown_source(&self.name),
            other => other.into(),
        })?;
        let (counts, fault) = match outcome {
            EventPollOutcome::NoStream => {
                return Err(CliError::refused(format!(
                    "{name} has no events_url: no security events are polled"
                )));
            }
            EventPollOutcome::Done(counts) => (counts, None),
            EventPollOutcome::Down { fault, counts } => (counts, Some(fault.to_string())),
        };
        let EventCounts {
            received,
            refused,
            ended,
        } = counts;
        if self.json {
            output::print_json(&json!({ "received": received, "refused": refused, "ended": ended, "fault": fault }))?;
        } else {
            let counted = format!(
                "{} received, {refused} of them refused; {} ended",
                format_count(received, "event", "events"),
                format_count(ended, "session", "sessions"),
            );
            output::print_line(&match &fault {
                Some(fault) => format!("The provider cannot be asked: {}. {counted}.", escape_text(fault)),
                None => counted,
            })?;
        }
        Ok(match fault {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        })
    }
}

/// Returns the lines of `source show` about security events; none for directories.
pub fn facts(view: &SourceView) -> Vec<(&'static str, String)> {
    if view.source.kind() != SourceKind::Oidc {
        return Vec::new();
    }
    let token = secret_state(view.has_events_token, view.is_events_token_lost);
    vec![
        ("Events token", token.to_owned()),
        ("Events polled", format_time_or_dash(view.events.polled_at)),
        ("Events received", view.events.received.to_string()),
        ("Events fault since", format_time_or_dash(view.events.fault_at)),
        ("Events fault", text_or_dash(view.events.fault.as_deref())),
    ]
}

/// Returns the member `events` of a source's JSON; null for directories.
pub fn state_to_json(view: &SourceView) -> serde_json::Value {
    if view.source.kind() != SourceKind::Oidc {
        return serde_json::Value::Null;
    }
    json!({
        "has_token": view.has_events_token,
        "token_lost": view.is_events_token_lost,
        "last_poll_at": view.events.polled_at.map(Timestamp::to_rfc3339),
        "received": view.events.received,
        "fault_since": view.events.fault_at.map(Timestamp::to_rfc3339),
        "last_fault": view.events.fault,
    })
}
