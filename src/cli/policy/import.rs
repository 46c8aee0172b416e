//! `nightlatch policy import`: the settings of a file as one revision, or only what they would change.
//! What the formats mean stands in `domain::policy::interchange`.

use super::{
    Desk, Done,
    change::{self, Saved, Why},
    current, formats,
};
use crate::{
    cli::{
        CliError,
        output::{self, Output, plain},
    },
    domain::policy::{
        Fault, Key, Scope,
        diff::{Change, diff},
        interchange::{self, Format, Imported, Remark},
    },
    flows::policy::SaveKind,
};
use clap::Args;
use serde_json::json;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Args)]
pub struct Import {
    /// Format of the file [default: by its name and content]
    #[arg(long, value_parser = formats(&Format::ALL))]
    format: Option<Format>,
    /// The file; - is standard input
    file: PathBuf,
    /// Only say what it would change
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: {"changes":[…],"ignored":[…],"faults":[…],"revision"}; revision is null when nothing was saved
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    why: Why,
}

/// A policy is far smaller.
const LARGEST: u64 = 4 * 1024 * 1024;

/// What an import comes to.
#[derive(Default)]
struct Report {
    changes: Vec<Change>,
    /// Keys of the file that are no settings of ours.
    ignored: Vec<Remark>,
    /// What the environment fixes.
    kept: Vec<(Scope, Key)>,
    notes: Vec<Remark>,
    faults: Vec<Fault>,
    revision: Option<i64>,
}

impl Import {
    pub async fn run(self, desk: &Desk) -> Done {
        let text = read(&self.file)?;
        let format = self.format(&text)?;
        let (base, _) = current(desk).await?;
        let report = match interchange::import(format, &text, &base.document) {
            Err(faults) => Report {
                faults,
                ..Report::default()
            },
            Ok(imported) => self.put(desk, format, &text, imported).await?,
        };
        if self.json {
            for note in &report.notes {
                output::warn(&plain(&note.to_string()));
            }
            output::say_json(&report.to_json())?;
        }
        if !report.faults.is_empty() {
            return Err(change::refused(&report.faults));
        }
        if !self.json {
            report.tell(self.dry_run)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn format(&self, text: &str) -> Result<Format, CliError> {
        let name = self.file.file_name().map(|name| name.to_string_lossy());
        self.format
            .or_else(|| Format::guess(name.as_deref().unwrap_or_default(), text))
            .ok_or_else(|| {
                CliError::Usage("neither its name nor its content says the file's format: give --format".into())
            })
    }

    async fn put(&self, desk: &Desk, format: Format, text: &str, imported: Imported) -> Result<Report, CliError> {
        let (base, policy) = current(desk).await?;
        let mut draft = imported.document;
        let kept = draft.keep_pinned(&base.document, policy.pins());
        let report = Report {
            faults: draft.faults_since(&base.document, policy.pins()),
            changes: diff(&base.document, &draft),
            ignored: imported.ignored,
            notes: imported.notes,
            kept,
            revision: None,
        };
        if self.dry_run || !report.faults.is_empty() {
            change::tell_warnings(desk, &report.changes, &draft.warnings(policy.pins()));
            return Ok(report);
        }
        let reason = match self.why.reason.as_str() {
            "" => format!("import of {}", plain(&self.file.display().to_string())),
            reason => reason.to_owned(),
        };
        let document = |base: &_| {
            let imported = interchange::import(format, text, base);
            imported
                .map(|imported| imported.document)
                .map_err(|faults| change::refused(&faults))
        };
        let (saved, kept) = change::replace(desk, document, reason, SaveKind::Imported).await?;
        let (changes, revision) = match saved {
            Saved::Unchanged => (Vec::new(), None),
            Saved::Revision {
                number,
                changes,
                warnings,
            } => {
                change::tell_warnings(desk, &changes, &warnings);
                (changes, Some(number))
            }
        };
        Ok(Report {
            changes,
            kept,
            revision,
            ..report
        })
    }
}

/// The text of a file, or of standard input.
pub fn read(path: &Path) -> Result<String, CliError> {
    let cannot = |why: String| CliError::refused(format!("{}: {why}", plain(&path.display().to_string())));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| cannot(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(cannot("too large for a policy".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| cannot("not UTF-8".to_owned()))
}

impl Report {
    fn to_json(&self) -> serde_json::Value {
        let ignored = self
            .ignored
            .iter()
            .map(|remark| json!({ "line": remark.line, "key": remark.key, "reason": remark.sentence }));
        let kept = self.kept.iter().map(
            |(scope, key)| json!({ "scope": scope.to_string(), "key": key.name(), "reason": change::why_kept(*key) }),
        );
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

    fn tell(&self, dry_run: bool) -> io::Result<()> {
        let mut out = Output::new();
        let changes = output::count(self.changes.len(), "change", "changes");
        out.line(&match self.revision {
            Some(number) => format!("Saved revision {number}, {changes}."),
            None if dry_run && !self.changes.is_empty() => format!("Would make {changes}:"),
            None => "Nothing to do: the policy says so already.".to_owned(),
        })?;
        change::list(&mut out, &self.changes)?;
        for (scope, key) in &self.kept {
            out.line(&format!("  {scope}: {key}: {}", change::why_kept(*key)))?;
        }
        for (title, remarks) in [("Worth knowing:", &self.notes), ("Left aside:", &self.ignored)] {
            if !remarks.is_empty() {
                out.line(title)?;
            }
            for remark in remarks {
                out.line(&format!("  {}", plain(&remark.to_string())))?;
            }
        }
        out.finish()
    }
}
