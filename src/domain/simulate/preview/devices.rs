//! The impact of a draft on sessions that are bound to devices, or are not.

use super::OpenSession;
use crate::{
    agent,
    policy::effective::{DeviceBinding, EffectivePolicy},
};

/// What a draft means for device binding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceImpact {
    /// Sessions that are bound now.
    pub bound: u64,
    /// Sessions that are not bound, and whose browser can be bound at its next sign-in under the
    /// draft.
    pub bindable: u64,
    /// Sessions that the draft newly stops until their users sign in again with a browser that can
    /// be bound.
    pub stopped: u64,
}

impl DeviceImpact {
    /// Counts one live session.
    pub(super) fn count(&mut self, session: &OpenSession<'_>, draft: &EffectivePolicy) {
        if session.is_device_bound {
            self.bound += 1;
        } else if draft.device.binding != DeviceBinding::Off
            && agent::can_bind_device(session.binding.user_agent.as_deref())
        {
            self.bindable += 1;
        }
    }
}
