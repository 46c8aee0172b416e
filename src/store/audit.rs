//! The audit log. Rows are written once and removed only by retention. Lists walk one index from
//! the newest row; a text search reads a bounded number of rows and reports it.
pub mod seals;
pub mod shipping;

use super::{
    Conn, StoreError, accounts as account_rows,
    conn::MultiBackend,
    instant::{self, StoredInstant},
    keyset::{self, PageDirection},
    per_backend::{RowCount, insert_rows, not_leading, number_in_detail},
    schema::audit,
    text,
};
use crate::domain::{
    account::AccountId,
    audit::{AuditEntry, AuditFilter, AuditRecord, Event, EventOutcome},
    list::Page,
    network,
    session::SessionId,
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, QueryableByName, RunQueryDsl, Selectable, SelectableHelper, TextExpressionMethods, dsl::sql, sql_types,
};
use uuid::Uuid;

/// Maximum number of rows that a text search reads.
const SEARCH_WINDOW: i64 = 50_000;
/// A network that matches at most this many rows is answered from the index over addresses, a
/// larger one by walking the audit from the newest row.
const FEW: i64 = 1000;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
struct AuditRow {
    id: String,
    happened_at: StoredInstant,
    event: String,
    actor: String,
    actor_key: String,
    actor_id: Option<String>,
    account: Option<String>,
    account_key: Option<String>,
    account_id: Option<String>,
    session_id: Option<String>,
    ip: Option<String>,
    ip_key: Option<String>,
    user_agent: Option<String>,
    application: Option<String>,
    outcome: String,
    reason: Option<String>,
    detail: String,
    request_id: Option<String>,
    search: String,
}

/// The columns that a page reads, without those that only searching needs.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct AuditListRow {
    id: String,
    happened_at: StoredInstant,
    event: String,
    actor: String,
    actor_id: Option<String>,
    account: Option<String>,
    account_id: Option<String>,
    session_id: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    application: Option<String>,
    outcome: String,
    reason: Option<String>,
    detail: String,
    request_id: Option<String>,
}

/// The columns that only searching needs, each derived from the others.
#[derive(Queryable, Selectable, PartialEq, Eq)]
#[diesel(table_name = audit)]
struct SearchColumns {
    actor_key: String,
    account_key: Option<String>,
    ip_key: Option<String>,
    search: String,
}

fn clean(text: Option<&str>) -> Option<String> {
    text.map(|text| text::clean(text).into_owned())
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an audit event's {what}"))
}

impl AuditRow {
    fn from_entry(id: Uuid, at: Timestamp, entry: &AuditEntry) -> AuditRow {
        let row = AuditListRow::from_entry(id, at, entry);
        let derived = row.search_columns();
        AuditRow {
            id: row.id,
            happened_at: row.happened_at,
            event: row.event,
            actor: row.actor,
            actor_key: derived.actor_key,
            actor_id: row.actor_id,
            account: row.account,
            account_key: derived.account_key,
            account_id: row.account_id,
            session_id: row.session_id,
            ip: row.ip,
            ip_key: derived.ip_key,
            user_agent: row.user_agent,
            application: row.application,
            outcome: row.outcome,
            reason: row.reason,
            detail: row.detail,
            request_id: row.request_id,
            search: derived.search,
        }
    }
}

impl AuditListRow {
    fn from_entry(id: Uuid, at: Timestamp, entry: &AuditEntry) -> AuditListRow {
        AuditListRow {
            id: id.to_string(),
            happened_at: at.into(),
            event: entry.event.as_str().to_owned(),
            actor: text::clean(&entry.actor.to_string()).into_owned(),
            actor_id: entry.actor.account_id().map(|id| id.0.to_string()),
            account: clean(entry.account.as_ref().map(|(_, name)| name.as_str())),
            account_id: entry.account.as_ref().and_then(|(id, _)| id.map(|id| id.0.to_string())),
            session_id: entry.session.map(|id| id.0.to_string()),
            ip: entry.origin.ip.map(|ip| ip.to_string()),
            user_agent: clean(entry.origin.user_agent.as_deref()),
            application: clean(entry.application.as_deref()),
            outcome: entry.outcome.as_str().to_owned(),
            reason: clean(entry.reason.as_deref()),
            detail: entry.detail.to_string(),
            request_id: clean(entry.origin.request_id.as_deref()),
        }
    }

    /// Returns the expected columns for searching. The seals do not cover them, so they are
    /// compared with this.
    fn search_columns(&self) -> SearchColumns {
        let searched = [
            Some(self.actor.as_str()),
            self.account.as_deref(),
            Some(self.event.as_str()),
            self.ip.as_deref(),
            self.application.as_deref(),
            self.reason.as_deref(),
            self.user_agent.as_deref(),
            self.request_id.as_deref(),
        ];
        SearchColumns {
            actor_key: text::fold(&self.actor),
            account_key: self.account.as_deref().map(text::fold),
            ip_key: self.ip.as_deref().and_then(|ip| ip.parse().ok()).map(network::sort_key),
            search: text::searchable(searched.into_iter().flatten()),
        }
    }

    fn read(self) -> Result<AuditRecord, StoreError> {
        Ok(AuditRecord {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("id"))?,
            at: self.happened_at.into(),
            event: Event::parse(&self.event).ok_or_else(|| corrupt("code"))?,
            actor: self.actor,
            actor_id: self.actor_id.as_deref().map(account_rows::parse_id).transpose()?,
            account: self.account,
            account_id: self.account_id.as_deref().map(account_rows::parse_id).transpose()?,
            session_id: self
                .session_id
                .map(|id| Uuid::parse_str(&id).map(SessionId).map_err(|_| corrupt("session")))
                .transpose()?,
            ip: self
                .ip
                .map(|ip| ip.parse().map_err(|_| corrupt("address")))
                .transpose()?,
            user_agent: self.user_agent,
            application: self.application,
            outcome: EventOutcome::parse(&self.outcome).ok_or_else(|| corrupt("outcome"))?,
            reason: self.reason,
            detail: serde_json::from_str(&self.detail).map_err(|_| corrupt("detail"))?,
            request_id: self.request_id,
        })
    }
}

/// Inserts an entry. `id` is a version 7 UUID with about the time of `at`, so that rows of one
/// instant keep their order.
pub fn insert(c: &mut Conn, id: Uuid, at: Timestamp, entry: &AuditEntry) -> Result<(), StoreError> {
    diesel::insert_into(audit::table)
        .values(AuditRow::from_entry(id, at, entry))
        .execute(c.db())?;
    Ok(())
}

/// Works like [`insert`], for several entries in one statement.
pub fn insert_many<'a>(
    c: &mut Conn,
    entries: impl IntoIterator<Item = (Uuid, Timestamp, &'a AuditEntry)>,
) -> Result<(), StoreError> {
    let rows: Vec<AuditRow> = entries
        .into_iter()
        .map(|(id, at, entry)| AuditRow::from_entry(id, at, entry))
        .collect();
    insert_rows!(c.db(), audit::table, rows)
}

/// The time of an event, and its ID.
type AuditPosition = (Timestamp, Uuid);
type AuditSelect = audit::BoxedQuery<'static, MultiBackend>;

/// Returns a query for the filter's rows, without the text search and paging.
fn select_matching(c: &mut Conn, filter: &AuditFilter) -> Result<AuditSelect, StoreError> {
    let mut rows = audit::table.into_boxed::<MultiBackend>();
    let codes = |events: &[Event]| events.iter().map(|event| event.as_str()).collect::<Vec<&'static str>>();
    match filter.events.as_slice() {
        [] => {}
        // "=" keeps the index in time order, IN does not.
        [event] => rows = rows.filter(audit::event.eq(event.as_str())),
        events => rows = rows.filter(audit::event.eq_any(codes(events))),
    }
    if !filter.exclude_events.is_empty() {
        rows = rows.filter(audit::event.ne_all(codes(&filter.exclude_events)));
    }
    if let Some(actor) = &filter.actor {
        rows = rows.filter(audit::actor_key.eq(text::fold(actor.trim())));
    }
    if let Some(account) = &filter.account {
        rows = rows.filter(audit::account_key.eq(text::fold(account.trim())));
    }
    if let Some(id) = filter.account_id {
        rows = rows.filter(audit::account_id.eq(id.0.to_string()));
    }
    if let Some(id) = filter.session {
        rows = rows.filter(audit::session_id.eq(id.0.to_string()));
    }
    match filter.outcome {
        None => {}
        Some(EventOutcome::Success) => rows = rows.filter(audit::outcome.eq(EventOutcome::Success.as_str())),
        // This is exactly the condition of the index; a bound value would hide it from the
        // planners.
        Some(EventOutcome::Failure) => rows = rows.filter(sql::<sql_types::Bool>("outcome = 'failure'")),
    }
    if let Some(since) = filter.since {
        rows = rows.filter(audit::happened_at.ge(StoredInstant::from(since)));
    }
    if let Some(until) = filter.until {
        rows = rows.filter(audit::happened_at.le(StoredInstant::from(until)));
    }
    if let Some(network) = filter.network {
        let (first, last) = network::sort_range(network);
        let inside = audit::table.filter(audit::ip_key.between(first.clone(), last.clone()));
        let inside = RowCount(inside.limit(FEW + 1).select(sql::<sql_types::Integer>("1")));
        let column = if inside.get_result::<i64>(c.db())? > FEW {
            not_leading(c.db(), "audit.ip_key", "(audit.ip_key || '')")
        } else {
            "audit.ip_key"
        };
        rows = rows.filter(sql::<sql_types::Nullable<sql_types::Text>>(column).between(first, last));
    }
    Ok(rows)
}

fn newest_first(rows: AuditSelect) -> AuditSelect {
    rows.order((audit::happened_at.desc(), audit::id.desc()))
}

fn older(rows: AuditSelect, than: AuditPosition) -> AuditSelect {
    let (at, id) = (StoredInstant::from(than.0), than.1.to_string());
    newest_first(
        rows.filter(audit::happened_at.le(at))
            .filter(audit::happened_at.lt(at).or(audit::id.lt(id))),
    )
}

fn newer(rows: AuditSelect, than: AuditPosition) -> AuditSelect {
    let (at, id) = (StoredInstant::from(than.0), than.1.to_string());
    rows.filter(audit::happened_at.ge(at))
        .filter(audit::happened_at.gt(at).or(audit::id.gt(id)))
        .order((audit::happened_at.asc(), audit::id.asc()))
}

/// The text of a search, and the place of the oldest row that it reads (`None`: it reads all).
struct Search {
    pattern: String,
    floor: Option<(Timestamp, Uuid)>,
}

fn find_search(c: &mut Conn, filter: &AuditFilter) -> Result<Option<Search>, StoreError> {
    let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let beyond = newest_first(select_matching(c, filter)?)
        .offset(SEARCH_WINDOW)
        .limit(1)
        .select((audit::happened_at, audit::id))
        .first::<(StoredInstant, String)>(c.db())
        .optional()?;
    let floor = match beyond {
        Some((at, id)) => Some((at.into(), Uuid::parse_str(&id).map_err(|_| corrupt("id"))?)),
        None => None,
    };
    Ok(Some(Search {
        pattern: text::containing(text),
        floor,
    }))
}

/// Limits the filter's rows to the search's window.
fn apply_search(c: &mut Conn, filter: &AuditFilter, search: Option<&Search>) -> Result<AuditSelect, StoreError> {
    let mut rows = select_matching(c, filter)?;
    if let Some(Search { pattern, floor }) = search {
        rows = rows.filter(audit::search.like(pattern.clone()).escape('\\'));
        if let Some((at, id)) = floor {
            let (at, id) = (StoredInstant::from(*at), id.to_string());
            rows = rows
                .filter(audit::happened_at.ge(at))
                .filter(audit::happened_at.gt(at).or(audit::id.gt(id)));
        }
    }
    Ok(rows)
}

fn in_direction(rows: AuditSelect, walk: PageDirection<AuditPosition>) -> AuditSelect {
    match walk {
        PageDirection::FromTop => newest_first(rows),
        PageDirection::Older(than) => older(rows, than),
        PageDirection::Newer(than) => newer(rows, than),
    }
}

/// Lists events, newest first.
pub fn list(c: &mut Conn, filter: &AuditFilter) -> Result<Page<AuditRecord>, StoreError> {
    let search = find_search(c, filter)?;
    let place = |row: &AuditRecord| Ok((row.at, row.id));
    let page = keyset::page((filter.after, filter.before), filter.limit, place, |walk, limit| {
        let rows = in_direction(apply_search(c, filter, search.as_ref())?, walk).limit(limit);
        let rows: Vec<AuditListRow> = rows.select(AuditListRow::as_select()).load(c.db())?;
        rows.into_iter().map(AuditListRow::read).collect()
    })?;
    Ok(Page {
        truncated: search.is_some_and(|search| search.floor.is_some()),
        ..page
    })
}

/// Counts events up to `cap`; false: there are more (or a text search did not read all of them).
pub fn count(c: &mut Conn, filter: &AuditFilter, cap: i64) -> Result<(i64, bool), StoreError> {
    let search = find_search(c, filter)?;
    let cap = cap.max(0);
    let rows = apply_search(c, filter, search.as_ref())?
        .limit(cap + 1)
        .select(sql::<sql_types::Integer>("1"));
    let found: i64 = RowCount(rows).get_result(c.db())?;
    let whole = search.is_none_or(|search| search.floor.is_none());
    Ok((found.min(cap), found <= cap && whole))
}

/// Finds an entry by ID.
pub fn find(c: &mut Conn, id: Uuid) -> Result<Option<AuditRecord>, StoreError> {
    let row = audit::table
        .find(id.to_string())
        .select(AuditListRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(AuditListRow::read).transpose()
}

/// Returns the time of the oldest entry.
pub fn find_oldest(c: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<StoredInstant> = audit::table
        .order((audit::happened_at.asc(), audit::id.asc()))
        .select(audit::happened_at)
        .first(c.db())
        .optional()?;
    Ok(at.map(Timestamp::from))
}

/// Lists events about an account, newest first.
pub fn list_recent_of_account(c: &mut Conn, account: AccountId, limit: i64) -> Result<Vec<AuditRecord>, StoreError> {
    let rows = audit::table
        .filter(audit::account_id.eq(account.0.to_string()))
        .order((audit::happened_at.desc(), audit::id.desc()))
        .limit(limit)
        .select(AuditListRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(AuditListRow::read).collect()
}

#[derive(QueryableByName)]
struct HourRow {
    #[diesel(sql_type = sql_types::Text)]
    hour: String,
    #[diesel(sql_type = sql_types::BigInt)]
    happened: i64,
}

/// Counts an event in each full hour since `since`, oldest first, without hours that have none. An
/// entry that stands for several counts as that many.
pub fn count_by_hour(c: &mut Conn, event: Event, since: Timestamp) -> Result<Vec<(Timestamp, i64)>, StoreError> {
    let several = number_in_detail(c.db(), "refusals");
    let hours: Vec<HourRow> = diesel::sql_query(format!(
        "SELECT substr(CAST(happened_at AS TEXT), 1, 13) AS hour, \
         CAST(sum(CASE WHEN detail LIKE '%\"refusals\":%' THEN {several} ELSE 1 END) AS BIGINT) AS happened FROM audit \
         WHERE event = $1 AND happened_at >= $2 GROUP BY substr(CAST(happened_at AS TEXT), 1, 13) ORDER BY 1",
    ))
    .bind::<sql_types::Text, _>(event.as_str())
    .bind::<sql_types::Timestamp, _>(StoredInstant::from(since))
    .load(c.db())?;
    hours
        .into_iter()
        .map(|HourRow { hour, happened }| {
            let start = instant::parse_text(&format!("{hour}:00:00")).ok_or_else(|| corrupt("instant"))?;
            Ok((start, happened))
        })
        .collect()
}
