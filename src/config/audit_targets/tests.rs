//! Tables of targets, and what is wrong with them.

use super::*;

fn read(toml: &str) -> (Vec<AuditTarget>, Vec<String>) {
    let table: toml::Table = toml.parse().unwrap();
    let mut faults = Vec::new();
    let targets = read_audit_targets(&table["audit_targets"], &mut faults);
    (targets, faults)
}

#[test]
fn targets_of_each_kind_with_their_defaults() {
    let secret = "s".repeat(32);
    let (targets, faults) = read(&format!(
        "[audit_targets.disk]\nkind = 'file'\npath = '/var/log/audit.jsonl'\n\
         [audit_targets.hook]\nkind = 'webhook'\nurl = 'https://siem.example.org/in?key=1'\nsecret = '{secret}'\n\
         format = 'ocsf'\n\
         [audit_targets.siem]\nkind = 'syslog'\naddress = 'tls://logs.example.org'\nfrom = 'now'\nfacility = 'local3'\n\
         enterprise_number = 99\nhostname = 'gate'\n"
    ));
    assert_eq!(faults, [""; 0]);
    let [disk, hook, siem] = targets.as_slice() else {
        panic!("{targets:?}");
    };
    assert_eq!((disk.format, disk.start), (RecordFormat::Json, ShippingStart::Oldest));
    assert_eq!(disk.kind.describe_address(), "/var/log/audit.jsonl");
    assert_eq!((hook.name.as_str(), hook.format), ("hook", RecordFormat::Ocsf));
    assert_eq!(hook.kind.describe_address(), "https://siem.example.org");
    assert!(!format!("{hook:?}").contains(&secret));
    assert_eq!(siem.start, ShippingStart::Now);
    let TargetKind::Syslog(syslog) = &siem.kind else {
        panic!("{siem:?}");
    };
    assert_eq!((syslog.facility.number(), syslog.enterprise_number), (19, 99));
    assert_eq!(syslog.hostname.as_deref(), Some("gate"));
    assert_eq!(siem.kind.describe_address(), "tls://logs.example.org:6514");
}

/// A table of a target, and the fault that it has.
const FAULTS: &[(&str, &str)] = &[
    ("kind = 'kafka'", "kind must be syslog, webhook or file"),
    ("kind = 'file'", "path must be the path of a file"),
    (
        "kind = 'file'\npath = 'x'\nformat = 'xml'",
        "format must be json or ocsf",
    ),
    (
        "kind = 'file'\npath = 'x'\nfrom = 'never'",
        "from must be oldest or now",
    ),
    (
        "kind = 'file'\npath = 'x'\nurl = 'y'",
        "url is not a setting of this kind of target",
    ),
    ("kind = 'file'\npath = ['x']", "path must be text or a number"),
    (
        "kind = 'syslog'\naddress = 'logs:514'",
        "address must be tls://HOST, tls://HOST:PORT or tcp://HOST:PORT",
    ),
    (
        "kind = 'syslog'\naddress = 'tls://logs'\nfacility = 'kern'",
        "facility must be user, daemon, auth, authpriv or local0 to local7",
    ),
    (
        "kind = 'syslog'\naddress = 'tls://logs'\nenterprise_number = 0",
        "enterprise_number must be a private enterprise number",
    ),
    (
        "kind = 'syslog'\naddress = 'tls://logs'\nhostname = 'a b'",
        "hostname must be a name in ASCII without spaces",
    ),
    (
        "kind = 'syslog'\naddress = 'tls://logs'\nca_file = '/nowhere'",
        "ca_file = \"/nowhere\": No such file or directory (os error 2)",
    ),
    (
        "kind = 'syslog'\naddress = 'tcp://logs:514'\nca_file = '/dev/null'",
        "address must begin with tls:// to use certificates",
    ),
    (
        "kind = 'syslog'\naddress = 'tls://logs'\nkey_file = '/dev/null'",
        "certificate_file and key_file belong together",
    ),
    (
        "kind = 'syslog'\naddress = 'tls://logs'\nclose_notify = 'no'",
        "close_notify must be required or optional",
    ),
    (
        "kind = 'webhook'\nurl = 'ftp://x'\nsecret = '0123456789012345678901234567890123456789'",
        "url must be an https:// or http:// address",
    ),
    (
        "kind = 'webhook'\nurl = 'https://x'\nsecret = 'hunter2'",
        "secret or secret_file must have 32 characters or more",
    ),
    (
        "kind = 'webhook'\nurl = 'https://x'",
        "secret or secret_file must have 32 characters or more",
    ),
    (
        "kind = 'webhook'\nurl = 'https://x'\nsecret_file = '/nowhere'",
        "secret_file = \"/nowhere\": No such file or directory (os error 2)",
    ),
    (
        "kind = 'webhook'\nurl = 'https://x'\nsecret = 'hunter2'\nsecret_file = '/nowhere'",
        "secret is given twice: as secret and as secret_file",
    ),
];

#[test]
fn each_fault_names_the_target_and_the_key_and_no_secret() {
    for (toml, expected) in FAULTS {
        let (targets, faults) = read(&format!("[audit_targets.siem]\n{toml}\n"));
        assert_eq!(faults, [format!("[audit_targets.siem] {expected}")], "{toml}");
        assert!(targets.is_empty() && !faults[0].contains("hunter2"));
    }
    let (_, faults) = read("audit_targets = 'x'");
    assert_eq!(
        faults,
        ["audit_targets: write a table for each target, such as [audit_targets.siem]"]
    );
    let (_, faults) = read("[audit_targets]\nSIEM = 1");
    assert_eq!(faults, ["[audit_targets.SIEM] must be a table"]);
    let (_, faults) = read("[audit_targets.SIEM]\nkind = 'file'\npath = 'x'");
    assert!(faults[0].starts_with("[audit_targets.SIEM] is not accepted: a target's name has"));
}
