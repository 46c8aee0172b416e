//! Sign-ins with a passkey beside sign-ins with a password, in alternating rounds of one run. A
//! passkey needs no argon2id: it should sign in at least ten times as often on the same cores.

#[path = "../tests/it/harness/passkey.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod soft_passkey;

use crate::{
    PAIRS, ROUND,
    wire::{PASSWORD, Server, acts_per_second, ask, cpu_of, create_account, json_post, login, median},
};
use serde_json::{Value, json};
use soft_passkey::SoftPasskey;
use std::path::Path;

/// Clients that sign in continuously, each with its own account.
const CLIENTS: usize = 8;

/// Prints how many sign-ins a second the two ways reach, and their ratio.
pub fn run(url: &str, dir: &Path) {
    for client in 0..CLIENTS {
        create_account(url, dir, &password_name(client), "member");
        create_account(url, dir, &passkey_name(client), "member");
    }
    let server = Server::with_passkeys(url, dir);
    let mut passkeys: Vec<SoftPasskey> = (0..CLIENTS).map(|client| enrol(&server, client)).collect();
    let (mut ratios, mut by_password, mut by_passkey) = (Vec::new(), Vec::new(), Vec::new());
    let (mut server_cpu, mut client_cpu) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let passwords = password_sign_ins(&server);
        let before = (server.cpu(), cpu_of("self"));
        let passkeys = passkey_sign_ins(&server, &mut passkeys);
        let each = 1e6 / (passkeys * ROUND.as_secs_f64());
        server_cpu.push((server.cpu() - before.0).as_secs_f64() * each);
        client_cpu.push((cpu_of("self") - before.1).as_secs_f64() * each);
        ratios.push(passkeys / passwords);
        by_password.push(passwords);
        by_passkey.push(passkeys);
    }
    println!(
        "  sign-ins with a password          {:>8.1} /s",
        median(&mut by_password)
    );
    println!(
        "  sign-ins with a passkey           {:>8.1} /s",
        median(&mut by_passkey)
    );
    println!("  … as a ratio to those             {:>8.1}", median(&mut ratios));
    println!(
        "  … CPU for each                    {:>8.0} µs (client {:.0} µs)",
        median(&mut server_cpu),
        median(&mut client_cpu)
    );
    server.stop();
}

fn password_name(client: usize) -> String {
    format!("password-{client}")
}

fn passkey_name(client: usize) -> String {
    format!("passkey-{client}")
}

/// The server's name in the browser; an IP address has no passkeys.
fn host(server: &Server) -> String {
    server.address.replace("127.0.0.1", "localhost")
}

fn post_json(server: &Server, path: &str, cookie: &str, body: &Value) -> Value {
    let answer = ask(&mut server.connect(), &json_post(&host(server), path, cookie, body));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

fn enrol(server: &Server, client: usize) -> SoftPasskey {
    let request = login(&host(server), &passkey_name(client), &PASSWORD.replace(' ', "+"));
    let cookie = ask(&mut server.connect(), &request).cookie.expect("a session");
    let options = post_json(server, "/factors/passkeys/options", &cookie, &json!({}));
    let (passkey, credential) = SoftPasskey::register(&options, &format!("http://{}", host(server)));
    let body = json!({ "name": "bench", "credential": credential });
    post_json(server, "/factors/passkeys", &cookie, &body);
    passkey
}

fn password_sign_ins(server: &Server) -> f64 {
    acts_per_second(0..CLIENTS, ROUND, |client| {
        let request = login(&host(server), &password_name(client), &PASSWORD.replace(' ', "+"));
        let mut connection = server.connect();
        move || assert_eq!(ask(&mut connection, &request).status, 303)
    })
}

/// Each sign-in is two requests: the challenge and its answer.
fn passkey_sign_ins(server: &Server, passkeys: &mut [SoftPasskey]) -> f64 {
    acts_per_second(passkeys, ROUND, |passkey| {
        let host = host(server);
        let begin = json_post(&host, "/login/passkey/options", "", &json!({}));
        let mut connection = server.connect();
        move || {
            let options = ask(&mut connection, &begin);
            let options = serde_json::from_str(&options.body).expect("JSON");
            let body = json!({ "credential": passkey.answer(&options) });
            let answer = ask(&mut connection, &json_post(&host, "/login/passkey", "", &body));
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    })
}
