//! Enrolled authenticator apps. Secrets are stored sealed; `second_factor` verifies codes, and
//! `flows::factors` decides who may enrol one.
use super::{
    Conn, StoreError, accounts as account_rows, instant::StoredInstant, per_backend::purge_oldest,
    schema::authenticator_apps,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

/// An authenticator app of an account, confirmed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatorApp {
    /// Its identity.
    pub id: Uuid,
    /// Its account.
    pub account: AccountId,
    /// The sealed secret, as text.
    pub sealed_secret: String,
    /// ID of the key that sealed it.
    pub key_id: String,
    /// The newest step whose code was accepted (RFC 6238: Unix time / 30).
    pub last_step: i64,
    /// When the secret was made.
    pub made_at: Timestamp,
    /// When a code confirmed it; `None`: it is not active yet.
    pub confirmed_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = authenticator_apps, treat_none_as_default_value = false)]
struct AuthenticatorAppRow {
    id: String,
    account_id: String,
    sealed_secret: String,
    key_id: String,
    last_step: i64,
    made_at: StoredInstant,
    confirmed_at: Option<StoredInstant>,
}

impl AuthenticatorAppRow {
    fn read(self) -> Result<AuthenticatorApp, StoreError> {
        Ok(AuthenticatorApp {
            id: Uuid::parse_str(&self.id).map_err(|_| StoreError::Corrupt("an authenticator app's id".into()))?,
            account: account_rows::parse_id(&self.account_id)?,
            sealed_secret: self.sealed_secret,
            key_id: self.key_id,
            last_step: self.last_step,
            made_at: self.made_at.into(),
            confirmed_at: self.confirmed_at.map(Timestamp::from),
        })
    }
}

/// Inserts an unconfirmed app, in place of an earlier unconfirmed one.
pub fn insert_unconfirmed(c: &mut Conn, app: &AuthenticatorApp) -> Result<(), StoreError> {
    let waiting = authenticator_apps::table
        .filter(authenticator_apps::account_id.eq(app.account.0.to_string()))
        .filter(authenticator_apps::confirmed_at.is_null());
    diesel::delete(waiting).execute(c.db())?;
    let row = AuthenticatorAppRow {
        id: app.id.to_string(),
        account_id: app.account.0.to_string(),
        sealed_secret: app.sealed_secret.clone(),
        key_id: app.key_id.clone(),
        last_step: app.last_step,
        made_at: app.made_at.into(),
        confirmed_at: None,
    };
    diesel::insert_into(authenticator_apps::table)
        .values(row)
        .execute(c.db())?;
    Ok(())
}

/// Finds the active app.
pub fn find(c: &mut Conn, account: AccountId) -> Result<Option<AuthenticatorApp>, StoreError> {
    let row: Option<AuthenticatorAppRow> = authenticator_apps::table
        .filter(authenticator_apps::account_id.eq(account.0.to_string()))
        .filter(authenticator_apps::confirmed_at.is_not_null())
        .select(AuthenticatorAppRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(AuthenticatorAppRow::read).transpose()
}

/// Finds the unconfirmed app.
pub fn find_unconfirmed(c: &mut Conn, account: AccountId) -> Result<Option<AuthenticatorApp>, StoreError> {
    let row: Option<AuthenticatorAppRow> = authenticator_apps::table
        .filter(authenticator_apps::account_id.eq(account.0.to_string()))
        .filter(authenticator_apps::confirmed_at.is_null())
        .select(AuthenticatorAppRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(AuthenticatorAppRow::read).transpose()
}

/// Confirms an app at a step, in place of the account's earlier one. Returns false if it was
/// confirmed or deleted in the meantime.
pub fn confirm(c: &mut Conn, app: &AuthenticatorApp, step: i64, at: Timestamp) -> Result<bool, StoreError> {
    let earlier = authenticator_apps::table
        .filter(authenticator_apps::account_id.eq(app.account.0.to_string()))
        .filter(authenticator_apps::confirmed_at.is_not_null());
    if find_unconfirmed(c, app.account)?.is_none_or(|waiting| waiting.id != app.id) {
        return Ok(false);
    }
    diesel::delete(earlier).execute(c.db())?;
    let waiting = authenticator_apps::table
        .find(app.id.to_string())
        .filter(authenticator_apps::confirmed_at.is_null());
    let confirmed = diesel::update(waiting)
        .set((
            authenticator_apps::confirmed_at.eq(StoredInstant::from(at)),
            authenticator_apps::last_step.eq(step),
        ))
        .execute(c.db())?;
    if confirmed == 1 {
        account_rows::count_factors(c, app.account)?;
    }
    Ok(confirmed == 1)
}

/// Records the step of an accepted code. Returns false if a code of this step or of a later one was
/// accepted before (RFC 6238, 5.2).
pub fn accept_step(c: &mut Conn, id: Uuid, step: i64) -> Result<bool, StoreError> {
    let older = authenticator_apps::table
        .find(id.to_string())
        .filter(authenticator_apps::confirmed_at.is_not_null())
        .filter(authenticator_apps::last_step.lt(step));
    let accepted = diesel::update(older)
        .set(authenticator_apps::last_step.eq(step))
        .execute(c.db())?;
    Ok(accepted == 1)
}

/// Replaces the sealed secret by the same one under another key.
pub fn reseal(c: &mut Conn, id: Uuid, sealed_secret: &str, key_id: &str) -> Result<(), StoreError> {
    diesel::update(authenticator_apps::table.find(id.to_string()))
        .set((
            authenticator_apps::sealed_secret.eq(sealed_secret),
            authenticator_apps::key_id.eq(key_id),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Deletes an account's app and its unconfirmed one. Returns false if there was no active app.
pub fn delete(c: &mut Conn, account: AccountId) -> Result<bool, StoreError> {
    let had = find(c, account)?.is_some();
    let apps = authenticator_apps::table.filter(authenticator_apps::account_id.eq(account.0.to_string()));
    diesel::delete(apps).execute(c.db())?;
    account_rows::count_factors(c, account)?;
    Ok(had)
}

/// Returns how many secrets each key sealed.
pub fn count_by_key(c: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(authenticator_apps::table
        .group_by(authenticator_apps::key_id)
        .select((authenticator_apps::key_id, diesel::dsl::count_star()))
        .order(authenticator_apps::key_id)
        .load(c.db())?)
}

/// Deletes unconfirmed apps made before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(
        c,
        authenticator_apps.made_at before before,
        limit,
        only authenticator_apps::confirmed_at.is_null()
    ))
}
