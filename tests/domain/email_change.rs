//! When a change of address takes effect, and how often it may be requested.

use super::{MICRO, at};
use nightlatch_domain::{
    email_change::{Confirmations, EmailChangeLimit, MailboxSide, may_ask},
    time::{Span, Timestamp},
};

#[test]
fn both_addresses_must_confirm_and_an_absent_one_need_not() {
    for has_old in [false, true] {
        for (new, old) in [(false, false), (true, false), (false, true), (true, true)] {
            let so_far = Confirmations { new, old, has_old };
            assert_eq!(so_far.awaits(MailboxSide::New), !new);
            assert_eq!(so_far.awaits(MailboxSide::Old), has_old && !old);
        }
    }
    assert_eq!(
        (MailboxSide::New.opposite(), MailboxSide::Old.opposite()),
        (MailboxSide::Old, MailboxSide::New)
    );
}

#[test]
fn one_may_ask_once_a_minute_five_times_an_hour_and_twenty_times_a_day() {
    assert_eq!(may_ask(&[], at(0)), EmailChangeLimit::Allowed);
    let minute = at(60);
    assert_eq!(
        may_ask(&[at(0)], minute.saturating_sub(MICRO)),
        EmailChangeLimit::TooSoon
    );
    assert_eq!(may_ask(&[at(0)], minute), EmailChangeLimit::Allowed);
    let hourly: Vec<Timestamp> = (0..5).map(|n| at(n * 100)).collect();
    assert_eq!(may_ask(&hourly[..4], at(500)), EmailChangeLimit::Allowed);
    assert_eq!(may_ask(&hourly, at(500)), EmailChangeLimit::TooOften);
    assert_eq!(
        may_ask(&hourly, at(3600).saturating_sub(MICRO)),
        EmailChangeLimit::TooOften
    );
    assert_eq!(may_ask(&hourly, at(3600)), EmailChangeLimit::Allowed);
    let daily: Vec<Timestamp> = (0..20).map(|n| at(n * 4000)).collect();
    let over = at(86_400);
    assert_eq!(may_ask(&daily, over.saturating_sub(MICRO)), EmailChangeLimit::TooOften);
    assert_eq!(may_ask(&daily, over), EmailChangeLimit::Allowed);
    assert_eq!(
        may_ask(&daily, over.saturating_add(Span::from_secs(1))),
        EmailChangeLimit::Allowed
    );
}
