//! Verification of second factors (codes of an authenticator app, recovery codes and passkeys) and
//! of device keys, and the keys that protect them at rest. This layer has no database: an answer is
//! checked against what the caller has read.

pub mod challenge;
pub mod device_key;
mod keys;
pub mod passkeys;
pub mod qr;
pub mod recovery;
pub mod totp;

pub use keys::{FactorKeys, SealedSecret};
