//! What happened, who did it, from where? Rows are written once and leave only by retention. Lists walk one index from
//! the newest on; a text search looks at a bounded number of rows and says so.
pub mod seals;

use super::{
    Conn, Page, StoreError, accounts as account_rows,
    conn::MultiBackend,
    instant::{self, At},
    keyset::{self, Walk},
    per_backend::{Counted, insert_rows, not_leading, number_in_detail},
    schema::audit,
    text,
};
use crate::domain::{
    account::AccountId,
    audit::{Actor, Entry, Event, Outcome},
    network,
    session::SessionId,
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, QueryableByName, RunQueryDsl, Selectable, SelectableHelper, TextExpressionMethods, dsl::sql, sql_types,
};
use ipnetwork::IpNetwork;
use std::net::IpAddr;
use uuid::Uuid;

/// Rows that a text search looks at.
const SEARCH_WINDOW: i64 = 50_000;
/// A network that matches no more rows than this is answered from the index over addresses, a wider one by walking
/// the audit from the newest row on.
const FEW: i64 = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    pub id: Uuid,
    pub at: Timestamp,
    pub event: Event,
    /// A name, `anonymous`, `system` or `cli:user`; only with `actor_id` it is an account.
    pub actor: String,
    pub actor_id: Option<AccountId>,
    pub account: Option<String>,
    pub account_id: Option<AccountId>,
    pub session_id: Option<SessionId>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub application: Option<String>,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub detail: serde_json::Value,
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Any of these; empty: all.
    pub events: Vec<Event>,
    pub exclude_events: Vec<Event>,
    /// The whole name, whatever the case.
    pub actor: Option<String>,
    /// The whole name, whatever the case.
    pub account: Option<String>,
    pub account_id: Option<AccountId>,
    pub session: Option<SessionId>,
    pub network: Option<IpNetwork>,
    pub outcome: Option<Outcome>,
    /// Both inclusive.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Within actor, account, address, user agent, application, reason, event code or request id, whatever the case.
    pub text: Option<String>,
    pub after: Option<(Timestamp, Uuid)>,
    pub before: Option<(Timestamp, Uuid)>,
    pub limit: i64,
}

impl AuditRow {
    /// The row that [`insert`] writes of an entry.
    pub fn new(id: Uuid, at: Timestamp, entry: &Entry) -> AuditRow {
        let (actor, actor_id) = actor_of(&entry.actor);
        AuditRow {
            id,
            at,
            event: entry.event,
            actor,
            actor_id,
            account: entry.account.as_ref().map(|(_, name)| name.clone()),
            account_id: entry.account.as_ref().and_then(|(id, _)| *id),
            session_id: entry.session,
            ip: entry.origin.ip,
            user_agent: entry.origin.user_agent.clone(),
            application: entry.application.clone(),
            outcome: entry.outcome,
            reason: entry.reason.clone(),
            detail: entry.detail.clone(),
            request_id: entry.origin.request_id.clone(),
        }
    }

    /// The members of [`AuditRow::to_json`], the columns of exports.
    pub const FIELDS: &[&str] = &[
        "id",
        "at",
        "event",
        "actor",
        "account",
        "session_id",
        "ip",
        "user_agent",
        "application",
        "outcome",
        "reason",
        "detail",
        "request_id",
    ];

    /// The shape of `audit list --json` and of the security log.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "at": self.at.to_rfc3339(),
            "event": self.event.as_str(),
            "actor": self.actor,
            "account": self.account,
            "session_id": self.session_id.map(|id| id.0),
            "ip": self.ip,
            "user_agent": self.user_agent,
            "application": self.application,
            "outcome": self.outcome.as_str(),
            "reason": self.reason,
            "detail": self.detail,
            "request_id": self.request_id,
        })
    }
}

impl AuditFilter {
    /// What was asked for, for the record of an export.
    pub fn describe(&self) -> serde_json::Value {
        serde_json::json!({
            "events": self.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
            "exclude_events": self.exclude_events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
            "actor": self.actor,
            "account": self.account,
            "account_id": self.account_id.map(|id| id.0),
            "session_id": self.session.map(|id| id.0),
            "network": self.network.map(|network| network.to_string()),
            "outcome": self.outcome.map(|outcome| outcome.as_str()),
            "since": self.since.map(|at| at.to_rfc3339()),
            "until": self.until.map(|at| at.to_rfc3339()),
            "text": self.text,
        })
    }
}

/// How an actor is written: a name, `anonymous`, `system` or `cli:user`.
fn actor_of(actor: &Actor) -> (String, Option<AccountId>) {
    match actor {
        Actor::Account { id, name } => (name.clone(), Some(*id)),
        Actor::Anonymous => ("anonymous".to_owned(), None),
        Actor::System => ("system".to_owned(), None),
        Actor::Cli { user } => (format!("cli:{user}"), None),
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
struct Record {
    id: String,
    happened_at: At,
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

/// What a page reads: without the columns that only searching needs.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct Shown {
    id: String,
    happened_at: At,
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

fn clean(text: Option<&str>) -> Option<String> {
    text.map(|text| text::clean(text).into_owned())
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an audit event's {what}"))
}

impl Record {
    fn of(id: Uuid, at: Timestamp, entry: &Entry) -> Record {
        let (actor, actor_id) = actor_of(&entry.actor);
        let actor_id = actor_id.map(|id| id.0.to_string());
        let account = entry.account.as_ref().map(|(_, name)| name.as_str());
        let ip = entry.origin.ip.map(|ip| ip.to_string());
        let searched = [
            Some(actor.as_str()),
            account,
            Some(entry.event.as_str()),
            ip.as_deref(),
            entry.application.as_deref(),
            entry.reason.as_deref(),
            entry.origin.user_agent.as_deref(),
            entry.origin.request_id.as_deref(),
        ];
        let search = text::searchable(searched.into_iter().flatten());
        Record {
            id: id.to_string(),
            happened_at: at.into(),
            event: entry.event.as_str().to_owned(),
            actor_key: text::fold(&actor),
            actor: text::clean(&actor).into_owned(),
            actor_id,
            account: clean(account),
            account_key: account.map(text::fold),
            account_id: entry.account.as_ref().and_then(|(id, _)| id.map(|id| id.0.to_string())),
            session_id: entry.session.map(|id| id.0.to_string()),
            ip,
            ip_key: entry.origin.ip.map(network::sort_key),
            user_agent: clean(entry.origin.user_agent.as_deref()),
            application: clean(entry.application.as_deref()),
            outcome: entry.outcome.as_str().to_owned(),
            reason: clean(entry.reason.as_deref()),
            detail: entry.detail.to_string(),
            request_id: clean(entry.origin.request_id.as_deref()),
            search,
        }
    }
}

impl Shown {
    fn read(self) -> Result<AuditRow, StoreError> {
        Ok(AuditRow {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("id"))?,
            at: self.happened_at.into(),
            event: Event::parse(&self.event).ok_or_else(|| corrupt("code"))?,
            actor: self.actor,
            actor_id: self.actor_id.as_deref().map(account_rows::id_of).transpose()?,
            account: self.account,
            account_id: self.account_id.as_deref().map(account_rows::id_of).transpose()?,
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
            outcome: Outcome::parse(&self.outcome).ok_or_else(|| corrupt("outcome"))?,
            reason: self.reason,
            detail: serde_json::from_str(&self.detail).map_err(|_| corrupt("detail"))?,
            request_id: self.request_id,
        })
    }
}

/// `id` is a version 7 UUID of about `at`, so that rows of one instant keep their order.
pub fn insert(c: &mut Conn, id: Uuid, at: Timestamp, entry: &Entry) -> Result<(), StoreError> {
    diesel::insert_into(audit::table)
        .values(Record::of(id, at, entry))
        .execute(c.db())?;
    Ok(())
}

/// As [`insert`], in one statement.
pub fn insert_many<'a>(
    c: &mut Conn,
    entries: impl IntoIterator<Item = (Uuid, Timestamp, &'a Entry)>,
) -> Result<(), StoreError> {
    let rows: Vec<Record> = entries
        .into_iter()
        .map(|(id, at, entry)| Record::of(id, at, entry))
        .collect();
    insert_rows!(c.db(), audit::table, rows)
}

/// When it happened, and id.
type Place = (Timestamp, Uuid);
type Boxed = audit::BoxedQuery<'static, MultiBackend>;

/// The filter's rows, text aside, wherever in the list.
fn matching(c: &mut Conn, filter: &AuditFilter) -> Result<Boxed, StoreError> {
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
        Some(Outcome::Success) => rows = rows.filter(audit::outcome.eq(Outcome::Success.as_str())),
        // Word for word the index's condition: a bound word would hide it from the planners.
        Some(Outcome::Failure) => rows = rows.filter(sql::<sql_types::Bool>("outcome = 'failure'")),
    }
    if let Some(since) = filter.since {
        rows = rows.filter(audit::happened_at.ge(At::from(since)));
    }
    if let Some(until) = filter.until {
        rows = rows.filter(audit::happened_at.le(At::from(until)));
    }
    if let Some(network) = filter.network {
        let (first, last) = network::sort_range(network);
        let inside = audit::table.filter(audit::ip_key.between(first.clone(), last.clone()));
        let inside = Counted(inside.limit(FEW + 1).select(sql::<sql_types::Integer>("1")));
        let column = if inside.get_result::<i64>(c.db())? > FEW {
            not_leading(c.db(), "audit.ip_key", "(audit.ip_key || '')")
        } else {
            "audit.ip_key"
        };
        rows = rows.filter(sql::<sql_types::Nullable<sql_types::Text>>(column).between(first, last));
    }
    Ok(rows)
}

fn newest_first(rows: Boxed) -> Boxed {
    rows.order((audit::happened_at.desc(), audit::id.desc()))
}

fn older(rows: Boxed, than: Place) -> Boxed {
    let (at, id) = (At::from(than.0), than.1.to_string());
    newest_first(
        rows.filter(audit::happened_at.le(at))
            .filter(audit::happened_at.lt(at).or(audit::id.lt(id))),
    )
}

fn newer(rows: Boxed, than: Place) -> Boxed {
    let (at, id) = (At::from(than.0), than.1.to_string());
    rows.filter(audit::happened_at.ge(at))
        .filter(audit::happened_at.gt(at).or(audit::id.gt(id)))
        .order((audit::happened_at.asc(), audit::id.asc()))
}

/// The text searched for, and the place of the oldest row that is looked at (none: all of them are).
struct Search {
    pattern: String,
    floor: Option<(Timestamp, Uuid)>,
}

fn search_of(c: &mut Conn, filter: &AuditFilter) -> Result<Option<Search>, StoreError> {
    let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let beyond = newest_first(matching(c, filter)?)
        .offset(SEARCH_WINDOW)
        .limit(1)
        .select((audit::happened_at, audit::id))
        .first::<(At, String)>(c.db())
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

/// The filter's rows within the search's window.
fn searched(c: &mut Conn, filter: &AuditFilter, search: Option<&Search>) -> Result<Boxed, StoreError> {
    let mut rows = matching(c, filter)?;
    if let Some(Search { pattern, floor }) = search {
        rows = rows.filter(audit::search.like(pattern.clone()).escape('\\'));
        if let Some((at, id)) = floor {
            let (at, id) = (At::from(*at), id.to_string());
            rows = rows
                .filter(audit::happened_at.ge(at))
                .filter(audit::happened_at.gt(at).or(audit::id.gt(id)));
        }
    }
    Ok(rows)
}

fn walked(rows: Boxed, walk: Walk<Place>) -> Boxed {
    match walk {
        Walk::FromTop => newest_first(rows),
        Walk::Older(than) => older(rows, than),
        Walk::Newer(than) => newer(rows, than),
    }
}

/// Newest first.
pub fn list(c: &mut Conn, filter: &AuditFilter) -> Result<Page<AuditRow>, StoreError> {
    let search = search_of(c, filter)?;
    let place = |row: &AuditRow| Ok((row.at, row.id));
    let page = keyset::page((filter.after, filter.before), filter.limit, place, |walk, limit| {
        let rows = walked(searched(c, filter, search.as_ref())?, walk).limit(limit);
        let rows: Vec<Shown> = rows.select(Shown::as_select()).load(c.db())?;
        rows.into_iter().map(Shown::read).collect()
    })?;
    Ok(Page {
        truncated: search.is_some_and(|search| search.floor.is_some()),
        ..page
    })
}

/// How many, at most `cap`; false: there are more (or a text search did not look at all of them).
pub fn count(c: &mut Conn, filter: &AuditFilter, cap: i64) -> Result<(i64, bool), StoreError> {
    let search = search_of(c, filter)?;
    let cap = cap.max(0);
    let rows = searched(c, filter, search.as_ref())?
        .limit(cap + 1)
        .select(sql::<sql_types::Integer>("1"));
    let found: i64 = Counted(rows).get_result(c.db())?;
    let whole = search.is_none_or(|search| search.floor.is_none());
    Ok((found.min(cap), found <= cap && whole))
}

pub fn find(c: &mut Conn, id: Uuid) -> Result<Option<AuditRow>, StoreError> {
    let row = audit::table
        .find(id.to_string())
        .select(Shown::as_select())
        .first(c.db())
        .optional()?;
    row.map(Shown::read).transpose()
}

/// When the oldest entry happened.
pub fn oldest(c: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<At> = audit::table
        .order((audit::happened_at.asc(), audit::id.asc()))
        .select(audit::happened_at)
        .first(c.db())
        .optional()?;
    Ok(at.map(Timestamp::from))
}

/// What concerns an account, newest first.
pub fn recent_of_account(c: &mut Conn, account: AccountId, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
    let rows = audit::table
        .filter(audit::account_id.eq(account.0.to_string()))
        .order((audit::happened_at.desc(), audit::id.desc()))
        .limit(limit)
        .select(Shown::as_select())
        .load(c.db())?;
    rows.into_iter().map(Shown::read).collect()
}

#[derive(QueryableByName)]
struct Hour {
    #[diesel(sql_type = sql_types::Text)]
    hour: String,
    #[diesel(sql_type = sql_types::BigInt)]
    happened: i64,
}

/// How often an event happened in each full hour since `since`, oldest first; hours without it are left out. An entry that stands for
/// several counts as many.
pub fn hourly(c: &mut Conn, event: Event, since: Timestamp) -> Result<Vec<(Timestamp, i64)>, StoreError> {
    let several = number_in_detail(c.db(), "refusals");
    let hours: Vec<Hour> = diesel::sql_query(format!(
        "SELECT substr(CAST(happened_at AS TEXT), 1, 13) AS hour, \
         CAST(sum(CASE WHEN detail LIKE '%\"refusals\":%' THEN {several} ELSE 1 END) AS BIGINT) AS happened FROM audit \
         WHERE event = $1 AND happened_at >= $2 GROUP BY substr(CAST(happened_at AS TEXT), 1, 13) ORDER BY 1",
    ))
    .bind::<sql_types::Text, _>(event.as_str())
    .bind::<sql_types::Timestamp, _>(At::from(since))
    .load(c.db())?;
    hours
        .into_iter()
        .map(|Hour { hour, happened }| {
            let start = instant::parse_text(&format!("{hour}:00:00")).ok_or_else(|| corrupt("instant"))?;
            Ok((start, happened))
        })
        .collect()
}
