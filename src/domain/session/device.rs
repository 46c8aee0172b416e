//! Binding of a session to a key that never leaves the device (docs/device-binding.md): whether the
//! request proves the key, when a key may be registered, and how long a proof counts.

use crate::{
    policy::effective::{DeviceBinding, DevicePolicy},
    time::{Span, Timestamp},
};
use uuid::Uuid;

/// The identity of a device key; it is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKeyId(pub Uuid);

/// A key to which a session is bound on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    /// Its identity, which the browser sends with every proof.
    pub id: DeviceKeyId,
    /// The host, as tokens store it.
    pub host: String,
    /// SHA-256 of the public key (RFC 7638), base64url.
    pub thumbprint: String,
    /// When the browser registered it.
    pub registered_at: Timestamp,
    /// When the browser last proved it.
    pub proved_at: Timestamp,
}

/// The proof in a request's device cookie, whose signature is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceProof {
    /// The key that was proved.
    pub key: DeviceKeyId,
    /// The last instant at which the proof counts.
    pub expires_at: Timestamp,
}

/// What is known about the device of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEvidence {
    /// The session has no key where its token is valid.
    Unbound {
        /// The last instant at which a key can be registered there.
        registrable_until: Timestamp,
    },
    /// The session has a key there.
    Bound {
        /// The last instant at which the request's proof of that key counts; `None`: the request
        /// has none.
        proved_until: Option<Timestamp>,
    },
}

/// Why a session is refused until its device proves itself. The session stays live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceFault {
    /// The session has a key, and the request has no valid proof of it.
    Unproved,
    /// A key is required, and none was registered in time.
    Unbound,
}

impl DeviceFault {
    /// Returns the stable code of JSON, of headers and of `?reason=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeviceFault::Unproved => "device_unproven",
            DeviceFault::Unbound => "device_unbound",
        }
    }

    /// Parses a code; `None` for an unknown one.
    pub fn parse(code: &str) -> Option<Self> {
        [DeviceFault::Unproved, DeviceFault::Unbound]
            .into_iter()
            .find(|fault| fault.as_str() == code)
    }

    /// Returns the sentence of the banner on the sign-in page.
    pub const fn sentence(self) -> &'static str {
        match self {
            DeviceFault::Unproved => {
                "Your browser did not prove that it is the one that signed in. Sign in again to continue."
            }
            DeviceFault::Unbound => {
                "A session must be bound to your device here, and this browser did not do so. Chrome and Edge can: \
                 version 145 or later on Windows, 147 or later on macOS. Sign in again with such a browser."
            }
        }
    }
}

/// How long after the issue of its token, or after a confirmation of the identity, a session can be
/// bound to a key. A thief of the cookies cannot bind it later.
pub const REGISTRATION_WINDOW: Span = Span::from_secs(60);

/// How long a browser may take, after its key was registered, until it sends the proof with every
/// request: those that it had sent before arrive without one.
pub const SETTLING: Span = Span::from_secs(10);

/// Browsers refresh a proof that counts for less than this much longer.
const REFRESH_AHEAD: Span = Span::from_secs(120);
/// Minimum time between two signatures: browsers make at most six in nine minutes per site.
const SIGNATURE_PAUSE: Span = Span::from_secs(90);

/// Returns how long a proof counts for a session that is bound on `hosts` hosts: the setting, or
/// longer where browsers would otherwise run out of signatures.
pub fn proof_lifetime(policy: &DevicePolicy, hosts: usize) -> Span {
    let hosts = i64::try_from(hosts).unwrap_or(i64::MAX);
    let pauses = SIGNATURE_PAUSE.as_micros().saturating_mul(hosts);
    let least = Span::from_micros(pauses.saturating_add(REFRESH_AHEAD.as_micros()));
    policy.proof_age.max(least)
}

/// Judges the device of a request. `Ok(true)`: the device has just proved its key, so that other
/// signs of a stolen session do not count. Every limit is inclusive.
pub(super) fn judge(evidence: DeviceEvidence, policy: &DevicePolicy, now: Timestamp) -> Result<bool, DeviceFault> {
    match (policy.binding, evidence) {
        (DeviceBinding::Off, _) => Ok(false),
        (DeviceBinding::Offer | DeviceBinding::Require, DeviceEvidence::Bound { proved_until }) => {
            match proved_until.is_some_and(|until| now <= until) {
                true => Ok(true),
                false => Err(DeviceFault::Unproved),
            }
        }
        (DeviceBinding::Offer, DeviceEvidence::Unbound { .. }) => Ok(false),
        (DeviceBinding::Require, DeviceEvidence::Unbound { registrable_until }) => match now <= registrable_until {
            true => Ok(false),
            false => Err(DeviceFault::Unbound),
        },
    }
}

/// Returns the last instant at which a session may be used without a key where one is required;
/// `None`: it is bound, or no key is required.
pub fn usable_unbound_until(evidence: DeviceEvidence, policy: &DevicePolicy) -> Option<Timestamp> {
    match (policy.binding, evidence) {
        (DeviceBinding::Require, DeviceEvidence::Unbound { registrable_until }) => Some(registrable_until),
        (DeviceBinding::Off | DeviceBinding::Offer, _) | (_, DeviceEvidence::Bound { .. }) => None,
    }
}

/// Returns why a session, judged by its device alone, cannot be used; `None`: it can.
pub fn device_fault(evidence: DeviceEvidence, policy: &DevicePolicy, now: Timestamp) -> Option<DeviceFault> {
    judge(evidence, policy, now).err()
}
