//! Which application an address belongs to, who may enter it, and which addresses have one reading
//! only.

use nightlatch_domain::{
    account::Role,
    application::{
        AddressMatch, Application, ApplicationFields, Applications, Host, RequestTarget, TargetError, canonical_path,
    },
};
use proptest::prelude::*;

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn typed(name: &str, hosts: &[&str], prefixes: &[&str]) -> ApplicationFields {
    ApplicationFields {
        name: name.to_owned(),
        hosts: texts(hosts),
        prefixes: texts(prefixes),
        ..ApplicationFields::default()
    }
}

fn application(name: &str, hosts: &[&str], prefixes: &[&str]) -> Application {
    typed(name, hosts, prefixes).check().unwrap()
}

fn place(applications: &Applications, address: &str) -> String {
    match applications.matching(&RequestTarget::of_url(address).unwrap(), "GET") {
        AddressMatch::Unknown => "unknown".to_owned(),
        AddressMatch::NotCanonical => "not canonical".to_owned(),
        AddressMatch::Public(application) => format!("public {}", application.name),
        AddressMatch::Guarded(application) => application.name.clone(),
    }
}

#[test]
fn a_public_path_may_name_a_method() {
    let public = ["OPTIONS /api/*", "  options   /other/*", "/healthz"];
    let wiki = ApplicationFields {
        public: texts(&public),
        ..typed("wiki", &["wiki.example.org"], &[])
    };
    let wiki = wiki.check().unwrap();
    assert_eq!(wiki.public, ["/healthz", "OPTIONS /api/*", "OPTIONS /other/*"]);
    let applications = Applications::new(vec![wiki]);
    let is_public = |method: &str, path: &str| {
        let target = RequestTarget::of_parts("https", "wiki.example.org", path).unwrap();
        matches!(applications.matching(&target, method), AddressMatch::Public(_))
    };
    for (method, path) in [
        ("OPTIONS", "/api/x"),
        ("OPTIONS", "/other/x"),
        ("GET", "/healthz"),
        ("POST", "/healthz"),
    ] {
        assert!(is_public(method, path), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/api/x"),
        ("options", "/api/x"),
        ("OPTIONS", "/apix"),
        ("OPTIONS", "/"),
    ] {
        assert!(!is_public(method, path), "{method} {path}");
    }
    for (odd, why) in [
        ("FOO /api/*", "FOO is not a method"),
        ("OPTIONS /api/*, /x", "without commas"),
    ] {
        let odd = ApplicationFields {
            public: texts(&[odd]),
            ..typed("wiki", &["wiki.example.org"], &[])
        };
        assert!(odd.check().unwrap_err()[0].1.contains(why), "{why}");
    }
    for odd in [
        "OPTIONS",
        "OPTIONS api",
        "O(T /x",
        "* /x",
        "OPTIONS  ",
        "x/y /z",
        "FOO /api/*",
        "OPTIONS /api/*, /x",
        "/api/*,/x",
    ] {
        let odd = ApplicationFields {
            public: texts(&[odd]),
            ..typed("wiki", &["wiki.example.org"], &[])
        };
        assert_eq!(odd.check().unwrap_err()[0].0, "public");
    }
}

#[test]
fn hosts_are_compared_in_one_form() {
    for (typed, shown) in [
        ("Wiki.Example.ORG", "wiki.example.org"),
        (" wiki.example.org. ", "wiki.example.org"),
        ("wiki.example.org.:8443", "wiki.example.org:8443"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("ＷＩＫＩ.example", "wiki.example"),
        ("[2001:DB8:0::1]:80", "[2001:db8::1]:80"),
        ("192.0.2.7", "192.0.2.7"),
        ("localhost:3000", "localhost:3000"),
    ] {
        assert_eq!(Host::parse(typed).unwrap().to_string(), shown, "{typed}");
    }
    for odd in [
        "",
        ":80",
        "*.example.org",
        "https://wiki",
        "wiki/x",
        "ada@wiki",
        "wiki:0",
        "wiki:65536",
        "wiki:8o",
        "wiki:1:2",
        "wi ki",
        "wiki%2eexample",
        "[::1",
        "[::1]x",
        "a..b",
        ".",
        "..",
        "wiki\\x",
        "wiki?",
        "wiki#",
    ] {
        assert!(Host::parse(odd).is_err() || odd == "{odd:?}");
    }
}

#[test]
fn all_faults_of_an_application_are_listed_together() {
    let wrong = ApplicationFields {
        name: "two words".to_owned(),
        hosts: texts(&["*", "wiki"]),
        prefixes: texts(&["wiki", "/a/../b", "/ok"]),
        groups: texts(&["a,b"]),
        public: texts(&["healthz"]),
        ..ApplicationFields::default()
    };
    let fields: Vec<&str> = wrong.check().unwrap_err().iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, ["name", "hosts", "prefixes", "prefixes", "groups", "public"]);
    let fields: Vec<&str> = typed("", &[" "], &[])
        .check()
        .unwrap_err()
        .iter()
        .map(|(field, _)| *field)
        .collect();
    assert_eq!(fields, ["name", "hosts"]);
    for name in [".", "..", "a\u{200b}", "", &"x".repeat(65)] {
        assert!(typed(name, &["h"], &[]).check().is_err(), "{name:?}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("h{n}.example")).collect();
    let many = ApplicationFields {
        hosts: many,
        ..typed("many", &[], &[])
    };
    assert_eq!(many.check().unwrap_err(), [("hosts", "At most 32 of them.".to_owned())]);
}

#[test]
fn typed_lists_are_stored_sorted_without_duplicates_in_one_form() {
    let wiki = ApplicationFields {
        roles: vec![Role::Administrator, Role::Member, Role::Member],
        ..typed(
            "wiki",
            &["b.example", "A.example.", "a.example"],
            &["/wiki/", "/wiki", "/%77iki", "/a b"],
        )
    };
    let wiki = wiki.check().unwrap();
    assert_eq!(
        ApplicationFields::from_application(&wiki).hosts,
        ["a.example", "b.example"]
    );
    assert_eq!(wiki.prefixes, ["/a b", "/wiki"]);
    assert_eq!(wiki.roles, [Role::Member, Role::Administrator]);
    assert_eq!(
        ApplicationFields::from_application(&wiki).check().unwrap(),
        wiki,
        "reading it back changes nothing"
    );
    assert_eq!(application("all", &["h"], &["/x", "/"]).prefixes, Vec::<String>::new());
}

#[test]
fn the_longest_prefix_and_a_named_port_win() {
    let applications = Applications::new(vec![
        application("site", &["example.org"], &[]),
        application("wiki", &["example.org"], &["/wiki"]),
        application("wiki-admin", &["example.org"], &["/wiki/admin"]),
        application("debug", &["example.org:8443"], &[]),
        application("other", &["other.example.org:443"], &["/only"]),
    ]);
    for (address, expected) in [
        ("https://example.org/", "site"),
        ("https://EXAMPLE.org./x", "site"),
        ("https://example.org/wikipedia", "site"),
        ("https://example.org/wiki", "wiki"),
        ("https://example.org/wiki?x=/../y", "wiki"),
        ("https://example.org/wiki/page", "wiki"),
        ("https://example.org/%77iki/page", "wiki"),
        ("https://example.org/wiki/admin", "wiki-admin"),
        ("https://example.org/wiki/administrators", "wiki"),
        ("https://example.org:8443/wiki/admin", "debug"),
        ("http://example.org:8080/wiki", "wiki"),
        ("https://example.org.evil.example/", "unknown"),
        ("https://evil-example.org/", "unknown"),
        ("https://other.example.org/only", "other"),
        ("http://other.example.org/only", "unknown"),
        ("http://other.example.org:443/only", "other"),
        ("https://other.example.org/else", "unknown"),
    ] {
        assert_eq!(place(&applications, address), expected, "{address}");
    }
}

#[test]
fn public_paths_are_decided_on_the_decoded_path() {
    let site = ApplicationFields {
        public: texts(&["/healthz", "/assets/*", "/hook?"]),
        ..typed("site", &["example.org"], &[])
    };
    let applications = Applications::new(vec![site.check().unwrap()]);
    for (path, expected) in [
        ("/healthz", "public site"),
        ("/healthz/", "site"),
        ("/healthz?next=/admin", "public site"),
        ("/health%7a", "public site"),
        ("/HEALTHZ", "site"),
        ("/assets/a/b.css", "public site"),
        ("/assets", "site"),
        ("/x/assets/a", "site"),
        ("/hooks", "public site"),
        ("/assets/../admin", "not canonical"),
        ("/assets/..;/admin", "not canonical"),
        ("/assets/%2e%2e/admin", "not canonical"),
        ("/assets//x", "not canonical"),
        ("/admin;/assets/x", "site"),
    ] {
        assert_eq!(
            place(&applications, &format!("https://example.org{path}")),
            expected,
            "{path}"
        );
    }
}

#[test]
fn a_parameter_of_a_segment_must_make_no_difference() {
    let site = ApplicationFields {
        public: texts(&["/*.css"]),
        ..typed("site", &["example.org"], &[])
    };
    let applications = Applications::new(vec![
        site.check().unwrap(),
        application("vault", &["example.org"], &["/vault"]),
    ]);
    for (path, expected) in [
        ("/page;jsessionid=1", "site"),
        ("/a;x=1/b", "site"),
        ("/a.css", "public site"),
        ("/a;x/b.css", "public site"),
        ("/a.css;x=1", "not canonical"),
        ("/a;x.css", "not canonical"),
        ("/vault/plans;x=1", "vault"),
        ("/vault/plans;.css", "vault"),
        ("/vault;x=1/plans", "not canonical"),
        ("/vault;", "not canonical"),
        ("/vault;.css", "not canonical"),
        ("/;/vault", "not canonical"),
        ("/vault/;x", "not canonical"),
    ] {
        let address = format!("https://example.org{path}");
        assert_eq!(place(&applications, &address), expected, "{path}");
    }
}

#[test]
fn a_path_that_a_lenient_server_reads_as_another_place_is_not_decided() {
    let mut wiki = typed("wiki", &["wiki.example.org"], &[]);
    wiki.public = texts(&["/Assets/*"]);
    let applications = Applications::new(vec![
        wiki.check().unwrap(),
        application("secret", &["wiki.example.org"], &["/secret"]),
    ]);
    for (path, answer) in [
        ("/secret/x", "secret"),
        ("/Page", "wiki"),
        ("/page%20one", "wiki"),
        ("/Assets/Logo.PNG", "public wiki"),
        ("/assets/logo.png", "wiki"),
        ("/SECRET/x", "not canonical"),
        ("/Secret", "not canonical"),
        ("/secret%20/x", "not canonical"),
        ("/secret%20", "not canonical"),
        ("/%20secret", "not canonical"),
        ("/secret.", "not canonical"),
        ("/SECRET.%20/x", "not canonical"),
        ("/secret%C2%A0/x", "not canonical"),
        ("/%20/secret", "not canonical"),
        ("/%EF%BC%B3ecret/x", "not canonical"),
        ("/%C5%BFecret/x", "not canonical"),
        ("/x%EF%BC%8F..%EF%BC%8Fsecret", "not canonical"),
        ("/x/%20../secret", "not canonical"),
        ("/secret::$DATA", "not canonical"),
        ("/secret%3A$i30:$INDEX_ALLOCATION/x", "not canonical"),
        ("/sec%E2%80%8Bret/x", "not canonical"),
        ("/secret%E2%80%8E/x", "not canonical"),
        ("/secret+/x", "not canonical"),
        ("/Talk:Secret", "wiki"),
        ("/a+b", "wiki"),
    ] {
        let address = format!("https://wiki.example.org{path}");
        assert_eq!(place(&applications, &address), answer, "{path}");
    }
}

#[test]
fn without_path_rules_any_path_is_the_application() {
    let applications = Applications::new(vec![application("site", &["example.org"], &[])]);
    for path in ["/a/../b", "//x", "/%2e%2e/", "/%zz", "/a\\b", "/%00"] {
        assert_eq!(
            place(&applications, &format!("https://example.org{path}")),
            "site",
            "{path}"
        );
    }
    // A neighbor's rules concern the whole host.
    let applications = Applications::new(vec![
        application("site", &["example.org"], &[]),
        application("wiki", &["example.org"], &["/wiki"]),
    ]);
    for path in ["/a/../wiki", "//wiki", "/%2e/wiki", "/%zz", "/x\\..\\wiki"] {
        assert_eq!(
            place(&applications, &format!("https://example.org{path}")),
            "not canonical",
            "{path}"
        );
    }
}

#[test]
fn a_path_is_canonical_only_with_one_reading() {
    for (path, decoded) in [
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("/a%20b", "/a b"),
        ("/b%C3%BCcher", "/bücher"),
        ("/100%25", "/100%"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/file.txt", "/file.txt"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/what%3Fever%23", "/what?ever#"),
    ] {
        assert_eq!(canonical_path(path).as_deref(), Some(decoded), "{path}");
    }
    for path in [
        "",
        "x",
        "//",
        "/a//b",
        "/.",
        "/./b",
        "/..",
        "/a/../b",
        "/a/..",
        "/..;/b",
        "/.;x/b",
        "/;x/b",
        "/a/;x",
        "/%2e",
        "/a%2Eb",
        "/%2e%2e/b",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%0a",
        "/a%7f",
        "/a%zz",
        "/a%2",
        "/a%",
        "/a%ff",
        "/a%c3",
        "/a%252e",
        "/a%25%32%65",
        "/%252f",
        "/a%3bb",
        "/a\u{85}b",
        "/a%c2%85",
    ] {
        assert_eq!(canonical_path(path), None, "{path}");
    }
}

#[test]
fn addresses_are_read_without_changing_them() {
    let target = RequestTarget::of_url("https://Wiki.Example.org:8443/a/../b%2e?x=//y").unwrap();
    assert_eq!(
        (target.host(), target.port(), target.path()),
        ("wiki.example.org", 8443, "/a/../b%2e")
    );
    assert_eq!(target.url(), "https://wiki.example.org:8443/a/../b%2e?x=//y");
    assert_eq!(RequestTarget::of_parts("http", "wiki", "/").unwrap().port(), 80);
    assert_eq!(
        RequestTarget::of_parts("wss", "wiki", "/s?").unwrap().url(),
        "https://wiki/s?"
    );
    for (address, why) in [
        ("ftp://wiki/", TargetError::Scheme),
        ("wiki/", TargetError::Scheme),
        ("//wiki/", TargetError::Scheme),
        ("javascript://wiki/", TargetError::Scheme),
        ("https://wiki", TargetError::Path),
        ("https://wiki?x", TargetError::Path),
        ("https:///x", TargetError::Host),
        ("https://a@wiki/", TargetError::Host),
        ("https://wiki:x/", TargetError::Host),
        ("https://wi ki/", TargetError::Host),
        ("https://wiki/a b", TargetError::Path),
        ("https://wiki/a\tb", TargetError::Path),
        ("https://wiki/a#b", TargetError::Path),
        ("https://wiki/a\0", TargetError::Path),
    ] {
        assert_eq!(RequestTarget::of_url(address), Err(why), "{address}");
    }
}

#[test]
fn access_follows_roles_and_groups() {
    let allowed = |roles: &[Role], groups: &[&str]| Application {
        roles: roles.to_vec(),
        groups: texts(groups),
        ..application("wiki", &["wiki"], &[])
    };
    let staff = texts(&["staff", "ops"]);
    let anyone = allowed(&[], &[]);
    assert!(anyone.admits(Role::Member, &[]) && anyone.admits(Role::Administrator, &[]));
    let members = allowed(&[Role::Member], &[]);
    assert!(members.admits(Role::Member, &[]) && members.admits(Role::Administrator, &[]));
    let administrators = allowed(&[Role::Administrator], &[]);
    assert!(!administrators.admits(Role::Member, &staff) && administrators.admits(Role::Administrator, &[]));
    let ops = allowed(&[], &["ops"]);
    assert!(ops.admits(Role::Member, &staff));
    assert!(!ops.admits(Role::Member, &texts(&["OPS", "op"])) && !ops.admits(Role::Administrator, &[]));
    let either = allowed(&[Role::Administrator], &["ops"]);
    assert!(either.admits(Role::Administrator, &[]) && either.admits(Role::Member, &staff));
    assert!(!either.admits(Role::Member, &[]));
}

#[test]
fn a_place_belongs_to_one_application() {
    let applications = Applications::new(vec![application("wiki", &["a.example", "b.example"], &["/wiki", "/w"])]);
    let taken = |name: &str, hosts: &[&str], prefixes: &[&str]| {
        let wanted = application(name, hosts, prefixes);
        applications
            .taken(&wanted)
            .map(|(name, place)| format!("{name} {place}"))
    };
    assert_eq!(
        taken("other", &["c.example", "B.example"], &["/w/"]).as_deref(),
        Some("wiki b.example/w")
    );
    assert_eq!(taken("other", &["a.example"], &[]), None);
    assert_eq!(taken("other", &["a.example"], &["/wiki/deeper"]), None);
    assert_eq!(taken("other", &["a.example:8443"], &["/wiki"]), None);
    assert_eq!(taken("wiki", &["a.example"], &["/wiki"]), None, "its own");
}

#[test]
fn people_are_sent_back_to_registered_hosts_only() {
    let applications = Applications::new(vec![application(
        "wiki",
        &["wiki.example.org", "dev.example.org:3000"],
        &["/w"],
    )]);
    let origin = |address: &str, own: &str| {
        let origin = applications.origin_of(address, own);
        origin.map(|origin| origin.ascii_serialization())
    };
    assert_eq!(
        origin("https://wiki.example.org/w?x", "https").as_deref(),
        Some("https://wiki.example.org")
    );
    assert_eq!(
        origin("https://wiki.example.org:8443/", "https").as_deref(),
        Some("https://wiki.example.org:8443")
    );
    assert_eq!(origin("http://wiki.example.org/", "https"), None);
    assert_eq!(
        origin("http://wiki.example.org/", "http").as_deref(),
        Some("http://wiki.example.org")
    );
    assert_eq!(
        origin("http://dev.example.org:3000/", "http").as_deref(),
        Some("http://dev.example.org:3000")
    );
    for address in [
        "https://evil.example/",
        "https://wiki.example.org.evil.example/",
        "https://wiki.example.org@evil.example/",
        "https://ada@wiki.example.org/",
        "https://dev.example.org/",
        "ftp://wiki.example.org/",
        "javascript://wiki.example.org/%0aalert(1)",
        "//wiki.example.org/",
        "/w",
        "",
    ] {
        assert_eq!(origin(address, "http"), None, "{address}");
    }
}

proptest! {
    #[test]
    fn reading_an_address_never_panics_and_never_changes_its_path(text in "\\PC{0,60}", path in "/[a-zA-Z0-9%./;\\\\~_-]{0,40}") {
        let _ = RequestTarget::of_url(&text).map(|target| target.url());
        let _ = Host::parse(&text);
        let target = RequestTarget::of_parts("https", "wiki.example.org", &path).unwrap();
        prop_assert_eq!(target.path(), path.as_str());
        if let Some(decoded) = canonical_path(&path) {
            // No reading of a canonical path leaves its segment, and decoding it again changes
            // nothing.
            prop_assert!(!decoded.contains("//") && !decoded.contains("/../") && !decoded.contains("/./"));
            let again = canonical_path(&decoded.replace('%', "%25"));
            prop_assert_eq!(again.as_deref(), Some(decoded.as_str()));
        }
    }

    #[test]
    fn a_host_is_read_as_browsers_read_it(host in "([a-z0-9_-]{0,6}\\.?){0,4}|xn--[a-z0-9-]{0,8}|0x[0-9a-f]{1,4}|[0-9.]{1,12}") {
        let read = RequestTarget::of_parts("https", &host, "/").map(|target| target.host().to_owned());
        let name = host.strip_suffix('.').unwrap_or(&host);
        match (read, url::Host::parse(name)) {
            (Ok(read), Ok(known)) => prop_assert_eq!(read, known.to_string()),
            (Ok(read), Err(error)) => prop_assert!(false, "{read}: {error}"),
            (Err(_), _) => {}
        }
    }

    #[test]
    fn a_guarded_prefix_cannot_be_reached_as_its_neighbour(path in "/(w|W|%77|%57|i|k|\\.|%2e|/|%2f|;|\\\\|%5c|%25|%){0,8}") {
        let applications = Applications::new(vec![
            application("site", &["h"], &[]),
            application("wiki", &["h"], &["/w"]),
        ]);
        let target = RequestTarget::of_parts("https", "h", &path).unwrap();
        let decoded = path.replace("%77", "w");
        if let AddressMatch::Guarded(found) = applications.matching(&target, "GET") {
            let below = decoded == "/w" || decoded.starts_with("/w/");
            prop_assert_eq!(found.name == "wiki", below);
        }
    }
}
