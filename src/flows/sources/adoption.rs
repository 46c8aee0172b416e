//! Taking over the sources of the configuration file at start, and sealing secrets anew under the
//! newest key.

use super::{Ctx, FlowError, Initiator, SourceRollback};
use crate::{
    config::ConfiguredSource,
    domain::source::{IdentitySource, SourceId},
    flows::Write,
    second_factor::SealedSecret,
    store::{
        StoreError,
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
            let sealed = self.seal_configured(id, configured)?;
            self.insert_source(&new, sealed.as_ref())?;
            return Ok(self.place_source(id, usize::MAX)?);
        };
        if found.source.kind() != new.kind() {
            let name = configured.name.as_str();
            return Err(SourceRollback::Failed(FlowError::Internal(format!(
                "[sources.{name}]: there is already a source of another kind with this name; delete it, or choose \
                 another name"
            ))));
        }
        let opened = found
            .secret
            .as_ref()
            .and_then(|sealed| self.ctx.factor_keys.open_source(id, sealed));
        let wanted = configured.secret.as_ref().map(|secret| secret.expose().as_bytes());
        let secret_changed = opened.as_deref() != wanted || found.secret.is_some() != wanted.is_some();
        if found.source != new {
            sources::update(self.connection, &new, self.now)?;
        }
        if secret_changed {
            let sealed = self.seal_configured(id, configured)?;
            sources::set_secret(self.connection, id, sealed.as_ref())?;
        }
        Ok(self.record_source_change(&found.source, &new, secret_changed)?)
    }

    fn seal_configured(
        &self,
        id: SourceId,
        configured: &ConfiguredSource,
    ) -> Result<Option<SealedSecret>, SourceRollback> {
        let sealed = configured
            .secret
            .as_ref()
            .map(|secret| self.ctx.seal_source_secret(id, secret));
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
            if old.key_id == self.ctx.factor_keys.newest_id() {
                continue;
            }
            let id = stored.source.id;
            let mut nonce = [0; 12];
            self.ctx.random.fill(&mut nonce);
            let opened = self.ctx.factor_keys.open_source(id, old);
            let sealed = opened.and_then(|secret| self.ctx.factor_keys.seal_source(id, &secret, nonce));
            if let Some(new) = sealed {
                sources::reseal(self.connection, id, old, &new)?;
            }
        }
        Ok(())
    }
}
