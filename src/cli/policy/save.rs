//! Saving the policy. The command line has no revision of its own that it started from: when
//! someone else saves at the same moment, the change is made again on top of theirs.

use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, StandardOutput, escape_text, format_count},
    },
    domain::{
        factor::FactorRequirement,
        policy::{
            Key, PolicyDocument, PolicyFault, Scope, Value, Warning,
            diff::{Change, diff},
        },
    },
    flows::{
        self, FlowError,
        factors::passkeys_exist,
        policy::{Edit, PolicySaveOutcome, SaveKind},
    },
};
use clap::Args;
use std::{io, process::ExitCode};

/// Number of intervening saves by others after which a command gives up.
const ATTEMPTS: usize = 20;
/// Maximum number of characters of a faulty value that are shown.
const MAX_VALUE_CHARS: usize = 120;

/// The reason for a change.
#[derive(Args)]
pub struct ReasonOption {
    /// Reason, kept with the revision and in the audit log
    #[arg(long, value_name = "TEXT", value_parser = input::parse_reason, default_value = "", hide_default_value = true)]
    pub reason: String,
}

impl ReasonOption {
    /// Returns the given reason, or `default` where there is none.
    pub fn unwrap_or_else(self, default: impl FnOnce() -> String) -> String {
        match self.reason {
            reason if reason.is_empty() => default(),
            reason => reason,
        }
    }
}

/// The consent to a save after which people could not get in.
#[derive(Args, Clone, Copy, Default)]
pub struct LockoutOption {
    /// Save it even if it requires passkeys where none can exist, so that nobody could get in
    #[arg(long)]
    accept_lockout: bool,
}

impl LockoutOption {
    /// Refuses changes after which nobody could sign in, unless that was accepted.
    fn check(self, context: &CommandContext, changes: &[Change]) -> Result<(), CliError> {
        let lockouts = lockouts(context, changes);
        if self.accept_lockout || lockouts.is_empty() {
            return Ok(());
        }
        let how = "nothing was saved; set public_url to a name first, or accept it with --accept-lockout";
        Err(CliError::Faults(lockouts.into_iter().chain([how.to_owned()]).collect()))
    }
}

/// Returns the changes that require a passkey although none can exist here, one sentence each.
fn lockouts(context: &CommandContext, changes: &[Change]) -> Vec<String> {
    if passkeys_exist(&context.ctx) {
        return Vec::new();
    }
    let required = Value::Text(FactorRequirement::Passkey.as_str().to_owned());
    changes
        .iter()
        .filter(|change| change.key == Key::FactorRequired && change.new.as_ref() == Some(&required))
        .map(|change| {
            format!(
                "{}: {} = passkey: nobody could get in: people reach this server by an IP address, for which browsers \
                 support no passkeys",
                change.scope, change.key
            )
        })
        .collect()
}

/// The outcome of a save.
pub enum SaveOutcome {
    /// A new revision is in force.
    Revision {
        number: i64,
        changes: Vec<Change>,
        warnings: Vec<Warning>,
    },
    /// The policy already had these values.
    Unchanged,
}

/// Saves edits and prints the outcome.
pub async fn save_edits(
    context: &CommandContext,
    edits: Vec<Edit>,
    reason: String,
    lockout: LockoutOption,
) -> CommandResult {
    let (ctx, initiator) = (&context.ctx, &context.initiator);
    for _ in 0..ATTEMPTS {
        let base = flows::policy::in_force(ctx).await?.revision;
        let mut document = base.document.clone();
        for edit in &edits {
            document.put(&edit.scope, edit.key, edit.value.clone());
        }
        lockout.check(context, &diff(&base.document, &document))?;
        let base = base.revision;
        let verdict = flows::policy::save(ctx, initiator, base, edits.clone(), reason.clone(), SaveKind::Saved).await;
        if let Some(outcome) = to_outcome(verdict)? {
            return print_outcome(context, outcome);
        }
    }
    Err(too_busy())
}

/// Replaces the document by the one that `document` makes of the newest, except for pinned
/// settings, which are returned.
pub async fn replace_document(
    context: &CommandContext,
    document: impl Fn(&PolicyDocument) -> Result<PolicyDocument, CliError>,
    reason: String,
    kind: SaveKind,
    lockout: LockoutOption,
) -> Result<(SaveOutcome, Vec<(Scope, Key)>), CliError> {
    let (ctx, initiator) = (&context.ctx, &context.initiator);
    let pins = flows::policy::pins_in_force(ctx).await?;
    for _ in 0..ATTEMPTS {
        let base = flows::policy::in_force(ctx).await?.revision;
        let mut document = document(&base.document)?;
        let kept = document.keep_pinned(&base.document, &pins);
        lockout.check(context, &diff(&base.document, &document))?;
        let verdict =
            flows::policy::replace(ctx, initiator, base.revision, document, reason.clone(), kind.clone()).await;
        if let Some(outcome) = to_outcome(verdict)? {
            return Ok((outcome, kept));
        }
    }
    Err(too_busy())
}

/// Converts a verdict, or returns `None` if someone else saved in between.
fn to_outcome(verdict: Result<PolicySaveOutcome, FlowError>) -> Result<Option<SaveOutcome>, CliError> {
    match verdict? {
        PolicySaveOutcome::Saved {
            revision,
            changes,
            warnings,
            confirm_by: _,
        } => Ok(Some(SaveOutcome::Revision {
            number: revision,
            changes,
            warnings,
        })),
        PolicySaveOutcome::Unchanged => Ok(Some(SaveOutcome::Unchanged)),
        PolicySaveOutcome::Faulty(faults) => Err(faults_to_error(&faults)),
        PolicySaveOutcome::Stale { .. } => Ok(None),
        PolicySaveOutcome::Provisional {
            revision,
            author,
            confirm_by,
        } => Err(CliError::refused(format!(
            "revision {revision} by {} waits to be confirmed until {}: nothing was saved",
            escape_text(&author),
            confirm_by.to_rfc3339()
        ))),
    }
}

fn too_busy() -> CliError {
    CliError::refused("the policy is being changed continuously; nothing was saved")
}

/// Converts faults to an error with one line each.
pub fn faults_to_error(faults: &[PolicyFault]) -> CliError {
    CliError::Faults(faults.iter().map(format_fault).collect())
}

/// Formats a fault: scope, key, value, and what is accepted.
fn format_fault(fault: &PolicyFault) -> String {
    let mut value = escape_text(&fault.value);
    if let Some((end, _)) = value.char_indices().nth(MAX_VALUE_CHARS) {
        value.truncate(end);
        value.push('…');
    }
    let (scope, key, message) = (&fault.scope, escape_text(&fault.key), escape_text(&fault.message));
    match (key.is_empty(), value.is_empty()) {
        // A fault without a setting concerns the whole file.
        (true, _) if *scope == Scope::Everyone => message,
        (true, _) => format!("{scope}: {message}"),
        (false, true) => format!("{scope}: {key}: {message}"),
        (false, false) => format!("{scope}: {key} = {value}: {message}"),
    }
}

/// Prints the outcome of a save.
pub fn print_outcome(context: &CommandContext, outcome: SaveOutcome) -> CommandResult {
    match outcome {
        SaveOutcome::Unchanged => output::print_line("Nothing to do: the policy already says so.")?,
        SaveOutcome::Revision {
            number,
            changes,
            warnings,
        } => {
            print_warnings(context, &changes, &warnings);
            let mut out = StandardOutput::new();
            out.write_line(&format!(
                "Saved revision {number}, {}.",
                format_count(changes.len(), "change", "changes")
            ))?;
            write_changes(&mut out, &changes)?;
            out.finish()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints warnings about the save on standard error.
pub fn print_warnings(context: &CommandContext, changes: &[Change], warnings: &[Warning]) {
    for warning in warnings {
        output::print_warning(&format!("{}: {}: {}", warning.scope, warning.key, warning.message));
    }
    for lockout in lockouts(context, changes) {
        output::print_warning(&lockout);
    }
    let https = context.ctx.config.https();
    // Unset, it follows the public URL.
    let is_on = |value: &Option<Value>| value.as_ref().map_or(https, |value| *value == Value::Flag(true));
    for change in changes.iter().filter(|change| change.key == Key::SessionSecure) {
        match (is_on(&change.old), is_on(&change.new)) {
            (false, true) if !https => output::print_warning(
                "everyone: session.secure: the public URL is not https; browsers do not send the cookie over plain \
                 http, so nobody can sign in there",
            ),
            (true, false) if https => output::print_warning(
                "everyone: session.secure: the public URL is https; without Secure the cookie is also sent over plain \
                 http",
            ),
            _ => {}
        }
    }
}

/// Prints which pinned settings were left unchanged.
pub fn print_kept(kept: &[(Scope, Key)]) {
    for (scope, key) in kept {
        output::print_warning(&format!("{scope}: {key}: {}", explain_kept(*key)));
    }
}

/// Explains why a pinned setting was left unchanged.
pub fn explain_kept(key: Key) -> String {
    format!(
        "unchanged, because it is pinned by {} in the environment",
        key.env_name()
    )
}

/// Formats the changes of a save, one line each.
pub fn format_changes(outcome: &SaveOutcome) -> Vec<String> {
    match outcome {
        SaveOutcome::Unchanged => Vec::new(),
        SaveOutcome::Revision { changes, .. } => changes.iter().map(format_change).collect(),
    }
}

fn format_change(change: &Change) -> String {
    format!("  {}  {}", change.key, escape_text(&change.sentence()))
}

/// Writes changes, one line each.
pub fn write_changes(out: &mut StandardOutput, changes: &[Change]) -> io::Result<()> {
    changes
        .iter()
        .try_for_each(|change| out.write_line(&format_change(change)))
}
