//! When an email is retried, and what is stored of a server's answer.

use super::MICRO;
use nightlatch_domain::{
    mail::{EmailState, next_attempt, truncate_words},
    time::{Span, Timestamp},
};

const NOW: Timestamp = Timestamp::from_micros(1_795_281_600_000_000);

fn after(secs: i64) -> Timestamp {
    NOW.saturating_add(Span::from_secs(secs))
}

#[test]
fn the_waits_grow_to_an_hour() {
    let waits: Vec<_> = (1..=6)
        .map(|attempts| next_attempt(attempts, 0, NOW, after(90_000)))
        .collect();
    let wanted = [30, 120, 480, 1920, 3600, 3600].map(|secs| Some(after(secs)));
    assert_eq!(waits, wanted);
    assert_eq!(next_attempt(0, 0, NOW, after(90_000)), Some(after(30)));
    assert_eq!(next_attempt(i32::MAX, 0, NOW, after(90_000)), Some(after(3600)));
}

#[test]
fn the_spread_is_at_most_a_fifth() {
    assert_eq!(next_attempt(2, 255, NOW, after(90_000)), Some(after(144)));
    assert_eq!(next_attempt(2, 100, NOW, after(90_000)), Some(after(129)));
}

#[test]
fn an_email_is_given_up_when_the_next_attempt_would_come_too_late() {
    assert_eq!(next_attempt(1, 0, NOW, after(30)), Some(after(30)));
    assert_eq!(next_attempt(1, 0, NOW, after(30).saturating_sub(MICRO)), None);
}

#[test]
fn messages_of_a_server_are_cut_to_one_line_without_links() {
    assert_eq!(truncate_words("550 5.1.1\r\n no such user"), "550 5.1.1 no such user");
    let echoed = "554 spam: http://login.example.org/password/reset?token=abc refused \u{1b}[31m";
    assert_eq!(truncate_words(echoed), "554 spam: … refused [31m");
    assert_eq!(truncate_words("token=abc"), "…");
    assert_eq!(truncate_words(&"x".repeat(1000)).len(), 300);
}

#[test]
fn states_read_back() {
    for state in EmailState::ALL {
        assert_eq!(EmailState::parse(state.as_str()), Some(*state));
    }
    assert_eq!(EmailState::parse("lost"), None);
}
