//! Sessions and their tokens. Every change requires a live session, so that a late write of a
//! request in flight never brings an ended one back. `domain::session` decides when a session ends.

mod list;
mod live;
mod past;
mod rows;
mod sweep;
mod tokens;

pub use list::{count, count_up_to, list, list_ids};
pub use live::list_live_page;
pub use past::{count_turnover, list_live_since};
pub(super) use rows::parse_id;
pub use sweep::sweep_candidates;
pub use tokens::{
    add_token, limit_replaced, mark_rotated, mark_rotation_due, purge_tokens, revoke_tokens, revoke_tokens_of_host,
    set_cookie_form,
};

use rows::{ApplicationRecord, SessionRow, TokenRecord, cause_text, corrupt, count_column, key_of};

use crate::domain::{
    account::AccountId,
    factor::Proofs,
    network,
    session::{Binding, DeviceKey, EndCause, EndReason, Session, SessionId, SessionToken},
    time::Timestamp,
};

use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce},
    device_keys::DeviceKeyRow,
    instant::StoredInstant,
    per_backend::{self, LockedRows, PreparedStatement, insert_rows, write_together},
    schema::{device_keys, session_applications, session_tokens, sessions},
    text,
};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use std::{collections::HashMap, net::IpAddr};

/// Inserts a session with its tokens and applications.
pub fn insert(c: &mut Conn, session: &Session) -> Result<(), StoreError> {
    let row = diesel::insert_into(sessions::table)
        .values(SessionRow::from_session(session))
        .returning(sessions::id);
    let token = |token| TokenRecord::from_token(session.id, token);
    match session.tokens.as_slice() {
        [one] => {
            let token = diesel::insert_into(session_tokens::table)
                .values(token(one))
                .returning(session_tokens::digest);
            write_together!(c.db(), row, token)?;
        }
        tokens => {
            PreparedStatement(row).load::<String>(c.db())?;
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
            session_id: key_of(session.id),
            application: application.clone(),
            live,
        })
        .collect();
    insert_rows!(c.db(), session_applications::table, entered)
}

/// Finds a session with its tokens.
pub fn find(c: &mut Conn, id: SessionId) -> Result<Option<Session>, StoreError> {
    let row = sessions::table
        .find(key_of(id))
        .select(SessionRow::as_select())
        .first(c.db())
        .optional()?;
    Ok(attach_details(c, row.into_iter().collect(), true)?.pop())
}

/// Finds the session of a token, in any state, with its tokens.
pub fn find_by_digest(c: &mut Conn, digest: &str) -> Result<Option<Session>, StoreError> {
    let row = session_tokens::table
        .inner_join(sessions::table)
        .filter(session_tokens::digest.eq(text::clean(digest).as_ref()))
        .select(SessionRow::as_select())
        .first(c.db())
        .optional()?;
    Ok(attach_details(c, row.into_iter().collect(), true)?.pop())
}

/// Returns those of these sessions that have not ended.
pub fn filter_live(c: &mut Conn, ids: &[SessionId]) -> Result<Vec<SessionId>, StoreError> {
    let live: Vec<String> = sessions::table
        .filter(sessions::id.eq_any(ids.iter().map(|id| key_of(*id))))
        .filter(sessions::ended_at.is_null())
        .select(sessions::id)
        .load(c.db())?;
    live.iter().map(|id| parse_id(id)).collect()
}

/// Lists an account's live sessions with their tokens, least recently active first.
pub fn list_live_of_account(c: &mut Conn, account: AccountId) -> Result<Vec<Session>, StoreError> {
    let rows = sessions::table
        .filter(sessions::account_id.eq(account.0.to_string()))
        .filter(sessions::ended_at.is_null())
        .order((sessions::last_active_at.asc(), sessions::id.asc()))
        .select(SessionRow::as_select())
        .load(c.db())?;
    attach_details(c, rows, true)
}

/// Lists these accounts' live sessions, without their tokens.
pub fn list_live_of_accounts(c: &mut Conn, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
    let rows = sessions::table
        .filter(sessions::account_id.eq_any(accounts.iter().map(|id| id.0.to_string())))
        .filter(sessions::ended_at.is_null())
        .select(SessionRow::as_select())
        .load(c.db())?;
    attach_details(c, rows, false)
}

/// Locks an account's sessions. Called before the concurrent limit is decided, so that two sign-ins
/// cannot both find room.
pub fn lock_account_sessions(c: &mut Conn, account: AccountId) -> Result<(), StoreError> {
    per_backend::lock_account(c.db(), &account.0.to_string())
}

/// Adds data from other tables, in the same order.
fn attach_details(c: &mut Conn, rows: Vec<SessionRow>, with_tokens: bool) -> Result<Vec<Session>, StoreError> {
    let mut applications: HashMap<String, Vec<String>> = HashMap::new();
    let mut tokens: HashMap<String, Vec<SessionToken>> = HashMap::new();
    let mut devices: HashMap<String, Vec<DeviceKey>> = HashMap::new();
    for part in rows.chunks(500) {
        for entered in load_applications(c, part)? {
            applications
                .entry(entered.session_id)
                .or_default()
                .push(entered.application);
        }
        for key in load_device_keys(c, part)? {
            devices.entry(key.session_id.clone()).or_default().push(key.read_key()?);
        }
        if with_tokens {
            for held in load_tokens(c, part)? {
                tokens.entry(held.session_id.clone()).or_default().push(held.read()?);
            }
        }
    }
    rows.into_iter()
        .map(|row| {
            let entered = applications.remove(&row.id).unwrap_or_default();
            let held = tokens.remove(&row.id).unwrap_or_default();
            let devices = devices.remove(&row.id).unwrap_or_default();
            row.read(entered, held, devices)
        })
        .collect()
}

// Every request that is not in memory reads one session: "=" is prepared once, IN every time.

fn load_applications(c: &mut Conn, rows: &[SessionRow]) -> Result<Vec<ApplicationRecord>, StoreError> {
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

fn load_device_keys(c: &mut Conn, rows: &[SessionRow]) -> Result<Vec<DeviceKeyRow>, StoreError> {
    let keys = device_keys::table.order((device_keys::registered_at, device_keys::id));
    let id = device_keys::session_id;
    Ok(match rows {
        [row] => keys
            .filter(id.eq(&row.id))
            .select(DeviceKeyRow::as_select())
            .load(c.db())?,
        rows => {
            let ids = rows.iter().map(|row| row.id.as_str());
            keys.filter(id.eq_any(ids))
                .select(DeviceKeyRow::as_select())
                .load(c.db())?
        }
    })
}

fn load_tokens(c: &mut Conn, rows: &[SessionRow]) -> Result<Vec<TokenRecord>, StoreError> {
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

/// Ends a session. Returns false if it had ended before (it keeps its reason) or does not exist.
pub fn end(
    c: &mut Conn,
    id: SessionId,
    reason: EndReason,
    at: Timestamp,
    by: Option<&str>,
    cause: Option<&EndCause>,
) -> Result<bool, StoreError> {
    let live = sessions::table.find(key_of(id)).filter(sessions::ended_at.is_null());
    let ended = diesel::update(live)
        .set((
            sessions::ended_at.eq(StoredInstant::from(at)),
            sessions::end_reason.eq(reason.as_str()),
            sessions::ended_by.eq(by.map(|by| text::clean(by).into_owned())),
            sessions::end_cause.eq(cause.map(cause_text)),
        ))
        .execute(c.db())?;
    if ended == 0 {
        return Ok(false);
    }
    diesel::update(session_applications::table.filter(session_applications::session_id.eq(key_of(id))))
        .set(session_applications::live.eq(false))
        .execute(c.db())?;
    announce(c, ChangeKind::Session, &key_of(id))?;
    Ok(true)
}

/// Raises the instants of live sessions: `(session, last active, last seen)`.
pub fn touch_many(c: &mut Conn, touched: &[(SessionId, Timestamp, Timestamp)]) -> Result<(), StoreError> {
    let mut rows: Vec<(String, Timestamp, Timestamp)> = touched
        .iter()
        .map(|(id, active, seen)| (key_of(*id), *active, *seen))
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

/// Stores the new binding and the address to show. Returns false if the session is not live.
pub fn rebind(c: &mut Conn, id: SessionId, binding: &Binding, ip: IpAddr) -> Result<bool, StoreError> {
    let live = sessions::table.find(key_of(id)).filter(sessions::ended_at.is_null());
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
            sessions::first_change_at.eq(binding.first_change_at.map(StoredInstant::from)),
        ))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Session, &key_of(id))?;
    }
    Ok(done)
}

/// Stores the address to show, while the session is live. No decision depends on it, so it is not
/// announced.
pub fn set_ip(c: &mut Conn, id: SessionId, ip: IpAddr) -> Result<(), StoreError> {
    diesel::update(sessions::table.find(key_of(id)).filter(sessions::ended_at.is_null()))
        .set((
            sessions::ip.eq(ip.to_string()),
            sessions::ip_key.eq(network::sort_key(ip)),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Adds proofs to a live session. `step_up`: the proof counts as a new sign-in. Returns false if
/// the session is not live.
pub fn add_proofs(c: &mut Conn, id: SessionId, added: Proofs, step_up: Option<Timestamp>) -> Result<bool, StoreError> {
    let live = sessions::table.find(key_of(id)).filter(sessions::ended_at.is_null());
    let Some(proofs) = LockedRows(live.select(sessions::proofs))
        .get_result::<String>(c.db())
        .optional()?
    else {
        return Ok(false);
    };
    let proofs = Proofs::parse(&proofs).ok_or_else(|| corrupt("proofs"))?.union(added);
    diesel::update(sessions::table.find(key_of(id)))
        .set(sessions::proofs.eq(proofs.to_string()))
        .execute(c.db())?;
    if let Some(at) = step_up {
        diesel::update(sessions::table.find(key_of(id)))
            .set(sessions::proved_at.eq(StoredInstant::from(at)))
            .execute(c.db())?;
    }
    announce(c, ChangeKind::Session, &key_of(id))?;
    Ok(true)
}

/// Records that a live session entered an application; repetitions have no effect.
pub fn enter_application(c: &mut Conn, id: SessionId, name: &str) -> Result<(), StoreError> {
    if per_backend::enter_application(c.db(), &key_of(id), &text::clean(name))? {
        announce(c, ChangeKind::Session, &key_of(id))?;
    }
    Ok(())
}

/// Deletes sessions that ended before `before`, at most `limit`.
pub fn purge_ended(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = sessions::table
        .filter(sessions::ended_at.is_not_null())
        .filter(sessions::ended_at.lt(StoredInstant::from(before)))
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

/// Counts the sessions that have not ended.
pub fn count_live(c: &mut Conn) -> Result<i64, StoreError> {
    Ok(sessions::table
        .filter(sessions::ended_at.is_null())
        .count()
        .get_result(c.db())?)
}
