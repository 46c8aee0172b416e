//! `nightlatch account disable`, `enable`, `delete`, `set-…`, `expire` and `unlock`: actions on one
//! account.

use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input, lockout,
        output::{self, escape_text, format_count, text_or_dash},
    },
    domain::{
        account::{Account, Role, profile::split_groups},
        secret::Secret,
        time::Timestamp,
    },
    flows::{
        self, FlowError,
        accounts::{AccountAction, AccountActionOutcome, AccountView, FieldFault},
        sources::DELETED_SOURCE,
    },
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::{fmt, process::ExitCode};

#[derive(Args)]
pub struct AccountArgument {
    /// Name of the account
    pub name: String,
}

#[derive(Args)]
pub struct SetRole {
    /// Name of the account
    name: String,
    /// New role of the account
    #[arg(value_parser = role_parser())]
    role: Role,
}

#[derive(Args)]
pub struct SetEmail {
    /// Name of the account
    name: String,
    /// The email address; empty removes it
    email: String,
}

#[derive(Args)]
pub struct SetGroups {
    /// Name of the account
    name: String,
    /// All its groups (comma-separated); empty removes them
    groups: String,
}

#[derive(Args)]
pub struct ExpireAccount {
    /// Name of the account
    name: String,
    /// Expire then instead of now: RFC 3339, a day, or never
    #[arg(long, value_name = "TIME", value_parser = parse_expiry)]
    at: Option<ExpiryInput>,
}

/// When an account is to expire.
#[derive(Clone, Copy)]
enum ExpiryInput {
    At(Timestamp),
    Never,
}

fn parse_expiry(text: &str) -> Result<ExpiryInput, String> {
    match text {
        "never" => Ok(ExpiryInput::Never),
        text => input::parse_instant(text)
            .map(ExpiryInput::At)
            .map_err(|why| format!("{why}, or never")),
    }
}

/// Returns the parser of a role.
pub fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.as_str()))
        .try_map(|word| Role::parse(&word).ok_or("unknown role"))
}

impl AccountArgument {
    /// Disables the account.
    pub async fn disable(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let name = escape_text(&account.name);
        if account.disabled_at.is_some() {
            return print_nothing_to_do(&format!("{name} is already disabled."));
        }
        let (_, ended) = perform(context, &account, AccountAction::Disable, "disabled").await?;
        print_done(&format!("{name} is disabled.{}", EndedCount(ended)))
    }

    /// Enables the account, even if it has expired.
    pub async fn enable(self, context: &CommandContext) -> CommandResult {
        let (account, view) = find_view(context, &self.name).await?;
        let name = escape_text(&account.name);
        // An account whose expiry is due counts as expired, even if no running server has marked it
        // yet.
        let is_due = view.expires.is_some_and(|(at, _)| at < context.ctx.now());
        if account.is_enabled() && !is_due {
            return print_nothing_to_do(&format!("{name} is already enabled."));
        }
        perform(context, &account, AccountAction::Enable, "").await?;
        print_done(&format!("{name} is enabled."))
    }

    /// Deletes the account.
    pub async fn delete(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let (_, ended) = perform(context, &account, AccountAction::Delete, "deleted").await?;
        print_done(&format!(
            "{} is deleted.{}",
            escape_text(&account.name),
            EndedCount(ended)
        ))
    }

    /// Releases the locks on the account's name.
    pub async fn unlock(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let released =
            flows::lockouts::unlock_matching(&context.ctx, &context.initiator, Some(&account.name), None).await?;
        print_done(&lockout::format_released(released))
    }
}

impl SetRole {
    /// Changes the role.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let (name, role) = (escape_text(&account.name), self.role.as_str());
        if account.role == self.role {
            return print_nothing_to_do(&format!("{name} already has the role {role}."));
        }
        perform(context, &account, AccountAction::SetRole(self.role), "made a member").await?;
        print_done(&format!("{name} now has the role {role}."))
    }
}

impl SetEmail {
    /// Changes or removes the email address.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let (name, email) = (escape_text(&account.name), self.email.trim().to_owned());
        if account.email.as_deref().unwrap_or_default() == email {
            return print_nothing_to_do(&format!("{name} already has this email address."));
        }
        let act = AccountAction::SetProfile {
            display_name: account.display_name.clone(),
            email: email.clone(),
            groups: account.groups.clone(),
        };
        perform(context, &account, act, "").await?;
        print_done(&if email.is_empty() {
            format!("Removed the email address of {name}.")
        } else {
            format!("{name} now has the email address {}.", escape_text(&email))
        })
    }
}

impl SetGroups {
    /// Changes or removes the groups.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let (name, groups) = (escape_text(&account.name), split_groups(&self.groups));
        if account.groups == groups {
            return print_nothing_to_do(&format!("{name} already has these groups."));
        }
        let shown = text_or_dash(Some(&escape_text(&groups.join(", "))));
        let act = AccountAction::SetProfile {
            display_name: account.display_name.clone(),
            email: account.email.clone().unwrap_or_default(),
            groups,
        };
        perform(context, &account, act, "").await?;
        print_done(&format!("Groups of {name}: {shown}"))
    }
}

impl ExpireAccount {
    /// Expires the account now, or sets or removes its expiry date.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let name = escape_text(&account.name);
        match self.at {
            None if account.expired_at.is_some() => print_nothing_to_do(&format!("{name} has already expired.")),
            None => {
                let (_, ended) = perform(context, &account, AccountAction::ExpireNow, "expired").await?;
                print_done(&format!("{name} has expired.{}", EndedCount(ended)))
            }
            Some(ExpiryInput::Never) if account.expires_at.is_none() => {
                print_nothing_to_do(&format!("{name} has no expiry date."))
            }
            Some(ExpiryInput::Never) => {
                perform(context, &account, AccountAction::SetExpiry(None), "").await?;
                print_done(&format!("Removed the expiry date of {name}."))
            }
            Some(ExpiryInput::At(at)) if account.expires_at == Some(at) => {
                print_nothing_to_do(&format!("{name} already expires at {}.", at.to_rfc3339()))
            }
            Some(ExpiryInput::At(at)) => {
                refuse_past_expiry(context, at)?;
                perform(context, &account, AccountAction::SetExpiry(Some(at)), "").await?;
                let (_, view) = find_view(context, &account.name).await?;
                let exception = match view.is_last_administrator {
                    true => ", but not while it is the last enabled administrator",
                    false => "",
                };
                print_done(&format!("{name} expires at {}{exception}.", at.to_rfc3339()))
            }
        }
    }
}

/// Finds an account and its state by its name.
pub async fn find_view(context: &CommandContext, name: &str) -> Result<(Account, AccountView), CliError> {
    let account = context.find_account(name).await?;
    match flows::accounts::view(&context.ctx, account.id).await? {
        Some(view) => Ok((account, view)),
        None => Err(account_is_gone(&account)),
    }
}

/// Performs an action. Returns the one-time password that it made and the number of sessions that
/// it ended. `refused` completes "the last administrator cannot be …".
pub async fn perform(
    context: &CommandContext,
    account: &Account,
    act: AccountAction,
    refused: &str,
) -> Result<(Option<Secret>, usize), CliError> {
    let name = escape_text(&account.name);
    match flows::accounts::act(&context.ctx, &context.initiator, account.id, act).await {
        Ok(AccountActionOutcome::Done {
            one_time_password,
            ended,
        }) => Ok((one_time_password, ended)),
        Ok(AccountActionOutcome::LastAdministrator) => {
            let why = format!("{name} is the last enabled administrator and cannot be {refused}");
            Err(CliError::refused(why))
        }
        Ok(AccountActionOutcome::Yourself) => Err(CliError::refused(format!("{name} cannot do this to itself"))),
        Ok(AccountActionOutcome::Managed(title)) => Err(managed_by(account, &title)),
        Ok(AccountActionOutcome::Faulty(faults)) => Err(faults_to_error(faults)),
        Err(FlowError::NotFound) => Err(account_is_gone(account)),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a change that only the source of the account can make.
pub fn managed_by(account: &Account, title: &str) -> CliError {
    let advice = match title {
        DELETED_SOURCE => "it can only be deleted",
        _ => "change it there",
    };
    CliError::refused(format!(
        "{} is managed by {}: {advice}",
        escape_text(&account.name),
        escape_text(title)
    ))
}

fn account_is_gone(account: &Account) -> CliError {
    CliError::refused(format!(
        "the account {} was deleted in the meantime",
        escape_text(&account.name)
    ))
}

/// Converts faults of fields to an error with one line each.
pub fn faults_to_error(faults: Vec<FieldFault>) -> CliError {
    let lines = faults
        .into_iter()
        .map(|(field, why)| format!("{field}: {}", escape_text(&why)));
    CliError::Faults(lines.collect())
}

/// Refuses an expiry date that is not in the future.
pub fn refuse_past_expiry(context: &CommandContext, at: Timestamp) -> Result<(), CliError> {
    if at > context.ctx.now() {
        return Ok(());
    }
    let why = format!(
        "{} is not in the future: to expire it now, use `nightlatch account expire`",
        at.to_rfc3339()
    );
    Err(CliError::refused(why))
}

fn print_done(text: &str) -> CommandResult {
    output::print_line(text)?;
    Ok(ExitCode::SUCCESS)
}

fn print_nothing_to_do(why: &str) -> CommandResult {
    print_done(&format!("Nothing to do: {why}"))
}

/// A number of ended sessions as a further sentence; empty for none.
pub struct EndedCount(pub usize);

impl fmt::Display for EndedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            sessions => write!(f, " Ended {}.", format_count(sessions, "session", "sessions")),
        }
    }
}
