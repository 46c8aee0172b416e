//! `/admin/applications/{name}/test`: what would this address, account and client get, and why? It changes nothing.

use super::address;
use super::view::{Answered, OutcomeLine, RehearsalPage};
use crate::domain::application::Target;
use crate::flows::Ctx;
use crate::flows::access::{Outcome, Rehearsal, Rehearsed, Supposed, Unreadable, rehearse};
use crate::flows::applications;
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::forward_auth::told;
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use std::net::IpAddr;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    url: String,
    account: String,
    ip: String,
    agent: String,
}

pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    name: web::Path<String>,
    Query(asked): Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let view = applications::find(&ctx, &name).await?.ok_or(PageError::NotFound)?;
    let mut faults = Vec::new();
    let ip = ip(&asked.ip, &mut faults);
    let mut result = None;
    if !asked.url.trim().is_empty() {
        let supposed = Supposed {
            address: asked.url.clone(),
            account: Some(asked.account.clone()),
            ip,
            user_agent: Some(asked.agent.clone()).filter(|agent| !agent.is_empty()),
        };
        match rehearse(&ctx, &supposed).await? {
            Rehearsed::Done(rehearsal) => result = Some(rehearsal).filter(|_| faults.is_empty()),
            // In the order of the fields.
            Rehearsed::Faulty(unreadable) => {
                faults.splice(0..0, unreadable.iter().map(fault_of));
            }
        }
    }
    let status = if faults.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let url = if asked.url.is_empty() {
        // Any of its addresses, to begin with.
        let host = view.application.hosts.first().map(ToString::to_string);
        format!("https://{}/", host.unwrap_or_default())
    } else {
        asked.url
    };
    let shown = RehearsalPage {
        shell: Shell::admin(&req, &ctx, &admin, &format!("Test {}", *name), "applications").await?,
        href: address(&name),
        name: name.into_inner(),
        url,
        account: asked.account,
        ip: asked.ip,
        agent: asked.agent,
        reasons: result.as_ref().map(|found| found.reasons()).unwrap_or_default(),
        outcomes: result.map(|found| outcomes(&ctx, &found)).unwrap_or_default(),
        faults,
    };
    page(status, &shown)
}

fn fault_of(unreadable: &Unreadable) -> (String, String) {
    match unreadable {
        Unreadable::Address(why) => ("url".to_owned(), format!("The address cannot be read: {why}.")),
        Unreadable::Account => ("account".to_owned(), "There is no account of that name.".to_owned()),
    }
}

fn ip(text: &str, faults: &mut Vec<(String, String)>) -> Option<IpAddr> {
    let text = text.trim();
    let read = text.parse().ok();
    if read.is_none() && !text.is_empty() {
        faults.push(("ip".to_owned(), "Write one address, like 203.0.113.9.".to_owned()));
    }
    read
}

fn outcomes(ctx: &Ctx, rehearsal: &Rehearsal) -> Vec<OutcomeLine> {
    let line = |outcome: &Outcome| outcome_line(ctx, &rehearsal.target, outcome);
    rehearsal.outcomes.iter().map(line).collect()
}

fn outcome_line(ctx: &Ctx, target: &Target, outcome: &Outcome) -> OutcomeLine {
    let answers = told(ctx, target, &outcome.passage).into_iter();
    let tried = outcome.session.as_ref();
    OutcomeLine {
        who: tried.map_or("Somebody who is not signed in".to_owned(), |tried| {
            format!("{} from {}", tried.device, tried.ip)
        }),
        session: tried.map(|tried| tried.id.0.to_string()),
        signed_in: tried.map(|tried| tried.signed_in_at),
        sentence: outcome.passage.sentence(),
        answers: answers
            .map(|told| Answered {
                path: format!("/api/authz/{}", told.dialect.as_str()),
                proxies: told.dialect.proxies(),
                status: told.status,
                headers: told.headers,
            })
            .collect(),
    }
}
