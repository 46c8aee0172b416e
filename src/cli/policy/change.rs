//! `nightlatch policy set`, `unset`, `restore` and `reset`.

use super::{
    edit::{check_edits, parse_pairs},
    lookup::{find_key, find_revision},
    save::{LockoutOption, ReasonOption, print_kept, print_outcome, replace_document, save_edits},
};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
    },
    domain::policy::{PolicyDocument, Scope},
    flows::policy::{Edit, SaveKind},
};
use clap::Args;

#[derive(Args)]
#[command(
    override_usage = "nightlatch policy set [OPTIONS] KEY VALUE\n       nightlatch policy set [OPTIONS] KEY=VALUE…",
    after_help = "\
All settings are saved as one revision, or none is. Durations are written like 15m, 2 weeks, 900 or never.
For example: nightlatch policy set auth.idle_session_timeout 15m --scope administrators --reason \"audit finding 7\""
)]
pub struct SetPolicy {
    /// KEY VALUE, or KEY=VALUE as often as needed
    #[arg(required = true, value_name = "SETTING", allow_negative_numbers = true)]
    settings: Vec<String>,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args)]
pub struct UnsetPolicy {
    /// Names of the settings
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args)]
struct ChangeOptions {
    /// Scope of the change: everyone, administrators or app:NAME
    #[arg(long, default_value = "everyone")]
    scope: Scope,
    #[command(flatten)]
    reason: ReasonOption,
    #[command(flatten)]
    lockout: LockoutOption,
}

#[derive(Args)]
pub struct RestoreRevision {
    /// Number of the revision
    revision: i64,
    #[command(flatten)]
    reason: ReasonOption,
    #[command(flatten)]
    lockout: LockoutOption,
}

#[derive(Args)]
pub struct ResetPolicy {
    #[command(flatten)]
    reason: ReasonOption,
}

impl SetPolicy {
    /// Sets the values, all of them or none.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let scope = self.options.scope;
        let pairs = parse_pairs(&self.settings)?;
        let edits: Vec<Edit> = check_edits(context, &scope, &pairs)
            .await?
            .into_iter()
            .map(|(key, value)| Edit {
                scope: scope.clone(),
                key,
                value: Some(value),
            })
            .collect();
        save_edits(context, edits, self.options.reason.reason, self.options.lockout).await
    }
}

impl UnsetPolicy {
    /// Unsets the settings, all of them or none.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let mut edits = Vec::new();
        let mut unknown = Vec::new();
        for name in &self.keys {
            match find_key(name) {
                Ok(key) => edits.push(Edit {
                    scope: self.options.scope.clone(),
                    key,
                    value: None,
                }),
                Err(error) => unknown.push(error.to_string()),
            }
        }
        if !unknown.is_empty() {
            return Err(CliError::Faults(unknown));
        }
        save_edits(context, edits, self.options.reason.reason, self.options.lockout).await
    }
}

impl RestoreRevision {
    /// Makes an earlier revision the newest.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let old = find_revision(context, self.revision).await?;
        let reason = self
            .reason
            .unwrap_or_else(|| format!("restored revision {}", old.revision));
        let kind = SaveKind::Restored { from: old.revision };
        let document = |_: &_| Ok(old.document.clone());
        let (outcome, kept) = replace_document(context, document, reason, kind, self.lockout).await?;
        print_kept(&kept);
        print_outcome(context, outcome)
    }
}

impl ResetPolicy {
    /// Returns to the defaults.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let reason = self.reason.unwrap_or_else(|| "reset to the defaults".to_owned());
        let document = |_: &_| Ok(PolicyDocument::default());
        let (outcome, kept) =
            replace_document(context, document, reason, SaveKind::Reset, LockoutOption::default()).await?;
        print_kept(&kept);
        print_outcome(context, outcome)
    }
}
