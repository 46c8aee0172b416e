//! Signing out: the session ends under all its ids, at once.

use super::{Acting, Ctx, FlowError, endings::Ending};
use crate::{
    domain::{
        audit::Event,
        session::{EndReason, SessionId},
    },
    store::{StoreError, accounts, sessions},
};

/// Ends the acting session. True: it was live until now.
pub async fn sign_out(ctx: &Ctx, acting: &Acting, id: SessionId) -> Result<bool, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    // Holds here at once, whatever becomes of the write.
    ctx.hold_endings(&[id], EndReason::SignedOut, now);
    let ended = ctx
        .store
        .write(move |c| {
            let Some(session) = sessions::find(c, id)? else {
                return Ok(false);
            };
            let name = accounts::find(c, session.account_id)?
                .map(|account| account.name)
                .unwrap_or_default();
            let ending = Ending {
                session: &session,
                account_name: &name,
                reason: EndReason::SignedOut,
                at: now,
                acting: &acting,
                detail: serde_json::Value::Null,
            };
            let ended = flow.end_in(c, now, &ending)?;
            if ended {
                let entry = flow.entry_of(
                    &acting,
                    Event::SignOut,
                    Some((session.account_id, &name)),
                    serde_json::Value::Null,
                );
                flow.record(c, now, &entry)?;
            }
            Ok::<_, StoreError>(ended)
        })
        .await?;
    ctx.forget_ended(&[id], EndReason::SignedOut);
    Ok(ended)
}
