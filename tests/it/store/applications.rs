//! Protected applications.
use super::{Fresh, at, on_both};
use nightlatch::{
    domain::{
        account::Role,
        application::{Application, ApplicationFields},
    },
    store::{
        StoreError, applications,
        changes::{self, ChangeKind, MissedChanges},
    },
};

on_both!(
    an_application_comes_back_as_it_was_written,
    parallel_writers_cannot_give_one_place_to_two_applications,
    two_applications_saved_at_once_cannot_share_a_host,
    a_change_leaves_nothing_of_what_was_before,
    every_write_is_announced,
);

fn application(name: &str, hosts: &[&str], prefixes: &[&str]) -> Application {
    let texts = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    let typed = ApplicationFields {
        name: name.to_owned(),
        hosts: texts(hosts),
        prefixes: texts(prefixes),
        roles: vec![Role::Administrator],
        groups: texts(&["Büro \"1\"", "staff"]),
        public: texts(&["/assets/*", "/healthz"]),
    };
    typed.check().expect("an application")
}

fn an_application_comes_back_as_it_was_written(db: &Fresh) {
    assert_eq!(db.read(applications::list), []);
    let wiki = application(
        "wiki",
        &["wiki.example.org", "wiki.example.org:8443", "[::1]:80"],
        &["/a b", "/w"],
    );
    let plain = application("Zoo", &["bücher.example"], &[]);
    db.write(|c| applications::insert(c, &wiki, at(0)));
    db.write(|c| applications::insert(c, &plain, at(1)));
    assert_eq!(db.read(|c| applications::find(c, "wiki")), Some(wiki.clone()));
    assert_eq!(db.read(|c| applications::find(c, "zoo")), None);
    assert_eq!(
        db.read(applications::list),
        [plain, wiki],
        "by code point under every collation"
    );
}

fn parallel_writers_cannot_give_one_place_to_two_applications(db: &Fresh) {
    let host = StoreError::Conflict("application host");
    db.write(|c| applications::insert(c, &application("wiki", &["a.example", "b.example"], &["/w"]), at(0)));
    let same = application("wiki", &["c.example"], &[]);
    assert_eq!(
        db.refused(|c| applications::insert(c, &same, at(0))),
        StoreError::Conflict("application name")
    );
    let other = application("other", &["c.example", "b.example"], &["/w", "/x"]);
    assert_eq!(db.refused(|c| applications::insert(c, &other, at(0))), host);
    assert_eq!(db.read(|c| applications::find(c, "other")), None, "all or nothing");
    let below = application("other", &["b.example"], &["/x"]);
    db.write(|c| applications::insert(c, &below, at(0)));
    let moved = application("other", &["b.example"], &["/w"]);
    assert_eq!(db.refused(|c| applications::update(c, &moved, at(1))), host);
    assert_eq!(db.read(|c| applications::find(c, "other")), Some(below));
}

fn two_applications_saved_at_once_cannot_share_a_host(db: &Fresh) {
    let other = db.other();
    let stores = [
        ("one", &db.store),
        ("two", &other),
        ("three", &db.store),
        ("four", &other),
    ];
    let written: usize = std::thread::scope(|scope| {
        let threads = stores.map(|(name, store)| {
            scope.spawn(move || {
                let wanted = application(name, &["same.example"], &[]);
                store.write_now(|c| applications::insert(c, &wanted, at(0)))
            })
        });
        let ended = threads.map(|thread| thread.join().expect("no panic"));
        ended.iter().filter(|written| written.is_ok()).count()
    });
    assert_eq!((written, db.read(applications::list).len()), (1, 1));
}

fn a_change_leaves_nothing_of_what_was_before(db: &Fresh) {
    db.write(|c| applications::insert(c, &application("wiki", &["a.example", "b.example"], &["/w"]), at(0)));
    let changed = Application {
        roles: Vec::new(),
        groups: Vec::new(),
        public: Vec::new(),
        ..application("wiki", &["b.example"], &[])
    };
    db.write(|c| applications::update(c, &changed, at(1)));
    assert_eq!(db.read(|c| applications::find(c, "wiki")), Some(changed));
    db.write(|c| applications::insert(c, &application("next", &["a.example"], &["/w"]), at(2)));
    assert!(db.write(|c| applications::hold(c, "wiki", at(3))));
    assert!(db.write(|c| applications::delete(c, "wiki")));
    assert!(!db.write(|c| applications::delete(c, "wiki")));
    assert!(!db.write(|c| applications::hold(c, "wiki", at(4))));
    let gone = application("wiki", &["b.example"], &[]);
    assert_eq!(
        db.refused(|c| applications::update(c, &gone, at(5))),
        StoreError::NotFound("application")
    );
    db.write(|c| applications::insert(c, &application("again", &["b.example"], &[]), at(6)));
}

fn every_write_is_announced(db: &Fresh) {
    let (before, _) = db.read(applications::load_snapshot);
    let wiki = application("wiki", &["a.example"], &[]);
    db.write(|c| applications::insert(c, &wiki, at(0)));
    db.write(|c| applications::update(c, &wiki, at(1)));
    let (after, all) = db.read(applications::load_snapshot);
    assert_eq!((after, all.len()), (before + 2, 1), "the number grows with every write");
    db.write(|c| applications::delete(c, "wiki"));
    let MissedChanges::Rows(rows) = db.read(|c| changes::list_since(c, before)) else {
        panic!("nothing is missing");
    };
    let announced: Vec<(ChangeKind, &str)> = rows.iter().map(|row| (row.kind, row.key.as_str())).collect();
    assert_eq!(announced, [(ChangeKind::Application, "wiki"); 3]);
}
