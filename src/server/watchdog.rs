//! Watchdog signals for the service manager (`WatchdogSec` of systemd), sent only while the server
//! answers requests.

use super::service_manager::notify_service_manager;
use sd_notify::NotifyState;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

/// Number of signals within the service manager's limit.
const SIGNS: u32 = 3;

/// Sends watchdog signals while the server at `address` answers. Returns immediately if the service
/// manager expects none.
pub async fn send_watchdog_signals(address: SocketAddr) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = limit / SIGNS;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(every, expect_answer(reachable_address(address))).await {
            Ok(Ok(())) => notify_service_manager(&[NotifyState::Watchdog]),
            Ok(Err(error)) => tracing::warn!(%error, "the server does not answer its own request"),
            Err(_) => tracing::warn!("the server does not answer its own request in time"),
        }
    }
}

/// Returns the address at which a server can be reached on this machine, for an address that it
/// listens on.
pub fn reachable_address(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Requests `/healthz`, which needs no database: a missing database is not a reason to restart.
async fn expect_answer(address: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
        crate::http::paths::HEALTHZ
    );
    socket.write_all(request.as_bytes()).await?;
    let mut start = [0; 12];
    socket.read_exact(&mut start).await?;
    match start.strip_prefix(b"HTTP/1.1 ") {
        Some(b"200") => Ok(()),
        _ => Err(io::Error::other("another answer than 200")),
    }
}

#[cfg(test)]
mod tests;
