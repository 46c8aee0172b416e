//! `nightlatch policy posture`: the policy in force against the named baselines. The installation around it is the doctor's.

use super::{Desk, Done, current};
use crate::{
    cli::{
        CliError,
        output::{JsonList, Output, Table, plain},
    },
    domain::policy::posture::{Baseline, Checked, baselines, check},
};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
pub struct Posture {
    /// Only this one: hue, asvs-l2, nist-aal2 or pci-dss-4
    #[arg(long, value_name = "ID")]
    baseline: Option<String>,
    /// Print JSON: [{"baseline","source","items":[{"key","asked_by","accepted","met","places":[{"scope","value","met"}]}]}]
    #[arg(long)]
    json: bool,
}

impl Posture {
    pub async fn run(self, desk: &Desk) -> Done {
        let wanted: Vec<&'static Baseline> = match &self.baseline {
            None => baselines().iter().collect(),
            Some(id) => {
                let unknown = || {
                    let known: Vec<&str> = baselines().iter().map(|baseline| baseline.id).collect();
                    CliError::refused(format!(
                        "there is no baseline {}: it is {}",
                        plain(id),
                        known.join(", ")
                    ))
                };
                vec![Baseline::find(id).ok_or_else(unknown)?]
            }
        };
        let (_, policy) = current(desk).await?;
        let checked = wanted.into_iter().map(|baseline| (baseline, check(baseline, &policy)));
        if self.json {
            let mut list = JsonList::new();
            for (baseline, checked) in checked {
                list.item(&as_json(baseline, &checked))?;
            }
            list.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = Output::new();
        for (place, (baseline, checked)) in checked.enumerate() {
            if place > 0 {
                out.line("")?;
            }
            tell(&mut out, baseline, &checked)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(baseline: &Baseline, checked: &[Checked]) -> serde_json::Value {
    let item = |checked: &Checked| {
        let places = checked
            .places
            .iter()
            .map(|place| json!({ "scope": place.scope.to_string(), "value": place.value.to_json(), "met": place.met }));
        json!({
            "key": checked.item.key.name(),
            "asked_by": checked.item.asked_by,
            "accepted": checked.item.accepts.words(checked.item.key.setting()),
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

fn tell(out: &mut Output, baseline: &Baseline, checked: &[Checked]) -> std::io::Result<()> {
    let met = checked.iter().filter(|checked| checked.met()).count();
    out.line(&format!("{}: {met} of {} met", baseline.title, checked.len()))?;
    let mut table = Table::plain(5);
    for checked in checked {
        let setting = checked.item.key.setting();
        let places = checked.places.iter().map(|place| {
            let word = if place.met { "" } else { ", not met" };
            format!(
                "{}: {}{word}",
                plain(&place.scope.label()),
                plain(&setting.display(&place.value))
            )
        });
        table.row([
            if checked.met() { "  ok" } else { "  no" }.to_owned(),
            checked.item.asked_by.to_owned(),
            setting.name.to_owned(),
            checked.item.accepts.words(setting),
            places.collect::<Vec<_>>().join("; "),
        ]);
    }
    out.table(&table)
}
