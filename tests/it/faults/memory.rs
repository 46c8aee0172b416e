//! The memory of the program after a burst of sign-ins. A measurement, not a test, because a build
//! for development says nothing about the shipped program:
//!
//! ```text
//! NIGHTLATCH_PROGRAM=target/release/nightlatch \
//!   cargo nextest run --test it --run-ignored only --no-capture faults::memory
//! ```

use crate::harness::{
    program::{Program, run_with_input},
    server::PASSWORD,
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const SIGN_INS: usize = 240;
const AT_ONCE: usize = 60;
/// Seconds of quiet after which the memory is read.
const QUIET: [u64; 5] = [1, 5, 15, 30, 60];

#[test]
#[ignore = "prints a measurement and takes more than a minute"]
fn memory_after_a_burst_of_sign_ins() {
    let dir = tempfile::tempdir().unwrap();
    let created = run_with_input(
        dir.path(),
        &[],
        &["account", "create", "ada", "--role", "member", "--password-stdin"],
        PASSWORD,
    );
    assert!(created.status.success());
    let program = Program::serve(dir.path(), &[]);
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!("at the start: {:.1} MiB", mib(program.memory_kib().0));
    let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < SIGN_INS {
                    // A full hashing queue refuses some of them.
                    if program.client().sign_in("ada", PASSWORD).status() != 303 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (now, most) = program.memory_kib();
    println!(
        "after {SIGN_INS} sign-ins, {AT_ONCE} at a time, {} refused: {:.1} MiB, at most {:.1} MiB",
        refused.load(Ordering::Relaxed),
        mib(now),
        mib(most)
    );
    let mut waited = 0;
    for secs in QUIET {
        std::thread::sleep(Duration::from_secs(secs - waited));
        waited = secs;
        println!("after {secs} s of quiet: {:.1} MiB", mib(program.memory_kib().0));
    }
}
