//! `cargo bench --bench lists`: pages, filters and totals (counted up to 10 000, as the pages do) of the session list with 100 000 live sessions, in server time.
//! SQLite always; Postgres too when `BENCH_POSTGRES_URL` names an empty database.

use nightlatch::{
    domain::{
        account::{AccountId, Role},
        network,
        secret::digest,
        session::{Binding, SessionId},
        time::{Span, Timestamp},
    },
    store::{
        OpenOptions, Store, StoreError,
        accounts::{self, Account},
        sessions::{self, Session, SessionFilter, Token},
    },
};
use std::{net::IpAddr, time::Instant};
use uuid::Uuid;

const SESSIONS: u32 = 100_000;
const ACCOUNTS: u32 = 1_000;
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
        fill(&store);
        measure(&store);
    }
    std::fs::remove_dir_all(&dir).expect("the database goes");
}

fn start() -> Timestamp {
    Timestamp::from_micros(1_795_281_600_000_000)
}

/// Ids that order like version 7 and are the same in every run.
fn id(kind: u64, number: u32) -> Uuid {
    let [.., low] = kind.to_be_bytes();
    let random = [0, 0, 0, 0, 0, 0, 0, 0, 0, low];
    uuid::Builder::from_unix_timestamp_millis(1_795_281_600_000 + u64::from(number), &random).into_uuid()
}

fn address(number: u32) -> IpAddr {
    let [_, a, b, c] = (number.wrapping_mul(2_654_435_761)).to_be_bytes();
    IpAddr::from([10, a, b, c])
}

fn fill(store: &Store) {
    store
        .write_now(|c| {
            for number in 0..ACCOUNTS {
                accounts::insert(c, &account(number))?;
            }
            Ok::<_, StoreError>(())
        })
        .expect("accounts are written");
    for chunk in (0..SESSIONS).collect::<Vec<_>>().chunks(5_000) {
        let chunk = chunk.to_vec();
        store
            .write_now(move |c| {
                chunk
                    .iter()
                    .try_for_each(|number| sessions::insert(c, &session(*number)))
            })
            .expect("sessions are written");
    }
}

fn account(number: u32) -> Account {
    let name = format!("user{number:04}");
    Account {
        id: AccountId(id(1, number)),
        name_key: name.clone(),
        name,
        display_name: String::new(),
        email: None,
        role: if number.is_multiple_of(50) {
            Role::Administrator
        } else {
            Role::Member
        },
        groups: Vec::new(),
        password_hash: String::new(),
        password_changed_at: start(),
        password_set_by_other: false,
        must_change_password: false,
        disabled_at: None,
        expires_at: None,
        expired_at: None,
        expired_by: None,
        created_at: start(),
        activated_at: start(),
        last_sign_in_at: Some(start()),
        last_session_ended_at: None,
    }
}

fn session(number: u32) -> Session {
    let ip = network::canonical(address(number));
    let at = start().saturating_add(Span::from_micros(i64::from(number) * 1_000));
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    Session {
        id: SessionId(id(2, number)),
        account_id: AccountId(id(1, number % ACCOUNTS)),
        signed_in_at: at,
        last_active_at: at,
        last_seen_at: at,
        ip,
        signed_in_ip: ip,
        binding: Binding::at_sign_in(ip, Some(agent)),
        user_agent_mismatches: 0,
        applications: Vec::new(),
        ended_at: None,
        end_reason: None,
        ended_by: None,
        tokens: vec![Token {
            digest: digest(&number.to_string()),
            host: String::new(),
            issued_at: at,
            rotated: None,
            killed_at: None,
            cookie_form: "h:lax:1209600:".to_owned(),
        }],
    }
}

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
    let cursor = |row: Option<&sessions::SessionRow>| row.map(|row| row.cursor(all.state));
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
