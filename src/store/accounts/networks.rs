//! The networks that an account is known from.

use crate::{
    domain::{account::AccountId, network::known_network, network_groups::NetworkGroups, time::Timestamp},
    store::{
        Conn, StoreError,
        instant::StoredInstant,
        per_backend::{purge_oldest, write_together},
        schema::{accounts, known_networks},
    },
};
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, upsert::excluded};
use ipnetwork::IpNetwork;
use std::net::IpAddr;

/// Records a completed sign-in and its network. A stored instant never goes back.
pub fn record_sign_in(c: &mut Conn, id: AccountId, network: &str, at: Timestamp) -> Result<(), StoreError> {
    let earlier = accounts::last_sign_in_at
        .is_null()
        .or(accounts::last_sign_in_at.lt(StoredInstant::from(at)));
    let signed_in = diesel::update(accounts::table.find(id.0.to_string()).filter(earlier))
        .set(accounts::last_sign_in_at.eq(StoredInstant::from(at)))
        .returning(accounts::id);
    let row = (
        known_networks::account_id.eq(id.0.to_string()),
        known_networks::network.eq(network),
        known_networks::seen_at.eq(StoredInstant::from(at)),
    );
    let known = diesel::insert_into(known_networks::table)
        .values(row)
        .on_conflict((known_networks::account_id, known_networks::network))
        .do_update()
        .set(known_networks::seen_at.eq(excluded(known_networks::seen_at)));
    let later = known_networks::seen_at.lt(excluded(known_networks::seen_at));
    let known = diesel::query_dsl::methods::FilterDsl::filter(known, later).returning(known_networks::network);
    Ok(write_together!(c.db(), signed_in, known)?)
}

/// Lists the networks that the account is known from, the latest first.
pub fn list_networks(c: &mut Conn, id: AccountId, limit: i64) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows: Vec<(String, StoredInstant)> = known_networks::table
        .filter(known_networks::account_id.eq(id.0.to_string()))
        .order((known_networks::seen_at.desc(), known_networks::network))
        .limit(limit)
        .select((known_networks::network, known_networks::seen_at))
        .load(c.db())?;
    Ok(rows.into_iter().map(|(network, at)| (network, at.into())).collect())
}

/// Removes the networks that made the account known from an address.
pub fn forget_networks(c: &mut Conn, id: AccountId, ip: IpAddr, groups: &NetworkGroups) -> Result<(), StoreError> {
    let networks = list_networks_since(c, id, Timestamp::default())?;
    for network in networks.into_iter().filter(|network| groups.is_known(ip, *network)) {
        let row = known_networks::table.find((id.0.to_string(), network.to_string()));
        diesel::delete(row).execute(c.db())?;
    }
    Ok(())
}

/// Deletes networks that were last seen before `before`, oldest first: at most `limit`, and others
/// with the same instant.
pub fn purge_networks(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, known_networks.seen_at before before, limit))
}

/// Returns whether the account signed in from the network of an address, or from its network group,
/// since an instant.
pub fn knows_network(
    c: &mut Conn,
    id: AccountId,
    ip: IpAddr,
    groups: &NetworkGroups,
    since: Timestamp,
) -> Result<bool, StoreError> {
    if groups.find(ip).is_some() {
        let networks = list_networks_since(c, id, since)?;
        return Ok(networks.into_iter().any(|network| groups.is_known(ip, network)));
    }
    let known = known_networks::table
        .find((id.0.to_string(), known_network(ip).to_string()))
        .filter(known_networks::seen_at.ge(StoredInstant::from(since)))
        .select(known_networks::network)
        .first::<String>(c.db())
        .optional()?;
    Ok(known.is_some())
}

fn list_networks_since(c: &mut Conn, id: AccountId, since: Timestamp) -> Result<Vec<IpNetwork>, StoreError> {
    let networks: Vec<String> = known_networks::table
        .filter(known_networks::account_id.eq(id.0.to_string()))
        .filter(known_networks::seen_at.ge(StoredInstant::from(since)))
        .select(known_networks::network)
        .load(c.db())?;
    Ok(networks.iter().filter_map(|network| network.parse().ok()).collect())
}
