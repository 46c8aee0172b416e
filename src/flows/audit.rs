//! Reading the audit trail. It is only ever added to, by the flows that act.

pub mod seals;

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{audit::Event, time::Timestamp},
    store::{
        Page, StoreError,
        audit::{self, AuditFilter, AuditRow},
    },
};

/// Characters kept of a path that was refused.
const PATH_KEPT: usize = 256;
/// Matches counted at most; beyond, the total is a lower bound.
const COUNT_CAP: i64 = 10_000;

pub struct AuditList {
    pub items: Vec<AuditRow>,
    pub total: i64,
    /// False: there are at least `total`.
    pub total_exact: bool,
    pub newer: bool,
    pub older: bool,
    /// A text search looked only at the newest entries that match the other filters.
    pub truncated: bool,
    /// When the oldest entry that is still kept happened.
    pub oldest: Option<Timestamp>,
}

pub async fn list(ctx: &Ctx, filter: AuditFilter) -> Result<AuditList, FlowError> {
    let (page, (total, total_exact), oldest) = ctx
        .store
        .read(move |c| {
            let counted = audit::count(c, &filter, COUNT_CAP)?;
            Ok::<_, StoreError>((audit::list(c, &filter)?, counted, audit::oldest(c)?))
        })
        .await?;
    Ok(AuditList {
        items: page.items,
        total,
        total_exact,
        newer: page.newer,
        older: page.older,
        truncated: page.truncated,
        oldest,
    })
}

/// One page of an export; [`export`] is called once before.
pub async fn page(ctx: &Ctx, filter: AuditFilter) -> Result<Page<AuditRow>, FlowError> {
    Ok(ctx.store.read(move |c| audit::list(c, &filter)).await?)
}

/// Notes that somebody exports the audit; without this the export does not start.
pub async fn export(ctx: &Ctx, acting: &Acting, filter: &AuditFilter, format: &'static str) -> Result<(), FlowError> {
    let detail = serde_json::json!({ "format": format, "filter": filter.describe() });
    note(ctx, acting, Event::AuditExported, detail).await
}

/// A list that leaves the house as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported {
    Accounts,
    Lockouts,
    Sessions,
}

impl Exported {
    /// `accounts`, `lockouts` or `sessions`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Exported::Accounts => "accounts",
            Exported::Lockouts => "lockouts",
            Exported::Sessions => "sessions",
        }
    }
}

/// Notes that somebody exports such a list, narrowed as `filter` says; without this the export does not start.
pub async fn exported(
    ctx: &Ctx,
    acting: &Acting,
    what: Exported,
    filter: serde_json::Value,
    format: &'static str,
) -> Result<(), FlowError> {
    let detail = serde_json::json!({ "what": what.as_str(), "format": format, "filter": filter });
    note(ctx, acting, Event::DataExported, detail).await
}

async fn note(ctx: &Ctx, acting: &Acting, event: Event, detail: serde_json::Value) -> Result<(), FlowError> {
    let (flow, now) = (ctx.clone(), ctx.now());
    let entry = ctx.entry_of(acting, event, None, detail);
    Ok(ctx.store.write(move |c| flow.record(c, now, &entry)).await?)
}

/// The newest events about an account, for its owner.
pub async fn of_account(
    ctx: &Ctx,
    account: crate::domain::account::AccountId,
    limit: i64,
) -> Result<Vec<AuditRow>, FlowError> {
    Ok(ctx
        .store
        .read(move |c| audit::recent_of_account(c, account, limit))
        .await?)
}

/// Somebody signed in asked for what is not theirs.
pub async fn denied(ctx: &Ctx, acting: &Acting, what: String) -> Result<(), FlowError> {
    let (flow, now) = (ctx.clone(), ctx.now());
    let mut entry = ctx.entry_of(
        acting,
        Event::AccessDenied,
        None,
        serde_json::json!({ "path": what.chars().take(PATH_KEPT).collect::<String>() }),
    );
    entry.outcome = crate::domain::audit::Outcome::Failure;
    entry.reason = Some("role".to_owned());
    Ok(ctx.store.write(move |c| flow.record(c, now, &entry)).await?)
}
