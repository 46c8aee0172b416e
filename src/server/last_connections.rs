//! The last connections before the server stops. Closing a socket resets connections that the
//! system has completed but the server has not accepted, and a load balancer that just sent a
//! request there could only answer 502. Therefore new connections are dropped first, as if their
//! packets were lost, and completed ones are still accepted.

use socket2::{SockFilter, SockRef};
use std::{net::TcpListener, time::Duration};

/// How long to wait until pending connections are completed and accepted.
const LAST_CONNECTIONS: Duration = Duration::from_millis(300);

/// Offset of the flags in the TCP header, and the flag of a new connection (RFC 9293, 3.1).
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;

/// Duplicated handles of the listening sockets.
#[derive(Default)]
pub struct ListeningSockets(Vec<TcpListener>);

impl ListeningSockets {
    /// Duplicates the handle of each socket.
    pub fn of(listeners: &[TcpListener]) -> std::io::Result<Self> {
        listeners
            .iter()
            .map(TcpListener::try_clone)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Blocks new connections and waits until the last ones are accepted. Clients of blocked
    /// connections try again and find the address closed by then.
    pub async fn stop_new_connections(self) {
        let drops_new_connections = [
            // Loads the byte with the flags. Drops the packet if it starts a connection; otherwise
            // keeps all of it.
            SockFilter::new(0x30, 0, 0, FLAGS),
            SockFilter::new(0x45, 0, 1, SYN),
            SockFilter::new(0x06, 0, 0, 0),
            SockFilter::new(0x06, 0, 0, u32::MAX),
        ];
        for listener in &self.0 {
            if let Err(error) = SockRef::from(listener).attach_filter(&drops_new_connections) {
                tracing::debug!(%error, "new connections cannot be held off; the socket just closes");
            }
        }
        // From here on only the server holds the sockets, and closes them.
        drop(self);
        tokio::time::sleep(LAST_CONNECTIONS).await;
    }
}
