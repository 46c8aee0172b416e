//! `nightlatch policy …`: shows, compares and changes the session policy.

mod change;
mod edit;
mod explain;
mod import;
mod lookup;
mod posture;
mod preview;
mod revisions;
mod save;
mod show;

pub use save::{LockoutOption, format_changes, replace_document};

use super::{context::CommandContext, error::CommandResult};
use clap::Subcommand;

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Show the policy in force
    Show(show::ShowPolicy),
    /// Show one setting: its value, default and source
    Get(show::GetSetting),
    /// Change settings
    Set(change::SetPolicy),
    /// Unset settings in a scope, so that they are inherited
    Unset(change::UnsetPolicy),
    /// Show the impact of a change on live sessions and on those of the last days
    Preview(preview::PreviewPolicy),
    /// Show what changed between two revisions
    Diff(revisions::DiffRevisions),
    /// List revisions, newest first
    Revisions(revisions::ListRevisions),
    /// Restore an earlier revision as the newest
    Restore(change::RestoreRevision),
    /// Return to the defaults, as a new revision
    Reset(change::ResetPolicy),
    /// Show which rule ends a session and when, and where each value comes from
    Explain(Box<explain::ExplainSession>),
    /// Compare the policy with the baselines of OWASP, NIST, PCI and Hue
    Posture(posture::ShowPosture),
    /// Print the policy as a file: all of it, in all scopes, or what a hue.ini can hold
    Export(show::ExportPolicy),
    /// Import settings from a file: another product's, or a whole policy
    Import(import::ImportPolicy),
}

impl PolicyCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::Show(show) => show.run(context).await,
            Self::Get(get) => get.run(context).await,
            Self::Set(set) => set.run(context).await,
            Self::Unset(unset) => unset.run(context).await,
            Self::Preview(preview) => preview.run(context).await,
            Self::Diff(diff) => diff.run(context).await,
            Self::Revisions(revisions) => revisions.run(context).await,
            Self::Restore(restore) => restore.run(context).await,
            Self::Reset(reset) => reset.run(context).await,
            Self::Explain(explain) => explain.run(context).await,
            Self::Posture(posture) => posture.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Import(import) => import.run(context).await,
        }
    }
}
