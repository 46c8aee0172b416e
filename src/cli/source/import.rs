//! `nightlatch source import`: makes disabled sources of the directories of a hue.ini.

use super::{outcome::report, secrets::read_secret};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, escape_text},
    },
    domain::{
        secret::Secret,
        source::{
            HueDirectory, MAX_SOURCE_NAME, SourceDefinition, SourceFault, SourceKind, SourceName, read_hue_directories,
        },
    },
    flows::sources::{self, SourceChange},
};
use clap::Args;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Args)]
#[command(after_help = "\
Creates one disabled source for each directory of the file ([desktop] [[ldap]], [[[ldap_servers]]]). The bind \
password of the file is never read: give it with --secret-file. With a fault in one directory nothing is created; \
--dry-run then prints the commands, to be corrected by hand.")]
pub struct ImportSources {
    /// The hue.ini; - is standard input
    file: PathBuf,
    /// Name of the source; only for a file with one directory [default: the name in the file, or
    /// hue]
    #[arg(long)]
    name: Option<String>,
    /// File with the bind password (-: standard input); only for a file with one directory
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Print the commands that create the sources, and create nothing
    #[arg(long)]
    dry_run: bool,
}

/// A directory of the file, with the name of its source.
struct ImportedDirectory {
    name: String,
    directory: HueDirectory,
}

impl ImportSources {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let is_stdin = |file: &Path| file == Path::new("-");
        if is_stdin(&self.file) && self.secret_file.as_deref().is_some_and(is_stdin) {
            return Err(CliError::Usage(
                "only one of the hue.ini and the secret can come from standard input".to_owned(),
            ));
        }
        let text = input::read_text_file(&self.file, "a hue.ini")?;
        let directories = read_hue_directories(&text);
        if directories.is_empty() {
            return Err(CliError::refused(
                "the file names no directory ([desktop] [[ldap]] ldap_url)",
            ));
        }
        if directories.len() > 1 && (self.name.is_some() || self.secret_file.is_some()) {
            return Err(CliError::Usage(
                "the file has several directories: --name and --secret-file need a file with one".to_owned(),
            ));
        }
        let imported: Vec<ImportedDirectory> = directories
            .into_iter()
            .map(|directory| ImportedDirectory {
                name: self.name.clone().unwrap_or_else(|| source_name(&directory.name)),
                directory,
            })
            .collect();
        for note in imported.iter().flat_map(|import| &import.directory.notes) {
            output::print_message(&escape_text(note));
        }
        if self.dry_run {
            for import in &imported {
                output::print_line(&create_command(import))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        check(context, &imported).await?;
        let secret = read_secret(self.secret_file.as_ref())?;
        for import in &imported {
            create(context, import, secret.clone()).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Reports every fault of every directory, so that either all sources are created or none.
async fn check(context: &CommandContext, imported: &[ImportedDirectory]) -> Result<(), CliError> {
    let known = sources::list(&context.ctx).await?;
    let mut taken: BTreeSet<String> = known
        .into_iter()
        .map(|view| view.source.name.as_str().to_owned())
        .collect();
    let mut faults = Vec::new();
    for ImportedDirectory { name, directory } in imported {
        let mut add = |fault: SourceFault| {
            faults.push(format!("{}: {} {}", escape_text(name), fault.key, fault.message));
        };
        if let Err(error) = SourceName::parse(name) {
            add(SourceFault::new("name", error.to_string()));
        } else if !taken.insert(name.clone()) {
            add(SourceFault::new("name", "is already the name of a source"));
        }
        if let Err(found) = SourceDefinition::parse(SourceKind::Ldap, &directory.texts) {
            found.into_iter().for_each(&mut add);
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(CliError::Faults(faults)),
    }
}

async fn create(context: &CommandContext, import: &ImportedDirectory, secret: Option<Secret>) -> Result<(), CliError> {
    let name = &import.name;
    let change = SourceChange {
        title: Some(name.clone()),
        enabled: Some(false),
        settings: import.directory.texts.clone(),
        secret,
        ..SourceChange::default()
    };
    let outcome = sources::create(&context.ctx, &context.initiator, name, SourceKind::Ldap, change).await?;
    report(outcome, name, "was created, disabled")?;
    output::print_line(&format!(
        "Test it with `nightlatch source test {name}`, then enable it with `nightlatch source set {name} --enable`."
    ))?;
    Ok(())
}

/// Returns a name for the source of a directory: its name in the file, in the characters that a
/// source's name may have.
fn source_name(in_file: &str) -> String {
    let mut name = String::new();
    for c in in_file.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(MAX_SOURCE_NAME);
    match name.trim_end_matches('-') {
        "" => "hue".to_owned(),
        name => name.to_owned(),
    }
}

/// Returns the command that creates the source.
fn create_command(import: &ImportedDirectory) -> String {
    let mut command = format!(
        "nightlatch source create {} --kind ldap --disabled",
        quote(&import.name)
    );
    for (key, text) in &import.directory.texts {
        for line in text.lines() {
            command.push_str(&format!(" \\\n  {}", quote(&format!("{key}={line}"))));
        }
    }
    command
}

/// Quotes an argument for a POSIX shell.
fn quote(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    match argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}
