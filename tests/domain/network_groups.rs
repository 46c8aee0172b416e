//! Network groups: what is accepted, which addresses are one network, and what an account is known
//! from.

use std::net::IpAddr;

use nightlatch_domain::{
    network::{known_network, same_session_network},
    network_groups::NetworkGroups,
    policy::{Key, PolicyDocument, Scope, Value},
};
use proptest::{prelude::*, sample::select};

use super::{document, policy, set};

const OFFICE: &str = "192.168.0.0/16, 203.0.113.9, 2001:db8:1::/48";
const VPN: &str = "198.51.100.0/28, 198.51.100.32/28";

fn groups(lines: &[&str]) -> NetworkGroups {
    NetworkGroups::parse(lines.iter().enumerate().map(|(place, line)| (place + 1, *line))).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn parsed(text: &str) -> Result<Value, String> {
    Key::SessionNetworkGroups.setting().parse(text)
}

#[test]
fn addresses_of_one_group_are_one_network_in_both_families() {
    let groups = groups(&[OFFICE, VPN]);
    for (a, b, same) in [
        ("192.168.7.1", "203.0.113.9", true),
        ("203.0.113.9", "192.168.255.255", true),
        ("192.168.7.1", "2001:db8:1:ffff::1", true),
        ("::ffff:192.168.7.1", "203.0.113.9", true),
        ("192.168.7.1", "203.0.113.10", false),
        ("192.168.7.1", "2001:db8:2::1", false),
        ("192.168.7.1", "198.51.100.1", false),
        ("198.51.100.15", "198.51.100.32", true),
        // By the prefix, as without groups.
        ("198.51.100.15", "198.51.100.16", true),
        ("10.0.0.1", "10.0.0.2", true),
        ("10.0.0.1", "10.0.1.1", false),
    ] {
        assert_eq!(groups.is_same_network(ip(a), ip(b), 24), same, "{a} {b}");
        assert_eq!(groups.is_same_network(ip(b), ip(a), 24), same, "{b} {a}");
    }
    assert!(!groups.is_same_network(ip("198.51.100.15"), ip("198.51.100.16"), 32));
}

#[test]
fn an_account_is_known_from_all_networks_of_a_group() {
    let groups = groups(&[OFFICE]);
    let lan = known_network(ip("192.168.7.1"));
    for (address, known) in [
        ("203.0.113.9", true),
        ("192.168.8.1", true),
        ("2001:db8:1::1", true),
        ("203.0.113.10", false),
        ("2001:db8:2::1", false),
    ] {
        assert_eq!(groups.is_known(ip(address), lan), known, "{address}");
    }
    assert!(groups.is_known(ip("192.168.7.1"), known_network(ip("203.0.113.9"))));
    assert!(!NetworkGroups::default().is_known(ip("192.168.8.1"), lan));
    assert!(NetworkGroups::default().is_known(ip("192.168.7.99"), lan));
}

#[test]
fn groups_are_written_one_a_line() {
    let lines = Value::List(vec![OFFICE.to_owned(), VPN.to_owned()]);
    let setting = Key::SessionNetworkGroups.setting();
    for text in [
        format!("{OFFICE}\n{VPN}"),
        format!("\n {OFFICE} \r\n\r\n{VPN}\n"),
        format!("{OFFICE}; {VPN}"),
    ] {
        assert_eq!(parsed(&text), Ok(lines.clone()), "{text:?}");
    }
    assert_eq!(setting.parse(&setting.input(&lines)), Ok(lines.clone()));
    assert_eq!(lines.to_string(), format!("{OFFICE}; {VPN}"));
    assert_eq!(setting.display(&lines), format!("{OFFICE}; {VPN}"));
    assert_eq!(parsed(" \n"), Ok(Value::List(Vec::new())));
    assert_eq!(setting.display(&Value::List(Vec::new())), "none");
}

#[test]
fn faults_name_the_line_and_the_value() {
    for (text, fault) in [
        ("10.0.0.0/33", "line 1: “10.0.0.0/33” is not an address or network"),
        (
            "10.0.0.0/8\n\nlan, 192.0.2.1",
            "line 3: “lan” is not an address or network",
        ),
        ("10.0.0.0/8\n, ,", "line 2: a group needs at least one network"),
        (
            "10.0.0.0/8\n10.1.0.0/16",
            "line 2: “10.1.0.0/16” overlaps 10.0.0.0/8 in line 1",
        ),
        (
            "10.1.0.0/16\n192.0.2.1, 10.0.0.0/8",
            "line 2: “10.0.0.0/8” overlaps 10.1.0.0/16 in line 1",
        ),
        (
            "192.0.2.1\n192.0.2.1",
            "line 2: “192.0.2.1” overlaps 192.0.2.1 in line 1",
        ),
        (
            "2001:db8::/32\n2001:db8:1::/48",
            "line 2: “2001:db8:1::/48” overlaps 2001:db8::/32 in line 1",
        ),
        (
            "10.0.0.1\n::ffff:10.0.0.1",
            "line 2: “10.0.0.1” overlaps 10.0.0.1 in line 1",
        ),
        (
            "10.0.0.0/8, 10.1.0.0/16\n10.1.2.0/24",
            "line 2: “10.1.2.0/24” overlaps 10.0.0.0/8 in line 1",
        ),
    ] {
        let told = parsed(text).unwrap_err();
        assert!(
            told.starts_with(&format!("{fault}; accepted: one group a line")),
            "{told}"
        );
    }
    let many: Vec<String> = (0..1001).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    assert!(parsed(&many[..1000].join(", ")).is_ok());
    assert!(
        parsed(&many.join("\n"))
            .unwrap_err()
            .starts_with("line 1001: more than 1000 networks")
    );
    // Within one group an overlap says the same twice, and families do not overlap.
    assert!(parsed("10.0.0.0/8, 10.1.0.0/16").is_ok());
    assert!(parsed("0.0.0.0/0\n::/0").is_ok());
}

#[test]
fn imported_groups_are_checked_like_typed_ones() {
    let json = serde_json::json!({ "everyone": { "session.network_groups": ["10.0.0.0/8", "10.1.0.0/16"] } });
    let faults = PolicyDocument::from_json(&json).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].message.contains("line 2: “10.1.0.0/16” overlaps"),
        "{faults:?}"
    );
    let json = serde_json::json!({ "everyone": { "session.network_groups": [OFFICE, VPN] } });
    let document = PolicyDocument::from_json(&json).unwrap();
    assert_eq!(document.to_json()["everyone"], json["everyone"]);
    assert_eq!(policy(document).network_groups(), &groups(&[OFFICE, VPN]));
    let mut document = PolicyDocument::default();
    let bad = Value::List(vec!["10.0.0.0/8".into(), "10.1.0.0/16".into()]);
    document.set(&Scope::Everyone, Key::SessionNetworkGroups, bad);
    assert!(policy(document).network_groups().is_empty(), "a fault groups nothing");
}

#[test]
fn a_group_of_the_whole_internet_is_warned_of() {
    let mut document = document(&[("session.network_groups", "10.0.0.0/8, 192.0.2.1")]);
    let warned = |document: &PolicyDocument| {
        let policy = policy(document.clone());
        let mut warnings = policy.document().warnings(policy.pins()).into_iter();
        warnings.any(|warning| warning.key == Key::SessionNetworkGroups)
    };
    assert!(!warned(&document));
    set(
        &mut document,
        &Scope::Everyone,
        &[("session.network_groups", "10.0.0.0/8, ::/0")],
    );
    assert!(warned(&document));
}

#[test]
fn wider_groups_cover_narrower_ones() {
    let narrow = groups(&["10.0.0.0/16, 192.0.2.1", "203.0.113.0/24"]);
    let wide = groups(&["10.0.0.0/8, 192.0.2.0/24, 203.0.113.0/24"]);
    assert!(narrow.is_covered_by(&wide) && narrow.is_covered_by(&narrow));
    assert!(!wide.is_covered_by(&narrow));
    assert!(NetworkGroups::default().is_covered_by(&narrow) && !narrow.is_covered_by(&NetworkGroups::default()));
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    let near = select(vec![
        "192.168.7.1",
        "192.168.8.1",
        "203.0.113.9",
        "203.0.113.10",
        "198.51.100.15",
        "198.51.100.16",
        "198.51.100.33",
        "2001:db8:1::1",
        "2001:db8:1:2::1",
        "2001:db8:2::1",
        "::ffff:203.0.113.9",
    ]);
    prop_oneof![
        near.prop_map(ip),
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ]
}

proptest! {
    #[test]
    fn groups_only_add_to_what_is_one_network(
        a in addresses(), b in addresses(), bits in select(vec![8_u8, 16, 24, 32]),
        lines in select(vec![vec![], vec![OFFICE], vec![OFFICE, VPN]])
    ) {
        let groups = groups(&lines);
        let same = groups.is_same_network(a, b, bits);
        prop_assert_eq!(same, groups.is_same_network(b, a, bits));
        prop_assert!(groups.is_same_network(a, a, bits));
        let together = groups.find_common(a, b).is_some();
        prop_assert_eq!(same, same_session_network(a, b, bits) || together);
        prop_assert_eq!(together, groups.find(a).is_some() && groups.find(a) == groups.find(b));
        // An account seen at one of two grouped addresses is known at the other.
        if together {
            prop_assert!(groups.is_known(a, known_network(b)) && groups.is_known(b, known_network(a)));
        }
        prop_assert!(groups.is_known(a, known_network(a)));
    }

    #[test]
    fn whatever_is_typed_as_groups_is_kept_or_refused(text in prop_oneof![
        any::<String>(),
        r"((10|11)\.[01]\.0\.0(/(8|16|24))?[,;\n ]{0,2}){0,6}",
    ]) {
        if let Ok(value) = parsed(&text) {
            let setting = Key::SessionNetworkGroups.setting();
            prop_assert_eq!(setting.check(&value), Ok(()));
            prop_assert_eq!(setting.parse(&setting.input(&value)), Ok(value));
        }
    }
}
