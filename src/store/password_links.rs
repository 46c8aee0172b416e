//! Who asked for a link to choose a password with, which links are out, and how often was asked of late? Digests only; what a
//! link opens is decided in `domain::reset`.
use super::{
    Conn, StoreError,
    instant::At,
    per_backend::{Both, Held, purge_oldest},
    schema::{password_links, reset_counters, reset_requests},
    text,
};
use crate::domain::{
    account::AccountId,
    reset::{LinkKind, RecentRequests},
    time::Timestamp,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    upsert::excluded,
};
use std::net::IpAddr;
use uuid::Uuid;

/// A link that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordLink {
    pub digest: String,
    pub account: AccountId,
    pub kind: LinkKind,
    /// Where it was sent.
    pub email: String,
    /// Of the password that stood when it was made.
    pub password_changed_at: Timestamp,
    pub made_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    pub id: Uuid,
    /// The name key of what was typed.
    pub account_key: String,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub requested_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = password_links)]
struct LinkRecord {
    digest: String,
    account_id: String,
    kind: String,
    email: String,
    password_changed_at: At,
    made_at: At,
    expires_at: At,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = reset_requests, treat_none_as_default_value = false)]
struct RequestRecord {
    id: String,
    account_key: String,
    ip: String,
    user_agent: Option<String>,
    request_id: Option<String>,
    requested_at: At,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a password link's {what}"))
}

impl LinkRecord {
    fn read(self) -> Result<PasswordLink, StoreError> {
        Ok(PasswordLink {
            account: super::accounts::id_of(&self.account_id)?,
            kind: LinkKind::parse(&self.kind).ok_or_else(|| corrupt("kind"))?,
            digest: self.digest,
            email: self.email,
            password_changed_at: self.password_changed_at.into(),
            made_at: self.made_at.into(),
            expires_at: self.expires_at.into(),
        })
    }
}

/// The newest link of an account and kind kills those before it.
pub fn replace(c: &mut Conn, link: &PasswordLink) -> Result<(), StoreError> {
    kill(c, link.account, link.kind)?;
    let row = LinkRecord {
        digest: link.digest.clone(),
        account_id: link.account.0.to_string(),
        kind: link.kind.as_str().to_owned(),
        email: text::clean(&link.email).into_owned(),
        password_changed_at: link.password_changed_at.into(),
        made_at: link.made_at.into(),
        expires_at: link.expires_at.into(),
    };
    diesel::insert_into(password_links::table).values(row).execute(c.db())?;
    Ok(())
}

/// Looking does not use it up.
pub fn find(c: &mut Conn, digest: &str) -> Result<Option<PasswordLink>, StoreError> {
    let row: Option<LinkRecord> = password_links::table
        .find(digest)
        .select(LinkRecord::as_select())
        .first(c.db())
        .optional()?;
    row.map(LinkRecord::read).transpose()
}

/// Uses a link up: true for one of those who try.
pub fn redeem(c: &mut Conn, digest: &str) -> Result<bool, StoreError> {
    Ok(diesel::delete(password_links::table.find(digest)).execute(c.db())? == 1)
}

/// An account's links of one kind die.
pub fn kill(c: &mut Conn, account: AccountId, kind: LinkKind) -> Result<usize, StoreError> {
    let links = password_links::table
        .filter(password_links::account_id.eq(account.0.to_string()))
        .filter(password_links::kind.eq(kind.as_str()));
    Ok(diesel::delete(links).execute(c.db())?)
}

/// Every link for a forgotten password dies, and nobody who asked for one waits any more. Invitations stay: without them those
/// invited have no way in.
pub fn drop_resets(c: &mut Conn) -> Result<(), StoreError> {
    let resets = password_links::table.filter(password_links::kind.eq(LinkKind::Reset.as_str()));
    diesel::delete(resets).execute(c.db())?;
    diesel::delete(reset_requests::table).execute(c.db())?;
    Ok(())
}

/// The invitations of these accounts, over or not.
pub fn invitations_of(c: &mut Conn, accounts: &[AccountId]) -> Result<Vec<PasswordLink>, StoreError> {
    let rows: Vec<LinkRecord> = password_links::table
        .filter(password_links::account_id.eq_any(accounts.iter().map(|id| id.0.to_string())))
        .filter(password_links::kind.eq(LinkKind::Invitation.as_str()))
        .select(LinkRecord::as_select())
        .load(c.db())?;
    rows.into_iter().map(LinkRecord::read).collect()
}

/// Whether a request under these keys is one more of a flood: one of them is at its limit, and that is on record. Costs no write.
pub fn is_flood(c: &mut Conn, keys: &[String], limit: usize, now: Timestamp) -> Result<bool, StoreError> {
    let rows: Vec<(String, i32)> = reset_counters::table
        .filter(reset_counters::id.eq_any(keys))
        .select((reset_counters::recent, reset_counters::refused))
        .load(c.db())?;
    for (recent, refused) in rows {
        if refused > 0 && !recent_of(&recent)?.allows(limit, now) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn recent_of(text: &str) -> Result<RecentRequests, StoreError> {
    let recent = serde_json::from_str(text).map_err(|_| corrupt("counter"))?;
    Ok(RecentRequests(recent))
}

/// Counts a request under each key, all or none. Ok(None): counted. Ok(Some(n)): one of them is at its limit, and that for the n-th time
/// this hour; the keys after it are not even looked at. Every caller names kinds of keys in the same order, so that no two requests
/// wait for each other.
pub fn count_request(c: &mut Conn, keys: &[String], limit: usize, now: Timestamp) -> Result<Option<i32>, StoreError> {
    let mut counters = Vec::new();
    for key in keys {
        let row = (
            reset_counters::id.eq(key.clone()),
            reset_counters::recent.eq("[]"),
            reset_counters::refused.eq(0),
            reset_counters::last_at.eq(At::from(now)),
        );
        // Holds the row, new or old, to the end of the write.
        let upsert = diesel::insert_into(reset_counters::table)
            .values(row)
            .on_conflict(reset_counters::id)
            .do_update()
            .set(reset_counters::last_at.eq(excluded(reset_counters::last_at)));
        Both(upsert).execute(c.db())?;
        let held = reset_counters::table
            .find(key.clone())
            .select((reset_counters::recent, reset_counters::refused));
        let (recent, refused): (String, i32) = Held(held).get_result(c.db())?;
        let mut recent = recent_of(&recent)?;
        if !recent.allows(limit, now) {
            diesel::update(reset_counters::table.find(key.clone()))
                .set(reset_counters::refused.eq(refused + 1))
                .execute(c.db())?;
            return Ok(Some(refused + 1));
        }
        counters.push((key, recent));
    }
    for (key, mut recent) in counters {
        recent.note(now);
        let noted = serde_json::json!(recent.0).to_string();
        diesel::update(reset_counters::table.find(key.clone()))
            .set((reset_counters::recent.eq(noted), reset_counters::refused.eq(0)))
            .execute(c.db())?;
    }
    Ok(None)
}

pub fn queue_request(c: &mut Conn, request: &ResetRequest) -> Result<(), StoreError> {
    let clean = |text: &Option<String>| text.as_deref().map(|text| text::clean(text).into_owned());
    let row = RequestRecord {
        id: request.id.to_string(),
        account_key: text::clean(&request.account_key).into_owned(),
        ip: request.ip.to_string(),
        user_agent: clean(&request.user_agent),
        request_id: clean(&request.request_id),
        requested_at: request.requested_at.into(),
    };
    diesel::insert_into(reset_requests::table).values(row).execute(c.db())?;
    Ok(())
}

/// Whether a request waits: asked often, and without a write.
pub fn any_request(c: &mut Conn) -> Result<bool, StoreError> {
    let first = reset_requests::table
        .select(reset_requests::id)
        .limit(1)
        .first::<String>(c.db());
    Ok(first.optional()?.is_some())
}

/// Takes the oldest request out of the queue, inside the write that answers it; `None`: none waits that nobody else answers.
pub fn take_request(c: &mut Conn) -> Result<Option<ResetRequest>, StoreError> {
    /// Looked at in one go, of which others may take some meanwhile.
    const LOOKED_AT: i64 = 20;
    let rows: Vec<RequestRecord> = reset_requests::table
        .order((reset_requests::requested_at, reset_requests::id))
        .limit(LOOKED_AT)
        .select(RequestRecord::as_select())
        .load(c.db())?;
    for row in rows {
        if diesel::delete(reset_requests::table.find(&row.id)).execute(c.db())? == 1 {
            return Ok(Some(ResetRequest {
                id: Uuid::parse_str(&row.id).map_err(|_| corrupt("request"))?,
                account_key: row.account_key,
                ip: row.ip.parse().map_err(|_| corrupt("address"))?,
                user_agent: row.user_agent,
                request_id: row.request_id,
                requested_at: row.requested_at.into(),
            }));
        }
    }
    Ok(None)
}

/// Links for forgotten passwords that ran out before `before`, and counters not used since, go, at most about
/// `limit` of each; how many. Invitations stay: they say that nobody has come yet.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let links = purge_oldest!(
        c,
        password_links.expires_at before before,
        limit,
        only password_links::kind.eq(LinkKind::Reset.as_str())
    );
    Ok(links + purge_oldest!(c, reset_counters.last_at before before, limit))
}
