//! `/admin/policy/export`: the policy in force as a file.

use crate::harness::server::TestServer;
use nightlatch::{
    domain::policy::{
        PolicyDocument,
        interchange::{PolicyFormat, import},
    },
    flows::policy::in_force,
};

#[test]
fn each_format_is_a_download_that_is_read_again() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("session.ttl", "1h"), ("auth.login_cooloff_time", "never")]);
    let policy = boss.get("/admin/policy").expect(200);
    for (format, ending, media_type) in [
        (PolicyFormat::Hue, "ini", "text/plain; charset=utf-8"),
        (PolicyFormat::Toml, "toml", "application/toml; charset=utf-8"),
        (PolicyFormat::Json, "json", "application/json"),
    ] {
        let path = format!("/admin/policy/export?format={}", format.as_str());
        assert!(policy.text().contains(&format!("href=\"{path}\"")), "{path}");
        let file = boss.get(&path).expect(200);
        assert_eq!(file.header("content-type"), Some(media_type));
        let disposition = file.header("content-disposition").unwrap();
        assert!(
            disposition.starts_with("attachment; filename=\"nightlatch-policy-")
                && disposition.ends_with(&format!(".{ending}\"")),
            "{disposition}"
        );
        let read = import(format, file.text(), &PolicyDocument::default()).unwrap();
        let current = server.run(in_force(&server.ctx)).unwrap().revision.document;
        assert_eq!(read.document, current, "{format:?}");
    }
    let default = boss.get("/admin/policy/export").expect(200);
    assert_eq!(default.header("content-type"), Some("application/toml; charset=utf-8"));
}

#[test]
fn import_only_and_unknown_formats_are_refused() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    for format in ["ibm", "bloomreach", "yaml", "%3Cb%3E"] {
        let refused = boss.get(&format!("/admin/policy/export?format={format}")).expect(400);
        assert!(refused.text().contains("hue, toml or json"), "{format}");
        assert!(!refused.text().contains("<b>"));
    }
}
