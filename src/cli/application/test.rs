//! `nightlatch application test`: tests what an address, account and client would get, and why. It
//! changes nothing.

use crate::{
    cli::{
        context::CommandContext,
        error::{CliError, CommandResult},
        output::{self, StandardOutput, Table, escape_text, format_time, time_to_json},
    },
    domain::{
        application::{AddressMatch, RequestTarget},
        session::AccountState,
    },
    flows::{
        Ctx,
        access::{
            AccessDecision, AccessTest, AccessTestOutcome, HypotheticalRequest, RequestFault, SessionTest,
            TestedAccount, test_access,
        },
    },
    http::forward_auth::list_answers,
};
use clap::Args;
use serde_json::{Value, json};
use std::{net::IpAddr, process::ExitCode};

#[derive(Args)]
#[command(after_help = "\
The request is a browser's page navigation. It is tested with each live session of the account, and at the end without \
a session.
For example: nightlatch application test https://wiki.example.org/page --account ada --ip 203.0.113.9")]
pub struct TestApplication {
    /// The full address, as in a browser
    url: String,
    /// Test with the live sessions of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// IP address of the request [default: the latest of each session]
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// User agent of the request [default: the one of each session's sign-in]
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Print JSON:
    /// {"url","application","place","account","outcomes":[{"session","decision","reason","answers":[{"dialect","status","headers"}]}]}
    #[arg(long)]
    json: bool,
}

impl TestApplication {
    /// Runs the test and prints the answers.
    pub async fn run(self, context: &CommandContext) -> CommandResult {
        let request = HypotheticalRequest {
            address: self.url,
            account: self.account,
            ip: self.ip,
            user_agent: self.user_agent,
        };
        let test = match test_access(&context.ctx, &request).await? {
            AccessTestOutcome::Done(test) => test,
            AccessTestOutcome::Faulty(faults) => {
                let name = request.account.unwrap_or_default();
                let messages = faults.iter().map(|fault| match fault {
                    RequestFault::Address(why) => format!("the address cannot be read: {why}"),
                    RequestFault::Account => format!("there is no account named {}", escape_text(&name)),
                });
                return Err(CliError::refused(messages.collect::<Vec<_>>().join("; ")));
            }
        };
        if self.json {
            output::print_json(&to_json(&context.ctx, &test))?;
        } else {
            print(&context.ctx, &test)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(ctx: &Ctx, test: &AccessTest) -> Result<(), CliError> {
    let mut out = StandardOutput::new();
    let mut reasons = Table::without_headings(2);
    for (name, found) in test.reasons() {
        reasons.add_row([name.to_owned(), escape_text(&found)]);
    }
    out.write_table(&reasons)?;
    for outcome in &test.sessions {
        out.write_line("")?;
        out.write_line(&format!(
            "{}: {}",
            format_visitor(outcome),
            escape_text(&outcome.decision.sentence())
        ))?;
        for response in list_answers(ctx, &test.target, &outcome.decision) {
            out.write_line(&format!(
                "  /api/authz/{}: {}",
                response.dialect.as_str(),
                response.status
            ))?;
            for (name, value) in &response.headers {
                out.write_line(&format!("    {name}: {}", escape_text(value)))?;
            }
        }
    }
    Ok(out.finish()?)
}

fn format_visitor(outcome: &SessionTest) -> String {
    match &outcome.session {
        None => "A visitor who is not signed in".to_owned(),
        Some(tried) => {
            let (device, at) = (escape_text(&tried.device), format_time(tried.signed_in_at));
            format!("Session {} ({device} from {}, signed in {at})", tried.id.0, tried.ip)
        }
    }
}

fn to_json(ctx: &Ctx, test: &AccessTest) -> Value {
    let outcome = |outcome: &SessionTest| outcome_json(ctx, &test.target, outcome);
    let (place, application) = match &test.place {
        AddressMatch::Unknown => ("unknown", None),
        AddressMatch::NotCanonical => ("not_canonical", None),
        AddressMatch::Public(application) => ("public", Some(&application.name)),
        AddressMatch::Guarded(application) => ("guarded", Some(&application.name)),
    };
    json!({
        "url": test.target.url(),
        "application": application,
        "place": place,
        "account": test.account.as_ref().map(standing_json),
        "outcomes": test.sessions.iter().map(outcome).collect::<Vec<_>>(),
    })
}

fn standing_json(standing: &TestedAccount) -> Value {
    json!({
        "name": standing.name,
        "role": standing.role.as_str(),
        "groups": standing.groups,
        "state": match standing.state {
            AccountState::Enabled => "enabled",
            AccountState::Disabled => "disabled",
            AccountState::Expired => "expired",
        },
        "may_enter": standing.may_enter,
    })
}

fn outcome_json(ctx: &Ctx, target: &RequestTarget, outcome: &SessionTest) -> Value {
    let (decision, reason) = match &outcome.decision {
        AccessDecision::Public => ("public", None),
        AccessDecision::Admitted(_) => ("admitted", None),
        AccessDecision::Duty(duty) => (duty.as_str(), None),
        AccessDecision::Unproved(fault) => (fault.as_str(), None),
        AccessDecision::NotSignedIn(reason) => ("not_signed_in", reason.map(|reason| reason.as_str())),
        AccessDecision::NotAllowed(_) => ("not_allowed", None),
        AccessDecision::Unknown => ("unknown", None),
        AccessDecision::NotCanonical => ("not_canonical", None),
    };
    let session = outcome.session.as_ref().map(|tried| {
        json!({
            "id": tried.id.0.to_string(),
            "signed_in_at": time_to_json(Some(tried.signed_in_at)),
            "device": tried.device,
            "ip": tried.ip,
        })
    });
    let answers: Vec<Value> = list_answers(ctx, target, &outcome.decision)
        .into_iter()
        .map(|response| {
            let headers: serde_json::Map<String, Value> = response
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
            json!({ "dialect": response.dialect.as_str(), "status": response.status, "headers": headers })
        })
        .collect();
    json!({ "session": session, "decision": decision, "reason": reason, "answers": answers })
}
