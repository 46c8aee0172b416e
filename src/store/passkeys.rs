//! Enrolled passkeys. A credential is stored as JSON; `second_factor` verifies answers.
use super::{Conn, StoreError, accounts as account_rows, instant::StoredInstant, schema::passkeys, text};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    result::{DatabaseErrorKind, Error as DieselError},
};
use uuid::Uuid;

/// A passkey of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its identity, for people and pages.
    pub id: Uuid,
    /// Its account.
    pub account: AccountId,
    /// The name that its owner gave it.
    pub name: String,
    /// The credential's ID, base64url; unique.
    pub credential_id: String,
    /// Public key, counter and backup flags, as JSON.
    pub credential: String,
    /// The ID of the relying party for which it was made.
    pub domain: String,
    /// When it was enrolled.
    pub added_at: Timestamp,
    /// Latest accepted answer; `None`: none yet.
    pub last_used_at: Option<Timestamp>,
    /// Whether its authenticator copies it to other devices.
    pub synced: bool,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = passkeys, treat_none_as_default_value = false)]
struct PasskeyRow {
    id: String,
    account_id: String,
    name: String,
    credential_id: String,
    credential: String,
    domain: String,
    added_at: StoredInstant,
    last_used_at: Option<StoredInstant>,
    synced: bool,
}

impl PasskeyRow {
    fn read(self) -> Result<Passkey, StoreError> {
        Ok(Passkey {
            id: Uuid::parse_str(&self.id).map_err(|_| StoreError::Corrupt("a passkey's id".into()))?,
            account: account_rows::parse_id(&self.account_id)?,
            name: self.name,
            credential_id: self.credential_id,
            credential: self.credential,
            domain: self.domain,
            added_at: self.added_at.into(),
            last_used_at: self.last_used_at.map(Timestamp::from),
            synced: self.synced,
        })
    }
}

/// Inserts a passkey. [`StoreError::Conflict`]: an account has this credential already.
pub fn insert(c: &mut Conn, passkey: &Passkey) -> Result<(), StoreError> {
    let row = PasskeyRow {
        id: passkey.id.to_string(),
        account_id: passkey.account.0.to_string(),
        name: text::clean(&passkey.name).into_owned(),
        credential_id: passkey.credential_id.clone(),
        credential: passkey.credential.clone(),
        domain: passkey.domain.clone(),
        added_at: passkey.added_at.into(),
        last_used_at: passkey.last_used_at.map(StoredInstant::from),
        synced: passkey.synced,
    };
    diesel::insert_into(passkeys::table)
        .values(row)
        .execute(c.db())
        .map_err(|error| match error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StoreError::Conflict("passkey"),
            other => other.into(),
        })?;
    account_rows::count_factors(c, passkey.account)
}

/// Lists an account's passkeys, the oldest first.
pub fn of_account(c: &mut Conn, account: AccountId) -> Result<Vec<Passkey>, StoreError> {
    let rows: Vec<PasskeyRow> = passkeys::table
        .filter(passkeys::account_id.eq(account.0.to_string()))
        .order((passkeys::added_at, passkeys::id))
        .select(PasskeyRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(PasskeyRow::read).collect()
}

/// Finds the passkey of a credential.
pub fn find_by_credential(c: &mut Conn, credential_id: &str) -> Result<Option<Passkey>, StoreError> {
    let row: Option<PasskeyRow> = passkeys::table
        .filter(passkeys::credential_id.eq(text::clean(credential_id).into_owned()))
        .select(PasskeyRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(PasskeyRow::read).transpose()
}

/// Stores the changes of an accepted answer, if the credential is still the one that verified it.
/// Returns false if another answer, or a removal, came first.
pub fn note_use(
    c: &mut Conn,
    verified: &Passkey,
    credential: &str,
    synced: bool,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let same = passkeys::table
        .find(verified.id.to_string())
        .filter(passkeys::credential.eq(&verified.credential));
    let noted = diesel::update(same)
        .set((
            passkeys::credential.eq(credential),
            passkeys::synced.eq(synced),
            passkeys::last_used_at.eq(StoredInstant::from(at)),
        ))
        .execute(c.db())?;
    Ok(noted == 1)
}

/// Renames an account's passkey. Returns false if the account has no such passkey.
pub fn rename(c: &mut Conn, account: AccountId, id: Uuid, name: &str) -> Result<bool, StoreError> {
    let own = passkeys::table
        .find(id.to_string())
        .filter(passkeys::account_id.eq(account.0.to_string()));
    let renamed = diesel::update(own)
        .set(passkeys::name.eq(text::clean(name).into_owned()))
        .execute(c.db())?;
    Ok(renamed == 1)
}

/// Deletes an account's passkey. Returns false if the account has no such passkey.
pub fn delete(c: &mut Conn, account: AccountId, id: Uuid) -> Result<bool, StoreError> {
    let own = passkeys::table
        .find(id.to_string())
        .filter(passkeys::account_id.eq(account.0.to_string()));
    let deleted = diesel::delete(own).execute(c.db())? == 1;
    if deleted {
        account_rows::count_factors(c, account)?;
    }
    Ok(deleted)
}

/// Deletes all passkeys of an account; returns their number.
pub fn delete_all(c: &mut Conn, account: AccountId) -> Result<usize, StoreError> {
    let own = passkeys::table.filter(passkeys::account_id.eq(account.0.to_string()));
    let deleted = diesel::delete(own).execute(c.db())?;
    account_rows::count_factors(c, account)?;
    Ok(deleted)
}

/// Returns how many passkeys were made for each domain.
pub fn count_by_domain(c: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(passkeys::table
        .group_by(passkeys::domain)
        .select((passkeys::domain, diesel::dsl::count_star()))
        .order(passkeys::domain)
        .load(c.db())?)
}
