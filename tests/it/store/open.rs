//! Opening: what is created, migrated and refused, each refusal one line for an operator.
use super::{Fresh, Place, on_both};
use diesel::{
    Connection, PgConnection, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_types::{BigInt, Text},
};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use nightlatch::store::{Backend, OpenOptions, Store, StoreError, meta};

on_both!(
    an_open_store_says_where_it_is,
    migrations_go_up_down_and_up_again,
    a_newer_database_is_refused,
    pending_migrations_are_refused_if_the_option_says_so,
);

fn options() -> OpenOptions {
    OpenOptions {
        pool_size: 2,
        ..OpenOptions::default()
    }
}

fn refused(url: &str, options: OpenOptions) -> String {
    match Store::open(url, options) {
        Ok(_) => panic!("{url} should be refused"),
        Err(StoreError::Config(line)) => {
            assert!(!line.contains('\n') && !line.is_empty(), "{line:?}");
            line
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Runs SQL on the database of the store, as `psql` or `sqlite3` would.
fn run_sql(db: &Fresh, sql: &str) {
    match &db.place {
        Place::Postgres(database) => PgConnection::establish(database.url())
            .expect("connects")
            .batch_execute(sql),
        // The store's own connections may be setting themselves up.
        Place::Sqlite(_) => SqliteConnection::establish(path(db))
            .expect("connects")
            .batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}")),
    }
    .expect("the statement runs");
}

fn path(db: &Fresh) -> &str {
    db.url.strip_prefix("sqlite:").expect("a SQLite URL")
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(db: &Fresh, sql: &str) -> i64 {
    let query = diesel::sql_query(sql);
    let counted: Count = match &db.place {
        Place::Postgres(database) => query.get_result(&mut PgConnection::establish(database.url()).expect("connects")),
        Place::Sqlite(_) => {
            let mut connection = SqliteConnection::establish(path(db)).expect("connects");
            // The store's own connections may just be opening or closing.
            connection
                .batch_execute("PRAGMA busy_timeout = 5000")
                .expect("the limit is set");
            query.get_result(&mut connection)
        }
    }
    .expect("the query runs");
    counted.count
}

fn an_open_store_says_where_it_is(db: &Fresh) {
    let shown = db.store.describe();
    match &db.place {
        Place::Sqlite(_) => {
            assert_eq!(db.store.backend(), Backend::Sqlite);
            assert!(shown.ends_with("nightlatch.db"), "{shown}");
        }
        Place::Postgres(_) => {
            assert_eq!(db.store.backend(), Backend::Postgres);
            assert!(shown.contains("test_") && !shown.contains('@'), "{shown}");
        }
    }
    assert_eq!(db.store.writer(), db.store.clone().writer());
    // The settings of every connection.
    if let Place::Sqlite(_) = &db.place {
        assert_eq!(
            count(
                db,
                "SELECT count(*) AS count FROM pragma_journal_mode WHERE journal_mode = 'wal'"
            ),
            1
        );
    }
}

fn migrations_go_up_down_and_up_again(db: &Fresh) {
    let tables = match &db.place {
        Place::Postgres(_) => "SELECT count(*) AS count FROM pg_tables WHERE schemaname = 'public'",
        Place::Sqlite(_) => {
            "SELECT count(*) AS count FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        }
    };
    let full = count(db, tables);
    assert!(full > 13, "{full}");
    fn cycle<C: Connection + MigrationHarness<C::Backend>>(mut c: C, between: impl FnOnce())
    where
        C::Backend: diesel::backend::Backend,
    {
        let migrations = FileBasedMigrations::find_migrations_directory().expect("the migrations folder");
        c.revert_all_migrations(migrations.clone()).expect("down");
        between();
        c.run_pending_migrations(migrations).expect("up");
    }
    let empty = || assert_eq!(count(db, tables), 1, "only diesel's own is left");
    match &db.place {
        Place::Postgres(database) => cycle(PgConnection::establish(database.url()).expect("connects"), empty),
        Place::Sqlite(_) => cycle(SqliteConnection::establish(path(db)).expect("connects"), empty),
    }
    assert_eq!(count(db, tables), full);
    // A database that another tool migrated is accepted.
    let again = Store::open(
        &db.url,
        OpenOptions {
            migrate: false,
            ..options()
        },
    )
    .expect("the store opens");
    assert!(again.read_now(meta::migrations_current).expect("readable"));
}

fn a_newer_database_is_refused(db: &Fresh) {
    run_sql(
        db,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')",
    );
    assert!(!db.read(meta::migrations_current));
    for migrate in [true, false] {
        let line = refused(&db.url, OpenOptions { migrate, ..options() });
        assert_eq!(
            line,
            "the database is newer than this program: unknown migration 99991231000000"
        );
    }
}

fn pending_migrations_are_refused_if_the_option_says_so(db: &Fresh) {
    run_sql(db, "DELETE FROM __diesel_schema_migrations");
    assert!(!db.read(meta::migrations_current));
    let line = refused(
        &db.url,
        OpenOptions {
            migrate: false,
            ..options()
        },
    );
    assert!(line.contains("nightlatch migrate"), "{line}");
}

#[test]
fn parallel_starters_on_a_fresh_postgres_all_come_up() {
    let database = crate::harness::postgres::Database::fresh();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let store = Store::open(database.url(), options()).expect("this one comes up");
                assert!(store.read_now(meta::migrations_current).expect("readable"));
            });
        }
    });
}

#[test]
fn parallel_starters_on_a_fresh_file_all_come_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("{}/fresh.db", directory.path().display());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let store = Store::open(&url, options()).expect("this one comes up");
                assert!(store.read_now(meta::migrations_current).expect("readable"));
            });
        }
    });
}

#[test]
fn every_spelling_of_a_file_opens_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("one.db");
    let path = path.to_str().expect("UTF-8");
    for url in [path.to_owned(), format!("sqlite:{path}"), format!("sqlite://{path}")] {
        let store = Store::open(&url, options()).expect("it opens");
        store.write_now(|c| meta::set_once(c, "first", &url)).expect("writes");
        assert_eq!(store.read_now(|c| meta::get(c, "first")), Ok(Some(path.to_owned())));
    }
    let files = std::fs::read_dir(directory.path())
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name());
    assert!(
        files
            .into_iter()
            .all(|file| file.to_string_lossy().starts_with("one.db")),
        "no second file"
    );
}

#[test]
#[cfg(unix)]
fn a_new_file_is_for_nobody_else_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let db = Fresh::sqlite();
    db.write(|c| meta::set(c, "key", "value"));
    for file in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(format!("{}{file}", path(&db)))
            .expect("it exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
#[cfg(unix)]
fn a_file_that_others_could_open_is_tightened() {
    use std::os::unix::fs::PermissionsExt;
    let db = Fresh::sqlite();
    db.write(|c| meta::set(c, "key", "value"));
    let files = ["", "-wal", "-shm"].map(|end| format!("{}{end}", path(&db)));
    for file in &files {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("as it was made before");
    }
    db.other();
    for file in &files {
        let mode = std::fs::metadata(file).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn deleted_data_leaves_no_trace_in_the_file() {
    const MARKER: &str = "tell-tale-link-of-an-email";
    let db = Fresh::sqlite();
    let holds = || {
        run_sql(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
        let bytes = std::fs::read(path(&db)).expect("the file");
        bytes.windows(MARKER.len()).any(|part| part == MARKER.as_bytes())
    };
    db.write(|c| meta::set(c, "key", MARKER));
    assert!(holds());
    db.write(|c| meta::set(c, "key", ""));
    assert!(!holds());
}

#[test]
#[cfg(unix)]
fn the_lock_of_a_server_cannot_be_taken_by_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let db = Fresh::sqlite();
    let lock = format!("{}.lock", path(&db));
    let serve = || {
        let exclusive = OpenOptions {
            exclusive: true,
            ..options()
        };
        drop(Store::open(&db.url, exclusive).expect("it serves"));
        std::fs::metadata(&lock).expect("a lock file").permissions().mode() & 0o777
    };
    assert_eq!(serve(), 0o600);
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o644)).expect("as it was made before");
    assert_eq!(serve(), 0o600);
}

#[test]
fn one_server_per_file() {
    let db = Fresh::sqlite();
    let exclusive = || OpenOptions {
        exclusive: true,
        ..options()
    };
    let first = Store::open(&db.url, exclusive()).expect("the first one serves");
    let line = refused(&db.url, exclusive());
    assert!(line.contains("already served by another process"), "{line}");
    // The same file under another name.
    let link = format!("{}.link", path(&db));
    std::os::unix::fs::symlink(path(&db), &link).expect("a link");
    assert!(refused(&link, exclusive()).contains("already served"));
    // The command line can use it at the same time.
    db.other().read_now(|c| meta::get(c, "key")).expect("readable");
    drop(first);
    Store::open(&db.url, exclusive()).expect("the next one serves");
}

#[test]
fn refusals_are_one_line_that_says_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let inside = |name: &str| directory.path().join(name).display().to_string();
    let line = refused(&inside("missing/nightlatch.db"), options());
    assert!(line.contains("directory") && line.contains("does not exist"), "{line}");
    assert!(refused(&inside(""), options()).contains("is a directory"));
    std::fs::write(
        inside("text.db"),
        "This is a long text and certainly no database at all. ".repeat(30),
    )
    .expect("written");
    let line = refused(&inside("text.db"), options());
    assert!(line.contains("not a database") && line.contains("text.db"), "{line}");
    assert!(refused("mysql://localhost/x", options()).contains("unknown kind of database \"mysql\""));
    for odd in [
        "postgres:x",
        "dbname=oops.db",
        "host=localhost dbname=x",
        "sqlite:x.db?mode=ro",
        "file:x.db",
    ] {
        assert!(refused(odd, options()).contains("unknown kind of database"), "{odd}");
    }
    for nothing in ["", "sqlite:", "sqlite://", ":memory:"] {
        assert!(refused(nothing, options()).contains("names no file"));
    }
    // No user, not even root, can create files in there.
    let line = refused("/proc/nightlatch.db", options());
    assert!(line.contains("cannot write /proc/nightlatch.db"), "{line}");
}

#[test]
fn postgres_refusals_are_libpqs_words_in_one_line_without_the_password() {
    let line = refused("postgres://ada:hunter2@127.0.0.1:1/nightlatch", options());
    assert!(
        line.contains("refused") && line.contains("127.0.0.1:1") && !line.contains("hunter2"),
        "{line}"
    );
    let line = refused("postgres://ada:hunt%zzer2@127.0.0.1:1/nightlatch", options());
    assert!(!line.contains("hunt"), "{line}");
    let line = refused(
        "postgres://ada@127.0.0.1:1/nightlatch?password=hunter2&bad=1",
        options(),
    );
    assert!(!line.contains("hunter2"), "{line}");
    let line = refused(
        &format!("{}/no_such_database", crate::harness::postgres::base_url()),
        options(),
    );
    assert!(line.contains("database \"no_such_database\" does not exist"), "{line}");
    // No file of that name was made.
    assert!(!std::path::Path::new("no_such_database").exists());
}

#[test]
fn time_on_postgres_is_utc_whatever_the_server_thinks() {
    let db = Fresh::postgres();
    let Place::Postgres(database) = &db.place else {
        panic!("it is Postgres")
    };
    let sql = "SELECT current_database()::text AS name";
    #[derive(diesel::QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let mut c = PgConnection::establish(database.url()).expect("connects");
    let Name { name } = diesel::sql_query(sql).get_result(&mut c).expect("a name");
    let zone =
        format!("ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'; ALTER DATABASE {name} SET datestyle = 'SQL'");
    c.batch_execute(&zone).expect("the zone is set");
    let store = Store::open(&db.url, options()).expect("opens");
    let now = store.read_now(meta::now).expect("a time");
    let elsewhere = Fresh::sqlite().read(meta::now);
    assert!(now.since(elsewhere).as_secs().abs() < 60);
}

#[test]
#[cfg(target_os = "linux")]
fn a_read_only_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let db = Fresh::sqlite();
    let directory = std::path::Path::new(path(&db)).parent().expect("a directory");
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("others may enter");
    std::fs::set_permissions(path(&db), PermissionsExt::from_mode(0o444)).expect("read-only");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: changes the file system user of this thread, which ends here, because root
            // may write everything.
            unsafe { libc::setfsuid(65_534) };
            let line = refused(&db.url, options());
            assert!(
                line.contains("cannot write") && line.contains("Permission denied"),
                "{line}"
            );
        });
    });
}

#[test]
fn a_file_of_another_program_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("theirs.db");
    let url = format!("sqlite:{}", file.display());
    let mut theirs = SqliteConnection::establish(file.to_str().expect("a path")).expect("connects");
    theirs
        .batch_execute("CREATE TABLE songs (title TEXT)")
        .expect("a table");
    drop(theirs);
    let before = std::fs::read(&file).expect("readable");
    let line = refused(&url, options());
    assert!(line.contains("theirs.db is the database of another program"), "{line}");
    assert_eq!(std::fs::read(&file).expect("readable"), before);
    // An empty file belongs to no program.
    std::fs::write(&file, "").expect("writable");
    Store::open(&url, options()).expect("opens");
    Store::open(&url, options()).expect("opens again");
}

#[test]
#[cfg(target_os = "linux")]
fn a_read_only_directory_is_reported_with_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("others may enter");
    let file = directory.path().join("kept.db");
    std::fs::write(&file, "").expect("writable");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("others may write");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: changes the file system user of this thread, which ends here, because root
            // may write everything.
            unsafe { libc::setfsuid(65_534) };
            let Err(fault) = Store::open(&format!("sqlite:{}", file.display()), options()) else {
                panic!("nothing can be written beside the file");
            };
            assert!(fault.to_string().contains("kept.db"), "{fault}");
        });
    });
}
