//! A throwaway PostgreSQL for tests: a database of its own per test, in one cluster per test run.
//!
//! `TEST_POSTGRES_URL` names a cluster to use (`postgres://user@host:port`, with the right to create databases). Without
//! it the first test that asks starts one, shared by all processes of a `cargo nextest` run; a watchdog stops and
//! removes it as soon as the run (or the plain `cargo test` process) is gone, however it ended.
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

/// An empty database that goes away with this value.
pub struct Database {
    base: &'static str,
    name: String,
    url: String,
}

impl Database {
    pub fn fresh() -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let base = base_url();
        let name = format!("test_{}_{number}", std::process::id());
        let mut admin = admin(base);
        // A process of an earlier run may have had this id and may have been killed.
        admin
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .expect("an old database goes");
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .expect("a database is created");
        Database {
            base,
            url: format!("{base}/{name}"),
            name,
        }
    }

    /// `postgres://user@127.0.0.1:port/name`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends every other connection to this database, as a restart of the server would.
    pub fn disconnect_all(&self) {
        admin(self.base)
            .batch_execute(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                self.name
            ))
            .expect("connections are ended");
    }

    /// Refuses new connections, or takes them again.
    pub fn allow_connections(&self, allowed: bool) {
        admin(self.base)
            .batch_execute(&format!(
                "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {allowed}",
                self.name
            ))
            .expect("the database's door moves");
    }

    /// New connections may only read, or may write again.
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

/// One cluster for all processes of this run: the first one starts it, the others wait at the lock and read where it is.
fn shared_cluster() -> String {
    let (run, watched) = match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    };
    // Not below target/: the server may run as another user, who cannot enter everybody's home.
    let directory = std::env::temp_dir().join(format!("nightlatch-test-postgres-{run}"));
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

/// Where initdb and pg_ctl are: the newest of Debian's versions, else wherever PATH says.
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

/// As the user `postgres` when we are root: the server refuses to be root.
fn command(name: &str) -> Command {
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

fn run(command: &mut Command) -> Result<(), String> {
    // Files, not pipes: the server inherits them and would keep a pipe open for ever.
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
    fs::create_dir_all(directory).expect("the cluster's directory");
    let data = directory.join("data");
    let log = directory.join("log");
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
    // A collation that is not the bytes' order, as most installations have: what sorts by accident shows here.
    let help = Command::new(program("initdb"))
        .arg("--help")
        .output()
        .expect("initdb can be run");
    if String::from_utf8_lossy(&help.stdout).contains("--icu-locale") {
        initdb.args(["--locale-provider=icu", "--icu-locale=en"]);
    }
    run(&mut initdb).expect("initdb makes a cluster");
    let mut last = String::new();
    for _ in 0..5 {
        // Free now; somebody may take it before the server does, hence the attempts.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|s| s.local_addr())
            .expect("a free port")
            .port();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c max_connections=300 \
             -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=256MB \
             -c autovacuum_naptime=5s"
        );
        let started = run(command("pg_ctl")
            .args(["-w", "-t", "60", "-o", &options, "-D"])
            .arg(&data)
            .arg("-l")
            .arg(&log)
            .arg("start"));
        match started {
            Ok(()) => return format!("postgres://postgres@127.0.0.1:{port}"),
            Err(fault) => last = fault,
        }
    }
    panic!("no cluster: {last}; see {}", log.display());
}

/// A shell in the background, in a process group of its own, that outlives us only as long as it takes to clean up.
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
