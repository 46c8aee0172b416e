//! Ten thousand open event streams, each of its own session: the memory and the CPU time that they
//! take while nothing happens, and how long a new policy and the end of all sessions take to reach
//! them. Both processes need 10 000 file descriptors (`ulimit -n 20000`).

use crate::{
    verify::{AGENT, person_signs_in},
    wire::{Server, ask, cli},
};
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const STREAMS: usize = 10_000;
/// Clients that sign in at the same time.
const SIGNING_IN: usize = 16;
const PEOPLE: usize = 100;
const QUIET: Duration = Duration::from_secs(60);
/// Maximum wait for an event to reach every stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has arrived so far.
#[derive(Default)]
struct Arrived {
    open: AtomicUsize,
    policy: AtomicUsize,
    ended: AtomicUsize,
    closed: AtomicUsize,
}

pub fn run(server: &Server, url: &str, dir: &Path) {
    let cookies = sign_everyone_in(server);
    let before = server.resident_mib();
    let arrived = Arc::new(Arrived::default());
    let (address, counts) = (server.address.clone(), arrived.clone());
    let listening = std::thread::spawn(move || listen(&address, cookies, &counts));
    wait_for(&arrived.open, "open");
    std::thread::sleep(Duration::from_secs(5));
    let resident = server.resident_mib();
    println!(
        "  {STREAMS} streams, resident        {resident:>8.1} MiB ({:.1} MiB more)",
        resident - before
    );
    let cpu = server.cpu();
    std::thread::sleep(QUIET);
    let share = (server.cpu() - cpu).as_secs_f64() / QUIET.as_secs_f64() * 100.0;
    println!("  … idle, of a core                 {share:>8.1} %");
    assert!(
        cli(url, dir, &["policy", "set", "session.ttl=13d"]),
        "the policy is set"
    );
    let all = wait_for(&arrived.policy, "policy");
    println!(
        "  … a new policy reaches all        {:>8.0} ms",
        all.as_secs_f64() * 1000.0
    );
    assert!(cli(url, dir, &["session", "end", "--all"]), "all sessions end");
    // A page also asks when its stream closes without an event, as many do when all read at once.
    let all = wait_for(&arrived.closed, "closed");
    println!(
        "  … the end of all reaches all      {:>8.0} ms",
        all.as_secs_f64() * 1000.0
    );
    println!(
        "  … told by an event                {:>8}",
        arrived.ended.load(Ordering::SeqCst)
    );
    listening.join().expect("the listener ends well");
}

/// Waits until every stream has this, and returns how long it took.
fn wait_for(count: &AtomicUsize, what: &str) -> Duration {
    let begun = Instant::now();
    while count.load(Ordering::SeqCst) < STREAMS {
        let so_far = count.load(Ordering::SeqCst);
        assert!(begun.elapsed() < PATIENCE, "{what}: {so_far} of {STREAMS}");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

/// Returns the person and the cookie of each session.
fn sign_everyone_in(server: &Server) -> Vec<(u32, String)> {
    let (next, cookies) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(STREAMS)));
    std::thread::scope(|scope| {
        for _ in 0..SIGNING_IN {
            scope.spawn(|| {
                let mut connection = server.connect();
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= STREAMS {
                        return;
                    }
                    let person = u32::try_from(number % PEOPLE).expect("a small number");
                    let answer = ask(&mut connection, &person_signs_in(server, person));
                    let cookie = answer.cookie.expect("a person signs in");
                    cookies.lock().expect("no client panics").push((person, cookie));
                }
            });
        }
    });
    cookies.into_inner().expect("no client panics")
}

/// Opens a stream with each cookie, and reads all until they are closed.
fn listen(address: &str, cookies: Vec<(u32, String)>, arrived: &Arc<Arrived>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut streams = Vec::with_capacity(cookies.len());
        for (person, cookie) in cookies {
            let request = format!(
                "GET /nightlatch/session/events HTTP/1.1\r\nhost: {address}\r\nuser-agent: {AGENT}\r\n\
                 x-forwarded-for: 198.51.100.{person}\r\ncookie: {cookie}\r\n\r\n"
            );
            streams.push(tokio::spawn(read_stream(address.to_owned(), request, arrived.clone())));
            // The queue of a listening socket is short.
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        for stream in streams {
            stream.await.expect("a stream ends well");
        }
    });
}

async fn read_stream(address: String, request: String, arrived: Arc<Arrived>) {
    let mut socket = TcpStream::connect(&address).await.expect("the server answers");
    socket.write_all(request.as_bytes()).await.expect("the request is sent");
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    let mut awaited = vec![
        ("event: ended", &arrived.ended),
        ("event: policy", &arrived.policy),
        (": open", &arrived.open),
    ];
    loop {
        let count = socket.read(&mut buffer).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        awaited.retain(|(event, count)| {
            let is_here = text.contains(event);
            if is_here {
                count.fetch_add(1, Ordering::SeqCst);
            }
            !is_here
        });
        if count == 0 || text.ends_with("\r\n0\r\n\r\n") {
            arrived.closed.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if text.len() > 4096 {
            text.clear();
        }
    }
}
