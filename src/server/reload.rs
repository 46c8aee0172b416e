//! The reload on SIGHUP: it reopens the security log, for log rotation, and reads the configuration
//! again, to log which changes need a restart.

use super::service_manager::notify_service_manager;
use crate::{
    config::{Config, ConfigError},
    flows::Ctx,
};
use sd_notify::NotifyState;

/// Reopens the security log and compares the configuration with the one in use. The log says what
/// was done.
pub fn reload(ctx: &Ctx, load: impl Fn() -> Result<Config, ConfigError>) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify_service_manager(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager was not notified"),
    }
    match &ctx.security_log {
        None => tracing::info!("SIGHUP: there is no security log to reopen"),
        Some(log) => match log.reopen() {
            Ok(()) => tracing::info!("SIGHUP: reopened the security log {}", log.path().display()),
            Err(error) => tracing::error!(
                "SIGHUP: cannot reopen the security log {}, still writing to the previous file: {error}",
                log.path().display()
            ),
        },
    }
    match load() {
        Err(error) => tracing::error!("SIGHUP: the configuration cannot be used at the next start: {error}"),
        Ok(new) => match new.changed_settings(&ctx.config).as_slice() {
            [] => tracing::info!("SIGHUP: the configuration is unchanged"),
            changed => tracing::warn!(
                "SIGHUP: changed settings take effect after a restart: {}",
                changed.join(", ")
            ),
        },
    }
    notify_service_manager(&[NotifyState::Ready]);
}
