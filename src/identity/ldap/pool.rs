//! The connections of a source: a bounded number of operations at a time, and one connection for
//! all searches, bound with the source's own credentials.

use super::{
    connection::{Connector, DirectoryConnection, duration},
    error::{DirectoryError, DirectoryStep, is_closed, is_unanswered, no_answer},
};
use crate::domain::{secret::Secret, source::LdapSettings};
use ldap3::LdapError;
use std::{future::Future, time::Duration};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

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
        tokio::time::timeout(limit, operation)
            .await
            .unwrap_or_else(|_| Err(DirectoryError::new(DirectoryStep::Search, no_answer(limit))))
    }

    pub(super) async fn take_place(&self) -> Result<SemaphorePermit<'_>, DirectoryError> {
        let limit = duration(self.connector.settings.operation_timeout);
        match tokio::time::timeout(limit, self.places.acquire()).await {
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
        Ok(connection)
    }

    /// Forgets the connection for searches after it failed: the next search opens another one.
    pub(super) async fn forget_service(&self) {
        *self.service.lock().await = None;
    }

    /// Performs a search operation on the shared connection. If that connection was closed
    /// meanwhile, a new one is opened and the operation is repeated once.
    pub(super) async fn on_service<T>(
        &self,
        step: DirectoryStep,
        operation: impl AsyncFn(DirectoryConnection) -> Result<T, LdapError>,
    ) -> Result<T, DirectoryError> {
        let first = operation(self.service_connection().await?).await;
        let fault = match first {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        if !is_unanswered(&fault) {
            return Err(DirectoryError::from_ldap(step, &fault));
        }
        self.forget_service().await;
        if !is_closed(&fault) {
            return Err(DirectoryError::from_ldap(step, &fault));
        }
        let second = operation(self.service_connection().await?).await;
        second.map_err(|fault| DirectoryError::from_ldap(step, &fault))
    }
}
