//! What operators see: the page, the overview, the metrics, the commands.

use super::{seal, target};
use crate::harness::{
    program,
    server::{On, TestServer, eventually},
};

#[test]
fn without_targets_the_page_says_how_to_have_one() {
    let server = TestServer::start();
    let page = server.admin("ada").get("/admin/audit/targets").expect(200);
    assert!(page.text().contains("[audit_targets.NAME]"));
    server.member("bob").get("/admin/audit/targets").expect(403);
}

#[test]
fn shipped_entries_are_verified_where_they_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let table = format!(
        "[audit_targets.disk]\nkind = \"file\"\npath = {:?}\n",
        path.display().to_string()
    );
    let server = TestServer::on(On::Sqlite).file(&table).start();
    server.admin("ada");
    let entries = seal(&server);
    eventually("everything is written", || target(&server).waiting == 0);
    let verify = |more: &[&str]| {
        let arguments = [&["audit", "verify", "--file", "audit.jsonl"], more].concat();
        program::run(folder.path(), &[], &arguments)
    };
    let done = verify(&[]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(text.starts_with(&format!(
        "{entries} entries under the seals 1 to 1, complete and unchanged."
    )));
    let digest = text.trim().rsplit(' ').next().unwrap();
    assert!(verify(&["--noted", digest]).status.success());
    assert_eq!(verify(&["--noted", "00"]).status.code(), Some(1));
    assert!(!folder.path().join("nightlatch.db").exists(), "it needs no database");

    let lines = std::fs::read_to_string(&path).unwrap();
    let (first, rest) = lines.split_once('\n').unwrap();
    std::fs::write(&path, rest).unwrap();
    let done = verify(&[]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("entries are missing"));
    std::fs::write(&path, format!("{}\n{rest}", first.replace("success", "failure"))).unwrap();
    assert_eq!(verify(&["--json"]).status.code(), Some(1));
}
