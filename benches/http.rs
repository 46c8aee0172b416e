//! `cargo bench --bench http`: a whole server, release build, over loopback. Start and memory, a signed-in request, sign-ins.
//! Ratios are taken against references of the same run: a bare actix-web handler, and argon2id on all cores.
//! SQLite always; Postgres too when `BENCH_POSTGRES_URL` names an empty database.

use actix_web::{App, HttpResponse, HttpServer, web};
use nightlatch::{
    domain::secret::Secret,
    hashing::{HashCost, hash_now},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PASSWORD: &str = "unlocked harbour violin";
const CONNECTIONS: usize = 8;
const PAIRS: usize = 5;
/// Wrong passwords for each kind of account.
const GUESSES: usize = 150;
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    // The reference runs as a process of its own, so that its CPU time can be told from ours.
    if let Ok(address) = std::env::var("BENCH_BARE") {
        return bare(&address);
    }
    let dir = std::env::temp_dir().join(format!("nightlatch-bench-http-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory for the database");
    let mut urls = vec![("SQLite", format!("sqlite:{}", dir.join("bench.db").display()))];
    urls.extend(std::env::var("BENCH_POSTGRES_URL").map(|url| ("PostgreSQL", url)));
    for (name, url) in urls {
        println!("\n{name}");
        run(&url, &dir);
    }
    std::fs::remove_dir_all(&dir).expect("the database goes");
}

fn run(url: &str, dir: &Path) {
    create_account(url, dir, "ada");
    // Once to migrate and to read the disk; the second start is measured.
    Server::nightlatch(url, dir).stop();
    let begun = Instant::now();
    let server = Server::nightlatch(url, dir);
    println!(
        "  start on an existing database     {:>8.0} ms",
        begun.elapsed().as_secs_f64() * 1000.0
    );
    std::thread::sleep(Duration::from_secs(3));
    println!("  idle process, resident            {:>8.1} MiB", server.resident_mib());
    let bare = Server::bare();
    let cookie = sign_in(&mut server.connect()).expect("ada signs in");
    signed_in_requests(&server, &bare, &cookie);
    bare.stop();
    sign_ins(&server);
    refusals(&server, url, dir);
    server.stop();
}

/// The time of a wrong password for each kind of account, asked in turns: nobody shall read from it which there are.
fn refusals(server: &Server, url: &str, dir: &Path) {
    let allowed = ["policy", "set", "auth.login_allow_list", "127.0.0.0/8"];
    assert!(cli(url, dir, &allowed), "nobody is locked out");
    for name in ["disabled", "expired"] {
        create_account(url, dir, name);
    }
    assert!(cli(url, dir, &["account", "disable", "disabled"]));
    assert!(cli(url, dir, &["account", "expire", "expired"]));
    let kinds = ["ada", "unknown", "disabled", "expired"];
    let mut times = [const { Vec::new() }; 4];
    let mut connection = server.connect();
    for _ in 0..GUESSES {
        for (name, times) in kinds.iter().zip(&mut times) {
            let begun = Instant::now();
            let answer = ask(&mut connection, &login(&server.address, name, "not+the+password"));
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            assert_eq!(answer.status, 422);
        }
    }
    let medians = times.map(|mut times| median(&mut times));
    let (least, most) = medians.iter().fold((f64::MAX, 0.0_f64), |(least, most), time| {
        (least.min(*time), most.max(*time))
    });
    let [known, unknown, disabled, expired] = medians;
    println!(
        "  a wrong password, median          known {known:.2}, unknown {unknown:.2}, disabled {disabled:.2}, expired {expired:.2} ms"
    );
    println!("  … apart                           {:>8.2} ms", most - least);
}

/// `/login` with a live session: judged like every page, answered with a redirect, nothing else to do.
fn signed_in_requests(server: &Server, bare: &Server, cookie: &str) {
    let ours = format!(
        "GET /login HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\nuser-agent: bench\r\ncookie: {cookie}\r\n\r\n",
        server.address
    );
    let reference = format!(
        "GET / HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\nuser-agent: bench\r\ncookie: {cookie}\r\n\r\n",
        bare.address
    );
    let (mut ratios, mut ours_cpu, mut bare_cpu, mut rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (bare_rate, bare_micros) = load(bare, &reference, 200);
        let (rate, micros) = load(server, &ours, 303);
        ratios.push(rate / bare_rate);
        rates.push(rate);
        ours_cpu.push(micros);
        bare_cpu.push(bare_micros);
    }
    println!("  signed-in request                 {:>8.0} /s", median(&mut rates));
    println!("  … as a ratio to bare actix-web    {:>8.2}", median(&mut ratios));
    println!(
        "  … CPU                             {:>8.1} µs (bare {:.1} µs)",
        median(&mut ours_cpu),
        median(&mut bare_cpu)
    );
}

/// Requests per second over `CONNECTIONS` connections, and the server's CPU time for each.
fn load(server: &Server, request: &str, status: u16) -> (f64, f64) {
    let cpu = server.cpu();
    let begun = Instant::now();
    let done: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut done = 0;
                    while begun.elapsed() < ROUND {
                        let answer = ask(&mut connection, request);
                        assert_eq!(answer.status, status);
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
    let secs = begun.elapsed().as_secs_f64();
    (
        done as f64 / secs,
        (server.cpu() - cpu).as_secs_f64() * 1e6 / done as f64,
    )
}

/// Sign-ins per second, against what the cores could hash if they did nothing else.
fn sign_ins(server: &Server) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..PAIRS {
        let possible = hashes_per_second(cores);
        let begun = Instant::now();
        let done: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut connection = server.connect();
                        let mut done = 0;
                        while begun.elapsed() < ROUND {
                            sign_in(&mut connection).expect("ada signs in");
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
        let rate = done as f64 / begun.elapsed().as_secs_f64();
        rates.push(rate);
        ratios.push(rate / possible);
    }
    println!("  sign-ins                          {:>8.1} /s", median(&mut rates));
    println!("  … as a ratio to cores ÷ argon2id  {:>8.2}", median(&mut ratios));
}

fn hashes_per_second(cores: usize) -> f64 {
    let begun = Instant::now();
    let done: usize = std::thread::scope(|scope| {
        let hashing: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0;
                    while begun.elapsed() < ROUND {
                        hash_now(HashCost::FLOOR, &Secret::new(PASSWORD.to_owned()), [1; 16]);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        hashing
            .into_iter()
            .map(|thread| thread.join().expect("hashing ends well"))
            .sum()
    });
    done as f64 / begun.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Whether the command line did it.
fn cli(url: &str, dir: &Path, arguments: &[&str]) -> bool {
    let mut child = command(url, dir).args(arguments).spawn().expect("the program starts");
    child.wait().expect("the program ends").success()
}

fn create_account(url: &str, dir: &Path, name: &str) {
    let mut child = command(url, dir)
        .args(["account", "create", name, "--role", "member", "--password-stdin"])
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

fn command(url: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightlatch"));
    command
        .current_dir(dir)
        .env_clear()
        .env("DATABASE_URL", url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A server process of ours.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn nightlatch(url: &str, dir: &Path) -> Self {
        let address = free_address();
        let process = command(url, dir)
            .env("NIGHTLATCH_BIND", &address)
            .spawn()
            .expect("the program starts");
        Self { process, address }.ready("/healthz")
    }

    fn bare() -> Self {
        let address = free_address();
        let program = std::env::current_exe().expect("our own path");
        let process = Command::new(program)
            .env("BENCH_BARE", &address)
            .spawn()
            .expect("the reference starts");
        Self { process, address }.ready("/")
    }

    /// Waits for the first answer: a socket that listens is not yet a server that serves.
    fn ready(self, path: &str) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&self.address).is_err() {
            assert!(Instant::now() < deadline, "{} does not answer", self.address);
            std::thread::sleep(Duration::from_millis(1));
        }
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        assert_eq!(ask(&mut self.connect(), &request).status, 200);
        self
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).expect("the server answers");
        stream.set_nodelay(true).expect("a socket option");
        BufReader::new(stream)
    }

    /// User and system time so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the process lives");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .expect("a stat line")
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
        Duration::from_millis(ticks * 10)
    }

    fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the process lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<f64>().ok())
            .expect("KiB")
            / 1024.0
    }

    fn stop(mut self) {
        self.process.kill().expect("our own process ends");
        self.process.wait().expect("our own process has ended");
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .to_string()
}

#[actix_web::main]
async fn bare(address: &str) {
    HttpServer::new(|| App::new().route("/", web::get().to(|| async { HttpResponse::Ok().body("ok") })))
        .bind(address)
        .expect("a free port")
        .run()
        .await
        .expect("the reference serves");
}

struct Answer {
    status: u16,
    cookie: Option<String>,
}

fn sign_in(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let host = connection.get_ref().peer_addr().expect("a peer").to_string();
    ask(connection, &login(&host, "ada", &PASSWORD.replace(' ', "+"))).cookie
}

fn login(host: &str, name: &str, password: &str) -> String {
    let body = format!("username={name}&password={password}");
    format!(
        "POST /login HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One request over a kept connection.
fn ask(connection: &mut BufReader<TcpStream>, request: &str) -> Answer {
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
    let (mut length, mut cookie) = (0, None);
    loop {
        line.clear();
        connection.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "set-cookie" if value.starts_with("nightlatch=") && !value.contains("Max-Age=0") => {
                cookie = value.split(';').next().map(str::to_owned);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).expect("a body");
    Answer { status, cookie }
}
