//! Lookups of the policy commands: the policy in force, a setting, a revision, a format.

use crate::{
    cli::{context::CommandContext, error::CliError, output::escape_text},
    domain::policy::{Key, Revision, Scope, Source, effective, interchange::PolicyFormat},
    flows,
};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Loads the newest revision, and the policy it makes with the pins of this environment and of the
/// running servers.
pub async fn load_current(context: &CommandContext) -> Result<(Revision, effective::Policy), CliError> {
    let revision = flows::policy::in_force(&context.ctx).await?.revision;
    let pins = flows::policy::pins_in_force(&context.ctx).await?;
    let environment = effective::PolicyEnvironment {
        pins,
        dev: false,
        https: context.ctx.config.https(),
    };
    let policy = effective::Policy::in_environment(revision.revision, revision.document.clone(), environment);
    Ok((revision, policy))
}

/// Finds a setting by its name, or refuses with the likely name.
pub fn find_key(name: &str) -> Result<Key, CliError> {
    Key::parse(name.trim()).ok_or_else(|| {
        let next = match Key::nearest(name.trim()) {
            Some(key) => format!("did you mean {}?", key.name()),
            None => "`nightlatch policy show` lists them".to_owned(),
        };
        CliError::refused(format!("there is no setting named {}: {next}", escape_text(name)))
    })
}

/// Finds a revision by its number, or refuses.
pub async fn find_revision(context: &CommandContext, number: i64) -> Result<Revision, CliError> {
    let found = flows::policy::revision(&context.ctx, number).await?;
    found.ok_or_else(|| CliError::refused(format!("there is no revision {number}")))
}

/// Returns the parser of these file formats, which the help lists.
pub fn format_parser(formats: &[PolicyFormat]) -> impl TypedValueParser<Value = PolicyFormat> {
    let words = formats
        .iter()
        .map(|format| PossibleValue::new(format.as_str()).help(format.label()));
    PossibleValuesParser::new(words).try_map(|word| PolicyFormat::parse(&word).ok_or("no such format"))
}

/// Formats where a value comes from.
pub fn format_source(source: &Source) -> String {
    match source {
        Source::Default => "default".to_owned(),
        Source::SetIn(Scope::Everyone) => "set".to_owned(),
        Source::SetIn(scope) => format!("set for {scope}"),
        Source::Mode(mode) => format!("by the validation mode {mode}"),
        Source::Pinned => "pinned by the environment".to_owned(),
    }
}
