//! Which sessions does the screen show? Keyset pages, counts and ids under one filter, so that the three agree. Each
//! filter is first probed: one that matches few rows is answered from its own index and sorted, a wide one by walking
//! the sessions in list order, where a page is soon full. Neither database finds that out reliably by itself.
use super::{Record, Session, complete, id_of, key};
use crate::{
    domain::{
        account::{AccountId, Role},
        network,
        session::SessionId,
        time::Timestamp,
    },
    store::{
        Conn, Page, StoreError, accounts as account_rows,
        conn::MultiBackend,
        instant::At,
        keyset::{self, Walk},
        per_backend::{Counted, not_leading},
        schema::{accounts, session_applications, sessions},
        text,
    },
};
use diesel::{
    BoolExpressionMethods, EscapeExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl,
    RunQueryDsl, SelectableHelper, TextExpressionMethods,
    dsl::{exists, sql},
    sql_types::{Bool, Integer, Text},
};
use ipnetwork::IpNetwork;
use std::collections::HashMap;

/// As many rows are collected and sorted without regret.
pub(super) const FEW: i64 = 1000;
const FEW_ACCOUNTS: i64 = 1000;

/// The flagged ones once more, from their own index: in the order of activity SQLite would walk all live ones.
const FLAGGED: &str = "sessions.id IN (SELECT id FROM sessions WHERE ended_at IS NULL \
     AND (network_changes > 0 OR user_agent_mismatches > 0))";

/// A place in the list: last activity (of a list of ended sessions: the end) and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: Timestamp,
    pub id: SessionId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListState {
    #[default]
    Active,
    /// Latest end first.
    Ended,
    /// Live, and something changed or did not match.
    Flagged,
    All,
}

#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    pub account: Option<AccountId>,
    /// Within the account's name, display name or e-mail address, whatever the case.
    pub text: Option<String>,
    pub network: Option<IpNetwork>,
    pub application: Option<String>,
    pub role: Option<Role>,
    pub state: ListState,
    /// Last active before.
    pub idle_longer_than: Option<Timestamp>,
    pub after: Option<Cursor>,
    pub before: Option<Cursor>,
    pub limit: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Without tokens.
    pub session: Session,
    pub account_name: String,
    pub role: Role,
}

impl SessionRow {
    /// Its place in a list of `state`.
    pub fn cursor(&self, state: ListState) -> Cursor {
        let at = match state {
            ListState::Ended => self.session.ended_at.unwrap_or(self.session.last_active_at),
            ListState::Active | ListState::Flagged | ListState::All => self.session.last_active_at,
        };
        Cursor {
            at,
            id: self.session.id,
        }
    }
}

type Boxed = sessions::BoxedQuery<'static, MultiBackend>;
/// A [`Cursor`] as the database writes it.
type Place = (At, String);
type AccountsBoxed = accounts::BoxedQuery<'static, MultiBackend>;

/// One index-ordered run of sessions; a list of all of them is two runs, merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Live,
    Flagged,
    EndedByEnd,
    EndedByActivity,
}

impl ListState {
    fn runs(self) -> &'static [Run] {
        match self {
            ListState::Active => &[Run::Live],
            ListState::Flagged => &[Run::Flagged],
            ListState::Ended => &[Run::EndedByEnd],
            ListState::All => &[Run::Live, Run::EndedByActivity],
        }
    }
}

impl Run {
    fn live(self) -> bool {
        match self {
            Run::Live | Run::Flagged => true,
            Run::EndedByEnd | Run::EndedByActivity => false,
        }
    }

    fn rows(self) -> Boxed {
        let all = sessions::table.into_boxed::<MultiBackend>();
        match self {
            Run::Live => all.filter(sessions::ended_at.is_null()),
            // Word for word the index's condition: bound zeros would hide it from the planners.
            Run::Flagged => all
                .filter(sessions::ended_at.is_null())
                .filter(sql::<Bool>("(network_changes > 0 OR user_agent_mismatches > 0)")),
            Run::EndedByEnd | Run::EndedByActivity => all.filter(sessions::ended_at.is_not_null()),
        }
    }

    fn newest_first(self, rows: Boxed) -> Boxed {
        match self {
            Run::EndedByEnd => rows.order((sessions::ended_at.desc(), sessions::id.desc())),
            Run::Live | Run::Flagged | Run::EndedByActivity => {
                rows.order((sessions::last_active_at.desc(), sessions::id.desc()))
            }
        }
    }

    fn older(self, rows: Boxed, than: Cursor) -> Boxed {
        let (at, id) = (At::from(than.at), key(than.id));
        let rows = match self {
            Run::EndedByEnd => rows
                .filter(sessions::ended_at.le(at))
                .filter(sessions::ended_at.lt(at).or(sessions::id.nullable().lt(id))),
            Run::Live | Run::Flagged | Run::EndedByActivity => rows
                .filter(sessions::last_active_at.le(at))
                .filter(sessions::last_active_at.lt(at).or(sessions::id.lt(id))),
        };
        self.newest_first(rows)
    }

    fn newer(self, rows: Boxed, than: Cursor) -> Boxed {
        let (at, id) = (At::from(than.at), key(than.id));
        match self {
            Run::EndedByEnd => rows
                .filter(sessions::ended_at.ge(at))
                .filter(sessions::ended_at.gt(at).or(sessions::id.nullable().gt(id)))
                .order((sessions::ended_at.asc(), sessions::id.asc())),
            Run::Live | Run::Flagged | Run::EndedByActivity => rows
                .filter(sessions::last_active_at.ge(at))
                .filter(sessions::last_active_at.gt(at).or(sessions::id.gt(id)))
                .order((sessions::last_active_at.asc(), sessions::id.asc())),
        }
    }

    /// Where the rows stand in the list. No more is asked for: places come from an index alone.
    fn places(self, c: &mut Conn, rows: Boxed) -> Result<Vec<Place>, StoreError> {
        Ok(match self {
            Run::EndedByEnd => rows
                .select((sessions::ended_at.assume_not_null(), sessions::id))
                .load(c.db())?,
            Run::Live | Run::Flagged | Run::EndedByActivity => {
                rows.select((sessions::last_active_at, sessions::id)).load(c.db())?
            }
        })
    }
}

/// Whose sessions: few accounts by id, or a condition on accounts.
enum Whose {
    Anybodys,
    Few(Vec<String>),
    /// Members: everybody but the few administrators.
    AllBut(Vec<String>),
    Many,
}

/// What the probes of a filter found.
struct Plan {
    whose: Whose,
    /// The live sessions that entered the application, if they are few.
    few_in_application: Option<Vec<String>>,
    /// Few live sessions are flagged.
    few_flagged: bool,
    /// The rows will be walked in list order, as against counted.
    in_order: bool,
}

fn text_of(filter: &SessionFilter) -> Option<&str> {
    filter.text.as_deref().filter(|text| !text.trim().is_empty())
}

/// The accounts that text and role speak of.
fn accounts_of(filter: &SessionFilter) -> AccountsBoxed {
    let mut rows = accounts::table.into_boxed::<MultiBackend>();
    if let Some(text) = text_of(filter) {
        rows = rows.filter(accounts::search.like(text::containing(text)).escape('\\'));
    }
    if let Some(role) = filter.role {
        rows = rows.filter(accounts::role.eq(role.as_str()));
    }
    rows
}

/// [`accounts_of`] as a condition on sessions. (A boxed query cannot stand within another one of two dialects.)
fn of_many_accounts(mut rows: Boxed, column: &'static str, filter: &SessionFilter) -> Boxed {
    if let Some(text) = text_of(filter) {
        let named = accounts::table.filter(accounts::search.like(text::containing(text)).escape('\\'));
        rows = rows.filter(sql::<Text>(column).eq_any(named.select(accounts::id)));
    }
    if let Some(role) = filter.role {
        let holders = accounts::table.filter(accounts::role.eq(role.as_str()));
        rows = rows.filter(sql::<Text>(column).eq_any(holders.select(accounts::id)));
    }
    rows
}

fn whose(c: &mut Conn, filter: &SessionFilter) -> Result<Whose, StoreError> {
    let mut few = |rows: AccountsBoxed| -> Result<Option<Vec<String>>, StoreError> {
        let ids: Vec<String> = rows.limit(FEW_ACCOUNTS + 1).select(accounts::id).load(c.db())?;
        Ok((ids.len() as i64 <= FEW_ACCOUNTS).then_some(ids))
    };
    match (text_of(filter), filter.role) {
        (None, None) => return Ok(Whose::Anybodys),
        (None, Some(Role::Member)) => {
            let administrators = SessionFilter {
                role: Some(Role::Administrator),
                ..SessionFilter::default()
            };
            if let Some(ids) = few(accounts_of(&administrators))? {
                return Ok(Whose::AllBut(ids));
            }
        }
        (Some(_), _) | (None, Some(Role::Administrator)) => {}
    }
    Ok(few(accounts_of(filter))?.map_or(Whose::Many, Whose::Few))
}

fn plan(c: &mut Conn, filter: &SessionFilter, in_order: bool) -> Result<Plan, StoreError> {
    let whose = whose(c, filter)?;
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
    let few_flagged = filter.state == ListState::Flagged && in_order && {
        let flagged = Run::Flagged.rows().limit(FEW + 1).select(sql::<Integer>("1"));
        Counted(flagged).get_result::<i64>(c.db())? <= FEW
    };
    Ok(Plan {
        whose,
        few_in_application,
        few_flagged,
        in_order,
    })
}

/// The filter's rows of one run, wherever in the list.
fn matching(c: &mut Conn, run: Run, filter: &SessionFilter, plan: &Plan) -> Result<Boxed, StoreError> {
    let mut rows = run.rows();
    if plan.few_flagged {
        rows = rows.filter(sql::<Bool>(FLAGGED));
    }
    if let Some(account) = filter.account {
        rows = rows.filter(sessions::account_id.eq(account.0.to_string()));
    }
    match &plan.whose {
        Whose::Anybodys => {}
        Whose::Few(ids) => rows = rows.filter(sessions::account_id.eq_any(ids.clone())),
        Whose::AllBut(ids) => rows = rows.filter(sessions::account_id.ne_all(ids.clone())),
        Whose::Many if plan.in_order => {
            let column = not_leading(c.db(), "sessions.account_id", "(sessions.account_id || '')");
            rows = of_many_accounts(rows, column, filter);
        }
        Whose::Many => rows = of_many_accounts(rows, "sessions.account_id", filter),
    }
    match (&filter.application, &plan.few_in_application) {
        (None, _) => {}
        (Some(_), Some(ids)) if run.live() => rows = rows.filter(sessions::id.eq_any(ids.clone())),
        (Some(application), _) => {
            let entered = session_applications::table
                .filter(session_applications::session_id.eq(sessions::id))
                .filter(session_applications::application.eq(text::clean(application).into_owned()));
            rows = rows.filter(exists(entered));
        }
    }
    if let Some(network) = filter.network {
        let (first, last) = network::sort_range(network);
        let inside = run.rows().filter(sessions::ip_key.between(first.clone(), last.clone()));
        let column = if plan.in_order
            && Counted(inside.limit(FEW + 1).select(sql::<Integer>("1"))).get_result::<i64>(c.db())? > FEW
        {
            not_leading(c.db(), "sessions.ip_key", "(sessions.ip_key || '')")
        } else {
            "sessions.ip_key"
        };
        rows = rows.filter(sql::<Text>(column).between(first, last));
    }
    if let Some(instant) = filter.idle_longer_than {
        rows = rows.filter(sessions::last_active_at.lt(At::from(instant)));
    }
    Ok(rows)
}

/// Up to `limit` places of all runs from a place on, in the order of the way one goes.
fn walk(
    c: &mut Conn,
    filter: &SessionFilter,
    plan: &Plan,
    way: Walk<Cursor>,
    limit: i64,
) -> Result<Vec<Place>, StoreError> {
    let mut found: Vec<Place> = Vec::new();
    for run in filter.state.runs() {
        let rows = matching(c, *run, filter, plan)?;
        let rows = match way {
            Walk::FromTop => run.newest_first(rows),
            Walk::Older(cursor) => run.older(rows, cursor),
            Walk::Newer(cursor) => run.newer(rows, cursor),
        };
        found.extend(run.places(c, rows.limit(limit))?);
    }
    if filter.state.runs().len() > 1 {
        found.sort_unstable();
        if !matches!(way, Walk::Newer(_)) {
            found.reverse();
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(found)
}

/// Newest activity first (of ended ones: latest end first); without tokens.
pub fn list(c: &mut Conn, filter: &SessionFilter) -> Result<Page<SessionRow>, StoreError> {
    let plan = plan(c, filter, true)?;
    let Page {
        items,
        newer,
        older,
        truncated,
    } = keyset::page((filter.after, filter.before), filter.limit, cursor_of, |way, limit| {
        walk(c, filter, &plan, way, limit)
    })?;
    let rows = rows_at(c, &items)?;
    Ok(Page {
        items: with_accounts(c, rows)?,
        newer,
        older,
        truncated,
    })
}

fn cursor_of((at, id): &Place) -> Result<Cursor, StoreError> {
    Ok(Cursor {
        at: Timestamp::from(*at),
        id: id_of(id)?,
    })
}

/// The rows of these places, in their order; without those that were deleted a moment ago.
fn rows_at(c: &mut Conn, places: &[Place]) -> Result<Vec<Record>, StoreError> {
    let mut rows: HashMap<String, Record> = HashMap::new();
    for places in places.chunks(500) {
        let found: Vec<Record> = sessions::table
            .filter(sessions::id.eq_any(places.iter().map(|(_, id)| id)))
            .select(Record::as_select())
            .load(c.db())?;
        rows.extend(found.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(places.iter().filter_map(|(_, id)| rows.remove(id)).collect())
}

pub(super) fn with_accounts(c: &mut Conn, rows: Vec<Record>) -> Result<Vec<SessionRow>, StoreError> {
    let mut wanted: Vec<String> = rows.iter().map(|row| row.account_id.clone()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut known: HashMap<AccountId, (String, Role)> = HashMap::new();
    for ids in wanted.chunks(500) {
        let named: Vec<(String, String, String)> = accounts::table
            .filter(accounts::id.eq_any(ids))
            .select((accounts::id, accounts::name, accounts::role))
            .load(c.db())?;
        for (id, name, role) in named {
            known.insert(account_rows::id_of(&id)?, (name, account_rows::role_of(&role)?));
        }
    }
    // An account deleted between the two statements took its sessions along.
    Ok(complete(c, rows, false)?
        .into_iter()
        .filter_map(|session| {
            let (name, role) = known.get(&session.account_id)?.clone();
            Some(SessionRow {
                session,
                account_name: name,
                role,
            })
        })
        .collect())
}

/// How many the filter matches, cursors and limit aside.
pub fn count(c: &mut Conn, filter: &SessionFilter) -> Result<i64, StoreError> {
    if let Some(counted) = count_of_application(c, filter)? {
        return Ok(counted);
    }
    let plan = plan(c, filter, false)?;
    let mut total = 0;
    for run in filter.state.runs() {
        total += matching(c, *run, filter, &plan)?.count().get_result::<i64>(c.db())?;
    }
    Ok(total)
}

/// As [`count`], but not beyond `cap`; false: there are more.
pub fn count_up_to(c: &mut Conn, filter: &SessionFilter, cap: i64) -> Result<(i64, bool), StoreError> {
    let plan = plan(c, filter, false)?;
    let mut total = 0;
    for run in filter.state.runs() {
        let rows = matching(c, *run, filter, &plan)?
            .limit(cap.max(0) + 1)
            .select(sql::<Integer>("1"));
        total += Counted(rows).get_result::<i64>(c.db())?;
    }
    Ok((total.min(cap), total <= cap))
}

/// "Live sessions of one application" is counted in its own index.
fn count_of_application(c: &mut Conn, filter: &SessionFilter) -> Result<Option<i64>, StoreError> {
    let SessionFilter {
        account: None,
        network: None,
        application: Some(application),
        role: None,
        state: ListState::Active,
        idle_longer_than: None,
        text: _,
        after: _,
        before: _,
        limit: _,
    } = filter
    else {
        return Ok(None);
    };
    if text_of(filter).is_some() {
        return Ok(None);
    }
    let live = session_applications::table
        .filter(session_applications::application.eq(text::clean(application).into_owned()))
        .filter(session_applications::live);
    Ok(Some(live.count().get_result(c.db())?))
}

/// The first `limit` ids of the filter, in list order (cursors aside): what "all matching" means.
pub fn ids(c: &mut Conn, filter: &SessionFilter, limit: i64) -> Result<Vec<SessionId>, StoreError> {
    let plan = plan(c, filter, true)?;
    let places = walk(c, filter, &plan, Walk::FromTop, limit.max(0))?;
    places.iter().map(|(_, id)| id_of(id)).collect()
}
