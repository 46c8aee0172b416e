//! `/admin/audit`: the audit log, filtered by actor, event, origin and time. It changes nothing.
use super::{
    audit_line::AuditLine,
    export::{ExportChunk, ExportQuery, PAGE, stream},
    list::{ListQuery, PageEnds, write_place},
};
use crate::{
    domain::{
        audit::{AuditFilter, AuditRecord},
        duration::humanize,
    },
    flows::{Ctx, audit},
    http::{
        error::PageError,
        filters::grouped_digits,
        forms::Query,
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        step_up::{ConfirmedVisitor, Download},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use query::AuditListQuery;
use view::AuditPage;

mod query;
mod targets;
mod view;

/// Lists the routes of the audit.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_AUDIT, Audience::Administrator, list),
        Route::post(paths::ADMIN_AUDIT_EXPORT, Audience::Administrator, download).step_up(),
        Route::get(paths::ADMIN_AUDIT_TARGETS, Audience::Administrator, targets::list),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<AuditListQuery>,
) -> Result<HttpResponse, PageError> {
    let list = audit::list(&ctx, query.page_filter(ctx.now())).await?;
    let ends = PageEnds::from_items(&list.items, list.newer, list.older, |row: &AuditRecord| {
        write_place(row.at, row.id)
    });
    let total = grouped_digits(list.total);
    let view = AuditPage {
        shell: Shell::admin(&req, &ctx, &admin, "Audit", "audit").await?,
        form: query.form(),
        filtered: query.is_filtered(),
        total: if list.total_exact {
            total
        } else {
            format!("At least {total}")
        },
        truncated: list.truncated,
        kept: match ctx.in_force().everyone().retention.audit {
            Some(kept) => format!("Kept for {}", humanize(kept.as_secs())),
            None => "Kept forever".to_owned(),
        },
        oldest: list.oldest,
        pager: query.pager(ends, ("Newer", "Older")),
        export: query.export_links(paths::ADMIN_AUDIT_EXPORT),
        rows: list.items.iter().map(AuditLine::new).collect(),
    };
    render_page(StatusCode::OK, &view)
}

/// `POST /admin/audit/export`: by POST, because the export is itself an event of the audit; if that
/// cannot be written, nothing is exported.
async fn download(
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, _): ConfirmedVisitor<Admin, Download>,
    query: Query<AuditListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    query.0.check()?;
    let filter = AuditFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..query.0.filter(ctx.now())
    };
    audit::export(&ctx, &admin.0.initiator, &filter, export.0.format.as_str()).await?;
    let fetch = move |filter: AuditFilter| {
        let ctx = ctx.clone();
        async move {
            let page = audit::page(&ctx, filter.clone()).await?;
            Ok(ExportChunk::from_query(
                &page.items,
                page.older,
                AuditRecord::to_json,
                |last| AuditFilter {
                    after: Some((last.at, last.id)),
                    ..filter
                },
            ))
        }
    };
    Ok(stream("audit", export.0.format, AuditRecord::FIELDS, filter, fetch).await?)
}
