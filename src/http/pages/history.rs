//! `/history`: all events of the user's own account, page by page, including failed attempts.

use super::{
    admin::{
        list::{FormFaults, ListQuery, PageEnds, PageQuery, read_place, write_place},
        part::Pager,
    },
    event_line::EventLine,
};
use crate::{
    domain::audit::{AuditFilter, AuditRecord, Event, EventOutcome},
    flows::{Ctx, audit},
    http::{error::PageError, filters, forms::Query, paths, respond::render_page, shell::Shell, visitor::Member},
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

/// The requested part of the history.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HistoryQuery {
    /// `failure`: failed attempts only.
    outcome: String,
    after: String,
    before: String,
}

impl ListQuery for HistoryQuery {
    const PATH: &'static str = paths::HISTORY;

    fn fields(&self) -> Vec<(&'static str, &str)> {
        vec![(
            "outcome",
            EventOutcome::parse(&self.outcome).map_or("", |outcome| outcome.as_str()),
        )]
    }

    fn place(&self) -> PageQuery<'_> {
        PageQuery {
            after: &self.after,
            before: &self.before,
            limit: "",
        }
    }

    /// An unknown outcome shows everything.
    fn faults(&self) -> FormFaults {
        FormFaults::new()
    }
}

/// `GET /history`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    member: Member,
    Query(query): Query<HistoryQuery>,
) -> Result<HttpResponse, PageError> {
    let me = member.0.account;
    let outcome = EventOutcome::parse(&query.outcome);
    let filter = AuditFilter {
        account_id: Some(me),
        outcome,
        // Its sign-in is listed already.
        exclude_events: vec![Event::SessionOpened],
        after: read_place(&query.after),
        before: read_place(&query.before),
        limit: PAGE,
        ..AuditFilter::default()
    };
    let found = audit::page(&ctx, filter).await?;
    let ends = PageEnds::from_items(&found.items, found.newer, found.older, |row: &AuditRecord| {
        write_place(row.at, row.id)
    });
    render_page(
        StatusCode::OK,
        &HistoryPage {
            shell: Shell::member(&req, &ctx, &member, "Security history", "home"),
            failed: outcome == Some(EventOutcome::Failure),
            pager: query.pager(ends, ("Newer", "Older")),
            events: found.items.iter().map(|row| EventLine::new(row, me)).collect(),
        },
    )
}
