//! IBM's product-configmap, in every form in which people have it.

use nightlatch_domain::policy::{PolicyDocument, Scope, interchange::PolicyFormat};

use super::{faults, imported, onto, said};
use crate::{document, set};

const WHOLE: &str = include_str!("product-configmap.yaml");

/// Half an hour idle, two hours of renewal; administrators 0.25 and 0.1 hours.
fn expected() -> PolicyDocument {
    let mut expected = document(&[("auth.idle_session_timeout", "30m"), ("session.renewal_period", "2h")]);
    let own = [("auth.idle_session_timeout", "15m"), ("session.renewal_period", "6m")];
    set(&mut expected, &Scope::Administrators, &own);
    expected
}

#[test]
fn a_whole_config_map_is_read() {
    let came = imported(PolicyFormat::Ibm, WHOLE);
    assert_eq!(came.document, expected());
    let ignored = said(&came.ignored);
    assert_eq!(ignored.len(), 4, "{ignored:#?}");
    assert!(
        ignored[0].starts_with("line 8: CLOUD_TYPE: not a setting of the session policy"),
        "{ignored:#?}"
    );
    let notes = said(&came.notes);
    assert_eq!(
        notes,
        ["line 16: ADMIN_TOKEN_REFRESH_PERIOD: 0.1 hours: IBM recommends 1 to 24"]
    );
    assert!(!format!("{came:?}").contains("hunter2"));
}

#[test]
fn every_form_says_the_same() {
    let pairs = "TOKEN_EXPIRY_TIME: \"0.5\"\nADMIN_TOKEN_EXPIRY_TIME: .25\nTOKEN_REFRESH_PERIOD: '2'\nADMIN_TOKEN_REFRESH_PERIOD: |\n  0.1\n";
    let indented = pairs.replace('\n', "\n    ");
    let forms = [
        pairs.to_owned(),
        format!("# copied\r\n{}", pairs.replace('\n', "\r\n")),
        format!("data:\n    {indented}\n"),
        format!("---\nkind: Secret\n---\napiVersion: v1\ndata:\n    {indented}\n"),
        format!("apiVersion: v1\nkind: List\nitems:\n- kind: ConfigMap\n  data:\n    {indented}\n"),
        "TOKEN_EXPIRY_TIME=0.5\nADMIN_TOKEN_EXPIRY_TIME = \"0.25\"\n# a comment\nTOKEN_REFRESH_PERIOD='2.0'\nADMIN_TOKEN_REFRESH_PERIOD=0.1".to_owned(),
        r#"{"data":{"TOKEN_EXPIRY_TIME":"0.5","ADMIN_TOKEN_EXPIRY_TIME":"0.25","TOKEN_REFRESH_PERIOD":2,"ADMIN_TOKEN_REFRESH_PERIOD":0.1}}"#.to_owned(),
    ];
    for form in forms {
        let came = imported(PolicyFormat::Ibm, &form);
        assert_eq!(came.document, expected(), "{form}");
        assert!(came.ignored.is_empty(), "{form}");
    }
}

#[test]
fn an_absent_key_leaves_ours_and_is_reported() {
    let base = expected();
    let came = onto(
        &base,
        PolicyFormat::Ibm,
        "TOKEN_EXPIRY_TIME: '1'\nTOKEN_REFRESH_PERIOD: ''\nADMIN_TOKEN_EXPIRY_TIME:\n",
    );
    let mut changed = base;
    set(&mut changed, &Scope::Everyone, &[("auth.idle_session_timeout", "1h")]);
    assert_eq!(came.document, changed);
    assert_eq!(
        said(&came.notes),
        [
            "ADMIN_TOKEN_EXPIRY_TIME: not in the file: the current value stays; in IBM administrators then follow \
             everyone's value",
            "TOKEN_REFRESH_PERIOD: not in the file: the current value stays; IBM's default is 12 hours",
            "ADMIN_TOKEN_REFRESH_PERIOD: not in the file: the current value stays; in IBM administrators then follow \
             everyone's value",
        ]
    );
}

#[test]
fn the_recommended_hours_are_advice() {
    let warned = |name: &str, hours: &str| {
        let came = imported(PolicyFormat::Ibm, &format!("{name}: \"{hours}\""));
        came.notes.iter().any(|note| note.line == Some(1))
    };
    for (name, hours, outside) in [
        ("TOKEN_EXPIRY_TIME", "0.1", false),
        ("TOKEN_EXPIRY_TIME", "1", false),
        ("TOKEN_EXPIRY_TIME", "0.09", true),
        ("TOKEN_EXPIRY_TIME", "12", true),
        ("ADMIN_TOKEN_EXPIRY_TIME", "1.01", true),
        ("TOKEN_REFRESH_PERIOD", "1", false),
        ("TOKEN_REFRESH_PERIOD", "24", false),
        ("TOKEN_REFRESH_PERIOD", "0", true),
        ("ADMIN_TOKEN_REFRESH_PERIOD", "24.5", true),
    ] {
        assert_eq!(warned(name, hours), outside, "{name} {hours}");
    }
    let twice = imported(PolicyFormat::Ibm, "TOKEN_EXPIRY_TIME: 1\nTOKEN_EXPIRY_TIME: 0.5\n");
    assert!(said(&twice.notes)[0].starts_with("line 2: TOKEN_EXPIRY_TIME: given again"));
    assert_eq!(twice.document, document(&[("auth.idle_session_timeout", "30m")]));
}

#[test]
fn all_faults_come_at_once() {
    let text = "data:\n  TOKEN_EXPIRY_TIME: '0'\n  ADMIN_TOKEN_EXPIRY_TIME: '-1'\n  TOKEN_REFRESH_PERIOD: 12h\n  ADMIN_TOKEN_REFRESH_PERIOD: 87601\n";
    let faults = faults(PolicyFormat::Ibm, text);
    let expected = [
        (
            "TOKEN_EXPIRY_TIME = 0: must be more than 0; accepted: hours",
            "(line 2)",
        ),
        ("ADMIN_TOKEN_EXPIRY_TIME = -1: not a number of hours", "(line 3)"),
        ("TOKEN_REFRESH_PERIOD = 12h: not a number of hours", "(line 4)"),
        ("ADMIN_TOKEN_REFRESH_PERIOD = 87601: out of range", "(line 5)"),
    ];
    assert_eq!(faults.len(), 4, "{faults:#?}");
    for (fault, (begins, ends)) in faults.iter().zip(expected) {
        assert!(fault.starts_with(begins) && fault.ends_with(ends), "{fault}");
    }
    let endless = format!("TOKEN_EXPIRY_TIME: {}", "9".repeat(400));
    assert!(super::faults(PolicyFormat::Ibm, &endless)[0].contains("accepted"));
}

#[test]
fn invalid_yaml_is_refused_with_its_line() {
    for (text, says, line) in [
        ("a: 1\nb: [\n", "not YAML", 3),
        ("a: 'open\n", "not YAML", 1),
        ("? {a: b}\n: c\n", "a name is a text", 1),
        ("A=1\nB\n", "not a line of name = value", 2),
    ] {
        let faults = faults(PolicyFormat::Ibm, text);
        assert!(
            faults[0].contains(says) && faults[0].ends_with(&format!("(line {line})")),
            "{faults:?}"
        );
    }
    let deep = "[".repeat(100_000);
    assert!(!faults(PolicyFormat::Ibm, &deep).is_empty());
    let deep = "- ".repeat(100_000);
    assert!(faults(PolicyFormat::Ibm, &deep)[0].contains("nested too deeply"));
}
