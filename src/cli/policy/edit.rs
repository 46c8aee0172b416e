//! Settings as they are given on the command line: `KEY VALUE` or `KEY=VALUE…`.

use super::{lookup::load_current, save::faults_to_error};
use crate::{
    cli::{
        context::CommandContext,
        error::CliError,
        output::{self, escape_text},
    },
    domain::policy::{Key, PolicyFault, Scope, Value, document::parse_edits},
};
use std::{collections::BTreeSet, slice};

/// Parses `KEY VALUE` or `KEY=VALUE…`.
pub fn parse_pairs(settings: &[String]) -> Result<Vec<(String, String)>, CliError> {
    if let [key, value] = settings
        && !key.contains('=')
    {
        return Ok(vec![(key.clone(), value.clone())]);
    }
    let parse_pair = |text: &String| {
        let split = text
            .split_once('=')
            .map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
        split.ok_or_else(|| {
            CliError::Usage(format!(
                "{}: write KEY VALUE, or KEY=VALUE for each setting",
                escape_text(text)
            ))
        })
    };
    settings.iter().map(parse_pair).collect()
}

/// Checks edits and returns them as typed values. Reports every fault: values that do not parse,
/// what the document as a whole refuses, pinned settings and settings that are given twice.
pub async fn check_edits(
    context: &CommandContext,
    scope: &Scope,
    pairs: &[(String, String)],
) -> Result<Vec<(Key, Value)>, CliError> {
    let (base, policy) = load_current(context).await?;
    let mut draft = base.document.clone();
    let (mut edits, mut faults) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for pair in pairs {
        if !seen.insert(&pair.0) {
            faults.push(PolicyFault {
                scope: scope.clone(),
                key: pair.0.clone(),
                value: pair.1.clone(),
                message: "given more than once".to_owned(),
            });
            continue;
        }
        match parse_edits(scope, slice::from_ref(pair)) {
            Ok(parsed) => edits.extend(parsed),
            Err(refused) => faults.extend(refused),
        }
    }
    for (key, value) in &edits {
        draft.set(scope, *key, value.clone());
    }
    faults.extend(draft.faults_since(&base.document, policy.pins()));
    if let Scope::Application(name) = scope
        && context.ctx.current_applications().await?.named(name).is_none()
    {
        output::print_warning(&format!(
            "no application is named {} yet: the setting applies once there is one",
            escape_text(name)
        ));
    }
    if faults.is_empty() {
        Ok(edits)
    } else {
        Err(faults_to_error(&faults))
    }
}
