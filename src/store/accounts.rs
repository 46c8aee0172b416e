//! Who may sign in? Accounts, the passwords they had before, and the networks they are known from.
//! Whether an account has expired is decided in `domain::account`; here stands only what was recorded.
use super::{
    Conn, Page, StoreError,
    changes::{ChangeKind, announce},
    conn::MultiBackend,
    instant::At,
    keyset::{self, Walk},
    per_backend::{self, Both, Held, Prepared, purge_oldest, write_together},
    schema::{accounts, known_networks, password_history, password_links},
    text,
};
use crate::domain::{
    account::{AccountId, Role},
    password::ChangeFacts,
    reset::LinkKind,
    time::Timestamp,
};
use diesel::{
    AsChangeset, BoolExpressionMethods, BoxableExpression, EscapeExpressionMethods, ExpressionMethods, Insertable,
    NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    TextExpressionMethods,
    dsl::exists,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::{Bool, Nullable, Text},
    upsert::excluded,
};
use uuid::Uuid;

#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub name_key: String,
    pub display_name: String,
    pub email: Option<String>,
    pub role: Role,
    pub groups: Vec<String>,
    pub password_hash: String,
    pub password_changed_at: Timestamp,
    pub password_set_by_other: bool,
    pub must_change_password: bool,
    pub disabled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub expired_at: Option<Timestamp>,
    pub expired_by: Option<String>,
    pub created_at: Timestamp,
    pub activated_at: Timestamp,
    pub last_sign_in_at: Option<Timestamp>,
    pub last_session_ended_at: Option<Timestamp>,
    /// Last instant at which the password works, when its owner did not choose it (`domain::password::works_at`).
    pub password_good_until: Option<Timestamp>,
}

impl Account {
    /// What decides whether its password must be changed.
    pub fn password_facts(&self) -> ChangeFacts {
        ChangeFacts {
            changed_at: self.password_changed_at,
            set_by_other: self.password_set_by_other,
            must_change: self.must_change_password,
        }
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("name_key", &self.name_key)
            .field("display_name", &self.display_name)
            .field("email", &self.email)
            .field("role", &self.role)
            .field("groups", &self.groups)
            .field("password_hash", &"…")
            .field("password_changed_at", &self.password_changed_at)
            .field("password_set_by_other", &self.password_set_by_other)
            .field("must_change_password", &self.must_change_password)
            .field("disabled_at", &self.disabled_at)
            .field("expires_at", &self.expires_at)
            .field("expired_at", &self.expired_at)
            .field("expired_by", &self.expired_by)
            .field("created_at", &self.created_at)
            .field("activated_at", &self.activated_at)
            .field("last_sign_in_at", &self.last_sign_in_at)
            .field("last_session_ended_at", &self.last_session_ended_at)
            .field("password_good_until", &self.password_good_until)
            .finish()
    }
}

/// States of the list; an account that is disabled *and* expired is in both lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountListState {
    /// Neither disabled nor expired.
    Active,
    /// Active, and the next sign-in demands another password.
    MustChange,
    /// Active, and nobody has taken up the invitation: its link is out, or ran out.
    Invited,
    Expired,
    Disabled,
}

impl AccountListState {
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::MustChange,
        Self::Invited,
        Self::Expired,
        Self::Disabled,
    ];

    /// As addresses and scripts name it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::MustChange => "password_change",
            Self::Invited => "invited",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
        }
    }

    /// The state of that name.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// Within name, display name or e-mail address, whatever the case.
    pub text: Option<String>,
    pub role: Option<Role>,
    pub state: Option<AccountListState>,
    /// In this group, to the letter.
    pub group: Option<String>,
    /// Name keys: the page after, or the page before.
    pub after: Option<String>,
    pub before: Option<String>,
    pub limit: i64,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = accounts, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Record {
    id: String,
    name: String,
    name_key: String,
    name_sort: String,
    search: String,
    display_name: String,
    email: Option<String>,
    role: String,
    member_of: String,
    password_hash: String,
    password_changed_at: At,
    password_set_by_other: bool,
    must_change_password: bool,
    disabled_at: Option<At>,
    expires_at: Option<At>,
    expired_at: Option<At>,
    expired_by: Option<String>,
    created_at: At,
    activated_at: At,
    last_sign_in_at: Option<At>,
    last_session_ended_at: Option<At>,
    password_good_until: Option<At>,
}

impl Record {
    fn of(account: &Account) -> Result<Record, StoreError> {
        let groups = serde_json::to_string(&account.groups);
        Ok(Record {
            id: account.id.0.to_string(),
            name: text::clean(&account.name).into_owned(),
            name_key: text::clean(&account.name_key).into_owned(),
            name_sort: text::sort_key(&account.name_key),
            search: text::searchable(
                [account.name.as_str(), account.display_name.as_str()]
                    .into_iter()
                    .chain(account.email.as_deref()),
            ),
            display_name: text::clean(&account.display_name).into_owned(),
            email: account.email.as_deref().map(|email| text::clean(email).into_owned()),
            role: account.role.as_str().to_owned(),
            member_of: groups.map_err(|_| StoreError::Corrupt("an account's groups".into()))?,
            password_hash: account.password_hash.clone(),
            password_changed_at: account.password_changed_at.into(),
            password_set_by_other: account.password_set_by_other,
            must_change_password: account.must_change_password,
            disabled_at: account.disabled_at.map(At::from),
            expires_at: account.expires_at.map(At::from),
            expired_at: account.expired_at.map(At::from),
            expired_by: account.expired_by.clone(),
            created_at: account.created_at.into(),
            activated_at: account.activated_at.into(),
            last_sign_in_at: account.last_sign_in_at.map(At::from),
            last_session_ended_at: account.last_session_ended_at.map(At::from),
            password_good_until: account.password_good_until.map(At::from),
        })
    }

    fn read(self) -> Result<Account, StoreError> {
        Ok(Account {
            id: id_of(&self.id)?,
            role: role_of(&self.role)?,
            groups: serde_json::from_str(&self.member_of)
                .map_err(|_| StoreError::Corrupt("an account's groups".into()))?,
            name: self.name,
            name_key: self.name_key,
            display_name: self.display_name,
            email: self.email,
            password_hash: self.password_hash,
            password_changed_at: self.password_changed_at.into(),
            password_set_by_other: self.password_set_by_other,
            must_change_password: self.must_change_password,
            disabled_at: self.disabled_at.map(Timestamp::from),
            expires_at: self.expires_at.map(Timestamp::from),
            expired_at: self.expired_at.map(Timestamp::from),
            expired_by: self.expired_by,
            created_at: self.created_at.into(),
            activated_at: self.activated_at.into(),
            last_sign_in_at: self.last_sign_in_at.map(Timestamp::from),
            last_session_ended_at: self.last_session_ended_at.map(Timestamp::from),
            password_good_until: self.password_good_until.map(Timestamp::from),
        })
    }
}

pub(super) fn id_of(text: &str) -> Result<AccountId, StoreError> {
    Uuid::parse_str(text)
        .map(AccountId)
        .map_err(|_| StoreError::Corrupt("an account's id".into()))
}

pub(super) fn role_of(text: &str) -> Result<Role, StoreError> {
    Role::parse(text).ok_or_else(|| StoreError::Corrupt("an account's role".into()))
}

/// The only unique column that a caller chooses is the name.
fn name_taken(error: DieselError) -> StoreError {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StoreError::Conflict("account name"),
        other => other.into(),
    }
}

/// In a write the row is held until the end, so that an [`update`] of what was found undoes nobody else's.
pub fn find(c: &mut Conn, id: AccountId) -> Result<Option<Account>, StoreError> {
    let row = accounts::table.find(id.0.to_string()).select(Record::as_select());
    let row: Option<Record> = if c.writing {
        Held(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(Record::read).transpose()
}

/// As [`find`].
pub fn find_by_name_key(c: &mut Conn, name_key: &str) -> Result<Option<Account>, StoreError> {
    let key = text::clean(name_key);
    let row = accounts::table
        .filter(accounts::name_key.eq(key.as_ref()))
        .select(Record::as_select());
    let row: Option<Record> = if c.writing {
        Held(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(Record::read).transpose()
}

/// The name alone, for records; its row is not held, whoever writes.
pub fn name_of(c: &mut Conn, id: AccountId) -> Result<Option<String>, StoreError> {
    let row = accounts::table.find(id.0.to_string()).select(accounts::name);
    Ok(row.first(c.db()).optional()?)
}

/// Another account than `except` that has this address, whatever the case.
pub fn of_email(c: &mut Conn, email: &str, except: AccountId) -> Result<Option<Account>, StoreError> {
    let wanted = text::fold(email);
    let rows: Vec<Record> = accounts::table
        .filter(accounts::search.like(text::containing(email)).escape('\\'))
        .filter(accounts::id.ne(except.0.to_string()))
        .order(accounts::id)
        .select(Record::as_select())
        .load(c.db())?;
    let same = |row: &Record| row.email.as_deref().is_some_and(|email| text::fold(email) == wanted);
    rows.into_iter().find(same).map(Record::read).transpose()
}

/// Those of these keys that there are; in a write their rows are held, as by [`find`].
pub fn find_by_name_keys(c: &mut Conn, keys: &[&str]) -> Result<Vec<Account>, StoreError> {
    let keys: Vec<String> = keys.iter().map(|key| text::clean(key).into_owned()).collect();
    all_of(c, &keys, |keys| Box::new(accounts::name_key.eq_any(keys)))
}

/// Those of these ids that there are, by id; in a write their rows are held, as by [`find`].
pub fn find_all(c: &mut Conn, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
    let mut ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
    ids.sort_unstable();
    all_of(c, &ids, |ids| Box::new(accounts::id.eq_any(ids)))
}

type OneOf = Box<dyn BoxableExpression<accounts::table, MultiBackend, SqlType = Bool>>;

/// In parts, so that no database's limit of bound values is reached; each part by id, the order in which rows are held.
fn all_of(c: &mut Conn, values: &[String], one_of: fn(Vec<String>) -> OneOf) -> Result<Vec<Account>, StoreError> {
    let mut found = Vec::new();
    for values in values.chunks(500) {
        let rows = accounts::table
            .into_boxed::<MultiBackend>()
            .filter(one_of(values.to_vec()))
            .order(accounts::id)
            .select(Record::as_select());
        let rows: Vec<Record> = if c.writing {
            Held(rows).load(c.db())?
        } else {
            rows.load(c.db())?
        };
        for row in rows {
            found.push(row.read()?);
        }
    }
    Ok(found)
}

pub fn insert(c: &mut Conn, account: &Account) -> Result<(), StoreError> {
    let row = Record::of(account)?;
    diesel::insert_into(accounts::table)
        .values(row)
        .execute(c.db())
        .map_err(name_taken)?;
    announce(c, ChangeKind::Account, &account.id.0.to_string())
}

/// Everything but id and creation.
pub fn update(c: &mut Conn, account: &Account) -> Result<(), StoreError> {
    let mut row = Record::of(account)?;
    let id = row.id.clone();
    let created = accounts::table
        .find(&id)
        .select(accounts::created_at)
        .first::<At>(c.db())
        .optional()?;
    row.created_at = created.ok_or(StoreError::NotFound("account"))?;
    let updated = diesel::update(accounts::table.find(&id))
        .set(row)
        .execute(c.db())
        .map_err(name_taken)?;
    if updated == 0 {
        return Err(StoreError::NotFound("account"));
    }
    announce(c, ChangeKind::Account, &id)
}

/// With its sessions, password history and known networks; the audit keeps what it says.
pub fn delete(c: &mut Conn, id: AccountId) -> Result<(), StoreError> {
    let id = id.0.to_string();
    if diesel::delete(accounts::table.find(&id)).execute(c.db())? == 0 {
        return Err(StoreError::NotFound("account"));
    }
    announce(c, ChangeKind::Account, &id)
}

/// Taken before every decision about the last administrator, so that two of them cannot both find another one left.
pub fn lock_administrators(c: &mut Conn) -> Result<(), StoreError> {
    per_backend::lock_administrators(c.db(), Role::Administrator.as_str())
}

/// Administrators who can sign in: neither disabled nor marked as expired, and with a password that works at `now`. Whoever was invited
/// and has not chosen one yet is none of them.
pub fn count_usable_administrators(c: &mut Conn, except: Option<AccountId>, now: Timestamp) -> Result<i64, StoreError> {
    let works = accounts::password_good_until
        .is_null()
        .or(accounts::password_good_until.ge(At::from(now)));
    let mut query = accounts::table
        .filter(accounts::role.eq(Role::Administrator.as_str()))
        .filter(accounts::disabled_at.is_null())
        .filter(accounts::expired_at.is_null())
        .filter(works)
        .into_boxed::<MultiBackend>();
    if let Some(id) = except {
        query = query.filter(accounts::id.ne(id.0.to_string()));
    }
    Ok(query.count().get_result(c.db())?)
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// `text` without each occurrence of `from`, which becomes `to`: alike on both databases.
    fn replace(text: Text, from: Text, to: Text) -> Text;
}

type Boxed = accounts::BoxedQuery<'static, MultiBackend>;

/// The filter's rows, wherever in the list.
fn matching(filter: &AccountFilter) -> Boxed {
    let mut query = accounts::table.into_boxed::<MultiBackend>();
    if let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) {
        query = query.filter(accounts::search.like(text::containing(text)).escape('\\'));
    }
    if let Some(role) = filter.role {
        query = query.filter(accounts::role.eq(role.as_str()));
    }
    if let Some(group) = &filter.group {
        // A JSON list has a name exactly when the name stands in quotes at its beginning or after a comma, which no name has.
        // (LIKE would fold the case on one database.)
        let quoted = serde_json::Value::from(text::clean(group).as_ref()).to_string();
        let without = |part: String| replace(accounts::member_of, part, "").ne(accounts::member_of);
        query = query.filter(without(format!("[{quoted}")).or(without(format!(",{quoted}"))));
    }
    match filter.state {
        None => query,
        Some(AccountListState::Active) => query
            .filter(accounts::disabled_at.is_null())
            .filter(accounts::expired_at.is_null()),
        Some(AccountListState::MustChange) => query
            .filter(accounts::must_change_password)
            .filter(accounts::disabled_at.is_null())
            .filter(accounts::expired_at.is_null()),
        Some(AccountListState::Invited) => {
            let open = password_links::table
                .filter(password_links::account_id.eq(accounts::id))
                .filter(password_links::kind.eq(LinkKind::Invitation.as_str()))
                .filter(password_links::password_changed_at.eq(accounts::password_changed_at));
            query
                .filter(exists(open))
                .filter(accounts::disabled_at.is_null())
                .filter(accounts::expired_at.is_null())
        }
        Some(AccountListState::Expired) => query.filter(accounts::expired_at.is_not_null()),
        Some(AccountListState::Disabled) => query.filter(accounts::disabled_at.is_not_null()),
    }
}

fn following(query: Boxed, key: &str) -> Boxed {
    let (sort, key) = (text::sort_key(key), text::clean(key).into_owned());
    query
        .filter(accounts::name_sort.ge(sort.clone()))
        .filter(accounts::name_sort.gt(sort).or(accounts::name_key.gt(key)))
        .order((accounts::name_sort.asc(), accounts::name_key.asc()))
}

fn preceding(query: Boxed, key: &str) -> Boxed {
    let (sort, key) = (text::sort_key(key), text::clean(key).into_owned());
    query
        .filter(accounts::name_sort.le(sort.clone()))
        .filter(accounts::name_sort.lt(sort).or(accounts::name_key.lt(key)))
        .order((accounts::name_sort.desc(), accounts::name_key.desc()))
}

/// By name key.
pub fn list(c: &mut Conn, filter: &AccountFilter) -> Result<Page<Account>, StoreError> {
    let cursors = (filter.after.clone(), filter.before.clone());
    let key = |account: &Account| Ok(account.name_key.clone());
    keyset::page(cursors, filter.limit, key, |walk, limit| {
        let rows = match walk {
            Walk::FromTop => matching(filter).order((accounts::name_sort.asc(), accounts::name_key.asc())),
            Walk::Older(key) => following(matching(filter), &key),
            Walk::Newer(key) => preceding(matching(filter), &key),
        };
        let rows: Vec<Record> = rows.limit(limit).select(Record::as_select()).load(c.db())?;
        rows.into_iter().map(Record::read).collect()
    })
}

/// Ids of all that match, by name key.
pub fn ids_matching(c: &mut Conn, filter: &AccountFilter) -> Result<Vec<AccountId>, StoreError> {
    let ids: Vec<String> = matching(filter)
        .order((accounts::name_sort.asc(), accounts::name_key.asc()))
        .select(accounts::id)
        .load(c.db())?;
    ids.iter().map(|id| id_of(id)).collect()
}

pub fn count(c: &mut Conn, filter: &AccountFilter) -> Result<i64, StoreError> {
    Ok(matching(filter).count().get_result(c.db())?)
}

pub fn count_all(c: &mut Conn) -> Result<i64, StoreError> {
    Ok(accounts::table.count().get_result(c.db())?)
}

/// Instants before which an account may be due to expire; `None`: no such rule.
#[derive(Debug, Clone, Copy)]
pub struct ExpiryBounds {
    /// Its own date lies before.
    pub dated_before: Timestamp,
    /// Its last session ended before.
    pub ended_before: Option<Timestamp>,
    /// It never signed in and was activated before.
    pub unused_before: Option<Timestamp>,
}

/// Enabled and unexpired accounts beyond any of the bounds, by id, for the expiry job.
pub fn expiry_candidates(
    c: &mut Conn,
    bounds: &ExpiryBounds,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<Account>, StoreError> {
    type Condition = Box<dyn BoxableExpression<accounts::table, MultiBackend, SqlType = Nullable<Bool>>>;
    let mut due: Condition = Box::new(accounts::expires_at.lt(At::from(bounds.dated_before)));
    if let Some(at) = bounds.ended_before {
        due = Box::new(due.or(accounts::last_session_ended_at.lt(At::from(at))));
    }
    if let Some(at) = bounds.unused_before {
        let unused = accounts::last_sign_in_at
            .is_null()
            .and(accounts::activated_at.lt(At::from(at)));
        due = Box::new(due.or(unused.nullable()));
    }
    let rows: Vec<Record> = accounts::table
        .into_boxed::<MultiBackend>()
        .filter(accounts::disabled_at.is_null())
        .filter(accounts::expired_at.is_null())
        .filter(due)
        .filter(accounts::id.gt(after.map(|id| id.0.to_string()).unwrap_or_default()))
        .order(accounts::id)
        .limit(limit)
        .select(Record::as_select())
        .load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// Only raises the instant.
pub fn set_last_session_ended(c: &mut Conn, id: AccountId, at: Timestamp) -> Result<(), StoreError> {
    let earlier = accounts::last_session_ended_at
        .is_null()
        .or(accounts::last_session_ended_at.lt(At::from(at)));
    let update = diesel::update(accounts::table.find(id.0.to_string()).filter(earlier))
        .set(accounts::last_session_ended_at.eq(At::from(at)))
        .returning(accounts::id);
    Prepared(update).load::<String>(c.db())?;
    Ok(())
}

/// Notes that the account completed a sign-in, and from which network; only raises the instants.
pub fn record_sign_in(c: &mut Conn, id: AccountId, network: &str, at: Timestamp) -> Result<(), StoreError> {
    let earlier = accounts::last_sign_in_at
        .is_null()
        .or(accounts::last_sign_in_at.lt(At::from(at)));
    let signed_in = diesel::update(accounts::table.find(id.0.to_string()).filter(earlier))
        .set(accounts::last_sign_in_at.eq(At::from(at)))
        .returning(accounts::id);
    let row = (
        known_networks::account_id.eq(id.0.to_string()),
        known_networks::network.eq(network),
        known_networks::seen_at.eq(At::from(at)),
    );
    let known = diesel::insert_into(known_networks::table)
        .values(row)
        .on_conflict((known_networks::account_id, known_networks::network))
        .do_update()
        .set(known_networks::seen_at.eq(excluded(known_networks::seen_at)));
    let later = known_networks::seen_at.lt(excluded(known_networks::seen_at));
    let known = diesel::query_dsl::methods::FilterDsl::filter(known, later).returning(known_networks::network);
    Ok(write_together!(c.db(), signed_in, known)?)
}

/// Networks that the account is known from, the latest first.
pub fn networks(c: &mut Conn, id: AccountId, limit: i64) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows: Vec<(String, At)> = known_networks::table
        .filter(known_networks::account_id.eq(id.0.to_string()))
        .order((known_networks::seen_at.desc(), known_networks::network))
        .limit(limit)
        .select((known_networks::network, known_networks::seen_at))
        .load(c.db())?;
    Ok(rows.into_iter().map(|(network, at)| (network, at.into())).collect())
}

/// The account is known from this network no more.
pub fn forget_network(c: &mut Conn, id: AccountId, network: &str) -> Result<(), StoreError> {
    diesel::delete(known_networks::table.find((id.0.to_string(), network))).execute(c.db())?;
    Ok(())
}

/// Forgets networks that were last seen before `before`, oldest first, at most `limit` and those of the same instants.
pub fn purge_networks(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, known_networks.seen_at before before, limit))
}

pub fn knows_network(c: &mut Conn, id: AccountId, network: &str, since: Timestamp) -> Result<bool, StoreError> {
    let known = known_networks::table
        .find((id.0.to_string(), network))
        .filter(known_networks::seen_at.ge(At::from(since)))
        .select(known_networks::network)
        .first::<String>(c.db())
        .optional()?;
    Ok(known.is_some())
}

/// Writes the owner's own new password; the one before joins the history, of which the newest `keep` stay.
pub fn choose_password(
    c: &mut Conn,
    account: &mut Account,
    hash: String,
    at: Timestamp,
    keep: i64,
) -> Result<(), StoreError> {
    push_password(c, account.id, &account.password_hash, at, keep)?;
    account.password_hash = hash;
    account.password_changed_at = at;
    account.password_set_by_other = false;
    account.must_change_password = false;
    account.password_good_until = None;
    update(c, account)
}

/// Remembers a former password's hash and forgets all but the newest `keep`.
pub fn push_password(c: &mut Conn, id: AccountId, hash: &str, at: Timestamp, keep: i64) -> Result<(), StoreError> {
    let id = id.0.to_string();
    let row = (
        password_history::account_id.eq(&id),
        password_history::changed_at.eq(At::from(at)),
        password_history::password_hash.eq(hash),
    );
    Both(
        diesel::insert_into(password_history::table)
            .values(row)
            .on_conflict_do_nothing(),
    )
    .execute(c.db())?;
    let kept: Vec<At> = password_history::table
        .filter(password_history::account_id.eq(&id))
        .order(password_history::changed_at.desc())
        .limit(keep.max(0))
        .select(password_history::changed_at)
        .load(c.db())?;
    let mut old = diesel::delete(password_history::table)
        .filter(password_history::account_id.eq(&id))
        .into_boxed::<MultiBackend>();
    if let Some(oldest) = kept.last() {
        old = old.filter(password_history::changed_at.lt(*oldest));
    }
    old.execute(c.db())?;
    Ok(())
}

/// The newest `n` former hashes, newest first.
pub fn list_passwords(c: &mut Conn, id: AccountId, n: i64) -> Result<Vec<String>, StoreError> {
    Ok(password_history::table
        .filter(password_history::account_id.eq(id.0.to_string()))
        .order(password_history::changed_at.desc())
        .limit(n.max(0))
        .select(password_history::password_hash)
        .load(c.db())?)
}

/// Replaces the hash unless somebody changed it meanwhile (a new cost at sign-in).
pub fn set_password_hash_if(c: &mut Conn, id: AccountId, old: &str, new: &str) -> Result<bool, StoreError> {
    let id = id.0.to_string();
    let unchanged = accounts::table.find(&id).filter(accounts::password_hash.eq(old));
    let done = diesel::update(unchanged)
        .set(accounts::password_hash.eq(new))
        .execute(c.db())?
        == 1;
    if done {
        announce(c, ChangeKind::Account, &id)?;
    }
    Ok(done)
}
