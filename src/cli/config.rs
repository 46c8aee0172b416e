//! `nightlatch config …`: is the configuration valid, what is it, and where does each setting come from.

use super::{Done, Global, output};
use crate::config::{Flags, SETTINGS};
use clap::{Args, Subcommand};
use serde_json::json;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Say all that is wrong with the configuration
    Check,
    /// Show each setting and where it comes from; secrets are hidden
    Show(Show),
}

#[derive(Args)]
pub struct Show {
    /// Print JSON: {"settings":[{"name","value","default","origin","env"}],"pins":[{"key","value","env"}]}
    #[arg(long)]
    json: bool,
}

impl ConfigCommand {
    pub fn run(self, global: &Global) -> Done {
        let config = global.load(Flags::default())?;
        match self {
            Self::Check => output::say("The configuration is valid.")?,
            Self::Show(show) if show.json => output::say_json(&as_json(&config))?,
            Self::Show(_) => as_table(&config)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(config: &crate::config::Config) -> serde_json::Value {
    let settings: Vec<_> = SETTINGS
        .iter()
        .filter_map(|info| {
            let (value, origin) = config.provenance.get(info.name)?;
            Some(json!({
                "name": info.name,
                "value": value,
                "default": info.default,
                "origin": origin.to_string(),
                "env": info.env,
            }))
        })
        .collect();
    let pins: Vec<_> = config
        .pins
        .iter()
        .map(|(key, value)| json!({ "key": key.name(), "value": value.to_json(), "env": key.env_name() }))
        .collect();
    json!({ "settings": settings, "pins": pins })
}

fn as_table(config: &crate::config::Config) -> std::io::Result<()> {
    let mut out = output::Output::new();
    let mut table = output::Table::new(&["SETTING", "VALUE", "FROM", "MEANING"]);
    for info in SETTINGS {
        if let Some((value, origin)) = config.provenance.get(info.name) {
            let value = output::or_dash(Some(value));
            table.row([info.name.into(), value, origin.to_string(), info.meaning.into()]);
        }
    }
    out.table(&table)?;
    if !config.pins.is_empty() {
        out.line("\nPolicy settings fixed by the environment:")?;
        let mut table = output::Table::plain(3);
        for (key, value) in &config.pins {
            table.row([format!("  {key}"), key.setting().display(value), key.env_name()]);
        }
        out.table(&table)?;
    }
    out.finish()
}
