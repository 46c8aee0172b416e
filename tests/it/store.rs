//! The store on both databases: every test body runs once against a fresh SQLite file and once
//! against a fresh Postgres database.

mod accounts;
mod applications;
mod audit;
mod audit_targets;
mod changes;
mod concurrent_writes;
mod directory_binds;
mod factors;
mod handovers;
mod lockouts;
mod meta;
mod notify;
mod open;
mod outbox;
mod password_links;
mod policies;
mod pooler;
mod sessions;
mod setup;
mod sources;
mod transactions;

use crate::harness::{postgres::Database, template};
use nightlatch::{
    domain::{
        account::{Account, AccountId, Role},
        factor::{EnrolledFactors, Proofs},
        session::{Binding, Session, SessionId, SessionToken},
        time::{Span, Timestamp},
    },
    store::{Conn, OpenOptions, Store, StoreError, accounts as account_rows},
};
use std::net::IpAddr;
use uuid::Uuid;

/// Makes `#[test]`s of functions that take a [`Fresh`]: one on each database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&crate::store::Fresh::sqlite()) })+
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(&crate::store::Fresh::postgres()) })+
        }
    };
}
pub(crate) use on_both;

pub enum Place {
    Sqlite(#[expect(dead_code, reason = "the directory goes when this is dropped")] tempfile::TempDir),
    Postgres(Database),
}

/// A migrated, empty store that is deleted when this is dropped.
pub struct Fresh {
    pub store: Store,
    pub url: String,
    pub place: Place,
}

impl Fresh {
    pub fn sqlite() -> Fresh {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("nightlatch.db");
        template::copy_sqlite(&path);
        Fresh::open(format!("sqlite:{}", path.display()), Place::Sqlite(directory))
    }

    pub fn postgres() -> Fresh {
        let database = Database::migrated();
        Fresh::open(database.url().to_owned(), Place::Postgres(database))
    }

    fn open(url: String, place: Place) -> Fresh {
        let store = Store::open(
            &url,
            OpenOptions {
                pool_size: 4,
                ..OpenOptions::default()
            },
        )
        .expect("the store opens");
        Fresh { store, url, place }
    }

    /// As another process would see it.
    pub fn other(&self) -> Store {
        Store::open(
            &self.url,
            OpenOptions {
                pool_size: 4,
                ..OpenOptions::default()
            },
        )
        .expect("the store opens again")
    }

    pub fn read<T>(&self, f: impl FnOnce(&mut Conn) -> Result<T, StoreError>) -> T {
        self.store.read_now(f).expect("the read succeeds")
    }

    pub fn write<T>(&self, f: impl FnOnce(&mut Conn) -> Result<T, StoreError>) -> T {
        self.store.write_now(f).expect("the write succeeds")
    }

    pub fn refused<T>(&self, f: impl FnOnce(&mut Conn) -> Result<T, StoreError>) -> StoreError {
        match self.store.write_now(f) {
            Ok(_) => panic!("the write should be refused"),
            Err(refused) => refused,
        }
    }

    pub fn with_account(&self, name: &str) -> Account {
        let account = account(name);
        self.write(|c| account_rows::insert(c, &account));
        account
    }
}

/// 2026-11-21T08:00:00.000001Z plus some seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_795_248_000_000_001).saturating_add(Span::from_secs(seconds))
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Ids that are the same in every run and sort by their number.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn account(name: &str) -> Account {
    let digest = nightlatch::domain::secret::digest(name);
    Account {
        id: AccountId(Uuid::parse_str(&digest[..32]).expect("32 hexadecimal digits")),
        name: name.to_owned(),
        name_key: nightlatch::domain::account::name_key(name),
        display_name: String::new(),
        email: None,
        role: Role::Member,
        groups: Vec::new(),
        password_hash: "$argon2id$secret-hash".to_owned(),
        password_changed_at: at(0),
        password_set_by_other: false,
        must_change_password: false,
        disabled_at: None,
        expires_at: None,
        expired_at: None,
        expired_by: None,
        created_at: at(0),
        activated_at: at(0),
        last_sign_in_at: None,
        last_session_ended_at: None,
        password_good_until: None,
        factor_required_at: None,
        factors: EnrolledFactors::NONE,
        source: None,
        external_id: None,
    }
}

pub fn token(digest: &str) -> SessionToken {
    SessionToken {
        digest: digest.to_owned(),
        host: String::new(),
        issued_at: at(0),
        rotated: None,
        killed_at: None,
        cookie_form: "v1".to_owned(),
        rotation_due: false,
        proofs: None,
    }
}

/// A live session, last active `number` seconds after 08:00, with one token `token-NUMBER`.
pub fn session(account: &Account, number: u32) -> Session {
    let address = ip(&format!("192.0.2.{}", number % 250));
    Session {
        id: SessionId(id(u128::from(number) + 1)),
        account_id: account.id,
        signed_in_at: at(0),
        last_active_at: at(i64::from(number)),
        last_seen_at: at(i64::from(number)),
        ip: address,
        signed_in_ip: address,
        binding: Binding::at_sign_in(address, Some("Firefox")),
        applications: Vec::new(),
        devices: Vec::new(),
        ended_at: None,
        end_reason: None,
        ended_by: None,
        end_cause: None,
        proved_at: at(0),
        proofs: Proofs::PASSWORD,
        tokens: vec![token(&format!("token-{number}"))],
    }
}
