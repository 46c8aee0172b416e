//! The record of a request that did not prove the device to which its session is bound.

use crate::{
    domain::{
        account::Account,
        audit::{Actor, AuditEntry, Event, RequestOrigin},
        session::DeviceFault,
    },
    flows::{Ctx, FlowError, Initiator},
    live::sessions::LiveSession,
};
use std::net::IpAddr;

/// Records `device.lost` for a request without a proof, once per session and address. A session
/// that was never bound lost nothing.
pub(super) async fn record_missing_proof(
    ctx: &Ctx,
    (session, account): (&LiveSession, &Account),
    fault: DeviceFault,
    ip: IpAddr,
    origin: RequestOrigin,
) -> Result<(), FlowError> {
    if fault == DeviceFault::Unbound || !session.may_record_unproved(ip) {
        return Ok(());
    }
    let initiator = Initiator {
        actor: Actor::Anonymous,
        origin,
        session: Some(session.id()),
    };
    let entry = AuditEntry {
        origin: initiator.origin.clone(),
        ..AuditEntry::new(Event::DeviceLost, Actor::Anonymous)
    };
    let entry = entry
        .with_account(account.id, &account.name)
        .in_session(session.id())
        .failed(fault.as_str());
    ctx.write(&initiator, move |w| Ok(w.record(&entry)?)).await?;
    session.note_unproved(ip);
    Ok(())
}
