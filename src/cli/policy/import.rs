//! `nightlatch policy import`: a whole policy from a file, as one revision, or only what it would change.

use super::{
    Desk, Done, Format,
    change::{self, Saved, Why},
    current,
};
use crate::{
    cli::{
        CliError,
        output::{self, Output, plain},
    },
    domain::policy::{Fault, Key, PolicyDocument, Scope, diff::Change, diff::diff, toml},
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
    /// Format of the file [default: by its ending]
    #[arg(long, value_enum)]
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
    /// What the environment fixes.
    ignored: Vec<(Scope, Key)>,
    faults: Vec<Fault>,
    revision: Option<i64>,
}

impl Import {
    pub async fn run(self, desk: &Desk) -> Done {
        let format = self.format()?;
        let text = read(&self.file)?;
        let report = match format.read(&text) {
            Err(faults) => Report {
                faults,
                ..Report::default()
            },
            Ok(document) => self.put(desk, document).await?,
        };
        if self.json {
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

    fn format(&self) -> Result<Format, CliError> {
        let ending = self.file.extension().and_then(|ending| ending.to_str());
        match (self.format, ending) {
            (Some(format), _) => Ok(format),
            (None, Some("toml")) => Ok(Format::Toml),
            (None, Some("json")) => Ok(Format::Json),
            (None, _) => Err(CliError::Usage(
                "the file's name does not say its format: give --format".to_owned(),
            )),
        }
    }

    async fn put(&self, desk: &Desk, document: PolicyDocument) -> Result<Report, CliError> {
        let (base, policy) = current(desk).await?;
        let mut draft = document.clone();
        let ignored = draft.keep_pinned(&base.document, policy.pins());
        let faults = draft.faults_since(&base.document, policy.pins());
        let changes = diff(&base.document, &draft);
        if self.dry_run || !faults.is_empty() {
            change::tell_warnings(desk, &changes, &draft.warnings(policy.pins()));
            return Ok(Report {
                changes,
                ignored,
                faults,
                revision: None,
            });
        }
        let reason = match self.why.reason.as_str() {
            "" => format!("import of {}", plain(&self.file.display().to_string())),
            reason => reason.to_owned(),
        };
        let (saved, ignored) = change::replace(desk, &document, reason, SaveKind::Imported).await?;
        Ok(match saved {
            Saved::Unchanged => Report {
                ignored,
                ..Report::default()
            },
            Saved::Revision {
                number,
                changes,
                warnings,
            } => {
                change::tell_warnings(desk, &changes, &warnings);
                Report {
                    changes,
                    ignored,
                    revision: Some(number),
                    faults: Vec::new(),
                }
            }
        })
    }
}

impl Format {
    fn read(self, text: &str) -> Result<PolicyDocument, Vec<Fault>> {
        match self {
            Self::Toml => toml::import(text),
            Self::Json => match serde_json::from_str(text) {
                Ok(json) => PolicyDocument::from_json(&json),
                Err(error) => Err(vec![Fault {
                    scope: Scope::Everyone,
                    key: String::new(),
                    value: String::new(),
                    message: format!("not JSON: {error}"),
                }]),
            },
        }
    }
}

fn read(path: &Path) -> Result<String, CliError> {
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
        let ignored = self.ignored.iter().map(
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
            "ignored": ignored.collect::<Vec<_>>(),
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
        for (scope, key) in &self.ignored {
            out.line(&format!("  {scope}: {key}: {}", change::why_kept(*key)))?;
        }
        out.finish()
    }
}
