//! `/history`: everything that is on record about my account, page by page; failed attempts included.

use super::{
    Shell,
    admin::{
        list::{pager, place, read_place},
        part::Pager,
    },
    event_line::EventLine,
    filters, page,
};
use crate::{
    flows::{
        Ctx, audit,
        rows::{AuditFilter, AuditRow},
    },
    http::{error::PageError, forms::Query, paths, visitor::Member},
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "pages/history.html")]
struct HistoryPage {
    shell: Shell,
    failed: bool,
    events: Vec<EventLine>,
    pager: Pager,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// `failure`: failed attempts only.
    outcome: String,
    after: String,
    before: String,
}

pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    member: Member,
    Query(asked): Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let me = member.0.account;
    let outcome = crate::domain::audit::Outcome::parse(&asked.outcome);
    let filter = AuditFilter {
        account_id: Some(me),
        outcome,
        after: read_place(&asked.after),
        before: read_place(&asked.before),
        limit: PAGE,
        ..AuditFilter::default()
    };
    let found = audit::page(&ctx, filter).await?;
    let at = |row: &AuditRow| place(row.at, row.id);
    let pairs = [("outcome", outcome.map_or("", |outcome| outcome.as_str()))];
    page(
        StatusCode::OK,
        &HistoryPage {
            shell: Shell::member(&req, &ctx, &member, "Security history", "home"),
            failed: outcome == Some(crate::domain::audit::Outcome::Failure),
            pager: pager(
                paths::HISTORY,
                &pairs,
                found.items.first().filter(|_| found.newer).map(at),
                found.items.last().filter(|_| found.older).map(at),
                ("Newer", "Older"),
            ),
            events: found.items.iter().map(|row| EventLine::new(row, me)).collect(),
        },
    )
}
