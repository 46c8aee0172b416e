//! Signals and stopping: in order, and within a bounded time whatever the database does.

use crate::harness::{
    balancer::Balancer,
    client::{fetch, http_client},
    postgres,
    program::{Program, run_with_input},
    server::{PASSWORD, eventually},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::OpenOptionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn create_ada(dir: &std::path::Path, env: &[(&str, &str)]) {
    let arguments = ["account", "create", "ada", "--password-stdin"];
    assert!(run_with_input(dir, env, &arguments, PASSWORD).status.success());
}

#[test]
fn sighup_reopens_the_security_log_and_other_signals_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    create_ada(dir.path(), &[]);
    let (log, moved) = (dir.path().join("security.log"), dir.path().join("security.log.old"));
    let server = Program::serve(dir.path(), &[("NIGHTLATCH_SECURITY_LOG", "security.log")]);
    server.client().sign_in("ada", PASSWORD).expect(303);
    std::fs::rename(&log, &moved).unwrap();
    let before = std::fs::read_to_string(&moved).unwrap();
    std::fs::write(dir.path().join("nightlatch.toml"), "session_cache = 7\n").unwrap();
    server.signal(libc::SIGHUP);
    eventually("the log is there again", || log.exists());
    eventually("the reload is logged", || {
        server.log(dir.path()).contains("session_cache")
    });
    assert!(
        server
            .log(dir.path())
            .contains("SIGHUP: reopened the security log security.log")
    );
    server.client().sign_in("ada", PASSWORD).expect(303);
    let written = std::fs::read_to_string(&log).unwrap();
    assert!(written.contains("sign_in.accepted"), "{written}");
    assert_eq!(
        std::fs::read_to_string(&moved).unwrap(),
        before,
        "nothing is written to the moved file"
    );
    std::fs::write(dir.path().join("nightlatch.toml"), "session_cache = \"many\"\n").unwrap();
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE] {
        server.signal(signal);
    }
    eventually("the fault is logged", || {
        server.log(dir.path()).contains("cannot be used at the next start")
    });
    assert!(server.answers());
    assert!(server.terminate().success());
}

#[test]
fn sighup_while_the_server_starts_does_not_end_it() {
    let dir = tempfile::tempdir().unwrap();
    // The configuration takes long to read: a pipe that nobody has written yet.
    let pipe = dir.path().join("secret");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let server = Program::spawn(dir.path(), &[("DATABASE_URL_FILE", pipe.to_str().unwrap())]);
    // The writer's end opens as soon as the program reads.
    let mut writer = std::fs::File::create(&pipe).unwrap();
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
        server.signal(signal);
    }
    writer.write_all(b"sqlite:nl.db").unwrap();
    drop(writer);
    eventually("the configuration was read", || dir.path().join("nl.db").exists());
    // Asked for during the start, obeyed after it: the configuration is read a second time.
    eventually("the configuration is read again", || {
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&pipe);
        opened.is_ok_and(|mut writer| writer.write_all(b"sqlite:nl.db").is_ok())
    });
    eventually("the server answers", || server.answers());
    let log = server.log(dir.path());
    assert!(log.contains("SIGHUP: the configuration is unchanged"), "{log}");
    assert!(server.terminate().success());
}

#[test]
fn a_stopping_server_is_first_not_ready_and_then_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Program::serve(dir.path(), &[("NIGHTLATCH_STOP_DELAY", "3s")]);
    let base = server.base.clone();
    let status = |path: &str| fetch(&format!("{base}{path}")).map(|answer| answer.status().as_u16());
    server.signal(libc::SIGTERM);
    let began = Instant::now();
    eventually("not ready any more", || status("/readyz").is_ok_and(|code| code == 503));
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(status("/healthz").unwrap(), 200, "requests are still answered");
    }
    assert!(server.wait().success());
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    let server = Program::serve(dir.path(), &[("NIGHTLATCH_STOP_DELAY", "1m")]);
    server.signal(libc::SIGTERM);
    thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    assert!(server.terminate().success(), "a second signal cuts the wait short");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_rolling_restart_behind_nginx_loses_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let database = postgres::Database::fresh();
    let env = [
        ("DATABASE_URL", database.url()),
        ("NIGHTLATCH_PUBLIC_URL", "http://login.example.org"),
        ("NIGHTLATCH_STOP_DELAY", "1s"),
    ];
    create_ada(dir.path(), &env);
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let addresses = [free(), free()];
    let mut instances = addresses.map(|address| Some(Program::serve_at(address, dir.path(), &env)));
    let balancer = Balancer::start(&addresses);
    let url = format!("http://127.0.0.1:{}/logout", balancer.port);
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (url, over) = (url.clone(), over.clone());
            thread::spawn(move || {
                let client = http_client()
                    .redirect(reqwest::redirect::Policy::none())
                    .pool_max_idle_per_host(0)
                    .timeout(Duration::from_secs(20))
                    .build()
                    .unwrap();
                let mut answers = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    // nginx must not send a POST twice, although it may resend a GET.
                    answers.push(
                        client
                            .post(&url)
                            .body("x=1")
                            .send()
                            .map_or(0, |answer| answer.status().as_u16()),
                    );
                }
                answers
            })
        })
        .collect();
    for round in 0..4 {
        let (which, address) = (round % 2, addresses[round % 2]);
        assert!(instances[which].take().unwrap().terminate().success());
        instances[which] = Some(Program::serve_at(address, dir.path(), &env));
    }
    over.store(true, Ordering::SeqCst);
    let answers: Vec<u16> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(answers.len() > 500, "{}", answers.len());
    let lost: Vec<&u16> = answers.iter().filter(|status| **status != 303).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), answers.len());
}

/// A database behind a connection that stops passing bytes on, both ways, without closing.
struct FreezingProxy {
    port: u16,
    frozen: Arc<AtomicBool>,
}

impl FreezingProxy {
    fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let frozen = Arc::new(AtomicBool::new(false));
        let stop = frozen.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&target).unwrap());
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let stop = stop.clone();
                    thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            while stop.load(Ordering::SeqCst) {
                                thread::sleep(Duration::from_millis(50));
                            }
                            if to.write_all(&bytes[..count]).is_err() {
                                return;
                            }
                        }
                        to.shutdown(std::net::Shutdown::Both).ok();
                    });
                }
            }
        });
        Self { port, frozen }
    }
}

#[test]
fn sigterm_ends_the_program_while_the_database_is_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let database = postgres::Database::fresh();
    let url = url::Url::parse(database.url()).unwrap();
    let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let proxy = FreezingProxy::start(target);
    let mut behind = url.clone();
    behind.set_host(Some("127.0.0.1")).unwrap();
    behind.set_port(Some(proxy.port)).unwrap();
    let env = [("DATABASE_URL", behind.as_str())];
    create_ada(dir.path(), &env);
    let server = Program::serve(dir.path(), &env);
    let ada = server.client();
    ada.sign_in("ada", PASSWORD).expect(303);
    proxy.frozen.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(1500));
    server.signal(libc::SIGTERM);
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let began = Instant::now();
    let status = server.wait();
    assert_eq!(status.code(), Some(1), "after {:?}", began.elapsed());
    let log = std::fs::read_to_string(dir.path().join(format!("log-{port}"))).unwrap();
    assert!(
        log.contains("could not be written: the database did not answer"),
        "{log}"
    );
}
