//! `nightlatch account create`.

use super::{
    act::{faults_to_error, refuse_past_expiry, role_parser},
    advice::print_advice,
    baseline::{apply_baseline, baseline_parser},
    password::{ONE_TIME_HINT, print_one_time_password},
};
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        input,
        output::{self, escape_text},
    },
    domain::{account::Role, policy::posture::Baseline, time::Timestamp},
    flows::{
        self,
        accounts::{CreateOutcome, NewAccount, NewPassword},
    },
};
use clap::Args;
use std::process::ExitCode;

/// Options that conflict with `--source`, because the source decides about these.
const LOCAL_OPTIONS: [&str; 6] = ["password_stdin", "one_time", "must_change", "invite", "role", "groups"];

#[derive(Args)]
#[command(after_help = "\
For example: printf %s \"$PASSWORD\" | nightlatch account create ada --role administrator --password-stdin")]
pub struct CreateAccount {
    /// Username to sign in with
    name: String,
    /// Role of the account
    #[arg(long, value_parser = role_parser(), default_value = "member")]
    role: Role,
    /// Read the password from standard input (without one line end) instead of asking for it at the
    /// terminal
    #[arg(long)]
    password_stdin: bool,
    /// Generate a one-time password and print it once, alone on standard output; it must be changed
    /// at the first sign-in
    #[arg(long, conflicts_with = "password_stdin")]
    one_time: bool,
    /// Mail a link to choose the first password; it works once, for 72 hours
    #[arg(long, conflicts_with_all = ["password_stdin", "one_time", "must_change"], requires = "email")]
    invite: bool,
    /// The owner signs in through this source, which controls password, role and groups
    #[arg(long, value_name = "NAME", conflicts_with_all = LOCAL_OPTIONS)]
    source: Option<String>,
    /// Email address
    #[arg(long)]
    email: Option<String>,
    /// Name to show
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A group, for protected applications; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Require a new password at the first sign-in
    #[arg(long)]
    must_change: bool,
    /// When the account expires: RFC 3339, or a day (when it begins, 00:00 UTC)
    #[arg(long, value_name = "TIME", value_parser = input::parse_instant)]
    expires_at: Option<Timestamp>,
    /// Policy to start with, for the first account: hue, asvs-l2, nist-aal2 or pci-dss-4
    #[arg(long, value_name = "ID", value_parser = baseline_parser())]
    baseline: Option<&'static Baseline>,
}

impl CreateAccount {
    /// Creates the account, which also ends setup.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        if let Some(at) = self.expires_at {
            refuse_past_expiry(context, at)?;
        }
        let password = self.new_password()?;
        let is_local = self.source.is_none();
        let invitation = if self.invite {
            " The invitation is on its way."
        } else {
            ""
        };
        let expiry = self.expires_at.map(|at| format!(" It expires at {}.", at.to_rfc3339()));
        let done = format!(
            "Created {} ({}).{}{invitation}",
            escape_text(self.name.trim()),
            self.role.as_str(),
            expiry.unwrap_or_default()
        );
        let new = NewAccount {
            name: self.name,
            display_name: self.display_name.unwrap_or_default(),
            email: self.email.unwrap_or_default(),
            role: self.role,
            groups: self.groups,
            expires_at: self.expires_at,
            password,
        };
        if let Some(baseline) = self.baseline {
            // Checked first: a refused account must not leave another policy behind.
            let rules = flows::setup::password_rules(&context.ctx, baseline.id);
            let faults = flows::accounts::new_account_faults(&new, &rules);
            if !faults.is_empty() {
                return Err(faults_to_error(faults));
            }
            apply_baseline(context, baseline).await?;
        }
        match flows::accounts::create(&context.ctx, &context.initiator, new).await? {
            CreateOutcome::Faulty(faults) => Err(faults_to_error(faults)),
            CreateOutcome::Created { one_time_password, .. } => {
                // Only a local account ends setup, because a source may be unavailable.
                let first = is_local && flows::setup::close(&context.ctx, &context.initiator).await?;
                match one_time_password {
                    Some(password) => {
                        output::print_message(&format!("{done} {ONE_TIME_HINT}"));
                        print_one_time_password(&password)?;
                    }
                    None => output::print_line(&done)?,
                }
                // With `--baseline`, the advice about baselines is not needed.
                print_advice(context, first && self.baseline.is_none()).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    fn new_password(&self) -> Result<NewPassword, CliError> {
        Ok(if let Some(source) = &self.source {
            NewPassword::Source(source.clone())
        } else if self.one_time {
            NewPassword::OneTime
        } else if self.invite {
            NewPassword::Invitation
        } else {
            NewPassword::Given {
                password: input::read_new_password(self.password_stdin)?,
                must_change: self.must_change,
            }
        })
    }
}
