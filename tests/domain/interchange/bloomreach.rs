//! Bloomreach's active logout, from the Console, the repository's files and lines.

use nightlatch_domain::policy::{PolicyDocument, Scope, interchange::PolicyFormat};

use super::{faults, imported, onto, said};
use crate::{document, set};

const EXPORT: &str = include_str!("hippo-frontend.yaml");

fn applications(idle: &[(&str, &str)]) -> PolicyDocument {
    let mut document = PolicyDocument::default();
    for (name, idle) in idle {
        set(
            &mut document,
            &Scope::Application((*name).into()),
            &[("auth.idle_session_timeout", idle)],
        );
    }
    document
}

#[test]
fn an_export_of_the_console_is_read() {
    let came = imported(PolicyFormat::Bloomreach, EXPORT);
    assert_eq!(came.document, applications(&[("cms", "15m"), ("console", "0")]));
    let ignored = said(&came.ignored);
    assert!(
        ignored
            .iter()
            .any(|said| said.contains("pinger.interval: ") && said.contains("activity.ignored_paths"))
    );
    assert!(
        ignored
            .iter()
            .any(|said| said.contains("/logout/max.inactive.interval.minutes: Bloomreach reads it only"))
    );
    assert!(ignored.iter().any(|said| said.contains("/root/plugin.class: ")));
    assert!(!ignored.iter().any(|said| said.contains("jcr:primaryType")));
    let notes = said(&came.notes);
    assert!(
        notes
            .iter()
            .any(|said| said.contains("applies to Application cms as soon as")),
        "{notes:#?}"
    );
}

#[test]
fn every_form_says_the_same() {
    let property = "max.inactive.interval.minutes";
    let forms = [
        format!("/hippo:configuration/hippo:frontend/cms/cms-static/root/{property} = 15"),
        format!("# lines\n\n/hippo:configuration/hippo:frontend/cms/cms-static/root/{property}=\"15\"\r\n"),
        format!("/hippo:configuration/hippo:frontend/cms/cms-static/root/{property}: 15"),
        format!(
            "/hippo:configuration:\n  /hippo:frontend:\n    /cms:\n      /cms-static:\n        /root:\n          {property}: '15'\n"
        ),
        format!(
            "definitions:\n  config:\n    /hippo:configuration/hippo:frontend/cms/cms-static/root:\n      {property}: 15\n"
        ),
        format!(
            "definitions:\n  config:\n    /hippo:configuration/hippo:frontend/cms/cms-static/root:\n      {property}:\n        type: string\n        value: '15'\n"
        ),
        format!("/cms-static:\n  /root:\n    {property}: 15\n"),
        format!("/cms:\n  /cms-static:\n    /root:\n      {property}: 15\n"),
    ];
    for form in forms {
        let came = imported(PolicyFormat::Bloomreach, &form);
        assert_eq!(came.document, applications(&[("cms", "15m")]), "{form}");
    }
    let own = format!("/hippo:configuration/hippo:frontend/authoring/x/root/{property} = 1");
    assert_eq!(
        imported(PolicyFormat::Bloomreach, &own).document,
        applications(&[("authoring", "1m")])
    );
}

#[test]
fn an_absent_or_empty_value_leaves_ours_and_is_reported() {
    let mut base = applications(&[("cms", "5m"), ("wiki", "9m")]);
    set(&mut base, &Scope::Everyone, &[("session.ttl", "1h")]);
    let text = "/console/console/root:\n  max.inactive.interval.minutes: 20\n/cms-static/root:\n  max.inactive.interval.minutes: ''\n";
    let came = onto(&base, PolicyFormat::Bloomreach, text);
    let mut expected = base;
    let console = Scope::Application("console".into());
    set(&mut expected, &console, &[("auth.idle_session_timeout", "20m")]);
    assert_eq!(came.document, expected);
    assert!(
        said(&came.notes).contains(
            &"cms: max.inactive.interval.minutes is not in the file: the current value stays; Bloomreach's default is \
            30"
            .to_owned()
        )
    );
    let nothing = imported(PolicyFormat::Bloomreach, "");
    assert_eq!((nothing.document, nothing.notes.len()), (document(&[]), 2));
}

#[test]
fn all_faults_come_at_once() {
    let text = "/a/root/max.inactive.interval.minutes = -5\n/b/root/max.inactive.interval.minutes = 1.5\n/root/max.inactive.interval.minutes = 5\n/c/root/max.inactive.interval.minutes = 5256001\n/c d/root/max.inactive.interval.minutes = 5\nnothing\n";
    let lines = faults(PolicyFormat::Bloomreach, text);
    assert_eq!(lines, ["not a line of name = value (line 6)"]);
    let faults = faults(PolicyFormat::Bloomreach, text.trim_end_matches("nothing\n"));
    let expected = [
        (
            "/a/root/max.inactive.interval.minutes = -5: out of range; accepted: whole minutes, 0",
            1,
        ),
        (
            "/b/root/max.inactive.interval.minutes = 1.5: not a whole number; accepted",
            2,
        ),
        (
            "/root/max.inactive.interval.minutes = 5: the path does not say which application",
            3,
        ),
        ("/c/root/max.inactive.interval.minutes = 5256001: out of range", 4),
        ("/c d/root/max.inactive.interval.minutes = 5: unknown scope", 5),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, (begins, line)) in faults.iter().zip(expected) {
        assert!(
            fault.starts_with(begins) && fault.ends_with(&format!("(line {line})")),
            "{fault}"
        );
    }
}
