//! `nightlatch policy show`, `get` and `export`.

use super::lookup::{find_key, format_parser, format_source, load_current};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{self, StandardOutput, Table, escape_text, format_count, format_time},
    },
    domain::policy::{
        Key, Revision, Scope, Source, Value,
        catalogue::Group,
        effective::Policy,
        interchange::{self, PolicyFormat},
    },
    flows,
};
use clap::Args;
use serde_json::json;
use std::{io, process::ExitCode};

#[derive(Args)]
pub struct ShowPolicy {
    /// Print JSON: {"revision","scopes":{"everyone":{all
    /// settings},"administrators":{overrides},"app:NAME":{…}}}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct GetSetting {
    /// Name of the setting, such as auth.idle_session_timeout
    key: String,
    /// Scope in which it is looked up: everyone, administrators or app:NAME
    #[arg(long, default_value = "everyone")]
    scope: Scope,
    /// Print JSON: {"key","value","default","scope","source"}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ExportPolicy {
    /// Format of the file
    #[arg(long, value_parser = format_parser(&PolicyFormat::WRITTEN), default_value = PolicyFormat::Toml.as_str())]
    format: PolicyFormat,
}

impl ShowPolicy {
    /// Prints all settings for everyone and the overrides of the other scopes.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let (revision, policy) = load_current(context).await?;
        if self.json {
            output::print_json(&policy_to_json(context, &revision, &policy).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        out.write_line(&format_revision(&revision))?;
        write_groups(&mut out, &policy)?;
        write_overrides(&mut out, &revision, &policy)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn policy_to_json(
    context: &CommandContext,
    revision: &Revision,
    policy: &Policy,
) -> Result<serde_json::Value, CliError> {
    let mut scopes = revision.document.to_json();
    let complete = Key::ALL.iter().map(|key| {
        let (value, _) = policy.value_in(&Scope::Everyone, *key);
        (key.name().to_owned(), value.to_json())
    });
    scopes["everyone"] = serde_json::Value::Object(complete.collect());
    // Applications without overrides are listed too.
    for view in flows::applications::list(&context.ctx).await? {
        let scope = Scope::Application(view.application.name.clone()).to_string();
        if scopes.get(&scope).is_none() {
            scopes[scope] = json!({});
        }
    }
    Ok(json!({ "revision": revision.revision, "scopes": scopes }))
}

fn write_groups(out: &mut StandardOutput, policy: &Policy) -> io::Result<()> {
    for group in Group::ALL {
        out.write_line(&format!("\n{}", group.title()))?;
        let mut table = Table::without_headings(3);
        for setting in group.settings() {
            let (value, source) = policy.value_in(&Scope::Everyone, setting.key);
            table.add_row([
                format!("  {}", setting.name),
                setting.display(&value),
                format_source(&source),
            ]);
        }
        out.write_table(&table)?;
    }
    Ok(())
}

fn write_overrides(out: &mut StandardOutput, revision: &Revision, policy: &Policy) -> io::Result<()> {
    let scopes = revision.document.scopes();
    for (scope, overrides) in scopes.filter(|(scope, _)| *scope != Scope::Everyone) {
        out.write_line(&format!("\n{}", escape_text(&scope.label())))?;
        let mut table = Table::without_headings(3);
        for key in overrides.keys() {
            let (value, source) = policy.value_in(&scope, *key);
            let source = match source {
                Source::SetIn(set_in) if set_in == scope => String::new(),
                source => format_source(&source),
            };
            table.add_row([format!("  {key}"), key.setting().display(&value), source]);
        }
        if overrides.is_empty() {
            table.add_row(["  as everyone".to_owned(), String::new(), String::new()]);
        }
        out.write_table(&table)?;
    }
    Ok(())
}

impl GetSetting {
    /// Prints one setting in full.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let key = find_key(&self.key)?;
        let setting = key.setting();
        let (_, policy) = load_current(context).await?;
        let (value, source) = policy.value_in(&self.scope, key);
        if self.json {
            output::print_json(&json!({
                "key": setting.name,
                "value": value.to_json(),
                "default": policy.default_value(key).to_json(),
                "scope": self.scope.to_string(),
                "source": source.to_string(),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::without_headings(2);
        let mut add = |name: &str, value: String| table.add_row([name.to_owned(), value]);
        add(setting.name, format_value(key, &value));
        add("  scope", self.scope.to_string());
        add("  source", source.to_string());
        add("  default", format_value(key, &policy.default_value(key)));
        add("  accepted", setting.accepts());
        add("  effect", setting.effect.to_owned());
        let mut out = StandardOutput::new();
        out.write_table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ExportPolicy {
    /// Prints the policy as a file, and on standard error what the format cannot hold.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let document = flows::policy::in_force(&context.ctx).await?.revision.document;
        let exported = interchange::export(self.format, &document)
            .ok_or_else(|| CliError::Usage(format!("{} can only be imported", self.format.as_str())))?;
        for lossy in &exported.lossy {
            output::print_warning(&escape_text(&lossy.to_string()));
        }
        let mut out = StandardOutput::new();
        out.write_bytes(exported.text.as_bytes())?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn format_revision(revision: &Revision) -> String {
    let changes = format_count(revision.changes.len(), "change", "changes");
    let (number, at) = (revision.revision, format_time(revision.at));
    let author = escape_text(&revision.author);
    format!("Revision {number}, {at}, by {author} ({changes})")
}

/// Formats a value as `900 (15 minutes)`, or once where both are the same.
fn format_value(key: Key, value: &Value) -> String {
    let (stored, shown) = (value.to_string(), key.setting().display(value));
    if stored == shown || stored.is_empty() {
        shown
    } else {
        format!("{stored} ({shown})")
    }
}
