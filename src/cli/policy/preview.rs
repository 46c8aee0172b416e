//! `nightlatch policy preview`: the impact of a change on live sessions and, with `--replay`, on
//! those of the last days. It saves nothing.

use super::{
    edit::{check_edits, parse_pairs},
    lookup::{format_parser, load_current},
    save::faults_to_error,
};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, StandardOutput, Table, escape_text, format_time, format_time_or_dash},
    },
    domain::{
        agent,
        policy::{
            PolicyDocument, Scope,
            interchange::{self, PolicyFormat},
        },
        simulate::{
            factors::FactorImpact,
            preview::{AffectedSession, ExpectedEnd, Listing, Viewer},
            replay::{ReplayReport, ShortenedSession},
        },
    },
    flows::{
        preview::{self, PolicyImpact},
        replay::{self, ReplayPeriod},
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
pub struct PreviewPolicy {
    /// A policy file (- is standard input), or KEY=VALUE as often as needed
    #[arg(required = true, value_name = "FILE|KEY=VALUE", allow_negative_numbers = true)]
    changes: Vec<String>,
    /// Scope of KEY=VALUE: everyone, administrators or app:NAME
    #[arg(long, default_value = "everyone")]
    scope: Scope,
    /// Format of the file [default: detected by name and content]
    #[arg(long, value_parser = format_parser(&PolicyFormat::ALL))]
    format: Option<PolicyFormat>,
    /// Also replay the recorded sessions of the last days: 7d or 30d
    #[arg(long, value_name = "DAYS", value_parser = parse_days)]
    replay: Option<ReplayPeriod>,
    /// Print JSON:
    /// {"at","sentence","live","ends_now",…,"rules":[…],"affected":[…],"unforeseen":[…],"factors","replay"}
    #[arg(long)]
    json: bool,
}

fn parse_days(word: &str) -> Result<ReplayPeriod, String> {
    ReplayPeriod::parse(word).ok_or_else(|| "write 7d or 30d".to_owned())
}

impl PreviewPolicy {
    /// Prints the impact of the change.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let draft = match self.changes.as_slice() {
            [file] if !file.contains('=') => self.draft_from_file(context, file).await?,
            settings => self.draft_from_settings(context, settings).await?,
        };
        let effect = preview::effect(&context.ctx, draft.clone(), Viewer::default(), Listing::default()).await?;
        let report = match self.replay {
            Some(days) => Some(replay::replay(&context.ctx, draft, days).await?),
            None => None,
        };
        if self.json {
            let mut json = effect.preview.to_json();
            json["unforeseen"] = effect.unforeseen.into();
            json["factors"] = effect
                .factors
                .map_or(serde_json::Value::Null, |factors| factors.to_json());
            json["replay"] = report.map_or(serde_json::Value::Null, |report| report.to_json());
            output::print_json(&json)?;
        } else {
            let mut out = StandardOutput::new();
            write_impact(&mut out, &effect)?;
            if let Some(factors) = &effect.factors {
                write_factors(&mut out, factors)?;
            }
            if let Some(report) = &report {
                write_replay(&mut out, report)?;
            }
            out.finish()?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn draft_from_settings(
        &self,
        context: &CommandContext,
        settings: &[String],
    ) -> Result<PolicyDocument, CliError> {
        let edits = check_edits(context, &self.scope, &parse_pairs(settings)?).await?;
        let (base, _) = load_current(context).await?;
        let mut draft = base.document;
        for (key, value) in edits {
            draft.set(&self.scope, key, value);
        }
        Ok(draft)
    }

    async fn draft_from_file(&self, context: &CommandContext, file: &str) -> Result<PolicyDocument, CliError> {
        let text = input::read_text_file(Path::new(file), "a policy")?;
        let format = self.format.or_else(|| PolicyFormat::guess(file, &text));
        let format = format
            .ok_or_else(|| CliError::Usage("the format of the file cannot be detected: give --format".to_owned()))?;
        let (base, policy) = load_current(context).await?;
        let imported = interchange::import(format, &text, &base.document).map_err(|faults| faults_to_error(&faults))?;
        for remark in imported.ignored.iter().chain(&imported.notes) {
            output::print_warning(&escape_text(&remark.to_string()));
        }
        let mut draft = imported.document;
        draft.keep_pinned(&base.document, policy.pins());
        let faults = draft.faults_since(&base.document, policy.pins());
        if faults.is_empty() {
            Ok(draft)
        } else {
            Err(faults_to_error(&faults))
        }
    }
}

fn write_impact(out: &mut StandardOutput, effect: &PolicyImpact) -> io::Result<()> {
    let preview = &effect.preview;
    out.write_line(&preview.sentence())?;
    for sentence in preview.other_sentences() {
        out.write_line(&sentence)?;
    }
    for sentence in &effect.unforeseen {
        out.write_line(&format!("Not included: {sentence}"))?;
    }
    if preview.affected_total() == 0 {
        return Ok(());
    }
    out.write_line("")?;
    let mut rules = Table::new(&["RULE", "SCOPE", "NOW", "SOONER"]);
    for ((reason, scope), count) in &preview.by_rule {
        rules.add_row([
            reason.to_string(),
            escape_text(&scope.to_string()),
            count.now.to_string(),
            count.sooner.to_string(),
        ]);
    }
    out.write_table(&rules)?;
    out.write_line("")?;
    let mut sessions = Table::new(&["USER", "DEVICE", "IP ADDRESS", "CURRENT END", "NEW END", "RULE"]);
    for one in preview.affected() {
        sessions.add_row(session_to_row(one));
    }
    out.write_table(&sessions)?;
    let left = preview.matching - preview.affected().len() as u64;
    if left > 0 {
        out.write_line(&format!("… and {left} more."))?;
    }
    Ok(())
}

fn write_factors(out: &mut StandardOutput, factors: &FactorImpact) -> io::Result<()> {
    out.write_line("")?;
    for sentence in factors.sentences() {
        out.write_line(&sentence)?;
    }
    let shown = factors.affected();
    let left = factors.affected_total() - shown.len() as u64;
    if shown.len() > 0 {
        out.write_line("")?;
        let mut table = Table::new(&["USER", "ROLE", "SECOND FACTOR"]);
        for one in shown {
            table.add_row([escape_text(&one.name), one.role.as_str().to_owned(), one.display()]);
        }
        out.write_table(&table)?;
    }
    if left > 0 {
        out.write_line(&format!("… and {left} more."))?;
    }
    Ok(())
}

fn session_to_row(one: &AffectedSession) -> [String; 6] {
    let at = |ends: &ExpectedEnd| ends.at.map_or("at its next request".to_owned(), format_time);
    [
        escape_text(&one.name),
        escape_text(&agent::describe(one.user_agent.as_deref())),
        one.ip.to_string(),
        one.today.as_ref().map_or("never".to_owned(), at),
        if one.now && one.draft.at.is_some() {
            "now".to_owned()
        } else {
            at(&one.draft)
        },
        format!("{} ({})", one.draft.reason, escape_text(&one.draft.scope.to_string())),
    ]
}

fn write_replay(out: &mut StandardOutput, report: &ReplayReport) -> io::Result<()> {
    out.write_line("")?;
    for sentence in report.sentences() {
        out.write_line(&sentence)?;
    }
    for sentence in report.limits() {
        out.write_line(&format!("  {sentence}"))?;
    }
    if !report.shortened.is_empty() {
        out.write_line("")?;
        let mut table = Table::new(&["USER", "SIGNED IN", "ENDED", "WOULD HAVE ENDED", "RULE", "CERTAINTY"]);
        for ShortenedSession { record, draft } in &report.shortened {
            table.add_row([
                escape_text(&record.name),
                format_time(record.life.signed_in_at),
                format_time_or_dash(record.ended.map(|(at, _)| at)),
                format_time(draft.at),
                format!("{} ({})", draft.reason, escape_text(&draft.scope.to_string())),
                draft.certainty.as_str().to_owned(),
            ]);
        }
        out.write_table(&table)?;
    }
    if report.guesses.locked_out > 0 {
        out.write_line("")?;
        let mut table = Table::new(&["LOCKED OUT", "AT", "IP ADDRESS", "LOCK", "CERTAINTY"]);
        for one in report.guesses.newest() {
            table.add_row([
                escape_text(&one.attempt.name),
                format_time(one.attempt.at),
                one.attempt.ip.to_string(),
                one.kind.as_str().to_owned(),
                one.certainty.as_str().to_owned(),
            ]);
        }
        out.write_table(&table)?;
    }
    Ok(())
}
