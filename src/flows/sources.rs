//! Sources of identities: creating, changing, ordering and deleting them, and their secrets. What
//! the configuration file sets is adopted at start; only that file changes it.

mod adoption;
mod deletion;

pub use adoption::adopt_configured;
pub use deletion::{SourceDeletion, delete};

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::Account,
        audit::Event,
        secret::Secret,
        source::{
            EventStreamState, IdentitySource, LOCAL, SettingTexts, SourceDefinition, SourceFault, SourceId, SourceKind,
            SourceName, SourceState,
        },
        time::Timestamp,
    },
    live::sources::{LiveSource, SourceSecretLost, SourceSnapshot, Sources},
    second_factor::SealedSecret,
    store::{
        Conn, StoreError, accounts,
        event_streams::{self, StoredEventStream},
        sources,
    },
};
use std::{collections::HashMap, sync::Arc};

/// Maximum length of a title, in characters.
const MAX_TITLE: usize = 60;
/// What takes the place of the title of a source that was deleted.
pub const DELETED_SOURCE: &str = "a deleted source";

/// Maximum length of a secret, in bytes.
const MAX_SECRET: usize = 4_096;

/// Maximum number of sources.
const MAX_SOURCES: usize = 64;

/// The changes; `None` leaves a value unchanged.
#[derive(Debug, Clone, Default)]
pub struct SourceChange {
    /// What people read on buttons.
    pub title: Option<String>,
    /// Whether people can sign in through it.
    pub enabled: Option<bool>,
    /// Its place among all sources, from 1.
    pub place: Option<usize>,
    /// Settings by key; an empty text sets the default. Others are left unchanged.
    pub settings: SettingTexts,
    /// The secret; an empty one removes it.
    pub secret: Option<Secret>,
    /// The access token for security events; an empty one removes it.
    pub events_token: Option<Secret>,
}

/// The sealed secrets of a change. `None`: unchanged; `Some(None)`: removed.
struct SealedChange {
    secret: Option<Option<SealedSecret>>,
    events_token: Option<Option<SealedSecret>>,
}

impl SealedChange {
    fn is_any(&self) -> bool {
        self.secret.is_some() || self.events_token.is_some()
    }
}

/// The result of creating or changing a source.
#[derive(Debug, PartialEq, Eq)]
pub enum SourceOutcome {
    /// It is done.
    Done,
    /// These values cannot be used.
    Faulty(Vec<SourceFault>),
    /// There is no such source.
    Unknown,
    /// The configuration file sets this source.
    InFile,
}

/// A source as lists and its page show it.
#[derive(Debug, Clone)]
pub struct SourceView {
    /// The source.
    pub source: IdentitySource,
    /// What was last learned about it.
    pub state: SourceState,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// Whether the secret can no longer be opened, because its key is gone.
    pub is_secret_lost: bool,
    /// Whether it has an access token for security events.
    pub has_events_token: bool,
    /// Whether that token can no longer be opened, because its key is gone.
    pub is_events_token_lost: bool,
    /// What was last learned about its security events.
    pub events: EventStreamState,
    /// How many accounts it has.
    pub accounts: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

impl SourceView {
    /// Returns what failed last, at the source itself or while its security events were polled.
    pub fn last_fault(&self) -> Option<&str> {
        self.state.fault.as_deref().or(self.events.fault.as_deref())
    }
}

/// The reason for a rollback.
enum SourceRollback {
    Refused(SourceOutcome),
    Failed(FlowError),
}

impl From<StoreError> for SourceRollback {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict("source name") => name_taken(),
            error => Self::Failed(error.into()),
        }
    }
}

fn name_taken() -> SourceRollback {
    faulty("name", "is already the name of a source")
}

fn faulty(key: &str, message: &str) -> SourceRollback {
    SourceRollback::Refused(SourceOutcome::Faulty(vec![SourceFault::new(key, message)]))
}

/// Lists all sources in their order.
pub async fn list(ctx: &Ctx) -> Result<Vec<SourceView>, FlowError> {
    ctx.read(|r| {
        let counts: HashMap<SourceId, i64> = accounts::count_by_source(r.connection)?.into_iter().collect();
        let streams = event_streams::list(r.connection)?.into_iter();
        let mut streams: HashMap<SourceId, StoredEventStream> = streams.map(|stream| (stream.source, stream)).collect();
        let all = sources::list(r.connection)?.into_iter();
        Ok(all
            .map(|stored| {
                let id = stored.source.id;
                let stream = streams.remove(&id);
                let (token, events) = stream.map_or_else(Default::default, |stream| (stream.token, stream.state));
                let is_lost = |sealed: SealedSecret| r.ctx.factor_keys.open_source(id, &sealed).is_none();
                SourceView {
                    accounts: counts.get(&id).copied().unwrap_or(0),
                    has_secret: stored.secret.is_some(),
                    is_secret_lost: stored.secret.is_some_and(is_lost),
                    has_events_token: token.is_some(),
                    is_events_token_lost: token.is_some_and(is_lost),
                    events,
                    source: stored.source,
                    state: stored.state,
                    created_at: stored.created_at,
                    changed_at: stored.changed_at,
                }
            })
            .collect())
    })
    .await
}

/// Finds one source of [`list`].
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<SourceView>, FlowError> {
    let all = list(ctx).await?;
    Ok(all.into_iter().find(|view| view.source.name.as_str() == name))
}

/// Creates a source. It is enabled unless the change says otherwise, and comes last.
pub async fn create(
    ctx: &Ctx,
    initiator: &Initiator,
    name: &str,
    kind: SourceKind,
    change: SourceChange,
) -> Result<SourceOutcome, FlowError> {
    let mut faults = Vec::new();
    let name = SourceName::parse(name.trim())
        .map_err(|error| faults.push(SourceFault::new("name", error.to_string())))
        .ok();
    let title = change.title.clone().unwrap_or_default();
    check_title(&title, &mut faults);
    check_secrets(&change, &mut faults);
    let definition = SourceDefinition::parse(kind, &change.settings)
        .map_err(|found| faults.extend(found))
        .ok();
    let (Some(name), Some(definition), true) = (name, definition, faults.is_empty()) else {
        return Ok(SourceOutcome::Faulty(faults));
    };
    let source = IdentitySource {
        id: SourceId(ctx.new_id(ctx.now())),
        name,
        title: title.trim().to_owned(),
        enabled: change.enabled.unwrap_or(true),
        position: i32::MAX,
        in_file: false,
        definition,
    };
    let sealed = ctx.seal_change(source.id, &change)?;
    let written = ctx
        .write_at(ctx.now(), initiator, move |w| {
            if sources::list(w.connection)?.len() >= MAX_SOURCES {
                return Err(faulty("name", "is one too many: there are 64 sources already"));
            }
            w.insert_source(
                &source,
                sealed.secret.flatten().as_ref(),
                sealed.events_token.flatten().as_ref(),
            )?;
            w.place_source(source.id, change.place.unwrap_or(usize::MAX))?;
            Ok(())
        })
        .await;
    settle(ctx, written).await
}

/// Changes a source in one write.
pub async fn set(
    ctx: &Ctx,
    initiator: &Initiator,
    name: &str,
    change: SourceChange,
) -> Result<SourceOutcome, FlowError> {
    let Ok(name) = SourceName::parse(name) else {
        return Ok(SourceOutcome::Unknown);
    };
    let Some(id) = ctx.read_source_id(name).await? else {
        return Ok(SourceOutcome::Unknown);
    };
    let sealed = ctx.seal_change(id, &change)?;
    let written = ctx
        .write_at(ctx.now(), initiator, move |w| {
            let old = find_editable(w.connection, id)?;
            let new = change.apply_to(&old)?;
            if new != old {
                sources::update(w.connection, &new, w.now)?;
            }
            // Earlier failures say nothing about the new settings.
            sources::clear_fault(w.connection, id)?;
            if let Some(secret) = &sealed.secret {
                sources::set_secret(w.connection, id, secret.as_ref())?;
            }
            if let Some(token) = &sealed.events_token {
                event_streams::set_token(w.connection, id, token.as_ref())?;
            }
            w.record_source_change(&old, &new, sealed.is_any())?;
            match change.place {
                Some(place) => Ok(w.place_source(id, place)?),
                None => Ok(()),
            }
        })
        .await;
    settle(ctx, written).await
}

impl SourceChange {
    fn apply_to(&self, old: &IdentitySource) -> Result<IdentitySource, SourceRollback> {
        let mut faults = Vec::new();
        let title = self.title.as_deref().unwrap_or(&old.title).trim().to_owned();
        check_title(&title, &mut faults);
        check_secrets(self, &mut faults);
        match SourceDefinition::parse(old.kind(), &old.definition.texts_with(&self.settings)) {
            Ok(definition) if faults.is_empty() => Ok(IdentitySource {
                title,
                enabled: self.enabled.unwrap_or(old.enabled),
                definition,
                ..old.clone()
            }),
            Ok(_) => Err(SourceRollback::Refused(SourceOutcome::Faulty(faults))),
            Err(found) => {
                faults.extend(found);
                Err(SourceRollback::Refused(SourceOutcome::Faulty(faults)))
            }
        }
    }
}

fn find_editable(c: &mut Conn, id: SourceId) -> Result<IdentitySource, SourceRollback> {
    match sources::find(c, id)? {
        None => Err(SourceRollback::Refused(SourceOutcome::Unknown)),
        Some(stored) if stored.source.in_file => Err(SourceRollback::Refused(SourceOutcome::InFile)),
        Some(stored) => Ok(stored.source),
    }
}

fn check_title(title: &str, faults: &mut Vec<SourceFault>) {
    let title = title.trim();
    if title.is_empty() {
        faults.push(SourceFault::new("title", "is missing"));
    } else if title.chars().count() > MAX_TITLE || title.chars().any(crate::domain::text::is_invisible) {
        faults.push(SourceFault::new(
            "title",
            "must have at most 60 characters, and no control characters",
        ));
    }
}

fn check_secrets(change: &SourceChange, faults: &mut Vec<SourceFault>) {
    for (key, secret) in [("secret", &change.secret), ("events_token", &change.events_token)] {
        if secret.as_ref().is_some_and(|secret| secret.expose().len() > MAX_SECRET) {
            faults.push(SourceFault::new(key, "must have at most 4096 bytes"));
        }
    }
}

/// Makes a committed change effective for the next request.
async fn settle(ctx: &Ctx, written: Result<(), SourceRollback>) -> Result<SourceOutcome, FlowError> {
    match written {
        Ok(()) => {
            ctx.reload_sources().await?;
            Ok(SourceOutcome::Done)
        }
        Err(SourceRollback::Refused(refused)) => Ok(refused),
        Err(SourceRollback::Failed(error)) => Err(error),
    }
}

impl Write<'_> {
    /// Writes a new source with its sealed secrets, and its audit event.
    fn insert_source(
        &mut self,
        source: &IdentitySource,
        secret: Option<&SealedSecret>,
        events_token: Option<&SealedSecret>,
    ) -> Result<(), StoreError> {
        sources::insert(self.connection, source, self.now)?;
        if secret.is_some() {
            sources::set_secret(self.connection, source.id, secret)?;
        }
        if events_token.is_some() {
            event_streams::set_token(self.connection, source.id, events_token)?;
        }
        let entry = self.entry(Event::SourceCreated);
        self.record(&entry.with_detail(serde_json::json!({
            "source": source.name.as_str(), "kind": source.kind().as_str(), "title": source.title,
            "enabled": source.enabled, "settings": source.definition.texts(), "has_secret": secret.is_some(),
            "has_events_token": events_token.is_some(),
        })))
    }

    /// Records what a change did, without secrets; nothing if it did nothing.
    fn record_source_change(
        &mut self,
        old: &IdentitySource,
        new: &IdentitySource,
        secret_changed: bool,
    ) -> Result<(), StoreError> {
        let (before, after) = (old.definition.texts(), new.definition.texts());
        let mut changes = serde_json::Map::new();
        if old.title != new.title {
            changes.insert("title".into(), serde_json::json!([old.title, new.title]));
        }
        for (key, text) in &after {
            let earlier = before.get(key).cloned().unwrap_or_default();
            if earlier != *text {
                changes.insert(key.clone(), serde_json::json!([earlier, text]));
            }
        }
        if !changes.is_empty() || secret_changed {
            let entry = self.entry(Event::SourceChanged);
            self.record(&entry.with_detail(serde_json::json!({
                "source": new.name.as_str(), "changes": changes, "secret_changed": secret_changed,
            })))?;
        }
        if old.enabled != new.enabled {
            let event = if new.enabled {
                Event::SourceEnabled
            } else {
                Event::SourceDisabled
            };
            let entry = self.entry(event);
            self.record(&entry.with_detail(serde_json::json!({ "source": new.name.as_str() })))?;
        }
        Ok(())
    }

    /// Moves a source to a place, from 1, and numbers all of them. An order that changed is
    /// recorded, unless the source was just created at the end.
    fn place_source(&mut self, id: SourceId, place: usize) -> Result<(), StoreError> {
        let mut all: Vec<IdentitySource> = sources::list(self.connection)?
            .into_iter()
            .map(|stored| stored.source)
            .collect();
        let Some(at) = all.iter().position(|source| source.id == id) else {
            return Err(StoreError::NotFound("source"));
        };
        let moved = all.remove(at);
        let place = place.saturating_sub(1).min(all.len());
        let name = moved.name.clone();
        all.insert(place, moved);
        for (number, source) in (1_i32..).zip(&mut all) {
            if source.position != number {
                source.position = number;
                sources::update(self.connection, source, self.now)?;
            }
        }
        if place != at {
            let entry = self.entry(Event::SourceChanged);
            self.record(&entry.with_detail(serde_json::json!({
                "source": name.as_str(), "changes": { "place": [at + 1, place + 1] }, "secret_changed": false,
            })))?;
        }
        Ok(())
    }
}

impl Ctx {
    /// Returns the sources in force: from memory while changes arrive, otherwise from the database.
    pub async fn current_sources(&self) -> Result<Arc<Sources>, FlowError> {
        if !self.live.freshness.is_fresh() {
            Box::pin(self.reload_sources()).await?;
        }
        Ok(self.live.sources())
    }

    async fn reload_sources(&self) -> Result<(), FlowError> {
        let known = self.store.read(SourceSnapshot::read).await?;
        self.live.set_sources(known);
        Ok(())
    }

    /// Returns the title of an account's source, for messages. `None`: the account is local.
    pub fn source_title(&self, account: &Account) -> Option<String> {
        let id = account.source?;
        let known = self.live.sources();
        let title = known.by_id(id).map(|live| live.source.title.clone());
        Some(title.unwrap_or_else(|| DELETED_SOURCE.to_owned()))
    }

    /// Returns the name of a source for lists and exports: `local` without one, `deleted` if it no
    /// longer exists.
    pub(super) fn source_name(&self, source: Option<SourceId>) -> String {
        let Some(id) = source else {
            return LOCAL.to_owned();
        };
        let known = self.live.sources();
        known
            .by_id(id)
            .map_or_else(|| "deleted".to_owned(), |live| live.source.name.as_str().to_owned())
    }

    /// Returns whether an account's source was deleted.
    pub(super) fn has_lost_source(&self, account: &Account) -> bool {
        account.source.is_some_and(|id| self.live.sources().by_id(id).is_none())
    }

    /// Opens the secret of a source. `Ok(None)`: the source has none.
    pub fn open_source_secret(&self, source: &LiveSource) -> Result<Option<Secret>, SourceSecretLost> {
        source.open_secret(&self.factor_keys)
    }

    async fn read_source_id(&self, name: SourceName) -> Result<Option<SourceId>, FlowError> {
        self.read(move |r| Ok(sources::find_by_name(r.connection, &name)?.map(|stored| stored.source.id)))
            .await
    }

    /// Seals the secrets of a change.
    fn seal_change(&self, id: SourceId, change: &SourceChange) -> Result<SealedChange, FlowError> {
        Ok(SealedChange {
            secret: self.seal_given_secret(id, change.secret.as_ref())?,
            events_token: self.seal_given_secret(id, change.events_token.as_ref())?,
        })
    }

    /// Seals a secret that was given. `None`: none was given; `Some(None)`: an empty one, which
    /// removes the stored one.
    fn seal_given_secret(
        &self,
        id: SourceId,
        given: Option<&Secret>,
    ) -> Result<Option<Option<SealedSecret>>, FlowError> {
        let Some(given) = given else {
            return Ok(None);
        };
        if given.expose().is_empty() {
            return Ok(Some(None));
        }
        Ok(Some(Some(self.seal_source_secret(id, given)?)))
    }

    /// Seals the secret of a source with the newest key.
    fn seal_source_secret(&self, id: SourceId, secret: &Secret) -> Result<SealedSecret, FlowError> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        let sealed = self.factor_keys.seal_source(id, secret.expose().as_bytes(), nonce);
        sealed.ok_or_else(|| FlowError::Internal("a secret cannot be sealed".to_owned()))
    }
}
