//! `nightlatch policy diff` and `revisions`.

use super::{lookup::find_revision, save::write_changes};
use crate::{
    cli::{
        context::CommandContext,
        error::CommandResult,
        output::{self, ListPrinter, StandardOutput, format_time},
    },
    domain::policy::{Revision, diff::diff},
    flows,
};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Revisions per database query.
const PAGE: usize = 100;

#[derive(Args)]
pub struct DiffRevisions {
    /// The earlier revision [default: the one before the later]
    from: Option<i64>,
    /// The later revision [default: the newest]
    to: Option<i64>,
    /// Print JSON: {"from","to","changes":[{"scope","key","old","new"}]}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ListRevisions {
    /// Print JSON: [{"revision","author","at","reason","changes"}]
    #[arg(long)]
    json: bool,
    /// Maximum number of revisions [default: all]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

impl DiffRevisions {
    /// Prints the changes between two revisions.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let to = match self.to {
            Some(number) => find_revision(context, number).await?,
            None => flows::policy::in_force(&context.ctx).await?.revision,
        };
        let from = match self.from {
            Some(number) => find_revision(context, number).await?,
            None if to.revision > 1 => find_revision(context, to.revision - 1).await?,
            None => to.clone(),
        };
        let changes = diff(&from.document, &to.document);
        if self.json {
            output::print_json(&json!({
                "from": from.revision,
                "to": to.revision,
                "changes": changes.iter().map(|change| change.to_json()).collect::<Vec<_>>(),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        if changes.is_empty() {
            out.write_line(&format!(
                "Revisions {} and {} do not differ.",
                from.revision, to.revision
            ))?;
        } else {
            out.write_line(&format!("From revision {} to {}:", from.revision, to.revision))?;
            write_changes(&mut out, &changes)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ListRevisions {
    /// Lists the revisions.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let headings = ["REVISION", "TIME", "AUTHOR", "KIND", "CHANGES", "REASON"];
        let mut list = ListPrinter::new(self.json, &headings);
        let (mut before, mut left) = (None, self.limit.unwrap_or(usize::MAX));
        while left > 0 {
            let limit = i64::try_from(left.min(PAGE)).unwrap_or(i64::MAX);
            let revisions = flows::policy::revisions(&context.ctx, before, limit).await?;
            let Some(last) = revisions.last() else { break };
            (before, left) = (Some(last.revision), left - revisions.len().min(left));
            for revision in &revisions {
                list.add(|| revision_to_json(revision), || revision_to_row(revision))?;
            }
        }
        list.finish("No revisions.")?;
        Ok(ExitCode::SUCCESS)
    }
}

fn revision_to_json(revision: &Revision) -> serde_json::Value {
    json!({
        "revision": revision.revision,
        "author": revision.author,
        "at": revision.at.to_rfc3339(),
        "reason": revision.reason,
        "changes": revision.changes.iter().map(|change| change.to_json()).collect::<Vec<_>>(),
    })
}

fn revision_to_row(revision: &Revision) -> [String; 6] {
    [
        revision.revision.to_string(),
        format_time(revision.at),
        revision.author.clone(),
        revision.kind.clone(),
        revision.changes.len().to_string(),
        revision.reason.clone(),
    ]
}
