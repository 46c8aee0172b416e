//! Messages to the service manager.

use sd_notify::NotifyState;

/// Tells systemd about a change of state (`Type=notify`). Does nothing under another service
/// manager.
pub fn notify_service_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not notified");
    }
}
