//! A PostgreSQL cluster of one test, which it may kill, stop or fill with connections.

use super::{
    postgres::{self, Database, command, run},
    server::eventually,
};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use std::path::PathBuf;

/// A running cluster; it ends with this value, or with the test's process.
pub struct Cluster {
    data: PathBuf,
    settings: String,
    url: &'static str,
    _directory: tempfile::TempDir,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Cluster {
    /// Starts a cluster with these settings: `-c max_connections=20`.
    pub fn start(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = postgres::create_cluster(&directory.path().join("cluster"), std::process::id());
        let url = postgres::start_cluster(&data, settings).leak();
        Self {
            data,
            settings: settings.to_owned(),
            url,
            _directory: directory,
        }
    }

    /// An empty database of this cluster.
    pub fn database(&self) -> Database {
        Database::fresh_in(self.url)
    }

    /// Kills the postmaster, as the system does when it runs out of memory.
    pub fn kill(&self) {
        let file = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let process: i32 = file.lines().next().unwrap().parse().unwrap();
        // SAFETY: sends a signal to the server that this cluster started.
        assert_eq!(unsafe { libc::kill(process, libc::SIGKILL) }, 0);
    }

    /// Starts the server again, at the same address.
    pub fn start_again(&self) {
        let port = url::Url::parse(self.url).unwrap().port().unwrap();
        // After a kill the other processes of the server take a moment to end.
        eventually("the cluster starts again", || {
            postgres::start_cluster_on(port, &self.data, &self.settings).is_ok()
        });
    }

    /// Takes every connection that the cluster has, also those of others, until they are dropped.
    pub fn take_all_connections(&self) -> Vec<PgConnection> {
        let url = format!("{}/postgres", self.url);
        let mut taken = vec![PgConnection::establish(&url).unwrap()];
        eventually("every connection is taken", || {
            while let Ok(connection) = PgConnection::establish(&url) {
                taken.push(connection);
            }
            let others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname <> 'postgres'";
            let own = &mut taken[0];
            sql_query(format!("SELECT pg_terminate_backend(pid) {others}"))
                .execute(own)
                .unwrap();
            let left: Count = sql_query(format!("SELECT count(*) AS count {others}"))
                .get_result(own)
                .unwrap();
            left.count == 0 && PgConnection::establish(&url).is_err()
        });
        taken
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be down already.
        run(command("pg_ctl")
            .args(["-m", "immediate", "-w", "-D"])
            .arg(&self.data)
            .arg("stop"))
        .ok();
    }
}
