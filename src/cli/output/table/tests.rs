//! Tests of [`super`].

use super::Table;

#[test]
fn columns_align_by_displayed_width() {
    let mut table = Table::new(&["NAME", "ROLE"]);
    for name in ["ada", "山田太郎", "e\u{301}ve", "a\nb"] {
        table.add_row([name.to_owned(), "member".to_owned()]);
    }
    let lines: Vec<String> = table.lines().collect();
    assert_eq!(
        lines,
        [
            "NAME      ROLE",
            "ada       member",
            "山田太郎  member",
            "e\u{301}ve       member",
            "a\\u{a}b   member"
        ]
    );
}
