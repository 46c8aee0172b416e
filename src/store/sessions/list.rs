//! The session list: keyset pages, counts and IDs with one filter, so that the three agree. Each
//! filter is probed first: one that matches few rows is answered from its own index and sorted, a
//! wide one by walking the sessions in list order, which soon fills a page. Neither database finds
//! the better way reliably.
use super::{
    attach_details,
    rows::{SessionRow, key_of, parse_id},
};
use crate::{
    domain::{
        account::{AccountId, Role},
        list::Page,
        network,
        session::{AccountSession, SessionCursor, SessionFilter, SessionId, SessionListState},
        source::{LOCAL, SourceId},
        time::Timestamp,
    },
    store::{
        Conn, StoreError, accounts as account_rows,
        conn::MultiBackend,
        instant::StoredInstant,
        keyset::{self, PageDirection},
        per_backend::{RowCount, not_leading},
        schema::{accounts, session_applications, sessions, sources},
        text,
    },
};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl,
    RunQueryDsl, SelectableHelper, TextExpressionMethods,
    dsl::{exists, sql},
    sql_types::{Bool, Integer, Text},
};
use std::collections::HashMap;

/// Number of rows that can be collected and sorted cheaply.
pub(super) const FEW: i64 = 1000;
const FEW_ACCOUNTS: i64 = 1000;

/// A condition that repeats the flagged state, so that its own index is used: SQLite would
/// otherwise walk all live sessions in the order of activity.
const FLAGGED: &str = "sessions.id IN (SELECT id FROM sessions WHERE ended_at IS NULL AND network_changes > 0)";

type SessionSelect = sessions::BoxedQuery<'static, MultiBackend>;
/// A [`SessionCursor`] in the database's format.
type SessionPosition = (StoredInstant, String);
type OwnerSelect = accounts::BoxedQuery<'static, MultiBackend>;

/// A run of sessions in the order of an index; the list of all sessions merges two runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IndexRun {
    Live,
    Flagged,
    EndedByEnd,
    EndedByActivity,
}

impl IndexRun {
    /// Returns the runs that a list of this state merges.
    fn for_state(state: SessionListState) -> &'static [IndexRun] {
        match state {
            SessionListState::Active => &[IndexRun::Live],
            SessionListState::Flagged => &[IndexRun::Flagged],
            SessionListState::Ended => &[IndexRun::EndedByEnd],
            SessionListState::All => &[IndexRun::Live, IndexRun::EndedByActivity],
        }
    }

    fn is_live(self) -> bool {
        match self {
            IndexRun::Live | IndexRun::Flagged => true,
            IndexRun::EndedByEnd | IndexRun::EndedByActivity => false,
        }
    }

    fn select_rows(self) -> SessionSelect {
        let all = sessions::table.into_boxed::<MultiBackend>();
        match self {
            IndexRun::Live => all.filter(sessions::ended_at.is_null()),
            // This is exactly the condition of the index; bound zeros would hide it from the
            // planners.
            IndexRun::Flagged => all
                .filter(sessions::ended_at.is_null())
                .filter(sql::<Bool>("network_changes > 0")),
            IndexRun::EndedByEnd | IndexRun::EndedByActivity => all.filter(sessions::ended_at.is_not_null()),
        }
    }

    fn newest_first(self, rows: SessionSelect) -> SessionSelect {
        match self {
            IndexRun::EndedByEnd => rows.order((sessions::ended_at.desc(), sessions::id.desc())),
            IndexRun::Live | IndexRun::Flagged | IndexRun::EndedByActivity => {
                rows.order((sessions::last_active_at.desc(), sessions::id.desc()))
            }
        }
    }

    fn older(self, rows: SessionSelect, than: SessionCursor) -> SessionSelect {
        let (at, id) = (StoredInstant::from(than.at), key_of(than.id));
        let rows = match self {
            IndexRun::EndedByEnd => rows
                .filter(sessions::ended_at.le(at))
                .filter(sessions::ended_at.lt(at).or(sessions::id.nullable().lt(id))),
            IndexRun::Live | IndexRun::Flagged | IndexRun::EndedByActivity => rows
                .filter(sessions::last_active_at.le(at))
                .filter(sessions::last_active_at.lt(at).or(sessions::id.lt(id))),
        };
        self.newest_first(rows)
    }

    fn newer(self, rows: SessionSelect, than: SessionCursor) -> SessionSelect {
        let (at, id) = (StoredInstant::from(than.at), key_of(than.id));
        match self {
            IndexRun::EndedByEnd => rows
                .filter(sessions::ended_at.ge(at))
                .filter(sessions::ended_at.gt(at).or(sessions::id.nullable().gt(id)))
                .order((sessions::ended_at.asc(), sessions::id.asc())),
            IndexRun::Live | IndexRun::Flagged | IndexRun::EndedByActivity => rows
                .filter(sessions::last_active_at.ge(at))
                .filter(sessions::last_active_at.gt(at).or(sessions::id.gt(id)))
                .order((sessions::last_active_at.asc(), sessions::id.asc())),
        }
    }

    /// Returns the positions of the rows in the list, which an index alone can answer.
    fn load_positions(self, c: &mut Conn, rows: SessionSelect) -> Result<Vec<SessionPosition>, StoreError> {
        Ok(match self {
            IndexRun::EndedByEnd => rows
                .select((sessions::ended_at.assume_not_null(), sessions::id))
                .load(c.db())?,
            IndexRun::Live | IndexRun::Flagged | IndexRun::EndedByActivity => {
                rows.select((sessions::last_active_at, sessions::id)).load(c.db())?
            }
        })
    }
}

/// The owners: a few accounts by ID, or a condition on accounts.
enum OwnerCondition {
    Anybodys,
    Few(Vec<String>),
    /// Members: everyone except the few administrators.
    AllBut(Vec<String>),
    Many,
}

/// The results of a filter's probes.
struct ListPlan {
    whose: OwnerCondition,
    /// The live sessions that entered the application, if there are few.
    few_in_application: Option<Vec<String>>,
    /// Whether few live sessions are flagged.
    few_flagged: bool,
    /// Whether the rows are walked in list order, and not counted.
    in_order: bool,
}

fn searched_text(filter: &SessionFilter) -> Option<&str> {
    filter.text.as_deref().filter(|text| !text.trim().is_empty())
}

/// Returns a query for the accounts that match text and role.
fn select_owners(filter: &SessionFilter) -> OwnerSelect {
    let mut rows = accounts::table.into_boxed::<MultiBackend>();
    if let Some(text) = searched_text(filter) {
        rows = rows.filter(accounts::search.like(text::containing(text)).escape('\\'));
    }
    if let Some(role) = filter.role {
        rows = rows.filter(accounts::role.eq(role.as_str()));
    }
    match filter.source.as_deref() {
        Some(source) => account_rows::restrict_to_source(rows, source),
        None => rows,
    }
}

/// Adds [`select_owners`] as a condition on sessions. (A boxed query for two dialects cannot be
/// nested in another one.)
fn restrict_to_owners(mut rows: SessionSelect, column: &'static str, filter: &SessionFilter) -> SessionSelect {
    if let Some(text) = searched_text(filter) {
        let named = accounts::table.filter(accounts::search.like(text::containing(text)).escape('\\'));
        rows = rows.filter(sql::<Text>(column).eq_any(named.select(accounts::id)));
    }
    if let Some(role) = filter.role {
        let holders = accounts::table.filter(accounts::role.eq(role.as_str()));
        rows = rows.filter(sql::<Text>(column).eq_any(holders.select(accounts::id)));
    }
    match filter.source.as_deref() {
        None => {}
        Some(LOCAL) => {
            let local = accounts::table.filter(accounts::source_id.is_null());
            rows = rows.filter(sql::<Text>(column).eq_any(local.select(accounts::id)));
        }
        Some(name) => {
            let named = sources::table.filter(sources::name.eq(text::clean(name).into_owned()));
            let theirs = accounts::table.filter(accounts::source_id.eq_any(named.select(sources::id.nullable())));
            rows = rows.filter(sql::<Text>(column).eq_any(theirs.select(accounts::id)));
        }
    }
    rows
}

fn find_owners(c: &mut Conn, filter: &SessionFilter) -> Result<OwnerCondition, StoreError> {
    let mut few = |rows: OwnerSelect| -> Result<Option<Vec<String>>, StoreError> {
        let ids: Vec<String> = rows.limit(FEW_ACCOUNTS + 1).select(accounts::id).load(c.db())?;
        Ok((ids.len() as i64 <= FEW_ACCOUNTS).then_some(ids))
    };
    match (searched_text(filter), filter.role, &filter.source) {
        (None, None, None) => return Ok(OwnerCondition::Anybodys),
        (None, Some(Role::Member), None) => {
            let administrators = SessionFilter {
                role: Some(Role::Administrator),
                ..SessionFilter::default()
            };
            if let Some(ids) = few(select_owners(&administrators))? {
                return Ok(OwnerCondition::AllBut(ids));
            }
        }
        (Some(_), _, _) | (None, _, Some(_)) | (None, Some(Role::Administrator), None) => {}
    }
    Ok(few(select_owners(filter))?.map_or(OwnerCondition::Many, OwnerCondition::Few))
}

fn make_plan(c: &mut Conn, filter: &SessionFilter, in_order: bool) -> Result<ListPlan, StoreError> {
    let whose = find_owners(c, filter)?;
    let few_in_application = match &filter.application {
        None => None,
        Some(application) => {
            let entered: Vec<String> = session_applications::table
                .filter(session_applications::application.eq(text::clean(application).into_owned()))
                .filter(session_applications::live)
                .limit(FEW + 1)
                .select(session_applications::session_id)
                .load(c.db())?;
            (entered.len() as i64 <= FEW).then_some(entered)
        }
    };
    let few_flagged = filter.state == SessionListState::Flagged && in_order && {
        let flagged = IndexRun::Flagged
            .select_rows()
            .limit(FEW + 1)
            .select(sql::<Integer>("1"));
        RowCount(flagged).get_result::<i64>(c.db())? <= FEW
    };
    Ok(ListPlan {
        whose,
        few_in_application,
        few_flagged,
        in_order,
    })
}

/// Returns a query for the filter's rows of one run, without paging.
fn select_matching(
    c: &mut Conn,
    run: IndexRun,
    filter: &SessionFilter,
    plan: &ListPlan,
) -> Result<SessionSelect, StoreError> {
    let mut rows = run.select_rows();
    if plan.few_flagged {
        rows = rows.filter(sql::<Bool>(FLAGGED));
    }
    if let Some(account) = filter.account {
        rows = rows.filter(sessions::account_id.eq(account.0.to_string()));
    }
    match &plan.whose {
        OwnerCondition::Anybodys => {}
        OwnerCondition::Few(ids) => rows = rows.filter(sessions::account_id.eq_any(ids.clone())),
        OwnerCondition::AllBut(ids) => rows = rows.filter(sessions::account_id.ne_all(ids.clone())),
        OwnerCondition::Many if plan.in_order => {
            let column = not_leading(c.db(), "sessions.account_id", "(sessions.account_id || '')");
            rows = restrict_to_owners(rows, column, filter);
        }
        OwnerCondition::Many => rows = restrict_to_owners(rows, "sessions.account_id", filter),
    }
    match (&filter.application, &plan.few_in_application) {
        (None, _) => {}
        (Some(_), Some(ids)) if run.is_live() => rows = rows.filter(sessions::id.eq_any(ids.clone())),
        (Some(application), _) => {
            let entered = session_applications::table
                .filter(session_applications::session_id.eq(sessions::id))
                .filter(session_applications::application.eq(text::clean(application).into_owned()));
            rows = rows.filter(exists(entered));
        }
    }
    if let Some(network) = filter.network {
        let (first, last) = network::sort_range(network);
        let inside = run
            .select_rows()
            .filter(sessions::ip_key.between(first.clone(), last.clone()));
        let column = if plan.in_order
            && RowCount(inside.limit(FEW + 1).select(sql::<Integer>("1"))).get_result::<i64>(c.db())? > FEW
        {
            not_leading(c.db(), "sessions.ip_key", "(sessions.ip_key || '')")
        } else {
            "sessions.ip_key"
        };
        rows = rows.filter(sql::<Text>(column).between(first, last));
    }
    if let Some(reason) = filter.end_reason {
        rows = rows.filter(sessions::end_reason.eq(reason.as_str()));
    }
    if let Some(since) = filter.ended_since {
        rows = rows.filter(sessions::ended_at.ge(StoredInstant::from(since)));
    }
    if let Some(until) = filter.ended_until {
        rows = rows.filter(sessions::ended_at.le(StoredInstant::from(until)));
    }
    if let Some(instant) = filter.idle_longer_than {
        rows = rows.filter(sessions::last_active_at.lt(StoredInstant::from(instant)));
    }
    Ok(rows)
}

/// Returns up to `limit` positions of all runs from a position on, in the direction of the walk.
fn load_page(
    c: &mut Conn,
    filter: &SessionFilter,
    plan: &ListPlan,
    way: PageDirection<SessionCursor>,
    limit: i64,
) -> Result<Vec<SessionPosition>, StoreError> {
    let mut found: Vec<SessionPosition> = Vec::new();
    for run in IndexRun::for_state(filter.state) {
        let rows = select_matching(c, *run, filter, plan)?;
        let rows = match way {
            PageDirection::FromTop => run.newest_first(rows),
            PageDirection::Older(cursor) => run.older(rows, cursor),
            PageDirection::Newer(cursor) => run.newer(rows, cursor),
        };
        found.extend(run.load_positions(c, rows.limit(limit))?);
    }
    if IndexRun::for_state(filter.state).len() > 1 {
        found.sort_unstable();
        if !matches!(way, PageDirection::Newer(_)) {
            found.reverse();
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(found)
}

/// Lists sessions without tokens, newest activity first (ended ones: latest end first).
pub fn list(c: &mut Conn, filter: &SessionFilter) -> Result<Page<AccountSession>, StoreError> {
    let plan = make_plan(c, filter, true)?;
    let Page {
        items,
        newer,
        older,
        truncated,
    } = keyset::page(
        (filter.after, filter.before),
        filter.limit,
        parse_position,
        |way, limit| load_page(c, filter, &plan, way, limit),
    )?;
    let rows = load_rows(c, &items)?;
    Ok(Page {
        items: attach_accounts(c, rows)?,
        newer,
        older,
        truncated,
    })
}

fn parse_position((at, id): &SessionPosition) -> Result<SessionCursor, StoreError> {
    Ok(SessionCursor {
        at: Timestamp::from(*at),
        id: parse_id(id)?,
    })
}

/// Returns the rows at these positions, in the same order, without those that were just deleted.
fn load_rows(c: &mut Conn, places: &[SessionPosition]) -> Result<Vec<SessionRow>, StoreError> {
    let mut rows: HashMap<String, SessionRow> = HashMap::new();
    for places in places.chunks(500) {
        let found: Vec<SessionRow> = sessions::table
            .filter(sessions::id.eq_any(places.iter().map(|(_, id)| id)))
            .select(SessionRow::as_select())
            .load(c.db())?;
        rows.extend(found.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(places.iter().filter_map(|(_, id)| rows.remove(id)).collect())
}

pub(super) fn attach_accounts(c: &mut Conn, rows: Vec<SessionRow>) -> Result<Vec<AccountSession>, StoreError> {
    let mut wanted: Vec<String> = rows.iter().map(|row| row.account_id.clone()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut known: HashMap<AccountId, (String, Role, Option<SourceId>)> = HashMap::new();
    for ids in wanted.chunks(500) {
        let named: Vec<(String, String, String, Option<String>)> = accounts::table
            .filter(accounts::id.eq_any(ids))
            .select((accounts::id, accounts::name, accounts::role, accounts::source_id))
            .load(c.db())?;
        for (id, name, role, source) in named {
            let source = source.as_deref().map(account_rows::parse_source_id).transpose()?;
            let facts = (name, account_rows::parse_role(&role)?, source);
            known.insert(account_rows::parse_id(&id)?, facts);
        }
    }
    // An account that was deleted between the two statements took its sessions along.
    Ok(attach_details(c, rows, false)?
        .into_iter()
        .filter_map(|session| {
            let (name, role, source) = known.get(&session.account_id)?.clone();
            Some(AccountSession {
                session,
                account_name: name,
                role,
                source,
            })
        })
        .collect())
}

/// Counts the rows that the filter matches, without cursors and limit.
pub fn count(c: &mut Conn, filter: &SessionFilter) -> Result<i64, StoreError> {
    if let Some(counted) = count_in_application(c, filter)? {
        return Ok(counted);
    }
    let plan = make_plan(c, filter, false)?;
    let mut total = 0;
    for run in IndexRun::for_state(filter.state) {
        total += select_matching(c, *run, filter, &plan)?
            .count()
            .get_result::<i64>(c.db())?;
    }
    Ok(total)
}

/// Counts like [`count`], but not beyond `cap`; false: there are more.
pub fn count_up_to(c: &mut Conn, filter: &SessionFilter, cap: i64) -> Result<(i64, bool), StoreError> {
    let plan = make_plan(c, filter, false)?;
    let mut total = 0;
    for run in IndexRun::for_state(filter.state) {
        let rows = select_matching(c, *run, filter, &plan)?
            .limit(cap.max(0) + 1)
            .select(sql::<Integer>("1"));
        total += RowCount(rows).get_result::<i64>(c.db())?;
    }
    Ok((total.min(cap), total <= cap))
}

/// Counts the live sessions of one application in its own index.
fn count_in_application(c: &mut Conn, filter: &SessionFilter) -> Result<Option<i64>, StoreError> {
    let SessionFilter {
        account: None,
        network: None,
        application: Some(application),
        role: None,
        source: None,
        state: SessionListState::Active,
        idle_longer_than: None,
        end_reason: None,
        ended_since: None,
        ended_until: None,
        text: _,
        after: _,
        before: _,
        limit: _,
    } = filter
    else {
        return Ok(None);
    };
    if searched_text(filter).is_some() {
        return Ok(None);
    }
    let live = session_applications::table
        .filter(session_applications::application.eq(text::clean(application).into_owned()))
        .filter(session_applications::live);
    Ok(Some(live.count().get_result(c.db())?))
}

/// Lists the first `limit` IDs of the filter in list order, without cursors: the meaning of "all
/// matching".
pub fn list_ids(c: &mut Conn, filter: &SessionFilter, limit: i64) -> Result<Vec<SessionId>, StoreError> {
    let plan = make_plan(c, filter, true)?;
    let places = load_page(c, filter, &plan, PageDirection::FromTop, limit.max(0))?;
    places.iter().map(|(_, id)| parse_id(id)).collect()
}
