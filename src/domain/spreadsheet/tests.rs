//! Tests of [`super`].

use super::*;

fn cells(text: &[u8]) -> Vec<(usize, Vec<String>)> {
    rows(text)
        .expect("a table")
        .into_iter()
        .map(|row| (row.line, row.cells))
        .collect()
}

fn row(line: usize, cells: &[&str]) -> (usize, Vec<String>) {
    (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
}

#[test]
fn tables_are_read_as_programs_write_them() {
    let wanted = vec![row(1, &["name", "email"]), row(2, &["ada", "a@example.org"])];
    let wide = |little: bool| {
        let text = "\u{feff}name\temail\r\nada\ta@example.org\r\n";
        let units = text.encode_utf16();
        units
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect::<Vec<u8>>()
    };
    for text in [
        "name,email\nada,a@example.org".as_bytes(),
        "name,email\r\nada,a@example.org\r\n".as_bytes(),
        "\u{feff}name;email\r\nada;a@example.org\r\n".as_bytes(),
        "name\temail\rada\ta@example.org\r".as_bytes(),
        "\"name\";\"email\"\n\"ada\";\"a@example.org\"\n;\n\n".as_bytes(),
        &wide(true),
        &wide(false),
    ] {
        assert_eq!(cells(text), wanted, "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(
        cells(b"sep=|\r\nname|email\r\n\r\nada|"),
        [row(2, &["name", "email"]), row(4, &["ada", ""])]
    );
    assert_eq!(cells(b""), []);
}

#[test]
fn quotes_hold_separators_quotes_and_line_ends_and_lines_are_still_counted() {
    assert_eq!(
        cells(b"name,note\r\nada,\"one, \"\"two\"\"\r\nthree\"\r\nbob,5\" tall\r\n"),
        [
            row(1, &["name", "note"]),
            row(2, &["ada", "one, \"two\"\nthree"]),
            row(4, &["bob", "5\" tall"])
        ]
    );
}

#[test]
fn a_malformed_table_is_refused_with_its_line() {
    for (bytes, line, words) in [
        (&b"name\nada\n\"bob\ncarl\n"[..], 3, "never ends"),
        (b"name\nK\xe4the\n", 2, "CSV UTF-8"),
        (b"\xff\xfen\x00\x00\xd8", 1, "CSV UTF-8"),
        (b"PK\x03\x04....", 1, "workbook"),
    ] {
        let error = rows(bytes).expect_err("no table");
        assert_eq!(error.line, line);
        assert!(error.why.contains(words), "{error}");
    }
}

#[test]
fn a_guarded_cell_is_never_run_and_reads_back() {
    for text in [
        "=1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''=1", "'", "''", "'quoted'", "plain", "",
    ] {
        let cell = guarded(text);
        assert!(!cell.starts_with(RISKY), "{text:?}");
        assert_eq!(unguarded(&cell), text);
    }
}
