//! `nightlatch config …`: checks the configuration and shows where each setting comes from.

use super::{
    error::CommandResult,
    options::GlobalOptions,
    output::{self, StandardOutput, Table, text_or_dash},
};
use crate::config::{Config, Flags, SETTINGS};
use clap::{Args, Subcommand};
use serde_json::json;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Report everything that is wrong with the configuration
    Check,
    /// Show each setting and where it comes from; secrets are hidden
    Show(ShowConfig),
}

#[derive(Args)]
pub struct ShowConfig {
    /// Print JSON:
    /// {"settings":[{"name","value","default","origin","env"}],"pins":[{"key","value","env"}]}
    #[arg(long)]
    json: bool,
}

impl ConfigCommand {
    /// Runs the command.
    pub fn run(self, options: &GlobalOptions) -> CommandResult {
        let config = options.load_config(Flags::default())?;
        match self {
            Self::Check => output::print_line("The configuration is valid.")?,
            Self::Show(show) if show.json => output::print_json(&config_to_json(&config))?,
            Self::Show(_) => print_table(&config)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn config_to_json(config: &Config) -> serde_json::Value {
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

fn print_table(config: &Config) -> std::io::Result<()> {
    let mut out = StandardOutput::new();
    let mut table = Table::new(&["SETTING", "VALUE", "FROM", "MEANING"]);
    for info in SETTINGS {
        if let Some((value, origin)) = config.provenance.get(info.name) {
            let value = text_or_dash(Some(value));
            table.add_row([info.name.into(), value, origin.to_string(), info.meaning.into()]);
        }
    }
    out.write_table(&table)?;
    if !config.pins.is_empty() {
        out.write_line("\nPolicy settings pinned by the environment:")?;
        let mut table = Table::without_headings(3);
        for (key, value) in &config.pins {
            table.add_row([format!("  {key}"), key.setting().display(value), key.env_name()]);
        }
        out.write_table(&table)?;
    }
    out.finish()
}
