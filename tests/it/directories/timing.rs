//! The time of a refusal does not reveal whether a directory knows the name.

use super::add_source;
use crate::harness::{server::TestServer, slapd::Slapd};
use std::time::{Duration, Instant};

#[test]
fn an_unknown_name_is_refused_no_sooner_than_a_wrong_password() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    let id = add_source(&server, "corp", &slapd, &[]);
    let binds = &server.ctx.live.directories;
    assert_eq!(binds.recent_bind(id, 7), Duration::ZERO);
    let slow = Duration::from_millis(900);
    for _ in 0..16 {
        binds.note_bind(id, slow);
    }
    let began = Instant::now();
    server.anyone().sign_in("nobody", "wrong").expect(422);
    assert!(began.elapsed() >= slow, "{:?}", began.elapsed());
    // Only the recent ones count, and a hanging directory must not keep every refusal waiting.
    for _ in 0..16 {
        binds.note_bind(id, Duration::from_secs(60));
    }
    for pick in [0, 15, 255] {
        assert_eq!(binds.recent_bind(id, pick), Duration::from_secs(2));
    }
}
