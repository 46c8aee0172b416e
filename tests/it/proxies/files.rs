//! The files for Traefik and Envoy, which no test runs: they are YAML, and say what the tested ones say.

use saphyr_parser::{Event, Parser};
use std::{fs, path::Path};

/// Every value of the file with the names that lead to it: `http.routers.login.rule = …`.
fn values(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(file);
    let text = fs::read_to_string(path).unwrap();
    // Names from the outermost; of a list, nothing; the last may wait for its value.
    let (mut levels, mut found): (Vec<Option<Option<String>>>, Vec<_>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.unwrap_or_else(|error| panic!("{file}: {error}"));
        let ended = match event {
            Event::MappingStart(..) => {
                levels.push(Some(None));
                false
            }
            Event::SequenceStart(..) => {
                levels.push(None);
                false
            }
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                true
            }
            Event::Scalar(text, ..) => match levels.last_mut() {
                Some(Some(name @ None)) => {
                    *name = Some(text.into_owned());
                    false
                }
                _ => {
                    let names: Vec<&str> = levels.iter().flatten().flatten().map(String::as_str).collect();
                    found.push((names.join("."), text.into_owned()));
                    true
                }
            },
            Event::Alias(_) => true,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                false
            }
        };
        if ended && let Some(Some(name)) = levels.last_mut() {
            assert!(name.is_some(), "{file}:{}: a value without a name", span.start.line());
            *name = None;
        }
    }
    assert!(levels.is_empty(), "{file} ends in the middle");
    found
}

/// All values whose names end like this.
fn of<'a>(values: &'a [(String, String)], end: &str) -> Vec<&'a str> {
    let fitting = values.iter().filter(|(name, _)| name.ends_with(end));
    fitting.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn traefiks_file_asks_about_everything_and_takes_identity_from_the_answer_alone() {
    let values = values("traefik.yaml");
    assert_eq!(
        of(&values, "nightlatch.forwardAuth.address"),
        ["http://127.0.0.1:8080/api/authz/forward-auth"]
    );
    assert_eq!(of(&values, "forwardAuth.trustForwardHeader"), ["false"]);
    let identity = ["Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"];
    let told = [&identity[..], &["X-Nightlatch-Session-Ends"]].concat();
    assert_eq!(of(&values, "forwardAuth.authResponseHeaders"), told);
    assert_eq!(of(&values, "customRequestHeaders.X-Nightlatch-Session-Ends"), [""]);
    for name in identity {
        for name in [name.to_owned(), name.replace('-', "_")] {
            assert_eq!(
                of(&values, &format!("customRequestHeaders.{name}")),
                [""],
                "{name} is taken away"
            );
        }
    }
    assert_eq!(
        of(&values, "routers.login.rule"),
        ["Host(`login.example.org`) && !PathPrefix(`/api/authz`)"]
    );
    assert_eq!(
        of(&values, "routers.wiki-guard.rule"),
        ["Host(`wiki.example.org`) && PathPrefix(`/nightlatch/`)"]
    );
    assert_eq!(of(&values, "routers.wiki.rule"), ["Host(`wiki.example.org`)"]);
    assert_eq!(
        of(&values, "routers.wiki.middlewares"),
        ["identity-is-ours", "nightlatch"]
    );
}

#[test]
fn envoys_file_asks_about_everything_and_takes_identity_from_the_answer_alone() {
    let values = values("envoy.yaml");
    let filters = of(&values, "http_filters.name");
    let expected = ["header_mutation", "ext_authz", "router"].map(|name| format!("envoy.filters.http.{name}"));
    assert_eq!(filters, expected, "in this order");
    let identity = [
        "remote-user",
        "remote-name",
        "remote-email",
        "remote-groups",
        "x-nightlatch-session-ends",
    ];
    assert_eq!(of(&values, "request_mutations.remove"), identity);
    assert_eq!(of(&values, "allowed_upstream_headers.patterns.exact"), identity);
    assert_eq!(of(&values, "http_service.path_prefix"), ["/api/authz/ext-authz"]);
    assert_eq!(of(&values, "failure_mode_allow"), ["false"]);
    assert_eq!(of(&values, "headers_with_underscores_action"), ["REJECT_REQUEST"]);
    assert_eq!(of(&values, "normalize_path"), ["true"]);
    assert_eq!(of(&values, "upgrade_configs.upgrade_type"), ["websocket"]);
    // What decides: the cookie, and what navigations and scripts differ in. What the user agent is bound to, too.
    let asked = of(&values, "allowed_headers.patterns.exact");
    for name in [
        "cookie",
        "user-agent",
        "accept",
        "sec-fetch-mode",
        "x-requested-with",
        "x-forwarded-proto",
        "x-forwarded-for",
    ] {
        assert!(asked.contains(&name), "{name} is part of the question");
    }
    assert_eq!(
        of(&values, "routes.match.prefix"),
        ["/api/authz", "/", "/nightlatch/", "/"]
    );
    assert_eq!(of(&values, "routes.direct_response.status"), ["403"]);
    assert!(of(&values, "allowed_client_headers.patterns.exact").contains(&"location"));
    // Only Nightlatch's own pages are not asked about, and its part of the application's host.
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/envoy.yaml")).unwrap();
    assert_eq!(text.matches("disabled: true").count(), 1);
    assert_eq!(text.matches("*not-asked").count(), 1);
}
