//! Passwords of accounts and the history of earlier ones.

use super::update;
use crate::{
    domain::{
        account::{Account, AccountId},
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        changes::{ChangeKind, announce},
        conn::MultiBackend,
        instant::StoredInstant,
        per_backend::PortableStatement,
        schema::{accounts, password_history},
    },
};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

/// Writes the owner's own new password and adds the previous one to the history, of which the
/// newest `keep` stay.
pub fn choose_password(
    c: &mut Conn,
    account: &mut Account,
    hash: String,
    at: Timestamp,
    keep: i64,
) -> Result<(), StoreError> {
    push_password(c, account.id, &account.password_hash, at, keep)?;
    account.password_hash = hash;
    account.password_changed_at = at;
    account.password_set_by_other = false;
    account.must_change_password = false;
    account.password_good_until = None;
    update(c, account)
}

/// Stores an earlier password's hash and deletes all but the newest `keep`.
pub fn push_password(c: &mut Conn, id: AccountId, hash: &str, at: Timestamp, keep: i64) -> Result<(), StoreError> {
    let id = id.0.to_string();
    let row = (
        password_history::account_id.eq(&id),
        password_history::changed_at.eq(StoredInstant::from(at)),
        password_history::password_hash.eq(hash),
    );
    PortableStatement(
        diesel::insert_into(password_history::table)
            .values(row)
            .on_conflict_do_nothing(),
    )
    .execute(c.db())?;
    let kept: Vec<StoredInstant> = password_history::table
        .filter(password_history::account_id.eq(&id))
        .order(password_history::changed_at.desc())
        .limit(keep.max(0))
        .select(password_history::changed_at)
        .load(c.db())?;
    let mut old = diesel::delete(password_history::table)
        .filter(password_history::account_id.eq(&id))
        .into_boxed::<MultiBackend>();
    if let Some(oldest) = kept.last() {
        old = old.filter(password_history::changed_at.lt(*oldest));
    }
    old.execute(c.db())?;
    Ok(())
}

/// Lists the newest `n` earlier hashes, newest first.
pub fn list_passwords(c: &mut Conn, id: AccountId, n: i64) -> Result<Vec<String>, StoreError> {
    Ok(password_history::table
        .filter(password_history::account_id.eq(id.0.to_string()))
        .order(password_history::changed_at.desc())
        .limit(n.max(0))
        .select(password_history::password_hash)
        .load(c.db())?)
}

/// Replaces the hash unless it was changed in the meantime (a new cost at sign-in).
pub fn set_password_hash_if(c: &mut Conn, id: AccountId, old: &str, new: &str) -> Result<bool, StoreError> {
    let id = id.0.to_string();
    let unchanged = accounts::table.find(&id).filter(accounts::password_hash.eq(old));
    let done = diesel::update(unchanged)
        .set(accounts::password_hash.eq(new))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Account, &id)?;
    }
    Ok(done)
}
