//! Starting and ending the real program: what refuses to start says why in one line, what was acknowledged survives.

use crate::harness::{
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
fn what_cannot_start_says_why_in_one_line() {
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
    // Browsers would refuse every cookie, and every save of the policy would be refused for it.
    let none = ("NIGHTLATCH_POLICY__SESSION__SAME_SITE", "None");
    assert!(one_line(&serve(&[none])).contains("session.same_site"));
}

#[test]
fn all_faults_of_the_configuration_are_told_at_once() {
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
    let nobody = "WARN there is no administrator who can sign in: make one with `nightlatch account create";
    let server = Program::serve(dir.path(), &[]);
    assert!(server.log(dir.path()).contains(nobody), "{}", server.log(dir.path()));
    assert!(server.log(dir.path()).contains("the policy ends no idle sessions"));
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
