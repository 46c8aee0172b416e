//! Policies in the formats of other products, and what each of their words becomes. TOML has its own file.

mod bloomreach;
mod hue;
mod ibm;
mod json;

use nightlatch::domain::policy::{
    Fault, PolicyDocument, Value,
    interchange::{self, Format, Imported, Remark},
};

/// What a file without faults comes to.
fn imported(format: Format, text: &str) -> Imported {
    onto(&PolicyDocument::default(), format, text)
}

fn onto(base: &PolicyDocument, format: Format, text: &str) -> Imported {
    interchange::import(format, text, base).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// The faults as people read them.
fn faults(format: Format, text: &str) -> Vec<String> {
    let faults = interchange::import(format, text, &PolicyDocument::default()).expect_err(text);
    faults.iter().map(Fault::to_string).collect()
}

fn said(remarks: &[Remark]) -> Vec<String> {
    remarks.iter().map(Remark::to_string).collect()
}

/// The value that a file sets for everyone.
fn value(imported: &Imported, name: &str) -> Option<Value> {
    let key = nightlatch::domain::policy::Key::parse(name).unwrap_or_else(|| panic!("no setting {name}"));
    imported.document.everyone.get(&key).cloned()
}

#[test]
fn each_format_has_a_word_that_is_read_again() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
        assert!(!format.label().is_empty());
    }
    assert_eq!(Format::parse("yaml"), None);
    for format in Format::ALL {
        let written = interchange::export(format, &PolicyDocument::default()).is_some();
        assert_eq!(written, Format::WRITTEN.contains(&format), "{format:?}");
    }
}

#[test]
fn a_format_is_known_by_name_and_content() {
    let cases = [
        ("p.toml", "[everyone]\n", Some(Format::Toml)),
        ("p.json", "{}", Some(Format::Json)),
        ("HUE.INI", "", Some(Format::Hue)),
        ("", "\u{feff}# a comment\n[desktop]\n[[auth]]\n", Some(Format::Hue)),
        ("safety_valve.txt", "  [[session]]\n  ttl=5", Some(Format::Hue)),
        ("", "[useradmin]\n", Some(Format::Hue)),
        ("", "# Nightlatch policy\n\n[administrators]\n", Some(Format::Toml)),
        ("", "[app.wiki]\n", Some(Format::Toml)),
        ("", "everyone.session.ttl = 5\n", Some(Format::Toml)),
        ("", " {\"everyone\":{}}", Some(Format::Json)),
        (
            "cm.yaml",
            "kind: ConfigMap\ndata:\n  TOKEN_EXPIRY_TIME: '1'\n",
            Some(Format::Ibm),
        ),
        (
            "cm.json",
            "{\"data\":{\"ADMIN_TOKEN_REFRESH_PERIOD\":\"1\"}}",
            Some(Format::Ibm),
        ),
        ("", "/hippo:configuration:\n", Some(Format::Bloomreach)),
        (
            "root.yaml",
            "/root:\n  max.inactive.interval.minutes: 5\n",
            Some(Format::Bloomreach),
        ),
        ("notes.txt", "hello", None),
        ("", "", None),
    ];
    for (name, text, format) in cases {
        assert_eq!(Format::guess(name, text), format, "{name} {text}");
    }
}
