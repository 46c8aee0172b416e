//! What a sign-in with a passkey asks of the database.

use super::{ORIGIN, client, enrol_passkey, open, target};
use crate::harness::{
    server::{Backend, TestDatabase, TestServer, block_on},
    statements::Statements,
};
use nightlatch::{
    domain::account::Role,
    flows::factors::{self, FactorStepOutcome, PasskeySignIn, SignInOptions},
};
use std::sync::Arc;

fn writes(statements: &[String]) -> Vec<&str> {
    let is_write = |statement: &&str| !statement.starts_with("SELECT ");
    statements.iter().map(String::as_str).filter(is_write).collect()
}

/// Asking for a challenge costs no statement, and no attempt is reserved where nothing was counted:
/// what is left is the write that opens the session.
#[test]
fn a_passkey_sign_in_writes_its_session_and_its_challenge_and_nothing_beside() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = Arc::new(TestDatabase::fresh(backend));
        let start = || TestServer::beside(&database).env("NIGHTLATCH_PUBLIC_URL", ORIGIN);
        let server = start().start();
        server.account("ada", Role::Member);
        let mut passkey = enrol_passkey(&server, &open(&server, "ada"));
        let clock = server.clock.clone();
        server.stop();
        let asked = Statements::of(&database);
        let ctx = start().clock(&clock).context();
        let mut last = (Vec::new(), Vec::new());
        // The first round opens connections and reads the policy.
        for _ in 0..2 {
            asked.take();
            let SignInOptions::Options(options) = block_on(factors::sign_in_options(&ctx, &client())).unwrap() else {
                panic!("off");
            };
            let for_options = asked.take();
            let request = PasskeySignIn {
                answer: passkey.answer(&options),
                client: client(),
                target: target(),
            };
            let done = block_on(factors::sign_in_with_passkey(&ctx, request)).unwrap();
            assert!(matches!(done, FactorStepOutcome::Completed(_)), "{backend:?}");
            last = (for_options, asked.take());
        }
        let (for_options, for_sign_in) = last;
        assert_eq!(writes(&for_options), Vec::<&str>::new(), "{backend:?}");
        let written = writes(&for_sign_in);
        let touches = |table: &str| written.iter().any(|statement| statement.contains(table));
        assert!(
            touches("used_passkey_challenges") && touches("sessions"),
            "{backend:?}: {written:#?}"
        );
        assert!(!touches("lockouts"), "{backend:?}: {written:#?}");
    }
}
