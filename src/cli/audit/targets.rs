//! `nightlatch audit targets`: how far the audit was shipped to each target.

use crate::{
    cli::{
        context::CommandContext,
        error::CommandResult,
        output::{ListPrinter, escape_text, format_time_or_dash, text_or_dash, time_to_json},
    },
    domain::duration::humanize,
    flows::audit::shipping::{TargetReport, list_targets},
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Args)]
pub struct ListTargets {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ListTargets {
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let headings = ["NAME", "KIND", "ADDRESS", "WAITING", "OLDEST", "LAST SUCCESS", "FAULT"];
        let mut list = ListPrinter::new(self.json, &headings);
        for report in list_targets(&context.ctx).await? {
            list.add(|| report_to_json(&report), || report_to_row(&report))?;
        }
        list.finish("The configuration has no [audit_targets.NAME].")?;
        Ok(ExitCode::SUCCESS)
    }
}

fn report_to_json(report: &TargetReport) -> Value {
    let (target, state) = (&report.target, report.state.as_ref());
    json!({
        "name": target.name.as_str(),
        "kind": target.kind.as_str(),
        "address": target.kind.describe_address(),
        "format": target.format.as_str(),
        "waiting": report.waiting,
        "lag_seconds": report.age.as_secs(),
        "seal": state.map(|state| state.place.seal),
        "shipped": state.map_or(0, |state| state.shipped),
        "missed_seals": state.map_or(0, |state| state.missed_seals),
        "last_success": time_to_json(state.and_then(|state| state.shipped_at)),
        "failures": state.map_or(0, |state| state.failures),
        "fault": state.and_then(|state| state.fault.as_deref()),
        "fault_since": time_to_json(state.and_then(|state| state.fault_at)),
        "needs_attention": report.needs_attention(),
    })
}

fn report_to_row(report: &TargetReport) -> [String; 7] {
    let (target, state) = (&report.target, report.state.as_ref());
    [
        target.name.as_str().to_owned(),
        target.kind.as_str().to_owned(),
        escape_text(&target.kind.describe_address()),
        report.waiting.to_string(),
        match report.waiting {
            0 => "-".to_owned(),
            _ => humanize(report.age.as_secs()),
        },
        format_time_or_dash(state.and_then(|state| state.shipped_at)),
        text_or_dash(state.and_then(|state| state.fault.as_deref())),
    ]
}
