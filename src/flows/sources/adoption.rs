//! Taking over the sources of the configuration file at start, and resealing secrets under the
//! newest key.

use super::{Ctx, FlowError, Initiator, SourceRollback};
use crate::{
    config::ConfiguredSource,
    domain::{
        secret::Secret,
        source::{IdentitySource, SourceId},
    },
    flows::Write,
    second_factor::SealedSecret,
    store::{
        StoreError, event_streams,
        sources::{self, StoredSource},
    },
};

/// Makes the stored sources agree with the configuration file. One that the file no longer has
/// stays, disabled, and can be changed in the console again. A source of the same name and kind is
/// taken over with its accounts; of another kind, it is refused.
///
/// # Errors
/// The names of sources that could not be taken over are part of [`FlowError::Internal`].
pub async fn adopt_configured(ctx: &Ctx) -> Result<(), FlowError> {
    let configured = ctx.config.sources.clone();
    let written = ctx
        .write_at(ctx.now(), &Initiator::system(), move |w| {
            let stored = sources::list(w.connection)?;
            for source in &configured {
                w.adopt_source(source, &stored)?;
            }
            for left in stored.iter().filter(|stored| stored.source.in_file) {
                if configured.iter().all(|source| source.name != left.source.name) {
                    w.release_source(&left.source)?;
                }
            }
            Ok(w.reseal_sources()?)
        })
        .await;
    match written {
        Ok(()) => ctx.reload_sources().await,
        Err(SourceRollback::Failed(error)) => Err(error),
        Err(SourceRollback::Refused(refused)) => Err(FlowError::Internal(format!("sources: {refused:?}"))),
    }
}

impl Write<'_> {
    fn adopt_source(&mut self, configured: &ConfiguredSource, stored: &[StoredSource]) -> Result<(), SourceRollback> {
        let found = stored.iter().find(|stored| stored.source.name == configured.name);
        let id = found.map_or_else(|| SourceId(self.ctx.new_id(self.now)), |stored| stored.source.id);
        let new = IdentitySource {
            id,
            name: configured.name.clone(),
            title: configured.title.clone(),
            enabled: configured.enabled,
            position: found.map_or(i32::MAX, |stored| stored.source.position),
            in_file: true,
            definition: configured.definition.clone(),
        };
        let Some(found) = found else {
            let secret = self.seal_configured(id, configured.secret.as_ref())?;
            let token = self.seal_configured(id, configured.events_token.as_ref())?;
            self.insert_source(&new, secret.as_ref(), token.as_ref())?;
            return Ok(self.place_source(id, usize::MAX)?);
        };
        if found.source.kind() != new.kind() {
            let name = configured.name.as_str();
            return Err(SourceRollback::Failed(FlowError::Internal(format!(
                "[sources.{name}]: there is already a source of another kind with this name; delete it, or choose \
                 another name"
            ))));
        }
        if found.source != new {
            sources::update(self.connection, &new, self.now)?;
        }
        let stream = event_streams::find(self.connection, id)?;
        let known_token = stream.and_then(|stream| stream.token);
        let secret_changed = self.is_other_secret(id, found.secret.as_ref(), configured.secret.as_ref());
        let token_changed = self.is_other_secret(id, known_token.as_ref(), configured.events_token.as_ref());
        if secret_changed {
            let sealed = self.seal_configured(id, configured.secret.as_ref())?;
            sources::set_secret(self.connection, id, sealed.as_ref())?;
        }
        if token_changed {
            let sealed = self.seal_configured(id, configured.events_token.as_ref())?;
            event_streams::set_token(self.connection, id, sealed.as_ref())?;
        }
        Ok(self.record_source_change(&found.source, &new, secret_changed || token_changed)?)
    }

    /// Returns whether a stored secret is not the configured one, or cannot be opened.
    fn is_other_secret(&self, id: SourceId, stored: Option<&SealedSecret>, configured: Option<&Secret>) -> bool {
        let opened = stored.and_then(|sealed| self.ctx.factor_keys.open_source(id, sealed));
        let wanted = configured.map(|secret| secret.expose().as_bytes());
        opened.as_deref() != wanted || stored.is_some() != wanted.is_some()
    }

    fn seal_configured(&self, id: SourceId, secret: Option<&Secret>) -> Result<Option<SealedSecret>, SourceRollback> {
        let sealed = secret.map(|secret| self.ctx.seal_source_secret(id, secret));
        sealed.transpose().map_err(SourceRollback::Failed)
    }

    fn release_source(&mut self, old: &IdentitySource) -> Result<(), StoreError> {
        let new = IdentitySource {
            enabled: false,
            in_file: false,
            ..old.clone()
        };
        sources::update(self.connection, &new, self.now)?;
        self.record_source_change(old, &new, false)
    }

    /// Seals the secrets of earlier keys under the current one. A secret whose key no longer exists
    /// is left unchanged.
    fn reseal_sources(&mut self) -> Result<(), StoreError> {
        for stored in sources::list(self.connection)? {
            let Some(old) = &stored.secret else { continue };
            if let Some(new) = self.seal_anew(stored.source.id, old) {
                sources::reseal(self.connection, stored.source.id, old, &new)?;
            }
        }
        for stored in event_streams::list(self.connection)? {
            let Some(old) = &stored.token else { continue };
            if let Some(new) = self.seal_anew(stored.source, old) {
                event_streams::reseal(self.connection, stored.source, old, &new)?;
            }
        }
        Ok(())
    }

    /// Seals a secret of an earlier key under the newest one.
    fn seal_anew(&self, id: SourceId, old: &SealedSecret) -> Option<SealedSecret> {
        let keys = &self.ctx.factor_keys;
        if old.key_id == keys.newest_id() {
            return None;
        }
        let mut nonce = [0; 12];
        self.ctx.random.fill(&mut nonce);
        keys.seal_source(id, &keys.open_source(id, old)?, nonce)
    }
}
