//! Copies of an SQLite database: made while it is in use, and restored while no server uses it.
//! Postgres has its own tools for both, which error messages name.
use super::{
    StoreError, WAIT,
    conn::{AnyConn, Location},
    migrations,
};
use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::Text,
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Writes a consistent copy of the database to `target`, which must not exist; only its owner can
/// read it. Servers and commands can read and write meanwhile: the copy has the state of the moment
/// at which it began.
pub fn copy(url: &str, target: &Path) -> Result<(), StoreError> {
    let location = Location::parse(url)?;
    let Location::Sqlite(source) = &location else {
        return Err(not_sqlite("pg_dump --format=custom --file=FILE", &location));
    };
    if !source.exists() {
        return Err(refusal(source, "there is no such database"));
    }
    let name = path_text(target)?;
    let mut connection = location.connect()?;
    create(target)?;
    let written = write_backup(&mut connection, name).and_then(|()| sync_file(target));
    if written.is_err() {
        // An incomplete copy must not look complete.
        fs::remove_file(target).map_err(|error| refusal(target, error))?;
    }
    written
}

fn write_backup(connection: &mut AnyConn, name: &str) -> Result<(), StoreError> {
    diesel::sql_query("VACUUM INTO $1")
        .bind::<Text, _>(name)
        .execute(connection)?;
    Ok(())
}

/// A complete copy next to its place, known to be a database of this program, to be prepared before
/// it takes that place. Servers are kept away and the current database stays untouched until
/// [`IncomingCopy::put_in_place`]; dropping it leaves no trace.
pub struct IncomingCopy {
    location: Location,
    /// The place of the database.
    path: PathBuf,
    coming: PathBuf,
    /// The place for the current database.
    kept: PathBuf,
    _lock: Option<File>,
}

/// Copies `from` next to the place of the database. Refused while a server runs, if `from` is
/// damaged, newer than this program or not a database of it, or if the database from before an
/// earlier restore still exists.
pub fn stage_copy(url: &str, from: &Path) -> Result<IncomingCopy, StoreError> {
    let location = Location::parse(url)?;
    let Location::Sqlite(path) = location.clone() else {
        return Err(not_sqlite(
            "pg_restore --clean --if-exists --dbname=URL FILE",
            &location,
        ));
    };
    let kept = sibling_path(&path, ".before-restore");
    if kept.exists() {
        return Err(refusal(&kept, "is kept from an earlier restore: move it away first"));
    }
    if sibling_path(from, "-wal").metadata().is_ok_and(|wal| wal.len() > 0) {
        return Err(refusal(from, "is in use: copy it with `nightlatch backup` first"));
    }
    let lock = location.lock_for_serving()?;
    let coming = sibling_path(&path, ".restoring");
    remove_database(&coming)?;
    let incoming = IncomingCopy {
        location,
        path,
        coming,
        kept,
        _lock: lock,
    };
    take_in(from, &incoming.coming)?;
    Ok(incoming)
}

impl IncomingCopy {
    /// Returns the copy's own URL.
    pub fn url(&self) -> Result<String, StoreError> {
        Ok(format!("sqlite:{}", path_text(&self.coming)?))
    }

    /// Makes the copy the database. The current database is kept under its name and
    /// `.before-restore`; returns that name, if there was one.
    pub fn put_in_place(self) -> Result<Option<PathBuf>, StoreError> {
        let unfinished = |fault: &dyn std::fmt::Display| refusal(&self.coming, fault);
        let mut copy = SqliteConnection::establish(path_text(&self.coming)?).map_err(|fault| unfinished(&fault))?;
        check_integrity(&mut copy).map_err(|fault| unfinished(&fault))?;
        drop(copy);
        sync_file(&self.coming)?;
        let there = self.path.exists();
        if there {
            set_aside(&self.location, &self.path, &self.kept)?;
        }
        if let Err(fault) = fs::rename(&self.coming, &self.path) {
            if there {
                take_back(&self.path, &self.kept)?;
            }
            return Err(refusal(&self.path, fault));
        }
        Ok(there.then(|| self.kept.clone()))
    }
}

impl Drop for IncomingCopy {
    fn drop(&mut self) {
        if let Err(fault) = remove_closing_database(&self.coming) {
            tracing::warn!(%fault, "an unused copy of the database was left behind");
        }
    }
}

/// Deletes a database whose last connections may be closing or even opening at this moment, and
/// would make SQLite's files beside it again.
fn remove_closing_database(path: &Path) -> Result<(), StoreError> {
    let since = Instant::now();
    loop {
        remove_database(path)?;
        std::thread::sleep(Duration::from_millis(10));
        let is_back = ["-wal", "-shm", ""].iter().any(|end| sibling_path(path, end).exists());
        if !is_back || since.elapsed() > WAIT {
            return Ok(());
        }
    }
}

/// Makes a database a single file, without a log of changes beside it.
const WHOLE: &str = "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;";

/// Makes the file contain all of its database, and checks it. Waits for connections that are just
/// closing.
fn check_integrity(connection: &mut SqliteConnection) -> Result<(), diesel::result::Error> {
    let since = Instant::now();
    loop {
        match connection.batch_execute(WHOLE) {
            Err(fault) if fault.to_string().contains("locked") && since.elapsed() < WAIT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// Deletes the file and SQLite's files beside it.
fn remove_database(path: &Path) -> Result<(), StoreError> {
    for file in ["-wal", "-shm", ""].map(|end| sibling_path(path, end)) {
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(refusal(&file, fault)),
        }
    }
    Ok(())
}

/// Copies `from` next to its place and checks the copy.
fn take_in(from: &Path, coming: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(|error| refusal(from, error))?;
    let mut target = create(coming)?;
    io::copy(&mut source, &mut target).map_err(|error| refusal(coming, error))?;
    sync_file(coming)?;
    let unusable = |words: &dyn std::fmt::Display| refusal(from, words);
    let mut connection = SqliteConnection::establish(path_text(coming)?).map_err(|error| unusable(&error))?;
    let faults = diesel::sql_query("PRAGMA integrity_check(1)")
        .load::<Integrity>(&mut connection)
        .map_err(|_| unusable(&"is not an SQLite database"))?;
    if let Some(fault) = faults.iter().find(|fault| fault.integrity_check != "ok") {
        return Err(unusable(&format!("is damaged: {}", fault.integrity_check)));
    }
    match migrations::applied_migrations(&mut connection) {
        Ok(applied) if applied.is_empty() => Err(unusable(&"is not a database of this program")),
        Ok(_) => Ok(()),
        Err(fault) => Err(unusable(&fault)),
    }
}

#[derive(QueryableByName)]
struct Integrity {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Makes `path` complete by itself and links it under the name `kept` too, so that a database
/// exists at every moment.
fn set_aside(location: &Location, path: &Path, kept: &Path) -> Result<(), StoreError> {
    // SQLite would apply a leftover log of changes to the new file. If the old file is too damaged
    // to apply it, the log is kept with it.
    if let Ok(AnyConn::Sqlite(mut connection)) = location.connect() {
        match connection.batch_execute(WHOLE) {
            Err(fault) if fault.to_string().contains("locked") => {
                return Err(refusal(path, "is in use by another command"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    for part in ["-wal", "-shm"] {
        let log = sibling_path(path, part);
        if log.exists() {
            fs::rename(&log, sibling_path(kept, part)).map_err(|error| refusal(&log, error))?;
        }
    }
    let linked = fs::hard_link(path, kept).or_else(|_| fs::copy(path, kept).map(|_| ()));
    linked.map_err(|error| refusal(kept, error))
}

/// Undoes [`set_aside`]; the database is still in its place.
fn take_back(path: &Path, kept: &Path) -> Result<(), StoreError> {
    for part in ["-wal", "-shm"] {
        let log = sibling_path(kept, part);
        if log.exists() {
            fs::rename(&log, sibling_path(path, part)).map_err(|error| refusal(&log, error))?;
        }
    }
    fs::remove_file(kept).map_err(|error| refusal(kept, error))
}

fn create(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| refusal(path, error))
}

/// Waits until the file is on the disk.
fn sync_file(path: &Path) -> Result<(), StoreError> {
    let file = File::open(path).and_then(|file| file.sync_all());
    file.map_err(|error| refusal(path, error))
}

/// Returns `path` with a suffix added to its name.
fn sibling_path(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn path_text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| refusal(path, "the name is not UTF-8"))
}

fn refusal(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Config(format!("{}: {why}", path.display()))
}

fn not_sqlite(command: &str, location: &Location) -> StoreError {
    StoreError::Config(format!("for the {} use `{command}`", location.describe()))
}
