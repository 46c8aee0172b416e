//! The protected applications. The database ensures that a host and prefix belong to only one of
//! them. `sessions` knows which sessions entered one, `policies` its overrides.
use super::{
    Conn, StoreError,
    changes::{ChangeKind, announce, latest_seq},
    forwarded::forget_application,
    instant::StoredInstant,
    per_backend::insert_rows,
    schema::{application_places, applications},
    text,
};
use crate::domain::{
    account::Role,
    application::{Application, Host},
    time::Timestamp,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    result::{DatabaseErrorKind, Error as DieselError},
};
use serde::{Serialize, de::DeserializeOwned};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = applications)]
struct ApplicationRow {
    name: String,
    name_sort: String,
    roles: String,
    member_of: String,
    public_paths: String,
    created_at: StoredInstant,
    changed_at: StoredInstant,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = application_places)]
struct PlaceRow {
    host: String,
    prefix: String,
    application: String,
}

impl ApplicationRow {
    fn from_application(application: &Application, at: Timestamp) -> ApplicationRow {
        let roles: Vec<&str> = application.roles.iter().map(|role| role.as_str()).collect();
        ApplicationRow {
            name: application.name.clone(),
            name_sort: text::sort_key(&application.name),
            roles: to_json(&roles),
            member_of: to_json(&application.groups),
            public_paths: to_json(&application.public),
            created_at: at.into(),
            changed_at: at.into(),
        }
    }

    fn read(self, places: &[PlaceRow]) -> Result<Application, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("application {}: its {what}", self.name));
        let own = places.iter().filter(|place| place.application == self.name);
        let (mut hosts, mut prefixes) = (Vec::new(), Vec::new());
        for place in own {
            hosts.push(Host::parse(&place.host).map_err(|_| corrupt("hosts"))?);
            prefixes.extend(Some(&place.prefix).filter(|prefix| !prefix.is_empty()).cloned());
        }
        hosts.sort_unstable();
        hosts.dedup();
        prefixes.sort_unstable();
        prefixes.dedup();
        let words: Vec<String> = read_json(&self.roles).ok_or_else(|| corrupt("roles"))?;
        let roles: Option<Vec<Role>> = words.iter().map(|word| Role::parse(word)).collect();
        Ok(Application {
            hosts,
            prefixes,
            roles: roles.ok_or_else(|| corrupt("roles"))?,
            groups: read_json(&self.member_of).ok_or_else(|| corrupt("groups"))?,
            public: read_json(&self.public_paths).ok_or_else(|| corrupt("public paths"))?,
            name: self.name,
        })
    }
}

fn to_json(items: &[impl Serialize]) -> String {
    serde_json::json!(items).to_string()
}

fn read_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Lists all applications by name.
pub fn list(c: &mut Conn) -> Result<Vec<Application>, StoreError> {
    let rows: Vec<ApplicationRow> = applications::table
        .order((applications::name_sort, applications::name))
        .select(ApplicationRow::as_select())
        .load(c.db())?;
    let places: Vec<PlaceRow> = application_places::table
        .order((application_places::application, application_places::host))
        .select(PlaceRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(|row| row.read(&places)).collect()
}

/// Lists all applications with a number that grows with every change of the database: of two
/// results the one with the greater number is newer.
pub fn load_snapshot(c: &mut Conn) -> Result<(i64, Vec<Application>), StoreError> {
    // In this order: a change in between is announced and read again.
    Ok((latest_seq(c)?, list(c)?))
}

/// Finds an application by name.
pub fn find(c: &mut Conn, name: &str) -> Result<Option<Application>, StoreError> {
    let row: Option<ApplicationRow> = applications::table
        .find(name)
        .select(ApplicationRow::as_select())
        .first(c.db())
        .optional()?;
    let places: Vec<PlaceRow> = application_places::table
        .filter(application_places::application.eq(name))
        .select(PlaceRow::as_select())
        .load(c.db())?;
    row.map(|row| row.read(&places)).transpose()
}

/// Inserts an application. Conflict: its name or one of its places is taken.
pub fn insert(c: &mut Conn, application: &Application, at: Timestamp) -> Result<(), StoreError> {
    diesel::insert_into(applications::table)
        .values(ApplicationRow::from_application(application, at))
        .execute(c.db())
        .map_err(|error| name_taken(error, "application name"))?;
    write_places(c, application)?;
    announce(c, ChangeKind::Application, &application.name)
}

/// Marks it as changed, which locks its row until the transaction ends. Returns false if there is
/// none.
pub fn hold(c: &mut Conn, name: &str, at: Timestamp) -> Result<bool, StoreError> {
    let held = diesel::update(applications::table.find(name))
        .set(applications::changed_at.eq(StoredInstant::from(at)))
        .execute(c.db())?;
    Ok(held == 1)
}

/// Updates everything except name and creation. Conflict: one of its places is taken.
pub fn update(c: &mut Conn, application: &Application, at: Timestamp) -> Result<(), StoreError> {
    let row = ApplicationRow::from_application(application, at);
    let updated = diesel::update(applications::table.find(&application.name))
        .set((
            applications::roles.eq(row.roles),
            applications::member_of.eq(row.member_of),
            applications::public_paths.eq(row.public_paths),
            applications::changed_at.eq(row.changed_at),
        ))
        .execute(c.db())?;
    if updated == 0 {
        return Err(StoreError::NotFound("application"));
    }
    diesel::delete(application_places::table.filter(application_places::application.eq(&application.name)))
        .execute(c.db())?;
    write_places(c, application)?;
    announce(c, ChangeKind::Application, &application.name)
}

/// Deletes an application. Returns false if there was none. The policy's overrides and the sessions
/// that entered it keep its name.
pub fn delete(c: &mut Conn, name: &str) -> Result<bool, StoreError> {
    let deleted = diesel::delete(applications::table.find(name)).execute(c.db())?;
    if deleted > 0 {
        forget_application(c, name)?;
        announce(c, ChangeKind::Application, name)?;
    }
    Ok(deleted > 0)
}

fn write_places(c: &mut Conn, application: &Application) -> Result<(), StoreError> {
    let places = application.places().into_iter();
    let rows: Vec<PlaceRow> = places
        .map(|(host, prefix)| PlaceRow {
            host,
            prefix,
            application: application.name.clone(),
        })
        .collect();
    insert_rows!(c.db(), application_places::table, rows).map_err(|error| match error {
        StoreError::Conflict(_) => StoreError::Conflict("application host"),
        error => error,
    })
}

fn name_taken(error: DieselError, what: &'static str) -> StoreError {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StoreError::Conflict(what),
        other => other.into(),
    }
}
