//! `nightlatch application test`: what would this address, account and client get, and why? It changes nothing.

use crate::{
    cli::{
        CliError, Done,
        desk::Desk,
        output::{self, Output, Table, json_time, plain, time},
    },
    domain::{
        application::{Place, Target},
        session::AccountState,
    },
    flows::{
        Ctx,
        access::{Outcome, Passage, Rehearsal, Rehearsed, Standing, Supposed, Unreadable, rehearse},
    },
    http::forward_auth::told,
};
use clap::Args;
use serde_json::{Value, json};
use std::{net::IpAddr, process::ExitCode};

#[derive(Args)]
#[command(after_help = "\
The request is a browser's page navigation. Each live session of the account is judged as at the door, and at the end somebody who \
is not signed in.
For example: nightlatch application test https://wiki.example.org/page --account ada --ip 203.0.113.9")]
pub struct Test {
    /// The address in full, as a browser would ask for it
    url: String,
    /// Whose live sessions are judged
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Where the request comes from [default: from where each session came last]
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// Its user agent [default: the one that each session signed in with]
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Print JSON: {"url","application","place","account","outcomes":[{"session","passage","reason","answers":[{"dialect","status","headers"}]}]}
    #[arg(long)]
    json: bool,
}

impl Test {
    pub async fn run(self, desk: &Desk) -> Done {
        let supposed = Supposed {
            address: self.url,
            account: self.account,
            ip: self.ip,
            user_agent: self.user_agent,
        };
        let rehearsal = match rehearse(&desk.ctx, &supposed).await? {
            Rehearsed::Done(rehearsal) => rehearsal,
            Rehearsed::Faulty(faults) => {
                let name = supposed.account.unwrap_or_default();
                let words = faults.iter().map(|fault| match fault {
                    Unreadable::Address(why) => format!("the address cannot be read: {why}"),
                    Unreadable::Account => format!("there is no account named {}", plain(&name)),
                });
                return Err(CliError::refused(words.collect::<Vec<_>>().join("; ")));
            }
        };
        if self.json {
            output::say_json(&as_json(&desk.ctx, &rehearsal))?;
        } else {
            print(&desk.ctx, &rehearsal)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(ctx: &Ctx, rehearsal: &Rehearsal) -> Result<(), CliError> {
    let mut out = Output::new();
    let mut why = Table::plain(2);
    for (what, found) in rehearsal.reasons() {
        why.row([what.to_owned(), plain(&found)]);
    }
    out.table(&why)?;
    for outcome in &rehearsal.outcomes {
        out.line("")?;
        out.line(&format!("{}: {}", who(outcome), plain(&outcome.passage.sentence())))?;
        for told in told(ctx, &rehearsal.target, &outcome.passage) {
            out.line(&format!("  /api/authz/{}: {}", told.dialect.as_str(), told.status))?;
            for (name, value) in &told.headers {
                out.line(&format!("    {name}: {}", plain(value)))?;
            }
        }
    }
    Ok(out.finish()?)
}

fn who(outcome: &Outcome) -> String {
    match &outcome.session {
        None => "Somebody who is not signed in".to_owned(),
        Some(tried) => {
            let (device, at) = (plain(&tried.device), time(tried.signed_in_at));
            format!("Session {} ({device} from {}, signed in {at})", tried.id.0, tried.ip)
        }
    }
}

fn as_json(ctx: &Ctx, rehearsal: &Rehearsal) -> Value {
    let outcome = |outcome: &Outcome| outcome_json(ctx, &rehearsal.target, outcome);
    let (place, application) = match &rehearsal.place {
        Place::Unknown => ("unknown", None),
        Place::NotCanonical => ("not_canonical", None),
        Place::Public(application) => ("public", Some(&application.name)),
        Place::Guarded(application) => ("guarded", Some(&application.name)),
    };
    json!({
        "url": rehearsal.target.url(),
        "application": application,
        "place": place,
        "account": rehearsal.account.as_ref().map(standing_json),
        "outcomes": rehearsal.outcomes.iter().map(outcome).collect::<Vec<_>>(),
    })
}

fn standing_json(standing: &Standing) -> Value {
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

fn outcome_json(ctx: &Ctx, target: &Target, outcome: &Outcome) -> Value {
    let (passage, reason) = match &outcome.passage {
        Passage::Public => ("public", None),
        Passage::Admitted(_) => ("admitted", None),
        Passage::PasswordChange => ("password_change", None),
        Passage::NotSignedIn(reason) => ("not_signed_in", reason.map(|reason| reason.as_str())),
        Passage::NotAllowed => ("not_allowed", None),
        Passage::Unknown => ("unknown", None),
        Passage::NotCanonical => ("not_canonical", None),
    };
    let session = outcome.session.as_ref().map(|tried| {
        json!({
            "id": tried.id.0.to_string(),
            "signed_in_at": json_time(Some(tried.signed_in_at)),
            "device": tried.device,
            "ip": tried.ip,
        })
    });
    let answers: Vec<Value> = told(ctx, target, &outcome.passage)
        .into_iter()
        .map(|told| {
            let headers: serde_json::Map<String, Value> = told
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
            json!({ "dialect": told.dialect.as_str(), "status": told.status, "headers": headers })
        })
        .collect();
    json!({ "session": session, "passage": passage, "reason": reason, "answers": answers })
}
