//! Policies in the formats of other products, and how each of their values is imported. TOML has
//! its own file.

mod bloomreach;
mod hue;
mod ibm;
mod json;

use nightlatch_domain::policy::{
    PolicyDocument, PolicyFault, Value,
    interchange::{self, FileComment, ImportedDocument, PolicyFormat},
};

/// Imports a file without faults.
fn imported(format: PolicyFormat, text: &str) -> ImportedDocument {
    onto(&PolicyDocument::default(), format, text)
}

fn onto(base: &PolicyDocument, format: PolicyFormat, text: &str) -> ImportedDocument {
    interchange::import(format, text, base).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// The faults as people read them.
fn faults(format: PolicyFormat, text: &str) -> Vec<String> {
    let faults = interchange::import(format, text, &PolicyDocument::default()).expect_err(text);
    faults.iter().map(PolicyFault::to_string).collect()
}

fn said(remarks: &[FileComment]) -> Vec<String> {
    remarks.iter().map(FileComment::to_string).collect()
}

/// The value that a file sets for everyone.
fn value(imported: &ImportedDocument, name: &str) -> Option<Value> {
    let key = nightlatch_domain::policy::Key::parse(name).unwrap_or_else(|| panic!("no setting {name}"));
    imported.document.everyone.get(&key).cloned()
}

#[test]
fn each_format_has_a_word_that_is_read_again() {
    for format in PolicyFormat::ALL {
        assert_eq!(PolicyFormat::parse(format.as_str()), Some(format));
        assert!(!format.label().is_empty());
    }
    assert_eq!(PolicyFormat::parse("yaml"), None);
    for format in PolicyFormat::ALL {
        let written = interchange::export(format, &PolicyDocument::default()).is_some();
        assert_eq!(written, PolicyFormat::WRITTEN.contains(&format), "{format:?}");
    }
}

#[test]
fn a_format_is_known_by_name_and_content() {
    let cases = [
        ("p.toml", "[everyone]\n", Some(PolicyFormat::Toml)),
        ("p.json", "{}", Some(PolicyFormat::Json)),
        ("HUE.INI", "", Some(PolicyFormat::Hue)),
        (
            "",
            "\u{feff}# a comment\n[desktop]\n[[auth]]\n",
            Some(PolicyFormat::Hue),
        ),
        ("safety_valve.txt", "  [[session]]\n  ttl=5", Some(PolicyFormat::Hue)),
        ("", "[useradmin]\n", Some(PolicyFormat::Hue)),
        (
            "",
            "# Nightlatch policy\n\n[administrators]\n",
            Some(PolicyFormat::Toml),
        ),
        ("", "[app.wiki]\n", Some(PolicyFormat::Toml)),
        ("", "everyone.session.ttl = 5\n", Some(PolicyFormat::Toml)),
        ("", " {\"everyone\":{}}", Some(PolicyFormat::Json)),
        (
            "cm.yaml",
            "kind: ConfigMap\ndata:\n  TOKEN_EXPIRY_TIME: '1'\n",
            Some(PolicyFormat::Ibm),
        ),
        (
            "cm.json",
            "{\"data\":{\"ADMIN_TOKEN_REFRESH_PERIOD\":\"1\"}}",
            Some(PolicyFormat::Ibm),
        ),
        ("", "/hippo:configuration:\n", Some(PolicyFormat::Bloomreach)),
        (
            "root.yaml",
            "/root:\n  max.inactive.interval.minutes: 5\n",
            Some(PolicyFormat::Bloomreach),
        ),
        ("notes.txt", "hello", None),
        ("", "", None),
    ];
    for (name, text, format) in cases {
        assert_eq!(PolicyFormat::guess(name, text), format, "{name} {text}");
    }
}
