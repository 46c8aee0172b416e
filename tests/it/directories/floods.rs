//! Directories that send more than was asked for.

use super::client::{client, run};
use crate::harness::{
    forged_directory::{Flood, ForgedDirectory},
    slapd::{SERVICE_DN, SUFFIX},
};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::source::{SourceDefinition, SourceKind},
    identity::ldap::{Directory, PersonLookup},
};
use std::time::{Duration, Instant};

/// A client of a forged directory, with the timeouts of the defaults.
fn client_of(forged: &ForgedDirectory) -> Directory {
    let texts = [
        ("urls", forged.url.as_str()),
        ("bind_dn", SERVICE_DN),
        ("base", SUFFIX),
        ("id_attribute", "entryUUID"),
        ("name_attribute", "uid"),
    ];
    let texts = texts.map(|(key, text)| (key.to_owned(), text.to_owned()));
    client(SourceDefinition::parse(SourceKind::Ldap, &texts.into_iter().collect()).unwrap())
}

/// Waits without blocking the thread, on which the connection is closed.
async fn wait_until_closed(forged: &ForgedDirectory) {
    let began = Instant::now();
    while forged.closed() == 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "the connection stays open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_search_for_one_person_ends_at_the_third_entry() {
    let forged = ForgedDirectory::start(Flood::Entries);
    run(async {
        let directory = client_of(&forged);
        let began = Instant::now();
        let found = directory.find_person("ada", SystemClock.now()).await.unwrap();
        assert_eq!(found, PersonLookup::Ambiguous);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        wait_until_closed(&forged).await;
    });
}

#[test]
fn a_search_by_id_ends_when_there_are_more_entries_than_ids() {
    let forged = ForgedDirectory::start(Flood::Entries);
    run(async {
        let directory = client_of(&forged);
        let ids = ["1".to_owned(), "2".to_owned()];
        let fault = directory.find_all_by_id(&ids, SystemClock.now()).await.unwrap_err();
        assert_eq!(fault.to_string(), "search: the server sent more than 4 entries");
        wait_until_closed(&forged).await;
    });
}

/// The library reads a message of any length; nothing is read after the sign-in gave up.
#[test]
fn a_connection_is_closed_when_its_search_is_given_up() {
    let forged = ForgedDirectory::start(Flood::Message);
    run(async {
        let directory = client_of(&forged);
        let patience = Duration::from_millis(1_100);
        let found = tokio::time::timeout(patience, directory.find_person("ada", SystemClock.now())).await;
        assert!(found.is_err(), "{found:?}");
        wait_until_closed(&forged).await;
    });
}
