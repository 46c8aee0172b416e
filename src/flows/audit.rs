//! Reading the audit log. Each flow writes its own entries, and entries are only ever added.

pub mod seals;
pub mod shipping;

use super::{Ctx, FlowError, Initiator};
use crate::{
    domain::{
        account::AccountId,
        audit::{AuditFilter, AuditRecord, Event},
        time::Timestamp,
    },
    store::{Page, audit},
};

/// Characters kept of a path that was refused.
const MAX_PATH_LENGTH: usize = 256;
/// Matches counted at most; beyond, the total is a lower bound.
const COUNT_CAP: i64 = 10_000;

/// One page of the audit log.
pub struct AuditList {
    /// The entries of the page.
    pub items: Vec<AuditRecord>,
    /// The number of all matches; a lower bound if there are many.
    pub total: i64,
    /// Whether `total` is exact; otherwise there are at least that many.
    pub total_exact: bool,
    /// Whether there is a page before this one.
    pub newer: bool,
    /// Whether there is a page after this one.
    pub older: bool,
    /// Whether a text search covered only the newest entries that match the other filters.
    pub truncated: bool,
    /// The time of the oldest entry that is still kept.
    pub oldest: Option<Timestamp>,
}

/// Lists the entries that match, with their number.
pub async fn list(ctx: &Ctx, filter: AuditFilter) -> Result<AuditList, FlowError> {
    ctx.read(move |r| {
        let (total, total_exact) = audit::count(r.connection, &filter, COUNT_CAP)?;
        let page = audit::list(r.connection, &filter)?;
        Ok(AuditList {
            items: page.items,
            total,
            total_exact,
            newer: page.newer,
            older: page.older,
            truncated: page.truncated,
            oldest: audit::find_oldest(r.connection)?,
        })
    })
    .await
}

/// Returns one page of an export; call [`export`] once before.
pub async fn page(ctx: &Ctx, filter: AuditFilter) -> Result<Page<AuditRecord>, FlowError> {
    ctx.read(move |r| Ok(audit::list(r.connection, &filter)?)).await
}

/// Records an export of the audit log; the export does not start without this record.
pub async fn export(
    ctx: &Ctx,
    initiator: &Initiator,
    filter: &AuditFilter,
    format: &'static str,
) -> Result<(), FlowError> {
    let detail = serde_json::json!({ "format": format, "filter": filter.describe() });
    record(ctx, initiator, Event::AuditExported, detail).await
}

/// A list that is exported as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportedList {
    Accounts,
    Lockouts,
    Sessions,
}

impl ExportedList {
    /// Returns `accounts`, `lockouts` or `sessions`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Lockouts => "lockouts",
            Self::Sessions => "sessions",
        }
    }
}

/// Records an export of such a list with its filter; the export does not start without this record.
pub async fn record_export(
    ctx: &Ctx,
    initiator: &Initiator,
    list: ExportedList,
    filter: serde_json::Value,
    format: &'static str,
) -> Result<(), FlowError> {
    let detail = serde_json::json!({ "what": list.as_str(), "format": format, "filter": filter });
    record(ctx, initiator, Event::DataExported, detail).await
}

async fn record(ctx: &Ctx, initiator: &Initiator, event: Event, detail: serde_json::Value) -> Result<(), FlowError> {
    ctx.write(initiator, move |w| Ok(w.record(&w.entry(event).with_detail(detail))?))
        .await
}

/// Returns the newest events about an account, for its owner.
pub async fn of_account(ctx: &Ctx, account: AccountId, limit: i64) -> Result<Vec<AuditRecord>, FlowError> {
    ctx.read(move |r| Ok(audit::list_recent_of_account(r.connection, account, limit)?))
        .await
}

/// Records that a signed-in user requested something without permission.
pub async fn denied(ctx: &Ctx, initiator: &Initiator, path: String) -> Result<(), FlowError> {
    let path: String = path.chars().take(MAX_PATH_LENGTH).collect();
    ctx.write(initiator, move |w| {
        let entry = w
            .entry(Event::AccessDenied)
            .with_detail(serde_json::json!({ "path": path }));
        Ok(w.record(&entry.failed("role"))?)
    })
    .await
}
