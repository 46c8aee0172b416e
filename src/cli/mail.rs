//! `nightlatch mail …`: lists queued, sent and failed emails, retries and cancels them.

use super::{
    context::CommandContext,
    error::{CliError, CommandResult},
    output::{self, ListPrinter, format_time, format_time_or_dash, text_or_dash, time_to_json},
};
use crate::{
    domain::mail::{EmailFilter, EmailState, OutboxEmail},
    flows::{self, FlowError},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

/// Emails per database query.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum MailCommand {
    /// List emails, latest first
    List(ListEmails),
    /// Retry an email immediately
    Retry(EmailId),
    /// Cancel an email that was not sent
    Discard(EmailId),
}

#[derive(Args)]
pub struct ListEmails {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only emails in this state
    #[arg(long, value_name = "STATE", value_parser = state_parser())]
    state: Option<EmailState>,
}

#[derive(Args)]
pub struct EmailId {
    /// Id of an email, from `mail list`
    id: Uuid,
}

fn state_parser() -> impl TypedValueParser<Value = EmailState> {
    PossibleValuesParser::new(EmailState::ALL.iter().map(|state| state.as_str()))
        .try_map(|word| EmailState::parse(&word).ok_or("unknown state"))
}

impl MailCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::List(list) => list.run(context).await,
            Self::Retry(email) => {
                let retried = flows::mail::retry(&context.ctx, &context.initiator, email.id).await;
                email.report(
                    retried,
                    "The email is being retried.",
                    "it was sent, is being sent, was cancelled, or its link has expired",
                )
            }
            Self::Discard(email) => {
                let cancelled = flows::mail::discard(&context.ctx, &context.initiator, email.id).await;
                email.report(cancelled, "Cancelled.", "it was already sent or cancelled")
            }
        }
    }
}

impl EmailId {
    fn report(&self, done: Result<bool, FlowError>, success: &str, refused: &str) -> CommandResult {
        match done {
            Ok(true) => output::print_line(success)?,
            Ok(false) => return Err(CliError::refused(format!("email {}: {refused}", self.id))),
            Err(FlowError::NotFound) => {
                return Err(CliError::refused(format!("there is no email {}", self.id)));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ListEmails {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let mut filter = EmailFilter {
            state: self.state,
            limit: PAGE,
            ..EmailFilter::default()
        };
        let headings = [
            "ID",
            "QUEUED",
            "KIND",
            "TO",
            "STATE",
            "ATTEMPTS",
            "NEXT ATTEMPT",
            "SERVER RESPONSE",
        ];
        let mut list = ListPrinter::new(self.json, &headings);
        loop {
            let page = flows::mail::list(&context.ctx, filter.clone()).await?;
            for email in &page.items {
                list.add(|| email_to_json(email), || email_to_row(email))?;
            }
            filter.after = page.items.last().map(|email| (email.queued_at, email.id));
            if !page.older || filter.after.is_none() {
                break;
            }
        }
        list.finish("No emails.")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Converts an email without its text, which may have a secret link.
fn email_to_json(email: &OutboxEmail) -> Value {
    let is_queued = email.state == EmailState::Queued;
    json!({
        "id": email.id,
        "kind": email.kind,
        "recipient": email.recipient,
        "subject": email.subject,
        "state": email.state.as_str(),
        "queued_at": email.queued_at.to_rfc3339(),
        "attempts": email.attempts,
        "next_attempt_at": time_to_json(Some(email.due_at).filter(|_| is_queued)),
        "finished_at": time_to_json(email.finished_at),
        "server_said": email.words,
    })
}

fn email_to_row(email: &OutboxEmail) -> [String; 8] {
    let is_queued = email.state == EmailState::Queued;
    [
        email.id.to_string(),
        format_time(email.queued_at),
        email.kind.clone(),
        email.recipient.clone(),
        email.state.as_str().to_owned(),
        email.attempts.to_string(),
        format_time_or_dash(Some(email.due_at).filter(|_| is_queued)),
        text_or_dash(Some(&email.words)),
    ]
}
