//! Tests of [`super`].

use super::*;

#[test]
fn every_file_names_this_installation_and_no_example() {
    let names = SnippetValues {
        own_url: "https://id.acme.test/".to_owned(),
        own_host: "id.acme.test".to_owned(),
        bind: "10.0.0.2:9000".to_owned(),
        cookie_name: "acme".to_owned(),
        cookie_domain: None,
        address: "wiki-docs.acme.test:8443".to_owned(),
        host: host_of("wiki-docs.acme.test:8443").to_owned(),
        name: "docs".to_owned(),
    };
    for (proxy, _, text) in FILES {
        let text = insert_includes(text);
        let filled = names.fill(&text);
        assert!(!filled.contains("include nightlatch/"), "{proxy}: it stands alone");
        assert!(!filled.contains("/etc/nginx/nightlatch"), "{proxy}: it stands alone");
        assert!(!filled.contains("example.org"), "{proxy}");
        if !text.contains("example.org") {
            assert_eq!(filled, text, "{proxy}: the script is the same everywhere");
            continue;
        }
        for word in [
            "id.acme.test",
            "wiki-docs.acme.test",
            "docs --host wiki-docs.acme.test:8443",
        ] {
            assert!(filled.contains(word), "{proxy}: {word}");
        }
        assert!(
            filled.contains("10.0.0.2:9000") || filled.contains("port_value: 9000"),
            "{proxy}: where we listen"
        );
        assert!(!filled.contains("8080"), "{proxy}: no example port");
        assert_eq!(
            filled.matches(":8443").count(),
            1,
            "{proxy}: proxies compare hosts without a port"
        );
        assert_eq!(
            text.contains("nightlatch(?:-handover|-factor)?"),
            filled.contains("acme(?:-handover|-factor)?"),
            "{proxy}"
        );
    }
}
