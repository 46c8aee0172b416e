//! The connections of a source: a bounded number of operations at a time, and one connection for
//! all searches, bound with the source's own credentials.

use super::{
    connection::{Connector, DirectoryConnection, duration},
    error::{DirectoryError, DirectoryStep, is_closed, is_unanswered, no_answer},
};
use crate::domain::{secret::Secret, source::LdapSettings};
use futures_util::future::{Either, select};
use ldap3::LdapError;
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, Semaphore, SemaphorePermit},
    time::timeout,
};

/// Maximum time after which a search is repeated on a new connection, if it began on one that had
/// answered before. A sign-in waits four seconds in all.
const MAX_SILENCE: Duration = Duration::from_millis(1_500);
/// Minimum time without an answer after which a connection is not used again.
const SUSPICIOUS_WAIT: Duration = Duration::from_secs(1);

/// The connections of a source.
pub(super) struct ConnectionPool {
    pub(super) connector: Connector,
    bind_password: Option<Secret>,
    /// Places for operations in flight; who finds none within the operation timeout is refused.
    places: Semaphore,
    /// The connection for searches.
    service: Mutex<Option<DirectoryConnection>>,
    /// Held during a search in pages on that connection, because OpenLDAP remembers only the latest
    /// one of a connection.
    pub(super) paging: Mutex<()>,
}

impl ConnectionPool {
    /// Nothing is opened yet.
    pub(super) fn new(settings: LdapSettings, bind_password: Option<Secret>) -> Self {
        let places = usize::try_from(settings.connections).unwrap_or(1).max(1);
        Self {
            connector: Connector::new(settings),
            bind_password,
            places: Semaphore::new(places),
            service: Mutex::new(None),
            paging: Mutex::new(()),
        }
    }

    pub(super) fn settings(&self) -> &LdapSettings {
        &self.connector.settings
    }

    /// Performs an operation in one of the places, bounded in time as a whole.
    pub(super) async fn bounded<T>(
        &self,
        operation: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        let _place = self.take_place().await?;
        let limit = self.longest_operation();
        timeout(limit, operation)
            .await
            .unwrap_or_else(|_| Err(DirectoryError::new(DirectoryStep::Search, no_answer(limit))))
    }

    pub(super) async fn take_place(&self) -> Result<SemaphorePermit<'_>, DirectoryError> {
        let limit = duration(self.connector.settings.operation_timeout);
        match timeout(limit, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(DirectoryError::new(
                DirectoryStep::Connect,
                format!(
                    "all {} connections of the source are busy",
                    self.connector.settings.connections
                ),
            )),
        }
    }

    /// Returns the longest time of one operation: a connection to every address, and two answers.
    fn longest_operation(&self) -> Duration {
        let addresses = u32::try_from(self.connector.settings.urls.len()).unwrap_or(1).max(1);
        duration(self.connector.settings.connect_timeout) * 2 * addresses
            + duration(self.connector.settings.operation_timeout) * 2
    }

    /// Returns the connection for searches: the open one, or a new one.
    pub(super) async fn service_connection(&self) -> Result<DirectoryConnection, DirectoryError> {
        let mut service = self.service.lock().await;
        if let Some(open) = service.as_mut()
            && !open.is_closed()
        {
            return Ok(open.clone());
        }
        let opened = self.open_service().await?;
        *service = Some(opened.clone());
        Ok(opened)
    }

    /// Opens a connection and binds it with the source's own credentials.
    pub(super) async fn open_service(&self) -> Result<DirectoryConnection, DirectoryError> {
        let mut connection = self.connector.open().await?;
        let mut waiting = self.watch(&connection);
        if let Some(dn) = &self.connector.settings.bind_dn {
            let password = self
                .bind_password
                .as_ref()
                .filter(|password| !password.expose().is_empty());
            let Some(password) = password else {
                return Err(DirectoryError::new(
                    DirectoryStep::ServiceBind,
                    "the source has a bind DN but no password".to_owned(),
                ));
            };
            connection.bind_service(dn, password).await?;
        }
        waiting.is_over = true;
        Ok(connection)
    }

    /// Forgets the connection for searches after it failed: the next search opens another one.
    pub(super) async fn forget_service(&self) {
        *self.service.lock().await = None;
    }

    /// Performs a search operation on the shared connection.
    ///
    /// If that connection was closed meanwhile, a new one is opened and the operation is repeated
    /// once. The same happens if the connection answered earlier searches but is silent now, as one
    /// that a firewall has forgotten; the first answer counts.
    pub(super) async fn on_service<T>(
        &self,
        step: DirectoryStep,
        operation: impl AsyncFn(DirectoryConnection) -> Result<T, LdapError>,
    ) -> Result<T, DirectoryError> {
        let fault_of = |fault: LdapError| DirectoryError::from_ldap(step, &fault);
        let connection = self.service_connection().await?;
        let patience = match connection.has_answered() {
            true => self.silence(),
            false => Duration::MAX,
        };
        // On the heap: the futures of searches are large, and the call is deep inside a sign-in.
        let mut first = Box::pin(self.perform(connection.clone(), &operation));
        let second = Box::pin(async {
            let connection = self.service_connection().await?;
            self.perform(connection, &operation).await.map_err(fault_of)
        });
        match timeout(patience, first.as_mut()).await {
            Ok(Err(fault)) if is_closed(&fault) => return second.await,
            Ok(answer) => return answer.map_err(fault_of),
            Err(_) => self.give_up(&connection),
        }
        match select(first, second).await {
            Either::Left((Err(fault), second)) if is_unanswered(&fault) => second.await.map_err(|_| fault_of(fault)),
            Either::Left((answer, _)) => answer.map_err(fault_of),
            Either::Right((Ok(done), _)) => Ok(done),
            Either::Right((Err(_), first)) => first.await.map_err(fault_of),
        }
    }

    /// Performs an operation once. A connection that gives no answer is not used again, also if the
    /// caller stops waiting.
    async fn perform<T>(
        &self,
        connection: DirectoryConnection,
        operation: &impl AsyncFn(DirectoryConnection) -> Result<T, LdapError>,
    ) -> Result<T, LdapError> {
        let mut waiting = self.watch(&connection);
        let answer = operation(connection).await;
        waiting.is_over = true;
        match &answer {
            Err(fault) if is_closed(fault) => self.retire(&waiting.connection),
            Err(fault) if is_unanswered(fault) => self.give_up(&waiting.connection),
            Ok(_) | Err(_) => waiting.connection.note_answer(),
        }
        answer
    }

    /// Begins to wait for an answer on a connection.
    fn watch(&self, connection: &DirectoryConnection) -> PendingSearch<'_> {
        PendingSearch {
            pool: self,
            connection: connection.clone(),
            began: Instant::now(),
            is_over: false,
        }
    }

    /// Returns how long a search on a connection that has answered before may take until it is
    /// repeated on a new one.
    fn silence(&self) -> Duration {
        MAX_SILENCE.min(duration(self.connector.settings.operation_timeout) / 2)
    }

    /// Takes a connection out of use whose server is silent, and prefers other servers for a while.
    fn give_up(&self, connection: &DirectoryConnection) {
        self.connector.note_silence(connection);
        self.retire(connection);
    }

    /// Takes a connection out of use. Operations that wait on it may still be answered; it is
    /// closed after the last of them.
    fn retire(&self, connection: &DirectoryConnection) {
        // If the place is locked, another search is replacing the connection.
        if let Ok(mut service) = self.service.try_lock()
            && service.as_ref().is_some_and(|open| open.is_same(connection))
        {
            *service = None;
        }
    }
}

/// A search that waits for its answer.
struct PendingSearch<'a> {
    pool: &'a ConnectionPool,
    connection: DirectoryConnection,
    began: Instant,
    is_over: bool,
}

impl Drop for PendingSearch<'_> {
    fn drop(&mut self) {
        // A caller that left at once says nothing about the connection.
        if !self.is_over && self.began.elapsed() >= SUSPICIOUS_WAIT {
            self.pool.give_up(&self.connection);
        }
    }
}
