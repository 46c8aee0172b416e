//! The database without a server: migrating, copying, restoring and inspecting it. The command line
//! works with this; it does not name the store.

use super::{context::COOKIE_KEY, error::StartError};
use crate::{
    config::Config,
    domain::{
        application::Application,
        factor::FactorInventory,
        policy::{Pins, PolicyDocument},
        time::Timestamp,
    },
    flows::policy::PINS_LIVE,
    second_factor::FactorKeys,
    store::{
        Conn, OpenOptions, Store, StoreError, accounts, applications, authenticator_apps, backup, event_streams,
        factor_inventory, meta, passkeys, policies, setup, sources,
    },
};
use std::path::{Path, PathBuf};

/// The outcome of [`migrate`].
pub struct Migration {
    /// The database, without a password.
    pub database: String,
    /// Whether it already had all migrations.
    pub was_current: bool,
}

/// Applies pending migrations, and creates the database where there is none.
pub fn migrate(config: &Config) -> Result<Migration, StartError> {
    let url = config.database_url.expose();
    // Opening without migrating refuses when anything is pending. Any other fault shows the second
    // time too.
    let was_current = Store::open(url, options(false)).is_ok();
    let store = Store::open(url, options(true))?;
    Ok(Migration {
        database: store.describe(),
        was_current,
    })
}

fn options(migrate: bool) -> OpenOptions {
    OpenOptions {
        migrate,
        pool_size: 1,
        exclusive: false,
    }
}

/// Copies an SQLite database to a new file, also while a server runs.
pub fn copy_database(config: &Config, target: &Path) -> Result<(), StartError> {
    Ok(backup::copy(config.database_url.expose(), target)?)
}

/// Checks a copy and puts it beside the place of the database. Refused while a server runs.
pub fn prepare_restore(config: &Config, copy: &Path) -> Result<PendingRestore, StartError> {
    Ok(PendingRestore(backup::stage_copy(config.database_url.expose(), copy)?))
}

/// A copy beside its place. Until it is put there no server starts; dropping it leaves no trace.
pub struct PendingRestore(backup::IncomingCopy);

impl PendingRestore {
    /// Returns the database URL of the copy.
    pub fn url(&self) -> Result<String, StartError> {
        Ok(self.0.url()?)
    }

    /// Puts the copy in the place of the database and returns where the previous one is kept.
    pub fn put_in_place(self) -> Result<Option<PathBuf>, StartError> {
        Ok(self.0.put_in_place()?)
    }
}

/// Reads the second factors of the database that a restore replaces. `None`: there is none, or it
/// cannot be read, so that nothing is known about its factors.
pub fn read_replaced_factors(config: &Config) -> Option<FactorInventory> {
    let is_there = sqlite_file(config).ok().flatten().is_some_and(|file| file.exists());
    let read = || Store::open(config.database_url.expose(), options(false))?.read_now(factor_inventory::read);
    is_there.then(read)?.ok()
}

/// What `nightlatch doctor` reads from the database.
pub struct DatabaseFacts {
    /// The database's clock.
    pub now: Timestamp,
    /// Number and document of the policy in force, or why they cannot be read.
    pub policy: Result<Option<(i64, PolicyDocument)>, String>,
    /// Pinned settings of each running server.
    pub pins: Vec<(String, Pins)>,
    /// Number of accounts.
    pub accounts: i64,
    /// Number of administrators who can sign in.
    pub administrators: i64,
    /// Whether setup is over.
    pub is_set_up: bool,
    /// The protected applications.
    pub applications: Vec<Application>,
    /// Number of passkeys per domain.
    pub passkeys: Vec<(String, i64)>,
    /// Number of authenticator secrets per id of the key that sealed them.
    pub sealed_secrets: Vec<(String, i64)>,
    /// Number of secrets of sources per id of the key that sealed them.
    pub source_secrets: Vec<(String, i64)>,
    /// Configured or generated keys that seal secrets, current and earlier. `None`: there are none
    /// yet.
    pub factor_keys: Option<FactorKeys>,
}

/// A database that was opened for inspection. Nothing is created or migrated.
pub struct Inspection {
    store: Store,
    /// Configured cookie keys.
    keys: Vec<Vec<u8>>,
}

impl Inspection {
    /// Opens the database. Refused when migrations are pending.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let store = Store::open(config.database_url.expose(), options(false))?;
        let keys = config.secret_keys.iter().map(|key| key.expose().to_vec()).collect();
        Ok(Self { store, keys })
    }

    /// Describes the database, without a password.
    pub fn describe(&self) -> String {
        self.store.describe()
    }

    /// Reads the facts as they are at `now`.
    pub async fn read(&self, now: Timestamp) -> Result<DatabaseFacts, StartError> {
        let keys: Vec<Vec<u8>> = self.keys.clone();
        Ok(self.store.read(move |c| read_facts(c, now, keys)).await?)
    }
}

fn read_facts(c: &mut Conn, now: Timestamp, mut keys: Vec<Vec<u8>>) -> Result<DatabaseFacts, StoreError> {
    if keys.is_empty() {
        keys.extend(meta::get(c, COOKIE_KEY)?.map(String::into_bytes));
    }
    let standing = policies::find_state(c, now);
    let policy = standing
        .map(|found| found.map(|found| (found.in_force.revision, found.in_force.document)))
        .map_err(|error| error.to_string());
    Ok(DatabaseFacts {
        now: meta::now(c)?,
        policy,
        pins: policies::list_pins(c, now.saturating_sub(PINS_LIVE))?,
        accounts: accounts::count_all(c)?,
        administrators: accounts::count_usable_administrators(c, None, now)?,
        is_set_up: setup::is_completed(c)?,
        applications: applications::list(c)?,
        passkeys: passkeys::count_by_domain(c)?,
        sealed_secrets: authenticator_apps::count_by_key(c)?,
        source_secrets: [sources::count_by_key(c)?, event_streams::count_by_key(c)?].concat(),
        factor_keys: FactorKeys::derive(keys.iter().map(Vec::as_slice)),
    })
}

/// Returns the file of an SQLite database; `None`: a Postgres database. Opening it would create it.
///
/// # Errors
/// The setting names no database.
pub fn sqlite_file(config: &Config) -> Result<Option<PathBuf>, StartError> {
    Ok(Store::file_of(config.database_url.expose())?)
}
