//! Connections to a directory: the addresses in order, each step bounded in time. An address that
//! failed is tried last for a while.

use super::{
    error::{DirectoryError, DirectoryStep, describe_result, no_answer},
    tls::TlsSettings,
};
use crate::domain::{secret::Secret, source::LdapSettings, time::Span};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpStream, lookup_host},
    task::AbortHandle,
    time::timeout,
};
use url::Url;

/// Time in which the addresses before the last one must answer, all together: a sign-in waits four
/// seconds, and the last address needs its share.
const FAILOVER_TIME: Duration = Duration::from_millis(1_500);
/// How long an address that failed is tried after the others.
const FAILED_FOR: Duration = Duration::from_secs(60);

/// An open connection; clones share it. It is closed when the last one is dropped.
#[derive(Clone)]
pub(super) struct DirectoryConnection {
    ldap: Ldap,
    operation_timeout: Duration,
    driver: Arc<ConnectionDriver>,
    address: Arc<str>,
}

/// The task that reads and writes a connection. It ends with this value, whatever the server still
/// sends: the library reads without a limit.
struct ConnectionDriver {
    task: AbortHandle,
    has_answered: AtomicBool,
}

impl Drop for ConnectionDriver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The steps of opening a connection, for the test of a source.
#[derive(Debug, Default)]
pub(super) struct OpeningTimes {
    pub(super) steps: Vec<OpeningStep>,
    /// The step that has begun, and since when.
    pub(super) waiting: Option<(DirectoryStep, Instant)>,
}

/// One step of opening a connection.
#[derive(Debug)]
pub(super) struct OpeningStep {
    pub(super) step: DirectoryStep,
    pub(super) took: Duration,
    /// The address, or why it failed.
    pub(super) result: Result<String, String>,
}

impl OpeningTimes {
    fn begin(&mut self, step: DirectoryStep) -> Instant {
        let began = Instant::now();
        self.waiting = Some((step, began));
        began
    }

    fn note(&mut self, step: DirectoryStep, began: Instant, result: Result<&str, String>) {
        self.waiting = None;
        self.steps.push(OpeningStep {
            step,
            took: began.elapsed(),
            result: result.map(str::to_owned),
        });
    }
}

/// The time that an address has.
struct AddressTime {
    /// The longest time of a step.
    step: Duration,
    /// When all steps must be over; `None`: only each one is bounded.
    until: Option<Instant>,
}

impl AddressTime {
    /// Returns the time that the next step has.
    fn left(&self) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        left.map_or(self.step, |left| left.min(self.step))
    }
}

impl DirectoryConnection {
    /// Returns a handle for one operation, bounded in time.
    pub(super) fn operation(&self) -> Ldap {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        ldap
    }

    pub(super) fn is_closed(&mut self) -> bool {
        self.ldap.is_closed()
    }

    /// Closes the connection, also for its clones: operations in flight fail.
    pub(super) fn close(&self) {
        self.driver.task.abort();
    }

    /// Returns whether a search was answered on it.
    pub(super) fn has_answered(&self) -> bool {
        self.driver.has_answered.load(Ordering::Relaxed)
    }

    pub(super) fn note_answer(&self) {
        self.driver.has_answered.store(true, Ordering::Relaxed);
    }

    /// Returns whether both are handles of one connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// Binds with the source's own credentials.
    pub(super) async fn bind_service(&mut self, dn: &str, password: &Secret) -> Result<(), DirectoryError> {
        let step = DirectoryStep::ServiceBind;
        let answer = self.operation().simple_bind(dn, password.expose()).await;
        let answer = answer.map_err(|fault| DirectoryError::from_ldap(step, &fault))?;
        match answer.rc {
            0 => Ok(()),
            code => Err(DirectoryError::new(step, describe_result(code, &answer.text))),
        }
    }
}

/// The addresses of a directory, and how to connect to them.
pub(super) struct Connector {
    pub(super) settings: LdapSettings,
    tls: TlsSettings,
    /// When addresses failed.
    failed: Mutex<HashMap<String, Instant>>,
}

impl Connector {
    pub(super) fn new(settings: LdapSettings) -> Self {
        Self {
            tls: TlsSettings::new(settings.ca_file.clone()),
            settings,
            failed: Mutex::default(),
        }
    }

    /// Notes that the server of a connection does not answer: other addresses are tried first.
    pub(super) fn note_silence(&self, connection: &DirectoryConnection) {
        self.note_failed(&connection.address);
    }

    fn note_failed(&self, address: &str) {
        self.failed.lock().insert(address.to_owned(), Instant::now());
    }

    /// Returns the addresses in the order in which they are tried: those that failed a moment ago
    /// come last, the one that failed first before the others.
    fn addresses(&self) -> Vec<String> {
        let mut failed = self.failed.lock();
        failed.retain(|_, at| at.elapsed() < FAILED_FOR);
        let mut urls = self.settings.urls.clone();
        urls.sort_by_key(|url| failed.get(url).copied());
        urls
    }

    /// Opens a connection to the first address that answers. The error has the fault of each
    /// address.
    pub(super) async fn open(&self) -> Result<DirectoryConnection, DirectoryError> {
        self.open_timed(&mut OpeningTimes::default()).await
    }

    /// Opens a connection as [`Connector::open`] does, and records how long each step took.
    pub(super) async fn open_timed(&self, times: &mut OpeningTimes) -> Result<DirectoryConnection, DirectoryError> {
        let mut faults: Vec<(String, DirectoryError)> = Vec::new();
        let urls = self.addresses();
        let others = u32::try_from(urls.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let limit = duration(self.settings.connect_timeout);
        for (place, url) in urls.iter().enumerate() {
            let is_last = place + 1 == urls.len();
            let time = AddressTime {
                step: limit,
                until: (!is_last).then(|| Instant::now() + FAILOVER_TIME / others.max(1)),
            };
            let began = Instant::now();
            match self.open_address(url, &time, times).await {
                Ok(connection) => {
                    self.failed.lock().remove(url);
                    return Ok(connection);
                }
                Err(fault) => {
                    self.note_failed(url);
                    times.note(fault.step, began, Err(format!("{url}: {}", fault.fault)));
                    faults.push((url.clone(), fault));
                }
            }
        }
        let step = faults.last().map_or(DirectoryStep::Connect, |(_, fault)| fault.step);
        let words: Vec<String> = faults
            .into_iter()
            .map(|(url, fault)| format!("{url}: {}", fault.fault))
            .collect();
        Err(DirectoryError::new(step, words.join("; ")))
    }

    async fn open_address(
        &self,
        address: &str,
        time: &AddressTime,
        times: &mut OpeningTimes,
    ) -> Result<DirectoryConnection, DirectoryError> {
        let fault = |step, words: &str| DirectoryError::new(step, words.to_owned());
        let url = Url::parse(address).map_err(|_| fault(DirectoryStep::Resolve, "not a URL"))?;
        let is_encrypted = url.scheme() == "ldaps";
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| fault(DirectoryStep::Resolve, "the URL has no host"))?;
        let port = url.port().unwrap_or(if is_encrypted { 636 } else { 389 });

        let began = times.begin(DirectoryStep::Resolve);
        let addresses = resolve(host, port, time.left()).await?;
        times.note(DirectoryStep::Resolve, began, Ok(address));
        let began = times.begin(DirectoryStep::Connect);
        let socket = connect(&addresses, time.left()).await?;
        times.note(DirectoryStep::Connect, began, Ok(""));

        let limit = time.left();
        let mut settings = LdapConnSettings::new()
            .set_conn_timeout(limit)
            .set_std_stream(StdStream::Tcp(socket));
        if is_encrypted || self.settings.start_tls {
            settings = settings
                .set_config(self.tls.config().await?)
                .set_starttls(!is_encrypted);
        }
        let step = DirectoryStep::Tls;
        let began = times.begin(step);
        let opened = LdapConnAsync::from_url_with_settings(settings, &url).await;
        let (driver, ldap) = opened.map_err(|error| match error {
            LdapError::Timeout { .. } => DirectoryError::new(step, no_answer(limit)),
            other => DirectoryError::from_ldap(step, &other),
        })?;
        times.note(step, began, Ok(""));
        let task = tokio::spawn(async move {
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "a connection to a directory ended");
            }
        });
        Ok(DirectoryConnection {
            ldap,
            operation_timeout: duration(self.settings.operation_timeout),
            driver: Arc::new(ConnectionDriver {
                task: task.abort_handle(),
                has_answered: AtomicBool::new(false),
            }),
            address: address.into(),
        })
    }
}

async fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, DirectoryError> {
    let step = DirectoryStep::Resolve;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = timeout(limit, lookup_host((bare, port))).await;
    let found = found.map_err(|_| DirectoryError::new(step, no_answer(limit)))?;
    let found: Vec<SocketAddr> = found
        .map_err(|error| DirectoryError::new(step, error.to_string()))?
        .collect();
    match found.is_empty() {
        true => Err(DirectoryError::new(step, "the name has no address".to_owned())),
        false => Ok(found),
    }
}

/// Connects to the first address that accepts. The library would leave Nagle's algorithm on, which
/// delays the first answer after the TLS handshake by 40 ms.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<std::net::TcpStream, DirectoryError> {
    let step = DirectoryStep::Connect;
    let mut words = no_answer(limit);
    let connecting = async {
        for address in addresses {
            match open_socket(*address).await {
                Ok(socket) => return Some(socket),
                Err(error) => words = error.to_string(),
            }
        }
        None
    };
    match timeout(limit, connecting).await {
        Ok(Some(socket)) => Ok(socket),
        Ok(None) | Err(_) => Err(DirectoryError::new(step, words)),
    }
}

async fn open_socket(address: SocketAddr) -> std::io::Result<std::net::TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    socket.into_std()
}

/// Converts a span; a negative one becomes zero.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(0))
}
