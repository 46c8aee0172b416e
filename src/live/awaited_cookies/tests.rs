//! Tests of [`super`].

use super::*;
use uuid::Uuid;

#[test]
fn a_lost_cookie_is_reported_once_and_within_seconds() {
    let cookies = PendingCookies::default();
    let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
    let (ip, session) = (IpAddr::from([192, 0, 2, 1]), SessionId(Uuid::nil()));
    let await_cookie = || cookies.await_cookie(ip, Some("x"), session, at(0));
    assert!(!cookies.take_lost(ip, Some("x"), at(0)));
    await_cookie();
    assert!(!cookies.take_lost(ip, Some("y"), at(1)));
    assert!(!cookies.take_lost(ip, None, at(1)));
    assert!(cookies.take_lost(ip, Some("x"), at(15)));
    assert!(!cookies.take_lost(ip, Some("x"), at(15)), "once");
    await_cookie();
    assert!(!cookies.take_lost(ip, Some("x"), at(16)));
    await_cookie();
    cookies.note_came(session);
    assert!(!cookies.take_lost(ip, Some("x"), at(1)));
}
