//! `nightlatch mail …`: what waits to be sent, what was not taken and why, trying again and taking back.

use super::{
    CliError, Done,
    desk::Desk,
    output::{self, JsonList, Output, Table, json_time, or_dash, time},
};
use crate::{
    domain::mail::LetterState,
    flows::{self, rows::OutboxFilter, rows::OutboxLetter},
};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Mail {
    /// List letters, latest first
    List(List),
    /// Have a letter tried again at once
    Retry(One),
    /// Take back a letter that was not sent
    Discard(One),
}

#[derive(Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only letters in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(LetterState::ALL.iter().map(|state| state.as_str())))]
    state: Option<String>,
}

#[derive(Args)]
pub struct One {
    /// Id of a letter, as `mail list` shows it
    id: Uuid,
}

impl Mail {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::List(list) => list.run(desk).await,
            Self::Retry(one) => {
                let again = flows::mail::retry(&desk.ctx, &desk.acting, one.id).await;
                one.say(
                    again,
                    "It is tried again at once.",
                    "it was sent, taken back, is on its way, or its link is gone",
                )
            }
            Self::Discard(one) => {
                let taken_back = flows::mail::discard(&desk.ctx, &desk.acting, one.id).await;
                one.say(taken_back, "Taken back.", "it was sent or taken back before")
            }
        }
    }
}

impl One {
    fn say(&self, done: Result<bool, flows::FlowError>, words: &str, refused: &str) -> Done {
        match done {
            Ok(true) => output::say(words)?,
            Ok(false) => return Err(CliError::refused(format!("letter {}: {refused}", self.id))),
            Err(flows::FlowError::NotFound) => {
                return Err(CliError::refused(format!("there is no letter {}", self.id)));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Letters read at once.
const PAGE: i64 = 500;

impl List {
    async fn run(self, desk: &Desk) -> Done {
        let mut filter = OutboxFilter {
            state: self.state.as_deref().and_then(LetterState::parse),
            limit: PAGE,
            ..OutboxFilter::default()
        };
        let mut json = self.json.then(JsonList::new);
        let mut table = Table::new(&["ID", "QUEUED", "KIND", "TO", "STATE", "ATTEMPTS", "NEXT", "SERVER SAID"]);
        loop {
            let page = flows::mail::list(&desk.ctx, filter.clone()).await?;
            for letter in &page.items {
                match &mut json {
                    Some(list) => list.item(&as_json(letter))?,
                    None => table.row(as_row(letter)),
                }
            }
            filter.after = page.items.last().map(|letter| (letter.queued_at, letter.id));
            if !page.older || filter.after.is_none() {
                break;
            }
        }
        match json {
            Some(list) => list.finish()?,
            None if table.is_empty() => output::say("No letters.")?,
            None => {
                let mut out = Output::new();
                out.table(&table)?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Never what a letter says.
fn as_json(letter: &OutboxLetter) -> Value {
    let waiting = letter.state == LetterState::Queued;
    json!({
        "id": letter.id,
        "kind": letter.kind,
        "recipient": letter.recipient,
        "subject": letter.subject,
        "state": letter.state.as_str(),
        "queued_at": letter.queued_at.to_rfc3339(),
        "attempts": letter.attempts,
        "next_attempt_at": json_time(Some(letter.due_at).filter(|_| waiting)),
        "finished_at": json_time(letter.finished_at),
        "server_said": letter.words,
    })
}

fn as_row(letter: &OutboxLetter) -> [String; 8] {
    let waiting = letter.state == LetterState::Queued;
    [
        letter.id.to_string(),
        time(letter.queued_at),
        letter.kind.clone(),
        letter.recipient.clone(),
        letter.state.as_str().to_owned(),
        letter.attempts.to_string(),
        output::time_or_dash(Some(letter.due_at).filter(|_| waiting)),
        or_dash(Some(&letter.words)),
    ]
}
