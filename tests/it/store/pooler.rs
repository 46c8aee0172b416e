//! Connection poolers in front of PostgreSQL: one in session mode works, one in transaction mode is
//! refused at start, by every command.

use crate::harness::{postgres, program::run, server::eventually};
use diesel::{Connection, PgConnection};
use std::{
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

/// A running pgbouncer.
struct Pooler {
    process: Child,
    url: String,
}

impl Pooler {
    fn start(dir: &Path, database: &postgres::Database, mode: &str, size: u32) -> Self {
        let url = url::Url::parse(database.url()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let name = url.path().trim_start_matches('/');
        let (host, target) = (url.host_str().unwrap(), url.port().unwrap_or(5432));
        let config = dir.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={host} port={target} dbname={name}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\n"
        );
        // Any user: without authentication pgbouncer signs in as the forced one.
        let text = text.replace(&format!("dbname={name}\n"), &format!("dbname={name} user=postgres\n"));
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        // SAFETY: geteuid only reads the process's effective user id.
        let mut command = if unsafe { libc::geteuid() } == 0 {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "pgbouncer"]);
            command
        } else {
            Command::new("pgbouncer")
        };
        let process = command
            .arg(&config)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("pgbouncer listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            process,
            url: format!("postgres://postgres@127.0.0.1:{port}/{name}"),
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // SAFETY: sends a signal to our own child, which has not been waited for yet.
        unsafe { libc::kill(self.process.id() as i32, libc::SIGTERM) };
        self.process.wait().ok();
    }
}

#[test]
fn a_pooler_in_transaction_mode_is_refused_and_one_in_session_mode_works() {
    for (mode, works) in [("session", true), ("transaction", false), ("statement", false)] {
        let dir = tempfile::tempdir().unwrap();
        let database = postgres::Database::fresh();
        let pooler = Pooler::start(dir.path(), &database, mode, 5);
        let env = [("DATABASE_URL", pooler.url.as_str())];
        for arguments in [&["migrate"][..], &["account", "list"], &["doctor"]] {
            let began = Instant::now();
            let output = run(dir.path(), &env, arguments);
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.success(), works, "{mode} {arguments:?}: {text}");
            assert!(
                works || text.contains("pool_mode = session"),
                "{mode} {arguments:?}: {text}"
            );
            assert!(began.elapsed().as_secs() < 20, "{mode} {arguments:?}");
        }
    }
}

#[test]
fn a_pooler_without_a_free_connection_lets_no_command_hang() {
    let dir = tempfile::tempdir().unwrap();
    let database = postgres::Database::fresh();
    let pooler = Pooler::start(dir.path(), &database, "session", 3);
    let env = [("DATABASE_URL", pooler.url.as_str())];
    assert!(run(dir.path(), &env, &["migrate"]).status.success());
    // Others hold every connection that the pooler has.
    let taken: Vec<PgConnection> = (0..3).map(|_| PgConnection::establish(&pooler.url).unwrap()).collect();
    for arguments in [&["migrate"][..], &["account", "list"], &["doctor"]] {
        let began = Instant::now();
        let output = run(dir.path(), &env, arguments);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{arguments:?}: {text}");
        assert!(text.contains("default_pool_size"), "{arguments:?}: {text}");
        assert!(began.elapsed().as_secs() < 20, "{arguments:?}: {:?}", began.elapsed());
    }
    drop(taken);
    assert!(run(dir.path(), &env, &["account", "list"]).status.success());
}
