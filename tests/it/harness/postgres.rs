//! PostgreSQL for tests: a database per test, in one cluster per test run.
//!
//! `TEST_POSTGRES_URL` names a cluster to use (`postgres://user@host:port`, with the right to
//! create databases). Without it the first test that needs one starts it, shared by all processes
//! of a `cargo nextest` run; a watchdog stops and removes it when the run (or the plain `cargo
//! test` process) has ended in any way.

use super::template;
use diesel::{Connection, PgConnection, connection::SimpleConnection};
use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::{CommandExt, parent_id},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The cluster is kept in memory if this much is free there.
const ROOM_IN_MEMORY: u64 = 4 << 30;

/// A database that is dropped with this value.
pub struct Database {
    base: &'static str,
    name: String,
    url: String,
}

impl Database {
    /// A database with every migration applied.
    pub fn migrated() -> Database {
        Self::create(&format!("TEMPLATE {}", template::postgres(base_url())))
    }

    /// An empty database.
    pub fn fresh() -> Database {
        Self::create("")
    }

    /// An empty database of another cluster, `postgres://user@127.0.0.1:port`.
    pub fn fresh_in(base: &'static str) -> Database {
        Self::create_in(base, "")
    }

    fn create(options: &str) -> Database {
        Self::create_in(base_url(), options)
    }

    fn create_in(base: &'static str, options: &str) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let mut admin = admin(base);
        // An earlier process with this id may have been killed before it cleaned up.
        admin
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .expect("an old database goes");
        admin
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .expect("a database is created");
        Database {
            base,
            url: format!("{base}/{name}"),
            name,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `postgres://user@127.0.0.1:port/name`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends every other connection to this database, as a server restart would.
    pub fn disconnect_all(&self) {
        admin(self.base)
            .batch_execute(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                self.name
            ))
            .expect("connections are ended");
    }

    /// Refuses new connections, or accepts them again.
    pub fn allow_connections(&self, allowed: bool) {
        admin(self.base)
            .batch_execute(&format!(
                "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {allowed}",
                self.name
            ))
            .expect("the database's door moves");
    }

    /// Makes new connections read-only, or writable again.
    pub fn read_only(&self, on: bool) {
        admin(self.base)
            .batch_execute(&format!(
                "ALTER DATABASE {} SET default_transaction_read_only = {on}",
                self.name
            ))
            .expect("the database's mode changes");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = PgConnection::establish(&format!("{}/postgres", self.base))
            .map_err(|e| e.to_string())
            .and_then(|mut admin| {
                let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
                admin.batch_execute(&sql).map_err(|e| e.to_string())
            });
        if let Err(fault) = dropped {
            eprintln!("test database {} stays: {fault}", self.name);
        }
    }
}

fn admin(base: &str) -> PgConnection {
    PgConnection::establish(&format!("{base}/postgres")).expect("the test cluster answers")
}

/// The cluster's URL, without a database.
pub fn base_url() -> &'static str {
    static BASE: OnceLock<String> = OnceLock::new();
    BASE.get_or_init(|| match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => url.trim_end_matches('/').to_owned(),
        Err(_) => shared_cluster(),
    })
}

/// Starts one cluster for all processes of this run: the first starts it, the others wait for the
/// lock and read its address.
fn shared_cluster() -> String {
    let (run, watched) = match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    };
    // Not below target/: the server may run as another user, who cannot enter every home directory.
    let directory = clusters_place().join(format!("nightlatch-test-postgres-{run}"));
    let lock = File::create(directory.with_extension("lock")).expect("the cluster's lock file");
    lock.lock().expect("the cluster's lock");
    let address = directory.join("address");
    if let Ok(url) = fs::read_to_string(&address) {
        return url;
    }
    let url = start(&directory, watched);
    fs::write(&address, &url).expect("the cluster's address is noted");
    url
}

/// Where the shared cluster stands: in memory if there is room, because a database per test is
/// mostly work of the file system.
fn clusters_place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match free_bytes(memory) >= ROOM_IN_MEMORY {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}

/// Returns the free bytes of a file system; 0: there is none.
fn free_bytes(path: &Path) -> u64 {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()) else {
        return 0;
    };
    // SAFETY: the path ends with a null byte, and the call fills the structure when it returns 0.
    unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        match libc::statvfs(path.as_ptr(), &raw mut found) {
            0 => found.f_bavail * found.f_frsize,
            _ => 0,
        }
    }
}

/// Finds initdb and pg_ctl: the newest of Debian's versions, otherwise on PATH.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin").join(name),
            ))
        })
        .filter(|(_, path)| path.exists())
        .collect();
    versions.sort_unstable();
    versions.pop().map_or_else(|| PathBuf::from(name), |(_, path)| path)
}

/// Runs as the user `postgres` when this process is root, because the server refuses root.
pub(super) fn command(name: &str) -> Command {
    let program = program(name);
    // SAFETY: geteuid only reads the process's effective user id.
    let mut command = if unsafe { libc::geteuid() } == 0 {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

pub(super) fn run(command: &mut Command) -> Result<(), String> {
    // Not pipes: the server inherits them and would keep a pipe open forever.
    let output = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| e.to_string())?;
    if output.success() {
        Ok(())
    } else {
        Err(format!("{:?}: {output}", command.get_program()))
    }
}

fn start(directory: &Path, watched: u32) -> String {
    let data = create_cluster(directory, watched);
    start_cluster(&data, "-c max_connections=300 -c autovacuum_naptime=5s")
}

/// Makes the files of a cluster in this directory and returns where they are. When the process
/// `watched` has ended, its server is stopped and the directory removed.
pub(super) fn create_cluster(directory: &Path, watched: u32) -> PathBuf {
    fs::create_dir_all(directory).expect("the cluster's directory");
    let data = directory.join("data");
    // SAFETY: as above.
    if unsafe { libc::geteuid() } == 0 {
        run(Command::new("chown").arg("postgres:").arg(directory)).expect("the directory is given to postgres");
    }
    watch(directory, &data, watched);
    let mut initdb = command("initdb");
    initdb
        .args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "-N",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
        ])
        .arg(&data);
    // Not byte order, as in most installations: code that relies on byte order fails here.
    let help = Command::new(program("initdb"))
        .arg("--help")
        .output()
        .expect("initdb can be run");
    if String::from_utf8_lossy(&help.stdout).contains("--icu-locale") {
        initdb.args(["--locale-provider=icu", "--icu-locale=en"]);
    }
    run(&mut initdb).expect("initdb makes a cluster");
    data
}

/// Starts the server of a cluster on a free port, and returns its URL.
pub(super) fn start_cluster(data: &Path, settings: &str) -> String {
    let mut last = String::new();
    for _ in 0..5 {
        // Another process may take the port before the server does, hence several attempts.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|s| s.local_addr())
            .expect("a free port")
            .port();
        match start_cluster_on(port, data, settings) {
            Ok(()) => return format!("postgres://postgres@127.0.0.1:{port}"),
            Err(fault) => last = fault,
        }
    }
    panic!("no cluster: {last}; see {}", data.with_file_name("log").display());
}

/// Starts the server of a cluster on this port and waits until it accepts connections.
pub(super) fn start_cluster_on(port: u16, data: &Path, settings: &str) -> Result<(), String> {
    let options = format!(
        "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off \
         -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=256MB {settings}"
    );
    run(command("pg_ctl")
        .args(["-w", "-t", "60", "-o", &options, "-D"])
        .arg(data)
        .arg("-l")
        .arg(data.with_file_name("log"))
        .arg("start"))
}

/// Starts a background shell in its own process group that cleans up after this run has ended.
fn watch(directory: &Path, data: &Path, watched: u32) {
    let stop = command("pg_ctl");
    let script = "watched=$1; directory=$2; data=$3; shift 3; { \
                  while kill -0 \"$watched\"; do sleep 0.2; done; \
                  \"$@\" -m immediate -w -D \"$data\" stop; rm -rf \"$directory\" \"$directory.lock\"; } &";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, "watchdog", &watched.to_string()])
        .arg(directory)
        .arg(data);
    shell.arg(stop.get_program()).args(stop.get_args());
    shell
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let started = shell.status().expect("the cluster's watchdog");
    assert!(started.success(), "the cluster's watchdog: {started}");
}
