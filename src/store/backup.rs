//! Copies of an SQLite database: taken while it is in use, and put in its place while no server has it.
//! Postgres has tools of its own for both, which are named and not imitated.
use super::{
    StoreError,
    conn::{self, AnyConn, Location},
};
use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::Text,
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Writes a consistent copy of the database to `target`, which must not exist yet; only its owner can read it. Servers and
/// commands may go on reading and writing meanwhile: the copy is of the moment at which it began.
pub fn copy(url: &str, target: &Path) -> Result<(), StoreError> {
    let location = Location::parse(url)?;
    let Location::Sqlite(source) = &location else {
        return Err(elsewhere("pg_dump --format=custom --file=FILE", &location));
    };
    if !source.exists() {
        return Err(refused(source, "there is no such database"));
    }
    let name = text_of(target)?;
    let mut connection = location.connect()?;
    create(target)?;
    let written = fill(&mut connection, name).and_then(|()| synced(target));
    if written.is_err() {
        // Half a copy must not pass for one.
        fs::remove_file(target).map_err(|error| refused(target, error))?;
    }
    written
}

fn fill(connection: &mut AnyConn, name: &str) -> Result<(), StoreError> {
    diesel::sql_query("VACUUM INTO $1")
        .bind::<Text, _>(name)
        .execute(connection)?;
    Ok(())
}

/// A database that was put in place; other servers are kept away until this is dropped.
#[derive(Debug)]
pub struct Restored {
    /// Where the database went that was there before.
    pub kept: Option<PathBuf>,
    _lock: Option<File>,
}

/// Puts the copy `from` where the database is. What was there is kept beside it, under its name and `.before-restore`. Refused while a
/// server runs, and when `from` is damaged, newer than this program, or no database of it.
pub fn restore(url: &str, from: &Path) -> Result<Restored, StoreError> {
    let location = Location::parse(url)?;
    let Location::Sqlite(path) = &location else {
        return Err(elsewhere("pg_restore --clean --if-exists --dbname=URL FILE", &location));
    };
    let kept = beside(path, ".before-restore");
    if kept.exists() {
        return Err(refused(&kept, "is kept from an earlier restore: move it away first"));
    }
    if beside(from, "-wal").metadata().is_ok_and(|wal| wal.len() > 0) {
        return Err(refused(from, "is in use: copy it with `nightlatch backup` first"));
    }
    let there = path.exists();
    let lock = location.lock_for_serving()?;
    let coming = beside(path, ".restoring");
    let replaced = take_in(from, &coming).and_then(|()| {
        if there {
            set_aside(&location, path, &kept)?;
        }
        fs::rename(&coming, path).map_err(|error| refused(path, error))
    });
    if replaced.is_err() && coming.exists() {
        fs::remove_file(&coming).map_err(|error| refused(&coming, error))?;
    }
    replaced?;
    Ok(Restored {
        kept: there.then_some(kept),
        _lock: lock,
    })
}

/// Copies `from` next to its place and looks at the copy.
fn take_in(from: &Path, coming: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(|error| refused(from, error))?;
    if coming.exists() {
        fs::remove_file(coming).map_err(|error| refused(coming, error))?;
    }
    let mut target = create(coming)?;
    io::copy(&mut source, &mut target).map_err(|error| refused(coming, error))?;
    synced(coming)?;
    let unusable = |words: &dyn std::fmt::Display| refused(from, words);
    let mut connection = SqliteConnection::establish(text_of(coming)?).map_err(|error| unusable(&error))?;
    let faults = diesel::sql_query("PRAGMA integrity_check(1)")
        .load::<Integrity>(&mut connection)
        .map_err(|_| unusable(&"is not an SQLite database"))?;
    if let Some(fault) = faults.iter().find(|fault| fault.integrity_check != "ok") {
        return Err(unusable(&format!("is damaged: {}", fault.integrity_check)));
    }
    match conn::applied_migrations(&mut connection) {
        Ok(applied) if applied.is_empty() => Err(unusable(&"is no database of this program")),
        Ok(_) => Ok(()),
        Err(fault) => Err(unusable(&fault)),
    }
}

#[derive(QueryableByName)]
struct Integrity {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Leaves `path` in place, whole by itself, and the same under the name `kept` as well, so that there is no moment without a database.
fn set_aside(location: &Location, path: &Path, kept: &Path) -> Result<(), StoreError> {
    // A log of changes that stayed behind would be taken for that of the new file. One that the old file is too damaged to take in is
    // kept with it.
    if let Ok(AnyConn::Sqlite(mut connection)) = location.connect() {
        match connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;") {
            Err(fault) if fault.to_string().contains("locked") => {
                return Err(refused(path, "is in use by another command"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    for part in ["-wal", "-shm"] {
        let log = beside(path, part);
        if log.exists() {
            fs::rename(&log, beside(kept, part)).map_err(|error| refused(&log, error))?;
        }
    }
    let linked = fs::hard_link(path, kept).or_else(|_| fs::copy(path, kept).map(|_| ()));
    linked.map_err(|error| refused(kept, error))
}

fn create(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| refused(path, error))
}

/// On the disk, not on its way there.
fn synced(path: &Path) -> Result<(), StoreError> {
    let file = File::open(path).and_then(|file| file.sync_all());
    file.map_err(|error| refused(path, error))
}

/// `path` with something at the end of its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn text_of(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| refused(path, "the name is not UTF-8"))
}

fn refused(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Config(format!("{}: {why}", path.display()))
}

fn elsewhere(command: &str, location: &Location) -> StoreError {
    StoreError::Config(format!("for the {} use `{command}`", location.describe()))
}
