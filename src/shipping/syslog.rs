//! A syslog receiver over TCP or TLS. Syslog has no answers: each batch has a connection of its
//! own, which we close for writing, and the receiver's close confirms that it has read everything.
//! Over TLS the close must be authenticated (close_notify, RFC 5425, 4.4), unless the operator says
//! that the receiver cannot.

use super::{ShippingFault, tls::make_config};
use crate::domain::audit::shipping::{
    RecordFormat, SealedRecord, SyslogAddress, SyslogTarget,
    syslog::{SyslogHeader, frame},
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, os::fd::AsRawFd, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::TlsConnector;

/// Most bytes that a receiver may send; what they say means nothing.
const MAX_ANSWER: usize = 64 * 1024;
/// How often the system is asked for the receiver's acknowledgement.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const NO_CLOSE_NOTIFY: &str = "the receiver did not end the connection with close_notify; if it never does, set \
                               close_notify = \"optional\"";

/// A prepared receiver.
pub(super) struct SyslogSender {
    address: SyslogAddress,
    header: SyslogHeader,
    tls: Option<Arc<ClientConfig>>,
    /// Whether the end of the TCP connection confirms too.
    accepts_plain_close: bool,
}

impl SyslogSender {
    pub(super) async fn prepare(target: &SyslogTarget, hostname: String) -> Result<Self, ShippingFault> {
        let tls = match target.address.tls {
            true => Some(Arc::new(
                make_config(target.ca_file.clone(), target.identity.clone()).await?,
            )),
            false => None,
        };
        Ok(Self {
            address: target.address.clone(),
            header: SyslogHeader {
                facility: target.facility,
                hostname: target.hostname.clone().unwrap_or(hostname),
                enterprise_number: target.enterprise_number,
                version: env!("CARGO_PKG_VERSION"),
            },
            tls,
            accepts_plain_close: target.accepts_plain_close,
        })
    }

    pub(super) async fn send(&self, records: &[SealedRecord], format: RecordFormat) -> Result<(), ShippingFault> {
        let messages = records.iter().map(|record| frame(&self.header.format(record, format)));
        let payload: String = messages.collect();
        let (host, port) = (self.address.host.as_str(), self.address.port);
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| ShippingFault::Connection(format!("cannot connect to {}: {error}", self.address)))?;
        let Some(tls) = &self.tls else {
            let mut stream = stream;
            write(&mut stream, payload.as_bytes()).await?;
            read_close(&mut stream).await?;
            return wait_for_acknowledgement(&stream).await;
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| ShippingFault::Tls(error.to_string()))?;
        let connected = TlsConnector::from(tls.clone()).connect(name, stream).await;
        let mut stream = connected.map_err(|error| ShippingFault::Tls(error.to_string()))?;
        write(&mut stream, payload.as_bytes()).await?;
        if !read_close(&mut stream).await? && !self.accepts_plain_close {
            return Err(ShippingFault::Tls(NO_CLOSE_NOTIFY.to_owned()));
        }
        wait_for_acknowledgement(stream.get_ref().0).await
    }
}

/// Writes everything, and the end.
async fn write(stream: &mut (impl AsyncWrite + Unpin), payload: &[u8]) -> Result<(), ShippingFault> {
    let broken = |error: io::Error| ShippingFault::Connection(format!("the connection broke: {error}"));
    stream.write_all(payload).await.map_err(broken)?;
    stream.shutdown().await.map_err(broken)
}

/// Reads until the receiver has closed the connection. Returns whether the close can be trusted: it
/// was not cut off.
async fn read_close(stream: &mut (impl AsyncRead + Unpin)) -> Result<bool, ShippingFault> {
    let (mut received, mut buffer) = (0, [0; 1024]);
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return Ok(true),
            Ok(bytes) if received + bytes <= MAX_ANSWER => received += bytes,
            Ok(_) => return Err(ShippingFault::Connection("the receiver sends too much".to_owned())),
            // TLS ended without close_notify.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(unconfirmed(&error)),
        }
    }
}

/// Waits until the receiver's system has acknowledged everything, our end included. Without this, a
/// receiver that closes a connection before it reads, because it has too many, would confirm what
/// it never saw.
async fn wait_for_acknowledgement(stream: &TcpStream) -> Result<(), ShippingFault> {
    loop {
        if let Some(error) = stream.take_error().map_err(|error| unconfirmed(&error))? {
            return Err(unconfirmed(&error));
        }
        if count_unacknowledged(stream).map_err(|error| unconfirmed(&error))? == 0 {
            return Ok(());
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Returns the number of sent bytes that the receiver's system has not acknowledged; the end counts
/// as one.
fn count_unacknowledged(stream: &TcpStream) -> io::Result<libc::c_int> {
    let mut bytes = 0;
    // SAFETY: TIOCOUTQ writes one int, and the descriptor is open as long as the stream lives.
    match unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } {
        0 => Ok(bytes),
        _ => Err(io::Error::last_os_error()),
    }
}

fn unconfirmed(error: &io::Error) -> ShippingFault {
    ShippingFault::Connection(format!(
        "the receiver did not confirm the records by closing the connection: {error}"
    ))
}
