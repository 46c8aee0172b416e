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
    /// {"settings":[{"name","value","default","origin","env"}],"pins":[{"key","value","env"}],
    /// "sources":[{"name","kind","title","enabled","settings","has_secret"}]}
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
    let sources: Vec<_> = config
        .sources
        .iter()
        .map(|source| {
            json!({
                "name": source.name.as_str(),
                "kind": source.definition.kind().as_str(),
                "title": source.title,
                "enabled": source.enabled,
                "settings": source.definition.texts(),
                "has_secret": source.secret.is_some(),
            })
        })
        .collect();
    json!({ "settings": settings, "pins": pins, "sources": sources })
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
    for source in &config.sources {
        out.write_line(&format!(
            "\nSource set by the table [sources.{}]:",
            source.name.as_str()
        ))?;
        let mut table = Table::without_headings(2);
        let mut add = |name: &str, value: String| table.add_row([format!("  {name}"), value]);
        add("kind", source.definition.kind().as_str().to_owned());
        add("title", source.title.clone());
        add("enabled", source.enabled.to_string());
        for (key, text) in source.definition.texts() {
            add(&key, text_or_dash(Some(&text.replace('\n', ", "))));
        }
        let secrets = [("secret", &source.secret), ("events token", &source.events_token)];
        for (name, _) in secrets.iter().filter(|(_, secret)| secret.is_some()) {
            add(name, "(set, not shown)".to_owned());
        }
        out.write_table(&table)?;
    }
    out.finish()
}
