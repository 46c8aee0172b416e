//! Unused recovery codes, as keyed digests; a used code is deleted.
use super::{
    Conn, StoreError, accounts as account_rows, instant::StoredInstant, per_backend::insert_rows,
    schema::recovery_codes,
};
use crate::domain::{account::AccountId, time::Timestamp};
use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl};

#[derive(Insertable)]
#[diesel(table_name = recovery_codes)]
struct RecoveryCodeRow {
    digest: String,
    account_id: String,
    made_at: StoredInstant,
}

/// Replaces an account's codes by those with these digests.
pub fn replace(c: &mut Conn, account: AccountId, digests: &[String], at: Timestamp) -> Result<(), StoreError> {
    let own = recovery_codes::table.filter(recovery_codes::account_id.eq(account.0.to_string()));
    diesel::delete(own).execute(c.db())?;
    let rows: Vec<RecoveryCodeRow> = digests
        .iter()
        .map(|digest| RecoveryCodeRow {
            digest: digest.clone(),
            account_id: account.0.to_string(),
            made_at: at.into(),
        })
        .collect();
    insert_rows!(c.db(), recovery_codes::table, rows)?;
    account_rows::count_factors(c, account)
}

/// Counts the account's unused codes with one of these digests.
pub fn count_unused(c: &mut Conn, account: AccountId, digests: &[String]) -> Result<i64, StoreError> {
    let meant = recovery_codes::table
        .filter(recovery_codes::account_id.eq(account.0.to_string()))
        .filter(recovery_codes::digest.eq_any(digests));
    Ok(meant.count().get_result(c.db())?)
}

/// Consumes an account's code with one of these digests (one for each key that may have made it).
/// Only one of several callers gets true.
pub fn redeem(c: &mut Conn, account: AccountId, digests: &[String]) -> Result<bool, StoreError> {
    let meant = recovery_codes::table
        .filter(recovery_codes::account_id.eq(account.0.to_string()))
        .filter(recovery_codes::digest.eq_any(digests));
    let redeemed = diesel::delete(meant).execute(c.db())? > 0;
    if redeemed {
        account_rows::count_factors(c, account)?;
    }
    Ok(redeemed)
}

/// Deletes an account's codes; returns their number.
pub fn delete_all(c: &mut Conn, account: AccountId) -> Result<usize, StoreError> {
    let own = recovery_codes::table.filter(recovery_codes::account_id.eq(account.0.to_string()));
    let deleted = diesel::delete(own).execute(c.db())?;
    account_rows::count_factors(c, account)?;
    Ok(deleted)
}
