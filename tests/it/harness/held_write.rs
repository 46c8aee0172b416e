//! A write of another instance that is not committed yet, on Postgres.

use super::server::{TestDatabase, eventually};
use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt,
};

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Gives an account another name while `act` runs: the name is committed once a statement of `act`
/// waits for that.
pub fn rename_during<T: Send>(database: &TestDatabase, name: &str, other: &str, act: impl FnOnce() -> T + Send) -> T {
    let mut holder = PgConnection::establish(&database.url()).unwrap();
    let mut observer = PgConnection::establish(&database.url()).unwrap();
    holder
        .batch_execute(&format!(
            "BEGIN; UPDATE accounts SET name = '{other}', name_key = '{other}' WHERE name_key = '{name}'"
        ))
        .unwrap();
    std::thread::scope(|scope| {
        let acting = scope.spawn(act);
        eventually("a statement waits", || {
            let waiting = "SELECT count(*) AS number FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                           WHERE NOT l.granted AND a.datname = current_database()";
            sql_query(waiting).get_result::<Waiting>(&mut observer).unwrap().number > 0
        });
        holder.batch_execute("COMMIT").unwrap();
        acting.join().unwrap()
    })
}
