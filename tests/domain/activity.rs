//! Which requests refresh idle time; `cases/activity.toml` has sequences.

use nightlatch_domain::activity::{RequestKind, counts};

fn policy(counts: &str, ignored: &str) -> nightlatch_domain::policy::effective::ActivityPolicy {
    super::effective(&[("activity.counts", counts), ("activity.ignored_paths", ignored)]).activity
}

#[test]
fn each_mode_counts_its_kind_of_request() {
    let any = RequestKind {
        path: "/",
        ..RequestKind::default()
    };
    let navigation = RequestKind {
        navigation: true,
        ..any
    };
    let interaction = RequestKind {
        interaction: true,
        ..any
    };
    for (mode, expected) in [
        ("every_request", [true, true, true]),
        ("navigation", [false, true, true]),
        ("interaction", [false, false, true]),
    ] {
        let policy = policy(mode, "");
        assert_eq!(
            [any, navigation, interaction].map(|kind| counts(&kind, &policy)),
            expected,
            "{mode}"
        );
    }
}

#[test]
fn background_heartbeat_and_check_count_in_no_mode() {
    for mode in ["every_request", "navigation", "interaction"] {
        let policy = policy(mode, "");
        let kind = RequestKind {
            path: "/",
            navigation: true,
            interaction: true,
            ..RequestKind::default()
        };
        for quiet in [
            RequestKind {
                background: true,
                ..kind
            },
            RequestKind {
                heartbeat: true,
                ..kind
            },
            RequestKind { check: true, ..kind },
        ] {
            assert!(!counts(&quiet, &policy), "{mode}: {quiet:?}");
        }
    }
}

#[test]
fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
    let policy = policy("every_request", "/poll/*, /tile?.json, *.map");
    for (path, ignored) in [
        ("/poll/", true),
        ("/poll/a/b", true),
        ("/poll", false),
        ("/x/poll/a", false),
        ("/tile1.json", true),
        ("/tile12.json", false),
        ("/tile1xjson", false),
        ("/js/app.map", true),
        ("/js/app.map.txt", false),
        ("/", false),
    ] {
        let kind = RequestKind {
            path,
            ..RequestKind::default()
        };
        assert_eq!(!counts(&kind, &policy), ignored, "{path}");
    }
}

#[test]
fn characters_of_regular_expressions_mean_themselves_in_a_path() {
    let policy = policy("every_request", "/a.b(c)+[d]");
    assert!(!counts(
        &RequestKind {
            path: "/a.b(c)+[d]",
            ..RequestKind::default()
        },
        &policy
    ));
    assert!(counts(
        &RequestKind {
            path: "/aXb(c)+[d]",
            ..RequestKind::default()
        },
        &policy
    ));
}
