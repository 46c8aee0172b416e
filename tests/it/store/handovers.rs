//! Hand-overs: each thing that a code is bound to counts, and old ones go in small portions.
use super::{Fresh, at, id, ip, on_both, session};
use nightlatch::{
    domain::{network::session_network, session::SessionId},
    store::{
        accounts,
        handovers::{self, Handover, HandoverBinding},
        sessions,
    },
};

on_both!(
    a_code_is_redeemed_once_by_exactly_what_it_is_bound_to,
    a_change_of_address_family_does_not_void_a_code,
    codes_that_ran_out_go_oldest_first_and_with_their_session,
);

fn bound(digest: &str, network: &str) -> HandoverBinding {
    HandoverBinding {
        digest: digest.to_owned(),
        host: "shop.other.test".to_owned(),
        nonce: "n".to_owned(),
        user_agent: "Firefox".to_owned(),
        network: session_network(ip(network), 24),
    }
}

fn issue(db: &Fresh, number: u32, bound: HandoverBinding, expires_in: i64) {
    let handover = Handover {
        bound,
        session: SessionId(id(u128::from(number) + 1)),
        return_to: "http://shop.other.test/page".to_owned(),
        issued_at: at(0),
        expires_at: at(expires_in),
    };
    db.write(|c| handovers::insert(c, &handover));
}

fn with_session(db: &Fresh, number: u32) {
    let ada = db.with_account(&format!("ada{number}"));
    db.write(|c| sessions::insert(c, &session(&ada, number)));
}

fn a_code_is_redeemed_once_by_exactly_what_it_is_bound_to(db: &Fresh) {
    with_session(db, 1);
    let good = bound("code", "192.0.2.9");
    issue(db, 1, good.clone(), 30);
    let changed = |change: fn(&mut HandoverBinding)| {
        let mut other = good.clone();
        change(&mut other);
        other
    };
    let others = [
        changed(|b| b.digest.push('x')),
        changed(|b| b.digest.push('\0')),
        changed(|b| b.host = "bank.third.test".to_owned()),
        changed(|b| b.nonce = String::new()),
        changed(|b| b.user_agent = "firefox".to_owned()),
        changed(|b| b.network = session_network([192, 0, 3, 9].into(), 24)),
        changed(|b| b.network = session_network([192, 0, 2, 9].into(), 32)),
    ];
    for other in &others {
        assert_eq!(db.write(|c| handovers::redeem(c, other, at(1))), None, "{other:?}");
    }
    let late = at(30).saturating_add(nightlatch::domain::time::Span::from_micros(1));
    assert_eq!(db.write(|c| handovers::redeem(c, &good, late)), None);
    let redeemed = db.write(|c| handovers::redeem(c, &good, at(30)));
    assert_eq!(
        redeemed,
        Some((SessionId(id(2)), "http://shop.other.test/page".to_owned()))
    );
    assert_eq!(db.write(|c| handovers::redeem(c, &good, at(1))), None, "once");
}

fn a_change_of_address_family_does_not_void_a_code(db: &Fresh) {
    with_session(db, 1);
    for (issued, shown, good) in [
        ("192.0.2.9", "2001:db8::1", true),
        ("2001:db8::1", "192.0.2.9", true),
        ("2001:db8::1", "2001:db8::2", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("::ffff:192.0.2.9", "192.0.2.200", true),
    ] {
        let code = format!("{issued} {shown}");
        issue(db, 1, bound(&code, issued), 30);
        let redeemed = db.write(|c| handovers::redeem(c, &bound(&code, shown), at(1)));
        assert_eq!(redeemed.is_some(), good, "{code}");
    }
}

fn codes_that_ran_out_go_oldest_first_and_with_their_session(db: &Fresh) {
    with_session(db, 1);
    with_session(db, 2);
    for (digest, expires_in) in [("a", 10), ("b", 20), ("c", 30), ("d", 40)] {
        issue(db, 1, bound(digest, "192.0.2.9"), expires_in);
    }
    issue(db, 2, bound("e", "192.0.2.9"), 50);
    let left = |number: u32| db.read(|c| handovers::count_since(c, SessionId(id(u128::from(number) + 1)), at(0)));
    assert_eq!(db.write(|c| handovers::purge(c, at(30), 1)), 1);
    assert!(
        db.write(|c| handovers::redeem(c, &bound("b", "192.0.2.9"), at(20)))
            .is_some()
    );
    assert_eq!(
        db.write(|c| handovers::purge(c, at(30), 10)),
        1,
        "redeemed ones too, and none too early"
    );
    assert_eq!((left(1), left(2)), (2, 1));
    assert_eq!(db.read(|c| handovers::count_since(c, SessionId(id(2)), at(1))), 0);
    let ada = super::account("ada1").id;
    db.write(|c| accounts::delete(c, ada));
    assert_eq!((left(1), left(2)), (0, 1));
}
