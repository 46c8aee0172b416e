//! `cargo bench --bench lists`: pages, filters and totals (counted up to 10 000) of the session
//! list with 100 000 live sessions, in server time. SQLite always, Postgres too when
//! `BENCH_POSTGRES_URL` names an empty database.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

mod population;

use nightlatch::{
    domain::{
        account::Role,
        network,
        session::{AccountSession, SessionFilter},
        time::Timestamp,
    },
    store::{OpenOptions, Store, StoreError, sessions},
};
use population::{ACCOUNTS, fill};
use std::time::Instant;

const SESSIONS: u32 = 100_000;
const ROUNDS: usize = 101;

fn main() {
    let dir = std::env::temp_dir().join(format!("nightlatch-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory for the database");
    let mut urls = vec![format!("sqlite:{}", dir.join("bench.db").display())];
    urls.extend(std::env::var("BENCH_POSTGRES_URL"));
    println!("{SESSIONS} live sessions of {ACCOUNTS} accounts; server time in ms, median and worst of {ROUNDS}\n");
    println!("| database | query | median | worst |\n|---|---|---|---|");
    for url in urls {
        let store = Store::open(&url, OpenOptions::default()).expect("the database opens");
        fill(&store, SESSIONS, Timestamp::from_micros(1_795_281_600_000_000));
        measure(&store);
    }
    std::fs::remove_dir_all(&dir).expect("the database goes");
}

#[expect(clippy::too_many_lines, reason = "one row for each kind of query")]
fn measure(store: &Store) {
    let all = SessionFilter {
        limit: 50,
        ..SessionFilter::default()
    };
    let page = store
        .read_now({
            let all = all.clone();
            move |c| sessions::list(c, &all)
        })
        .expect("the list answers");
    let deep = SessionFilter {
        limit: 50_000,
        ..SessionFilter::default()
    };
    let middle = store
        .read_now(move |c| sessions::list(c, &deep))
        .expect("the list answers");
    let cursor = |row: Option<&AccountSession>| row.map(|row| row.cursor(all.state));
    let filters = [
        ("first page", all.clone()),
        (
            "second page",
            SessionFilter {
                after: cursor(page.items.last()),
                ..all.clone()
            },
        ),
        (
            "page in the middle",
            SessionFilter {
                after: cursor(middle.items.last()),
                ..all.clone()
            },
        ),
        (
            "one user by name",
            SessionFilter {
                text: Some("user0042".to_owned()),
                ..all.clone()
            },
        ),
        (
            "one network /16",
            SessionFilter {
                network: network::parse_filter("10.20.0.0/16"),
                ..all.clone()
            },
        ),
        (
            "administrators",
            SessionFilter {
                role: Some(Role::Administrator),
                ..all.clone()
            },
        ),
    ];
    for (name, filter) in filters {
        report(store, name, {
            let filter = filter.clone();
            move |c| sessions::list(c, &filter).map(drop)
        });
        report(store, &format!("{name}, total"), move |c| {
            sessions::count_up_to(c, &filter, 10_000).map(drop)
        });
    }
}

fn report(
    store: &Store,
    name: &str,
    query: impl Fn(&mut nightlatch::store::Conn) -> Result<(), StoreError> + Clone + Send + 'static,
) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let query = query.clone();
            let begun = Instant::now();
            store.read_now(move |c| query(c)).expect("the list answers");
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "| {} | {name} | {:.2} | {:.2} |",
        store.backend().as_str(),
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
}
