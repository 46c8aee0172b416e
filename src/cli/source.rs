//! `nightlatch source …`: manages the directories and identity providers that prove who people are.

mod directory;
mod events;
mod import;
mod outcome;
mod secrets;

use super::{
    context::CommandContext,
    error::{CliError, CommandResult},
    output::{self, StandardOutput, Table, escape_text, format_count, format_time, format_time_or_dash, text_or_dash},
};
use crate::{
    domain::{
        secret::Secret,
        source::{SettingTexts, SourceKind},
        time::Timestamp,
    },
    flows::{
        source_sessions::{count_source_sessions, end_source_sessions},
        sources::{self, SourceChange, SourceDeletion, SourceView},
    },
};
use clap::{Args, Subcommand};
use outcome::{report, source_in_file, unknown_source};
use secrets::{read_secrets, secret_state};
use std::{path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub enum SourceCommand {
    /// Add a directory or an identity provider
    Create(CreateSource),
    /// List all sources in their order
    List(ListSources),
    /// Show one source with its settings
    Show(ShowSource),
    /// Change the given settings of a source
    Set(SetSource),
    /// Delete a source
    Delete(DeleteSource),
    /// Try each step of a source, and show what a person from a directory would get
    Test(directory::TestSource),
    /// Compare the accounts with live sessions with their directory now
    Sync(directory::SyncSource),
    /// Ask an identity provider for security events now
    Poll(events::PollSource),
    /// Create the directories of a hue.ini as disabled sources
    Import(import::ImportSources),
}

#[derive(Args)]
#[command(after_help = "\
Settings are KEY=VALUE; repeat the KEY for each item of a list. `nightlatch source show NAME` prints them all.
For example: nightlatch source create corp --kind ldap --title 'Corp directory' --secret-file corp.secret \\
  urls=ldaps://ldap.example.org base=ou=people,dc=example,dc=org bind_dn=cn=nightlatch,dc=example,dc=org")]
pub struct CreateSource {
    /// Name of the source in addresses and commands: a-z, 0-9 and -; it cannot be changed
    name: String,
    /// What it is
    #[arg(long, value_parser = ["ldap", "oidc"])]
    kind: String,
    /// Name that people see on buttons and in messages [default: NAME]
    #[arg(long)]
    title: Option<String>,
    /// Create it disabled
    #[arg(long)]
    disabled: bool,
    /// Its position among all sources, from 1 [default: the last]
    #[arg(long, value_name = "NUMBER")]
    position: Option<usize>,
    /// File with the bind password or the client secret (-: standard input)
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// File with the access token for security events (-: standard input)
    #[arg(long, value_name = "FILE")]
    events_token_file: Option<PathBuf>,
    /// Settings
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "\
Settings are KEY=VALUE; a list that is given replaces the previous one; an empty value sets the default.
For example: nightlatch source set corp 'mapping=cn=admins,ou=groups,dc=example,dc=org -> administrator'")]
pub struct SetSource {
    /// Name of the source
    name: String,
    /// Name that people see on buttons and in messages
    #[arg(long)]
    title: Option<String>,
    /// Let people sign in through it
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Let no one sign in through it; sessions continue
    #[arg(long)]
    disable: bool,
    /// End the live sessions of its accounts
    #[arg(long)]
    end_sessions: bool,
    /// Its position among all sources, from 1
    #[arg(long, value_name = "NUMBER")]
    position: Option<usize>,
    /// File with the bind password or the client secret (-: standard input)
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Remove the secret
    #[arg(long, conflicts_with = "secret_file")]
    clear_secret: bool,
    /// File with the access token for security events (-: standard input)
    #[arg(long, value_name = "FILE")]
    events_token_file: Option<PathBuf>,
    /// Remove the access token for security events
    #[arg(long, conflicts_with = "events_token_file")]
    clear_events_token: bool,
    /// Settings
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Args)]
pub struct ListSources {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ShowSource {
    /// Name of the source
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct DeleteSource {
    /// Name of the source
    name: String,
    /// What happens to its accounts; without this option, a source with enabled accounts is not
    /// deleted
    #[arg(long, value_name = "WHAT", value_parser = ["disable"])]
    with_accounts: Option<String>,
}

impl SourceCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::Set(set) => set.run(context).await,
            Self::Delete(delete) => delete.run(context).await,
            Self::Test(test) => test.run(context).await,
            Self::Sync(sync) => sync.run(context).await,
            Self::Poll(poll) => poll.run(context).await,
            Self::Import(import) => import.run(context).await,
        }
    }
}

/// Reads `KEY=VALUE` arguments; a key that is given several times has several lines.
fn parse_settings(arguments: &[String]) -> Result<SettingTexts, CliError> {
    let mut texts = SettingTexts::new();
    for argument in arguments {
        let Some((key, value)) = argument.split_once('=') else {
            return Err(CliError::Usage(format!("{}: write KEY=VALUE", escape_text(argument))));
        };
        if matches!(
            key,
            "secret" | "password" | "bind_password" | "client_secret" | "events_token"
        ) {
            return Err(CliError::Usage(format!(
                "{key}: a secret is never an argument; give --secret-file or --events-token-file FILE, or - for \
                 standard input"
            )));
        }
        let text = texts.entry(key.to_owned()).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(value);
    }
    Ok(texts)
}

impl CreateSource {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let (secret, events_token) = read_secrets(self.secret_file.as_ref(), self.events_token_file.as_ref())?;
        let change = SourceChange {
            title: Some(self.title.unwrap_or_else(|| self.name.clone())),
            enabled: Some(!self.disabled),
            place: self.position,
            settings: parse_settings(&self.settings)?,
            secret,
            events_token,
        };
        let kind = SourceKind::parse(&self.kind).unwrap_or(SourceKind::Ldap);
        let outcome = sources::create(&context.ctx, &context.initiator, &self.name, kind, change).await?;
        report(outcome, &self.name, "was created")
    }
}

impl SetSource {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let (secret, events_token) = read_secrets(self.secret_file.as_ref(), self.events_token_file.as_ref())?;
        let removed = |is_cleared: bool| is_cleared.then(|| Secret::new(String::new()));
        let change = SourceChange {
            title: self.title,
            enabled: (self.enable || self.disable).then_some(self.enable),
            place: self.position,
            settings: parse_settings(&self.settings)?,
            secret: secret.or_else(|| removed(self.clear_secret)),
            events_token: events_token.or_else(|| removed(self.clear_events_token)),
        };
        let takes_rights = self.disable
            || ["mapping", "allowed_groups", "provision"]
                .iter()
                .any(|key| change.settings.contains_key(*key));
        let outcome = sources::set(&context.ctx, &context.initiator, &self.name, change).await?;
        let code = report(outcome, &self.name, "was changed")?;
        if self.end_sessions {
            let ended = end_source_sessions(&context.ctx, &context.initiator, &self.name).await?;
            output::print_line(&format!("{} ended.", format_count(ended, "session", "sessions")))?;
        } else if takes_rights {
            let live = count_source_sessions(&context.ctx, &self.name).await?;
            if live.sessions > 0 {
                output::print_line(&format!(
                    "{} of its accounts are live, {} of administrators, and go on with the rights of their accounts. \
                     To end them: nightlatch source set {} --end-sessions",
                    format_count(
                        usize::try_from(live.sessions).unwrap_or(usize::MAX),
                        "session",
                        "sessions"
                    ),
                    live.administrators,
                    escape_text(&self.name)
                ))?;
            }
        }
        Ok(code)
    }
}

impl DeleteSource {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let disables = self.with_accounts.is_some();
        let name = escape_text(&self.name).to_string();
        match sources::delete(&context.ctx, &context.initiator, &self.name, disables).await? {
            SourceDeletion::Deleted { disabled } => {
                output::print_line(&format!("Source {name} was deleted. Accounts disabled: {disabled}."))?;
                Ok(ExitCode::SUCCESS)
            }
            SourceDeletion::HasAccounts(number) => Err(CliError::refused(format!(
                "source {name} has enabled accounts ({number}), who could no longer sign in: give --with-accounts \
                 disable to disable them and end their sessions"
            ))),
            SourceDeletion::Unknown => Err(unknown_source(&self.name)),
            SourceDeletion::InFile => Err(source_in_file(&self.name)),
        }
    }
}

impl ListSources {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let all = sources::list(&context.ctx).await?;
        if self.json {
            output::print_json(&all.iter().map(source_to_json).collect())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        if all.is_empty() {
            out.write_line("There is no source yet: every account is local.")?;
        } else {
            out.write_table(&sources_to_table(&all))?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn sources_to_table(all: &[SourceView]) -> Table {
    let mut table = Table::new(&["NAME", "KIND", "TITLE", "STATE", "ACCOUNTS", "LAST SYNC", "LAST ERROR"]);
    for view in all {
        table.add_row([
            view.source.name.as_str().to_owned(),
            view.source.kind().as_str().to_owned(),
            view.source.title.clone(),
            state_of(view).to_owned(),
            view.accounts.to_string(),
            format_time_or_dash(view.state.synced_at),
            text_or_dash(view.last_fault()),
        ]);
    }
    table
}

fn state_of(view: &SourceView) -> &'static str {
    if view.source.enabled { "enabled" } else { "disabled" }
}

impl ShowSource {
    async fn run(self, context: &CommandContext) -> CommandResult {
        let found = sources::find(&context.ctx, &self.name).await?;
        let view = found.ok_or_else(|| unknown_source(&self.name))?;
        if self.json {
            output::print_json(&source_to_json(&view))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::without_headings(2);
        let mut add = |name: &str, text: String| table.add_row([name.to_owned(), text]);
        add("Name", view.source.name.as_str().to_owned());
        add("Kind", view.source.kind().as_str().to_owned());
        add("Title", view.source.title.clone());
        add("State", state_of(&view).to_owned());
        add("Position", view.source.position.to_string());
        add("Set by", set_by(&view).to_owned());
        add("Secret", secret_state(view.has_secret, view.is_secret_lost).to_owned());
        add("Accounts", view.accounts.to_string());
        add("Created", format_time(view.created_at));
        add("Changed", format_time(view.changed_at));
        add("Last sync", format_time_or_dash(view.state.synced_at));
        add("Failing since", format_time_or_dash(view.state.fault_at));
        add("Last error", text_or_dash(view.state.fault.as_deref()));
        for (name, text) in events::facts(&view) {
            add(name, text);
        }
        for (key, text) in view.source.definition.texts() {
            for line in text.lines() {
                add(&key, line.to_owned());
            }
        }
        let mut out = StandardOutput::new();
        out.write_table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn set_by(view: &SourceView) -> &'static str {
    if view.source.in_file {
        "configuration file"
    } else {
        "administrators"
    }
}

fn source_to_json(view: &SourceView) -> serde_json::Value {
    serde_json::json!({
        "name": view.source.name.as_str(),
        "kind": view.source.kind().as_str(),
        "title": view.source.title,
        "enabled": view.source.enabled,
        "position": view.source.position,
        "in_file": view.source.in_file,
        "has_secret": view.has_secret,
        "secret_lost": view.is_secret_lost,
        "accounts": view.accounts,
        "created_at": view.created_at.to_rfc3339(),
        "changed_at": view.changed_at.to_rfc3339(),
        "last_sync_at": view.state.synced_at.map(Timestamp::to_rfc3339),
        "last_sync_accounts": view.state.synced_accounts,
        "fault_since": view.state.fault_at.map(Timestamp::to_rfc3339),
        "last_fault": view.state.fault,
        "events": events::state_to_json(view),
        "settings": view.source.definition.texts(),
    })
}
