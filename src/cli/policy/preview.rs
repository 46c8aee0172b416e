//! `nightlatch policy preview`: what a change would do to the sessions that are live now and, with `--replay`, what it would
//! have done in the last days. Saves nothing.

use super::{
    Desk, Done,
    change::{self, checked, pairs},
    current, formats,
    import::read,
};
use crate::{
    cli::{
        CliError,
        output::{self, Output, Table, plain, time},
    },
    domain::{
        agent,
        policy::{
            PolicyDocument, Scope,
            interchange::{self, Format},
        },
        simulate::{
            preview::{Affected, Ends, Listing, Viewer},
            replay::{Report, Shortened},
        },
    },
    flows::{
        preview::{self, Effect},
        replay::{self, Days},
    },
};
use clap::Args;
use std::{io, path::Path, process::ExitCode};

#[derive(Args)]
#[command(
    override_usage = "nightlatch policy preview [OPTIONS] FILE\n       nightlatch policy preview [OPTIONS] KEY=VALUE…",
    after_help = "\
For example: nightlatch policy preview auth.idle_session_timeout=15m --scope administrators --replay 7d"
)]
pub struct Preview {
    /// A policy's file (- is standard input), or KEY=VALUE as often as needed
    #[arg(required = true, value_name = "FILE|KEY=VALUE", allow_negative_numbers = true)]
    what: Vec<String>,
    /// For whom KEY=VALUE is meant: everyone, administrators or app:NAME
    #[arg(long, default_value = "everyone")]
    scope: Scope,
    /// Format of the file [default: by its name and content]
    #[arg(long, value_parser = formats(&Format::ALL))]
    format: Option<Format>,
    /// Also replay the last days, as far as they are recorded: 7d or 30d
    #[arg(long, value_name = "DAYS", value_parser = days)]
    replay: Option<Days>,
    /// Print JSON: {"at","sentence","live","ends_now",…,"rules":[…],"affected":[…],"unforeseen":[…],"replay"}
    #[arg(long)]
    json: bool,
}

fn days(word: &str) -> Result<Days, String> {
    Days::parse(word).ok_or_else(|| "it is 7d or 30d".to_owned())
}

impl Preview {
    pub async fn run(self, desk: &Desk) -> Done {
        let draft = match self.what.as_slice() {
            [file] if !file.contains('=') => self.file(desk, file).await?,
            settings => self.settings(desk, settings).await?,
        };
        let effect = preview::effect(&desk.ctx, draft.clone(), Viewer::default(), Listing::default()).await?;
        let report = match self.replay {
            Some(days) => Some(replay::replay(&desk.ctx, draft, days).await?),
            None => None,
        };
        if self.json {
            let mut json = effect.preview.to_json();
            json["unforeseen"] = effect.unforeseen.into();
            json["replay"] = report.map_or(serde_json::Value::Null, |report| report.to_json());
            output::say_json(&json)?;
        } else {
            let mut out = Output::new();
            tell(&mut out, &effect)?;
            if let Some(report) = &report {
                tell_past(&mut out, report)?;
            }
            out.finish()?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn settings(&self, desk: &Desk, settings: &[String]) -> Result<PolicyDocument, CliError> {
        let edits = checked(desk, &self.scope, &pairs(settings)?).await?;
        let (base, _) = current(desk).await?;
        let mut draft = base.document;
        for (key, value) in edits {
            draft.set(&self.scope, key, value);
        }
        Ok(draft)
    }

    async fn file(&self, desk: &Desk, file: &str) -> Result<PolicyDocument, CliError> {
        let text = read(Path::new(file))?;
        let format = self.format.or_else(|| Format::guess(file, &text));
        let format = format.ok_or_else(|| {
            CliError::Usage("neither the file's name nor its text says its format: give --format".to_owned())
        })?;
        let (base, policy) = current(desk).await?;
        let imported = interchange::import(format, &text, &base.document).map_err(|faults| change::refused(&faults))?;
        for remark in imported.ignored.iter().chain(&imported.notes) {
            output::warn(&plain(&remark.to_string()));
        }
        let mut draft = imported.document;
        draft.keep_pinned(&base.document, policy.pins());
        let faults = draft.faults_since(&base.document, policy.pins());
        if faults.is_empty() {
            Ok(draft)
        } else {
            Err(change::refused(&faults))
        }
    }
}

fn tell(out: &mut Output, effect: &Effect) -> io::Result<()> {
    let preview = &effect.preview;
    out.line(&preview.sentence())?;
    for sentence in preview.further() {
        out.line(&sentence)?;
    }
    for sentence in &effect.unforeseen {
        out.line(&format!("Not foreseen: {sentence}"))?;
    }
    if preview.affected_total() == 0 {
        return Ok(());
    }
    out.line("")?;
    let mut rules = Table::new(&["RULE", "SCOPE", "NOW", "SOONER"]);
    for ((reason, scope), count) in &preview.by_rule {
        rules.row([
            reason.to_string(),
            plain(&scope.to_string()),
            count.now.to_string(),
            count.sooner.to_string(),
        ]);
    }
    out.table(&rules)?;
    out.line("")?;
    let mut sessions = Table::new(&["USER", "DEVICE", "IP", "ENDS TODAY", "WOULD END", "BY"]);
    for one in preview.affected() {
        sessions.row(row(one));
    }
    out.table(&sessions)?;
    let left = preview.matching - preview.affected().len() as u64;
    if left > 0 {
        out.line(&format!("… and {left} more."))?;
    }
    Ok(())
}

fn row(one: &Affected) -> [String; 6] {
    let at = |ends: &Ends| ends.at.map_or("at its next request".to_owned(), time);
    [
        plain(&one.name),
        plain(&agent::describe(one.user_agent.as_deref())),
        one.ip.to_string(),
        one.today.as_ref().map_or("never".to_owned(), at),
        if one.now && one.draft.at.is_some() {
            "now".to_owned()
        } else {
            at(&one.draft)
        },
        format!("{} ({})", one.draft.reason, plain(&one.draft.scope.to_string())),
    ]
}

fn tell_past(out: &mut Output, report: &Report) -> io::Result<()> {
    out.line("")?;
    for sentence in report.sentences() {
        out.line(&sentence)?;
    }
    for sentence in report.limits() {
        out.line(&format!("  {sentence}"))?;
    }
    if !report.shortened.is_empty() {
        out.line("")?;
        let mut table = Table::new(&["USER", "SIGNED IN", "ENDED", "WOULD HAVE ENDED", "BY", "HOW SURE"]);
        for Shortened { record, draft } in &report.shortened {
            table.row([
                plain(&record.name),
                time(record.life.signed_in_at),
                output::time_or_dash(record.ended.map(|(at, _)| at)),
                time(draft.at),
                format!("{} ({})", draft.reason, plain(&draft.scope.to_string())),
                draft.certainty.as_str().to_owned(),
            ]);
        }
        out.table(&table)?;
    }
    if report.guesses.locked_out > 0 {
        out.line("")?;
        let mut table = Table::new(&["LOCKED OUT", "AT", "IP", "LOCK", "HOW SURE"]);
        for one in report.guesses.newest() {
            table.row([
                plain(&one.attempt.name),
                time(one.attempt.at),
                one.attempt.ip.to_string(),
                one.kind.as_str().to_owned(),
                one.certainty.as_str().to_owned(),
            ]);
        }
        out.table(&table)?;
    }
    Ok(())
}
