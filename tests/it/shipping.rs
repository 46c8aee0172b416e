//! Shipping the audit: nothing is lost and nothing is out of order, whatever happens to the
//! receiver, to the server, or to one of several servers.

mod crash;
mod faults;
mod formats;
mod places;
mod rsyslog;
mod surfaces;

use crate::harness::server::TestServer;
use nightlatch::{
    domain::account::Role,
    flows::audit::{
        seals::seal_due,
        shipping::{TargetReport, list_targets},
    },
};

/// Seals everything so far; returns the number of entries.
fn seal(server: &TestServer) -> u64 {
    server.advance(61);
    server.run(seal_due(&server.ctx)).unwrap();
    let entries = server.audit().len() as u64;
    // A start alone records nothing.
    assert!(entries > 0, "there is nothing to ship");
    entries
}

/// Creates an account and seals what that recorded; returns the number of entries.
fn seal_account(server: &TestServer, name: &str) -> u64 {
    server.account(name, Role::Member);
    seal(server)
}

/// The state of the only target.
fn target(server: &TestServer) -> TargetReport {
    server.run(list_targets(&server.ctx)).unwrap().remove(0)
}

/// The words of the last fault of the only target.
fn fault(server: &TestServer) -> String {
    target(server).state.and_then(|state| state.fault).unwrap_or_default()
}
