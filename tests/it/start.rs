//! Starting and stopping the real program: a refused start prints the reason in one line, and
//! acknowledged writes survive.

mod log;
mod service_manager;
mod stop;

use crate::harness::{
    client::http_client,
    postgres,
    program::{Program, run, run_with_input},
    server::{PASSWORD, eventually},
};
use std::{net::TcpListener, process::Output, time::Instant};

fn refused(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

fn one_line(output: &Output) -> String {
    let stderr = refused(output);
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    stderr
}

fn create(dir: &std::path::Path, env: &[(&str, &str)], name: &str, role: &str) {
    let arguments = ["account", "create", name, "--role", role, "--password-stdin"];
    let output = run_with_input(dir, env, &arguments, PASSWORD);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_failed_start_gives_its_reason_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let serve = |env: &[(&str, &str)]| run(dir.path(), env, &["serve", "--bind", "127.0.0.1:0"]);
    assert!(one_line(&serve(&[("DATABASE_URL", "sqlite:missing/there.db")])).contains("missing"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let occupied = one_line(&run(dir.path(), &[], &["serve", "--bind", &address]));
    assert!(occupied.contains(&address) && occupied.contains("in use"), "{occupied}");
    let nobody = one_line(&serve(&[("DATABASE_URL", "postgres://nobody:hidden@127.0.0.1:1/none")]));
    assert!(
        nobody.contains("refused. Is the server running") && !nobody.contains("hidden"),
        "{nobody}"
    );
    let url = format!("{}/nodb", postgres::base_url());
    assert!(one_line(&serve(&[("DATABASE_URL", &url)])).contains("database \"nodb\" does not exist"));
    assert!(one_line(&serve(&[("DATABASE_URL", "mysql://x/y")])).contains("mysql"));
    std::fs::write(
        dir.path().join("garbage.db"),
        "this is no database, not at all, not even a little bit".repeat(50),
    )
    .unwrap();
    assert!(one_line(&serve(&[("DATABASE_URL", "garbage.db")])).contains("not a database"));
    // Browsers would refuse every cookie, and every save of the policy would be refused for the
    // same reason.
    let none = ("NIGHTLATCH_POLICY__SESSION__SAME_SITE", "None");
    assert!(one_line(&serve(&[none])).contains("session.same_site"));
}

#[test]
fn all_faults_of_the_configuration_are_listed_together() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("nightlatch.toml"),
        "bind = \"nowhere\"\nnope = 1\nsecret_key = \"short\"\n",
    )
    .unwrap();
    let env = [
        ("NIGHTLATCH_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("NIGHTLATCH_TYPO", "1"),
        ("NIGHTLATCH_POLICY__AUTH__NOPE", "1"),
        ("NIGHTLATCH_POLICY__SESSION__TTL", "soon"),
    ];
    let told = refused(&run(dir.path(), &env, &["serve"]));
    for fault in [
        "bind",
        "nope",
        "10.0.0.0/99",
        "NIGHTLATCH_TYPO",
        "auth.nope",
        "soon",
        "secret_key",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    assert!(!told.contains("short\""), "a secret is not shown: {told}");
    let mail = "bind = \"\"\nsmtp_url = \"smtp://ada:hidden@mail.example.org\"\n";
    std::fs::write(dir.path().join("nightlatch.toml"), mail).unwrap();
    let told = refused(&run(dir.path(), &[], &["serve"]));
    for fault in [
        "expected smtps:// or ?tls=required: a password is sent",
        "expected at least one entry",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    assert!(!told.contains("hidden"), "{told}");
}

#[test]
fn a_cookie_domain_that_browsers_refuse_is_refused_with_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    for (host, domain, instead) in [
        ("home.duckdns.org", "duckdns.org", Some("home.duckdns.org")),
        ("login.shop.co.uk", "co.uk", Some("shop.co.uk")),
        ("login.shop.co.uk", ".CO.uk", Some("shop.co.uk")),
        ("me.github.io", "github.io", Some("me.github.io")),
        ("login.shop.any.ck", "any.ck", Some("shop.any.ck")),
        ("co.uk", "co.uk", None),
    ] {
        let url = format!("https://{host}");
        let env = [
            ("NIGHTLATCH_PUBLIC_URL", url.as_str()),
            ("NIGHTLATCH_COOKIE_DOMAIN", domain),
        ];
        for arguments in [&["serve", "--bind", "127.0.0.1:0"][..], &["config", "check"]] {
            let told = refused(&run(dir.path(), &env, arguments));
            assert!(told.contains("Public Suffix List"), "{domain}: {told}");
            let suggested = instead.is_none_or(|instead| told.contains(&format!("set it to {instead}")));
            assert!(suggested, "{domain}: {told}");
        }
    }
    for (host, domain) in [
        ("login.example.org", "example.org"),
        ("login.example.org", "EXAMPLE.org."),
        ("home.duckdns.org", "home.duckdns.org"),
        ("login.shop.co.uk", "shop.co.uk"),
        ("login.corp.internal", "corp.internal"),
        ("www.ck", "www.ck"),
    ] {
        let url = format!("https://{host}");
        let env = [
            ("NIGHTLATCH_PUBLIC_URL", url.as_str()),
            ("NIGHTLATCH_COOKIE_DOMAIN", domain),
        ];
        let checked = run(dir.path(), &env, &["config", "check"]);
        assert!(
            checked.status.success(),
            "{domain}: {}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

#[test]
fn a_sqlite_file_has_one_server_and_the_command_line_works_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), &[], "ada", "administrator");
    let server = Program::serve(dir.path(), &[]);
    assert!(!server.log(dir.path()).contains("setup?token="), "set-up is over");
    let second = one_line(&run(dir.path(), &[], &["serve", "--bind", "127.0.0.1:0"]));
    assert!(second.contains("nightlatch.db"), "{second}");
    let ada = server.client();
    ada.sign_in("ada", PASSWORD).expect(303);
    ada.get("/admin").expect(200);
    let begun = Instant::now();
    let ended = run(dir.path(), &[], &["session", "end", "--account", "ada"]);
    assert!(ended.status.success());
    let written = Instant::now();
    eventually("the session ends here", || ada.get("/").status() == 303);
    // A bound on the mechanism, generous against a busy machine: the poll is every 50 ms.
    assert!(
        written.elapsed().as_millis() < 1000,
        "{:?} after {:?}",
        written.elapsed(),
        begun.elapsed()
    );
    ada.sign_in("ada", PASSWORD).expect(303);
    let set = run(dir.path(), &[], &["policy", "set", "session.ttl", "1s"]);
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    eventually("the new lifetime governs", || ada.get("/").status() == 303);
    assert!(server.terminate().success());
}

#[test]
fn a_start_without_an_administrator_says_what_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), &[], "bob", "member");
    let nobody = "WARN there is no administrator who can sign in: create one with `nightlatch account create";
    let server = Program::serve(dir.path(), &[]);
    assert!(server.log(dir.path()).contains(nobody), "{}", server.log(dir.path()));
    assert!(server.log(dir.path()).contains("the policy ends no inactive sessions"));
    assert!(server.terminate().success());
    create(dir.path(), &[], "ada", "administrator");
    let server = Program::serve(dir.path(), &[]);
    server.client().get("/").expect(303);
    assert!(!server.log(dir.path()).contains("no administrator"));
    let strange = server.client();
    strange.sign_in("ada", PASSWORD).expect(303);
    assert!(run(dir.path(), &[], &["session", "end", "--all"]).status.success());
    eventually("the session ends here", || strange.get("/").status() == 303);
    assert!(!server.log(dir.path()).contains("session key"), "a library's sentence");
}

#[test]
fn a_terminated_server_ends_with_zero_and_keeps_everything() {
    for postgres in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let database = postgres.then(postgres::Database::fresh);
        let url = database
            .as_ref()
            .map_or("nightlatch.db".to_owned(), |database| database.url().to_owned());
        let env = [("DATABASE_URL", url.as_str())];
        create(dir.path(), &env, "ada", "member");
        let server = Program::serve(dir.path(), &env);
        let (kept, ended) = (server.client(), server.client());
        kept.sign_in("ada", PASSWORD).expect(303);
        ended.sign_in("ada", PASSWORD).expect(303);
        let stolen = ended.thief();
        ended.post("/logout", &[]).expect(303);
        assert!(server.terminate().success(), "postgres: {postgres}");
        let server = Program::serve(dir.path(), &env);
        kept.at(&server.base).get("/").expect(200);
        stolen.at(&server.base).get("/").expect(303);
    }
}

#[test]
fn a_killed_server_starts_again_with_every_acknowledged_act() {
    for postgres in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let database = postgres.then(postgres::Database::fresh);
        let url = database
            .as_ref()
            .map_or("nightlatch.db".to_owned(), |database| database.url().to_owned());
        let env = [("DATABASE_URL", url.as_str())];
        create(dir.path(), &env, "ada", "administrator");
        let mut alive = Vec::new();
        let mut dead = Vec::new();
        for round in 0..6 {
            let server = Program::serve(dir.path(), &env);
            alive = alive
                .into_iter()
                .map(|client: crate::harness::client::Client| client.at(&server.base))
                .collect();
            dead = dead
                .into_iter()
                .map(|client: crate::harness::client::Client| client.at(&server.base))
                .collect();
            alive
                .iter()
                .for_each(|client| assert_eq!(client.get("/").status(), 200, "round {round}"));
            dead.iter()
                .for_each(|client| assert_eq!(client.get("/").status(), 303, "round {round}"));
            let (kept, ended) = (server.client(), server.client());
            kept.sign_in("ada", PASSWORD).expect(303);
            ended.sign_in("ada", PASSWORD).expect(303);
            let thief = ended.thief();
            ended.post("/logout", &[]).expect(303);
            alive.push(kept);
            dead.push(thief);
            server.kill();
        }
        let audit = run(dir.path(), &env, &["audit", "list", "--json", "--event", "sign_out"]);
        let rows: serde_json::Value = serde_json::from_slice(&audit.stdout).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 6, "postgres: {postgres}");
    }
}

#[test]
fn several_instances_start_at_once_on_a_fresh_postgres() {
    let dir = tempfile::tempdir().unwrap();
    let database = postgres::Database::fresh();
    let env = [("DATABASE_URL", database.url())];
    let servers: Vec<Program> = (0..5).map(|_| Program::spawn(dir.path(), &env)).collect();
    for server in &servers {
        eventually("each answers", || server.answers());
    }
    create(dir.path(), &env, "ada", "member");
    let ada = servers[0].client();
    ada.sign_in("ada", PASSWORD).expect(303);
    for server in &servers {
        ada.thief().at(&server.base).get("/").expect(200);
    }
    ada.post("/logout", &[]).expect(303);
    for server in &servers {
        let there = ada.thief().at(&server.base);
        eventually("ended everywhere", || there.get("/").status() == 303);
    }
}

#[test]
fn a_database_newer_than_the_program_is_refused() {
    use diesel::{Connection, RunQueryDsl, sql_query, sqlite::SqliteConnection};
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), &[], "ada", "member");
    let path = dir.path().join("nightlatch.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    sql_query("INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('99991231235959', CURRENT_TIMESTAMP)")
        .execute(&mut connection)
        .unwrap();
    let told = one_line(&run(dir.path(), &[], &["serve", "--bind", "127.0.0.1:0"]));
    assert!(told.contains("newer"), "{told}");
}

#[test]
fn without_migrations_the_server_refuses_to_start_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let told = one_line(&run(
        dir.path(),
        &[],
        &["serve", "--no-migrate", "--bind", "127.0.0.1:0"],
    ));
    assert!(told.contains("migrat"), "{told}");
    assert!(run(dir.path(), &[], &["migrate"]).status.success());
    let server = Program::serve(dir.path(), &[]);
    assert!(server.log(dir.path()).contains("/setup?token="));
}

#[test]
fn metrics_are_read_with_get_and_head_under_the_endpoints_own_names_only() {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let env = [
        ("NIGHTLATCH_METRICS_BIND", address.to_string()),
        ("NIGHTLATCH_METRICS_HOSTS", "nightlatch-metrics".to_owned()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Program::serve(dir.path(), &env);
    let client = http_client().build().unwrap();
    let ask = |method: reqwest::Method, host: &str| {
        let request = client.request(method, format!("http://{address}/metrics"));
        request.header("host", host).send().unwrap()
    };
    let port = address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "nightlatch-metrics".to_owned(),
    ] {
        let head = ask(reqwest::Method::HEAD, &host);
        assert_eq!(head.status(), 200, "{host}");
        assert_eq!(head.text().unwrap(), "");
        let read = ask(reqwest::Method::GET, &host);
        assert_eq!(read.status(), 200, "{host}");
        assert!(read.text().unwrap().contains("nightlatch_"), "{host}");
    }
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "192.0.2.1".to_owned(),
    ] {
        let refused = ask(reqwest::Method::GET, &host);
        assert_eq!(refused.status(), 421, "{host}");
        assert!(!refused.text().unwrap().contains("nightlatch_"), "{host}");
    }
    assert_eq!(ask(reqwest::Method::POST, &format!("127.0.0.1:{port}")).status(), 404);
    assert!(server.terminate().success());
}

#[test]
fn malformed_requests_do_not_fill_the_log() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let server = Program::serve(dir.path(), &[]);
    let before = server.log(dir.path()).lines().count();
    for _ in 0..50 {
        let mut socket = std::net::TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
        socket.write_all(b"nonsense\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let log = server.log(dir.path());
    let lines: Vec<&str> = log.lines().skip(before).collect();
    assert!(lines.len() <= 2, "{lines:?}");
    assert!(
        log.contains("malformed or unfinished request(s), the last from 127.0.0.1"),
        "{log}"
    );
    assert!(server.terminate().success());
}
