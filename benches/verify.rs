//! Forward-auth, directly and through a real nginx, each compared with a bare reference in the same
//! minute and with all session validation on; and its latency while more clients sign in than can
//! be hashed.

use crate::{
    bare_server,
    wire::{PASSWORD, Server, ask, cli, create_account, free_address, login, median},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

const THREADS: usize = 2;
const CONNECTIONS: usize = 32;
const PAIRS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
/// Sign-ins that begin each second during the measurement, and the clients that make them.
const SIGN_INS: u32 = 200;
const PEOPLE: u32 = 100;

const VERIFY: &str = "/api/authz/auth-request";
pub const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CLIENT: &str = "203.0.113.9";

/// Switches on every rule that is judged at a request, for everyone and for the application.
pub fn prepare(url: &str, dir: &Path) {
    let settings = [
        "policy",
        "set",
        "session.ttl=14d",
        "auth.idle_session_timeout=15m",
        "session.session_validation_mode=moderate",
        "session.session_user_agent_match=family",
        "activity.ignored_paths=/poll/*,/api/*/status",
    ];
    assert!(cli(url, dir, &settings), "the policy is set");
    // With it leases are renewed too.
    let renewed = [
        "policy",
        "set",
        "--scope",
        "administrators",
        "session.renewal_period=8h",
    ];
    assert!(cli(url, dir, &renewed), "the administrators' policy is set");
    let wiki = [
        "application",
        "create",
        "wiki",
        "--host",
        "wiki.example.org",
        "--public-path",
        "/healthz",
        "--public-path",
        "/assets/*",
        "--ignore-path",
        "/poll/*",
        "--role",
        "member",
    ];
    assert!(cli(url, dir, &wiki), "the application is registered");
    create_account(url, dir, "verified", "administrator");
    for person in 0..PEOPLE {
        create_account(url, dir, &format!("person{person}"), "member");
    }
}

pub fn run(server: &Server, dir: &Path) {
    let bare = bare_server();
    let cookie = signed_in(server);
    let request = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: wiki.example.org\r\nx-original-url: https://wiki.example.org/page?x=1\r\n\
             x-original-method: GET\r\nx-forwarded-for: {CLIENT}\r\nuser-agent: {AGENT}\r\naccept: text/html\r\n\
             cookie: {cookie}\r\n\r\n"
        )
    };
    let ours = request(VERIFY);
    let (asked, reference) = ((server.address.as_str(), ours.as_str()), request("/nothing"));
    pairs("verify", asked, server, (&bare.address, &reference), &bare);
    through_nginx(server, &bare, &cookie, dir);
    beside_sign_ins(server, &ours);
    bare.stop();
}

fn login_from(host: &str, name: &str, ip: &str) -> String {
    login(host, name, &PASSWORD.replace(' ', "+")).replace(
        "user-agent: bench\r\n",
        &format!("user-agent: {AGENT}\r\nx-forwarded-for: {ip}\r\n"),
    )
}

/// The sign-in of one client, each from its own address.
pub fn person_signs_in(server: &Server, person: u32) -> String {
    login_from(
        &server.address,
        &format!("person{person}"),
        &format!("198.51.100.{person}"),
    )
}

fn signed_in(server: &Server) -> String {
    let request = login_from(&server.address, "verified", CLIENT);
    ask(&mut server.connect(), &request).cookie.expect("a session")
}

/// Measures two servers in alternating rounds; the CPU time is of the process that is named.
fn pairs(what: &str, ours: (&str, &str), our_server: &Server, bare: (&str, &str), bare_server: &Server) {
    let (mut ratios, mut rates, mut micros) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_rates, mut bare_micros) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (bare_rate, bare_cpu) = load(bare, bare_server);
        let (rate, cpu) = load(ours, our_server);
        ratios.push(rate / bare_rate);
        rates.push(rate);
        micros.push(cpu);
        bare_rates.push(bare_rate);
        bare_micros.push(bare_cpu);
    }
    println!(
        "  {what:<33} {:>8.0} /s (bare {:.0} /s)",
        median(&mut rates),
        median(&mut bare_rates)
    );
    println!("  … as a ratio to bare              {:>8.2}", median(&mut ratios));
    println!(
        "  … CPU                             {:>8.1} µs (bare {:.1} µs)",
        median(&mut micros),
        median(&mut bare_micros)
    );
}

/// Measures requests per second over all connections, and CPU time of `cpu_of` per request. Each
/// thread writes to all of its connections and then reads from all, so that the client uses little
/// of the cores that it shares with the server.
fn load((address, request): (&str, &str), cpu_of: &Server) -> (f64, f64) {
    let cpu = cpu_of.cpu();
    let begun = Instant::now();
    let done: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| rounds(address, request, begun)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("a client ends well"))
            .sum()
    });
    let secs = begun.elapsed().as_secs_f64();
    (
        done as f64 / secs,
        (cpu_of.cpu() - cpu).as_secs_f64() * 1e6 / done as f64,
    )
}

fn rounds(address: &str, request: &str, begun: Instant) -> usize {
    let connect = || TcpStream::connect(address).expect("the server answers");
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS / THREADS).map(|_| connect()).collect();
    for connection in &connections {
        connection.set_nodelay(true).expect("a socket option");
    }
    let mut buffer = [0; 4096];
    let mut done = 0;
    while begun.elapsed() < ROUND {
        for connection in &mut connections {
            connection.write_all(request.as_bytes()).expect("the request is sent");
        }
        for connection in &mut connections {
            passed(connection, &mut buffer);
            done += 1;
        }
    }
    done
}

/// Reads one successful answer. nginx sends a body together with the head.
fn passed(connection: &mut TcpStream, buffer: &mut [u8; 4096]) {
    let mut read = 0;
    loop {
        let more = connection.read(&mut buffer[read..]).expect("an answer");
        assert!(more > 0, "the server hung up");
        read += more;
        let Some(head) = buffer[..read].windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head]).expect("a head in ASCII");
        assert!(text.starts_with("HTTP/1.1 20"), "{text}");
        let length = text.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().expect("a length"))
        });
        if read >= head + 4 + length.unwrap_or(0_usize) {
            return;
        }
    }
}

/// Starts nginx in front of Nightlatch, and nginx with the same configuration in front of a server
/// that answers 204.
fn through_nginx(server: &Server, bare: &Server, cookie: &str, dir: &Path) {
    let Some(nginx) = ["/usr/sbin/nginx", "/usr/bin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        return println!("  through nginx                     not taken: there is no nginx");
    };
    let (ours, reference) = (free_address(), free_address());
    let config = dir.join("nginx.conf");
    let server_block = |listen: &str, asked: &str, path: &str| {
        format!(
            "upstream u{port} {{ server {asked}; keepalive 64; keepalive_requests 100000000; }}\n\
             server {{ listen {listen};\n\
             location = /verify {{ internal; proxy_pass http://u{port}{path}; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_pass_request_body off; proxy_set_header Content-Length \"\";\n\
             proxy_set_header Host $http_host; proxy_set_header X-Original-URL $scheme://$http_host$request_uri;\n\
             proxy_set_header X-Original-Method $request_method; proxy_set_header X-Forwarded-For {CLIENT}; }}\n\
             location / {{ auth_request /verify; auth_request_set $user $upstream_http_remote_user;\n\
             auth_request_set $groups $upstream_http_remote_groups; empty_gif; }} }}\n",
            port = listen.rsplit(':').next().unwrap_or_default()
        )
    };
    let own = dir.display();
    let paths =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|what| format!("{what}_temp_path {own}/{what};"));
    let text = format!(
        "pid {own}/nginx.pid; error_log {own}/nginx.errors crit; daemon off; master_process off; \
         events {{ worker_connections 1024; }}\nhttp {{ access_log off; keepalive_requests 100000000; {}\n{}{}}}\n",
        paths.join(" "),
        server_block(&ours, &server.address, VERIFY),
        server_block(&reference, &bare.address, "/nothing"),
    );
    std::fs::write(&config, text).expect("the configuration is written");
    let process = Command::new(nginx)
        .arg("-c")
        .arg(&config)
        .arg("-p")
        .arg(dir)
        .spawn()
        .expect("nginx starts");
    let proxy = Server { process, address: ours };
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&proxy.address).is_err() {
        assert!(Instant::now() < deadline, "nginx does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    let request = format!(
        "GET /page HTTP/1.1\r\nhost: wiki.example.org\r\naccept: text/html\r\nuser-agent: {AGENT}\r\ncookie: \
         {cookie}\r\n\r\n"
    );
    // One process serves both addresses, so the CPU time is that of the requested one.
    let asked = (proxy.address.as_str(), request.as_str());
    pairs("verify through nginx", asked, server, (&reference, &request), bare);
    proxy.stop();
}

/// Measures the 99th percentile, alone and while more sign-ins begin than can be hashed.
fn beside_sign_ins(server: &Server, request: &str) {
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let answered = [const { AtomicUsize::new(0) }; 2];
    for _ in 0..PAIRS {
        let quiet = slowest_of_a_hundred(server, request);
        let stop = AtomicBool::new(false);
        let busy = std::thread::scope(|scope| {
            for person in 0..PEOPLE {
                let (stop, answered) = (&stop, &answered);
                scope.spawn(move || keep_signing_in(server, person, stop, answered));
            }
            let busy = slowest_of_a_hundred(server, request);
            stop.store(true, Ordering::Relaxed);
            busy
        });
        alone.push(quiet);
        beside.push(busy);
        ratios.push(busy / quiet);
    }
    let [accepted, turned_away] = answered.map(AtomicUsize::into_inner);
    println!(
        "  verify, 99 % within               {:>8.2} ms alone, {:.2} ms beside {SIGN_INS} sign-ins/s \
         ({accepted} accepted, {turned_away} turned away)",
        median(&mut alone),
        median(&mut beside)
    );
    println!("  … as a ratio                      {:>8.2}", median(&mut ratios));
}

/// Times in milliseconds of one request every two milliseconds.
fn slowest_of_a_hundred(server: &Server, request: &str) -> f64 {
    const EVERY: Duration = Duration::from_millis(2);
    let mut connection = server.connect();
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < ROUND {
        let sent = Instant::now();
        assert_eq!(ask(&mut connection, request).status, 200);
        times.push(sent.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(EVERY.saturating_sub(sent.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

/// One of many clients, each from its own address; a refused client tries again in its next turn.
fn keep_signing_in(server: &Server, person: u32, stop: &AtomicBool, answered: &[AtomicUsize; 2]) {
    let turn = Duration::from_secs(1) * PEOPLE / SIGN_INS;
    let request = person_signs_in(server, person);
    let mut connection = server.connect();
    std::thread::sleep(turn * person / PEOPLE);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let status = ask(&mut connection, &request).status;
        match status {
            303 => &answered[0],
            429 | 503 => &answered[1],
            other => panic!("a sign-in was answered with {other}"),
        }
        .fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(turn.saturating_sub(begun.elapsed()));
    }
}
