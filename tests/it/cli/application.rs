//! Applications from the command line.

use super::{Cli, members};
use crate::harness::server::Backend;
use serde_json::json;

fn on_both(test: impl Fn(&Cli)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        test(&Cli::on(backend));
    }
}

#[test]
fn an_application_is_made_listed_shown_set_and_deleted() {
    on_both(|cli| {
        cli.run(&["application", "list"]).done().prints(&["no application yet"]);
        assert_eq!(cli.run(&["application", "list", "--json"]).json(), json!([]));
        cli.run(&[
            "application",
            "create",
            "wiki",
            "--host",
            "Wiki.Example.org",
            "--host",
            "w.example.org:8443",
            "--path-prefix",
            "/wiki/",
            "--role",
            "member",
            "--group",
            "staff",
            "--public-path",
            "/healthz",
            "--activity",
            "navigation",
            "--ignore-path",
            "/poll/*",
        ])
        .done()
        .prints(&["Application wiki is registered: now configure the proxy."]);
        let wiki = cli.run(&["application", "show", "wiki", "--json"]).json();
        let names = [
            "name",
            "hosts",
            "path_prefixes",
            "roles",
            "groups",
            "public_paths",
            "activity",
            "ignored_paths",
            "last_asked",
            "last_unreadable",
        ];
        assert_eq!(members(&wiki), names);
        assert_eq!(
            wiki,
            json!({
                "name": "wiki", "hosts": ["w.example.org:8443", "wiki.example.org"], "path_prefixes": ["/wiki"], "roles": ["member"],
                "groups": ["staff"], "public_paths": ["/healthz"], "activity": "navigation", "ignored_paths": ["/poll/*"],
                "last_asked": null, "last_unreadable": null,
            })
        );
        assert_eq!(cli.run(&["application", "list", "--json"]).json(), json!([wiki]));
        let scopes = cli.run(&["policy", "show", "--json"]).json()["scopes"]["app:wiki"].clone();
        assert_eq!(
            scopes,
            json!({ "activity.counts": "navigation", "activity.ignored_paths": ["/poll/*"] })
        );
        cli.run(&["application", "list"]).done().prints(&[
            "NAME",
            "wiki.example.org",
            "members, group staff",
            "navigation",
        ]);

        cli.run(&[
            "application",
            "set",
            "wiki",
            "--group",
            "",
            "--role",
            "",
            "--activity",
            "inherit",
        ])
        .done();
        let wiki = cli.run(&["application", "show", "wiki", "--json"]).json();
        assert_eq!((&wiki["groups"], &wiki["roles"]), (&json!([]), &json!([])));
        assert_eq!(
            (&wiki["activity"], &wiki["ignored_paths"]),
            (&json!("every_request"), &json!(["/poll/*"]))
        );
        assert_eq!(wiki["hosts"].as_array().unwrap().len(), 2, "what is not given stays");
        cli.run(&["application", "show", "wiki"])
            .done()
            .prints(&["anyone signed in", "1 setting in scope app:wiki"]);

        cli.run(&["application", "delete", "wiki"])
            .done()
            .prints(&["was removed"]);
        cli.run(&["application", "show", "wiki"])
            .refused(&["there is no application named wiki"]);
        let changed = cli
            .events()
            .into_iter()
            .filter(|event| event == "application.changed")
            .count();
        assert_eq!(changed, 3);
    });
}

#[test]
fn all_faults_are_listed_and_nothing_is_done() {
    on_both(|cli| {
        cli.run(&[
            "application",
            "create",
            "a b",
            "--host",
            "*",
            "--path-prefix",
            "x",
            "--public-path",
            "y",
        ])
        .refused(&[
            "A name has 1 to 64",
            "\"*\": write a host name",
            "\"x\": write the beginning",
            "\"y\": write a path",
        ]);
        cli.run(&["application", "create", "wiki"])
            .refused(&["At least one host"]);
        cli.run(&["application", "create", "wiki", "--host", "h", "--role", "root"])
            .usage()
            .says(&["[possible values: member, administrator]"]);
        cli.run(&[
            "application",
            "create",
            "wiki",
            "--host",
            "h",
            "--activity",
            "sometimes",
        ])
        .usage();
        cli.run(&["application", "create", "wiki", "--host", "h"]).done();
        cli.run(&["application", "create", "wiki", "--host", "i"])
            .refused(&["already an application with that name"]);
        cli.run(&["application", "create", "other", "--host", "H"])
            .refused(&["h already belongs to wiki"]);
        cli.run(&["application", "set", "wiki", "--host", ""])
            .refused(&["At least one host"]);
        for words in [&["set", "nobody", "--host", "h"][..], &["delete", "nobody"]] {
            cli.run(&[&["application"], words].concat())
                .refused(&["there is no application named nobody"]);
        }
        assert_eq!(
            cli.run(&["application", "list", "--json"])
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
    });
}

#[test]
fn a_rehearsal_says_what_a_request_would_get_and_why() {
    on_both(|cli| {
        cli.run(&[
            "application",
            "create",
            "wiki",
            "--host",
            "wiki.example.org",
            "--public-path",
            "/healthz",
        ])
        .done();
        let test = |arguments: &[&str]| cli.run(&[&["application", "test"][..], arguments].concat());
        test(&["https://wiki.example.org/page"]).done().prints(&[
            "Application",
            "wiki",
            "Redirected to sign-in.",
            "/api/authz/forward-auth: 302",
            "location: ",
        ]);
        let json = test(&["https://wiki.example.org/healthz", "--json"]).json();
        assert_eq!(members(&json), ["url", "application", "place", "account", "outcomes"]);
        assert_eq!(
            (&json["application"], &json["place"], &json["outcomes"][0]["decision"]),
            (&json!("wiki"), &json!("public"), &json!("public"))
        );
        let statuses: Vec<_> = json["outcomes"][0]["answers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| answer["status"].clone())
            .collect();
        assert_eq!(statuses, [200, 200, 200]);
        let unknown = test(&["https://docs.example.org/", "--json"]).json();
        assert_eq!(
            (&unknown["place"], &unknown["application"]),
            (&json!("unknown"), &json!(null))
        );
        test(&["wiki"]).refused(&["the address cannot be read"]);
        test(&["https://wiki.example.org/", "--account", "nobody"]).refused(&["there is no account named nobody"]);
    });
}
