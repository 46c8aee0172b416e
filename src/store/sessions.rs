//! Which sessions are there, and under which tokens? Every change is conditional on the session being live: a late
//! write of a request in flight never brings an ended one back. Whether a session *should* end is `domain::session`'s.

mod list;
mod live;
mod past;
mod sweep;

pub use list::{Cursor, ListState, SessionFilter, SessionRow, count, count_up_to, ids, list};
pub use live::{LiveRow, live_page};
pub use past::{live_since, turnover};
pub use sweep::{SweepBounds, sweep_candidates};

use super::{
    Conn, StoreError, accounts as account_rows,
    changes::{ChangeKind, announce},
    conn::MultiBackend,
    instant::At,
    per_backend::{self, Prepared, insert_rows, write_together},
    schema::{session_applications, session_tokens, sessions},
    text,
};
use crate::domain::{
    account::AccountId,
    network,
    session::{Binding, EndReason, LifeFacts, SessionId},
    time::Timestamp,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use std::{collections::HashMap, net::IpAddr, str::FromStr};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub account_id: AccountId,
    pub signed_in_at: Timestamp,
    pub last_active_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// The latest address, as shown.
    pub ip: IpAddr,
    pub signed_in_ip: IpAddr,
    pub binding: Binding,
    pub user_agent_mismatches: i32,
    pub applications: Vec<String>,
    pub ended_at: Option<Timestamp>,
    pub end_reason: Option<EndReason>,
    pub ended_by: Option<String>,
    /// When its password was last proved: at the sign-in, or later by typing it again.
    pub proved_at: Timestamp,
    /// Empty where a function says so.
    pub tokens: Vec<Token>,
}

impl Session {
    /// The clock facts that lifetimes are judged by.
    pub fn life(&self) -> LifeFacts {
        LifeFacts {
            signed_in_at: self.signed_in_at,
            last_active_at: self.last_active_at,
            last_seen_at: self.last_seen_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub digest: String,
    /// "" is the public URL's host and every other one of the cookie domain.
    pub host: String,
    pub issued_at: Timestamp,
    /// When it was replaced, and the networks from which and to which.
    pub rotated: Option<(Timestamp, IpAddr, IpAddr)>,
    pub killed_at: Option<Timestamp>,
    pub cookie_form: String,
    /// It is to be replaced by the next response that reaches the browser.
    pub rotation_due: bool,
}

impl Token {
    /// Whether it counts where it was presented. What an application's host beyond the cookie domain was given counts there alone;
    /// the id of our own host, which hands out all of those, counts wherever a proxy asks about it.
    pub fn opens(&self, host: &str) -> bool {
        self.host.is_empty() || self.host == host
    }

    /// Its replacement is due, and has not happened.
    pub fn is_due(&self) -> bool {
        self.rotation_due && self.rotated.is_none()
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
struct Record {
    id: String,
    account_id: String,
    signed_in_at: At,
    last_active_at: At,
    last_seen_at: At,
    ip: String,
    ip_key: String,
    signed_in_ip: String,
    user_agent: Option<String>,
    accepted_v4: Option<String>,
    accepted_v6: Option<String>,
    network_changes: i32,
    first_change_at: Option<At>,
    user_agent_mismatches: i32,
    ended_at: Option<At>,
    end_reason: Option<String>,
    ended_by: Option<String>,
    /// Absent in rows from before it was noted: at the sign-in.
    proved_at: Option<At>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = session_applications)]
struct ApplicationRecord {
    session_id: String,
    application: String,
    live: bool,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = session_tokens, treat_none_as_default_value = false)]
struct TokenRecord {
    digest: String,
    session_id: String,
    host: String,
    cookie_form: String,
    issued_at: At,
    rotated_at: Option<At>,
    rotated_from: Option<String>,
    rotated_to: Option<String>,
    killed_at: Option<At>,
    rotation_due: bool,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a session's {what}"))
}

fn address<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("address"))
}

/// The columns that say what a session is bound to.
struct Bound {
    user_agent: Option<String>,
    accepted_v4: Option<String>,
    accepted_v6: Option<String>,
    network_changes: i32,
    first_change_at: Option<At>,
}

impl Bound {
    fn read(self) -> Result<Binding, StoreError> {
        Ok(Binding {
            user_agent: self.user_agent,
            accepted_v4: self.accepted_v4.as_deref().map(address).transpose()?,
            accepted_v6: self.accepted_v6.as_deref().map(address).transpose()?,
            changes: u32::try_from(self.network_changes).map_err(|_| corrupt("count of changes"))?,
            first_change_at: self.first_change_at.map(Timestamp::from),
        })
    }
}

fn key(id: SessionId) -> String {
    id.0.to_string()
}

pub(super) fn id_of(text: &str) -> Result<SessionId, StoreError> {
    Uuid::parse_str(text).map(SessionId).map_err(|_| corrupt("id"))
}

fn count_column(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

impl Record {
    fn of(session: &Session) -> Record {
        Record {
            id: key(session.id),
            account_id: session.account_id.0.to_string(),
            signed_in_at: session.signed_in_at.into(),
            last_active_at: session.last_active_at.into(),
            last_seen_at: session.last_seen_at.into(),
            ip: session.ip.to_string(),
            ip_key: network::sort_key(session.ip),
            signed_in_ip: session.signed_in_ip.to_string(),
            user_agent: session
                .binding
                .user_agent
                .as_deref()
                .map(|agent| text::clean(agent).into_owned()),
            accepted_v4: session.binding.accepted_v4.map(|ip| ip.to_string()),
            accepted_v6: session.binding.accepted_v6.map(|ip| ip.to_string()),
            network_changes: count_column(session.binding.changes),
            first_change_at: session.binding.first_change_at.map(At::from),
            user_agent_mismatches: session.user_agent_mismatches,
            ended_at: session.ended_at.map(At::from),
            end_reason: session.end_reason.map(|reason| reason.as_str().to_owned()),
            ended_by: session.ended_by.as_deref().map(|by| text::clean(by).into_owned()),
            proved_at: Some(session.proved_at.into()),
        }
    }

    fn read(self, applications: Vec<String>, tokens: Vec<Token>) -> Result<Session, StoreError> {
        let reason = self.end_reason.as_deref();
        Ok(Session {
            id: id_of(&self.id)?,
            account_id: account_rows::id_of(&self.account_id)?,
            signed_in_at: self.signed_in_at.into(),
            last_active_at: self.last_active_at.into(),
            last_seen_at: self.last_seen_at.into(),
            ip: address(&self.ip)?,
            signed_in_ip: address(&self.signed_in_ip)?,
            binding: Bound {
                user_agent: self.user_agent,
                accepted_v4: self.accepted_v4,
                accepted_v6: self.accepted_v6,
                network_changes: self.network_changes,
                first_change_at: self.first_change_at,
            }
            .read()?,
            user_agent_mismatches: self.user_agent_mismatches,
            applications,
            ended_at: self.ended_at.map(Timestamp::from),
            end_reason: reason
                .map(|code| EndReason::parse(code).ok_or_else(|| corrupt("end")))
                .transpose()?,
            ended_by: self.ended_by,
            proved_at: self.proved_at.unwrap_or(self.signed_in_at).into(),
            tokens,
        })
    }
}

impl TokenRecord {
    fn of(session: SessionId, token: &Token) -> TokenRecord {
        TokenRecord {
            digest: token.digest.clone(),
            session_id: key(session),
            host: text::clean(&token.host).into_owned(),
            cookie_form: text::clean(&token.cookie_form).into_owned(),
            issued_at: token.issued_at.into(),
            rotated_at: token.rotated.map(|(at, ..)| at.into()),
            rotated_from: token.rotated.map(|(_, from, _)| from.to_string()),
            rotated_to: token.rotated.map(|(.., to)| to.to_string()),
            killed_at: token.killed_at.map(At::from),
            rotation_due: token.rotation_due,
        }
    }

    fn read(self) -> Result<Token, StoreError> {
        let rotated = match (self.rotated_at, self.rotated_from, self.rotated_to) {
            (Some(at), Some(from), Some(to)) => Some((at.into(), address(&from)?, address(&to)?)),
            (None, None, None) => None,
            (Some(_) | None, _, _) => return Err(corrupt("rotation")),
        };
        Ok(Token {
            digest: self.digest,
            host: self.host,
            cookie_form: self.cookie_form,
            issued_at: self.issued_at.into(),
            rotated,
            killed_at: self.killed_at.map(Timestamp::from),
            rotation_due: self.rotation_due,
        })
    }
}

/// With its tokens and applications.
pub fn insert(c: &mut Conn, session: &Session) -> Result<(), StoreError> {
    let row = diesel::insert_into(sessions::table)
        .values(Record::of(session))
        .returning(sessions::id);
    let token = |token| TokenRecord::of(session.id, token);
    match session.tokens.as_slice() {
        [one] => {
            let token = diesel::insert_into(session_tokens::table)
                .values(token(one))
                .returning(session_tokens::digest);
            write_together!(c.db(), row, token)?;
        }
        tokens => {
            Prepared(row).load::<String>(c.db())?;
            let tokens: Vec<TokenRecord> = tokens.iter().map(token).collect();
            insert_rows!(c.db(), session_tokens::table, tokens)?;
        }
    }
    let live = session.ended_at.is_none();
    let mut applications: Vec<&String> = session.applications.iter().collect();
    applications.sort_unstable();
    applications.dedup();
    let entered: Vec<ApplicationRecord> = applications
        .into_iter()
        .map(|application| ApplicationRecord {
            session_id: key(session.id),
            application: application.clone(),
            live,
        })
        .collect();
    insert_rows!(c.db(), session_applications::table, entered)
}

/// With its tokens.
pub fn find(c: &mut Conn, id: SessionId) -> Result<Option<Session>, StoreError> {
    let row = sessions::table
        .find(key(id))
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    Ok(complete(c, row.into_iter().collect(), true)?.pop())
}

/// The session that a token belongs to, whatever became of either; with its tokens.
pub fn find_by_digest(c: &mut Conn, digest: &str) -> Result<Option<Session>, StoreError> {
    let row = session_tokens::table
        .inner_join(sessions::table)
        .filter(session_tokens::digest.eq(text::clean(digest).as_ref()))
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    Ok(complete(c, row.into_iter().collect(), true)?.pop())
}

/// Not ended, with their tokens, least recently active first.
pub fn live_of_account(c: &mut Conn, account: AccountId) -> Result<Vec<Session>, StoreError> {
    let rows = sessions::table
        .filter(sessions::account_id.eq(account.0.to_string()))
        .filter(sessions::ended_at.is_null())
        .order((sessions::last_active_at.asc(), sessions::id.asc()))
        .select(Record::as_select())
        .load(c.db())?;
    complete(c, rows, true)
}

/// Not ended, of these accounts; without their tokens.
pub fn live_of_all(c: &mut Conn, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
    let rows = sessions::table
        .filter(sessions::account_id.eq_any(accounts.iter().map(|id| id.0.to_string())))
        .filter(sessions::ended_at.is_null())
        .select(Record::as_select())
        .load(c.db())?;
    complete(c, rows, false)
}

/// Taken before the concurrent limit is decided, so that two sign-ins cannot both find room.
pub fn lock_account_sessions(c: &mut Conn, account: AccountId) -> Result<(), StoreError> {
    per_backend::lock_account(c.db(), &account.0.to_string())
}

/// Adds what stands in other tables, keeping the order.
fn complete(c: &mut Conn, rows: Vec<Record>, with_tokens: bool) -> Result<Vec<Session>, StoreError> {
    let mut applications: HashMap<String, Vec<String>> = HashMap::new();
    let mut tokens: HashMap<String, Vec<Token>> = HashMap::new();
    for part in rows.chunks(500) {
        for entered in applications_of(c, part)? {
            applications
                .entry(entered.session_id)
                .or_default()
                .push(entered.application);
        }
        if with_tokens {
            for held in tokens_of(c, part)? {
                tokens.entry(held.session_id.clone()).or_default().push(held.read()?);
            }
        }
    }
    rows.into_iter()
        .map(|row| {
            let entered = applications.remove(&row.id).unwrap_or_default();
            let held = tokens.remove(&row.id).unwrap_or_default();
            row.read(entered, held)
        })
        .collect()
}

// One session is the case of every request that is not in memory: "=" is prepared once, IN every time.

fn applications_of(c: &mut Conn, rows: &[Record]) -> Result<Vec<ApplicationRecord>, StoreError> {
    let entered =
        session_applications::table.order((session_applications::session_id, session_applications::application));
    let id = session_applications::session_id;
    Ok(match rows {
        [row] => entered
            .filter(id.eq(&row.id))
            .select(ApplicationRecord::as_select())
            .load(c.db())?,
        rows => {
            let ids = rows.iter().map(|row| row.id.as_str());
            entered
                .filter(id.eq_any(ids))
                .select(ApplicationRecord::as_select())
                .load(c.db())?
        }
    })
}

fn tokens_of(c: &mut Conn, rows: &[Record]) -> Result<Vec<TokenRecord>, StoreError> {
    let held = session_tokens::table.order((session_tokens::issued_at, session_tokens::digest));
    let id = session_tokens::session_id;
    Ok(match rows {
        [row] => held
            .filter(id.eq(&row.id))
            .select(TokenRecord::as_select())
            .load(c.db())?,
        rows => {
            let ids = rows.iter().map(|row| row.id.as_str());
            held.filter(id.eq_any(ids))
                .select(TokenRecord::as_select())
                .load(c.db())?
        }
    })
}

/// False: it had ended before (or does not exist), and keeps the reason it has.
pub fn end(
    c: &mut Conn,
    id: SessionId,
    reason: EndReason,
    at: Timestamp,
    by: Option<&str>,
) -> Result<bool, StoreError> {
    let live = sessions::table.find(key(id)).filter(sessions::ended_at.is_null());
    let ended = diesel::update(live)
        .set((
            sessions::ended_at.eq(At::from(at)),
            sessions::end_reason.eq(reason.as_str()),
            sessions::ended_by.eq(by.map(|by| text::clean(by).into_owned())),
        ))
        .execute(c.db())?;
    if ended == 0 {
        return Ok(false);
    }
    diesel::update(session_applications::table.filter(session_applications::session_id.eq(key(id))))
        .set(session_applications::live.eq(false))
        .execute(c.db())?;
    announce(c, ChangeKind::Session, &key(id))?;
    Ok(true)
}

/// `(session, last active, last seen)`: raises the instants of live sessions.
pub fn touch_many(c: &mut Conn, touched: &[(SessionId, Timestamp, Timestamp)]) -> Result<(), StoreError> {
    let mut rows: Vec<(String, Timestamp, Timestamp)> = touched
        .iter()
        .map(|(id, active, seen)| (key(*id), *active, *seen))
        .collect();
    rows.sort_unstable();
    // One row per session: the latest of each instant.
    rows.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.max(next.1);
            kept.2 = kept.2.max(next.2);
        }
        same
    });
    per_backend::touch_sessions(c.db(), &rows)
}

/// The binding that holds now, and the address to show. False: not live.
pub fn rebind(c: &mut Conn, id: SessionId, binding: &Binding, ip: IpAddr) -> Result<bool, StoreError> {
    let live = sessions::table.find(key(id)).filter(sessions::ended_at.is_null());
    let done = diesel::update(live)
        .set((
            sessions::ip.eq(ip.to_string()),
            sessions::ip_key.eq(network::sort_key(ip)),
            sessions::user_agent.eq(binding
                .user_agent
                .as_deref()
                .map(|agent| text::clean(agent).into_owned())),
            sessions::accepted_v4.eq(binding.accepted_v4.map(|ip| ip.to_string())),
            sessions::accepted_v6.eq(binding.accepted_v6.map(|ip| ip.to_string())),
            sessions::network_changes.eq(count_column(binding.changes)),
            sessions::first_change_at.eq(binding.first_change_at.map(At::from)),
        ))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Session, &key(id))?;
    }
    Ok(done)
}

/// The address to show, while the session lives. Nobody decides by it, so nobody is told.
pub fn set_ip(c: &mut Conn, id: SessionId, ip: IpAddr) -> Result<(), StoreError> {
    diesel::update(sessions::table.find(key(id)).filter(sessions::ended_at.is_null()))
        .set((
            sessions::ip.eq(ip.to_string()),
            sessions::ip_key.eq(network::sort_key(ip)),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Notes that the password behind a live session was proved. False: not live.
pub fn set_proved(c: &mut Conn, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
    let live = sessions::table.find(key(id)).filter(sessions::ended_at.is_null());
    let done = diesel::update(live)
        .set(sessions::proved_at.eq(At::from(at)))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Session, &key(id))?;
    }
    Ok(done)
}

/// Counts a user agent that did not match, while the session lives.
pub fn record_user_agent_mismatch(c: &mut Conn, id: SessionId) -> Result<(), StoreError> {
    diesel::update(sessions::table.find(key(id)).filter(sessions::ended_at.is_null()))
        .set(sessions::user_agent_mismatches.eq(sessions::user_agent_mismatches + 1))
        .execute(c.db())?;
    Ok(())
}

pub fn add_token(c: &mut Conn, session: SessionId, token: &Token) -> Result<(), StoreError> {
    let live = sessions::table
        .find(key(session))
        .filter(sessions::ended_at.is_null())
        .select(sessions::id);
    if live.first::<String>(c.db()).optional()?.is_none() {
        return Err(StoreError::NotFound("live session"));
    }
    diesel::insert_into(session_tokens::table)
        .values(TokenRecord::of(session, token))
        .execute(c.db())?;
    announce(c, ChangeKind::Session, &key(session))
}

/// Marks a token as due to be replaced by the next response that reaches its browser.
pub fn mark_rotation_due(c: &mut Conn, digest: &str) -> Result<(), StoreError> {
    let session = diesel::update(session_tokens::table.find(digest))
        .set(session_tokens::rotation_due.eq(true))
        .returning(session_tokens::session_id)
        .get_result::<String>(c.db())
        .optional()?;
    match session {
        Some(session) => announce(c, ChangeKind::Session, &session),
        None => Ok(()),
    }
}

/// Marks a token as replaced. False: it was replaced or killed before.
pub fn mark_rotated(c: &mut Conn, digest: &str, at: Timestamp, from: IpAddr, to: IpAddr) -> Result<bool, StoreError> {
    let usable = session_tokens::table
        .find(digest)
        .filter(session_tokens::rotated_at.is_null())
        .filter(session_tokens::killed_at.is_null());
    let session = diesel::update(usable)
        .set((
            session_tokens::rotated_at.eq(At::from(at)),
            session_tokens::rotated_from.eq(from.to_string()),
            session_tokens::rotated_to.eq(to.to_string()),
        ))
        .returning(session_tokens::session_id)
        .get_result::<String>(c.db())
        .optional()?;
    match session {
        Some(session) => announce(c, ChangeKind::Session, &session).map(|()| true),
        None => Ok(false),
    }
}

/// Ends the tokens of a session at once, all but one.
pub fn kill_tokens(c: &mut Conn, session: SessionId, at: Timestamp, except: Option<&str>) -> Result<(), StoreError> {
    let mut kill = diesel::update(session_tokens::table)
        .filter(session_tokens::session_id.eq(key(session)))
        .filter(session_tokens::killed_at.is_null())
        .set(session_tokens::killed_at.eq(At::from(at)))
        .into_boxed::<MultiBackend>();
    if let Some(kept) = except {
        kill = kill.filter(session_tokens::digest.ne(kept.to_owned()));
    }
    if kill.execute(c.db())? > 0 {
        announce(c, ChangeKind::Session, &key(session))?;
    }
    Ok(())
}

/// Ends the tokens of a session that count on this host alone and were issued before `issued_before`. What was replaced stays as it is:
/// its use is to be noticed.
pub fn kill_tokens_of_host(
    c: &mut Conn,
    session: SessionId,
    host: &str,
    issued_before: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    let older = session_tokens::table
        .filter(session_tokens::session_id.eq(key(session)))
        .filter(session_tokens::host.eq(text::clean(host).into_owned()))
        .filter(session_tokens::issued_at.lt(At::from(issued_before)))
        .filter(session_tokens::rotated_at.is_null())
        .filter(session_tokens::killed_at.is_null());
    let killed = diesel::update(older)
        .set(session_tokens::killed_at.eq(At::from(at)))
        .execute(c.db())?;
    if killed > 0 {
        announce(c, ChangeKind::Session, &key(session))?;
    }
    Ok(())
}

/// Which cookie name and attributes the token was last sent with.
pub fn set_cookie_form(c: &mut Conn, digest: &str, form: &str) -> Result<(), StoreError> {
    diesel::update(session_tokens::table.find(digest))
        .set(session_tokens::cookie_form.eq(form))
        .execute(c.db())?;
    Ok(())
}

/// Remembers that a live session entered an application; twice is once.
pub fn enter_application(c: &mut Conn, id: SessionId, name: &str) -> Result<(), StoreError> {
    if per_backend::enter_application(c.db(), &key(id), &text::clean(name))? {
        announce(c, ChangeKind::Session, &key(id))?;
    }
    Ok(())
}

/// Deletes sessions that ended before `before`, at most `limit`.
pub fn purge_ended(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = sessions::table
        .filter(sessions::ended_at.is_not_null())
        .filter(sessions::ended_at.lt(At::from(before)))
        .order((sessions::ended_at.asc(), sessions::id.asc()))
        .limit(limit)
        .select(sessions::id)
        .load(c.db())?;
    let mut purged = 0;
    for ids in old.chunks(500) {
        purged += diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(c.db())?;
    }
    Ok(purged)
}

/// Deletes tokens that were replaced or made void before `before`, oldest first, at most `limit` of either.
pub fn purge_tokens(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let before = At::from(before);
    let mut old: Vec<String> = session_tokens::table
        .filter(session_tokens::rotated_at.is_not_null())
        .filter(session_tokens::rotated_at.lt(before))
        .order(session_tokens::rotated_at)
        .limit(limit)
        .select(session_tokens::digest)
        .load(c.db())?;
    let void: Vec<String> = session_tokens::table
        .filter(session_tokens::killed_at.is_not_null())
        .filter(session_tokens::killed_at.lt(before))
        .order(session_tokens::killed_at)
        .limit(limit)
        .select(session_tokens::digest)
        .load(c.db())?;
    old.extend(void);
    let mut purged = 0;
    for digests in old.chunks(500) {
        let these = session_tokens::table.filter(session_tokens::digest.eq_any(digests));
        purged += diesel::delete(these).execute(c.db())?;
    }
    Ok(purged)
}

pub fn count_live(c: &mut Conn) -> Result<i64, StoreError> {
    Ok(sessions::table
        .filter(sessions::ended_at.is_null())
        .count()
        .get_result(c.db())?)
}
