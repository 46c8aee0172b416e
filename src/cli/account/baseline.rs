//! The baseline that a new installation starts with, when it is set up from the command line.

use crate::{
    cli::{
        context::CommandContext,
        error::CliError,
        output,
        policy::{LockoutOption, format_changes, replace_document},
    },
    domain::policy::{
        Key, Scope, Value,
        posture::{Baseline, baselines},
    },
    flows::{self, policy::SaveKind},
};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Returns a parser that accepts the ID of a baseline.
pub fn baseline_parser() -> impl TypedValueParser<Value = &'static Baseline> {
    PossibleValuesParser::new(baselines().iter().map(|baseline| baseline.id))
        .try_map(|id| Baseline::find(&id).ok_or("unknown baseline"))
}

/// Saves a baseline as the policy and prints its effect. It is refused once the installation is set
/// up: a policy in use is changed with `nightlatch policy`, which can preview the impact.
pub async fn apply_baseline(context: &CommandContext, baseline: &'static Baseline) -> Result<(), CliError> {
    if !flows::setup::is_awaited(&context.ctx).await? {
        return Err(CliError::refused(
            "--baseline is for the first account of a new installation: compare with `nightlatch policy posture`, \
             change with `nightlatch policy set`",
        ));
    }
    let reason = format!("baseline {}", baseline.title);
    let kind = SaveKind::Baseline {
        id: baseline.id.to_owned(),
    };
    let mut document = baseline.document();
    if context.ctx.config.https() {
        document.set(&Scope::Everyone, Key::SessionSecure, Value::Flag(true));
    }
    let (outcome, _) = replace_document(
        context,
        |_| Ok(document.clone()),
        reason,
        kind,
        LockoutOption::default(),
    )
    .await?;
    output::print_message(&format!(
        "the policy starts with {}: {}",
        baseline.title, baseline.summary
    ));
    for line in format_changes(&outcome) {
        output::print_message(&line);
    }
    Ok(())
}
