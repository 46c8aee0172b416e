//! `nightlatch policy …`: reads the session policy. What changes it stands in `policy/change`, files in `policy/import`,
//! which rule ends a session when in `policy/explain`.

mod change;
mod explain;
mod import;
mod posture;
mod preview;

use super::{
    CliError, Done,
    desk::Desk,
    output::{self, JsonList, Output, Table, count, plain, time},
};
use crate::{
    domain::policy::{
        Key, Scope, Source, Value,
        catalogue::Group,
        diff::diff,
        effective,
        interchange::{self, Format},
    },
    flows,
    store::policies::Revision,
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use serde_json::json;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Policy {
    /// Show the policy in force
    Show(Show),
    /// Show one setting: value, default, where it comes from
    Get(Get),
    /// Change settings
    Set(change::Set),
    /// Take settings out of a scope, so that they fall back
    Unset(change::Unset),
    /// Show what a change would do to the live sessions, and what it would have done in the last days
    Preview(preview::Preview),
    /// Show what changed between two revisions
    Diff(Diff),
    /// List revisions, newest first
    Revisions(Revisions),
    /// Make an earlier revision the newest again
    Restore(change::Restore),
    /// Go back to the defaults, as a new revision
    Reset(change::Reset),
    /// Show which rule ends a session when, and where each value comes from
    Explain(Box<explain::Explain>),
    /// Compare the policy with what OWASP, NIST, PCI and Hue ask for
    Posture(posture::Posture),
    /// Print the policy as a file: the whole of it, all scopes, or the part that a hue.ini has
    Export(Export),
    /// Take over the settings of a file: another product's, or a whole policy
    Import(import::Import),
}

#[derive(Args)]
pub struct Show {
    /// Print JSON: {"revision","scopes":{"everyone":{all settings},"administrators":{overrides},"app:NAME":{…}}}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Get {
    /// The setting, such as auth.idle_session_timeout
    key: String,
    /// As it holds there: everyone, administrators or app:NAME
    #[arg(long, default_value = "everyone")]
    scope: Scope,
    /// Print JSON: {"key","value","default","scope","source"}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Diff {
    /// The earlier revision [default: the one before the later]
    from: Option<i64>,
    /// The later revision [default: the newest]
    to: Option<i64>,
    /// Print JSON: {"from","to","changes":[{"scope","key","old","new"}]}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Revisions {
    /// Print JSON: [{"revision","author","at","reason","changes"}]
    #[arg(long)]
    json: bool,
    /// At most so many [default: all]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

#[derive(Args)]
pub struct Export {
    /// Format of the text
    #[arg(long, value_parser = formats(&Format::WRITTEN), default_value = Format::Toml.as_str())]
    format: Format,
}

/// Reads the word of one of these formats; the help lists them.
fn formats(formats: &[Format]) -> impl TypedValueParser<Value = Format> {
    let words = formats
        .iter()
        .map(|format| PossibleValue::new(format.as_str()).help(format.label()));
    PossibleValuesParser::new(words).try_map(|word| Format::parse(&word).ok_or("no such format"))
}

impl Policy {
    pub async fn run(self, desk: &Desk) -> Done {
        match self {
            Self::Show(show) => show.run(desk).await,
            Self::Get(get) => get.run(desk).await,
            Self::Set(set) => set.run(desk).await,
            Self::Unset(unset) => unset.run(desk).await,
            Self::Preview(preview) => preview.run(desk).await,
            Self::Diff(diff) => diff.run(desk).await,
            Self::Revisions(revisions) => revisions.run(desk).await,
            Self::Restore(restore) => restore.run(desk).await,
            Self::Reset(reset) => reset.run(desk).await,
            Self::Explain(explain) => explain.run(desk).await,
            Self::Posture(posture) => posture.run(desk).await,
            Self::Export(export) => export.run(desk).await,
            Self::Import(import) => import.run(desk).await,
        }
    }
}

/// The newest revision, with the pins of this environment and of the servers that run.
async fn current(desk: &Desk) -> Result<(Revision, effective::Policy), CliError> {
    let revision = flows::policy::in_force(&desk.ctx).await?.revision;
    let pins = flows::policy::pins_in_force(&desk.ctx).await?;
    let policy = effective::Policy::new(revision.revision, revision.document.clone(), pins, false);
    Ok((revision, policy))
}

/// The setting of that name.
fn key(name: &str) -> Result<Key, CliError> {
    Key::parse(name.trim()).ok_or_else(|| {
        let next = match Key::nearest(name.trim()) {
            Some(key) => format!("did you mean {}?", key.name()),
            None => "`nightlatch policy show` lists them".to_owned(),
        };
        CliError::refused(format!("there is no setting named {}: {next}", plain(name)))
    })
}

async fn revision(desk: &Desk, number: i64) -> Result<Revision, CliError> {
    let found = flows::policy::revision(&desk.ctx, number).await?;
    found.ok_or_else(|| CliError::refused(format!("there is no revision {number}")))
}

impl Show {
    async fn run(self, desk: &Desk) -> Done {
        let (revision, policy) = current(desk).await?;
        if self.json {
            let mut scopes = revision.document.to_json();
            let complete = Key::ALL.iter().map(|key| {
                let (value, _) = policy.value_in(&Scope::Everyone, *key);
                (key.name().to_owned(), value.to_json())
            });
            scopes["everyone"] = serde_json::Value::Object(complete.collect());
            // Those that nothing is set for, too.
            for view in flows::applications::list(&desk.ctx).await? {
                let scope = Scope::Application(view.application.name.clone()).to_string();
                if scopes.get(&scope).is_none() {
                    scopes[scope] = json!({});
                }
            }
            output::say_json(&json!({ "revision": revision.revision, "scopes": scopes }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = Output::new();
        out.line(&saved(&revision))?;
        for group in Group::ALL {
            out.line(&format!("\n{}", group.title()))?;
            let mut table = Table::plain(3);
            for setting in group.settings() {
                let (value, source) = policy.value_in(&Scope::Everyone, setting.key);
                table.row([format!("  {}", setting.name), setting.display(&value), from(&source)]);
            }
            out.table(&table)?;
        }
        for (scope, overrides) in revision
            .document
            .scopes()
            .filter(|(scope, _)| *scope != Scope::Everyone)
        {
            out.line(&format!("\n{}", plain(&scope.label())))?;
            let mut table = Table::plain(3);
            for key in overrides.keys() {
                let (value, source) = policy.value_in(&scope, *key);
                let source = if source == Source::SetIn(scope.clone()) {
                    String::new()
                } else {
                    from(&source)
                };
                table.row([format!("  {key}"), key.setting().display(&value), source]);
            }
            if overrides.is_empty() {
                table.row(["  as everyone".to_owned(), String::new(), String::new()]);
            }
            out.table(&table)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Get {
    async fn run(self, desk: &Desk) -> Done {
        let key = key(&self.key)?;
        let setting = key.setting();
        let (_, policy) = current(desk).await?;
        let (value, source) = policy.value_in(&self.scope, key);
        if self.json {
            output::say_json(&json!({
                "key": setting.name,
                "value": value.to_json(),
                "default": key.default_value().to_json(),
                "scope": self.scope.to_string(),
                "source": source.to_string(),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::plain(2);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row(setting.name, shown(key, &value));
        row("  scope", self.scope.to_string());
        row("  source", source.to_string());
        row("  default", shown(key, &key.default_value()));
        row("  accepted", setting.accepts());
        row("  effect", setting.effect.to_owned());
        let mut out = Output::new();
        out.table(&table)?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    async fn run(self, desk: &Desk) -> Done {
        let to = match self.to {
            Some(number) => revision(desk, number).await?,
            None => flows::policy::in_force(&desk.ctx).await?.revision,
        };
        let from = match self.from {
            Some(number) => revision(desk, number).await?,
            None if to.revision > 1 => revision(desk, to.revision - 1).await?,
            None => to.clone(),
        };
        let changes = diff(&from.document, &to.document);
        if self.json {
            output::say_json(&json!({
                "from": from.revision,
                "to": to.revision,
                "changes": changes.iter().map(|change| change.to_json()).collect::<Vec<_>>(),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = Output::new();
        if changes.is_empty() {
            out.line(&format!(
                "Revisions {} and {} do not differ.",
                from.revision, to.revision
            ))?;
        } else {
            out.line(&format!("From revision {} to {}:", from.revision, to.revision))?;
            change::list(&mut out, &changes)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Revisions read at once.
const PAGE: usize = 100;

impl Revisions {
    async fn run(self, desk: &Desk) -> Done {
        let mut json = self.json.then(JsonList::new);
        let mut table = Table::new(&["REVISION", "TIME", "AUTHOR", "KIND", "CHANGES", "REASON"]);
        let (mut before, mut left) = (None, self.limit.unwrap_or(usize::MAX));
        while left > 0 {
            let limit = i64::try_from(left.min(PAGE)).unwrap_or(i64::MAX);
            let revisions = flows::policy::revisions(&desk.ctx, before, limit).await?;
            let Some(last) = revisions.last() else { break };
            (before, left) = (Some(last.revision), left - revisions.len().min(left));
            for revision in &revisions {
                match &mut json {
                    Some(list) => list.item(&as_json(revision))?,
                    None => table.row([
                        revision.revision.to_string(),
                        time(revision.at),
                        revision.author.clone(),
                        revision.kind.clone(),
                        revision.changes.len().to_string(),
                        revision.reason.clone(),
                    ]),
                }
            }
        }
        match json {
            Some(list) => list.finish()?,
            None => {
                let mut out = Output::new();
                out.table(&table)?;
                out.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    async fn run(self, desk: &Desk) -> Done {
        let document = flows::policy::in_force(&desk.ctx).await?.revision.document;
        let exported = interchange::export(self.format, &document)
            .ok_or_else(|| CliError::Usage(format!("{} is only read", self.format.as_str())))?;
        for lossy in &exported.lossy {
            output::warn(&plain(&lossy.to_string()));
        }
        let mut out = Output::new();
        out.bytes(exported.text.as_bytes())?;
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(revision: &Revision) -> serde_json::Value {
    json!({
        "revision": revision.revision,
        "author": revision.author,
        "at": revision.at.to_rfc3339(),
        "reason": revision.reason,
        "changes": revision.changes.iter().map(|change| change.to_json()).collect::<Vec<_>>(),
    })
}

fn saved(revision: &Revision) -> String {
    let changes = count(revision.changes.len(), "change", "changes");
    let (number, at, author) = (revision.revision, time(revision.at), plain(&revision.author));
    format!("Revision {number}, {at}, by {author} ({changes})")
}

/// `900 (15 minutes)`, or only the one where they are the same.
fn shown(key: Key, value: &Value) -> String {
    let (stored, shown) = (value.to_string(), key.setting().display(value));
    if stored == shown || stored.is_empty() {
        shown
    } else {
        format!("{stored} ({shown})")
    }
}

fn from(source: &Source) -> String {
    match source {
        Source::Default => "default".to_owned(),
        Source::SetIn(Scope::Everyone) => "set".to_owned(),
        Source::SetIn(scope) => format!("set for {scope}"),
        Source::Mode(mode) => format!("by the validation mode {mode}"),
        Source::Pinned => "fixed by the environment".to_owned(),
    }
}
