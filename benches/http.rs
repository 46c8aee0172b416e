//! `cargo bench --bench http`: a whole server over loopback: start and memory, a signed-in request,
//! sign-ins by password and by passkey, forward-auth (`verify`), and event streams. Ratios compare
//! with references of the same run: a bare actix-web handler, and argon2id on all cores. SQLite
//! always, Postgres too when `BENCH_POSTGRES_URL` names an empty database.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

mod passkeys;
mod streams;
mod verify;
mod wire;

use actix_web::{App, HttpResponse, HttpServer, web};
use nightlatch::{
    domain::secret::Secret,
    hashing::{HashCost, hash_now},
};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use wire::{PASSWORD, Server, acts_per_second, ask, cli, create_account, free_address, login, median, sign_in};

const CONNECTIONS: usize = 8;
const PAIRS: usize = 5;
/// Clients that sign in continuously, each with its own account and address.
const SIGNING_IN: u32 = 16;
/// Wrong passwords for each kind of account.
const GUESSES: usize = 150;
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    // The reference runs as a separate process, so that its CPU time can be distinguished.
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

/// Whether this part runs: all parts do, unless some are named on the command line.
fn wanted(part: &str) -> bool {
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    named.is_empty() || named.iter().any(|name| name == part)
}

fn run(url: &str, dir: &Path) {
    create_account(url, dir, "ada", "member");
    verify::prepare(url, dir);
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
    if wanted("requests") {
        let bare = bare_server();
        let cookie = sign_in(&mut server.connect()).expect("ada signs in");
        signed_in_requests(&server, &bare, &cookie);
        bare.stop();
    }
    if wanted("verify") {
        verify::run(&server, dir);
    }
    if wanted("sign-ins") {
        sign_ins(&server);
    }
    if wanted("refusals") {
        refusals(&server, url, dir);
    }
    // Only when it is named: it takes minutes and more file descriptors than usual.
    if std::env::args().any(|argument| argument == "streams") {
        streams::run(&server, url, dir);
    }
    server.stop();
    if wanted("passkeys") {
        passkeys::run(url, dir);
    }
}

/// Measures a wrong password for each kind of account in turns: the times must not reveal which
/// accounts exist.
fn refusals(server: &Server, url: &str, dir: &Path) {
    let allowed = ["policy", "set", "auth.login_allow_list", "127.0.0.0/8"];
    assert!(cli(url, dir, &allowed), "nobody is locked out");
    for name in ["disabled", "expired"] {
        create_account(url, dir, name, "member");
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
        "  a wrong password, median          known {known:.2}, unknown {unknown:.2}, disabled {disabled:.2}, \
         expired {expired:.2} ms"
    );
    println!("  … apart                           {:>8.2} ms", most - least);
}

/// Measures `/login` with a live session: judged like every page, answered with a redirect.
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

/// Measures requests per second over `CONNECTIONS` connections, and the server's CPU time per
/// request.
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

/// Measures sign-ins per second, compared with what the cores could hash if they did nothing else.
fn sign_ins(server: &Server) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..PAIRS {
        let possible = hashes_per_second(cores);
        let rate = acts_per_second(0..SIGNING_IN, ROUND, |person| {
            let request = verify::person_signs_in(server, person);
            let mut connection = server.connect();
            move || assert_eq!(ask(&mut connection, &request).status, 303)
        });
        rates.push(rate);
        ratios.push(rate / possible);
    }
    println!("  sign-ins                          {:>8.1} /s", median(&mut rates));
    println!("  … as a ratio to cores ÷ argon2id  {:>8.2}", median(&mut ratios));
}

fn hashes_per_second(cores: usize) -> f64 {
    acts_per_second(0..cores, ROUND, |_| {
        || {
            hash_now(HashCost::FLOOR, &Secret::new(PASSWORD.to_owned()), [1; 16]);
        }
    })
}

/// The reference server: `/` answers a word, `/nothing` answers 204.
pub fn bare_server() -> Server {
    let address = free_address();
    let program = std::env::current_exe().expect("our own path");
    let process = Command::new(program)
        .env("BENCH_BARE", &address)
        .spawn()
        .expect("the reference starts");
    Server { process, address }.ready("/")
}

#[actix_web::main]
async fn bare(address: &str) {
    let app = || {
        App::new()
            .route("/", web::get().to(|| async { HttpResponse::Ok().body("ok") }))
            .route(
                "/nothing",
                web::get().to(|| async { HttpResponse::NoContent().finish() }),
            )
    };
    HttpServer::new(app)
        .bind(address)
        .expect("a free port")
        .run()
        .await
        .expect("the reference serves");
}
