//! `nightlatch policy posture`: compares the policy in force with the baselines. `nightlatch
//! doctor` checks the installation around it.

use super::lookup::load_current;
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{JsonArray, StandardOutput, Table, escape_text},
    },
    domain::policy::posture::{Baseline, ItemFinding, baselines, check},
};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
pub struct ShowPosture {
    /// Only this baseline: hue, asvs-l2, nist-aal2 or pci-dss-4
    #[arg(long, value_name = "ID")]
    baseline: Option<String>,
    /// Print JSON:
    /// [{"baseline","source","items":[{"key","asked_by","accepted","met","places":[{"scope","value","met"}]}]}]
    #[arg(long)]
    json: bool,
}

impl ShowPosture {
    /// Prints for each baseline which requirements are met.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let selected: Vec<&'static Baseline> = match &self.baseline {
            None => baselines().iter().collect(),
            Some(id) => {
                let unknown = || {
                    let known: Vec<&str> = baselines().iter().map(|baseline| baseline.id).collect();
                    CliError::refused(format!(
                        "there is no baseline {}: there are {}",
                        escape_text(id),
                        known.join(", ")
                    ))
                };
                vec![Baseline::find(id).ok_or_else(unknown)?]
            }
        };
        let (_, policy) = load_current(context).await?;
        let checked = selected
            .into_iter()
            .map(|baseline| (baseline, check(baseline, &policy)));
        if self.json {
            let mut list = JsonArray::new();
            for (baseline, checked) in checked {
                list.add(&baseline_to_json(baseline, &checked))?;
            }
            list.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        for (place, (baseline, checked)) in checked.enumerate() {
            if place > 0 {
                out.write_line("")?;
            }
            write_baseline(&mut out, baseline, &checked)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn baseline_to_json(baseline: &Baseline, checked: &[ItemFinding]) -> serde_json::Value {
    let item = |checked: &ItemFinding| {
        let places = checked
            .places
            .iter()
            .map(|place| json!({ "scope": place.scope.to_string(), "value": place.value.to_json(), "met": place.met }));
        json!({
            "key": checked.item.key.name(),
            "asked_by": checked.item.asked_by,
            "accepted": checked.item.accepts.describe(checked.item.key.setting()),
            "met": checked.met(),
            "places": places.collect::<Vec<_>>(),
        })
    };
    json!({
        "baseline": baseline.id,
        "source": baseline.source,
        "items": checked.iter().map(item).collect::<Vec<_>>(),
    })
}

fn write_baseline(out: &mut StandardOutput, baseline: &Baseline, checked: &[ItemFinding]) -> std::io::Result<()> {
    let met = checked.iter().filter(|checked| checked.met()).count();
    out.write_line(&format!("{}: {met} of {} met", baseline.title, checked.len()))?;
    let mut table = Table::without_headings(5);
    for checked in checked {
        let setting = checked.item.key.setting();
        let places = checked.places.iter().map(|place| {
            let word = if place.met { "" } else { ", not met" };
            format!(
                "{}: {}{word}",
                escape_text(&place.scope.label()),
                escape_text(&setting.display(&place.value))
            )
        });
        table.add_row([
            if checked.met() { "  ok" } else { "  no" }.to_owned(),
            checked.item.asked_by.to_owned(),
            setting.name.to_owned(),
            checked.item.accepts.describe(setting),
            places.collect::<Vec<_>>().join("; "),
        ]);
    }
    out.write_table(&table)
}
