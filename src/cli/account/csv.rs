//! `nightlatch account import` and `export`: accounts as a CSV file. `domain::account_csv` defines
//! the columns.

use super::{act::EndedCount, advice::print_advice};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, StandardOutput, escape_text, format_count},
    },
    domain::{
        account::AccountFilter,
        account_csv::{self, AccountCsvFault, Difference},
        spreadsheet::{self, guarded},
    },
    flows::{
        self,
        accounts::{
            self, ImportConfirmation, ImportFile, ImportOutcome, ImportPlan, ImportedAccounts, Passwords,
            PlannedChange, PlannedLine,
        },
        audit::{self, ExportedList},
    },
};
use clap::Args;
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeMap, io, path::PathBuf, process::ExitCode};

#[derive(Args)]
#[command(after_help = "\
The first line names the columns, in any order; only name must be there:
  name, display_name, email, role, groups, expires_at, must_change, disabled
Columns that the file leaves out stay unchanged, and so do accounts that are not in it. Passwords are never in a file:
new accounts cannot sign in until their password is reset, or they get one-time passwords (--one-time) or an email with \
a link to choose a password (--invite).")]
pub struct ImportAccounts {
    /// The CSV file; - is standard input
    file: PathBuf,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// Generate one-time passwords for new accounts and print them once, as CSV, alone on standard
    /// output
    #[arg(long)]
    one_time: bool,
    /// Mail each new account a link to choose its password; it works once, for 72 hours
    #[arg(long, conflicts_with = "one_time")]
    invite: bool,
    /// Import the valid lines even if others have faults
    #[arg(long)]
    good_lines: bool,
    /// Print JSON:
    /// {"created":[…],"updated":[…],"unchanged":[…],"faults":[…],"passed_over":[…],"done"}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ExportAccounts {
    /// Only accounts in this group
    #[arg(long)]
    group: Option<String>,
    /// Begin with a byte order mark, for spreadsheets that need one
    #[arg(long)]
    bom: bool,
}

/// Accounts per database query.
const PAGE: i64 = 500;

impl ImportAccounts {
    /// Imports the file, or only prints what would change.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let file = ImportFile {
            bytes: input::read_file(&self.file, "a file of accounts")?.into(),
            passwords: match (self.one_time, self.invite) {
                (true, _) => Passwords::OneTime,
                (false, true) => Passwords::Invitation,
                (false, false) => Passwords::Unknown,
            },
        };
        if self.dry_run {
            let plan = accounts::plan_import(&context.ctx, &context.initiator, file).await?;
            return self.print(&plan, None);
        }
        let confirmed = ImportConfirmation {
            shown: None,
            good_lines: self.good_lines,
        };
        match accounts::import(&context.ctx, &context.initiator, file, confirmed).await? {
            ImportOutcome::Refused(plan) => self.print(&plan, None),
            ImportOutcome::Done(done) => {
                if done.created.iter().any(|(_, password)| password.is_some()) {
                    // The setup link expires once someone can sign in.
                    let first = flows::setup::close(&context.ctx, &context.initiator).await?;
                    print_advice(context, first).await?;
                }
                self.print(&done.plan, Some(&done))
            }
        }
    }

    /// Prints what would change, or what was done. Faults that prevented the import are the
    /// command's failure.
    fn print(&self, plan: &ImportPlan, done: Option<&ImportedAccounts>) -> CommandResult {
        if self.json {
            output::print_json(&import_to_json(plan, done))?;
        } else if done.is_some() || self.dry_run {
            let summary = format_summary(plan, done);
            match done {
                Some(done) if self.one_time => {
                    output::print_message(&summary);
                    print_one_time_passwords(done)?;
                }
                Some(_) | None => print_lines(plan, done.is_none(), &summary)?,
            }
        }
        match (done, plan.faults.is_empty()) {
            (Some(_), false) => {
                for fault in &plan.faults {
                    output::print_warning(&format!("skipped: {}", escape_text(&fault.to_string())));
                }
                Ok(ExitCode::SUCCESS)
            }
            (_, true) => Ok(ExitCode::SUCCESS),
            (None, false) => {
                let faults = plan.faults.iter().map(|fault| escape_text(&fault.to_string()));
                Err(CliError::Faults(faults.collect()))
            }
        }
    }
}

impl ExportAccounts {
    /// Prints the accounts. The export is recorded in the audit log.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let filter_detail = json!({ "group": self.group });
        audit::record_export(
            &context.ctx,
            &context.initiator,
            ExportedList::Accounts,
            filter_detail,
            "csv",
        )
        .await?;
        let mut out = StandardOutput::new();
        if self.bom {
            out.write_bytes(spreadsheet::BYTE_ORDER_MARK.as_bytes())?;
        }
        out.write_bytes(account_csv::head().as_bytes())?;
        let mut next = Some(AccountFilter {
            group: self.group,
            limit: PAGE,
            ..AccountFilter::default()
        });
        while let Some(filter) = next {
            let (entries, following) = accounts::export(&context.ctx, filter).await?;
            for entry in entries {
                out.write_bytes(entry.record().as_bytes())?;
            }
            next = following;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints names and one-time passwords. They are shown only this once, so a closed pipe is an error
/// here.
fn print_one_time_passwords(done: &ImportedAccounts) -> Result<(), CliError> {
    let mut out = StandardOutput::new();
    let mut print = || -> io::Result<()> {
        out.write_bytes(spreadsheet::record(["name", "one_time_password"].map(Cow::Borrowed)).as_bytes())?;
        for (name, password) in &done.created {
            let password = password.as_ref().map_or("", |password| password.expose());
            out.write_bytes(spreadsheet::record([guarded(name), guarded(password)]).as_bytes())?;
        }
        Ok(())
    };
    let printed = print().and_then(|()| out.finish());
    printed.map_err(|error| {
        let again = "generate others with `nightlatch account reset-password NAME --one-time`";
        CliError::refused(format!(
            "the one-time passwords could not be printed ({error}): {again}"
        ))
    })
}

fn format_summary(plan: &ImportPlan, done: Option<&ImportedAccounts>) -> String {
    let (created, changed, unchanged) = plan.counts();
    let accounts = |number| format_count(number, "account", "accounts");
    match done {
        Some(done) => {
            format!(
                "Created {}, changed {changed}, {unchanged} unchanged.{}",
                accounts(created),
                EndedCount(done.ended)
            )
        }
        None => format!(
            "Would create {}, change {changed}, {unchanged} unchanged.",
            accounts(created)
        ),
    }
}

fn print_lines(plan: &ImportPlan, dry_run: bool, summary: &str) -> io::Result<()> {
    let mut out = StandardOutput::new();
    out.write_line(summary)?;
    for line in plan.lines.iter().filter(|_| dry_run) {
        match &line.what {
            PlannedChange::Create(entry) => out.write_line(&format!(
                "  line {}: create {} ({}){}",
                line.number,
                escape_text(&line.name),
                entry.role.as_str(),
                entry
                    .expires_at
                    .map(|at| format!(", expires at {}", at.to_rfc3339()))
                    .unwrap_or_default()
            ))?,
            PlannedChange::Update(_, differences) => {
                out.write_line(&format!("  line {}: change {}", line.number, escape_text(&line.name)))?;
                for Difference { column, old, new } in differences {
                    out.write_line(&format!(
                        "    {}: {} → {}",
                        column.name(),
                        format_cell(old),
                        format_cell(new)
                    ))?;
                }
            }
            PlannedChange::Unchanged => {}
        }
    }
    if !plan.passed_over.is_empty() {
        out.write_line(&format!("Ignored (read-only columns): {}", plan.passed_over.join(", ")))?;
    }
    out.finish()
}

fn format_cell(cell: &str) -> String {
    if cell.is_empty() {
        "none".to_owned()
    } else {
        escape_text(cell)
    }
}

fn import_to_json(plan: &ImportPlan, done: Option<&ImportedAccounts>) -> Value {
    let passwords: BTreeMap<&str, &str> = done
        .iter()
        .flat_map(|done| &done.created)
        .filter_map(|(name, password)| Some((name.as_str(), password.as_ref()?.expose())))
        .collect();
    let line_to_json = |line: &PlannedLine| json!({ "line": line.number, "name": line.name });
    let (mut created, mut updated, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    for line in &plan.lines {
        let mut item = line_to_json(line);
        match &line.what {
            PlannedChange::Create(_) => {
                if let Some(password) = passwords.get(line.name.as_str()) {
                    item["one_time_password"] = json!(password);
                }
                created.push(item);
            }
            PlannedChange::Update(_, differences) => {
                for difference in differences {
                    item["changes"][difference.column.name()] = json!({ "old": difference.old, "new": difference.new });
                }
                updated.push(item);
            }
            PlannedChange::Unchanged => unchanged.push(item),
        }
    }
    let fault =
        |fault: &AccountCsvFault| json!({ "line": fault.line, "column": fault.column, "message": fault.message });
    json!({
        "created": created,
        "updated": updated,
        "unchanged": unchanged,
        "faults": plan.faults.iter().map(fault).collect::<Vec<_>>(),
        "passed_over": plan.passed_over,
        "done": done.is_some(),
    })
}
