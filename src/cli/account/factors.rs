//! `nightlatch account factors`, `reset-factors` and `enrolment-link`: the second factors of an
//! account.

use super::act::EndedCount;
use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{
            self, StandardOutput, Table, escape_text, format_count, format_time, format_time_or_dash, time_to_json,
        },
    },
    domain::factor::FactorRequirement,
    flows::factors::{self, EnrolledView, EnrolmentLinkOutcome, FactorReset, PasskeyView, ResetKind, list_factors},
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Args)]
pub struct ShowFactors {
    /// Name of the account
    name: String,
    /// Print JSON:
    /// {"account","authenticator_app","passkeys":[{"id","name","added_at","last_used_at","synced"}],"recovery_codes"}
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ResetFactors {
    /// Name of the account
    name: String,
    /// Remove only factors of this kind
    #[arg(long, default_value = "all", value_parser = kind_parser())]
    kind: ResetKind,
}

#[derive(Args)]
pub struct MakeEnrolmentLink {
    /// Name of the account
    name: String,
    /// Mail the link to the owner instead of printing it
    #[arg(long)]
    mail: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn kind_parser() -> impl TypedValueParser<Value = ResetKind> {
    PossibleValuesParser::new(ResetKind::ALL.iter().map(|kind| kind.as_str()))
        .try_map(|word| ResetKind::parse(&word).ok_or("unknown kind"))
}

impl ShowFactors {
    /// Shows what the account has enrolled.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let view = list_factors(&context.ctx, account.id).await?;
        if self.json {
            output::print_json(&json!({
                "account": account.name,
                "authenticator_app": view.factors.authenticator_app,
                "passkeys": view.passkeys.iter().map(passkey_to_json).collect::<Vec<_>>(),
                "recovery_codes": view.factors.recovery_codes,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = StandardOutput::new();
        out.write_table(&summary_table(&view))?;
        if !view.passkeys.is_empty() {
            out.write_line("")?;
            let mut table = Table::new(&["PASSKEY", "ADDED", "LAST USED", "KIND"]);
            for passkey in &view.passkeys {
                table.add_row([
                    escape_text(&passkey.name),
                    format_time(passkey.added_at),
                    format_time_or_dash(passkey.last_used_at),
                    describe_passkey(passkey).to_owned(),
                ]);
            }
            out.write_table(&table)?;
        }
        out.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn summary_table(view: &EnrolledView) -> Table {
    let mut table = Table::without_headings(2);
    let mut add = |name: &str, value: String| table.add_row([name.to_owned(), value]);
    let app = if view.factors.authenticator_app {
        "enrolled"
    } else {
        "none"
    };
    add("required", view.required.to_string());
    add("authenticator app", app.to_owned());
    add("passkeys", view.factors.passkeys.to_string());
    add("recovery codes", view.factors.recovery_codes.to_string());
    add("trusted browsers", view.browsers.len().to_string());
    if let Some(since) = view.required_since.filter(|_| view.required != FactorRequirement::Off) {
        add("required since", format_time(since));
    }
    if let Some(until) = view.link_until {
        add("enrolment link works until", format_time(until));
    }
    table
}

fn describe_passkey(passkey: &PasskeyView) -> &'static str {
    match (passkey.is_dead, passkey.synced) {
        (true, _) => "made for another passkey domain: works nowhere",
        (false, true) => "synced",
        (false, false) => "bound to one device",
    }
}

fn passkey_to_json(passkey: &PasskeyView) -> Value {
    json!({
        "id": passkey.id,
        "name": passkey.name,
        "added_at": passkey.added_at.to_rfc3339(),
        "last_used_at": time_to_json(passkey.last_used_at),
        "synced": passkey.synced,
    })
}

impl ResetFactors {
    /// Removes factors and ends the account's sessions.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let reset = factors::reset_factors(&context.ctx, &context.initiator, account.id, self.kind).await?;
        output::print_line(&format!(
            "{} of {}.{}",
            describe_reset(&reset),
            escape_text(&account.name),
            EndedCount(reset.ended_sessions)
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn describe_reset(reset: &FactorReset) -> String {
    let parts: Vec<String> = [
        reset.authenticator_app.then(|| "the authenticator app".to_owned()),
        (reset.passkeys > 0).then(|| format_count(reset.passkeys, "passkey", "passkeys")),
        (reset.recovery_codes > 0).then(|| format_count(reset.recovery_codes, "recovery code", "recovery codes")),
    ]
    .into_iter()
    .flatten()
    .collect();
    match parts.as_slice() {
        [] => "Found no such factors".to_owned(),
        parts => format!("Removed {}", parts.join(", ")),
    }
}

impl MakeEnrolmentLink {
    /// Prints a link to enrol a first second factor, or mails it.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let account = context.find_account(&self.name).await?;
        let (ctx, initiator) = (&context.ctx, &context.initiator);
        let outcome = if self.mail {
            factors::send_enrolment_link(ctx, initiator, account.id).await?
        } else {
            factors::make_enrolment_link(ctx, initiator, account.id).await?
        };
        match outcome {
            EnrolmentLinkOutcome::Sent if self.json => {
                output::print_json(&json!({ "account": account.name, "mailed": true }))?;
            }
            EnrolmentLinkOutcome::Link(link) if self.json => {
                output::print_json(&json!({ "account": account.name, "mailed": false, "link": link.expose() }))?;
            }
            EnrolmentLinkOutcome::Sent => {
                output::print_line("A link to enrol a second factor is on its way. It works once, for 72 hours.")?;
            }
            EnrolmentLinkOutcome::Link(link) => {
                output::print_message("The link works once, for 72 hours; an earlier link stops working.");
                output::print_line(link.expose())?;
            }
            EnrolmentLinkOutcome::OwnAccount => {
                return Err(CliError::refused(
                    "nobody makes an enrolment link for their own account",
                ));
            }
            EnrolmentLinkOutcome::NoAddress => {
                let name = escape_text(&account.name);
                return Err(CliError::refused(format!("{name} has no email address")));
            }
            EnrolmentLinkOutcome::Unusable => {
                return Err(CliError::refused("the account is disabled or expired: enable it first"));
            }
            EnrolmentLinkOutcome::HasFactor => {
                let name = escape_text(&account.name);
                return Err(CliError::refused(format!(
                    "{name} has a second factor already, so a link would open nothing; if the factor is lost, run \
                     nightlatch account reset-factors {name} first"
                )));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
