//! All enrolled second factors, without their secrets.
use super::{
    Conn, StoreError, accounts as account_rows,
    schema::{accounts, authenticator_apps, passkeys, recovery_codes},
};
use crate::domain::factor::{FactorInventory, FactorKind};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};
use std::collections::HashMap;

/// Reads the second factors of every account that has any.
pub fn read(c: &mut Conn) -> Result<FactorInventory, StoreError> {
    let has_any = accounts::authenticator_app
        .eq(true)
        .or(accounts::passkeys.gt(0))
        .or(accounts::recovery_codes.gt(0));
    let owners: Vec<(String, String)> = accounts::table
        .filter(has_any)
        .select((accounts::id, accounts::name))
        .load(c.db())?;
    let names: HashMap<String, String> = owners.into_iter().collect();
    let apps: Vec<(String, String)> = authenticator_apps::table
        .filter(authenticator_apps::confirmed_at.is_not_null())
        .select((authenticator_apps::account_id, authenticator_apps::id))
        .load(c.db())?;
    let codes: Vec<(String, String)> = recovery_codes::table
        .select((recovery_codes::account_id, recovery_codes::digest))
        .load(c.db())?;
    let passkeys: Vec<(String, String, String)> = passkeys::table
        .select((passkeys::account_id, passkeys::id, passkeys::name))
        .load(c.db())?;
    let unnamed = |kind: FactorKind, rows: Vec<(String, String)>| {
        let rows = rows.into_iter();
        rows.map(move |(account, id)| (kind, account, id, String::new()))
    };
    let rows = unnamed(FactorKind::AuthenticatorApp, apps)
        .chain(unnamed(FactorKind::RecoveryCode, codes))
        .chain(
            passkeys
                .into_iter()
                .map(|(account, id, name)| (FactorKind::Passkey, account, id, name)),
        );
    let mut inventory = FactorInventory::default();
    for (kind, account, id, label) in rows {
        let name = names.get(&account).map_or("", String::as_str);
        inventory.add(account_rows::parse_id(&account)?, name, kind, id, label);
    }
    Ok(inventory)
}
