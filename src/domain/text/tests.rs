//! Tests of [`super`].

use super::*;

#[test]
fn an_escaped_text_is_one_line_and_an_escaped_json_means_the_same() {
    let evil = "eve\r\n\u{61c}\u{2028}\u{202e}\u{1b}[31m\u{7f}\u{e0041}";
    assert!(!escape_invisible(evil).chars().any(is_invisible));
    let json = serde_json::json!({ "account": evil });
    let escaped = escape_json(&json.to_string());
    assert!(escaped.is_ascii(), "{escaped}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).ok(), Some(json));
}

#[test]
fn a_strangers_text_is_one_short_line_without_a_link() {
    let evil = "admin\r\n\r\nOpen https://evil.example/ “now” \u{202e}";
    let quoted = quote_stranger(evil);
    assert!(!quoted.chars().any(is_invisible), "{quoted}");
    assert!(
        !quoted.contains("://") && quoted.matches(['“', '”']).count() == 2,
        "{quoted}"
    );
    assert_eq!(quote_stranger("ada"), "“ada”");
    assert_eq!(quote_stranger(&"x".repeat(500)).chars().count(), 63);
}

#[test]
fn folding_is_normal_form_without_case() {
    for (text, folded) in [
        ("ADA", "ada"),
        ("Straße", "strasse"),
        ("ＡＤＡ", "ada"),
        ("E\u{301}", "\u{e9}"),
        ("ǅ", "ǆ"),
    ] {
        assert_eq!(fold(text), fold(&fold(text)));
        assert_eq!(fold(text), normalize(folded).to_lowercase(), "{text}");
    }
}
