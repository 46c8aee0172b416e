//! The sources of identities, remembered and replaced as a whole. Their secrets stay sealed in
//! memory and are opened when they are used.

use crate::{
    domain::{
        secret::Secret,
        source::{IdentitySource, SourceId, SourceKind},
    },
    second_factor::{FactorKeys, SealedSecret},
    store::{Conn, StoreError, sources},
};
use std::sync::Arc;

/// A source with its sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSource {
    /// The source.
    pub source: IdentitySource,
    sealed: Option<SealedSecret>,
}

/// The key that sealed the secret of a source no longer exists. An administrator must enter the
/// secret again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored secret cannot be opened, because its key no longer exists; enter the secret again")]
pub struct SourceSecretLost;

impl LiveSource {
    /// Opens the secret. `Ok(None)`: the source has none.
    pub fn open_secret(&self, keys: &FactorKeys) -> Result<Option<Secret>, SourceSecretLost> {
        let Some(sealed) = &self.sealed else {
            return Ok(None);
        };
        let opened = keys.open_source(self.source.id, sealed).ok_or(SourceSecretLost)?;
        let text = String::from_utf8(opened).map_err(|_| SourceSecretLost)?;
        Ok(Some(Secret::new(text)))
    }

    /// Returns the sealed secret.
    pub fn sealed_secret(&self) -> Option<&SealedSecret> {
        self.sealed.as_ref()
    }
}

/// All sources in their order.
#[derive(Debug, Default)]
pub struct Sources(Vec<LiveSource>);

impl Sources {
    /// Returns all sources.
    pub fn all(&self) -> impl Iterator<Item = &LiveSource> {
        self.0.iter()
    }

    /// Returns the sources through which people can sign in.
    pub fn enabled(&self) -> impl Iterator<Item = &LiveSource> {
        self.0.iter().filter(|live| live.source.enabled)
    }

    /// Returns the enabled sources of a kind.
    pub fn enabled_of(&self, kind: SourceKind) -> impl Iterator<Item = &LiveSource> {
        self.enabled().filter(move |live| live.source.kind() == kind)
    }

    /// Finds a source by its name, enabled or not.
    pub fn by_name(&self, name: &str) -> Option<&LiveSource> {
        self.0.iter().find(|live| live.source.name.as_str() == name)
    }

    /// Finds a source by its ID, enabled or not.
    pub fn by_id(&self, id: SourceId) -> Option<&LiveSource> {
        self.0.iter().find(|live| live.source.id == id)
    }
}

/// The sources as they were read once.
#[derive(Debug, Clone, Default)]
pub struct SourceSnapshot {
    /// Newest change before they were read.
    seq: i64,
    sources: Arc<Sources>,
}

impl SourceSnapshot {
    /// Reads the sources as they are now.
    pub fn read(c: &mut Conn) -> Result<Self, StoreError> {
        let (seq, all) = sources::load_snapshot(c)?;
        let live = all.into_iter().map(|stored| LiveSource {
            source: stored.source,
            sealed: stored.secret,
        });
        Ok(Self {
            seq,
            sources: Arc::new(Sources(live.collect())),
        })
    }

    /// Returns the newest change before they were read.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Returns the sources.
    pub fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }
}
