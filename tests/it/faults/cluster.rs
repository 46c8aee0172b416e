//! A PostgreSQL server that is killed, stops, or has no connection left: what is answered
//! meanwhile, and the recovery.

use super::{RECOVERED, ready, silent::all_answer_in_time, verify, within};
use crate::harness::{
    cluster::Cluster,
    server::{TestDatabase, TestServer},
};
use diesel::PgConnection;
use std::{sync::Arc, time::Duration};

/// A server on a cluster of its own. It is dropped first.
struct Installation {
    server: TestServer,
    cluster: Cluster,
}

fn start(settings: &str) -> Installation {
    let cluster = Cluster::start(settings);
    let database = Arc::new(TestDatabase::Postgres(cluster.database()));
    Installation {
        server: ready(TestServer::beside(&database)),
        cluster,
    }
}

/// Every answer during the fault comes in time and lets nobody in; an end that was answered 503 is
/// written afterwards, and everything works again unaided.
fn survives(
    installation: &Installation,
    begin: impl FnOnce(&Cluster) -> Vec<PgConnection>,
    end: impl FnOnce(&Cluster, Vec<PgConnection>),
) {
    let server = &installation.server;
    let (ada, bob, eve) = (server.member("ada"), server.member("bob"), server.member("eve"));
    let boss = server.admin("boss");
    for client in [&ada, &bob, &eve] {
        verify(client).expect(200);
    }
    boss.get("/admin").expect(200);
    let eves = super::revocations::session_of(server, "eve");
    let taken = begin(&installation.cluster);
    // Until then memory is trusted.
    std::thread::sleep(Duration::from_millis(1_200));
    all_answer_in_time(server, &ada, true);
    let ended = boss.post("/admin/sessions/end", &[("only", &eves)]).expect(503);
    assert!(ended.page().shows("will be ended as soon as the database answers"));
    assert_ne!(verify(&eve).status(), 200, "refused here at once");
    all_answer_in_time(server, &ada, true);
    end(&installation.cluster, taken);
    within(RECOVERED, "everything works again", || {
        server.anyone().get("/readyz").status() == 200 && verify(&bob).status() == 200
    });
    within(RECOVERED, "the ends are written", || {
        server.ctx.live.sessions.held.is_empty()
    });
    // Ada signed out, and eve's session was ended; both are on record once, bob is still signed in.
    for client in [&ada, &eve] {
        client.get("/").expect(303);
    }
    bob.get("/").expect(200);
    for (event, account) in [("sign_out", "ada"), ("session.ended", "eve")] {
        let recorded = super::revocations::recorded(server, event, account);
        assert_eq!(recorded.len(), 1, "{event}");
    }
    server.signed_in("eve");
}

#[test]
fn a_killed_postmaster_lets_nobody_in_and_loses_no_end() {
    // Commits are on disk before they are answered, or the kill would lose sign-ins.
    let installation = start("-c max_connections=40 -c synchronous_commit=on");
    survives(
        &installation,
        |cluster| {
            cluster.kill();
            Vec::new()
        },
        |cluster, _| cluster.start_again(),
    );
}

#[test]
fn a_database_server_without_a_free_connection_lets_nobody_in_and_loses_no_end() {
    // Superusers would have reserved connections.
    let installation = start("-c max_connections=20 -c superuser_reserved_connections=0");
    survives(&installation, Cluster::take_all_connections, |_, taken| drop(taken));
}
