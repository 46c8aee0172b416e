//! Tokens of sessions: added, replaced, revoked and purged.

use super::rows::{TokenRecord, key_of};
use crate::{
    domain::{
        factor::Proofs,
        session::{SessionId, SessionToken},
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        changes::{ChangeKind, announce},
        conn::MultiBackend,
        instant::StoredInstant,
        schema::{session_tokens, sessions},
        text,
    },
};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use std::net::IpAddr;

/// Adds a token to a live session.
pub fn add_token(c: &mut Conn, session: SessionId, token: &SessionToken) -> Result<(), StoreError> {
    let live = sessions::table
        .find(key_of(session))
        .filter(sessions::ended_at.is_null())
        .select(sessions::id);
    if live.first::<String>(c.db()).optional()?.is_none() {
        return Err(StoreError::NotFound("live session"));
    }
    diesel::insert_into(session_tokens::table)
        .values(TokenRecord::from_token(session, token))
        .execute(c.db())?;
    announce(c, ChangeKind::Session, &key_of(session))
}

/// Marks a token to be replaced by the next response that reaches its browser.
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

/// Marks a token as replaced. Returns false if it was replaced or revoked before.
pub fn mark_rotated(c: &mut Conn, digest: &str, at: Timestamp, from: IpAddr, to: IpAddr) -> Result<bool, StoreError> {
    let usable = session_tokens::table
        .find(digest)
        .filter(session_tokens::rotated_at.is_null())
        .filter(session_tokens::killed_at.is_null());
    let session = diesel::update(usable)
        .set((
            session_tokens::rotated_at.eq(StoredInstant::from(at)),
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

/// Limits the replaced tokens of a session, which stay valid for a moment, to what it had proved
/// until now. A token that is limited already keeps its earlier limit.
pub fn limit_replaced(c: &mut Conn, session: SessionId, proofs: Proofs) -> Result<(), StoreError> {
    let replaced = session_tokens::table
        .filter(session_tokens::session_id.eq(key_of(session)))
        .filter(session_tokens::rotated_at.is_not_null())
        .filter(session_tokens::killed_at.is_null())
        .filter(session_tokens::proofs.is_null());
    diesel::update(replaced)
        .set(session_tokens::proofs.eq(proofs.to_string()))
        .execute(c.db())?;
    announce(c, ChangeKind::Session, &key_of(session))
}

/// Revokes all tokens of a session except one, immediately.
pub fn revoke_tokens(c: &mut Conn, session: SessionId, at: Timestamp, except: Option<&str>) -> Result<(), StoreError> {
    let mut kill = diesel::update(session_tokens::table)
        .filter(session_tokens::session_id.eq(key_of(session)))
        .filter(session_tokens::killed_at.is_null())
        .set(session_tokens::killed_at.eq(StoredInstant::from(at)))
        .into_boxed::<MultiBackend>();
    if let Some(kept) = except {
        kill = kill.filter(session_tokens::digest.ne(kept.to_owned()));
    }
    if kill.execute(c.db())? > 0 {
        announce(c, ChangeKind::Session, &key_of(session))?;
    }
    Ok(())
}

/// Revokes the tokens of a session that are valid only on this host and were issued before
/// `issued_before`. Replaced tokens stay unchanged, so that their use is noticed.
pub fn revoke_tokens_of_host(
    c: &mut Conn,
    session: SessionId,
    host: &str,
    issued_before: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    let older = session_tokens::table
        .filter(session_tokens::session_id.eq(key_of(session)))
        .filter(session_tokens::host.eq(text::clean(host).into_owned()))
        .filter(session_tokens::issued_at.lt(StoredInstant::from(issued_before)))
        .filter(session_tokens::rotated_at.is_null())
        .filter(session_tokens::killed_at.is_null());
    let killed = diesel::update(older)
        .set(session_tokens::killed_at.eq(StoredInstant::from(at)))
        .execute(c.db())?;
    if killed > 0 {
        announce(c, ChangeKind::Session, &key_of(session))?;
    }
    Ok(())
}

/// Stores the cookie name and attributes with which the token was last sent.
pub fn set_cookie_form(c: &mut Conn, digest: &str, form: &str) -> Result<(), StoreError> {
    diesel::update(session_tokens::table.find(digest))
        .set(session_tokens::cookie_form.eq(form))
        .execute(c.db())?;
    Ok(())
}

/// Deletes tokens that were replaced or revoked before `before`, oldest first, at most `limit` of
/// either.
pub fn purge_tokens(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let before = StoredInstant::from(before);
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
