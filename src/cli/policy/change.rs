//! Changes of the policy: set, unset, restore, reset. The command line has no revision of its own that it started
//! from: when somebody saves at the same moment, the change is made again on top of theirs.

use super::{Desk, Done, current, key, revision};
use crate::{
    cli::{
        CliError, input,
        output::{self, Output, count, plain},
    },
    domain::policy::{Fault, Key, PolicyDocument, Scope, Value, Warning, diff::Change, document::parse_edits},
    flows::{
        self, FlowError,
        policy::{Edit, SaveKind, SaveVerdict},
    },
};
use clap::Args;
use std::{collections::BTreeSet, io, process::ExitCode};

#[derive(Args)]
#[command(
    override_usage = "nightlatch policy set [OPTIONS] KEY VALUE\n       nightlatch policy set [OPTIONS] KEY=VALUE…",
    after_help = "\
All settings are saved as one revision, or none is. Durations are written as people say them: 15m, 2 weeks, 900, never.
For example: nightlatch policy set auth.idle_session_timeout 15m --scope administrators --reason \"audit finding 7\""
)]
pub struct Set {
    /// KEY VALUE, or KEY=VALUE as often as needed
    #[arg(required = true, value_name = "SETTING", allow_negative_numbers = true)]
    settings: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub struct Unset {
    /// The settings
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct How {
    /// For whom: everyone, administrators or app:NAME
    #[arg(long, default_value = "everyone")]
    scope: Scope,
    #[command(flatten)]
    why: Why,
}

#[derive(Args)]
pub struct Restore {
    /// The revision
    revision: i64,
    #[command(flatten)]
    why: Why,
}

#[derive(Args)]
pub struct Reset {
    #[command(flatten)]
    why: Why,
}

#[derive(Args)]
pub struct Why {
    /// Kept with the revision and in the audit
    #[arg(long, value_name = "TEXT", value_parser = input::reason, default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// Saves by others in between that are put up with.
const ATTEMPTS: usize = 20;

impl Set {
    pub async fn run(self, desk: &Desk) -> Done {
        let scope = self.how.scope;
        let named = pairs(&self.settings)?;
        let edits: Vec<Edit> = checked(desk, &scope, &named)
            .await?
            .into_iter()
            .map(|(key, value)| Edit {
                scope: scope.clone(),
                key,
                value: Some(value),
            })
            .collect();
        edit(desk, edits, self.how.why.reason).await
    }
}

impl Unset {
    pub async fn run(self, desk: &Desk) -> Done {
        let mut edits = Vec::new();
        let mut unknown = Vec::new();
        for name in &self.keys {
            match key(name) {
                Ok(key) => edits.push(Edit {
                    scope: self.how.scope.clone(),
                    key,
                    value: None,
                }),
                Err(error) => unknown.push(error.to_string()),
            }
        }
        if !unknown.is_empty() {
            return Err(CliError::Faults(unknown));
        }
        edit(desk, edits, self.how.why.reason).await
    }
}

impl Restore {
    pub async fn run(self, desk: &Desk) -> Done {
        let old = revision(desk, self.revision).await?;
        let reason = match self.why.reason {
            reason if reason.is_empty() => format!("revision {} again", old.revision),
            reason => reason,
        };
        let kind = SaveKind::Restored { from: old.revision };
        let (saved, kept) = replace(desk, |_| Ok(old.document.clone()), reason, kind).await?;
        tell_kept(&kept);
        tell(desk, saved)
    }
}

impl Reset {
    pub async fn run(self, desk: &Desk) -> Done {
        let reason = match self.why.reason {
            reason if reason.is_empty() => "the defaults again".to_owned(),
            reason => reason,
        };
        let (saved, kept) = replace(desk, |_| Ok(PolicyDocument::default()), reason, SaveKind::Reset).await?;
        tell_kept(&kept);
        tell(desk, saved)
    }
}

/// `KEY VALUE` or `KEY=VALUE…`.
pub fn pairs(settings: &[String]) -> Result<Vec<(String, String)>, CliError> {
    if let [key, value] = settings
        && !key.contains('=')
    {
        return Ok(vec![(key.clone(), value.clone())]);
    }
    let pair = |text: &String| {
        let split = text
            .split_once('=')
            .map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
        split.ok_or_else(|| {
            CliError::Usage(format!(
                "{}: write KEY VALUE, or KEY=VALUE for each setting",
                plain(text)
            ))
        })
    };
    settings.iter().map(pair).collect()
}

/// The edits as typed values, or all that is wrong with them: what does not parse, what the document as a whole
/// refuses, what is fixed by the environment, what is given twice.
pub async fn checked(desk: &Desk, scope: &Scope, named: &[(String, String)]) -> Result<Vec<(Key, Value)>, CliError> {
    let (base, policy) = current(desk).await?;
    let mut draft = base.document.clone();
    let (mut edits, mut faults) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for pair in named {
        if !seen.insert(&pair.0) {
            faults.push(Fault {
                scope: scope.clone(),
                key: pair.0.clone(),
                value: pair.1.clone(),
                message: "given more than once".to_owned(),
            });
            continue;
        }
        match parse_edits(scope, std::slice::from_ref(pair)) {
            Ok(parsed) => edits.extend(parsed),
            Err(refused) => faults.extend(refused),
        }
    }
    for (key, value) in &edits {
        draft.set(scope, *key, value.clone());
    }
    faults.extend(draft.faults_since(&base.document, policy.pins()));
    if let Scope::Application(name) = scope
        && desk.ctx.current_applications().await?.named(name).is_none()
    {
        output::warn(&format!(
            "no application is named {} yet: it counts once there is one",
            plain(name)
        ));
    }
    if faults.is_empty() {
        Ok(edits)
    } else {
        Err(refused(&faults))
    }
}

async fn edit(desk: &Desk, edits: Vec<Edit>, reason: String) -> Done {
    let (ctx, acting) = (&desk.ctx, &desk.acting);
    for _ in 0..ATTEMPTS {
        let base = flows::policy::in_force(ctx).await?.revision.revision;
        let verdict = flows::policy::save(ctx, acting, base, edits.clone(), reason.clone(), SaveKind::Saved).await;
        if let Some(saved) = settled(verdict)? {
            return tell(desk, saved);
        }
    }
    Err(too_busy())
}

/// Puts the document that is made of the newest one in force, but for what the environment fixes; that is returned, too.
pub async fn replace(
    desk: &Desk,
    document: impl Fn(&PolicyDocument) -> Result<PolicyDocument, CliError>,
    reason: String,
    kind: SaveKind,
) -> Result<(Saved, Vec<(Scope, Key)>), CliError> {
    let (ctx, acting) = (&desk.ctx, &desk.acting);
    let pins = flows::policy::pins_in_force(ctx).await?;
    for _ in 0..ATTEMPTS {
        let base = flows::policy::in_force(ctx).await?.revision;
        let mut document = document(&base.document)?;
        let kept = document.keep_pinned(&base.document, &pins);
        let verdict = flows::policy::replace(ctx, acting, base.revision, document, reason.clone(), kind.clone()).await;
        if let Some(saved) = settled(verdict)? {
            return Ok((saved, kept));
        }
    }
    Err(too_busy())
}

/// What came of a save.
pub enum Saved {
    Revision {
        number: i64,
        changes: Vec<Change>,
        warnings: Vec<Warning>,
    },
    Unchanged,
}

/// `None`: somebody else saved in between.
fn settled(verdict: Result<SaveVerdict, FlowError>) -> Result<Option<Saved>, CliError> {
    match verdict? {
        SaveVerdict::Saved {
            revision,
            changes,
            warnings,
            confirm_by: _,
        } => Ok(Some(Saved::Revision {
            number: revision,
            changes,
            warnings,
        })),
        SaveVerdict::Unchanged => Ok(Some(Saved::Unchanged)),
        SaveVerdict::Faulty(faults) => Err(refused(&faults)),
        SaveVerdict::Stale { .. } => Ok(None),
        SaveVerdict::Provisional {
            revision,
            author,
            confirm_by,
        } => Err(CliError::refused(format!(
            "revision {revision} by {} waits to be confirmed until {}: nothing was saved",
            plain(&author),
            confirm_by.to_rfc3339()
        ))),
    }
}

fn too_busy() -> CliError {
    CliError::refused("the policy is being changed all the time; nothing was saved")
}

/// All faults, a line each.
pub fn refused(faults: &[Fault]) -> CliError {
    CliError::Faults(faults.iter().map(line).collect())
}

/// Scope, key, value, and what is accepted.
fn line(fault: &Fault) -> String {
    const MOST: usize = 120;
    let mut value = plain(&fault.value);
    if let Some((end, _)) = value.char_indices().nth(MOST) {
        value.truncate(end);
        value.push('…');
    }
    let (scope, key, message) = (&fault.scope, plain(&fault.key), plain(&fault.message));
    match (key.is_empty(), value.is_empty()) {
        // Of no setting at all: the file as a whole.
        (true, _) if *scope == Scope::Everyone => message,
        (true, _) => format!("{scope}: {message}"),
        (false, true) => format!("{scope}: {key}: {message}"),
        (false, false) => format!("{scope}: {key} = {value}: {message}"),
    }
}

fn tell(desk: &Desk, saved: Saved) -> Done {
    match saved {
        Saved::Unchanged => output::say("Nothing to do: the policy says so already.")?,
        Saved::Revision {
            number,
            changes,
            warnings,
        } => {
            tell_warnings(desk, &changes, &warnings);
            let mut out = Output::new();
            out.line(&format!(
                "Saved revision {number}, {}.",
                count(changes.len(), "change", "changes")
            ))?;
            list(&mut out, &changes)?;
            out.finish()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is worth a second look, on standard error.
pub fn tell_warnings(desk: &Desk, changes: &[Change], warnings: &[Warning]) {
    for warning in warnings {
        output::warn(&format!("{}: {}: {}", warning.scope, warning.key, warning.message));
    }
    let https = desk.ctx.config.https();
    let on = |value: &Option<Value>| *value == Some(Value::Flag(true));
    for change in changes.iter().filter(|change| change.key == Key::SessionSecure) {
        match (on(&change.old), on(&change.new)) {
            (false, true) if !https => output::warn(
                "everyone: session.secure: the public URL is not https; over plain http browsers do not send the \
                 cookie any more, and nobody can sign in there",
            ),
            (true, false) if https => output::warn(
                "everyone: session.secure: people come over https; without Secure the cookie is also sent over plain http",
            ),
            _ => {}
        }
    }
}

/// What restoring or importing left alone.
fn tell_kept(kept: &[(Scope, Key)]) {
    for (scope, key) in kept {
        output::warn(&format!("{scope}: {key}: {}", why_kept(*key)));
    }
}

pub fn why_kept(key: Key) -> String {
    format!("kept as it is: fixed by {} in the environment", key.env_name())
}

/// The changes, a line each.
pub fn list(out: &mut Output, changes: &[Change]) -> io::Result<()> {
    changes.iter().try_for_each(|change| {
        let sentence = plain(&change.sentence());
        out.line(&format!("  {}  {sentence}", change.key))
    })
}
