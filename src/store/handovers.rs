//! Handovers to other hosts. Codes are stored as digests, consumed by one conditional update, and
//! deleted soon after they expire. `flows::access` decides who gets one.
use super::{Conn, StoreError, conn::MultiBackend, instant::StoredInstant, schema::handovers, sessions, text};
use crate::domain::{session::SessionId, time::Timestamp};
use diesel::{BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl};
use ipnetwork::IpNetwork;

/// The facts that a code is bound to: they must be the same when it is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverBinding {
    /// The digest of the code.
    pub digest: String,
    /// The host, as tokens store it.
    pub host: String,
    /// The digest of the nonce that the browser holds on that host.
    pub nonce: String,
    /// "" without the header.
    pub user_agent: String,
    /// The network; an address of the other family is accepted too.
    pub network: IpNetwork,
}

/// An issued code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The facts to which it is bound.
    pub bound: HandoverBinding,
    /// The session that is handed over.
    pub session: SessionId,
    /// The page that was requested first.
    pub return_to: String,
    /// When the code was issued.
    pub issued_at: Timestamp,
    /// The last instant at which it is valid.
    pub expires_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = handovers, treat_none_as_default_value = false)]
struct HandoverRow {
    digest: String,
    session_id: String,
    host: String,
    nonce: String,
    user_agent: String,
    network_v4: Option<String>,
    network_v6: Option<String>,
    return_to: String,
    issued_at: StoredInstant,
    expires_at: StoredInstant,
    redeemed_at: Option<StoredInstant>,
}

impl HandoverRow {
    fn from_handover(handover: &Handover) -> HandoverRow {
        let bound = &handover.bound;
        let network = bound.network.to_string();
        let is_v4 = bound.network.is_ipv4();
        HandoverRow {
            digest: bound.digest.clone(),
            session_id: handover.session.0.to_string(),
            host: text::clean(&bound.host).into_owned(),
            nonce: bound.nonce.clone(),
            user_agent: text::clean(&bound.user_agent).into_owned(),
            network_v4: is_v4.then(|| network.clone()),
            network_v6: (!is_v4).then_some(network),
            return_to: text::clean(&handover.return_to).into_owned(),
            issued_at: handover.issued_at.into(),
            expires_at: handover.expires_at.into(),
            redeemed_at: None,
        }
    }
}

/// Stores the code of a handover.
pub fn insert(c: &mut Conn, handover: &Handover) -> Result<(), StoreError> {
    diesel::insert_into(handovers::table)
        .values(HandoverRow::from_handover(handover))
        .execute(c.db())?;
    Ok(())
}

/// Counts the codes that a session got since `since`, consumed or not.
pub fn count_since(c: &mut Conn, session: SessionId, since: Timestamp) -> Result<i64, StoreError> {
    Ok(handovers::table
        .filter(handovers::session_id.eq(session.0.to_string()))
        .filter(handovers::issued_at.ge(StoredInstant::from(since)))
        .count()
        .get_result(c.db())?)
}

/// Consumes a valid code and returns its session and where the browser continues. It is one
/// statement, so that only one of several attempts succeeds.
pub fn redeem(
    c: &mut Conn,
    shown: &HandoverBinding,
    now: Timestamp,
) -> Result<Option<(SessionId, String)>, StoreError> {
    let network = shown.network.to_string();
    let good = handovers::table
        .find(text::clean(&shown.digest).into_owned())
        .filter(handovers::redeemed_at.is_null())
        .filter(handovers::expires_at.ge(StoredInstant::from(now)))
        .filter(handovers::host.eq(text::clean(&shown.host).into_owned()))
        .filter(handovers::nonce.eq(text::clean(&shown.nonce).into_owned()))
        .filter(handovers::user_agent.eq(text::clean(&shown.user_agent).into_owned()));
    let set = handovers::redeemed_at.eq(StoredInstant::from(now));
    let told = (handovers::session_id, handovers::return_to);
    let row: Option<(String, String)> = match shown.network {
        IpNetwork::V4(_) => {
            let same = handovers::network_v4.eq(network).or(handovers::network_v4.is_null());
            diesel::update(good.filter(same))
                .set(set)
                .returning(told)
                .get_result(c.db())
        }
        IpNetwork::V6(_) => {
            let same = handovers::network_v6.eq(network).or(handovers::network_v6.is_null());
            diesel::update(good.filter(same))
                .set(set)
                .returning(told)
                .get_result(c.db())
        }
    }
    .optional()?;
    row.map(|(session, return_to)| Ok((sessions::parse_id(&session)?, return_to)))
        .transpose()
}

/// Deletes a code, no matter which browser it belongs to.
pub fn drop_code(c: &mut Conn, digest: &str) -> Result<(), StoreError> {
    diesel::delete(handovers::table.find(text::clean(digest).into_owned())).execute(c.db())?;
    Ok(())
}

/// Deletes a session's unused codes.
pub fn drop_unredeemed(c: &mut Conn, session: SessionId) -> Result<(), StoreError> {
    let waiting = handovers::table
        .filter(handovers::session_id.eq(session.0.to_string()))
        .filter(handovers::redeemed_at.is_null());
    diesel::delete(waiting).execute(c.db())?;
    Ok(())
}

/// Deletes all codes.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(handovers::table).execute(c.db())?;
    Ok(())
}

/// Deletes codes that expired before `before`, at most `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = handovers::table
        .into_boxed::<MultiBackend>()
        .filter(handovers::expires_at.lt(StoredInstant::from(before)))
        .order((handovers::expires_at.asc(), handovers::digest.asc()))
        .limit(limit)
        .select(handovers::digest)
        .load(c.db())?;
    let mut purged = 0;
    for digests in old.chunks(500) {
        purged += diesel::delete(handovers::table.filter(handovers::digest.eq_any(digests))).execute(c.db())?;
    }
    Ok(purged)
}
