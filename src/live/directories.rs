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
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often the same source's faults are written at most.
const FAULT_EVERY: Span = Span::from_secs(60);

/// Number of recent binds of a source whose times are kept.
const RECENT_BINDS: usize = 16;
/// Maximum time of a bind that is kept, so that a refusal without a bind stays within a response.
const MAX_BIND_TIME: Duration = Duration::from_secs(2);

/// The clients of this instance.
#[derive(Default)]
pub struct DirectoryClients {
    clients: Mutex<HashMap<SourceId, KnownClient>>,
    /// When a fault of a source was last written; absent: it works.
    faults: Mutex<HashMap<SourceId, Timestamp>>,
    /// How long the recent binds of each source took.
    binds: Mutex<HashMap<SourceId, VecDeque<Duration>>>,
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
        let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
        binds.retain(|id, _| sources.by_id(*id).is_some());
        drop(binds);
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

    /// Notes how long a directory took to check a password.
    pub fn note_bind(&self, source: SourceId, took: Duration) {
        let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = binds.entry(source).or_default();
        if recent.len() == RECENT_BINDS {
            recent.pop_front();
        }
        recent.push_back(took.min(MAX_BIND_TIME));
    }

    /// Returns how long one of the recent binds of a source took, for refusals without a bind;
    /// `pick` chooses among them. Zero: there were none.
    pub fn recent_bind(&self, source: SourceId, pick: u8) -> Duration {
        let binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recent) = binds.get(&source) else {
            return Duration::ZERO;
        };
        let at = usize::from(pick) % recent.len().max(1);
        recent.get(at).copied().unwrap_or_default()
    }

    /// Returns whether a fault of a source was written since it last worked.
    pub fn note_success(&self, source: SourceId) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.remove(&source).is_some()
    }
}
