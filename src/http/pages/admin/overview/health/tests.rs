//! Tests of [`super`].

use super::*;
use crate::domain::{forwarded::Dialect, time::Timestamp};

fn well() -> Health {
    Health {
        database: "PostgreSQL",
        answered_in: Span::from_micros(340),
        clock_ahead: Some(Span::from_micros(-2_900)),
        hears: true,
        other_servers: 0,
        applications: 0,
        proxies: Vec::new(),
        strangers: 0,
    }
}

fn asked(lacks: &[&str]) -> (String, LastProxyRequest) {
    let asked = LastProxyRequest {
        at: Timestamp::from_micros(1),
        peer: [10, 0, 0, 7].into(),
        dialect: Dialect::AuthRequest,
        lacks: lacks.iter().map(|lack| (*lack).to_owned()).collect(),
    };
    ("wiki".to_owned(), asked)
}

/// Returns the titles of warnings.
fn warned(health: &Health) -> Vec<String> {
    let lines = lines(health).into_iter();
    lines.filter(|line| !line.ok).map(|line| line.title).collect()
}

#[test]
fn an_installation_that_is_well_has_no_warning() {
    let alone = lines(&well());
    assert!(alone.iter().all(|line| line.ok));
    let notes: Vec<&str> = alone.iter().map(|line| line.note.as_str()).collect();
    for note in [
        "Responds in < 1 ms.",
        "This server and the database differ by 2 ms.",
        "This is the only server.",
    ] {
        assert!(notes.contains(&note), "{note}: {notes:?}");
    }
    let used = Health {
        applications: 1,
        other_servers: 2,
        proxies: vec![asked(&[])],
        clock_ahead: None,
        ..well()
    };
    assert_eq!(warned(&used), Vec::<String>::new());
    assert!(
        lines(&used)
            .iter()
            .any(|line| line.title == "Proxy 10.0.0.7 (nginx)" && line.note == "for wiki.")
    );
}

#[test]
fn a_wrong_clock_is_reported_as_ahead_or_behind() {
    for (micros, said) in [
        (5_260_000, "This server’s clock is 5.2 s behind the database’s"),
        (-61_000_000, "This server’s clock is 61.0 s ahead of the database’s"),
    ] {
        let off = Health {
            clock_ahead: Some(Span::from_micros(micros)),
            ..well()
        };
        assert_eq!(warned(&off), [said]);
    }
}

#[test]
fn each_problem_is_one_warning() {
    let deaf = Health { hears: false, ..well() };
    assert_eq!(warned(&deaf), ["Change notifications not working"]);
    let unasked = Health {
        applications: 1,
        ..well()
    };
    assert_eq!(warned(&unasked), ["No proxy has sent a request yet"]);
    let lacking = Health {
        applications: 1,
        proxies: vec![asked(&["X-Forwarded-For: the header is missing"])],
        strangers: 3,
        ..well()
    };
    assert_eq!(
        warned(&lacking),
        ["Proxy 10.0.0.7 (nginx)", "Requests that matched no application"]
    );
}
