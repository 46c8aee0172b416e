//! `/admin/audit`: what happened, found by who, what, where and when. Nothing is changed from here.
use super::audit_line::AuditLine;
use super::export::{Chunk, PAGE, Wanted, stream};
use super::list::{href, pager, place, readable};
use crate::domain::duration::humanize;
use crate::flows::rows::{AuditFilter, AuditRow};
use crate::flows::{Ctx, audit};
use crate::http::error::PageError;
use crate::http::filters::grouped_digits;
use crate::http::forms::Query;
use crate::http::pages::{Shell, page};
use crate::http::step_up::{Confirmed, Download};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use asked::Asked;
use view::AuditPage;

pub mod asked;
pub mod view;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_AUDIT, Who::Administrator, list),
        Route::post(paths::ADMIN_AUDIT_EXPORT, Who::Administrator, download).step_up(),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = asked.0;
    let list = audit::list(&ctx, asked.filter(ctx.now())).await?;
    let at = |row: &AuditRow| place(row.at, row.id);
    let pairs = asked.pairs();
    let export = |format| {
        href(
            paths::ADMIN_AUDIT_EXPORT,
            pairs.iter().copied().chain([("format", format)]),
        )
    };
    let total = grouped_digits(list.total);
    let view = AuditPage {
        shell: Shell::admin(&req, &ctx, &admin, "Audit", "audit").await?,
        form: asked.form(),
        filtered: asked.is_filtered(),
        total: if list.total_exact {
            total
        } else {
            format!("At least {total}")
        },
        truncated: list.truncated,
        kept: match ctx.in_force().everyone().retention.audit {
            Some(kept) => format!("Kept for {}", humanize(kept.as_secs())),
            None => "Kept for ever".to_owned(),
        },
        oldest: list.oldest,
        pager: pager(
            paths::ADMIN_AUDIT,
            &pairs,
            list.items.first().filter(|_| list.newer).map(at),
            list.items.last().filter(|_| list.older).map(at),
            ("Newer", "Older"),
        ),
        csv: export("csv"),
        json: export("json"),
        rows: list.items.iter().map(AuditLine::new).collect(),
    };
    page(StatusCode::OK, &view)
}

/// By POST, because the export is itself an event of the audit; if that cannot be written, nothing is exported.
async fn download(
    ctx: web::Data<Ctx>,
    Confirmed(admin, _): Confirmed<Admin, Download>,
    asked: Query<Asked>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    readable(asked.0.faults())?;
    let filter = AuditFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..asked.0.filter(ctx.now())
    };
    audit::export(&ctx, &admin.0.acting, &filter, wanted.0.format.as_str()).await?;
    let fetch = move |filter: AuditFilter| {
        let ctx = ctx.clone();
        async move {
            let page = audit::page(&ctx, filter.clone()).await?;
            Ok(Chunk::of(&page.items, page.older, AuditRow::to_json, |last| {
                AuditFilter {
                    after: Some((last.at, last.id)),
                    ..filter
                }
            }))
        }
    };
    Ok(stream("audit", wanted.0.format, AuditRow::FIELDS, filter, fetch).await?)
}
