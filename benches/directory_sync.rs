//! `cargo bench --bench directory_sync`: the comparison of 50 000 accounts with live sessions with
//! OpenLDAP's server (`slapd`, which must be installed and runs on the same cores). Prints the time
//! and how much more memory this process needed at its peak. `-- 5000` takes another number; with
//! `changes`, every account changes once, too.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that cannot go on stops")]
#![allow(dead_code, reason = "the population and the directory serve other programs too")]

mod population;
#[path = "../tests/it/harness/slapd.rs"]
mod slapd;

use nightlatch::{
    clock::{Clock, SystemClock},
    config::{Config, Flags},
    domain::{
        account::{Account, Role},
        session::Session,
        source::{IdentitySource, SourceId, SourceName},
    },
    flows::{
        Ctx,
        source_sync::{SyncOutcome, sync_now},
    },
    random::OsRandom,
    store::{OpenOptions, Store, StoreError, accounts, sessions, sources},
};
use slapd::{SERVICE_PASSWORD, Slapd};
use std::{path::Path, sync::Arc, time::Instant};

/// What the directory's harness needs of the tests' server.
mod server {
    use std::time::{Duration, Instant};

    /// Waits until a condition holds.
    pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const PEOPLE: usize = 50_000;

fn main() {
    let people = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let people = people.unwrap_or(PEOPLE);
    let slapd = Slapd::with_more_people(people);
    let dir = tempfile::tempdir().expect("a directory for the database");
    let ctx = context(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the runtime starts");
    let source = add_source(&ctx, &slapd, "member_of");
    let filled = runtime.block_on(fill(&ctx, source.id));
    println!(
        "{filled} accounts with a live session each; idle process: {} MiB\n",
        resident("VmRSS") / 1024
    );
    println!("| comparison | accounts | changed | time | CPU time of this process | more memory at the peak |");
    println!("|---|---|---|---|---|---|");
    measure(&runtime, &ctx, "groups from `memberOf`, nothing changes");
    for lookup in ["search", "nested"] {
        let changed = IdentitySource {
            definition: slapd.definition(&[("group_lookup", lookup)]),
            ..source.clone()
        };
        let now = ctx.now();
        let stored: Result<(), StoreError> = ctx.store.write_now(move |c| sources::update(c, &changed, now));
        stored.expect("the source is changed");
        measure(
            &runtime,
            &ctx,
            &format!("groups by `group_lookup = {lookup}`, nothing changes"),
        );
    }
    if std::env::args().any(|argument| argument == "changes") {
        let changed = IdentitySource {
            definition: slapd.definition(&[("group_lookup", "member_of"), ("mapping", "* -> group staff")]),
            ..source
        };
        let now = ctx.now();
        let stored: Result<(), StoreError> = ctx.store.write_now(move |c| sources::update(c, &changed, now));
        stored.expect("the source is changed");
        measure(&runtime, &ctx, "groups from `memberOf`, every account changes");
    }
}

/// A context on an empty SQLite database, without a server and its jobs.
fn context(dir: &Path) -> Ctx {
    let url = format!("sqlite:{}", dir.join("bench.db").display());
    drop(Store::open(&url, OpenOptions::default()).expect("the database opens"));
    let file = dir.join("nightlatch.toml");
    std::fs::write(&file, "").expect("an empty configuration file");
    let flags = Flags {
        database_url: Some(url),
        bind: None,
        no_migrate: false,
        dev: false,
    };
    let config = Config::load(Some(&file), std::iter::empty(), flags).expect("the configuration is read");
    nightlatch::server::context(config, Arc::new(SystemClock), Arc::new(OsRandom), false).expect("a context")
}

fn add_source(ctx: &Ctx, slapd: &Slapd, lookup: &str) -> IdentitySource {
    let source = IdentitySource {
        id: SourceId(ctx.new_id(ctx.now())),
        name: SourceName::parse("corp").expect("a name"),
        title: "Corp".to_owned(),
        enabled: true,
        position: 1,
        in_file: false,
        definition: slapd.definition(&[("group_lookup", lookup)]),
    };
    let sealed = ctx
        .factor_keys
        .seal_source(source.id, SERVICE_PASSWORD.as_bytes(), [9; 12]);
    let (stored, now) = (source.clone(), ctx.now());
    let written: Result<(), StoreError> = ctx.store.write_now(move |c| {
        sources::insert(c, &stored, now)?;
        sources::set_secret(c, stored.id, sealed.as_ref())
    });
    written.expect("the source is stored");
    source
}

/// Gives every person of the directory an account with a live session.
async fn fill(ctx: &Ctx, source: SourceId) -> usize {
    let known = ctx.current_sources().await.expect("the sources are read");
    let live = known.by_id(source).expect("the source is known");
    let client = ctx.live.directories.client_of(live, &known, &ctx.factor_keys);
    let directory = client.expect("the secret opens").expect("a directory");
    let now = SystemClock.now();
    let mut pages = directory.read_people(now).await.expect("the directory answers");
    let mut number = 0_u32;
    while let Some(people) = pages.next_page().await.expect("the directory answers") {
        let mut rows: Vec<(Account, Session)> = Vec::new();
        for person in people {
            let account = Account {
                name_key: person.name.to_lowercase(),
                name: person.name,
                display_name: person.display_name,
                email: person.email,
                role: Role::Member,
                source: Some(source),
                external_id: Some(person.external_id),
                ..population::account(number, now)
            };
            let session = Session {
                account_id: account.id,
                ..population::session(number, now)
            };
            rows.push((account, session));
            number += 1;
        }
        let written: Result<(), StoreError> = ctx.store.write_now(move |c| {
            for (account, session) in &rows {
                accounts::insert(c, account)?;
                sessions::insert(c, session)?;
            }
            Ok(())
        });
        written.expect("accounts are written");
    }
    number as usize
}

/// Compares once and prints a row.
fn measure(runtime: &tokio::runtime::Runtime, ctx: &Ctx, what: &str) {
    // The peak counts from here on (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
    let (before, cpu, begun) = (resident("VmRSS"), cpu_seconds(), Instant::now());
    let outcome = runtime.block_on(sync_now(ctx, "corp")).expect("the comparison runs");
    let SyncOutcome::Done(counts) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(counts.ended, 0, "everybody is still there");
    println!(
        "| {what} | {} | {} | {:.1} s | {:.1} s | {} MiB |",
        counts.compared,
        counts.changed,
        begun.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        resident("VmHWM").saturating_sub(before) / 1024
    );
}

/// A line of this process's status, in KiB.
fn resident(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status is read");
    let found = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let digits = found.and_then(|text| text.split_whitespace().next());
    digits
        .and_then(|text| text.parse().ok())
        .expect("the status has the line")
}

/// CPU time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the times are read");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or_default()
    };
    // Ticks of 10 ms.
    (ticks(11) + ticks(12)) / 100.0
}
