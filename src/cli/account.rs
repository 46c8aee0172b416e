//! `nightlatch account …`: manages accounts. The last enabled administrator is protected here too.

mod act;
mod advice;
mod baseline;
mod create;
mod csv;
mod factors;
mod password;
mod show;

pub use baseline::baseline_parser;

use super::{context::CommandContext, error::CommandResult};
use clap::Subcommand;

#[derive(Subcommand)]
pub enum AccountCommand {
    /// Create an account; also the first administrator of a new installation
    Create(create::CreateAccount),
    /// List accounts
    List(show::ListAccounts),
    /// Show one account
    Show(show::ShowAccount),
    /// Disable an account and end its sessions
    Disable(act::AccountArgument),
    /// Enable an account; also reactivates an expired one
    Enable(act::AccountArgument),
    /// Delete an account and end its sessions; the audit log keeps its entries
    Delete(act::AccountArgument),
    /// Set another password for an account and end its sessions
    ResetPassword(password::ResetPassword),
    /// Mail an account's invitation again, with a new link
    Invite(act::AccountArgument),
    /// Show an account's second factors
    Factors(factors::ShowFactors),
    /// Remove an account's second factors and end its sessions
    ResetFactors(factors::ResetFactors),
    /// Make a link that lets an account's owner enrol a second factor
    EnrolmentLink(factors::MakeEnrolmentLink),
    /// Make an account an administrator or a member
    SetRole(act::SetRole),
    /// Set or remove an account's email address
    SetEmail(act::SetEmail),
    /// Set or remove an account's groups, for protected applications
    SetGroups(act::SetGroups),
    /// Expire an account now, or on a date
    Expire(act::ExpireAccount),
    /// Release every lock on an account's name and forget its failed sign-ins
    Unlock(act::AccountArgument),
    /// Create and change accounts from a CSV file
    Import(csv::ImportAccounts),
    /// Print all accounts as a CSV file that can be imported
    Export(csv::ExportAccounts),
}

impl AccountCommand {
    /// Runs the command.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::Disable(account) => account.disable(context).await,
            Self::Enable(account) => account.enable(context).await,
            Self::Delete(account) => account.delete(context).await,
            Self::ResetPassword(reset) => reset.run(context).await,
            Self::Invite(account) => password::invite(context, &account.name).await,
            Self::Factors(show) => show.run(context).await,
            Self::ResetFactors(reset) => reset.run(context).await,
            Self::EnrolmentLink(make) => make.run(context).await,
            Self::SetRole(set) => set.run(context).await,
            Self::SetEmail(set) => set.run(context).await,
            Self::SetGroups(set) => set.run(context).await,
            Self::Expire(expire) => expire.run(context).await,
            Self::Unlock(account) => account.unlock(context).await,
            Self::Import(import) => import.run(context).await,
            Self::Export(export) => export.run(context).await,
        }
    }
}
