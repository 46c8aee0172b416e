//! Sources of identities. `second_factor::FactorKeys` seals and opens their secrets;
//! `flows::sources` decides about changes.
use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce, latest_seq},
    instant::StoredInstant,
    per_backend::{LockedRows, hold_source},
    schema::sources,
};
use crate::{
    domain::{
        source::{IdentitySource, SettingTexts, SourceDefinition, SourceId, SourceKind, SourceName, SourceState},
        time::Timestamp,
    },
    second_factor::SealedSecret,
};
use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper,
    result::{DatabaseErrorKind, Error as DieselError},
};
use uuid::Uuid;

/// A source as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSource {
    /// The source.
    pub source: IdentitySource,
    /// Its sealed secret; `None`: it has none.
    pub secret: Option<SealedSecret>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// What was last learned about it.
    pub state: SourceState,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sources, treat_none_as_default_value = false)]
struct SourceRow {
    id: String,
    name: String,
    kind: String,
    title: String,
    settings: String,
    secret: Option<String>,
    key_id: Option<String>,
    position: i32,
    enabled: bool,
    in_file: bool,
    created_at: StoredInstant,
    changed_at: StoredInstant,
    synced_at: Option<StoredInstant>,
    synced_accounts: i64,
    fault_at: Option<StoredInstant>,
    fault: Option<String>,
}

#[derive(AsChangeset)]
#[diesel(table_name = sources)]
struct SourceChanges {
    title: String,
    settings: String,
    position: i32,
    enabled: bool,
    in_file: bool,
    changed_at: StoredInstant,
}

impl SourceRow {
    fn read(self) -> Result<StoredSource, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("source {}: its {what}", self.name));
        let kind = SourceKind::parse(&self.kind).ok_or_else(|| corrupt("kind"))?;
        let mut texts: SettingTexts = serde_json::from_str(&self.settings).map_err(|_| corrupt("settings"))?;
        if kind == SourceKind::Oidc {
            // An earlier version stored it for providers too, where it did nothing.
            texts.remove("on_outage");
        }
        let definition = SourceDefinition::parse(kind, &texts).map_err(|_| corrupt("settings"))?;
        let source = IdentitySource {
            id: Uuid::parse_str(&self.id).map(SourceId).map_err(|_| corrupt("id"))?,
            name: SourceName::parse(&self.name).map_err(|_| corrupt("name"))?,
            title: self.title,
            enabled: self.enabled,
            position: self.position,
            in_file: self.in_file,
            definition,
        };
        Ok(StoredSource {
            source,
            secret: self
                .secret
                .zip(self.key_id)
                .map(|(text, key_id)| SealedSecret { text, key_id }),
            created_at: self.created_at.into(),
            changed_at: self.changed_at.into(),
            state: SourceState {
                synced_at: self.synced_at.map(Timestamp::from),
                synced_accounts: self.synced_accounts,
                fault_at: self.fault_at.map(Timestamp::from),
                fault: self.fault,
            },
        })
    }
}

fn settings_json(definition: &SourceDefinition) -> String {
    serde_json::json!(definition.texts()).to_string()
}

/// Lists all sources by position and name.
pub fn list(c: &mut Conn) -> Result<Vec<StoredSource>, StoreError> {
    let rows: Vec<SourceRow> = sources::table
        .order((sources::position, sources::name))
        .select(SourceRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(SourceRow::read).collect()
}

/// Lists all sources with a number that grows with every change of the database: of two results
/// the one with the greater number is newer.
pub fn load_snapshot(c: &mut Conn) -> Result<(i64, Vec<StoredSource>), StoreError> {
    // In this order: a change in between is announced and read again.
    Ok((latest_seq(c)?, list(c)?))
}

/// Finds a source. In a write its row is locked until the end.
pub fn find(c: &mut Conn, id: SourceId) -> Result<Option<StoredSource>, StoreError> {
    let row = sources::table.find(id.0.to_string()).select(SourceRow::as_select());
    let row: Option<SourceRow> = if c.writing {
        LockedRows(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(SourceRow::read).transpose()
}

/// Reads a source that cannot change before the write ends. Other writes may hold it at the same
/// time.
pub fn hold(c: &mut Conn, id: SourceId) -> Result<Option<IdentitySource>, StoreError> {
    let id = id.0.to_string();
    hold_source(c.db(), &id)?;
    let row = sources::table.find(id).select(SourceRow::as_select());
    let row: Option<SourceRow> = row.get_result(c.db()).optional()?;
    Ok(row.map(SourceRow::read).transpose()?.map(|stored| stored.source))
}

/// Finds a source by its name, like [`find`].
pub fn find_by_name(c: &mut Conn, name: &SourceName) -> Result<Option<StoredSource>, StoreError> {
    let row = sources::table
        .filter(sources::name.eq(name.as_str()))
        .select(SourceRow::as_select());
    let row: Option<SourceRow> = if c.writing {
        LockedRows(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(SourceRow::read).transpose()
}

/// Inserts a source without a secret. Conflict: its name is taken.
pub fn insert(c: &mut Conn, source: &IdentitySource, at: Timestamp) -> Result<(), StoreError> {
    let row = SourceRow {
        id: source.id.0.to_string(),
        name: source.name.as_str().to_owned(),
        kind: source.kind().as_str().to_owned(),
        title: source.title.clone(),
        settings: settings_json(&source.definition),
        secret: None,
        key_id: None,
        position: source.position,
        enabled: source.enabled,
        in_file: source.in_file,
        created_at: at.into(),
        changed_at: at.into(),
        synced_at: None,
        synced_accounts: 0,
        fault_at: None,
        fault: None,
    };
    let inserted = diesel::insert_into(sources::table).values(row).execute(c.db());
    inserted.map_err(|error| match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StoreError::Conflict("source name"),
        other => other.into(),
    })?;
    announce(c, ChangeKind::Source, &source.id.0.to_string())
}

/// Updates everything except ID, name, kind, creation, secret and state.
pub fn update(c: &mut Conn, source: &IdentitySource, at: Timestamp) -> Result<(), StoreError> {
    let id = source.id.0.to_string();
    let changes = SourceChanges {
        title: source.title.clone(),
        settings: settings_json(&source.definition),
        position: source.position,
        enabled: source.enabled,
        in_file: source.in_file,
        changed_at: at.into(),
    };
    let of_kind = sources::table
        .find(&id)
        .filter(sources::kind.eq(source.kind().as_str()));
    if diesel::update(of_kind).set(changes).execute(c.db())? == 0 {
        return Err(StoreError::NotFound("source"));
    }
    announce(c, ChangeKind::Source, &id)
}

/// Replaces the secret of a source; `None` removes it.
pub fn set_secret(c: &mut Conn, id: SourceId, secret: Option<&SealedSecret>) -> Result<(), StoreError> {
    let key = id.0.to_string();
    let updated = diesel::update(sources::table.find(&key))
        .set((
            sources::secret.eq(secret.map(|secret| secret.text.as_str())),
            sources::key_id.eq(secret.map(|secret| secret.key_id.as_str())),
        ))
        .execute(c.db())?;
    if updated == 0 {
        return Err(StoreError::NotFound("source"));
    }
    announce(c, ChangeKind::Source, &key)
}

/// Replaces a sealed secret by the same one under another key. Returns false if the secret was
/// changed meanwhile. This is not announced, because the secret stays the same.
pub fn reseal(c: &mut Conn, id: SourceId, old: &SealedSecret, new: &SealedSecret) -> Result<bool, StoreError> {
    let unchanged = sources::table
        .find(id.0.to_string())
        .filter(sources::secret.eq(&old.text));
    let resealed = diesel::update(unchanged)
        .set((sources::secret.eq(&new.text), sources::key_id.eq(&new.key_id)))
        .execute(c.db())?;
    Ok(resealed == 1)
}

/// Deletes a source. Returns false if there was none. Its accounts keep its ID.
pub fn delete(c: &mut Conn, id: SourceId) -> Result<bool, StoreError> {
    let id = id.0.to_string();
    let deleted = diesel::delete(sources::table.find(&id)).execute(c.db())? == 1;
    if deleted {
        announce(c, ChangeKind::Source, &id)?;
    }
    Ok(deleted)
}

/// Records that all accounts of a source with live sessions were compared with it, which ends a
/// recorded fault. This is not announced.
pub fn record_sync(c: &mut Conn, id: SourceId, at: Timestamp, accounts: i64) -> Result<(), StoreError> {
    diesel::update(sources::table.find(id.0.to_string()))
        .set((
            sources::synced_at.eq(Some(StoredInstant::from(at))),
            sources::synced_accounts.eq(accounts),
            sources::fault_at.eq(None::<StoredInstant>),
            sources::fault.eq(None::<String>),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Records that a source failed. `fault` must contain no secret. The first instant of an unbroken
/// row of faults stays. This is not announced.
pub fn record_fault(c: &mut Conn, id: SourceId, at: Timestamp, fault: &str) -> Result<(), StoreError> {
    let key = id.0.to_string();
    diesel::update(sources::table.find(&key).filter(sources::fault_at.is_null()))
        .set(sources::fault_at.eq(Some(StoredInstant::from(at))))
        .execute(c.db())?;
    diesel::update(sources::table.find(&key))
        .set(sources::fault.eq(Some(fault)))
        .execute(c.db())?;
    Ok(())
}

/// Records that a source works again. This is not announced.
pub fn clear_fault(c: &mut Conn, id: SourceId) -> Result<(), StoreError> {
    let failing = sources::table
        .find(id.0.to_string())
        .filter(sources::fault_at.is_not_null());
    diesel::update(failing)
        .set((
            sources::fault_at.eq(None::<StoredInstant>),
            sources::fault.eq(None::<String>),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Returns how many secrets each key sealed.
pub fn count_by_key(c: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    let rows: Vec<(Option<String>, i64)> = sources::table
        .filter(sources::key_id.is_not_null())
        .group_by(sources::key_id)
        .select((sources::key_id, diesel::dsl::count_star()))
        .order(sources::key_id)
        .load(c.db())?;
    Ok(rows
        .into_iter()
        .map(|(key, number)| (key.unwrap_or_default(), number))
        .collect())
}
