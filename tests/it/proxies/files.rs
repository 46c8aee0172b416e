//! The files for Traefik and Envoy, which no test runs: they are YAML, and agree with the files
//! that are tested.

use crate::harness::yaml::{values, values_of};
use std::{fs, path::Path};

#[test]
fn traefiks_file_asks_about_everything_and_takes_identity_from_the_answer_alone() {
    let values = values("contrib/traefik.yaml");
    assert_eq!(
        values_of(&values, "nightlatch.forwardAuth.address"),
        ["http://127.0.0.1:8080/api/authz/forward-auth"]
    );
    assert_eq!(values_of(&values, "forwardAuth.trustForwardHeader"), ["false"]);
    let identity = ["Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"];
    let told = [&identity[..], &["X-Nightlatch-Session-Ends", "X-Nightlatch-Factors"]].concat();
    assert_eq!(values_of(&values, "forwardAuth.authResponseHeaders"), told);
    for name in [
        "X-Nightlatch-Session-Ends",
        "X-Nightlatch-Factors",
        "X_Nightlatch-Session_Ends",
        "X_Nightlatch_Factors",
    ] {
        assert_eq!(values_of(&values, &format!("customRequestHeaders.{name}")), [""]);
    }
    for name in identity {
        for name in [name.to_owned(), name.replace('-', "_")] {
            assert_eq!(
                values_of(&values, &format!("customRequestHeaders.{name}")),
                [""],
                "{name} is taken away"
            );
        }
    }
    assert_eq!(
        values_of(&values, "routers.login.rule"),
        ["Host(`login.example.org`) && !PathPrefix(`/api/authz`)"]
    );
    assert_eq!(
        values_of(&values, "routers.wiki-guard.rule"),
        ["Host(`wiki.example.org`) && PathPrefix(`/nightlatch/`)"]
    );
    assert_eq!(values_of(&values, "routers.wiki.rule"), ["Host(`wiki.example.org`)"]);
    assert_eq!(
        values_of(&values, "routers.wiki.middlewares"),
        ["identity-is-ours", "nightlatch"]
    );
    // A client's values of either header that may contain its address are ignored.
    assert_eq!(
        values_of(&values, "identity-is-ours.headers.customRequestHeaders.Forwarded"),
        [""]
    );
    assert_eq!(
        values_of(&values, "no-forwarded.headers.customRequestHeaders.Forwarded"),
        [""]
    );
    for router in ["login", "wiki-guard"] {
        assert_eq!(
            values_of(&values, &format!("routers.{router}.middlewares")),
            ["no-forwarded"]
        );
    }
}

#[test]
fn envoys_file_asks_about_everything_and_takes_identity_from_the_answer_alone() {
    let values = values("contrib/envoy.yaml");
    let filters = values_of(&values, "http_filters.name");
    let expected = ["header_mutation", "ext_authz", "router"].map(|name| format!("envoy.filters.http.{name}"));
    assert_eq!(filters, expected, "in this order");
    let identity = [
        "remote-user",
        "remote-name",
        "remote-email",
        "remote-groups",
        "x-nightlatch-session-ends",
        "x-nightlatch-factors",
    ];
    assert_eq!(values_of(&values, "request_mutations.remove"), identity);
    assert_eq!(values_of(&values, "allowed_upstream_headers.patterns.exact"), identity);
    assert_eq!(values_of(&values, "http_service.path_prefix"), ["/api/authz/ext-authz"]);
    assert_eq!(
        values_of(&values, "route_config.request_headers_to_remove"),
        ["forwarded"]
    );
    assert!(!values_of(&values, "allowed_headers.patterns.exact").contains(&"forwarded"));
    assert_eq!(values_of(&values, "failure_mode_allow"), ["false"]);
    assert_eq!(
        values_of(&values, "headers_with_underscores_action"),
        ["REJECT_REQUEST"]
    );
    assert_eq!(values_of(&values, "normalize_path"), ["true"]);
    assert_eq!(values_of(&values, "upgrade_configs.upgrade_type"), ["websocket"]);
    // The headers that decide: the cookie, and those that distinguish navigations from scripts. The
    // user agent too, because sessions are bound to it.
    let asked = values_of(&values, "allowed_headers.patterns.exact");
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
        values_of(&values, "routes.match.prefix"),
        ["/api/authz", "/", "/nightlatch/", "/"]
    );
    assert_eq!(values_of(&values, "routes.direct_response.status"), ["403"]);
    assert!(values_of(&values, "allowed_client_headers.patterns.exact").contains(&"location"));
    // Only Nightlatch's own pages and its part of the application's host need no auth request.
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/envoy.yaml")).unwrap();
    assert_eq!(text.matches("disabled: true").count(), 1);
    // The event stream of its guard, and the rest.
    assert_eq!(
        values_of(&values, "routes.match.path"),
        ["/nightlatch/session/events", "/nightlatch/session/events"]
    );
    assert_eq!(text.matches("*not-asked").count(), 2);
}
