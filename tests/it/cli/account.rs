//! Accounts from the command line, the first one included.

use super::{Cli, PASSWORD, actor, assert_instant, members};
use crate::harness::server::{Backend, TestServer};
use std::time::{Duration, Instant};

#[test]
fn the_first_account_is_made_headless_and_no_setup_link_is_left() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.account("ada", "administrator");
        assert_eq!(cli.events(), ["account.created", "setup.completed"], "{backend:?}");
        assert_eq!(cli.revision(), 1);
        let server = TestServer::beside(cli.database()).start();
        assert_eq!(server.setup_link, None, "{backend:?}");
        server.anyone().sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn the_setup_page_says_what_is_left_to_do_once_an_account_exists() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        let create = |name: &str, role: &str| {
            let arguments = ["account", "create", name, "--role", role, "--password-stdin"];
            cli.run_with(&arguments, PASSWORD.as_bytes()).done()
        };
        let defaults = "no end of inactive sessions; setup would have offered Hue's defaults, OWASP ASVS";
        let nobody = "there is no administrator who can sign in: create one with `nightlatch account create NAME \
            --role \
                      administrator`";
        create("bob", "member").says(&[nobody, defaults]);
        let second = create("carl", "member").says(&[nobody]);
        assert!(!second.err.contains(defaults), "{backend:?}: {}", second.err);
        let server = TestServer::beside(cli.database()).start();
        assert_eq!(server.setup_link, None, "{backend:?}");
        assert_eq!(create("ada", "administrator").err, "", "{backend:?}");
        cli.run(&["account", "expire", "ada", "--at", "2999-01-01"])
            .done()
            .prints(&["ada expires at 2999-01-01T00:00:00Z, but not while it is the last enabled administrator."]);
    }
}

#[test]
fn deleting_every_account_does_not_open_setup_again() {
    let cli = Cli::fresh();
    cli.account("bob", "member");
    cli.run(&["account", "delete", "bob"])
        .done()
        .prints(&["bob is deleted."]);
    assert_eq!(cli.run(&["account", "list", "--json"]).json(), serde_json::json!([]));
    let server = TestServer::beside(cli.database()).start();
    assert_eq!(server.setup_link, None);
}

#[test]
fn an_account_is_created_with_all_options() {
    let cli = Cli::fresh();
    let ran = cli.run_with(
        &[
            "account",
            "create",
            "Bob",
            "--role",
            "member",
            "--password-stdin",
            "--email",
            "bob@example.org",
            "--display-name",
            "Bob Byte",
            "--group",
            "ops",
            "--group",
            "night shift",
            "--must-change",
            "--expires-at",
            "2999-01-01T00:00:00+02:00",
        ],
        format!("{PASSWORD}\n").as_bytes(),
    );
    ran.done()
        .prints(&["Created Bob (member). It expires at 2998-12-31T22:00:00Z."]);
    let shown = cli.run(&["account", "show", "bob", "--json"]).json();
    assert_eq!(
        members(&shown),
        [
            "id",
            "name",
            "display_name",
            "email",
            "role",
            "groups",
            "state",
            "source",
            "external_id",
            "locked",
            "live_sessions",
            "created_at",
            "activated_at",
            "last_sign_in_at",
            "last_session_ended_at",
            "password_changed_at",
            "password_good_until",
            "disabled_at",
            "expired_at",
            "expired_by",
            "expires_at",
            "expires_by",
            "invited_until",
            "last_administrator",
            "authenticator_app",
            "passkeys",
            "recovery_codes",
            "directory_refusals",
        ]
    );
    assert_eq!(shown["name"], "Bob");
    assert_eq!(shown["display_name"], "Bob Byte");
    assert_eq!(shown["email"], "bob@example.org");
    assert_eq!(shown["role"], "member");
    assert_eq!(shown["groups"], serde_json::json!(["ops", "night shift"]));
    assert_eq!(shown["state"], "password_change");
    assert_eq!(shown["expires_at"], "2998-12-31T22:00:00Z");
    assert_eq!(shown["expires_by"], "expires_at");
    assert_instant(&shown["created_at"]);
    let mut listed = shown.clone();
    // Only the account itself is asked for.
    listed.as_object_mut().unwrap().remove("directory_refusals");
    assert_eq!(
        cli.run(&["account", "list", "--json"]).json(),
        serde_json::json!([listed])
    );
    cli.run(&["account", "list"])
        .done()
        .prints(&["NAME", "Bob", "bob@example.org"]);
    cli.run(&["account", "show", "BOB"])
        .done()
        .prints(&["Bob Byte", "night shift"]);
}

#[test]
fn the_list_can_be_narrowed() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    cli.account("bob", "member");
    cli.run(&["account", "disable", "bob"]).done();
    let names = |arguments: &[&str]| -> Vec<String> {
        let list = cli.run(&[&["account", "list", "--json"], arguments].concat()).json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&[]), ["ada", "bob"]);
    assert_eq!(names(&["--role", "administrator"]), ["ada"]);
    assert_eq!(names(&["--state", "disabled"]), ["bob"]);
    assert_eq!(names(&["--text", "AD"]), ["ada"]);
    assert_eq!(names(&["--text", "%"]), Vec::<String>::new());
    cli.run(&["account", "list", "--state", "asleep"]).usage();
}

#[test]
fn the_list_goes_beyond_one_page() {
    use nightlatch::{
        domain::account::AccountId,
        store::{OpenOptions, Store, StoreError, accounts},
    };
    let cli = Cli::fresh();
    cli.account("member000", "member");
    let store = Store::open(&cli.database().url(), OpenOptions::default()).unwrap();
    store
        .write_now(|c| {
            let first = accounts::find_by_name_key(c, "member000")?.unwrap();
            for number in 1..450_u128 {
                let mut next = first.clone();
                next.id = AccountId(uuid::Uuid::from_u128(number));
                next.name = format!("member{number:03}");
                next.name_key = next.name.clone();
                accounts::insert(c, &next)?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let list = cli.run(&["account", "list", "--json"]).json();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!((names.len(), names[0], names[449]), (450, "member000", "member449"));
    assert!(names.is_sorted());
    assert_eq!(cli.run(&["account", "list"]).done().out.lines().count(), 451);
}

#[test]
fn a_one_time_password_is_printed_alone_and_once() {
    let cli = Cli::fresh();
    let made = cli.run(&["account", "create", "bob", "--one-time"]).done();
    let first = made.out.trim_end().to_owned();
    assert_eq!(first.len(), 24, "{first}");
    assert!(made.err.contains("Created bob (member)."));
    let reset = cli.run(&["account", "reset-password", "bob", "--one-time"]).done();
    let second = reset.out.trim_end().to_owned();
    assert_ne!(first, second);
    let audit = cli.run(&["audit", "list", "--json"]).done().out;
    for secret in [&first, &second] {
        assert!(
            !audit.contains(secret.as_str())
                && !made.err.contains(secret.as_str())
                && !reset.err.contains(secret.as_str())
        );
    }
    let server = TestServer::beside(cli.database()).start();
    server.anyone().sign_in("bob", &first).expect(422);
    let answer = server.anyone().sign_in("bob", &second).expect(303);
    assert_eq!(answer.location(), "/password");
}

#[test]
fn a_one_time_password_that_cannot_be_printed_is_a_failure() {
    let cli = Cli::fresh();
    cli.account("bob", "member");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = cli
        .command(&["account", "reset-password", "bob", "--one-time"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("could not be printed")
    );
}

#[test]
fn one_line_end_is_cut_off_a_password_and_nothing_else() {
    let cli = Cli::fresh();
    for (name, given) in [
        ("a", format!("{PASSWORD}\n")),
        ("b", format!("{PASSWORD}\r\n")),
        ("c", PASSWORD.to_owned()),
    ] {
        cli.run_with(&["account", "create", name, "--password-stdin"], given.as_bytes())
            .done();
    }
    cli.run_with(
        &["account", "create", "d", "--password-stdin"],
        format!(" {PASSWORD} \n").as_bytes(),
    )
    .done();
    let server = TestServer::beside(cli.database()).start();
    for name in ["a", "b", "c"] {
        server.anyone().sign_in(name, PASSWORD).expect(303);
    }
    server.anyone().sign_in("d", PASSWORD).expect(422);
    server.anyone().sign_in("d", &format!(" {PASSWORD} ")).expect(303);
}

#[test]
fn bad_passwords_on_standard_input_are_refused_and_never_shown() {
    let cli = Cli::fresh();
    let create = ["account", "create", "bob", "--password-stdin"];
    let long = "x".repeat(129);
    let cases: [(&[u8], &str); 9] = [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"   \n", "password: Enter a new password."),
        (b"sesame\n", "at least 12 characters"),
        (b"password1234\n", "too easy to guess"),
        (b"two lines of\nunlocked violins\n", "control characters"),
        (b"nul \0 unlocked harbour violin", "control characters"),
        (b"\xff\xfe unlocked harbour violin", "is not UTF-8"),
        (long.as_bytes(), "at most 128 characters"),
    ];
    for (input, why) in cases {
        let ran = cli.run_with(&create, input).refused(&[why]);
        for word in ["sesame", "password1234", "harbour", "violins", "xxxxxxxx"] {
            assert!(!ran.err.contains(word), "{}", ran.err);
        }
    }
    cli.run_with(
        &["account", "create", "nightlatch-bob", "--password-stdin"],
        b"nightlatch-bob 1",
    )
    .refused(&["password: "]);
    assert_eq!(cli.run(&["account", "list", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn a_password_without_end_is_refused_at_once() {
    let cli = Cli::fresh();
    cli.account("bob", "member");
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    for arguments in [
        &["account", "create", "eve", "--password-stdin"][..],
        &["account", "reset-password", "bob", "--password-stdin"],
    ] {
        let begun = Instant::now();
        let output = cli
            .command(arguments)
            .stdin(zeros.try_clone().unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("more than 128 characters")
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_password_is_never_an_argument() {
    let cli = Cli::fresh();
    cli.run(&["account", "create", "bob"])
        .usage()
        .says(&["--password-stdin"]);
    cli.run(&["account", "create", "bob", "--password", PASSWORD]).usage();
    cli.run(&["account", "create", "bob", "--password-stdin", PASSWORD])
        .usage();
    cli.run(&["account", "create", "bob", "--password-stdin", "--one-time"])
        .usage();
    cli.account("bob", "member");
    cli.run(&["account", "reset-password", "bob"]).usage();
    cli.run(&["account", "reset-password", "bob", PASSWORD]).usage();
}

#[test]
fn bad_input_of_create_is_refused_all_at_once() {
    let cli = Cli::fresh();
    let create = |arguments: &[&str]| {
        cli.run_with(
            &[&["account", "create", "--password-stdin"], arguments].concat(),
            PASSWORD.as_bytes(),
        )
    };
    create(&["e\u{7}ve", "--email", "no address", "--group", "a,b"])
        .refused(&["name: ", "U+0007", "email: ", "groups: "]);
    create(&["e\u{202e}ve"]).refused(&["U+202E"]);
    create(&[""]).refused(&["a username is missing"]);
    create(&["a,b"]).refused(&["name: "]);
    create(&[&"n".repeat(129)]).refused(&["at most 128 characters"]);
    create(&["eve", "--display-name", "e\u{1b}[31mve"]).refused(&["display_name: "]);
    create(&["eve", "--expires-at", "2020-01-01T00:00:00Z"]).refused(&["not in the future"]);
    create(&["eve", "--expires-at", "tomorrow"]).usage().says(&["RFC 3339"]);
    create(&["eve", "--role", "root"])
        .usage()
        .says(&["administrator", "member"]);
    create(&[]).usage();
    create(&["eve"]).done();
    create(&["EVE"]).refused(&["There is already an account named"]);
    create(&["ｅve"]).refused(&["There is already an account named"]);
    let names = cli.run(&["account", "list", "--json"]).json();
    assert_eq!(names.as_array().unwrap().len(), 1);
}

#[test]
fn an_unknown_account_is_reported_as_unknown() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    let cases: [&[&str]; 10] = [
        &["account", "show", "eve"],
        &["account", "show", "eve", "--json"],
        &["account", "disable", "eve"],
        &["account", "enable", "eve"],
        &["account", "delete", "eve"],
        &["account", "set-role", "eve", "member"],
        &["account", "set-email", "eve", "eve@example.org"],
        &["account", "expire", "eve"],
        &["account", "unlock", "eve"],
        &["account", "reset-password", "eve", "--one-time"],
    ];
    for arguments in cases {
        let ran = cli
            .run(arguments)
            .refused(&["nightlatch: there is no account named eve\n"]);
        assert_eq!(ran.err.lines().count(), 1);
    }
    let ran = cli
        .run(&["account", "show", "e\u{1b}[31mve"])
        .refused(&["there is no account named e\\u{1b}[31mve"]);
    assert!(!ran.err.contains('\u{1b}'));
}

#[test]
fn the_last_administrator_stays() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    cli.account("bob", "member");
    let cases: [(&[&str], &str); 4] = [
        (&["account", "disable", "ada"], "disabled"),
        (&["account", "delete", "ada"], "deleted"),
        (&["account", "expire", "ada"], "expired"),
        (&["account", "set-role", "ada", "member"], "made a member"),
    ];
    for (arguments, what) in cases {
        let why = format!("ada is the last enabled administrator and cannot be {what}");
        cli.run(arguments).refused(&[&why]);
    }
    cli.run(&["account", "set-role", "bob", "administrator"])
        .done()
        .prints(&["bob now has the role administrator."]);
    cli.run(&["account", "disable", "ada"]).done();
    cli.run(&["account", "delete", "bob"])
        .refused(&["last enabled administrator"]);
    cli.run(&["account", "enable", "ada"]).done();
    cli.run(&["account", "delete", "bob"]).done();
    assert!(cli.events().contains(&"account.role_changed".to_owned()));
}

#[test]
fn an_account_is_disabled_enabled_and_expired() {
    let cli = Cli::fresh();
    cli.account("bob", "member");
    let state = || cli.run(&["account", "show", "bob", "--json"]).json()["state"].clone();
    cli.run(&["account", "disable", "bob"])
        .done()
        .prints(&["bob is disabled."]);
    assert_eq!(state(), "disabled");
    cli.run(&["account", "disable", "bob"])
        .done()
        .prints(&["Nothing to do"]);
    cli.run(&["account", "enable", "bob"])
        .done()
        .prints(&["bob is enabled."]);
    cli.run(&["account", "enable", "bob"]).done().prints(&["Nothing to do"]);
    cli.run(&["account", "expire", "bob"])
        .done()
        .prints(&["bob has expired."]);
    assert_eq!(state(), "expired");
    cli.run(&["account", "expire", "bob"]).done().prints(&["Nothing to do"]);
    cli.run(&["account", "enable", "bob"]).done();
    assert_eq!(state(), "active");
    cli.run(&["account", "expire", "bob", "--at", "2999-01-01"])
        .done()
        .prints(&["2999-01-01T00:00:00Z"]);
    cli.run(&["account", "expire", "bob", "--at", "2999-01-01"])
        .done()
        .prints(&["Nothing to do"]);
    assert_eq!(
        cli.run(&["account", "show", "bob", "--json"]).json()["expires_at"],
        "2999-01-01T00:00:00Z"
    );
    cli.run(&["account", "expire", "bob", "--at", "never"]).done();
    assert_eq!(
        cli.run(&["account", "show", "bob", "--json"]).json()["expires_at"],
        serde_json::Value::Null
    );
    cli.run(&["account", "expire", "bob", "--at", "2001-01-01"])
        .refused(&["not in the future"]);
    cli.run(&["account", "expire", "bob", "--at", "soon"]).usage();
    let events = cli.events();
    assert_eq!(
        events.iter().filter(|event| *event == "account.disabled").count(),
        1,
        "{events:?}"
    );
    assert_eq!(
        events.iter().filter(|event| *event == "account.enabled").count(),
        2,
        "{events:?}"
    );
}

#[test]
fn the_email_address_is_set_and_removed_and_nothing_else_changes() {
    let cli = Cli::fresh();
    let arguments = [
        "account",
        "create",
        "bob",
        "--password-stdin",
        "--display-name",
        "Bob",
        "--group",
        "ops",
    ];
    cli.run_with(&arguments, PASSWORD.as_bytes()).done();
    cli.run(&["account", "set-email", "bob", "bob@example.org"]).done();
    cli.run(&["account", "set-email", "bob", "bob@example.org"])
        .done()
        .prints(&["Nothing to do"]);
    let shown = cli.run(&["account", "show", "bob", "--json"]).json();
    assert_eq!(shown["email"], "bob@example.org");
    assert_eq!(shown["display_name"], "Bob");
    assert_eq!(shown["groups"], serde_json::json!(["ops"]));
    cli.run(&["account", "set-email", "bob", "bob"]).refused(&["email: "]);
    cli.run(&["account", "set-email", "bob", "a@b\u{7}"])
        .refused(&["email: "]);
    cli.run(&["account", "set-email", "bob", ""]).done();
    assert_eq!(
        cli.run(&["account", "show", "bob", "--json"]).json()["email"],
        serde_json::Value::Null
    );
}

#[test]
fn the_actor_is_who_the_system_says() {
    let cli = Cli::fresh();
    cli.account("bob", "member");
    let recorded = |cli: &Cli| cli.run(&["audit", "list", "--json", "--limit", "1"]).json()[0]["actor"].clone();
    assert_eq!(recorded(&cli), actor(), "whatever USER says");
    let cli = cli.env("LOGNAME", "eve").env("SUDO_USER", "eve").env("SUDO_UID", "eve");
    cli.run(&["account", "disable", "bob"]).done();
    assert_eq!(recorded(&cli), actor());
    let cli = cli.env("SUDO_UID", "4123456789");
    cli.run(&["account", "enable", "bob"]).done();
    let with_sudo = actor().replace(')', ", sudo by uid 4123456789)");
    assert_eq!(recorded(&cli), with_sudo);
}

const FILE: &str = "\u{feff}name;email;groups;expires_at\r\nbob;b@example.org;ops, night;2999-01-01\r\ncarl;;;\r\n";

#[test]
fn a_file_of_accounts_is_imported_and_exported() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.account("ada", "administrator");
        let told = cli
            .run_with(&["account", "import", "-", "--dry-run", "--json"], FILE.as_bytes())
            .json();
        assert_eq!(
            members(&told),
            ["created", "updated", "unchanged", "faults", "passed_over", "done"],
            "{backend:?}"
        );
        assert_eq!(
            told["created"],
            serde_json::json!([{ "line": 2, "name": "bob" }, { "line": 3, "name": "carl" }])
        );
        assert_eq!(told["done"], false);
        cli.run(&["account", "show", "bob"])
            .refused(&["there is no account named bob"]);
        cli.run_with(&["account", "import", "-", "--dry-run"], FILE.as_bytes())
            .done()
            .prints(&["Would create 2 accounts", "line 2: create bob (member)"]);
        cli.run_with(&["account", "import", "-"], FILE.as_bytes())
            .done()
            .prints(&["Created 2 accounts, changed 0, 0 unchanged."]);
        let bob = cli.run(&["account", "show", "bob", "--json"]).json();
        assert_eq!(bob["groups"], serde_json::json!(["ops", "night"]), "{backend:?}");
        assert_eq!(bob["expires_at"], "2999-01-01T00:00:00Z", "{backend:?}");
        let exported = cli.run(&["account", "export"]).done().out;
        assert!(
            exported.starts_with("name,display_name,email,role,groups,expires_at,must_change,disabled\r\n"),
            "{exported}"
        );
        let again = cli
            .run_with(&["account", "import", "-", "--json"], exported.as_bytes())
            .json();
        assert_eq!(
            (
                again["created"].as_array().unwrap().len(),
                again["unchanged"].as_array().unwrap().len()
            ),
            (0, 3)
        );
        let ops = cli.run(&["account", "export", "--group", "ops"]).done().out;
        assert_eq!(ops.lines().count(), 2, "{backend:?} {ops}");
    }
}

#[test]
fn faults_of_a_file_name_their_lines_and_nothing_is_done() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    let file = "name,email,role\nbob,nonsense,emperor\ncarl,,member\nada,,member\n";
    cli.run_with(&["account", "import", "-"], file.as_bytes()).refused(&[
        "line 2, email:",
        "line 2, role: “emperor” is not accepted",
        "line 4, role: this is the last administrator",
    ]);
    cli.run(&["account", "show", "carl"])
        .refused(&["there is no account named carl"]);
    let told = cli.run_with(&["account", "import", "-", "--good-lines", "--json"], file.as_bytes());
    assert_eq!(
        told.done().parsed()["created"],
        serde_json::json!([{ "line": 3, "name": "carl" }])
    );
    cli.run(&["account", "show", "carl"]).done();
    cli.run(&["account", "import", "/nowhere/at/all.csv"])
        .refused(&["/nowhere/at/all.csv"]);
}

#[test]
fn one_time_passwords_of_a_file_are_printed_alone_and_work() {
    let cli = Cli::fresh();
    let file = "name,role\nada,administrator\n=bob,member\n";
    let ran = cli
        .run_with(&["account", "import", "-", "--one-time"], file.as_bytes())
        .done();
    let printed = ran.out;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "name,one_time_password"), "{printed}");
    assert!(lines[2].starts_with("'=bob,"), "{printed}");
    let (name, password) = lines[1].split_once(',').unwrap();
    let server = TestServer::beside(cli.database()).start();
    assert_eq!(server.setup_link, None, "the first administrator came from a file");
    assert_eq!(
        server.anyone().sign_in(name, password).expect(303).location(),
        "/password"
    );
}

#[test]
fn groups_are_set_and_the_list_is_narrowed_to_one() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    cli.account("bob", "member");
    cli.run(&["account", "set-groups", "bob", "ops, night shift,ops"])
        .done()
        .prints(&["Groups of bob: ops, night shift"]);
    let shown = cli.run(&["account", "list", "--json", "--group", "night shift"]).json();
    assert_eq!(shown[0]["groups"], serde_json::json!(["ops", "night shift"]));
    assert_eq!(shown.as_array().unwrap().len(), 1);
    cli.run(&["account", "set-groups", "bob", "ops, night shift"])
        .done()
        .prints(&["Nothing to do"]);
    cli.run(&["account", "set-groups", "bob", ""]).done();
    assert_eq!(
        cli.run(&["account", "list", "--json", "--group", "ops"]).json(),
        serde_json::json!([])
    );
    cli.run(&["account", "set-groups", "bob", "a\u{202e}b"])
        .refused(&["groups:"]);
}

#[test]
fn an_expiry_given_as_a_day_says_which_instant_that_is() {
    let cli = Cli::fresh();
    let create = [
        "account",
        "create",
        "eve",
        "--password-stdin",
        "--expires-at",
        "2999-01-01",
    ];
    let ran = cli.run_with(&create, format!("{PASSWORD}\n").as_bytes());
    ran.done()
        .prints(&["Created eve (member). It expires at 2999-01-01T00:00:00Z."]);
    cli.run(&["account", "expire", "eve", "--at", "2999-02-03"])
        .done()
        .prints(&["eve expires at 2999-02-03T00:00:00Z."]);
    let file = "name,expires_at\nbob,2999-04-05\neve,2999-04-06\n";
    cli.run_with(&["account", "import", "-", "--dry-run"], file.as_bytes())
        .done()
        .prints(&[
            "create bob (member), expires at 2999-04-05T00:00:00Z",
            "expires_at: 2999-02-03T00:00:00Z → 2999-04-06T00:00:00Z",
        ]);
}
