//! `cargo bench --bench preview`: the review page of a draft over many live sessions, and how it
//! slows signed-in requests. `BENCH_SESSIONS` sets how many (100 000 unless set). SQLite always,
//! Postgres too when `BENCH_POSTGRES_URL` names an empty database.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

mod population;
mod wire;

use nightlatch::{
    clock::{Clock, SystemClock},
    store::{OpenOptions, Store},
};
use population::fill;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use wire::{Server, ask, create_account, sign_in};

const ROUNDS: usize = 9;
const WATCHED: Duration = Duration::from_secs(3);

fn main() {
    let sessions = std::env::var("BENCH_SESSIONS").map_or(100_000, |text| text.parse().expect("a number of sessions"));
    let dir = std::env::temp_dir().join(format!("nightlatch-bench-preview-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory for the database");
    let mut urls = vec![("SQLite", format!("sqlite:{}", dir.join("bench.db").display()))];
    urls.extend(std::env::var("BENCH_POSTGRES_URL").map(|url| ("PostgreSQL", url)));
    for (name, url) in urls {
        let store = Store::open(&url, OpenOptions::default()).expect("the database opens");
        fill(&store, sessions, SystemClock.now());
        drop(store);
        println!("\n{name}, {sessions} live sessions");
        run(&url, &dir);
    }
    std::fs::remove_dir_all(&dir).expect("the database goes");
}

fn run(url: &str, dir: &Path) {
    create_account(url, dir, "ada", "administrator");
    let server = Server::nightlatch(url, dir);
    let cookie = sign_in(&mut server.connect()).expect("ada signs in");
    let review = draft(&server, &cookie);
    let get = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\nuser-agent: bench\r\ncookie: {cookie}\r\n\r\n",
            server.address
        )
    };
    let (review, page) = (get(&review), get("/login"));
    let mut connection = server.connect();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(ask(&mut connection, &review).status, 200);
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "  review page                       {:>8.0} ms (worst {:.0})",
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
    tell("a signed-in request alone", &watch(&server, &page));
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = server.connect();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(ask(&mut connection, &review).status, 200);
            }
        });
        let times = watch(&server, &page);
        stop.store(true, Ordering::Relaxed);
        times
    });
    tell("… while reviews run", &beside);
    println!("  resident                          {:>8.1} MiB", server.resident_mib());
    server.stop();
}

/// Saves a draft that ends a share of the sessions, and returns the address of its review.
fn draft(server: &Server, cookie: &str) -> String {
    let body = "base=1&scope=everyone&auth.idle_session_timeout=10m&session.ttl=1h";
    let request = format!(
        "POST /admin/policy HTTP/1.1\r\nhost: {}\r\nuser-agent: bench\r\ncookie: {cookie}\r\ncontent-type: \
         application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    let answer = ask(&mut server.connect(), &request);
    assert_eq!(answer.status, 303);
    answer.location.expect("a review")
}

/// Times of consecutive requests, sorted, in milliseconds.
fn watch(server: &Server, request: &str) -> Vec<f64> {
    let (begun, mut times) = (Instant::now(), Vec::new());
    let mut connection = server.connect();
    while begun.elapsed() < WATCHED {
        let asked = Instant::now();
        assert_eq!(ask(&mut connection, request).status, 303);
        times.push(asked.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times
}

fn tell(what: &str, times: &[f64]) {
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("  {what:<33} {:>8.2} ms (99 %: {:.2})", at(50), at(99));
}
