//! `nightlatch account reset-password` and `invite`.

use super::act::{EndedCount, managed_by, perform};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, escape_text},
    },
    domain::{account::Account, secret::Secret},
    flows::{
        self,
        accounts::AccountAction,
        password_reset::{InvitationOutcome, MailLinkOutcome},
    },
};
use clap::Args;
use std::process::ExitCode;

/// Printed with each one-time password (`domain::password::ONE_TIME`).
pub const ONE_TIME_HINT: &str = "The one-time password works for 72 hours.";

#[derive(Args)]
pub struct ResetPassword {
    /// Name of the account
    name: String,
    /// Read the password from standard input (without one line end) instead of asking for it at the
    /// terminal
    #[arg(long)]
    password_stdin: bool,
    /// Generate a one-time password and print it once, alone on standard output; it must be changed
    /// at the next sign-in
    #[arg(long, conflicts_with = "password_stdin")]
    one_time: bool,
    /// Mail a link to choose a new password, which works for 30 minutes; the current password keeps
    /// working until then
    #[arg(long, conflicts_with_all = ["password_stdin", "one_time", "must_change"])]
    mail: bool,
    /// Require a new password at the next sign-in
    #[arg(long)]
    must_change: bool,
}

impl ResetPassword {
    /// Sets another password, or mails a link to choose one.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        if self.mail {
            return mail_link(context, &account).await;
        }
        let act = if self.one_time {
            AccountAction::ResetPassword
        } else {
            AccountAction::SetPassword {
                password: input::read_new_password(self.password_stdin)?,
                must_change: self.must_change,
            }
        };
        let (one_time_password, ended) = perform(context, &account, act, "").await?;
        let done = format!(
            "Changed the password of {}.{}",
            escape_text(&account.name),
            EndedCount(ended)
        );
        match one_time_password {
            Some(password) => {
                output::print_message(&format!("{done} {ONE_TIME_HINT}"));
                print_one_time_password(&password)?;
            }
            None => output::print_line(&done)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a one-time password. It is shown only this once, so a closed pipe is an error here.
pub fn print_one_time_password(password: &Secret) -> Result<(), CliError> {
    output::print_line(password.expose()).map_err(|error| {
        let again = "generate another one with `nightlatch account reset-password NAME --one-time`";
        CliError::refused(format!("the one-time password could not be printed ({error}): {again}"))
    })
}

/// Mails the invitation of an account again.
pub async fn invite(context: &CommandContext, name: &str) -> CommandResult {
    let account = context.find_account(name).await?;
    match flows::password_reset::invite(&context.ctx, &context.initiator, account.id).await? {
        InvitationOutcome::Sent => {
            output::print_line("The invitation is on its way. The previous link stops working.")?
        }
        InvitationOutcome::NoAddress => return Err(no_address(&account)),
        InvitationOutcome::Managed(title) => return Err(managed_by(&account, &title)),
        InvitationOutcome::NotInvited => {
            return Err(CliError::refused(
                "only an enabled account that never signed in can be invited",
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn mail_link(context: &CommandContext, account: &Account) -> CommandResult {
    match flows::password_reset::mail_link(&context.ctx, &context.initiator, account.id).await? {
        MailLinkOutcome::Sent => output::print_line("A link to choose a new password is on its way.")?,
        MailLinkOutcome::NoAddress => return Err(no_address(account)),
        MailLinkOutcome::Managed(title) => return Err(managed_by(account, &title)),
        MailLinkOutcome::Unusable => {
            return Err(CliError::refused("the account is disabled or expired: enable it first"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn no_address(account: &Account) -> CliError {
    CliError::refused(format!("{} has no email address", escape_text(&account.name)))
}
