//! Endings that a judgement brings: they hold here at once, and are written as soon as the database takes them.

use super::{
    super::{Acting, Ctx, FlowError, endings::Ending},
    binding_json,
};
use crate::{
    domain::{
        audit::{Actor, Entry, Event, Origin, Outcome},
        session::EndReason,
        time::Timestamp,
    },
    live::{policy::InForce, sessions::LiveSession},
    store::{
        StoreError,
        accounts::{self, Account},
    },
};
use std::sync::Arc;

/// An ending is never held up: it holds here at once, and the answer waits for the write only to say 503 when it fails.
/// The sweep writes it later then.
pub(super) async fn end(
    ctx: &Ctx,
    in_force: &Arc<InForce>,
    session: &Arc<LiveSession>,
    account: &Arc<Account>,
    reason: EndReason,
    now: Timestamp,
    origin: Origin,
) -> Result<(), FlowError> {
    session.end(reason);
    ctx.live.sessions.end(session.id(), reason);
    let by_rule = ctx
        .ended_by_rule(in_force, account, &session.row, now)
        .filter(|(_, rule)| *rule == reason);
    let at = by_rule.map_or(now, |(at, _)| at);
    ctx.live.sessions.keep_until_written(session, at);
    let written = write_end(ctx, session, account.name.clone(), reason, at, now, origin).await;
    if written.is_ok() {
        ctx.live.sessions.ending_written(session.id());
        ctx.live.sessions.forget(session.id());
    }
    written
}

async fn write_end(
    ctx: &Ctx,
    session: &Arc<LiveSession>,
    account_name: String,
    reason: EndReason,
    at: Timestamp,
    now: Timestamp,
    origin: Origin,
) -> Result<(), FlowError> {
    let flow = ctx.clone();
    let session = session.clone();
    let acting = Acting {
        actor: Actor::System,
        origin,
        session: Some(session.id()),
    };
    ctx.store
        .write(move |c| {
            let detail = match reason {
                EndReason::UserAgent | EndReason::Network | EndReason::NetworkAllowance | EndReason::RotatedReuse => {
                    serde_json::json!({ "binding": binding_json(&session.row.binding), "agent": session.row.binding.user_agent })
                }
                _ => serde_json::Value::Null,
            };
            let ending = Ending { session: &session.row, account_name: &account_name, reason, at, acting: &acting, detail };
            let ended = flow.end_in(c, now, &ending)?;
            let event = match reason {
                EndReason::RotatedReuse => Some(Event::SessionRotatedIdReused),
                EndReason::UserAgent => Some(Event::SessionUserAgentChanged),
                _ => None,
            };
            if let Some(event) = event.filter(|_| ended) {
                let entry = Entry {
                    event,
                    actor: Actor::Anonymous,
                    account: Some((Some(session.row.account_id), account_name.clone())),
                    session: Some(session.id()),
                    origin: acting.origin.clone(),
                    application: None,
                    outcome: Outcome::Failure,
                    reason: Some(reason.as_str().to_owned()),
                    detail: serde_json::Value::Null,
                };
                flow.record(c, now, &entry)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(())
}

/// Writes the endings whose first write failed. The sweep calls it.
pub async fn write_kept_endings(ctx: &Ctx) -> Result<usize, FlowError> {
    let kept = ctx.live.sessions.unwritten_endings();
    let count = kept.len();
    for (session, at) in kept {
        let Some(reason) = session.ended() else { continue };
        let account_id = session.row.account_id;
        let account = ctx.store.read(move |c| accounts::find(c, account_id)).await?;
        let name = account.map(|account| account.name).unwrap_or_default();
        let now = ctx.now();
        write_end(ctx, &session, name, reason, at, now, Origin::default()).await?;
        ctx.live.sessions.ending_written(session.id());
        ctx.live.sessions.forget(session.id());
    }
    Ok(count)
}
