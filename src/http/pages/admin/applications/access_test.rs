//! `/admin/applications/{name}/test`: what this address, account and client would get, and why. It
//! changes nothing.

use super::{
    addresses::page_address,
    view::{AccessTestPage, EndpointResponseLine, TestOutcomeLine},
};
use crate::{
    domain::application::RequestTarget,
    flows::{
        Ctx,
        access::{AccessTest, AccessTestOutcome, HypotheticalRequest, RequestFault, SessionTest, test_access},
        applications,
    },
    http::{
        error::PageError, forms::Query, forward_auth::list_answers, respond::render_page, shell::Shell, visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use std::net::IpAddr;

/// The request to test, as the address spells it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AccessTestQuery {
    url: String,
    account: String,
    ip: String,
    agent: String,
}

/// `GET /admin/applications/{name}/test`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    name: web::Path<String>,
    Query(query): Query<AccessTestQuery>,
) -> Result<HttpResponse, PageError> {
    let view = applications::find(&ctx, &name).await?.ok_or(PageError::NotFound)?;
    let mut faults = Vec::new();
    let ip = ip(&query.ip, &mut faults);
    let mut result = None;
    if !query.url.trim().is_empty() {
        let supposed = HypotheticalRequest {
            address: query.url.clone(),
            account: Some(query.account.clone()),
            ip,
            user_agent: Some(query.agent.clone()).filter(|agent| !agent.is_empty()),
        };
        match test_access(&ctx, &supposed).await? {
            AccessTestOutcome::Done(rehearsal) => result = Some(rehearsal).filter(|_| faults.is_empty()),
            // In the order of the fields.
            AccessTestOutcome::Faulty(unreadable) => {
                faults.splice(0..0, unreadable.iter().map(fault_of));
            }
        }
    }
    let status = if faults.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let url = if query.url.is_empty() {
        // One of its addresses as an initial value.
        let host = view.application.hosts.first().map(ToString::to_string);
        format!("https://{}/", host.unwrap_or_default())
    } else {
        query.url
    };
    let shown = AccessTestPage {
        shell: Shell::admin(&req, &ctx, &admin, &format!("Test {}", *name), "applications").await?,
        href: page_address(&name),
        name: name.into_inner(),
        url,
        account: query.account,
        ip: query.ip,
        agent: query.agent,
        reasons: result.as_ref().map(|found| found.reasons()).unwrap_or_default(),
        outcomes: result.map(|found| outcomes(&ctx, &found)).unwrap_or_default(),
        faults,
    };
    render_page(status, &shown)
}

fn fault_of(unreadable: &RequestFault) -> (String, String) {
    match unreadable {
        RequestFault::Address(why) => ("url".to_owned(), format!("The address cannot be read: {why}.")),
        RequestFault::Account => ("account".to_owned(), "There is no account with that name.".to_owned()),
    }
}

fn ip(text: &str, faults: &mut Vec<(String, String)>) -> Option<IpAddr> {
    let text = text.trim();
    let read = text.parse().ok();
    if read.is_none() && !text.is_empty() {
        faults.push(("ip".to_owned(), "Enter one IP address, such as 203.0.113.9.".to_owned()));
    }
    read
}

fn outcomes(ctx: &Ctx, rehearsal: &AccessTest) -> Vec<TestOutcomeLine> {
    let line = |outcome: &SessionTest| outcome_line(ctx, &rehearsal.target, outcome);
    rehearsal.sessions.iter().map(line).collect()
}

fn outcome_line(ctx: &Ctx, target: &RequestTarget, outcome: &SessionTest) -> TestOutcomeLine {
    let answers = list_answers(ctx, target, &outcome.decision).into_iter();
    let tried = outcome.session.as_ref();
    TestOutcomeLine {
        who: tried.map_or("Not signed in".to_owned(), |tried| {
            format!("{} from {}", tried.device, tried.ip)
        }),
        session: tried.map(|tried| tried.id.0.to_string()),
        signed_in: tried.map(|tried| tried.signed_in_at),
        sentence: outcome.decision.sentence(),
        answers: answers
            .map(|response| EndpointResponseLine {
                path: format!("/api/authz/{}", response.dialect.as_str()),
                proxies: response.dialect.proxies(),
                status: response.status,
                headers: response.headers,
            })
            .collect(),
    }
}
