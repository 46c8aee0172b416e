//! Signals of the operating system: SIGTERM stops in order, SIGINT and SIGQUIT stop immediately,
//! SIGHUP reloads. SIGUSR1 and SIGUSR2, which would end the process, are ignored; Rust ignores
//! SIGPIPE.

use super::{last_connections::ListeningSockets, reload, service_manager::notify_service_manager};
use crate::{
    config::{Config, ConfigError},
    flows::Ctx,
};
use actix_web::dev::ServerHandle;
use sd_notify::NotifyState;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handlers of the signals that must not end the process, also while it starts: a log rotation does
/// not wait for it.
pub struct HarmlessSignals {
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl HarmlessSignals {
    /// Installs the handlers. Must be called inside a tokio runtime. SIGHUP is obeyed once the
    /// server runs.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }
}

/// Handlers of the signals. From their creation on no signal but SIGKILL ends the process by
/// itself.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    harmless: HarmlessSignals,
}

/// What a signal asks for.
enum SignalRequest {
    /// Stop: readiness off, wait, finish requests.
    Stop,
    /// Stop without finishing requests.
    StopNow,
    /// Reopen the security log and check the configuration.
    Reload,
    /// Nothing.
    Nothing,
}

impl Signals {
    /// Installs the other handlers. Must be called inside a tokio runtime.
    pub fn install(harmless: HarmlessSignals) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            harmless,
        })
    }

    async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::Stop,
            _ = self.interrupt.recv() => SignalRequest::StopNow,
            _ = self.quit.recv() => SignalRequest::StopNow,
            _ = self.harmless.hangup.recv() => SignalRequest::Reload,
            _ = self.harmless.user1.recv() => SignalRequest::Nothing,
            _ = self.harmless.user2.recv() => SignalRequest::Nothing,
        }
    }

    /// Obeys signals until one of them stops the server. `load` reads the configuration again.
    pub async fn obey(
        mut self,
        ctx: Ctx,
        server: ServerHandle,
        sockets: ListeningSockets,
        load: impl Fn() -> Result<Config, ConfigError>,
    ) {
        loop {
            match self.next().await {
                SignalRequest::Stop => return self.stop(&ctx, &server, sockets).await,
                SignalRequest::StopNow => return server.stop(false).await,
                SignalRequest::Reload => reload::reload(&ctx, &load),
                SignalRequest::Nothing => tracing::debug!("ignored a signal"),
            }
        }
    }

    /// Stops in the order that loses no request: `/readyz` answers 503 first, the load balancer has
    /// `stop_delay` to notice, then no connection is accepted and open requests are finished.
    /// Another signal to stop cuts the wait short.
    async fn stop(&mut self, ctx: &Ctx, server: &ServerHandle, sockets: ListeningSockets) {
        ctx.live.mark_stopping();
        notify_service_manager(&[NotifyState::Stopping]);
        let delay = ctx.config.stop_delay;
        if !delay.is_zero() {
            tracing::info!(
                "stopping: no longer ready, accepting requests for another {} s",
                delay.as_secs()
            );
        }
        let wait = tokio::time::sleep(delay);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                request = self.next() => match request {
                    SignalRequest::Stop | SignalRequest::StopNow => break,
                    SignalRequest::Reload | SignalRequest::Nothing => {}
                },
            }
        }
        sockets.stop_new_connections().await;
        server.stop(true).await;
    }
}
