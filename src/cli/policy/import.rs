//! `nightlatch policy import`: saves the settings of a file as one revision, or only prints what
//! would change. `domain::policy::interchange` reads the formats.

use super::{
    lookup::{format_parser, load_current},
    save::{
        LockoutOption, ReasonOption, SaveOutcome, explain_kept, faults_to_error, print_warnings, replace_document,
        write_changes,
    },
};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, StandardOutput, escape_text, format_count},
    },
    domain::policy::{
        Key, PolicyFault, Scope,
        diff::{Change, diff},
        interchange::{self, FileComment, ImportedDocument, PolicyFormat},
    },
    flows::policy::SaveKind,
};
use clap::Args;
use serde_json::json;
use std::{io, path::PathBuf, process::ExitCode};

#[derive(Args)]
pub struct ImportPolicy {
    /// Format of the file [default: detected by name and content]
    #[arg(long, value_parser = format_parser(&PolicyFormat::ALL))]
    format: Option<PolicyFormat>,
    /// The file; - is standard input
    file: PathBuf,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: {"changes":[…],"ignored":[…],"faults":[…],"revision"}; revision is null when
    /// nothing was saved
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reason: ReasonOption,
    #[command(flatten)]
    lockout: LockoutOption,
}

/// The outcome of an import.
#[derive(Default)]
struct ImportReport {
    changes: Vec<Change>,
    /// Keys of the file that are not settings.
    ignored: Vec<FileComment>,
    /// Pinned settings, which stay unchanged.
    kept: Vec<(Scope, Key)>,
    notes: Vec<FileComment>,
    faults: Vec<PolicyFault>,
    revision: Option<i64>,
}

impl ImportPolicy {
    /// Imports the file, or only prints what would change.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let text = input::read_text_file(&self.file, "a policy")?;
        let format = self.detect_format(&text)?;
        let (base, _) = load_current(context).await?;
        let report = match interchange::import(format, &text, &base.document) {
            Err(faults) => ImportReport {
                faults,
                ..ImportReport::default()
            },
            Ok(imported) => self.save(context, format, &text, imported).await?,
        };
        if self.json {
            for note in &report.notes {
                output::print_warning(&escape_text(&note.to_string()));
            }
            output::print_json(&report.to_json())?;
        }
        if !report.faults.is_empty() {
            return Err(faults_to_error(&report.faults));
        }
        if !self.json {
            report.print(self.dry_run)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn detect_format(&self, text: &str) -> Result<PolicyFormat, CliError> {
        let name = self.file.file_name().map(|name| name.to_string_lossy());
        self.format
            .or_else(|| PolicyFormat::guess(name.as_deref().unwrap_or_default(), text))
            .ok_or_else(|| CliError::Usage("the format of the file cannot be detected: give --format".into()))
    }

    async fn save(
        &self,
        context: &CommandContext,
        format: PolicyFormat,
        text: &str,
        imported: ImportedDocument,
    ) -> Result<ImportReport, CliError> {
        let (base, policy) = load_current(context).await?;
        let mut draft = imported.document;
        let kept = draft.keep_pinned(&base.document, policy.pins());
        let report = ImportReport {
            faults: draft.faults_since(&base.document, policy.pins()),
            changes: diff(&base.document, &draft),
            ignored: imported.ignored,
            notes: imported.notes,
            kept,
            revision: None,
        };
        if self.dry_run || !report.faults.is_empty() {
            print_warnings(context, &report.changes, &draft.warnings(policy.pins()));
            return Ok(report);
        }
        let reason = match self.reason.reason.as_str() {
            "" => format!("import of {}", escape_text(&self.file.display().to_string())),
            reason => reason.to_owned(),
        };
        let document = |base: &_| {
            let imported = interchange::import(format, text, base);
            imported
                .map(|imported| imported.document)
                .map_err(|faults| faults_to_error(&faults))
        };
        let (outcome, kept) = replace_document(context, document, reason, SaveKind::Imported, self.lockout).await?;
        let (changes, revision) = match outcome {
            SaveOutcome::Unchanged => (Vec::new(), None),
            SaveOutcome::Revision {
                number,
                changes,
                warnings,
            } => {
                print_warnings(context, &changes, &warnings);
                (changes, Some(number))
            }
        };
        Ok(ImportReport {
            changes,
            kept,
            revision,
            ..report
        })
    }
}

impl ImportReport {
    fn to_json(&self) -> serde_json::Value {
        let ignored = self
            .ignored
            .iter()
            .map(|comment| json!({ "line": comment.line, "key": comment.key, "reason": comment.sentence }));
        let kept = self
            .kept
            .iter()
            .map(|(scope, key)| json!({ "scope": scope.to_string(), "key": key.name(), "reason": explain_kept(*key) }));
        let faults = self.faults.iter().map(|fault| {
            json!({
                "scope": fault.scope.to_string(),
                "key": fault.key,
                "value": fault.value,
                "message": fault.message,
            })
        });
        json!({
            "changes": self.changes.iter().map(Change::to_json).collect::<Vec<_>>(),
            "ignored": ignored.chain(kept).collect::<Vec<_>>(),
            "faults": faults.collect::<Vec<_>>(),
            "revision": self.revision,
        })
    }

    fn print(&self, dry_run: bool) -> io::Result<()> {
        let mut out = StandardOutput::new();
        let changes = format_count(self.changes.len(), "change", "changes");
        out.write_line(&match self.revision {
            Some(number) => format!("Saved revision {number}, {changes}."),
            None if dry_run && !self.changes.is_empty() => format!("Would make {changes}:"),
            None => "Nothing to do: the policy already says so.".to_owned(),
        })?;
        write_changes(&mut out, &self.changes)?;
        for (scope, key) in &self.kept {
            out.write_line(&format!("  {scope}: {key}: {}", explain_kept(*key)))?;
        }
        for (title, comments) in [("Notes:", &self.notes), ("Ignored:", &self.ignored)] {
            if !comments.is_empty() {
                out.write_line(title)?;
            }
            for comment in comments {
                out.write_line(&format!("  {}", escape_text(&comment.to_string())))?;
            }
        }
        out.finish()
    }
}
