//! What a database that was restored from a copy must forget: every key of the time of the copy. Its sessions end by
//! `flows::sessions`, and how a copy is put in its place is `store::backup`'s.

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::audit::Event,
    store::{StoreError, email_changes, handovers, notices, outbox, password_links, setup},
};

/// Codes, links and set-up tokens that may have been used, replaced or taken back after the copy was made die; letters that carry
/// such a link are taken back. `ended`: the sessions that ended, for the record.
pub async fn forget_keys(ctx: &Ctx, acting: &Acting, ended: usize) -> Result<(), FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| {
            handovers::drop_all(c)?;
            password_links::drop_resets(c)?;
            email_changes::drop_all(c)?;
            notices::drop_disavowals(c)?;
            setup::drop_tokens(c)?;
            outbox::discard_links(c, "invitation", now)?;
            let detail = serde_json::json!({ "ended_sessions": ended });
            flow.record(c, now, &flow.entry_of(&acting, Event::DatabaseRestored, None, detail))?;
            Ok::<_, StoreError>(())
        })
        .await?)
}
