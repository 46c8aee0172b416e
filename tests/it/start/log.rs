//! The server's log as JSON lines.

use crate::harness::program::Program;
use serde_json::Value;

#[test]
fn each_line_of_the_log_is_a_json_object_when_the_operator_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Program::serve(dir.path(), &[("NIGHTLATCH_LOG_FORMAT", "json")]);
    let address = server.base.clone();
    let log = server.log(dir.path());
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 3, "{log}");
    for line in &lines {
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let serving = format!("serving {address}");
    assert!(lines.iter().any(|line| line["message"] == serving.as_str()), "{log}");
    assert!(server.terminate().success());
}
