//! Which sign-in attempts failed of late? One row per counter (`domain::lockout` says what it means); the row is held
//! while an attempt is judged, so that parallel guesses are counted one after the other.
use super::{
    Conn, Page, StoreError,
    conn::{AnyConn, MultiBackend},
    instant::At,
    keyset::{self, Walk},
    meta,
    per_backend::{Held, Prepared},
    schema::lockouts,
    text,
};
use crate::domain::{
    lockout::{Counter, CounterKey, CounterKind},
    network,
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    QueryResult, Queryable, RunQueryDsl, Selectable, SelectableHelper, TextExpressionMethods, upsert::excluded,
};
use ipnetwork::IpNetwork;
use std::net::IpAddr;
use uuid::Uuid;

/// Names remembered per counter; the latest ones stay.
pub const NAMES_KEPT: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    pub id: Uuid,
    pub key: CounterKey,
    pub counter: Counter,
    pub last_attempt_at: Timestamp,
    pub last_ip: Option<IpAddr>,
    /// At most 20; what was typed, as text for people.
    pub names_tried: Vec<String>,
    /// Attempts refused while locked, not yet in the audit.
    pub refused: i64,
    /// The minute (since 1970) that `refused` counts for.
    pub refused_minute: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockoutListState {
    /// Locked, or with a failure that is not forgotten.
    #[default]
    All,
    Locked,
    Counting,
}

#[derive(Debug, Clone, Default)]
pub struct LockoutFilter {
    pub state: LockoutListState,
    /// Within account, address, user agent or the names tried, whatever the case.
    pub text: Option<String>,
    /// Of the counter's address; of counters without one, of the latest attempt's.
    pub ip: Option<IpNetwork>,
    pub account_key: Option<String>,
    /// Ceilings that do not lock only with so many failures: of an address, of an account. Beside the counters that lock they say little
    /// before.
    pub ceilings_from: Option<(i32, i32)>,
    /// `last_attempt_at` and id: the page after, or the page before.
    pub after: Option<(Timestamp, Uuid)>,
    pub before: Option<(Timestamp, Uuid)>,
    pub limit: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = lockouts, treat_none_as_default_value = false)]
struct Record {
    id: String,
    kind: String,
    ip: Option<String>,
    account_key: Option<String>,
    user_agent: Option<String>,
    ip_key: Option<String>,
    search: String,
    counter: String,
    failures: i32,
    locked: bool,
    counting: bool,
    locked_at: Option<At>,
    blocked_until: Option<At>,
    last_attempt_at: At,
    last_ip: Option<String>,
    names_tried: String,
    refused: i64,
    refused_minute: i64,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a sign-in counter's {what}"))
}

fn clean(text: &Option<String>) -> Option<String> {
    text.as_deref().map(|text| text::clean(text).into_owned())
}

impl Record {
    fn of(lockout: &Lockout) -> Result<Record, StoreError> {
        let key = &lockout.key;
        let names: Vec<&str> = {
            let surplus = lockout.names_tried.len().saturating_sub(NAMES_KEPT);
            lockout.names_tried.iter().skip(surplus).map(String::as_str).collect()
        };
        let instant = |micros: i64| At::from(Timestamp::from_micros(micros));
        let blocked_until = lockout.counter.blocked_until.map(instant);
        let locked_at = lockout
            .counter
            .locked_at
            .map(instant)
            .or(blocked_until.map(|_| lockout.last_attempt_at.into()));
        let locked = locked_at.is_some();
        let network = key.ip.as_deref().and_then(|ip| ip.parse::<IpNetwork>().ok());
        let ip_key = network
            .map(|network| network::sort_range(network).0)
            .or(lockout.last_ip.map(network::sort_key));
        let last_ip = lockout.last_ip.map(|ip| ip.to_string());
        let shown = [&key.account, &key.ip, &key.user_agent, &last_ip];
        Ok(Record {
            id: lockout.id.to_string(),
            kind: key.kind.as_str().to_owned(),
            ip: clean(&key.ip),
            account_key: clean(&key.account),
            user_agent: clean(&key.user_agent),
            ip_key,
            search: text::searchable(
                shown
                    .into_iter()
                    .flatten()
                    .map(String::as_str)
                    .chain(names.iter().copied()),
            ),
            counter: serde_json::to_string(&lockout.counter).map_err(|_| corrupt("memory"))?,
            failures: i32::try_from(lockout.counter.failures.len()).unwrap_or(i32::MAX),
            locked,
            counting: !locked && !lockout.counter.failures.is_empty(),
            locked_at,
            blocked_until,
            last_attempt_at: lockout.last_attempt_at.into(),
            last_ip,
            names_tried: serde_json::to_string(&names).map_err(|_| corrupt("names"))?,
            refused: lockout.refused,
            refused_minute: lockout.refused_minute,
        })
    }

    fn read(self) -> Result<Lockout, StoreError> {
        Ok(Lockout {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("id"))?,
            key: CounterKey {
                kind: CounterKind::parse(&self.kind).ok_or_else(|| corrupt("kind"))?,
                ip: self.ip,
                account: self.account_key,
                user_agent: self.user_agent,
            },
            counter: serde_json::from_str(&self.counter).map_err(|_| corrupt("memory"))?,
            last_attempt_at: self.last_attempt_at.into(),
            last_ip: self
                .last_ip
                .map(|ip| ip.parse().map_err(|_| corrupt("address")))
                .transpose()?,
            names_tried: serde_json::from_str(&self.names_tried).map_err(|_| corrupt("names"))?,
            refused: self.refused,
            refused_minute: self.refused_minute,
        })
    }
}

/// The id of a key's counter, also after it was purged in between: the first half of the digest.
fn id_of(key: &CounterKey) -> Result<Uuid, StoreError> {
    let half = key.digest().get(..32).and_then(|half| Uuid::parse_str(half).ok());
    half.ok_or_else(|| corrupt("digest"))
}

/// A counter that has counted nothing yet; nothing is written.
pub fn fresh(key: &CounterKey, now: Timestamp) -> Result<Lockout, StoreError> {
    Ok(Lockout {
        id: id_of(key)?,
        key: key.clone(),
        counter: Counter::default(),
        last_attempt_at: now,
        last_ip: None,
        names_tried: Vec::new(),
        refused: 0,
        refused_minute: 0,
    })
}

/// Inserts counters, or does to those that are there what `$set` says; gives them back as they are then. One statement on
/// Postgres, where each is a journey.
macro_rules! upsert {
    ($c:expr, $rows:expr, $set:expr) => {{
        macro_rules! statement {
            ($values:expr) => {
                diesel::insert_into(lockouts::table)
                    .values($values)
                    .on_conflict(lockouts::id)
                    .do_update()
                    .set($set)
                    .returning(lockouts::all_columns)
            };
        }
        let rows: &[Record] = $rows;
        match $c.db() {
            AnyConn::Postgres(c) => Prepared(statement!(rows)).load::<Record>(c),
            AnyConn::Sqlite(c) => rows.iter().map(|row| statement!(row).get_result(c)).collect(),
        }
    }};
}

/// Finds or makes the counters, in the order asked for, and holds their rows until the transaction ends. All take the rows in
/// one order, so that parallel attempts never wait for each other in a circle.
pub fn lock_all(c: &mut Conn, keys: &[CounterKey], now: Timestamp) -> Result<Vec<Lockout>, StoreError> {
    let fresh: Vec<Lockout> = keys.iter().map(|key| fresh(key, now)).collect::<Result<_, _>>()?;
    let rows = sorted(&fresh)?;
    // Writing the id over itself changes nothing, but holds the row and returns it.
    let rows = upsert!(c, &rows, lockouts::id.eq(excluded(lockouts::id)))?;
    in_order_of(keys, rows)?
        .into_iter()
        .map(|row| row.ok_or(StoreError::NotFound("sign-in counter")))
        .collect()
}

/// As [`lock_all`], for counters that are very likely there: holding a row costs less than writing it.
pub fn hold_all(c: &mut Conn, keys: &[CounterKey], now: Timestamp) -> Result<Vec<Lockout>, StoreError> {
    let rows = lockouts::table
        .filter(lockouts::id.eq_any(ids_of(keys)?))
        .order(lockouts::id)
        .select(Record::as_select());
    let rows: Option<Vec<Lockout>> = in_order_of(keys, Prepared(Held(rows)).load(c.db())?)?
        .into_iter()
        .collect();
    match rows {
        Some(rows) => Ok(rows),
        // An administrator unlocked one in between.
        None => lock_all(c, keys, now),
    }
}

/// Inserts counters when none of them is there; false: some are, and nothing is written.
pub fn insert_all(c: &mut Conn, lockouts: &[Lockout]) -> Result<bool, StoreError> {
    let rows = sorted(lockouts)?;
    macro_rules! statement {
        ($values:expr) => {
            Prepared(
                diesel::insert_into(lockouts::table)
                    .values($values)
                    .on_conflict_do_nothing()
                    .returning(lockouts::id),
            )
        };
    }
    let new: Vec<String> = match c.db() {
        AnyConn::Postgres(c) => statement!(&rows).load(c)?,
        AnyConn::Sqlite(c) => {
            let new: QueryResult<Vec<Vec<String>>> = rows.iter().map(|row| statement!(row).load(c)).collect();
            new?.into_iter().flatten().collect()
        }
    };
    if new.len() == rows.len() {
        return Ok(true);
    }
    diesel::delete(lockouts::table.filter(lockouts::id.eq_any(new))).execute(c.db())?;
    Ok(false)
}

/// In the order in which all take them.
fn sorted(lockouts: &[Lockout]) -> Result<Vec<Record>, StoreError> {
    let mut rows: Vec<Record> = lockouts.iter().map(Record::of).collect::<Result<_, _>>()?;
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(rows)
}

/// The counters as they are, in the order asked for.
pub fn find_all(c: &mut Conn, keys: &[CounterKey]) -> Result<Vec<Option<Lockout>>, StoreError> {
    let rows = lockouts::table
        .filter(lockouts::id.eq_any(ids_of(keys)?))
        .select(Record::as_select());
    in_order_of(keys, Prepared(rows).load(c.db())?)
}

fn ids_of(keys: &[CounterKey]) -> Result<Vec<String>, StoreError> {
    keys.iter().map(|key| Ok(id_of(key)?.to_string())).collect()
}

/// The counter as it is, if there is one.
pub fn find(c: &mut Conn, key: &CounterKey) -> Result<Option<Lockout>, StoreError> {
    Ok(find_all(c, std::slice::from_ref(key))?.pop().flatten())
}

fn in_order_of(keys: &[CounterKey], mut rows: Vec<Record>) -> Result<Vec<Option<Lockout>>, StoreError> {
    keys.iter()
        .map(|key| {
            let id = id_of(key)?.to_string();
            let place = rows.iter().position(|row| row.id == id);
            place.map(|place| rows.swap_remove(place).read()).transpose()
        })
        .collect()
}

/// Holds the row until the transaction ends.
pub fn get(c: &mut Conn, id: Uuid) -> Result<Option<Lockout>, StoreError> {
    let row = lockouts::table.find(id.to_string()).select(Record::as_select());
    let row: Option<Record> = Held(row).get_result(c.db()).optional()?;
    row.map(Record::read).transpose()
}

/// Writes everything but the key. The rows are held ([`lock_all`], [`get`]).
pub fn save_all(c: &mut Conn, lockouts: &[Lockout]) -> Result<(), StoreError> {
    if lockouts.is_empty() {
        return Ok(());
    }
    let rows = sorted(lockouts)?;
    let everything = (
        lockouts::ip_key.eq(excluded(lockouts::ip_key)),
        lockouts::search.eq(excluded(lockouts::search)),
        lockouts::counter.eq(excluded(lockouts::counter)),
        lockouts::failures.eq(excluded(lockouts::failures)),
        lockouts::locked.eq(excluded(lockouts::locked)),
        lockouts::counting.eq(excluded(lockouts::counting)),
        lockouts::locked_at.eq(excluded(lockouts::locked_at)),
        lockouts::blocked_until.eq(excluded(lockouts::blocked_until)),
        lockouts::last_attempt_at.eq(excluded(lockouts::last_attempt_at)),
        lockouts::last_ip.eq(excluded(lockouts::last_ip)),
        lockouts::names_tried.eq(excluded(lockouts::names_tried)),
        lockouts::refused.eq(excluded(lockouts::refused)),
        lockouts::refused_minute.eq(excluded(lockouts::refused_minute)),
    );
    upsert!(c, &rows, everything)?;
    Ok(())
}

pub fn delete_all(c: &mut Conn, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = lockouts::table.filter(lockouts::id.eq_any(ids.iter().map(Uuid::to_string)));
    let delete = diesel::delete(rows).returning(lockouts::id);
    if Prepared(delete).load::<String>(c.db())?.len() < ids.len() {
        return Err(StoreError::NotFound("sign-in counter"));
    }
    Ok(())
}

/// Of the latest attempt, and id.
type Place = (Timestamp, Uuid);
type Boxed = lockouts::BoxedQuery<'static, MultiBackend>;

fn rows_of(filter: &LockoutFilter) -> Boxed {
    let all = lockouts::table.into_boxed::<MultiBackend>();
    let mut rows = match filter.state {
        LockoutListState::All => all.filter(lockouts::locked.or(lockouts::counting)),
        LockoutListState::Locked => all.filter(lockouts::locked),
        LockoutListState::Counting => all.filter(lockouts::counting),
    };
    if let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) {
        rows = rows.filter(lockouts::search.like(text::containing(text)).escape('\\'));
    }
    if let Some(account) = &filter.account_key {
        rows = rows.filter(lockouts::account_key.eq(text::clean(account).into_owned()));
    }
    if let Some((address, account)) = filter.ceilings_from {
        let near = |kind: CounterKind, from: i32| lockouts::kind.eq(kind.as_str()).and(lockouts::failures.ge(from));
        rows = rows.filter(
            lockouts::locked
                .or(lockouts::kind.eq(CounterKind::Key.as_str()))
                .or(near(CounterKind::IpCeiling, address))
                .or(near(CounterKind::AccountCeiling, account)),
        );
    }
    if let Some(ip) = filter.ip {
        let (first, last) = touched_by(ip);
        rows = rows.filter(lockouts::ip_key.between(first, last));
    }
    rows
}

/// A counter of an IPv6 address counts its /64 and is filed under the first address of it: a filter for a part of that
/// network means the counter.
fn touched_by(ip: IpNetwork) -> (String, String) {
    let from = network::sort_range(network::lock_network(ip.network())).0;
    let (first, last) = network::sort_range(ip);
    (first.min(from), last)
}

fn older(rows: Boxed, than: Place) -> Boxed {
    let (at, id) = (At::from(than.0), than.1.to_string());
    newest_first(
        rows.filter(lockouts::last_attempt_at.le(at))
            .filter(lockouts::last_attempt_at.lt(at).or(lockouts::id.lt(id))),
    )
}

fn newer(rows: Boxed, than: Place) -> Boxed {
    let (at, id) = (At::from(than.0), than.1.to_string());
    rows.filter(lockouts::last_attempt_at.ge(at))
        .filter(lockouts::last_attempt_at.gt(at).or(lockouts::id.gt(id)))
        .order((lockouts::last_attempt_at.asc(), lockouts::id.asc()))
}

fn newest_first(rows: Boxed) -> Boxed {
    rows.order((lockouts::last_attempt_at.desc(), lockouts::id.desc()))
}

fn walked(rows: Boxed, walk: Walk<Place>) -> Boxed {
    match walk {
        Walk::FromTop => newest_first(rows),
        Walk::Older(than) => older(rows, than),
        Walk::Newer(than) => newer(rows, than),
    }
}

/// Latest attempt first.
pub fn list(c: &mut Conn, filter: &LockoutFilter) -> Result<Page<Lockout>, StoreError> {
    let place = |lockout: &Lockout| Ok((lockout.last_attempt_at, lockout.id));
    keyset::page((filter.after, filter.before), filter.limit, place, |walk, limit| {
        let rows = walked(rows_of(filter), walk).limit(limit);
        let rows: Vec<Record> = rows.select(Record::as_select()).load(c.db())?;
        rows.into_iter().map(Record::read).collect()
    })
}

pub fn count(c: &mut Conn, filter: &LockoutFilter) -> Result<i64, StoreError> {
    Ok(rows_of(filter).count().get_result(c.db())?)
}

/// The counters whose key names this account and (or) this address text; none when neither is given.
pub fn matching(c: &mut Conn, account_key: Option<&str>, ip: Option<&str>) -> Result<Vec<Lockout>, StoreError> {
    if account_key.is_none() && ip.is_none() {
        return Ok(Vec::new());
    }
    let mut rows = lockouts::table.into_boxed::<MultiBackend>();
    if let Some(account) = account_key {
        rows = rows.filter(lockouts::account_key.eq(text::clean(account).into_owned()));
    }
    if let Some(ip) = ip {
        rows = rows.filter(lockouts::ip.eq(text::clean(ip).into_owned()));
    }
    let rows: Vec<Record> = newest_first(rows).select(Record::as_select()).load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// The counters whose key names one of these accounts, latest attempt first.
pub fn of_accounts(c: &mut Conn, account_keys: &[&str]) -> Result<Vec<Lockout>, StoreError> {
    let keys = account_keys.iter().map(|key| text::clean(key).into_owned());
    let rows = lockouts::table
        .into_boxed::<MultiBackend>()
        .filter(lockouts::account_key.eq_any(keys));
    let rows: Vec<Record> = newest_first(rows).select(Record::as_select()).load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// The locked ones, longest locked first, without those that an administrator blocked beyond now: the job settles
/// those whose time is up.
pub fn due(c: &mut Conn, limit: i64) -> Result<Vec<Lockout>, StoreError> {
    let now = At::from(meta::now(c)?);
    let rows: Vec<Record> = lockouts::table
        .filter(lockouts::locked)
        .filter(lockouts::blocked_until.is_null().or(lockouts::blocked_until.le(now)))
        .order((lockouts::locked_at.asc(), lockouts::id.asc()))
        .limit(limit)
        .select(Record::as_select())
        .load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// Deletes counters without a lock whose last attempt was before `before`, at most `limit`.
pub fn purge_idle(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let idle: Vec<String> = lockouts::table
        .filter(lockouts::last_attempt_at.lt(At::from(before)))
        .filter(diesel::dsl::not(lockouts::locked))
        .order((lockouts::last_attempt_at.asc(), lockouts::id.asc()))
        .limit(limit)
        .select(lockouts::id)
        .load(c.db())?;
    let mut purged = 0;
    for ids in idle.chunks(500) {
        // Again with the condition: an attempt may have come in between.
        let still = lockouts::table
            .filter(lockouts::id.eq_any(ids))
            .filter(lockouts::last_attempt_at.lt(At::from(before)))
            .filter(diesel::dsl::not(lockouts::locked));
        purged += diesel::delete(still).execute(c.db())?;
    }
    Ok(purged)
}
