//! Lines that are appended, and lines that were cut off.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn lines_are_appended_to_whole_lines_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    write(&path, "one\n").unwrap();
    write(&path, "two\nthree\n").unwrap();
    assert_eq!(read(&path), "one\ntwo\nthree\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What a power failure left of a line.
    for torn in ["{\"id\":", &"x".repeat(CHUNK), &"x".repeat(3 * CHUNK + 5)] {
        std::fs::write(&path, format!("one\n{torn}")).unwrap();
        write(&path, "two\n").unwrap();
        assert_eq!(read(&path), "one\ntwo\n", "{}", torn.len());
    }
    std::fs::write(&path, "torn").unwrap();
    write(&path, "one\n").unwrap();
    assert_eq!(read(&path), "one\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    assert!(write(folder.path(), "one\n").is_err());
    assert!(write(&folder.path().join("missing/file"), "one\n").is_err());
}
