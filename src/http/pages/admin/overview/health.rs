//! What the installation runs on, in words: a line each, right or with a warning.
use super::view::HealthLine;
use crate::domain::duration::humanize;
use crate::domain::forwarded::Asked;
use crate::domain::skew;
use crate::domain::time::Span;
use crate::flows::overview::Health;
use crate::http::filters::counted;

pub fn lines(health: &Health) -> Vec<HealthLine> {
    let mut lines = vec![database(health), clock(health), changes(health)];
    match health.proxies.as_slice() {
        [] if health.applications == 0 => lines.push(line(true, "No application is protected", "")),
        [] => lines.push(line(
            false,
            "No proxy has asked yet",
            "Set-up says of which applications.",
        )),
        proxies => lines.extend(proxies.iter().map(|(application, asked)| proxy(application, asked))),
    }
    if health.strangers > 0 {
        let refused = counted(i64::try_from(health.strangers).unwrap_or(i64::MAX), "question");
        lines.push(line(
            false,
            "Proxies were refused",
            format!("{refused} that no application could be found for; Applications says what would mend it."),
        ));
    }
    lines
}

fn line(ok: bool, title: impl Into<String>, note: impl Into<String>) -> HealthLine {
    HealthLine {
        ok,
        title: title.into(),
        note: note.into(),
        at: None,
    }
}

fn database(health: &Health) -> HealthLine {
    let millis = health.answered_in.as_micros() as f64 / 1000.0;
    line(
        true,
        format!("{} answers", health.database),
        format!("It told the time within {millis:.1} ms."),
    )
}

fn clock(health: &Health) -> HealthLine {
    let Some(ahead) = health.clock_ahead else {
        return line(
            true,
            "There is one clock",
            format!("{} has this machine's.", health.database),
        );
    };
    let millis = ahead.as_micros().saturating_abs() / 1000;
    if !health.clock_is_off() {
        return line(
            true,
            "The clocks agree",
            format!("This machine's and the database's, within {millis} ms."),
        );
    }
    let way = if ahead > Span::ZERO { "behind" } else { "ahead of" };
    line(
        false,
        format!(
            "This machine's clock is {}.{} s {way} the database's",
            millis / 1000,
            millis % 1000 / 100
        ),
        format!(
            "Sessions end by the database's time: beyond {} of difference this server is not ready. Let both be set from one source.",
            humanize(skew::MOST.as_secs())
        ),
    )
}

fn changes(health: &Health) -> HealthLine {
    let others = match i64::try_from(health.other_servers).unwrap_or(i64::MAX) {
        0 => "This server is the only one.".to_owned(),
        others => format!("{} on this database.", counted(others, "other server")),
    };
    if health.hears {
        line(true, "Changes are heard of at once", others)
    } else {
        let why = "Until the database announces them again, every decision asks it.";
        line(
            false,
            "Changes made elsewhere are not heard of",
            format!("{why} {others}"),
        )
    }
}

fn proxy(application: &str, asked: &Asked) -> HealthLine {
    let about = format!("{}, about {application}.", asked.dialect.proxies());
    let note = std::iter::once(about).chain(asked.lacks.iter().map(|lack| format!("{lack}.")));
    HealthLine {
        at: Some(asked.at),
        ..line(
            asked.lacks.is_empty(),
            format!("{} asks", asked.peer),
            note.collect::<Vec<_>>().join(" "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::forwarded::Dialect;
    use crate::domain::time::Timestamp;

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

    fn asked(lacks: &[&str]) -> (String, Asked) {
        let asked = Asked {
            at: Timestamp::from_micros(1),
            peer: [10, 0, 0, 7].into(),
            dialect: Dialect::AuthRequest,
            lacks: lacks.iter().map(|lack| (*lack).to_owned()).collect(),
        };
        ("wiki".to_owned(), asked)
    }

    /// The titles of warnings.
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
            "It told the time within 0.3 ms.",
            "This machine's and the database's, within 2 ms.",
            "This server is the only one.",
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
                .any(|line| line.title == "10.0.0.7 asks" && line.note == "nginx, about wiki.")
        );
    }

    #[test]
    fn a_clock_is_said_to_be_wrong_the_right_way_round() {
        for (micros, said) in [
            (5_260_000, "This machine's clock is 5.2 s behind the database's"),
            (-61_000_000, "This machine's clock is 61.0 s ahead of the database's"),
        ] {
            let off = Health {
                clock_ahead: Some(Span::from_micros(micros)),
                ..well()
            };
            assert_eq!(warned(&off), [said]);
        }
    }

    #[test]
    fn what_is_not_well_is_a_warning_each() {
        let deaf = Health { hears: false, ..well() };
        assert_eq!(warned(&deaf), ["Changes made elsewhere are not heard of"]);
        let unasked = Health {
            applications: 1,
            ..well()
        };
        assert_eq!(warned(&unasked), ["No proxy has asked yet"]);
        let lacking = Health {
            applications: 1,
            proxies: vec![asked(&["X-Forwarded-For: the header is missing"])],
            strangers: 3,
            ..well()
        };
        assert_eq!(warned(&lacking), ["10.0.0.7 asks", "Proxies were refused"]);
    }
}
