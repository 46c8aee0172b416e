//! Accounts, their earlier passwords, and the networks they are known from. `domain::expiry`
//! decides whether an account has expired; this table only records it.

mod expiry;
mod networks;
mod of_source;
mod passwords;
mod row;

pub use expiry::list_expiry_candidates;
pub use networks::{forget_networks, knows_network, list_networks, purge_networks, record_sign_in};
pub(super) use of_source::restrict_to_source;
pub use of_source::{
    LiveSessionCount, count_by_source, count_enabled_of_source, count_live_sessions, count_of_source,
    find_by_external_id, find_listed, list_of_source, list_with_sessions,
};
pub use passwords::{choose_password, list_passwords, push_password, set_password_hash_if};
pub(super) use row::{factors_of, parse_id, parse_role, parse_source_id};

use self::row::AccountRow;
use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce},
    conn::MultiBackend,
    instant::StoredInstant,
    keyset::{self, PageDirection},
    per_backend::{self, LockedRows, PreparedStatement},
    schema::{accounts, authenticator_apps, passkeys, password_links, recovery_codes},
    text,
};
use crate::domain::{
    account::{Account, AccountFilter, AccountId, AccountListState, Role},
    list::Page,
    reset::LinkKind,
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, BoxableExpression, EscapeExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl,
    RunQueryDsl, SelectableHelper, TextExpressionMethods,
    dsl::exists,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::{Bool, Text},
};

/// The name, and the identity at a source, are the unique columns that a caller chooses. SQLite
/// names the columns, Postgres the index; a name cannot appear in either message.
fn is_taken(error: DieselError) -> StoreError {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => {
            let is_identity = information.constraint_name() == Some("accounts_external_id")
                || information.message().contains("accounts.external_id");
            StoreError::Conflict(if is_identity {
                "external identity"
            } else {
                "account name"
            })
        }
        other => other.into(),
    }
}

/// Finds an account. In a write its row is locked until the end, so that an [`update`] does not
/// overwrite another change.
pub fn find(c: &mut Conn, id: AccountId) -> Result<Option<Account>, StoreError> {
    let row = accounts::table.find(id.0.to_string()).select(AccountRow::as_select());
    let row: Option<AccountRow> = if c.writing {
        LockedRows(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(AccountRow::read).transpose()
}

/// Finds an account by its name key, like [`find`].
pub fn find_by_name_key(c: &mut Conn, name_key: &str) -> Result<Option<Account>, StoreError> {
    let key = text::clean(name_key);
    let row = accounts::table
        .filter(accounts::name_key.eq(key.as_ref()))
        .select(AccountRow::as_select());
    let row: Option<AccountRow> = if c.writing {
        LockedRows(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(AccountRow::read).transpose()
}

/// Finds only the name, for records; its row is not locked, even in a write.
pub fn find_name(c: &mut Conn, id: AccountId) -> Result<Option<String>, StoreError> {
    let row = accounts::table.find(id.0.to_string()).select(accounts::name);
    Ok(row.first(c.db()).optional()?)
}

/// Finds another account than `except` that has this address, in any case.
pub fn find_by_email(c: &mut Conn, email: &str, except: AccountId) -> Result<Option<Account>, StoreError> {
    let wanted = text::fold(email);
    let rows: Vec<AccountRow> = accounts::table
        .filter(accounts::search.like(text::containing(email)).escape('\\'))
        .filter(accounts::id.ne(except.0.to_string()))
        .order(accounts::id)
        .select(AccountRow::as_select())
        .load(c.db())?;
    let same = |row: &AccountRow| row.email.as_deref().is_some_and(|email| text::fold(email) == wanted);
    rows.into_iter().find(same).map(AccountRow::read).transpose()
}

/// Finds the existing accounts with these keys; in a write their rows are locked, as by [`find`].
pub fn find_by_name_keys(c: &mut Conn, keys: &[&str]) -> Result<Vec<Account>, StoreError> {
    let keys: Vec<String> = keys.iter().map(|key| text::clean(key).into_owned()).collect();
    find_where(c, &keys, |keys| Box::new(accounts::name_key.eq_any(keys)))
}

/// Finds the existing accounts with these IDs, by ID; in a write their rows are locked, as by
/// [`find`].
pub fn find_all(c: &mut Conn, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
    let mut ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
    ids.sort_unstable();
    find_where(c, &ids, |ids| Box::new(accounts::id.eq_any(ids)))
}

type AccountCondition = Box<dyn BoxableExpression<accounts::table, MultiBackend, SqlType = Bool>>;

/// Reads in parts, so that no database's limit of bound values is reached; each part by ID, the
/// order in which rows are locked.
fn find_where(
    c: &mut Conn,
    values: &[String],
    one_of: fn(Vec<String>) -> AccountCondition,
) -> Result<Vec<Account>, StoreError> {
    let mut found = Vec::new();
    for values in values.chunks(500) {
        let rows = accounts::table
            .into_boxed::<MultiBackend>()
            .filter(one_of(values.to_vec()))
            .order(accounts::id)
            .select(AccountRow::as_select());
        let rows: Vec<AccountRow> = if c.writing {
            LockedRows(rows).load(c.db())?
        } else {
            rows.load(c.db())?
        };
        for row in rows {
            found.push(row.read()?);
        }
    }
    Ok(found)
}

/// Inserts an account. Conflict: the username is taken.
pub fn insert(c: &mut Conn, account: &Account) -> Result<(), StoreError> {
    let row = AccountRow::from_account(account)?;
    diesel::insert_into(accounts::table)
        .values(row)
        .execute(c.db())
        .map_err(is_taken)?;
    announce(c, ChangeKind::Account, &account.id.0.to_string())
}

/// Updates everything except ID and creation.
pub fn update(c: &mut Conn, account: &Account) -> Result<(), StoreError> {
    let mut row = AccountRow::from_account(account)?;
    let id = row.id.clone();
    let created = accounts::table
        .find(&id)
        .select(accounts::created_at)
        .first::<StoredInstant>(c.db())
        .optional()?;
    row.created_at = created.ok_or(StoreError::NotFound("account"))?;
    let updated = diesel::update(accounts::table.find(&id))
        .set(row)
        .execute(c.db())
        .map_err(is_taken)?;
    if updated == 0 {
        return Err(StoreError::NotFound("account"));
    }
    announce(c, ChangeKind::Account, &id)
}

/// Counts an account's factors again after one was added or removed, and announces the account.
pub(super) fn count_factors(c: &mut Conn, id: AccountId) -> Result<(), StoreError> {
    let id = id.0.to_string();
    let apps: i64 = authenticator_apps::table
        .filter(authenticator_apps::account_id.eq(&id))
        .filter(authenticator_apps::confirmed_at.is_not_null())
        .count()
        .get_result(c.db())?;
    let keys: i64 = passkeys::table
        .filter(passkeys::account_id.eq(&id))
        .count()
        .get_result(c.db())?;
    let codes: i64 = recovery_codes::table
        .filter(recovery_codes::account_id.eq(&id))
        .count()
        .get_result(c.db())?;
    let column = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    diesel::update(accounts::table.find(&id))
        .set((
            accounts::authenticator_app.eq(apps > 0),
            accounts::passkeys.eq(column(keys)),
            accounts::recovery_codes.eq(column(codes)),
        ))
        .execute(c.db())?;
    announce(c, ChangeKind::Account, &id)
}

/// Records when a second factor was first required of an account. Returns false if it was recorded
/// before.
pub fn note_factor_required(c: &mut Conn, id: AccountId, at: Timestamp) -> Result<bool, StoreError> {
    let id = id.0.to_string();
    let unnoted = accounts::table.find(&id).filter(accounts::factor_required_at.is_null());
    let noted = diesel::update(unnoted)
        .set(accounts::factor_required_at.eq(StoredInstant::from(at)))
        .execute(c.db())?
        == 1;
    if noted {
        announce(c, ChangeKind::Account, &id)?;
    }
    Ok(noted)
}

/// Lists accounts of a role without a record by [`note_factor_required`], at most `limit`.
pub fn without_factor_required(c: &mut Conn, role: Role, limit: i64) -> Result<Vec<AccountId>, StoreError> {
    let rows: Vec<String> = accounts::table
        .filter(accounts::role.eq(role.as_str()))
        .filter(accounts::factor_required_at.is_null())
        .order(accounts::id)
        .limit(limit)
        .select(accounts::id)
        .load(c.db())?;
    rows.iter().map(|id| parse_id(id)).collect()
}

/// Deletes an account with its sessions, password history and known networks; the audit keeps its
/// entries.
pub fn delete(c: &mut Conn, id: AccountId) -> Result<(), StoreError> {
    let id = id.0.to_string();
    if diesel::delete(accounts::table.find(&id)).execute(c.db())? == 0 {
        return Err(StoreError::NotFound("account"));
    }
    announce(c, ChangeKind::Account, &id)
}

/// Locks all administrators' rows. Called before every decision about the last administrator, so
/// that two parallel decisions cannot both find another one left.
pub fn lock_administrators(c: &mut Conn) -> Result<(), StoreError> {
    per_backend::lock_administrators(c.db(), Role::Administrator.as_str())
}

/// Counts local administrators who can sign in: neither disabled nor marked as expired, and with a
/// password that works at `now`. An invited one who has not chosen a password does not count, and
/// neither does one whose source may fail or take the role away.
pub fn count_usable_administrators(c: &mut Conn, except: Option<AccountId>, now: Timestamp) -> Result<i64, StoreError> {
    let works = accounts::password_good_until
        .is_null()
        .or(accounts::password_good_until.ge(StoredInstant::from(now)));
    let mut query = accounts::table
        .filter(accounts::role.eq(Role::Administrator.as_str()))
        .filter(accounts::source_id.is_null())
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
    /// SQL function: `text` with each occurrence of `from` replaced by `to`; the same on both
    /// databases.
    fn replace(text: Text, from: Text, to: Text) -> Text;
}

pub(super) type AccountSelect = accounts::BoxedQuery<'static, MultiBackend>;

/// Returns a query for the filter's rows, without paging.
fn select_matching(filter: &AccountFilter) -> AccountSelect {
    let mut query = accounts::table.into_boxed::<MultiBackend>();
    if let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) {
        query = query.filter(accounts::search.like(text::containing(text)).escape('\\'));
    }
    if let Some(role) = filter.role {
        query = query.filter(accounts::role.eq(role.as_str()));
    }
    if let Some(group) = &filter.group {
        // A JSON list contains a name exactly if the quoted name is at its beginning or after a
        // comma, because names contain no commas. (LIKE would ignore case on one database.)
        let quoted = serde_json::Value::from(text::clean(group).as_ref()).to_string();
        let without = |part: String| replace(accounts::member_of, part, "").ne(accounts::member_of);
        query = query.filter(without(format!("[{quoted}")).or(without(format!(",{quoted}"))));
    }
    let without_factor = accounts::authenticator_app.eq(false).and(accounts::passkeys.eq(0));
    query = match filter.second_factor {
        None => query,
        Some(false) => query.filter(without_factor),
        Some(true) => query.filter(accounts::authenticator_app.or(accounts::passkeys.gt(0))),
    };
    if let Some(source) = filter.source.as_deref() {
        query = restrict_to_source(query, source);
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

fn after_key(query: AccountSelect, key: &str) -> AccountSelect {
    let (sort, key) = (text::sort_key(key), text::clean(key).into_owned());
    query
        .filter(accounts::name_sort.ge(sort.clone()))
        .filter(accounts::name_sort.gt(sort).or(accounts::name_key.gt(key)))
        .order((accounts::name_sort.asc(), accounts::name_key.asc()))
}

fn before_key(query: AccountSelect, key: &str) -> AccountSelect {
    let (sort, key) = (text::sort_key(key), text::clean(key).into_owned());
    query
        .filter(accounts::name_sort.le(sort.clone()))
        .filter(accounts::name_sort.lt(sort).or(accounts::name_key.lt(key)))
        .order((accounts::name_sort.desc(), accounts::name_key.desc()))
}

/// Lists accounts by name key.
pub fn list(c: &mut Conn, filter: &AccountFilter) -> Result<Page<Account>, StoreError> {
    let cursors = (filter.after.clone(), filter.before.clone());
    let key = |account: &Account| Ok(account.name_key.clone());
    keyset::page(cursors, filter.limit, key, |walk, limit| {
        let rows = match walk {
            PageDirection::FromTop => {
                select_matching(filter).order((accounts::name_sort.asc(), accounts::name_key.asc()))
            }
            PageDirection::Older(key) => after_key(select_matching(filter), &key),
            PageDirection::Newer(key) => before_key(select_matching(filter), &key),
        };
        let rows: Vec<AccountRow> = rows.limit(limit).select(AccountRow::as_select()).load(c.db())?;
        rows.into_iter().map(AccountRow::read).collect()
    })
}

/// Lists the IDs of all matching accounts by name key.
pub fn list_ids(c: &mut Conn, filter: &AccountFilter) -> Result<Vec<AccountId>, StoreError> {
    let ids: Vec<String> = select_matching(filter)
        .order((accounts::name_sort.asc(), accounts::name_key.asc()))
        .select(accounts::id)
        .load(c.db())?;
    ids.iter().map(|id| parse_id(id)).collect()
}

/// Counts the accounts that match a filter.
pub fn count(c: &mut Conn, filter: &AccountFilter) -> Result<i64, StoreError> {
    Ok(select_matching(filter).count().get_result(c.db())?)
}

/// Counts the accounts whose password hash has this prefix.
pub fn count_hashed(c: &mut Conn, prefix: &str) -> Result<i64, StoreError> {
    let counted = accounts::table.filter(accounts::password_hash.like(format!("{prefix}%")));
    Ok(counted.count().get_result(c.db())?)
}

/// Counts all accounts.
pub fn count_all(c: &mut Conn) -> Result<i64, StoreError> {
    Ok(accounts::table.count().get_result(c.db())?)
}

/// Sets the instant if it is later than the stored one.
pub fn set_last_session_ended(c: &mut Conn, id: AccountId, at: Timestamp) -> Result<(), StoreError> {
    let earlier = accounts::last_session_ended_at
        .is_null()
        .or(accounts::last_session_ended_at.lt(StoredInstant::from(at)));
    let update = diesel::update(accounts::table.find(id.0.to_string()).filter(earlier))
        .set(accounts::last_session_ended_at.eq(StoredInstant::from(at)))
        .returning(accounts::id);
    PreparedStatement(update).load::<String>(c.db())?;
    Ok(())
}
