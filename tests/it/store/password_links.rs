//! Links to choose a password with, and the counters of requests.
use super::{Fresh, at, id, ip, on_both};
use nightlatch::{
    domain::{account::Account, reset::LinkKind},
    store::password_links::{self, PasswordLink, ResetRequest},
};

on_both!(
    the_newest_link_kills_those_before_it,
    a_link_used_by_many_at_once_works_for_one,
    requests_are_counted_under_every_key_or_none,
    a_flood_is_known_without_a_write,
    parallel_requests_never_pass_the_limit,
    a_request_is_taken_once,
    expired_links_are_deleted_and_invitations_stay,
);

fn link(account: &Account, digest: &str, kind: LinkKind) -> PasswordLink {
    PasswordLink {
        digest: digest.to_owned(),
        account: account.id,
        kind,
        email: "ada@example.org".to_owned(),
        password_changed_at: at(0),
        made_at: at(1),
        expires_at: at(1801),
    }
}

fn the_newest_link_kills_those_before_it(db: &Fresh) {
    let (ada, bob) = (db.with_account("ada"), db.with_account("bob"));
    for (account, digest, kind) in [
        (&ada, "one", LinkKind::Reset),
        (&ada, "invited", LinkKind::Invitation),
        (&bob, "other", LinkKind::Reset),
        (&ada, "two", LinkKind::Reset),
    ] {
        db.write(|c| password_links::replace(c, &link(account, digest, kind)));
    }
    let there = |digest: &str| db.read(|c| password_links::find(c, digest)).is_some();
    assert_eq!(["one", "two", "invited", "other"].map(there), [false, true, true, true]);
    let invitations = db.read(|c| password_links::list_invitations(c, &[ada.id, bob.id]));
    assert_eq!(invitations, [link(&ada, "invited", LinkKind::Invitation)]);
    assert_eq!(
        db.write(|c| password_links::delete_of_account(c, ada.id, LinkKind::Reset)),
        1
    );
    assert!(there("other") && there("invited"));
}

fn a_link_used_by_many_at_once_works_for_one(db: &Fresh) {
    let ada = db.with_account("ada");
    db.write(|c| password_links::replace(c, &link(&ada, "one", LinkKind::Reset)));
    let other = db.other();
    let used: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|number| {
                let store = if number % 2 == 0 { &db.store } else { &other };
                scope.spawn(move || {
                    store
                        .write_now(|c| password_links::redeem(c, "one"))
                        .expect("an answer")
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().expect("no panic")))
            .sum()
    });
    assert_eq!(used, 1);
}

fn requests_are_counted_under_every_key_or_none(db: &Fresh) {
    let ask = |keys: [&str; 2], seconds| {
        let keys = keys.map(str::to_owned);
        db.write(|c| password_links::count_request(c, &keys, 2, at(seconds)))
    };
    assert_eq!(ask(["net", "ada"], 0), None);
    assert_eq!(ask(["other net", "ada"], 1), None);
    assert_eq!(ask(["net", "ada"], 2), Some(1), "the account is at its limit");
    assert_eq!(ask(["net", "ada"], 3), Some(2));
    assert_eq!(ask(["net", "bob"], 4), None, "what was refused is not counted");
    assert_eq!(ask(["net", "eve"], 5), Some(1), "now the network is at its limit");
    assert_eq!(
        ask(["third net", "ada"], 3600),
        Some(3),
        "a request counts for exactly an hour"
    );
    assert_eq!(ask(["third net", "ada"], 3601), None);
}

fn a_flood_is_known_without_a_write(db: &Fresh) {
    let keys = |keys: [&str; 2]| keys.map(str::to_owned);
    let ask = |named: [&str; 2], seconds| db.write(|c| password_links::count_request(c, &keys(named), 1, at(seconds)));
    let flood = |named: [&str; 2], seconds| db.read(|c| password_links::is_flood(c, &keys(named), 1, at(seconds)));
    assert!(!flood(["net", "ada"], 0), "nobody has asked");
    assert_eq!(ask(["net", "ada"], 0), None);
    assert!(!flood(["net", "ada"], 1), "the first refusal is still to be noted");
    assert_eq!(ask(["net", "bob"], 1), Some(1));
    for named in [["net", "ada"], ["net", "bob"], ["net", "nobody"]] {
        assert!(flood(named, 3600), "{named:?}");
    }
    assert!(
        !flood(["other net", "bob"], 2),
        "nothing is kept of a name that a full address tried"
    );
    assert!(
        !flood(["other net", "ada"], 2),
        "the name's own refusal is still to be noted"
    );
    assert_eq!(ask(["other net", "ada"], 2), Some(1));
    assert!(flood(["third net", "ada"], 2));
    assert!(!flood(["net", "bob"], 3601), "over after an hour");
    assert_eq!(ask(["net", "bob"], 3601), None);
    assert!(!flood(["net", "bob"], 3601));
}

fn parallel_requests_never_pass_the_limit(db: &Fresh) {
    let other = db.other();
    let counted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|number| {
                let store = if number % 2 == 0 { &db.store } else { &other };
                let keys = [format!("net {number}"), "ada".to_owned()];
                scope.spawn(move || {
                    let over = store.write_now(|c| password_links::count_request(c, &keys, 5, at(0)));
                    usize::from(over.expect("an answer").is_none())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(counted, 5);
}

fn request(number: u128) -> ResetRequest {
    ResetRequest {
        id: id(number),
        account_key: "ada".to_owned(),
        ip: ip("2001:db8::7"),
        user_agent: Some("Firefox".to_owned()),
        request_id: None,
        requested_at: at(0),
    }
}

fn a_request_is_taken_once(db: &Fresh) {
    for number in [2, 1] {
        db.write(|c| password_links::queue_request(c, &request(number)));
    }
    assert!(db.read(password_links::has_request));
    assert_eq!(db.write(password_links::take_request), Some(request(1)));
    assert_eq!(db.write(password_links::take_request), Some(request(2)));
    assert_eq!(db.write(password_links::take_request), None);
    assert!(!db.read(password_links::has_request));
}

fn expired_links_are_deleted_and_invitations_stay(db: &Fresh) {
    let ada = db.with_account("ada");
    db.write(|c| password_links::replace(c, &link(&ada, "one", LinkKind::Reset)));
    db.write(|c| password_links::replace(c, &link(&ada, "two", LinkKind::Invitation)));
    db.write(|c| password_links::purge(c, at(1801), 10));
    assert!(db.read(|c| password_links::find(c, "one")).is_some());
    db.write(|c| password_links::purge(c, at(1802), 10));
    assert!(db.read(|c| password_links::find(c, "one")).is_none());
    assert!(db.read(|c| password_links::find(c, "two")).is_some());
}
