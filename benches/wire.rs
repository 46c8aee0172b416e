//! The program as a process, and a minimal client that keeps its connections open.
#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub const PASSWORD: &str = "unlocked harbour violin";

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Has one thread for each client repeat an act for a round; returns how many acts a second all of
/// them did. `prepare` runs in the client's thread and returns its act.
pub fn acts_per_second<C: Send, A: FnMut()>(
    clients: impl IntoIterator<Item = C>,
    round: Duration,
    prepare: impl Fn(C) -> A + Sync,
) -> f64 {
    let (begun, prepare) = (Instant::now(), &prepare);
    let done: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = clients
            .into_iter()
            .map(|client| {
                scope.spawn(move || {
                    let mut act = prepare(client);
                    let mut done = 0;
                    while begun.elapsed() < round {
                        act();
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("a client ends well"))
            .sum()
    });
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Whether the command succeeded.
pub fn cli(url: &str, dir: &Path, arguments: &[&str]) -> bool {
    let mut child = command(url, dir).args(arguments).spawn().expect("the program starts");
    child.wait().expect("the program ends").success()
}

pub fn create_account(url: &str, dir: &Path, name: &str, role: &str) {
    let mut child = command(url, dir)
        .args(["account", "create", name, "--role", role, "--password-stdin"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(PASSWORD.as_bytes())
        .expect("the password is read");
    assert!(child.wait().expect("the program ends").success());
}

pub fn command(url: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightlatch"));
    command
        .current_dir(dir)
        .env_clear()
        .env("DATABASE_URL", url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A running server process.
pub struct Server {
    pub process: Child,
    pub address: String,
}

impl Server {
    pub fn nightlatch(url: &str, dir: &Path) -> Self {
        let address = free_address();
        let process = command(url, dir)
            .env("NIGHTLATCH_BIND", &address)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
            .spawn()
            .expect("the program starts");
        Self { process, address }.ready("/healthz")
    }

    /// The program under the name localhost, where browsers know passkeys.
    pub fn with_passkeys(url: &str, dir: &Path) -> Self {
        let address = free_address();
        let process = command(url, dir)
            .env("NIGHTLATCH_BIND", &address)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .spawn()
            .expect("the program starts");
        Self { process, address }.ready("/healthz")
    }

    /// Waits for the first answer, because a listening socket does not yet serve.
    pub fn ready(self, path: &str) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&self.address).is_err() {
            assert!(Instant::now() < deadline, "{} does not answer", self.address);
            std::thread::sleep(Duration::from_millis(1));
        }
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        assert_eq!(ask(&mut self.connect(), &request).status, 200);
        self
    }

    pub fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).expect("the server answers");
        stream.set_nodelay(true).expect("a socket option");
        BufReader::new(stream)
    }

    /// User and system time of the process so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(&self.process.id().to_string())
    }

    pub fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the process lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<f64>().ok())
            .expect("KiB")
            / 1024.0
    }

    pub fn stop(mut self) {
        self.process.kill().expect("our own process ends");
        self.process.wait().expect("our own process has ended");
    }
}

/// User and system time of a process so far; `self` is this one.
pub fn cpu_of(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("a stat line")
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    Duration::from_millis(ticks * 10)
}

pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .to_string()
}

/// The parts of an answer that benches read.
pub struct Answer {
    pub status: u16,
    pub cookie: Option<String>,
    pub location: Option<String>,
    pub body: String,
}

pub fn sign_in(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let host = connection.get_ref().peer_addr().expect("a peer").to_string();
    ask(connection, &login(&host, "ada", &PASSWORD.replace(' ', "+"))).cookie
}

pub fn login(host: &str, name: &str, password: &str) -> String {
    let body = format!("username={name}&password={password}");
    format!(
        "POST /login HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench\r\ncontent-type: \
         application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends one request over an open connection.
pub fn ask(connection: &mut BufReader<TcpStream>, request: &str) -> Answer {
    connection
        .get_mut()
        .write_all(request.as_bytes())
        .expect("the request is sent");
    let mut line = String::new();
    connection.read_line(&mut line).expect("a status line");
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    let (mut length, mut cookie, mut location) = (0, None, None);
    loop {
        line.clear();
        connection.read_line(&mut line).expect("a header");
        // A header without a value is one too.
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim_start();
        match name.to_ascii_lowercase().as_str() {
            "location" => location = Some(value.to_owned()),
            "content-length" => length = value.parse().expect("a length"),
            "set-cookie" if value.starts_with("nightlatch=") && !value.contains("Max-Age=0") => {
                cookie = value.split(';').next().map(str::to_owned);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).expect("a body");
    Answer {
        status,
        cookie,
        location,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// A request with a JSON body, as Nightlatch's own scripts send it.
pub fn json_post(host: &str, path: &str, cookie: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench\r\naccept: application/json\r\ncookie: \
         {cookie}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
