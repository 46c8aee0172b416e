//! `/admin/audit/targets`: the systems to which the audit is shipped, how far, and what keeps it.
//! The configuration file sets them.
use crate::{
    domain::{duration::humanize, time::Timestamp},
    flows::{
        Ctx,
        audit::shipping::{TargetReport, list_targets},
    },
    http::{error::PageError, filters, pages::admin::part::Badge, respond::render_page, shell::Shell, visitor::Admin},
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

/// The list of targets.
#[derive(Template)]
#[template(path = "pages/admin/audit/targets.html")]
struct AuditTargetsPage {
    shell: Shell,
    rows: Vec<TargetLine>,
}

/// One target.
struct TargetLine {
    name: String,
    kind: &'static str,
    address: String,
    format: &'static str,
    state: Badge,
    waiting: i64,
    /// The age of the oldest entry that waits: `5 minutes`.
    age: Option<String>,
    shipped: i64,
    shipped_at: Option<Timestamp>,
    fault: Option<String>,
    fault_at: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    missed_seals: i64,
}

pub async fn list(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let reports = list_targets(&ctx).await?;
    let view = AuditTargetsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Audit targets", "audit").await?,
        rows: reports.into_iter().map(TargetLine::new).collect(),
    };
    render_page(StatusCode::OK, &view)
}

impl TargetLine {
    fn new(report: TargetReport) -> Self {
        let badge = match &report.state {
            None => Badge::info("Not begun").with_icon("clock"),
            Some(state) if state.fault.is_some() => Badge::danger("Failing"),
            Some(_) if report.needs_attention() => Badge::warn("Late"),
            Some(_) if report.waiting > 0 => Badge::info("Shipping").with_icon("clock"),
            Some(_) => Badge::ok("Up to date"),
        };
        let (target, state) = (report.target, report.state);
        Self {
            name: target.name.as_str().to_owned(),
            kind: target.kind.as_str(),
            address: target.kind.describe_address(),
            format: target.format.as_str(),
            state: badge,
            waiting: i64::try_from(report.waiting).unwrap_or(i64::MAX),
            age: (report.waiting > 0).then(|| humanize(report.age.as_secs())),
            shipped: state.as_ref().map_or(0, |state| state.shipped),
            shipped_at: state.as_ref().and_then(|state| state.shipped_at),
            fault_at: state.as_ref().and_then(|state| state.fault_at),
            retry_at: state.as_ref().and_then(|state| state.retry_at),
            missed_seals: state.as_ref().map_or(0, |state| state.missed_seals),
            fault: state.and_then(|state| state.fault),
        }
    }
}
