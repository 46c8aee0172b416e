//! A database with every migration applied: made once, then copied for each test, because migrating
//! takes longer than most tests.

use super::postgres;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query};
use nightlatch::store::{OpenOptions, Store};
use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, File},
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

/// Puts a migrated SQLite database at this path.
pub fn copy_sqlite(to: &Path) {
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.db", name()));
    if !template.exists() {
        let _lock = lock();
        if !template.exists() {
            let unfinished = template.with_extension("unfinished");
            fs::remove_file(&unfinished).ok();
            migrate(&format!("sqlite:{}", unfinished.display()));
            let mut connection = SqliteConnection::establish(unfinished.to_str().unwrap()).unwrap();
            connection
                // The store's own connections may still be closing.
                .batch_execute("PRAGMA busy_timeout = 30000; PRAGMA wal_checkpoint(TRUNCATE)")
                .expect("the template is one file");
            fs::rename(&unfinished, &template).unwrap();
        }
    }
    fs::copy(template, to).unwrap();
}

/// The name of a migrated database of the test cluster, to be copied with `CREATE DATABASE …
/// TEMPLATE`.
pub fn postgres(base: &str) -> String {
    let name = name();
    let mut admin = PgConnection::establish(&format!("{base}/postgres")).expect("the test cluster answers");
    if !exists(&mut admin, &name) {
        let _lock = lock();
        if !exists(&mut admin, &name) {
            let unfinished = postgres::Database::fresh();
            migrate(unfinished.url());
            unfinished.disconnect_all();
            let rename = format!("ALTER DATABASE {} RENAME TO {name}", unfinished.name());
            admin.batch_execute(&rename).expect("the template gets its name");
        }
    }
    name
}

fn exists(admin: &mut PgConnection, name: &str) -> bool {
    let found = sql_query(format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).execute(admin);
    found.expect("the cluster lists its databases") > 0
}

fn migrate(url: &str) {
    let options = OpenOptions {
        pool_size: 1,
        ..OpenOptions::default()
    };
    drop(Store::open(url, options).expect("the template is migrated"));
}

/// One process at a time makes a template.
fn lock() -> File {
    let file = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("template.lock")).unwrap();
    file.lock().unwrap();
    file
}

/// Another set of migrations has another template.
fn name() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut migrations: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    migrations.sort();
    let mut hasher = DefaultHasher::new();
    for migration in migrations {
        migration.hash(&mut hasher);
        fs::read(migration.join("up.sql")).unwrap().hash(&mut hasher);
    }
    format!("migrated_{:016x}", hasher.finish())
}
