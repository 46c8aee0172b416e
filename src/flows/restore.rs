//! Revoking the keys of a database that was restored from a copy. `flows::sessions` ends its
//! sessions, and `store::backup` puts the copy in place.

use super::{Ctx, FlowError, Initiator, factor_assertions::CHALLENGE_LIFETIME};
use crate::{
    domain::{audit::Event, factor::FactorInventory},
    store::{
        email_changes, enrolment_links, factor_inventory, form_submissions, handovers, notifications, outbox,
        password_links, pending_sign_ins, setup, trusted_browsers, used_passkey_challenges,
    },
};

/// Revokes codes, links and setup tokens that may have been used, replaced or discarded after the
/// copy was made, and discards emails that contain such a link. `ended`: the number of ended
/// sessions, for the record.
/// Returns the second factors as the copy has them: what was removed since counts again.
pub async fn forget_keys(ctx: &Ctx, initiator: &Initiator, ended: usize) -> Result<FactorInventory, FlowError> {
    ctx.write(initiator, move |w| {
        handovers::drop_all(w.connection)?;
        password_links::drop_resets(w.connection)?;
        email_changes::drop_all(w.connection)?;
        notifications::drop_report_links(w.connection)?;
        setup::drop_tokens(w.connection)?;
        pending_sign_ins::drop_all(w.connection)?;
        // The copy does not know which of them were answered since.
        used_passkey_challenges::void_all(w.connection, w.now.saturating_add(CHALLENGE_LIFETIME))?;
        trusted_browsers::drop_all(w.connection)?;
        enrolment_links::drop_all(w.connection)?;
        form_submissions::drop_all(w.connection)?;
        outbox::discard_links(w.connection, "invitation", w.now)?;
        let entry = w.entry(Event::DatabaseRestored);
        w.record(&entry.with_detail(serde_json::json!({ "ended_sessions": ended })))?;
        Ok(factor_inventory::read(w.connection)?)
    })
    .await
}
