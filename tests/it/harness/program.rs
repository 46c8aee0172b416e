//! The real program as a process: started, asked, stopped, killed.

use super::{client::Client, server::eventually};
use std::{
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// The program with nothing of the surrounding environment.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightlatch"));
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

/// A served program.
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

    /// Starts without waiting.
    pub fn spawn(dir: &Path, env: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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
        reqwest::blocking::get(format!("{}/readyz", self.base)).is_ok_and(|answer| answer.status() == 200)
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

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        // SAFETY: sends a signal to our own child, which has not been waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) }, 0);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
