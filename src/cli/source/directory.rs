//! `nightlatch source test` and `sync`.

use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{self, StandardOutput, Table, escape_text, format_count},
    },
    flows::{
        FlowError,
        source_sync::{SyncOutcome, sync_now},
        source_test::{SourceTest, test_source},
    },
};
use clap::Args;
use serde_json::json;
use std::{process::ExitCode, time::Duration};

/// Maximum time of the test of a directory.
const MAX_TEST_TIME: Duration = Duration::from_secs(10 * 60);

#[derive(Args)]
#[command(after_help = "No user's password is needed, and nothing is changed. The exit status is 1 if a step fails.")]
pub struct TestSource {
    /// Name of the source
    name: String,
    /// Username of a person, only for a directory: also looks up this person and shows what the
    /// rules grant
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Print JSON: {"steps":[{"step","milliseconds","found","fault","remedy"}],
    /// "administrators":[…],"sampled"}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "The server does this by itself at the interval of the source (sync_every).")]
pub struct SyncSource {
    /// Name of the source, which must be a directory
    name: String,
    /// Print JSON: {"compared","changed","ended","fault"}
    #[arg(long)]
    json: bool,
}

fn no_directory(name: &str) -> CliError {
    CliError::refused(format!("{} is no directory", escape_text(name)))
}

fn not_found(name: &str, error: FlowError) -> CliError {
    match error {
        FlowError::NotFound => CliError::refused(format!("there is no source named {}", escape_text(name))),
        other => other.into(),
    }
}

impl TestSource {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let tested = test_source(&context.ctx, &self.name, self.account.as_deref(), MAX_TEST_TIME).await;
        let test = tested.map_err(|error| not_found(&self.name, error))?;
        if self.json {
            output::print_json(&test_to_json(&test))?;
        } else {
            print_test(&test)?;
        }
        Ok(if test.is_passed() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn print_test(test: &SourceTest) -> std::io::Result<()> {
    let mut table = Table::new(&["STEP", "TIME", "RESULT"]);
    for step in &test.steps {
        let result = match &step.result {
            Ok(found) if found.is_empty() => "ok".to_owned(),
            Ok(found) => format!("ok: {found}"),
            Err(fault) => match &step.remedy {
                Some(remedy) => format!("FAILED: {fault}. {remedy}"),
                None => format!("FAILED: {fault}"),
            },
        };
        table.add_row([step.step.to_owned(), format_took(step.took), result]);
    }
    let mut out = StandardOutput::new();
    out.write_table(&table)?;
    if !test.administrators.is_empty() {
        let names: Vec<String> = test.administrators.iter().map(|name| escape_text(name)).collect();
        out.write_line(&format!("Administrators in the sample: {}", names.join(", ")))?;
    }
    out.finish()
}

/// Formats a duration with a unit that fits.
fn format_took(took: Duration) -> String {
    match took.as_millis() {
        0 => "< 1 ms".to_owned(),
        millis => format!("{millis} ms"),
    }
}

fn test_to_json(test: &SourceTest) -> serde_json::Value {
    let steps = test.steps.iter().map(|step| {
        json!({
            "step": step.step,
            "milliseconds": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
            "found": step.result.as_ref().ok(),
            "fault": step.result.as_ref().err(),
            "remedy": step.remedy,
        })
    });
    json!({
        "steps": steps.collect::<Vec<_>>(), "administrators": test.administrators, "sampled": test.sampled,
    })
}

impl SyncSource {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let outcome = sync_now(&context.ctx, &self.name).await;
        let (json, text, code) = match outcome.map_err(|error| not_found(&self.name, error))? {
            SyncOutcome::NoDirectory => return Err(no_directory(&self.name)),
            SyncOutcome::Done(counts) => (
                json!({
                    "compared": counts.compared, "changed": counts.changed, "ended": counts.ended, "fault": null,
                }),
                format!(
                    "{} with live sessions compared, {} changed, {} ended",
                    format_count(counts.compared, "account", "accounts"),
                    format_count(counts.changed, "account", "accounts"),
                    format_count(counts.ended, "session", "sessions"),
                ),
                ExitCode::SUCCESS,
            ),
            SyncOutcome::Down { fault, ended } => (
                json!({ "compared": 0, "changed": 0, "ended": ended, "fault": fault.to_string() }),
                format!(
                    "The directory cannot be asked: {}. {} ended.",
                    escape_text(&fault.to_string()),
                    format_count(ended, "session", "sessions"),
                ),
                ExitCode::FAILURE,
            ),
        };
        if self.json {
            output::print_json(&json)?;
        } else {
            output::print_line(&text)?;
        }
        Ok(code)
    }
}
