//! Sessions: whether one is live for a request, and if not, why (docs/policy.md). `session/facts`
//! holds the facts, `session/judgement` the decision; the flows write it down.

mod cause;
mod device;
mod factor;
mod facts;
mod judgement;
mod lifetime;
mod list;
mod network;
mod proof;
mod record;

pub use cause::{EndCause, SessionEnder};
pub use device::{
    DeviceEvidence, DeviceFault, DeviceKey, DeviceKeyId, DeviceProof, REGISTRATION_WINDOW, device_fault,
    proof_lifetime, usable_unbound_until,
};
pub use factor::factor_duty;
pub use facts::{
    AccountState, Binding, Duty, EndReason, LifeFacts, LiveEffect, NetworkEvent, RequestFacts, SessionFacts, SessionId,
    SessionVerdict, TokenFacts,
};
pub use judgement::{judge, surplus};
pub use lifetime::{HEARTBEAT, LifetimeEnd, candidates, ends_at, heartbeat, lease, warn_before, warning};
pub use list::{SessionCursor, SessionFilter, SessionListState, SweepBounds};
pub use network::ROTATION_OVERLAP_SECS;
pub(crate) use network::accepted_group;
pub use proof::{ADMINISTRATORS_PROOF, OWNERS_PROOF, proof_holds};
pub use record::{AccountSession, LiveSessionFacts, Session, SessionToken};
