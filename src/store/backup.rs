//! Copies of an SQLite database: taken while it is in use, and put in its place while no server has it.
//! Postgres has tools of its own for both, which are named and not imitated.
use super::{
    StoreError, WAIT,
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
    time::{Duration, Instant},
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

/// A copy that stands beside its place, whole and known to be one of ours: for what must be done to it before it takes that place.
/// Other servers are kept away, and nothing in the place is touched, until [`Incoming::put_in_place`]; dropping it leaves no trace.
pub struct Incoming {
    location: Location,
    /// The place.
    path: PathBuf,
    coming: PathBuf,
    /// Where the database goes that is in the place now.
    kept: PathBuf,
    _lock: Option<File>,
}

/// Brings the copy `from` beside the place of the database. Refused while a server runs, when `from` is damaged, newer than this
/// program, or no database of it, and when the database from before an earlier restore is still there.
pub fn bring(url: &str, from: &Path) -> Result<Incoming, StoreError> {
    let location = Location::parse(url)?;
    let Location::Sqlite(path) = location.clone() else {
        return Err(elsewhere("pg_restore --clean --if-exists --dbname=URL FILE", &location));
    };
    let kept = beside(&path, ".before-restore");
    if kept.exists() {
        return Err(refused(&kept, "is kept from an earlier restore: move it away first"));
    }
    if beside(from, "-wal").metadata().is_ok_and(|wal| wal.len() > 0) {
        return Err(refused(from, "is in use: copy it with `nightlatch backup` first"));
    }
    let lock = location.lock_for_serving()?;
    let coming = beside(&path, ".restoring");
    remove_database(&coming)?;
    let incoming = Incoming {
        location,
        path,
        coming,
        kept,
        _lock: lock,
    };
    take_in(from, &incoming.coming)?;
    Ok(incoming)
}

impl Incoming {
    /// The copy's own address.
    pub fn url(&self) -> Result<String, StoreError> {
        Ok(format!("sqlite:{}", text_of(&self.coming)?))
    }

    /// The copy becomes the database. What was there is kept beside it, under its name and `.before-restore`: that name, if there was any.
    pub fn put_in_place(self) -> Result<Option<PathBuf>, StoreError> {
        let unfinished = |fault: &dyn std::fmt::Display| refused(&self.coming, fault);
        let mut copy = SqliteConnection::establish(text_of(&self.coming)?).map_err(|fault| unfinished(&fault))?;
        whole(&mut copy).map_err(|fault| unfinished(&fault))?;
        drop(copy);
        synced(&self.coming)?;
        let there = self.path.exists();
        if there {
            set_aside(&self.location, &self.path, &self.kept)?;
        }
        if let Err(fault) = fs::rename(&self.coming, &self.path) {
            if there {
                take_back(&self.path, &self.kept)?;
            }
            return Err(refused(&self.path, fault));
        }
        Ok(there.then(|| self.kept.clone()))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(fault) = remove_database(&self.coming) {
            tracing::warn!(%fault, "a copy that was not put in place is left behind");
        }
    }
}

/// Told to a database that is to be one file, without a log of changes beside it.
const WHOLE: &str = "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;";

/// The file is all there is of its database after this. Connections that are just closing are waited for.
fn whole(connection: &mut SqliteConnection) -> Result<(), diesel::result::Error> {
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

/// The file and what SQLite keeps beside it.
fn remove_database(path: &Path) -> Result<(), StoreError> {
    for file in ["-wal", "-shm", ""].map(|end| beside(path, end)) {
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(refused(&file, fault)),
        }
    }
    Ok(())
}

/// Copies `from` next to its place and looks at the copy.
fn take_in(from: &Path, coming: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(|error| refused(from, error))?;
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
        match connection.batch_execute(WHOLE) {
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

/// Undoes [`set_aside`]: the database is still in its place.
fn take_back(path: &Path, kept: &Path) -> Result<(), StoreError> {
    for part in ["-wal", "-shm"] {
        let log = beside(kept, part);
        if log.exists() {
            fs::rename(&log, beside(path, part)).map_err(|error| refused(&log, error))?;
        }
    }
    fs::remove_file(kept).map_err(|error| refused(kept, error))
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
