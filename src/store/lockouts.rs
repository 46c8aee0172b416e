//! Counters of failed sign-in attempts, one row each (`domain::lockout` defines them). The row is
//! locked while an attempt is judged, so that parallel attempts are counted one after the other.
use super::{
    Conn, StoreError,
    conn::{AnyConn, MultiBackend},
    instant::StoredInstant,
    keyset::{self, PageDirection},
    meta,
    per_backend::{LockedRows, PreparedStatement},
    schema::lockouts,
    text,
};
use crate::domain::{
    list::Page,
    lockout::{Counter, CounterKey, CounterKind, Lockout, LockoutFilter, LockoutListState, MAX_NAMES},
    network,
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    QueryResult, Queryable, RunQueryDsl, Selectable, SelectableHelper, TextExpressionMethods, upsert::excluded,
};
use ipnetwork::IpNetwork;
use uuid::Uuid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = lockouts, treat_none_as_default_value = false)]
struct LockoutRow {
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
    locked_at: Option<StoredInstant>,
    blocked_until: Option<StoredInstant>,
    last_attempt_at: StoredInstant,
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

impl LockoutRow {
    fn from_lockout(lockout: &Lockout) -> Result<LockoutRow, StoreError> {
        let key = &lockout.key;
        let names: Vec<&str> = {
            let surplus = lockout.names_tried.len().saturating_sub(MAX_NAMES);
            lockout.names_tried.iter().skip(surplus).map(String::as_str).collect()
        };
        let instant = |micros: i64| StoredInstant::from(Timestamp::from_micros(micros));
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
        Ok(LockoutRow {
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

/// Returns the ID of a key's counter, the first half of the digest; it stays the same if the row is
/// deleted and created again.
fn id_of(key: &CounterKey) -> Result<Uuid, StoreError> {
    let half = key.digest().get(..32).and_then(|half| Uuid::parse_str(half).ok());
    half.ok_or_else(|| corrupt("digest"))
}

/// Creates an empty counter in memory; nothing is written.
pub fn new_counter(key: &CounterKey, now: Timestamp) -> Result<Lockout, StoreError> {
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

/// Inserts counters, or applies `$set` to existing ones, and returns the rows. It is one statement
/// on Postgres, where each statement is a round trip.
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
        let rows: &[LockoutRow] = $rows;
        match $c.db() {
            AnyConn::Postgres(c) => PreparedStatement(statement!(rows)).load::<LockoutRow>(c),
            AnyConn::Sqlite(c) => rows.iter().map(|row| statement!(row).get_result(c)).collect(),
        }
    }};
}

/// Finds or creates the counters, in the requested order, and locks their rows until the
/// transaction ends. All callers lock the rows in one order, so that parallel attempts never
/// deadlock.
pub fn lock_all(c: &mut Conn, keys: &[CounterKey], now: Timestamp) -> Result<Vec<Lockout>, StoreError> {
    let fresh: Vec<Lockout> = keys.iter().map(|key| new_counter(key, now)).collect::<Result<_, _>>()?;
    let rows = rows_in_order(&fresh)?;
    // Writing the ID over itself changes nothing, but locks the row and returns it.
    let rows = upsert!(c, &rows, lockouts::id.eq(excluded(lockouts::id)))?;
    in_order_of(keys, rows)?
        .into_iter()
        .map(|row| row.ok_or(StoreError::NotFound("sign-in counter")))
        .collect()
}

/// Works like [`lock_all`], for counters that very likely exist: locking a row costs less than
/// writing it.
pub fn hold_rows(c: &mut Conn, keys: &[CounterKey], now: Timestamp) -> Result<Vec<Lockout>, StoreError> {
    let rows = lockouts::table
        .filter(lockouts::id.eq_any(ids_of(keys)?))
        .order(lockouts::id)
        .select(LockoutRow::as_select());
    let rows: Option<Vec<Lockout>> = in_order_of(keys, PreparedStatement(LockedRows(rows)).load(c.db())?)?
        .into_iter()
        .collect();
    match rows {
        Some(rows) => Ok(rows),
        // An administrator unlocked one in between.
        None => lock_all(c, keys, now),
    }
}

/// Inserts counters if none of them exists; otherwise returns false and writes nothing.
pub fn insert_all(c: &mut Conn, lockouts: &[Lockout]) -> Result<bool, StoreError> {
    let rows = rows_in_order(lockouts)?;
    macro_rules! statement {
        ($values:expr) => {
            PreparedStatement(
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

/// Returns the rows in the order in which all callers lock them.
fn rows_in_order(lockouts: &[Lockout]) -> Result<Vec<LockoutRow>, StoreError> {
    let mut rows: Vec<LockoutRow> = lockouts
        .iter()
        .map(LockoutRow::from_lockout)
        .collect::<Result<_, _>>()?;
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(rows)
}

/// Returns the counters in the requested order, without locks.
pub fn find_all(c: &mut Conn, keys: &[CounterKey]) -> Result<Vec<Option<Lockout>>, StoreError> {
    let rows = lockouts::table
        .filter(lockouts::id.eq_any(ids_of(keys)?))
        .select(LockoutRow::as_select());
    in_order_of(keys, PreparedStatement(rows).load(c.db())?)
}

fn ids_of(keys: &[CounterKey]) -> Result<Vec<String>, StoreError> {
    keys.iter().map(|key| Ok(id_of(key)?.to_string())).collect()
}

/// Finds a counter, without a lock.
pub fn find(c: &mut Conn, key: &CounterKey) -> Result<Option<Lockout>, StoreError> {
    Ok(find_all(c, std::slice::from_ref(key))?.pop().flatten())
}

fn in_order_of(keys: &[CounterKey], mut rows: Vec<LockoutRow>) -> Result<Vec<Option<Lockout>>, StoreError> {
    keys.iter()
        .map(|key| {
            let id = id_of(key)?.to_string();
            let place = rows.iter().position(|row| row.id == id);
            place.map(|place| rows.swap_remove(place).read()).transpose()
        })
        .collect()
}

/// Finds a counter and locks its row until the transaction ends.
pub fn find_by_id(c: &mut Conn, id: Uuid) -> Result<Option<Lockout>, StoreError> {
    let row = lockouts::table.find(id.to_string()).select(LockoutRow::as_select());
    let row: Option<LockoutRow> = LockedRows(row).get_result(c.db()).optional()?;
    row.map(LockoutRow::read).transpose()
}

/// Writes everything except the key. The rows are locked ([`lock_all`]).
pub fn save_all(c: &mut Conn, lockouts: &[Lockout]) -> Result<(), StoreError> {
    if lockouts.is_empty() {
        return Ok(());
    }
    let rows = rows_in_order(lockouts)?;
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

/// Deletes these counters.
pub fn delete_all(c: &mut Conn, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = lockouts::table.filter(lockouts::id.eq_any(ids.iter().map(Uuid::to_string)));
    let delete = diesel::delete(rows).returning(lockouts::id);
    if PreparedStatement(delete).load::<String>(c.db())?.len() < ids.len() {
        return Err(StoreError::NotFound("sign-in counter"));
    }
    Ok(())
}

/// The instant of the latest attempt, and the ID.
type LockoutPosition = (Timestamp, Uuid);
type LockoutSelect = lockouts::BoxedQuery<'static, MultiBackend>;

fn select_matching(filter: &LockoutFilter) -> LockoutSelect {
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
                .or(near(CounterKind::AccountCeiling, account))
                .or(near(CounterKind::KnownCeiling, account)),
        );
    }
    if let Some(ip) = filter.ip {
        let (first, last) = network_bounds(ip);
        rows = rows.filter(lockouts::ip_key.between(first, last));
    }
    rows
}

/// Returns the bounds for a filter. A counter of an IPv6 address counts its /64 and is stored under
/// the first address of it, so a filter for a part of that network includes the counter.
fn network_bounds(ip: IpNetwork) -> (String, String) {
    let from = network::sort_range(network::lock_network(ip.network())).0;
    let (first, last) = network::sort_range(ip);
    (first.min(from), last)
}

fn older(rows: LockoutSelect, than: LockoutPosition) -> LockoutSelect {
    let (at, id) = (StoredInstant::from(than.0), than.1.to_string());
    newest_first(
        rows.filter(lockouts::last_attempt_at.le(at))
            .filter(lockouts::last_attempt_at.lt(at).or(lockouts::id.lt(id))),
    )
}

fn newer(rows: LockoutSelect, than: LockoutPosition) -> LockoutSelect {
    let (at, id) = (StoredInstant::from(than.0), than.1.to_string());
    rows.filter(lockouts::last_attempt_at.ge(at))
        .filter(lockouts::last_attempt_at.gt(at).or(lockouts::id.gt(id)))
        .order((lockouts::last_attempt_at.asc(), lockouts::id.asc()))
}

fn newest_first(rows: LockoutSelect) -> LockoutSelect {
    rows.order((lockouts::last_attempt_at.desc(), lockouts::id.desc()))
}

fn in_direction(rows: LockoutSelect, walk: PageDirection<LockoutPosition>) -> LockoutSelect {
    match walk {
        PageDirection::FromTop => newest_first(rows),
        PageDirection::Older(than) => older(rows, than),
        PageDirection::Newer(than) => newer(rows, than),
    }
}

/// Lists counters, latest attempt first.
pub fn list(c: &mut Conn, filter: &LockoutFilter) -> Result<Page<Lockout>, StoreError> {
    let place = |lockout: &Lockout| Ok((lockout.last_attempt_at, lockout.id));
    keyset::page((filter.after, filter.before), filter.limit, place, |walk, limit| {
        let rows = in_direction(select_matching(filter), walk).limit(limit);
        let rows: Vec<LockoutRow> = rows.select(LockoutRow::as_select()).load(c.db())?;
        rows.into_iter().map(LockoutRow::read).collect()
    })
}

/// Counts the counters that match a filter.
pub fn count(c: &mut Conn, filter: &LockoutFilter) -> Result<i64, StoreError> {
    Ok(select_matching(filter).count().get_result(c.db())?)
}

/// Lists the counters whose key contains this account or this address text, or both; none if
/// neither is given.
pub fn list_matching(c: &mut Conn, account_key: Option<&str>, ip: Option<&str>) -> Result<Vec<Lockout>, StoreError> {
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
    let rows: Vec<LockoutRow> = newest_first(rows).select(LockoutRow::as_select()).load(c.db())?;
    rows.into_iter().map(LockoutRow::read).collect()
}

/// Lists the counters whose key contains one of these accounts, latest attempt first.
pub fn list_of_accounts(c: &mut Conn, account_keys: &[&str]) -> Result<Vec<Lockout>, StoreError> {
    let keys = account_keys.iter().map(|key| text::clean(key).into_owned());
    let rows = lockouts::table
        .into_boxed::<MultiBackend>()
        .filter(lockouts::account_key.eq_any(keys));
    let rows: Vec<LockoutRow> = newest_first(rows).select(LockoutRow::as_select()).load(c.db())?;
    rows.into_iter().map(LockoutRow::read).collect()
}

/// Lists locked counters, longest locked first, without those that are blocked beyond now; the job
/// settles locks whose time is over.
pub fn list_due(c: &mut Conn, limit: i64) -> Result<Vec<Lockout>, StoreError> {
    let now = StoredInstant::from(meta::now(c)?);
    let rows: Vec<LockoutRow> = lockouts::table
        .filter(lockouts::locked)
        .filter(lockouts::blocked_until.is_null().or(lockouts::blocked_until.le(now)))
        .order((lockouts::locked_at.asc(), lockouts::id.asc()))
        .limit(limit)
        .select(LockoutRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(LockoutRow::read).collect()
}

/// Lists locks that began after this instant, by a clock that ran ahead.
pub fn list_locked_after(c: &mut Conn, at: Timestamp, limit: i64) -> Result<Vec<Lockout>, StoreError> {
    let rows: Vec<LockoutRow> = lockouts::table
        .filter(lockouts::locked)
        .filter(lockouts::locked_at.gt(StoredInstant::from(at)))
        .order((lockouts::locked_at.desc(), lockouts::id.asc()))
        .limit(limit)
        .select(LockoutRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(LockoutRow::read).collect()
}

/// Deletes counters without a lock whose last attempt was before `before`, at most `limit`.
pub fn purge_idle(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let idle: Vec<String> = lockouts::table
        .filter(lockouts::last_attempt_at.lt(StoredInstant::from(before)))
        .filter(diesel::dsl::not(lockouts::locked))
        .order((lockouts::last_attempt_at.asc(), lockouts::id.asc()))
        .limit(limit)
        .select(lockouts::id)
        .load(c.db())?;
    let mut purged = 0;
    for ids in idle.chunks(500) {
        // The condition is repeated, because an attempt may have come in between.
        let still = lockouts::table
            .filter(lockouts::id.eq_any(ids))
            .filter(lockouts::last_attempt_at.lt(StoredInstant::from(before)))
            .filter(diesel::dsl::not(lockouts::locked));
        purged += diesel::delete(still).execute(c.db())?;
    }
    Ok(purged)
}
