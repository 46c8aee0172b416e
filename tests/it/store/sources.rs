//! Sources of identities, and the accounts that belong to them.
use super::{Fresh, account, at, id, on_both};
use nightlatch::{
    domain::{
        account::Account,
        source::{IdentitySource, SettingTexts, SourceDefinition, SourceId, SourceKind, SourceName},
    },
    second_factor::SealedSecret,
    store::{
        StoreError, accounts,
        changes::{self, ChangeKind, MissedChanges},
        sources,
    },
};

on_both!(
    a_source_comes_back_as_it_was_written,
    a_secret_is_replaced_and_sealed_anew_once,
    a_fault_keeps_its_first_instant_until_it_works_again,
    an_identity_belongs_to_one_account_of_a_source,
    a_name_alone_links_no_account,
    changes_are_announced_and_states_are_not,
);

fn source(number: u128, name: &str) -> IdentitySource {
    let texts: SettingTexts = [("issuer", "https://id.example.org"), ("client_id", "nightlatch")]
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .collect();
    IdentitySource {
        id: SourceId(id(number)),
        name: SourceName::parse(name).unwrap(),
        title: format!("The {name} provider"),
        enabled: true,
        position: i32::try_from(10 - number).unwrap(),
        in_file: false,
        definition: SourceDefinition::parse(SourceKind::Oidc, &texts).unwrap(),
    }
}

fn sealed(text: &str) -> SealedSecret {
    SealedSecret {
        text: text.to_owned(),
        key_id: "k1".to_owned(),
    }
}

fn of_source(name: &str, source: u128, external_id: Option<&str>) -> Account {
    Account {
        source: Some(SourceId(id(source))),
        external_id: external_id.map(str::to_owned),
        ..account(name)
    }
}

fn a_source_comes_back_as_it_was_written(db: &Fresh) {
    let (corp, school) = (source(1, "corp"), source(2, "school"));
    db.write(|c| sources::insert(c, &corp, at(0)));
    db.write(|c| sources::insert(c, &school, at(0)));
    let all: Vec<IdentitySource> = db.read(sources::list).into_iter().map(|stored| stored.source).collect();
    assert_eq!(all, [school, corp.clone()], "by position");
    assert_eq!(
        db.refused(|c| sources::insert(c, &source(3, "corp"), at(0))),
        StoreError::Conflict("source name")
    );
    let changed = IdentitySource {
        title: "Corp".to_owned(),
        enabled: false,
        ..corp.clone()
    };
    db.write(|c| sources::update(c, &changed, at(5)));
    let found = db.read(|c| sources::find_by_name(c, &corp.name)).unwrap();
    assert_eq!(
        (found.source, found.created_at, found.changed_at),
        (changed, at(0), at(5))
    );
    assert!(db.write(|c| sources::delete(c, corp.id)));
    assert!(!db.write(|c| sources::delete(c, corp.id)));
    assert_eq!(db.read(|c| sources::find(c, corp.id)), None);
    assert_eq!(
        db.refused(|c| sources::update(c, &corp, at(6))),
        StoreError::NotFound("source")
    );
}

fn a_secret_is_replaced_and_sealed_anew_once(db: &Fresh) {
    let corp = source(1, "corp");
    db.write(|c| sources::insert(c, &corp, at(0)));
    let secret = |db: &Fresh| db.read(|c| sources::find(c, corp.id)).unwrap().secret;
    assert_eq!(secret(db), None);
    db.write(|c| sources::set_secret(c, corp.id, Some(&sealed("one"))));
    db.write(|c| sources::update(c, &corp, at(1)));
    assert_eq!(secret(db), Some(sealed("one")), "a change of settings keeps it");
    assert!(db.write(|c| sources::reseal(c, corp.id, &sealed("one"), &sealed("two"))));
    assert!(!db.write(|c| sources::reseal(c, corp.id, &sealed("one"), &sealed("three"))));
    assert_eq!(secret(db), Some(sealed("two")));
    assert_eq!(db.read(sources::count_by_key), [("k1".to_owned(), 1)]);
    db.write(|c| sources::set_secret(c, corp.id, None));
    assert_eq!(secret(db), None);
    assert_eq!(db.read(sources::count_by_key), []);
}

fn a_fault_keeps_its_first_instant_until_it_works_again(db: &Fresh) {
    let corp = source(1, "corp");
    db.write(|c| sources::insert(c, &corp, at(0)));
    let state = |db: &Fresh| db.read(|c| sources::find(c, corp.id)).unwrap().state;
    db.write(|c| sources::record_fault(c, corp.id, at(1), "refused"));
    db.write(|c| sources::record_fault(c, corp.id, at(2), "too slow"));
    let failing = state(db);
    assert_eq!(
        (failing.fault_at, failing.fault.as_deref()),
        (Some(at(1)), Some("too slow"))
    );
    db.write(|c| sources::record_sync(c, corp.id, at(3), 7));
    let synced = state(db);
    assert_eq!((synced.fault_at, synced.fault), (None, None));
    assert_eq!((synced.synced_at, synced.synced_accounts), (Some(at(3)), 7));
    db.write(|c| sources::record_fault(c, corp.id, at(4), "refused"));
    assert_eq!(state(db).fault_at, Some(at(4)));
    db.write(|c| sources::clear_fault(c, corp.id));
    assert_eq!((state(db).fault_at, state(db).synced_at), (None, Some(at(3))));
}

fn an_identity_belongs_to_one_account_of_a_source(db: &Fresh) {
    let ada = of_source("ada", 1, Some("uuid-1"));
    db.write(|c| accounts::insert(c, &ada));
    assert_eq!(
        db.refused(|c| accounts::insert(c, &of_source("other", 1, Some("uuid-1")))),
        StoreError::Conflict("external identity")
    );
    // Another source may use the same identity, and several accounts may wait for theirs.
    db.write(|c| accounts::insert(c, &of_source("bob", 2, Some("uuid-1"))));
    db.write(|c| accounts::insert(c, &of_source("eve", 1, None)));
    db.write(|c| accounts::insert(c, &of_source("mal", 1, None)));
    let corp = SourceId(id(1));
    assert_eq!(
        db.read(|c| accounts::find_by_external_id(c, corp, "uuid-1")),
        Some(ada.clone())
    );
    assert_eq!(db.read(|c| accounts::find_by_external_id(c, corp, "UUID-1")), None);
    assert_eq!(db.read(|c| accounts::count_of_source(c, corp)), 3);
    let mut counts = db.read(accounts::count_by_source);
    counts.sort_unstable();
    assert_eq!(counts, [(corp, 3), (SourceId(id(2)), 1)]);
    let first = db.read(|c| accounts::list_of_source(c, corp, None, 2));
    let rest = db.read(|c| accounts::list_of_source(c, corp, first.last().map(|account| account.id), 2));
    assert_eq!((first.len(), rest.len()), (2, 1));
}

fn a_name_alone_links_no_account(db: &Fresh) {
    let corp = SourceId(id(1));
    db.with_account("local");
    assert_eq!(
        db.refused(|c| accounts::insert(c, &of_source("local", 1, Some("uuid-1")))),
        StoreError::Conflict("account name")
    );
    assert_eq!(db.read(|c| accounts::find_listed(c, corp, "local")), None);
    let eve = of_source("eve", 1, None);
    db.write(|c| accounts::insert(c, &eve));
    assert_eq!(db.read(|c| accounts::find_listed(c, corp, "eve")), Some(eve.clone()));
    assert_eq!(db.read(|c| accounts::find_listed(c, SourceId(id(2)), "eve")), None);
    let linked = Account {
        external_id: Some("uuid-2".to_owned()),
        ..eve
    };
    db.write(|c| accounts::update(c, &linked));
    assert_eq!(db.read(|c| accounts::find_listed(c, corp, "eve")), None);
    assert_eq!(
        db.read(|c| accounts::find_by_external_id(c, corp, "uuid-2")),
        Some(linked)
    );
}

fn changes_are_announced_and_states_are_not(db: &Fresh) {
    let corp = source(1, "corp");
    let before = db.read(changes::latest_seq);
    db.write(|c| sources::insert(c, &corp, at(0)));
    db.write(|c| sources::record_fault(c, corp.id, at(1), "refused"));
    db.write(|c| sources::record_sync(c, corp.id, at(2), 1));
    db.write(|c| sources::set_secret(c, corp.id, Some(&sealed("one"))));
    db.write(|c| sources::delete(c, corp.id));
    let MissedChanges::Rows(rows) = db.read(|c| changes::list_since(c, before)) else {
        panic!("the changes are known");
    };
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter()
            .all(|row| row.kind == ChangeKind::Source && row.key == corp.id.0.to_string())
    );
}
