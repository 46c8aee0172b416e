//! Keys to which sessions are bound (docs/device-binding.md). A session is read together with its
//! keys; only a proof reads the public key.
use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce},
    instant::StoredInstant,
    per_backend::PortableStatement,
    schema::device_keys,
    sessions::parse_id as parse_session_id,
    text,
};
use crate::domain::{
    session::{DeviceKey, DeviceKeyId, SessionId},
    time::Timestamp,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

/// A key with what its proofs are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredKey {
    /// The key.
    pub key: DeviceKey,
    /// The session that is bound to it.
    pub session: SessionId,
    /// The public key, as JWK.
    pub public_key: String,
    /// The number of proofs so far.
    pub proofs: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = device_keys)]
pub(super) struct DeviceKeyRow {
    id: String,
    pub(super) session_id: String,
    host: String,
    public_key: String,
    thumbprint: String,
    registered_at: StoredInstant,
    proved_at: StoredInstant,
    proofs: i64,
}

impl DeviceKeyRow {
    fn from_registered(registered: &RegisteredKey) -> Self {
        Self {
            id: registered.key.id.0.to_string(),
            session_id: registered.session.0.to_string(),
            host: text::clean(&registered.key.host).into_owned(),
            public_key: text::clean(&registered.public_key).into_owned(),
            thumbprint: registered.key.thumbprint.clone(),
            registered_at: registered.key.registered_at.into(),
            proved_at: registered.key.proved_at.into(),
            proofs: registered.proofs,
        }
    }

    pub(super) fn read_key(self) -> Result<DeviceKey, StoreError> {
        let id = Uuid::parse_str(&self.id).map_err(|_| StoreError::Corrupt("a device key's id".into()))?;
        Ok(DeviceKey {
            id: DeviceKeyId(id),
            host: self.host,
            thumbprint: self.thumbprint,
            registered_at: self.registered_at.into(),
            proved_at: self.proved_at.into(),
        })
    }

    fn read(self) -> Result<RegisteredKey, StoreError> {
        Ok(RegisteredKey {
            session: parse_session_id(&self.session_id)?,
            public_key: self.public_key.clone(),
            proofs: self.proofs,
            key: self.read_key()?,
        })
    }
}

/// Binds a session to a key. Returns false if the session is bound on that host already.
pub fn insert(c: &mut Conn, registered: &RegisteredKey) -> Result<bool, StoreError> {
    let insert = diesel::insert_into(device_keys::table)
        .values(DeviceKeyRow::from_registered(registered))
        .on_conflict_do_nothing();
    if PortableStatement(insert).execute(c.db())? == 0 {
        return Ok(false);
    }
    announce(c, ChangeKind::Session, &registered.session.0.to_string())?;
    Ok(true)
}

/// Finds a key.
pub fn find(c: &mut Conn, id: DeviceKeyId) -> Result<Option<RegisteredKey>, StoreError> {
    let row: Option<DeviceKeyRow> = device_keys::table
        .find(id.0.to_string())
        .select(DeviceKeyRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(DeviceKeyRow::read).transpose()
}

/// Records a proof that answers a challenge made after `proofs` proofs. Returns false if another
/// proof was recorded since: of several answers at the same time, in any instance, one gets true.
/// No decision depends on the instant, so it is not announced.
pub fn note_proof(c: &mut Conn, id: DeviceKeyId, proofs: i64, at: Timestamp) -> Result<bool, StoreError> {
    let unanswered = device_keys::table
        .find(id.0.to_string())
        .filter(device_keys::proofs.eq(proofs));
    let noted = diesel::update(unanswered)
        .set((
            device_keys::proofs.eq(proofs + 1),
            device_keys::proved_at.eq(StoredInstant::from(at)),
        ))
        .execute(c.db())?;
    Ok(noted == 1)
}
