//! The clients of directories, one per source. A client lives as long as the settings and the
//! secret of its source stay the same; with it live its connections.

use super::sources::{LiveSource, SourceSecretLost, Sources};
use crate::{
    domain::{
        source::{LdapSettings, SourceId},
        time::{Span, Timestamp},
    },
    identity::ldap::Directory,
    second_factor::{FactorKeys, SealedSecret},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How often the same source's faults are written at most.
const FAULT_EVERY: Span = Span::from_secs(60);

/// The clients of this instance.
#[derive(Default)]
pub struct DirectoryClients {
    clients: Mutex<HashMap<SourceId, KnownClient>>,
    /// When a fault of a source was last written; absent: it works.
    faults: Mutex<HashMap<SourceId, Timestamp>>,
}

struct KnownClient {
    settings: LdapSettings,
    sealed: Option<SealedSecret>,
    client: Arc<Directory>,
}

impl DirectoryClients {
    /// Returns the client of a source; `Ok(None)`: it is not a directory. Clients of sources that
    /// no longer exist are dropped.
    pub fn client_of(
        &self,
        live: &LiveSource,
        sources: &Sources,
        keys: &FactorKeys,
    ) -> Result<Option<Arc<Directory>>, SourceSecretLost> {
        let Some(settings) = live.source.ldap() else {
            return Ok(None);
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(&live.source.id)
            && known.settings == *settings
            && known.sealed.as_ref() == live.sealed_secret()
        {
            return Ok(Some(known.client.clone()));
        }
        clients.retain(|id, _| sources.by_id(*id).is_some());
        let client = Arc::new(Directory::new(settings.clone(), live.open_secret(keys)?));
        let known = KnownClient {
            settings: settings.clone(),
            sealed: live.sealed_secret().cloned(),
            client: client.clone(),
        };
        clients.insert(live.source.id, known);
        Ok(Some(client))
    }

    /// Returns whether a fault of a source is to be written now: not more often than once a minute.
    pub fn note_fault(&self, source: SourceId, now: Timestamp) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = faults
            .get(&source)
            .is_none_or(|last| now >= last.saturating_add(FAULT_EVERY) || now < *last);
        if is_due {
            faults.insert(source, now);
        }
        is_due
    }

    /// Returns whether a fault of a source was written since it last worked.
    pub fn note_success(&self, source: SourceId) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.remove(&source).is_some()
    }
}
