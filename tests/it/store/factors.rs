//! Second factors: each is consumed once, belongs to one account, and is deleted with it.
use super::{Fresh, at, id, on_both};
use nightlatch::{
    domain::{
        account::AccountId,
        factor::{EnrolledFactors, Proof, Proofs},
        time::Timestamp,
    },
    store::{
        StoreError, accounts, authenticator_apps, authenticator_apps::AuthenticatorApp, enrolment_links,
        enrolment_links::EnrolmentLink, passkeys, passkeys::Passkey, pending_sign_ins, pending_sign_ins::PendingSignIn,
        recovery_codes, sessions, trusted_browsers, trusted_browsers::TrustedBrowser, used_passkey_challenges,
    },
};

on_both!(
    an_app_counts_from_its_confirmation,
    a_step_is_accepted_once_and_only_grows,
    a_passkey_is_one_accounts_alone,
    the_use_of_a_passkey_is_noted_once_for_a_counter,
    a_recovery_code_is_redeemed_once,
    a_pending_sign_in_is_settled_once_and_in_time,
    attempts_at_a_pending_sign_in_are_bounded,
    a_challenge_is_used_once,
    a_trusted_browser_is_revoked_by_its_owner,
    the_newest_enrolment_link_voids_the_one_before,
    the_first_requirement_of_a_factor_is_kept,
    proofs_are_added_to_a_live_session,
);

fn app(account: AccountId, number: u128) -> AuthenticatorApp {
    AuthenticatorApp {
        id: id(number),
        account,
        sealed_secret: format!("sealed {number}"),
        key_id: "k1".to_owned(),
        last_step: 0,
        made_at: at(0),
        confirmed_at: None,
    }
}

fn factors(db: &Fresh, account: AccountId) -> EnrolledFactors {
    db.read(|c| accounts::find(c, account)).unwrap().factors
}

fn an_app_counts_from_its_confirmation(db: &Fresh) {
    let ada = db.with_account("ada").id;
    db.write(|c| authenticator_apps::insert_unconfirmed(c, &app(ada, 1)));
    db.write(|c| authenticator_apps::insert_unconfirmed(c, &app(ada, 2)));
    assert_eq!(db.read(|c| authenticator_apps::find(c, ada)), None);
    assert_eq!(factors(db, ada), EnrolledFactors::NONE);
    // The first one was replaced.
    assert!(!db.write(|c| authenticator_apps::confirm(c, &app(ada, 1), 7, at(1))));
    assert!(db.write(|c| authenticator_apps::confirm(c, &app(ada, 2), 7, at(1))));
    assert!(!db.write(|c| authenticator_apps::confirm(c, &app(ada, 2), 8, at(2))));
    let found = db.read(|c| authenticator_apps::find(c, ada)).unwrap();
    assert_eq!((found.id, found.last_step, found.confirmed_at), (id(2), 7, Some(at(1))));
    assert!(factors(db, ada).authenticator_app);
    // Another one replaces it only when it is confirmed.
    db.write(|c| authenticator_apps::insert_unconfirmed(c, &app(ada, 3)));
    assert_eq!(db.read(|c| authenticator_apps::find(c, ada)).unwrap().id, id(2));
    assert!(db.write(|c| authenticator_apps::confirm(c, &app(ada, 3), 9, at(3))));
    assert_eq!(db.read(|c| authenticator_apps::find(c, ada)).unwrap().id, id(3));
    assert_eq!(db.read(authenticator_apps::count_by_key), [("k1".to_owned(), 1)]);
    assert!(db.write(|c| authenticator_apps::delete(c, ada)));
    assert_eq!(factors(db, ada), EnrolledFactors::NONE);
    db.write(|c| authenticator_apps::insert_unconfirmed(c, &app(ada, 4)));
    assert_eq!(db.write(|c| authenticator_apps::purge(c, at(0), 10)), 0);
    assert_eq!(db.write(|c| authenticator_apps::purge(c, at(1), 10)), 1);
}

fn a_step_is_accepted_once_and_only_grows(db: &Fresh) {
    let ada = db.with_account("ada").id;
    db.write(|c| authenticator_apps::insert_unconfirmed(c, &app(ada, 1)));
    // An unconfirmed app accepts no step.
    assert!(!db.write(|c| authenticator_apps::accept_step(c, id(1), 100)));
    db.write(|c| authenticator_apps::confirm(c, &app(ada, 1), 10, at(1)));
    for (step, accepted) in [
        (10, false),
        (11, true),
        (11, false),
        (10, false),
        (13, true),
        (12, false),
    ] {
        assert_eq!(
            db.write(|c| authenticator_apps::accept_step(c, id(1), step)),
            accepted,
            "{step}"
        );
    }
}

fn passkey(account: AccountId, number: u128) -> Passkey {
    Passkey {
        id: id(number),
        account,
        name: format!("Key {number}"),
        credential_id: format!("credential-{number}"),
        credential: "{\"counter\":1}".to_owned(),
        domain: "example.test".to_owned(),
        added_at: at(i64::try_from(number).unwrap()),
        last_used_at: None,
        synced: false,
    }
}

fn a_passkey_is_one_accounts_alone(db: &Fresh) {
    let (ada, bob) = (db.with_account("ada").id, db.with_account("bob").id);
    db.write(|c| passkeys::insert(c, &passkey(ada, 1)));
    db.write(|c| passkeys::insert(c, &passkey(ada, 2)));
    let stolen = Passkey {
        id: id(3),
        ..passkey(bob, 1)
    };
    assert_eq!(
        db.refused(|c| passkeys::insert(c, &stolen)),
        StoreError::Conflict("passkey")
    );
    assert_eq!(
        db.read(|c| passkeys::of_account(c, ada)),
        [passkey(ada, 1), passkey(ada, 2)]
    );
    assert_eq!(factors(db, ada).passkeys, 2);
    assert!(!db.write(|c| passkeys::rename(c, bob, id(1), "Mine")));
    assert!(!db.write(|c| passkeys::delete(c, bob, id(1))));
    assert!(db.write(|c| passkeys::rename(c, ada, id(1), "Phone")));
    assert_eq!(
        db.read(|c| passkeys::find_by_credential(c, "credential-1"))
            .unwrap()
            .name,
        "Phone"
    );
    assert_eq!(db.read(passkeys::count_by_domain), [("example.test".to_owned(), 2)]);
    assert!(db.write(|c| passkeys::delete(c, ada, id(1))));
    assert_eq!(db.read(|c| passkeys::find_by_credential(c, "credential-1")), None);
    assert_eq!(db.write(|c| passkeys::delete_all(c, ada)), 1);
    assert_eq!(factors(db, ada), EnrolledFactors::NONE);
}

fn the_use_of_a_passkey_is_noted_once_for_a_counter(db: &Fresh) {
    let ada = db.with_account("ada").id;
    let verified = passkey(ada, 1);
    db.write(|c| passkeys::insert(c, &verified));
    assert!(db.write(|c| passkeys::note_use(c, &verified, "{\"counter\":2}", true, at(9))));
    // The other answer was verified with the previous counter.
    assert!(!db.write(|c| passkeys::note_use(c, &verified, "{\"counter\":3}", true, at(10))));
    let found = db.read(|c| passkeys::find_by_credential(c, "credential-1")).unwrap();
    assert_eq!(
        (found.credential.as_str(), found.synced, found.last_used_at),
        ("{\"counter\":2}", true, Some(at(9)))
    );
}

fn a_recovery_code_is_redeemed_once(db: &Fresh) {
    let (ada, bob) = (db.with_account("ada").id, db.with_account("bob").id);
    let codes = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    db.write(|c| recovery_codes::replace(c, ada, &codes, at(0)));
    assert_eq!(factors(db, ada).recovery_codes, 3);
    let tried = ["x".to_owned(), "b".to_owned()];
    assert!(!db.write(|c| recovery_codes::redeem(c, bob, &tried)));
    assert!(db.write(|c| recovery_codes::redeem(c, ada, &tried)));
    assert!(!db.write(|c| recovery_codes::redeem(c, ada, &tried)));
    assert_eq!(factors(db, ada).recovery_codes, 2);
    db.write(|c| recovery_codes::replace(c, ada, &["d".to_owned()], at(1)));
    assert!(!db.write(|c| recovery_codes::redeem(c, ada, &codes)));
    assert_eq!(db.write(|c| recovery_codes::delete_all(c, ada)), 1);
    assert_eq!(factors(db, ada), EnrolledFactors::NONE);
}

fn pending(account: AccountId) -> PendingSignIn {
    PendingSignIn {
        digest: "pending".to_owned(),
        account,
        proofs: Proofs::PASSWORD,
        password_changed_at: at(0),
        user_agent: "Firefox".to_owned(),
        network: "192.0.2.0/24".to_owned(),
        host: String::new(),
        application: Some("wiki".to_owned()),
        return_to: "/page".to_owned(),
        provider: None,
        attempts: 0,
        made_at: at(0),
        expires_at: at(300),
    }
}

fn a_pending_sign_in_is_settled_once_and_in_time(db: &Fresh) {
    let ada = db.with_account("ada").id;
    let row = pending(ada);
    db.write(|c| pending_sign_ins::insert(c, &row));
    assert_eq!(db.read(|c| pending_sign_ins::find(c, "pending")), Some(row.clone()));
    assert_eq!(db.read(|c| pending_sign_ins::find(c, "pending\0")), None);
    let late = Timestamp::from_micros(at(300).as_micros() + 1);
    assert!(!db.write(|c| pending_sign_ins::redeem(c, "pending", late)));
    assert!(db.write(|c| pending_sign_ins::redeem(c, "pending", at(300))));
    assert!(!db.write(|c| pending_sign_ins::redeem(c, "pending", at(300))));
    db.write(|c| pending_sign_ins::insert(c, &row));
    assert_eq!(db.write(|c| pending_sign_ins::purge(c, at(300), 10)), 0);
    assert_eq!(db.write(|c| pending_sign_ins::purge(c, late, 10)), 1);
    db.write(|c| pending_sign_ins::insert(c, &row));
    db.write(|c| accounts::delete(c, ada));
    assert_eq!(db.read(|c| pending_sign_ins::find(c, "pending")), None);
}

fn attempts_at_a_pending_sign_in_are_bounded(db: &Fresh) {
    let ada = db.with_account("ada").id;
    db.write(|c| pending_sign_ins::insert(c, &pending(ada)));
    let count = |most| db.write(|c| pending_sign_ins::count_attempt(c, "pending", most, at(1)));
    assert_eq!([count(2), count(2), count(2)], [true, true, false]);
    db.write(|c| pending_sign_ins::return_attempt(c, "pending"));
    assert_eq!([count(2), count(2)], [true, false]);
    assert!(!db.write(|c| pending_sign_ins::count_attempt(c, "pending", 9, at(301))));
}

fn a_challenge_is_used_once(db: &Fresh) {
    let insert = |digest: &str| db.write(|c| used_passkey_challenges::insert(c, digest, at(300)));
    let spent = |digest: &str, expires_at| db.read(|c| used_passkey_challenges::is_spent(c, digest, expires_at));
    assert!(!spent("challenge", at(300)));
    assert!(insert("challenge"));
    assert!(!insert("challenge"), "another answer was first");
    assert!(insert("another"));
    assert!(spent("challenge", at(300)));
    // After a restore, what was issued before it is void.
    db.write(|c| used_passkey_challenges::void_all(c, at(400)));
    assert!(spent("new", at(400)));
    assert!(!spent("new", at(401)));
    assert_eq!(db.write(|c| used_passkey_challenges::purge(c, at(300), 10)), 0);
    assert_eq!(db.write(|c| used_passkey_challenges::purge(c, at(301), 10)), 2);
}

fn a_trusted_browser_is_revoked_by_its_owner(db: &Fresh) {
    let (ada, bob) = (db.with_account("ada").id, db.with_account("bob").id);
    let browser = TrustedBrowser {
        id: id(1),
        digest: "browser".to_owned(),
        account: ada,
        password_changed_at: at(0),
        label: "Firefox on Linux".to_owned(),
        made_at: at(1),
        last_used_at: at(1),
        expires_at: at(100),
    };
    db.write(|c| trusted_browsers::insert(c, &browser));
    db.write(|c| trusted_browsers::note_use(c, id(1), at(2)));
    let used = TrustedBrowser {
        last_used_at: at(2),
        ..browser
    };
    assert_eq!(db.read(|c| trusted_browsers::find(c, "browser")), Some(used.clone()));
    assert_eq!(db.read(|c| trusted_browsers::of_account(c, ada)), [used]);
    assert!(!db.write(|c| trusted_browsers::delete(c, bob, id(1))));
    assert!(db.write(|c| trusted_browsers::delete(c, ada, id(1))));
    assert_eq!(db.read(|c| trusted_browsers::find(c, "browser")), None);
}

fn the_newest_enrolment_link_voids_the_one_before(db: &Fresh) {
    let ada = db.with_account("ada").id;
    let link = |digest: &str| EnrolmentLink {
        digest: digest.to_owned(),
        account: ada,
        email: Some("ada@example.test".to_owned()),
        made_at: at(0),
        expires_at: at(100),
    };
    db.write(|c| enrolment_links::replace(c, &link("one")));
    db.write(|c| enrolment_links::replace(c, &link("two")));
    assert_eq!(db.read(|c| enrolment_links::find(c, "one")), None);
    assert_eq!(db.read(|c| enrolment_links::find(c, "two")), Some(link("two")));
    assert_eq!(
        db.read(|c| enrolment_links::accounts_with_link(c, &[ada], at(100))),
        [ada]
    );
    assert_eq!(db.read(|c| enrolment_links::accounts_with_link(c, &[ada], at(101))), []);
    assert!(db.write(|c| enrolment_links::redeem(c, "two")));
    assert!(!db.write(|c| enrolment_links::redeem(c, "two")));
}

fn the_first_requirement_of_a_factor_is_kept(db: &Fresh) {
    let ada = db.with_account("ada");
    let waiting = |db: &Fresh| db.read(|c| accounts::without_factor_required(c, ada.role, 10));
    assert_eq!(waiting(db), [ada.id]);
    assert!(db.write(|c| accounts::note_factor_required(c, ada.id, at(5))));
    assert!(!db.write(|c| accounts::note_factor_required(c, ada.id, at(6))));
    assert_eq!(waiting(db), []);
    assert_eq!(
        db.read(|c| accounts::find(c, ada.id)).unwrap().factor_required_at,
        Some(at(5))
    );
}

fn proofs_are_added_to_a_live_session(db: &Fresh) {
    let ada = db.with_account("ada");
    let session = super::session(&ada, 1);
    db.write(|c| sessions::insert(c, &session));
    let totp = Proofs::from(Proof::Totp);
    assert!(db.write(|c| sessions::add_proofs(c, session.id, totp, None)));
    let found = db.read(|c| sessions::find(c, session.id)).unwrap();
    assert_eq!(
        (found.proofs, found.proved_at),
        (Proofs::PASSWORD.with(Proof::Totp), at(0))
    );
    assert!(db.write(|c| sessions::add_proofs(c, session.id, Proofs::PASSWORD, Some(at(9)))));
    let found = db.read(|c| sessions::find(c, session.id)).unwrap();
    assert_eq!(
        (found.proofs, found.proved_at),
        (Proofs::PASSWORD.with(Proof::Totp), at(9))
    );
    let ended = nightlatch::domain::session::EndReason::Revoked;
    db.write(|c| sessions::end(c, session.id, ended, at(10), None, None));
    assert!(!db.write(|c| sessions::add_proofs(c, session.id, Proof::Passkey.into(), Some(at(11)))));
}
