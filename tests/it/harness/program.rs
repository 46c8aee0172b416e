//! The program as a process: start it, run commands, stop it, kill it.

use super::{
    client::{Client, fetch},
    server::eventually,
};
use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// The program without the surrounding environment: the one built with the tests, or the one that
/// `NIGHTLATCH_PROGRAM` names, for measurements.
pub fn command(dir: &Path) -> Command {
    let built = env!("CARGO_BIN_EXE_nightlatch").into();
    let mut command = Command::new(std::env::var_os("NIGHTLATCH_PROGRAM").unwrap_or(built));
    command.current_dir(dir).env_clear().stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(dir: &Path, env: &[(&str, &str)], arguments: &[&str]) -> Output {
    command(dir).envs(env.iter().copied()).args(arguments).output().unwrap()
}

/// Runs a command that reads a password.
pub fn run_with_input(dir: &Path, env: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = command(dir)
        .envs(env.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A running `nightlatch serve`.
pub struct Program {
    child: Child,
    pub base: String,
}

impl Program {
    /// Starts `nightlatch serve` on a free port and waits until it answers.
    pub fn serve(dir: &Path, env: &[(&str, &str)]) -> Self {
        let program = Self::spawn(dir, env);
        eventually("the program answers", || program.answers());
        program
    }

    /// Starts at an address and waits until it answers.
    pub fn serve_at(address: SocketAddr, dir: &Path, env: &[(&str, &str)]) -> Self {
        let program = Self::spawn_at(address, dir, env);
        eventually("the program answers", || program.answers());
        program
    }

    /// Starts without waiting.
    pub fn spawn(dir: &Path, env: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::spawn_at(address, dir, env)
    }

    fn spawn_at(address: SocketAddr, dir: &Path, env: &[(&str, &str)]) -> Self {
        let child = command(dir)
            .env("NIGHTLATCH_BIND", address.to_string())
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join(format!("log-{}", address.port()))).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            base: format!("http://{address}"),
        }
    }

    pub fn answers(&self) -> bool {
        fetch(&format!("{}/readyz", self.base)).is_ok_and(|answer| answer.status() == 200)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base)
    }

    pub fn log(&self, dir: &Path) -> String {
        let port = self.base.rsplit(':').next().unwrap();
        let mut text = String::new();
        std::fs::File::open(dir.join(format!("log-{port}")))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    /// The number of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The memory of the process in KiB: resident now, and the most so far.
    pub fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_end_matches("kB").trim().parse().unwrap()
        };
        (value("VmRSS:"), value("VmHWM:"))
    }

    /// Sends a signal such as `libc::SIGHUP`.
    pub fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to our own child, which has not been waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Sends SIGTERM and returns how the process ended.
    pub fn terminate(self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// Waits until it has ended, within the 20 s that service managers allow.
    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when the process has already ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
