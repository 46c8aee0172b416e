//! `nightlatch account import` and `export`: accounts as a CSV file. What its columns mean stands in `domain::roster`.

use crate::{
    cli::{
        CliError, Done,
        desk::Desk,
        output::{self, Output, count, plain},
    },
    domain::{
        roster::{self, Difference, Fault},
        spreadsheet::{self, guarded},
    },
    flows::{
        accounts::{self, Confirmed, ImportFile, ImportPlan, ImportVerdict, Imported, Passwords, Planned, PlannedLine},
        audit::{self, Exported},
    },
    store::accounts::AccountFilter,
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Args)]
#[command(after_help = "\
The first line names the columns, in any order; only name must be there:
  name, display_name, email, role, groups, expires_at, must_change, disabled
What the file leaves out stays as it is; accounts that are not in it are not touched. Passwords are never in a file:
new accounts cannot sign in before somebody resets their password, or get one-time passwords with --one-time, or a letter with a \
link to choose one with --invite.")]
pub struct Import {
    /// The CSV file; - is standard input
    file: PathBuf,
    /// Only say what it would do
    #[arg(long)]
    dry_run: bool,
    /// Make one-time passwords for new accounts and print them, once, as CSV alone on standard output
    #[arg(long)]
    one_time: bool,
    /// Mail each new account a link to choose its password; works once, for 72 hours
    #[arg(long, conflicts_with = "one_time")]
    invite: bool,
    /// Import the lines without faults though others have some
    #[arg(long)]
    good_lines: bool,
    /// Print JSON: {"created":[…],"updated":[…],"unchanged":[…],"faults":[…],"passed_over":[…],"done"}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Export {
    /// Only those in this group
    #[arg(long)]
    group: Option<String>,
}

/// Accounts read at once.
const PAGE: i64 = 500;

/// No file of accounts is larger.
const LARGEST: u64 = 4 * 1024 * 1024;

impl Import {
    pub async fn run(self, desk: &Desk) -> Done {
        let file = ImportFile {
            bytes: read(&self.file)?.into(),
            passwords: match (self.one_time, self.invite) {
                (true, _) => Passwords::OneTime,
                (false, true) => Passwords::Invitation,
                (false, false) => Passwords::Unknown,
            },
        };
        if self.dry_run {
            let plan = accounts::plan_import(&desk.ctx, &desk.acting, file).await?;
            return self.tell(&plan, None);
        }
        let confirmed = Confirmed {
            shown: None,
            good_lines: self.good_lines,
        };
        match accounts::import(&desk.ctx, &desk.acting, file, confirmed).await? {
            ImportVerdict::Refused(plan) => self.tell(&plan, None),
            ImportVerdict::Done(done) => {
                if done.created.iter().any(|(_, password)| password.is_some()) {
                    // The setup link is over once somebody can sign in.
                    let first = crate::flows::setup::close(&desk.ctx, &desk.acting).await?;
                    super::advise(desk, first).await?;
                }
                self.tell(&done.plan, Some(&done))
            }
        }
    }

    /// What it would do, or has done. Faults that kept anything from being done are the command's failure.
    fn tell(&self, plan: &ImportPlan, done: Option<&Imported>) -> Done {
        if self.json {
            output::say_json(&as_json(plan, done))?;
        } else if done.is_some() || self.dry_run {
            let words = summary(plan, done);
            match done {
                Some(done) if self.one_time => {
                    output::note(&words);
                    hand_over(done)?;
                }
                Some(_) | None => tell_lines(plan, done.is_none(), &words)?,
            }
        }
        match (done, plan.faults.is_empty()) {
            (Some(_), false) => {
                for fault in &plan.faults {
                    output::warn(&format!("left out: {}", plain(&fault.to_string())));
                }
                Ok(ExitCode::SUCCESS)
            }
            (_, true) => Ok(ExitCode::SUCCESS),
            (None, false) => {
                let faults = plan.faults.iter().map(|fault| plain(&fault.to_string()));
                Err(CliError::Faults(faults.collect()))
            }
        }
    }
}

impl Export {
    pub async fn run(self, desk: &Desk) -> Done {
        let narrowed = serde_json::json!({ "group": self.group });
        audit::exported(&desk.ctx, &desk.acting, Exported::Accounts, narrowed, "csv").await?;
        let mut out = Output::new();
        out.bytes(roster::head().as_bytes())?;
        let mut next = Some(AccountFilter {
            group: self.group,
            limit: PAGE,
            ..AccountFilter::default()
        });
        while let Some(filter) = next {
            let (entries, following) = accounts::export(&desk.ctx, filter).await?;
            for entry in entries {
                out.bytes(entry.record().as_bytes())?;
            }
            next = following;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let cannot = |why: String| CliError::refused(format!("{}: {why}", plain(&path.display().to_string())));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| cannot(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(cannot("too large for a file of accounts".to_owned()));
    }
    Ok(bytes)
}

/// Names and one-time passwords, the only time that anybody sees them: here even a reader that went away is a failure.
fn hand_over(done: &Imported) -> Result<(), CliError> {
    let mut out = Output::new();
    let mut print = || -> io::Result<()> {
        out.bytes(spreadsheet::record(["name", "one_time_password"].map(Cow::Borrowed)).as_bytes())?;
        for (name, password) in &done.created {
            let password = password.as_ref().map_or("", |password| password.expose());
            out.bytes(spreadsheet::record([guarded(name), guarded(password)]).as_bytes())?;
        }
        Ok(())
    };
    let printed = print().and_then(|()| out.finish());
    printed.map_err(|error| {
        let again = "make others with `nightlatch account reset-password NAME --one-time`";
        CliError::refused(format!(
            "the one-time passwords could not be printed ({error}): {again}"
        ))
    })
}

fn summary(plan: &ImportPlan, done: Option<&Imported>) -> String {
    let (created, changed, unchanged) = plan.counts();
    let accounts = |number| count(number, "account", "accounts");
    match done {
        Some(done) => {
            let ended = match done.ended {
                0 => String::new(),
                ended => format!(" Ended {}.", count(ended, "session", "sessions")),
            };
            format!(
                "Created {}, changed {changed}, left {unchanged} as they were.{ended}",
                accounts(created)
            )
        }
        None => format!(
            "Would create {}, change {changed}, leave {unchanged} as they are.",
            accounts(created)
        ),
    }
}

fn tell_lines(plan: &ImportPlan, would: bool, words: &str) -> io::Result<()> {
    let mut out = Output::new();
    out.line(words)?;
    for line in plan.lines.iter().filter(|_| would) {
        match &line.what {
            Planned::Create(entry) => out.line(&format!(
                "  line {}: create {} ({})",
                line.number,
                plain(&line.name),
                entry.role.as_str()
            ))?,
            Planned::Update(_, differences) => {
                out.line(&format!("  line {}: change {}", line.number, plain(&line.name)))?;
                for Difference { column, old, new } in differences {
                    out.line(&format!("    {}: {} → {}", column.name(), shown(old), shown(new)))?;
                }
            }
            Planned::Unchanged => {}
        }
    }
    if !plan.passed_over.is_empty() {
        out.line(&format!("Columns passed over: {}", plan.passed_over.join(", ")))?;
    }
    out.finish()
}

fn shown(cell: &str) -> String {
    if cell.is_empty() {
        "none".to_owned()
    } else {
        plain(cell)
    }
}

fn as_json(plan: &ImportPlan, done: Option<&Imported>) -> Value {
    let passwords: BTreeMap<&str, &str> = done
        .iter()
        .flat_map(|done| &done.created)
        .filter_map(|(name, password)| Some((name.as_str(), password.as_ref()?.expose())))
        .collect();
    let of = |line: &PlannedLine| json!({ "line": line.number, "name": line.name });
    let (mut created, mut updated, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    for line in &plan.lines {
        let mut told = of(line);
        match &line.what {
            Planned::Create(_) => {
                if let Some(password) = passwords.get(line.name.as_str()) {
                    told["one_time_password"] = json!(password);
                }
                created.push(told);
            }
            Planned::Update(_, differences) => {
                for difference in differences {
                    told["changes"][difference.column.name()] = json!({ "old": difference.old, "new": difference.new });
                }
                updated.push(told);
            }
            Planned::Unchanged => unchanged.push(told),
        }
    }
    let fault = |fault: &Fault| json!({ "line": fault.line, "column": fault.column, "message": fault.message });
    json!({
        "created": created,
        "updated": updated,
        "unchanged": unchanged,
        "faults": plan.faults.iter().map(fault).collect::<Vec<_>>(),
        "passed_over": plan.passed_over,
        "done": done.is_some(),
    })
}
