//! The command line as users and scripts use it: the real program, its exit codes and its output.
//! Mirrors `src/cli`; `beside` runs it next to a server.

mod account;
mod account_factors;
mod application;
mod audit;
mod backup;
mod beside;
mod explain;
mod files;
mod lockout;
mod mail;
mod mail_tls;
mod operations;
mod policy;
mod preview;
mod session;
mod source;

use crate::harness::server::{Backend, TestDatabase, TestServer};
use serde_json::Value;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

/// A password that every rule accepts.
pub const PASSWORD: &str = "unlocked harbour violin";

/// The program on a database of its own, in an empty directory and a clean environment.
pub struct Cli {
    directory: tempfile::TempDir,
    database: Arc<TestDatabase>,
    env: Vec<(String, String)>,
}

impl Cli {
    pub fn fresh() -> Self {
        Self::on(Backend::Sqlite)
    }

    pub fn on(backend: Backend) -> Self {
        Self::of(&Arc::new(TestDatabase::fresh(backend)))
    }

    pub fn beside(server: &TestServer) -> Self {
        Self::of(&server.database)
    }

    pub fn of(database: &Arc<TestDatabase>) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            database: database.clone(),
            env: Vec::new(),
        }
    }

    /// With this variable in its environment from now on.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn database(&self) -> &Arc<TestDatabase> {
        &self.database
    }

    /// Where it runs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file in its directory.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.directory().join(name), text).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// With this on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A program that has read enough closes its input; the rest is dropped.
            stdin.write_all(&input).ok();
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let ran = Ran {
            what: arguments.join(" "),
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!ran.err.contains("panicked"), "{ran:?}");
        ran
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightlatch"));
        command
            .args(arguments)
            .current_dir(self.directory())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // A variable that must not be trusted.
            .env("USER", "tess")
            .env("DATABASE_URL", self.database.url())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// An account with [`PASSWORD`].
    #[track_caller]
    pub fn account(&self, name: &str, role: &str) {
        let arguments = ["account", "create", name, "--role", role, "--password-stdin"];
        self.run_with(&arguments, PASSWORD.as_bytes()).done();
    }

    #[track_caller]
    pub fn get(&self, key: &str) -> Value {
        self.run(&["policy", "get", key, "--json"]).json()["value"].clone()
    }

    #[track_caller]
    pub fn revision(&self) -> i64 {
        self.run(&["policy", "show", "--json"]).json()["revision"]
            .as_i64()
            .unwrap()
    }

    /// Codes of the audit, oldest first.
    #[track_caller]
    pub fn events(&self) -> Vec<String> {
        let rows = self.run(&["audit", "list", "--json"]).json();
        let rows = rows.as_array().unwrap().iter().rev();
        rows.map(|row| row["event"].as_str().unwrap().to_owned()).collect()
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Ran {
    what: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "nightlatch {}\n{}\n{}",
            self.what,
            self.out,
            self.err
        );
        self
    }

    /// Exit code 0.
    #[track_caller]
    pub fn done(self) -> Self {
        self.code(0)
    }

    /// Expects exit code 0, nothing on standard error, and JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let ran = self.code(0);
        assert_eq!(ran.err, "", "nightlatch {}", ran.what);
        ran.parsed()
    }

    #[track_caller]
    pub fn parsed(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("nightlatch {}: {error}\n{}", self.what, self.out))
    }

    /// Expects exit code 1 and the reasons, one line each, and nothing on standard output.
    #[track_caller]
    pub fn refused(self, why: &[&str]) -> Self {
        let ran = self.code(1);
        assert_eq!(ran.out, "", "nightlatch {}", ran.what);
        ran.says(why)
    }

    /// Exit code 2: usage.
    #[track_caller]
    pub fn usage(self) -> Self {
        let ran = self.code(2);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{ran:?}");
        ran
    }

    /// Each of these on standard error.
    #[track_caller]
    pub fn says(self, what: &[&str]) -> Self {
        for words in what {
            assert!(
                self.err.contains(words),
                "nightlatch {}: not said: {words}\n{}",
                self.what,
                self.err
            );
        }
        self
    }

    /// Each of these on standard output.
    #[track_caller]
    pub fn prints(self, what: &[&str]) -> Self {
        for words in what {
            assert!(
                self.out.contains(words),
                "nightlatch {}: not printed: {words}\n{}",
                self.what,
                self.out
            );
        }
        self
    }
}

/// Returns the actor of a command: the user of these tests as the system reports it.
pub fn actor() -> String {
    let said = |flags: &str| {
        let said = Command::new("id").arg(flags).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().to_owned()
    };
    format!("cli:{} (uid {})", said("-run"), said("-ru"))
}

/// The names of an object's members, in order.
#[track_caller]
pub fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// RFC 3339, UTC.
#[track_caller]
pub fn assert_instant(value: &Value) {
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z') && text.contains('T'), "{text}");
    assert!(
        nightlatch::domain::time::Timestamp::parse_rfc3339(text).is_some(),
        "{text}"
    );
}
