//! Which hand-overs to other hosts are under way? Codes stand here as digests, are redeemed by one conditional update, and go soon
//! after they ran out. Who may have one is decided in `flows::access`.
use super::{Conn, StoreError, conn::MultiBackend, instant::At, schema::handovers, sessions, text};
use crate::domain::{session::SessionId, time::Timestamp};
use diesel::{BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl};
use ipnetwork::IpNetwork;

/// What a code is bound to: each must be the same when it is redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Digest of the code.
    pub digest: String,
    /// As tokens name it.
    pub host: String,
    /// Digest of what the browser holds on that host.
    pub nonce: String,
    /// "" without the header.
    pub user_agent: String,
    /// An address of the other family is not held against it.
    pub network: IpNetwork,
}

/// A code as issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    pub bound: Bound,
    pub session: SessionId,
    pub return_to: String,
    pub issued_at: Timestamp,
    /// The last instant at which it is redeemed.
    pub expires_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = handovers, treat_none_as_default_value = false)]
struct Record {
    digest: String,
    session_id: String,
    host: String,
    nonce: String,
    user_agent: String,
    network_v4: Option<String>,
    network_v6: Option<String>,
    return_to: String,
    issued_at: At,
    expires_at: At,
    redeemed_at: Option<At>,
}

impl Record {
    fn of(handover: &Handover) -> Record {
        let bound = &handover.bound;
        let network = bound.network.to_string();
        let is_v4 = bound.network.is_ipv4();
        Record {
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

pub fn insert(c: &mut Conn, handover: &Handover) -> Result<(), StoreError> {
    diesel::insert_into(handovers::table)
        .values(Record::of(handover))
        .execute(c.db())?;
    Ok(())
}

/// How many codes a session was given since `since`, redeemed or not.
pub fn count_since(c: &mut Conn, session: SessionId, since: Timestamp) -> Result<i64, StoreError> {
    Ok(handovers::table
        .filter(handovers::session_id.eq(session.0.to_string()))
        .filter(handovers::issued_at.ge(At::from(since)))
        .count()
        .get_result(c.db())?)
}

/// Uses a code up, if it is good: the session that it carries over, and where the browser goes on. One statement, so that of any
/// number of attempts one succeeds.
pub fn redeem(c: &mut Conn, shown: &Bound, now: Timestamp) -> Result<Option<(SessionId, String)>, StoreError> {
    let network = shown.network.to_string();
    let good = handovers::table
        .find(text::clean(&shown.digest).into_owned())
        .filter(handovers::redeemed_at.is_null())
        .filter(handovers::expires_at.ge(At::from(now)))
        .filter(handovers::host.eq(text::clean(&shown.host).into_owned()))
        .filter(handovers::nonce.eq(text::clean(&shown.nonce).into_owned()))
        .filter(handovers::user_agent.eq(text::clean(&shown.user_agent).into_owned()));
    let set = handovers::redeemed_at.eq(At::from(now));
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
    row.map(|(session, return_to)| Ok((sessions::id_of(&session)?, return_to)))
        .transpose()
}

/// The codes of a session that nobody has redeemed go.
pub fn drop_unredeemed(c: &mut Conn, session: SessionId) -> Result<(), StoreError> {
    let waiting = handovers::table
        .filter(handovers::session_id.eq(session.0.to_string()))
        .filter(handovers::redeemed_at.is_null());
    diesel::delete(waiting).execute(c.db())?;
    Ok(())
}

pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(handovers::table).execute(c.db())?;
    Ok(())
}

/// Codes that ran out before `before` go, at most `limit`; how many.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = handovers::table
        .into_boxed::<MultiBackend>()
        .filter(handovers::expires_at.lt(At::from(before)))
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
