//! Ends of sessions by a judgement: they apply in memory immediately, and are written as soon as
//! the database accepts them.

use crate::{
    domain::{
        account::Account,
        audit::{Actor, RequestOrigin},
        session::EndReason,
    },
    flows::{Ctx, FlowError, Initiator, access::rules::binding_json},
    live::{
        held_ends::{HeldEnd, HeldScope},
        policy::PolicyInForce,
        sessions::LiveSession,
    },
};
use std::sync::Arc;

/// Ends a session that was judged to be over. The end applies in memory immediately; the response
/// waits for the write only to return 503 if it fails. The sweep then writes it later.
pub(super) async fn end(
    ctx: &Ctx,
    in_force: &Arc<PolicyInForce>,
    session: &Arc<LiveSession>,
    account: &Arc<Account>,
    reason: EndReason,
    origin: RequestOrigin,
) -> Result<(), FlowError> {
    let now = ctx.now();
    session.end(reason);
    let by_rule = ctx
        .ended_by_rule(in_force, account, &session.row, now)
        .filter(|(_, rule)| *rule == reason);
    let initiator = Initiator {
        actor: Actor::System,
        origin,
        session: Some(session.id()),
    };
    let end = HeldEnd {
        scope: HeldScope::Sessions(vec![session.id()]),
        reason,
        at: by_rule.map_or(now, |(at, _)| at),
        initiator,
        detail: detail(session, reason),
        // A rule needs no permission.
        is_unverified: false,
    };
    ctx.end_now(end).await.map(drop)
}

/// Returns the audit detail besides the reason.
fn detail(session: &LiveSession, reason: EndReason) -> serde_json::Value {
    let binding = &session.row.binding;
    match reason {
        EndReason::UserAgent | EndReason::Network | EndReason::NetworkAllowance | EndReason::RotatedReuse => {
            serde_json::json!({ "binding": binding_json(binding), "agent": binding.user_agent })
        }
        _ => serde_json::Value::Null,
    }
}

/// Writes the session ends whose first write failed, and returns how many. A job calls it.
pub async fn write_kept_ends(ctx: &Ctx) -> Result<usize, FlowError> {
    ctx.write_held_ends().await
}
