//! Sign-ins that wait for a second factor. Tokens are stored as digests; settling a sign-in deletes
//! its row.
use super::{
    Conn, StoreError, accounts as account_rows, instant::StoredInstant, per_backend::purge_oldest,
    schema::pending_sign_ins, text,
};
use crate::domain::{account::AccountId, factor::Proofs, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

/// A sign-in whose password was correct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignIn {
    /// Digest of its token.
    pub digest: String,
    /// The account that signs in.
    pub account: AccountId,
    /// The proofs so far.
    pub proofs: Proofs,
    /// When the checked password was set.
    pub password_changed_at: Timestamp,
    /// The browser, cut; "" without the header.
    pub user_agent: String,
    /// The network, in the format of `network::known_network`.
    pub network: String,
    /// The host for which the session will be valid, as tokens store it.
    pub host: String,
    /// The name of the application on whose page the user signs in.
    pub application: Option<String>,
    /// The validated return address.
    pub return_to: String,
    /// What is kept of the session at an identity provider, if the identity was proved there
    /// (`flows::provider_sessions`).
    pub provider: Option<String>,
    /// Attempts at the second step so far.
    pub attempts: i32,
    /// When the password was checked.
    pub made_at: Timestamp,
    /// Last instant at which it can be settled.
    pub expires_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = pending_sign_ins, treat_none_as_default_value = false)]
struct PendingSignInRow {
    digest: String,
    account_id: String,
    proofs: String,
    password_changed_at: StoredInstant,
    user_agent: String,
    network: String,
    host: String,
    application: Option<String>,
    return_to: String,
    provider: Option<String>,
    attempts: i32,
    made_at: StoredInstant,
    expires_at: StoredInstant,
}

impl PendingSignInRow {
    fn read(self) -> Result<PendingSignIn, StoreError> {
        Ok(PendingSignIn {
            account: account_rows::parse_id(&self.account_id)?,
            proofs: Proofs::parse(&self.proofs)
                .ok_or_else(|| StoreError::Corrupt("a pending sign-in's proofs".into()))?,
            digest: self.digest,
            password_changed_at: self.password_changed_at.into(),
            user_agent: self.user_agent,
            network: self.network,
            host: self.host,
            application: self.application,
            return_to: self.return_to,
            provider: self.provider,
            attempts: self.attempts,
            made_at: self.made_at.into(),
            expires_at: self.expires_at.into(),
        })
    }
}

/// Inserts a pending sign-in.
pub fn insert(c: &mut Conn, pending: &PendingSignIn) -> Result<(), StoreError> {
    let row = PendingSignInRow {
        digest: pending.digest.clone(),
        account_id: pending.account.0.to_string(),
        proofs: pending.proofs.to_string(),
        password_changed_at: pending.password_changed_at.into(),
        user_agent: text::clean(&pending.user_agent).into_owned(),
        network: pending.network.clone(),
        host: text::clean(&pending.host).into_owned(),
        application: pending
            .application
            .as_deref()
            .map(|name| text::clean(name).into_owned()),
        return_to: text::clean(&pending.return_to).into_owned(),
        provider: pending.provider.clone(),
        attempts: pending.attempts,
        made_at: pending.made_at.into(),
        expires_at: pending.expires_at.into(),
    };
    diesel::insert_into(pending_sign_ins::table)
        .values(row)
        .execute(c.db())?;
    Ok(())
}

/// Finds a pending sign-in, expired or not.
pub fn find(c: &mut Conn, digest: &str) -> Result<Option<PendingSignIn>, StoreError> {
    let row: Option<PendingSignInRow> = pending_sign_ins::table
        .find(text::clean(digest).into_owned())
        .select(PendingSignInRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(PendingSignInRow::read).transpose()
}

/// Counts an attempt at one that can still be settled and has fewer than `most`. Returns false if
/// it cannot, or has as many.
pub fn count_attempt(c: &mut Conn, digest: &str, most: i32, now: Timestamp) -> Result<bool, StoreError> {
    let open = pending_sign_ins::table
        .find(text::clean(digest).into_owned())
        .filter(pending_sign_ins::expires_at.ge(StoredInstant::from(now)))
        .filter(pending_sign_ins::attempts.lt(most));
    let counted = diesel::update(open)
        .set(pending_sign_ins::attempts.eq(pending_sign_ins::attempts + 1))
        .execute(c.db())?;
    Ok(counted == 1)
}

/// Uncounts an attempt that turned out not to be one.
pub fn return_attempt(c: &mut Conn, digest: &str) -> Result<(), StoreError> {
    let open = pending_sign_ins::table
        .find(text::clean(digest).into_owned())
        .filter(pending_sign_ins::attempts.gt(0));
    diesel::update(open)
        .set(pending_sign_ins::attempts.eq(pending_sign_ins::attempts - 1))
        .execute(c.db())?;
    Ok(())
}

/// Consumes one, only while it can be settled; only one of several callers gets true.
pub fn redeem(c: &mut Conn, digest: &str, now: Timestamp) -> Result<bool, StoreError> {
    let open = pending_sign_ins::table
        .find(text::clean(digest).into_owned())
        .filter(pending_sign_ins::expires_at.ge(StoredInstant::from(now)));
    Ok(diesel::delete(open).execute(c.db())? == 1)
}

/// Lists what those keep of the session at an identity provider, by their digests.
pub fn list_at_providers(c: &mut Conn) -> Result<Vec<(String, String)>, StoreError> {
    let kept: Vec<(String, Option<String>)> = pending_sign_ins::table
        .filter(pending_sign_ins::provider.is_not_null())
        .select((pending_sign_ins::digest, pending_sign_ins::provider))
        .load(c.db())?;
    Ok(kept
        .into_iter()
        .filter_map(|(digest, provider)| Some((digest, provider?)))
        .collect())
}

/// Deletes one, expired or not.
pub fn delete(c: &mut Conn, digest: &str) -> Result<(), StoreError> {
    diesel::delete(pending_sign_ins::table.find(text::clean(digest).into_owned())).execute(c.db())?;
    Ok(())
}

/// Deletes those of an account.
pub fn delete_of_account(c: &mut Conn, account: AccountId) -> Result<(), StoreError> {
    let own = pending_sign_ins::table.filter(pending_sign_ins::account_id.eq(account.0.to_string()));
    diesel::delete(own).execute(c.db())?;
    Ok(())
}

/// Deletes all of them.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(pending_sign_ins::table).execute(c.db())?;
    Ok(())
}

/// Deletes those that expired before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, pending_sign_ins.expires_at before before, limit))
}
