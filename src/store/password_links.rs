//! Links to choose a password: requests, valid links, and counters of requests. Only digests are
//! stored; `domain::reset` decides whether a link works.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    per_backend::{LockedRows, PortableStatement, purge_oldest},
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

/// A link that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordLink {
    /// The digest of the link's token.
    pub digest: String,
    /// The account.
    pub account: AccountId,
    /// A reset or an invitation.
    pub kind: LinkKind,
    /// The address to which it was sent.
    pub email: String,
    /// When the password that was current at its creation was set.
    pub password_changed_at: Timestamp,
    /// When the link was made.
    pub made_at: Timestamp,
    /// Last instant at which the link works.
    pub expires_at: Timestamp,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    /// Its ID.
    pub id: Uuid,
    /// The name key of the typed name.
    pub account_key: String,
    /// The address from which it was requested.
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    /// The ID of the HTTP request, for records.
    pub request_id: Option<String>,
    /// When it was requested.
    pub requested_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = password_links)]
struct LinkRecord {
    digest: String,
    account_id: String,
    kind: String,
    email: String,
    password_changed_at: StoredInstant,
    made_at: StoredInstant,
    expires_at: StoredInstant,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = reset_requests, treat_none_as_default_value = false)]
struct RequestRecord {
    id: String,
    account_key: String,
    ip: String,
    user_agent: Option<String>,
    request_id: Option<String>,
    requested_at: StoredInstant,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a password link's {what}"))
}

impl LinkRecord {
    fn read(self) -> Result<PasswordLink, StoreError> {
        Ok(PasswordLink {
            account: super::accounts::parse_id(&self.account_id)?,
            kind: LinkKind::parse(&self.kind).ok_or_else(|| corrupt("kind"))?,
            digest: self.digest,
            email: self.email,
            password_changed_at: self.password_changed_at.into(),
            made_at: self.made_at.into(),
            expires_at: self.expires_at.into(),
        })
    }
}

/// Stores a link; it replaces older ones of the same account and kind.
pub fn replace(c: &mut Conn, link: &PasswordLink) -> Result<(), StoreError> {
    delete_of_account(c, link.account, link.kind)?;
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

/// Finds a link without consuming it.
pub fn find(c: &mut Conn, digest: &str) -> Result<Option<PasswordLink>, StoreError> {
    let row: Option<LinkRecord> = password_links::table
        .find(digest)
        .select(LinkRecord::as_select())
        .first(c.db())
        .optional()?;
    row.map(LinkRecord::read).transpose()
}

/// Consumes a link; only one of several callers gets true.
pub fn redeem(c: &mut Conn, digest: &str) -> Result<bool, StoreError> {
    Ok(diesel::delete(password_links::table.find(digest)).execute(c.db())? == 1)
}

/// Deletes an account's links of one kind.
pub fn delete_of_account(c: &mut Conn, account: AccountId, kind: LinkKind) -> Result<usize, StoreError> {
    let links = password_links::table
        .filter(password_links::account_id.eq(account.0.to_string()))
        .filter(password_links::kind.eq(kind.as_str()));
    Ok(diesel::delete(links).execute(c.db())?)
}

/// Deletes every link for a forgotten password and every waiting request. Invitations stay: without
/// them invited users could not get in.
pub fn drop_resets(c: &mut Conn) -> Result<(), StoreError> {
    let resets = password_links::table.filter(password_links::kind.eq(LinkKind::Reset.as_str()));
    diesel::delete(resets).execute(c.db())?;
    diesel::delete(reset_requests::table).execute(c.db())?;
    Ok(())
}

/// Lists the invitations of these accounts, expired or not.
pub fn list_invitations(c: &mut Conn, accounts: &[AccountId]) -> Result<Vec<PasswordLink>, StoreError> {
    let rows: Vec<LinkRecord> = password_links::table
        .filter(password_links::account_id.eq_any(accounts.iter().map(|id| id.0.to_string())))
        .filter(password_links::kind.eq(LinkKind::Invitation.as_str()))
        .select(LinkRecord::as_select())
        .load(c.db())?;
    rows.into_iter().map(LinkRecord::read).collect()
}

/// Returns whether a request under these keys is part of a flood: one of them is at its limit, and
/// that is recorded. It costs no write.
pub fn is_flood(c: &mut Conn, keys: &[String], limit: usize, now: Timestamp) -> Result<bool, StoreError> {
    let rows: Vec<(String, i32)> = reset_counters::table
        .filter(reset_counters::id.eq_any(keys))
        .select((reset_counters::recent, reset_counters::refused))
        .load(c.db())?;
    for (recent, refused) in rows {
        if refused > 0 && !parse_requests(&recent)?.allows(limit, now) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn parse_requests(text: &str) -> Result<RecentRequests, StoreError> {
    let recent = serde_json::from_str(text).map_err(|_| corrupt("counter"))?;
    Ok(RecentRequests(recent))
}

/// Counts a request under each key, all or none. `Ok(None)`: counted. `Ok(Some(n))`: one of them is
/// at its limit, for the n-th time this hour; the keys after it are not read. Every caller passes
/// kinds of keys in the same order, so that requests never deadlock.
pub fn count_request(c: &mut Conn, keys: &[String], limit: usize, now: Timestamp) -> Result<Option<i32>, StoreError> {
    let mut counters = Vec::new();
    for key in keys {
        let row = (
            reset_counters::id.eq(key.clone()),
            reset_counters::recent.eq("[]"),
            reset_counters::refused.eq(0),
            reset_counters::last_at.eq(StoredInstant::from(now)),
        );
        // Locks the row, new or old, until the end of the write.
        let upsert = diesel::insert_into(reset_counters::table)
            .values(row)
            .on_conflict(reset_counters::id)
            .do_update()
            .set(reset_counters::last_at.eq(excluded(reset_counters::last_at)));
        PortableStatement(upsert).execute(c.db())?;
        let held = reset_counters::table
            .find(key.clone())
            .select((reset_counters::recent, reset_counters::refused));
        let (recent, refused): (String, i32) = LockedRows(held).get_result(c.db())?;
        let mut recent = parse_requests(&recent)?;
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

/// Queues a request for a reset link.
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

/// Returns whether a request waits. Called often, and without a write.
pub fn has_request(c: &mut Conn) -> Result<bool, StoreError> {
    let first = reset_requests::table
        .select(reset_requests::id)
        .limit(1)
        .first::<String>(c.db());
    Ok(first.optional()?.is_some())
}

/// Takes the oldest request out of the queue, inside the write that answers it; `None`: no request
/// waits that no other instance answers.
pub fn take_request(c: &mut Conn) -> Result<Option<ResetRequest>, StoreError> {
    /// Number of requests that are read together; others may take some of them meanwhile.
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

/// Deletes links for forgotten passwords that expired before `before`, and counters that were not
/// used since, at most about `limit` of each; returns their number. Invitations stay, because they
/// show that the account has not been used.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let links = purge_oldest!(
        c,
        password_links.expires_at before before,
        limit,
        only password_links::kind.eq(LinkKind::Reset.as_str())
    );
    Ok(links + purge_oldest!(c, reset_counters.last_at before before, limit))
}
