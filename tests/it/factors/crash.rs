//! kill -9 of the real program between the check of a second factor and the write that settles it.
//! The write is held up by a lock on a table that only it writes.

use super::kit::{App, JSON, shown};
use crate::harness::{
    client::Client,
    passkey::SoftPasskey,
    program::Program,
    server::{Backend, PASSWORD, TestDatabase, TestServer, eventually},
};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::account::Role,
};
use serde_json::json;
use std::sync::Arc;

/// Where passkeys work, whatever the port.
const ORIGIN: &str = "http://localhost:8080";

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

fn count(database: &TestDatabase, from: &str) -> i64 {
    let mut connection = PgConnection::establish(&database.url()).unwrap();
    let query = sql_query(format!("SELECT count(*) AS n FROM {from}"));
    query.get_result::<Count>(&mut connection).unwrap().n
}

/// An account in a database that a process and this test share.
struct Scene {
    /// Reads what the process writes.
    server: TestServer,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let server = TestServer::on(Backend::Postgres)
            .machine(Arc::new(SystemClock))
            .env("NIGHTLATCH_PUBLIC_URL", ORIGIN)
            .start();
        server.account("ada", Role::Member);
        Self {
            server,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn serve(&self) -> Program {
        let url = self.server.database.url();
        let env = [("DATABASE_URL", url.as_str()), ("NIGHTLATCH_PUBLIC_URL", ORIGIN)];
        Program::serve(self.dir.path(), &env)
    }

    fn client(program: &Program) -> Client {
        program.client().header("host", "localhost:8080")
    }

    /// Signs in at this test's own server.
    fn owner(&self) -> Client {
        let owner = self.server.anyone().header("host", "localhost:8080");
        owner.sign_in("ada", PASSWORD).expect(303);
        owner
    }

    fn sessions(&self) -> i64 {
        count(&self.server.database, "sessions WHERE ended_at IS NULL")
    }

    /// Kills the process while `send` waits for a write to `table`.
    fn crash(&self, program: Program, table: &str, send: impl FnOnce() + Send) {
        let database = &self.server.database;
        let mut lock = PgConnection::establish(&database.url()).unwrap();
        lock.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE"))
            .unwrap();
        std::thread::scope(|scope| {
            // Its connection breaks, which the client reports by a panic.
            let sending = scope.spawn(send);
            let held_up = "pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                           WHERE NOT l.granted AND a.datname = current_database()";
            eventually("the write is held up", || count(database, held_up) > 0);
            program.kill();
            assert!(sending.join().is_err(), "no answer came");
        });
        lock.batch_execute("ROLLBACK").unwrap();
        eventually("the database noticed", || {
            count(database, "pg_locks WHERE NOT granted") == 0
        });
    }
}

#[test]
fn a_crash_before_a_code_is_settled_neither_opens_a_session_nor_forgets_the_attempt() {
    let scene = Scene::new();
    let owner = scene.owner();
    let page = owner.post("/factors/totp/start", &[]).expect(200);
    let app = App::new(&shown(&page, "[data-secret]").pop().unwrap());
    let seconds = || SystemClock.now().as_micros() / 1_000_000;
    owner
        .post("/factors/totp", &[("code", &app.code_at(seconds() - 30))])
        .expect(200);
    let before = scene.sessions();
    let program = scene.serve();
    let browser = Scene::client(&program);
    browser.sign_in("ada", PASSWORD).expect(303);
    // The next step's code is accepted too, and stays valid longest.
    let code = app.code_at(seconds() + 30);
    scene.crash(program, "pending_sign_ins", || {
        browser.post("/login/factor", &[("code", &code)]);
    });
    assert_eq!(scene.sessions(), before, "no session without a settled proof");
    let refused = scene
        .server
        .events()
        .iter()
        .filter(|event| event.starts_with("factor.refused"))
        .count();
    assert_eq!(refused, 0);
    assert!(
        count(&scene.server.database, "lockouts") > 0,
        "the attempt is still counted"
    );
    let program = scene.serve();
    let (browser, other) = (Scene::client(&program), Scene::client(&program));
    for client in [&browser, &other] {
        client.sign_in("ada", PASSWORD).expect(303);
    }
    browser.post("/login/factor", &[("code", &code)]).expect(303);
    browser.get("/").expect(200);
    other.post("/login/factor", &[("code", &code)]).expect(422);
    assert_eq!(scene.sessions(), before + 1, "the code counted once");
}

#[test]
fn a_crash_before_a_passkey_is_settled_leaves_its_challenge_for_one_session() {
    let scene = Scene::new();
    let owner = scene.owner();
    let options = owner
        .post_json("/factors/passkeys/options", &json!({}), JSON)
        .expect(200)
        .json();
    let (mut passkey, answer) = SoftPasskey::register(&options, ORIGIN);
    let body = json!({ "name": "laptop", "credential": answer });
    owner.post_json("/factors/passkeys", &body, JSON).expect(200);
    let before = scene.sessions();
    let program = scene.serve();
    let browser = Scene::client(&program);
    let options = browser
        .post_json("/login/passkey/options", &json!({}), JSON)
        .expect(200)
        .json();
    let body = json!({ "credential": passkey.answer(&options) });
    scene.crash(program, "used_passkey_challenges", || {
        browser.post_json("/login/passkey", &body, JSON);
    });
    assert_eq!(scene.sessions(), before, "no session without a settled proof");
    assert_eq!(count(&scene.server.database, "lockouts"), 0);
    // Use and session were one write: the answer still counts, for one session.
    let program = scene.serve();
    let (browser, other) = (Scene::client(&program), Scene::client(&program));
    browser.post_json("/login/passkey", &body, JSON).expect(200);
    browser.get("/").expect(200);
    other.post_json("/login/passkey", &body, JSON).expect(422);
    assert_eq!(scene.sessions(), before + 1);
}
