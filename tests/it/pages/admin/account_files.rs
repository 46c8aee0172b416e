//! `/admin/accounts/import` and the export: a preview first, all valid lines or none, passwords
//! shown once.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::{between, records},
};
use nightlatch::{
    domain::account::{AccountFilter, Role},
    flows::accounts::{self, AccountDetail},
};

const IMPORT: &str = "/admin/accounts/import";

fn check(client: &Client, text: &str) -> Answer {
    client.upload(IMPORT, &[], Some(("accounts.csv", text.as_bytes())))
}

/// Confirms what was shown.
fn confirm(client: &Client, shown: &Answer, text: &str, lines: &str, passwords: &str) -> Answer {
    let fingerprint = between(shown.text(), "name=\"shown\" value=\"", "\"")[0];
    let fields = [
        ("lines", lines),
        ("text", text.trim_start_matches('\u{feff}')),
        ("shown", fingerprint),
        ("passwords", passwords),
    ];
    client.post("/admin/accounts/import/apply", &fields)
}

fn detail(server: &TestServer, name: &str) -> AccountDetail {
    let account = server.run(accounts::find_by_name(&server.ctx, name)).unwrap().unwrap();
    server.run(accounts::detail(&server.ctx, account.id)).unwrap().unwrap()
}

#[test]
fn an_import_shows_its_plan_and_then_creates_and_changes_in_one_write() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        server.account("eve", Role::Member);
        let text = "\u{feff}name;email;groups;disabled\r\nADA;ada@example.org;ops, night;\r\nbob;bob@example.org;ops;no\r\neve;;;yes\r\n";
        let before = server.events().len();
        let shown = check(&boss, text).expect(200);
        assert!(
            shown.text().contains("1 new · 2 changed · 0 unchanged"),
            "{backend:?} {}",
            shown.text()
        );
        assert!(shown.text().contains("Import 3\u{a0}accounts"), "{backend:?}");
        assert_eq!(server.events().len(), before, "{backend:?}: nothing is done yet");
        let done = confirm(&boss, &shown, text, "all", "one-time").expect(200);
        let password = between(
            done.text(),
            "<th scope=\"row\"><bdi>bob</bdi></th><td><code>",
            "</code>",
        )[0]
        .to_owned();
        assert_eq!(done.header("cache-control"), Some("no-store"));
        assert_eq!(
            server.anyone().sign_in("bob", &password).expect(303).location(),
            "/password"
        );
        let changed = detail(&server, "ada").view.account;
        assert_eq!(
            (changed.name.as_str(), changed.email.as_deref()),
            ("ada", Some("ada@example.org"))
        );
        assert_eq!(changed.groups, ["ops", "night"]);
        ada.get("/").expect(200);
        server.anyone().sign_in("eve", PASSWORD).expect(403);
        let events = server.events();
        for (event, number) in [("account.created", 1), ("account.updated", 1), ("account.disabled", 1)] {
            let found = events[before..].iter().filter(|known| known.starts_with(event)).count();
            assert_eq!(found, number, "{backend:?} {event} {events:?}");
        }
        for row in server.audit() {
            assert!(!row.to_json().to_string().contains(&password));
        }
        // The same file again changes nothing.
        let again = check(&boss, text).expect(200);
        assert!(again.text().contains("0 new · 0 changed · 3 unchanged"), "{backend:?}");
        assert!(!again.text().contains("name=\"lines\""), "{backend:?}");
    }
}

#[test]
fn with_a_fault_nothing_is_done_unless_the_good_lines_are_asked_for() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let text = "name,email,role\nada,nonsense,member\nbob,,emperor\ncarl,,member\n";
        let shown = check(&boss, text).expect(422);
        for part in [
            "emperor",
            "name@example.org",
            "1 new",
            "2\u{a0}errors",
            "Import 1\u{a0}valid line, skip the others",
        ] {
            assert!(shown.text().contains(part), "{backend:?} {part}");
        }
        confirm(&boss, &shown, text, "all", "one-time").expect(422);
        assert!(
            server
                .run(accounts::find_by_name(&server.ctx, "carl"))
                .unwrap()
                .is_none(),
            "{backend:?}"
        );
        let done = confirm(&boss, &shown, text, "good", "unknown").expect(200);
        assert!(done.text().contains("Skipped lines") && done.text().contains("cannot sign in yet"));
        let carl = detail(&server, "carl").view.account;
        assert!(!carl.must_change_password, "{backend:?}");
        server.anyone().sign_in("carl", PASSWORD).expect(422);
        assert!(
            server
                .run(accounts::find_by_name(&server.ctx, "ada"))
                .unwrap()
                .is_none(),
            "{backend:?}"
        );
    }
}

#[test]
fn a_plan_that_changed_since_its_review_is_shown_again() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let text = "name,email\nada,a@example.org\n";
    let shown = check(&boss, text).expect(200);
    server.account("ada", Role::Member);
    let refused = confirm(&boss, &shown, text, "all", "one-time").expect(422);
    assert!(
        refused.text().contains("changed after this file was checked"),
        "{}",
        refused.text()
    );
    assert_eq!(detail(&server, "ada").view.account.email, None);
    confirm(&boss, &refused, text, "all", "one-time").expect(200);
    assert_eq!(
        detail(&server, "ada").view.account.email.as_deref(),
        Some("a@example.org")
    );
    // A text that was edited after the check is checked again, too.
    let edited = "name,email\nada,b@example.org\n";
    confirm(&boss, &refused, edited, "all", "one-time").expect(422);
}

#[test]
fn an_import_keeps_the_last_administrator_and_its_author_in_the_console() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for text in ["name,role\nboss,member\n", "name,disabled\nboss,yes\n"] {
            let shown = check(&boss, text).expect(422);
            assert!(
                shown.text().contains("your own account"),
                "{backend:?} {}",
                shown.text()
            );
        }
        // From outside: the last one stays, but one may follow another in one file.
        let import = |text: &str| {
            let file = accounts::ImportFile {
                bytes: text.as_bytes().into(),
                passwords: accounts::Passwords::OneTime,
            };
            let confirmed = accounts::ImportConfirmation {
                shown: None,
                good_lines: false,
            };
            let initiator = crate::harness::server::operator();
            server
                .run(accounts::import(&server.ctx, &initiator, file, confirmed))
                .unwrap()
        };
        for text in [
            "name,role\nboss,member\n",
            "name,disabled\nboss,yes\n",
            "name,role,disabled\nboss,member,no\nspare,administrator,yes\n",
        ] {
            let refused = import(text);
            let accounts::ImportOutcome::Refused(plan) = refused else {
                panic!("{backend:?} {text}")
            };
            assert!(
                plan.faults
                    .iter()
                    .any(|fault| fault.message.contains("last administrator")),
                "{backend:?} {text}"
            );
        }
        let done = import("name,role\nboss,member\nspare,administrator\n");
        assert!(matches!(done, accounts::ImportOutcome::Done(_)), "{backend:?}");
        assert_eq!(detail(&server, "boss").view.account.role, Role::Member, "{backend:?}");
        assert!(detail(&server, "spare").view.is_last_administrator, "{backend:?}");
    }
}

#[test]
fn faults_that_need_the_accounts_name_their_lines() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let id = server.account("ada", Role::Member);
    server.act(id, accounts::AccountAction::ForceChange);
    let text = "name,must_change,expires_at\nada,no,\nbob,,2000-01-01\nADA,,\n";
    let shown = check(&boss, text).expect(422);
    let lines = between(shown.text(), "<th scope=\"row\" data-label=\"Line\">", "<");
    assert_eq!(lines, ["2", "3", "4"]);
    for part in [
        "cannot be withdrawn",
        "2000-01-01T00:00:00Z is in the past",
        "is already on line 2",
    ] {
        assert!(shown.text().contains(part), "{part}");
    }
}

#[test]
fn new_accounts_are_invited_where_they_have_an_address() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let check = |text: &str| boss.upload(IMPORT, &[("passwords", "invitation")], Some(("a.csv", text.as_bytes())));
        let shown = check("name,email\ndan,\n").expect(422);
        assert!(
            shown.text().contains("an invitation needs an email address"),
            "{backend:?}"
        );
        let text = "name,email,disabled\ndan,dan@example.org,\neve,eve@example.org,yes\n";
        let shown = check(text).expect(200);
        let done = confirm(&boss, &shown, text, "all", "invitation").expect(200);
        assert!(done.text().contains("Invitations were sent."), "{backend:?}");
        let emails = server.deliver();
        assert_eq!(emails.len(), 1, "{backend:?}: a disabled account is not invited");
        assert!(
            emails[0].contains("dan@example.org") && emails[0].contains("The link works once, until "),
            "{backend:?}"
        );
        let invited = |name: &str| detail(&server, name).view.invited.is_some();
        assert_eq!((invited("dan"), invited("eve")), (true, false), "{backend:?}");
    }
}

#[test]
fn all_faults_of_a_line_are_listed_together() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let id = server.account("ada", Role::Member);
    server.act(id, accounts::AccountAction::ForceChange);
    let text = "name,role,expires_at,must_change\nbob,chef,2000-01-01,\nada,,2000-01-01,no\n";
    let shown = check(&boss, text).expect(422);
    let lines = between(shown.text(), "<th scope=\"row\" data-label=\"Line\">", "<");
    let columns = between(shown.text(), "<td data-label=\"Column\"><code>", "<");
    assert_eq!(lines, ["2", "2", "3", "3"], "{}", shown.text());
    assert_eq!(columns, ["role", "expires_at", "expires_at", "must_change"]);
    assert_eq!(shown.text().matches("2000-01-01T00:00:00Z is in the past").count(), 2);
}

#[test]
fn a_file_that_is_no_account_csv_is_refused_with_advice() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    for (bytes, part) in [
        (&b"PK\x03\x04rest"[..], "save it as CSV first"),
        (b"name\nK\xe4the\n", "CSV UTF-8"),
        (b"", "Choose a file"),
    ] {
        let refused = boss
            .upload(IMPORT, &[("act", "check")], Some(("accounts.csv", bytes)))
            .expect(422);
        assert!(refused.text().contains(part), "{part}: {}", refused.text());
    }
    let refused = check(&boss, "name,password\nada,hunter2\n").expect(422);
    assert!(refused.text().contains("passwords never come from a file"));
    let large = format!("name\n{}", "x\n".repeat(200_000));
    assert_eq!(check(&boss, &large).status(), 413);
}

#[test]
fn an_export_is_imported_again_without_a_change() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let text = "name,display_name,email,role,groups,expires_at,must_change,disabled\n\
                    '=1+1,'-2+3,+a@example.org,member,\"=ops, night shift\",2999-01-01,yes,\n\
                    \"ada \"\"the\"\" first\",\"Ada; née B.\",,administrator,,,,yes\n\
                    käthe,漢字,k@example.org,,,2999-01-01 18:00,,\n";
        let shown = check(&boss, text).expect(200);
        confirm(&boss, &shown, text, "all", "one-time").expect(200);
        assert_eq!(detail(&server, "=1+1").view.account.display_name, "-2+3", "{backend:?}");
        assert_eq!(
            detail(&server, "=1+1").view.account.groups,
            ["=ops", "night shift"],
            "{backend:?}"
        );
        let csv = boss.post("/admin/accounts/export?format=csv", &[]).expect(200);
        for cell in records(csv.text()).iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        }
        let again = check(&boss, csv.text()).expect(200);
        assert!(
            again.text().contains("0 new · 0 changed · 4 unchanged"),
            "{backend:?} {}",
            again.text()
        );
        assert!(
            again.text().contains("Ignored (read-only columns): id, "),
            "{backend:?}"
        );
        // The command line's file is the same file without the read-only columns.
        let filter = AccountFilter {
            limit: 3,
            ..Default::default()
        };
        let (first, next) = server.run(accounts::export(&server.ctx, filter)).unwrap();
        let (rest, end) = server.run(accounts::export(&server.ctx, next.unwrap())).unwrap();
        assert!(end.is_none());
        let lines: String = first.iter().chain(&rest).map(|entry| entry.record()).collect();
        let shown = check(&boss, &format!("{}{lines}", nightlatch::domain::account_csv::head())).expect(200);
        assert!(shown.text().contains("0 new · 0 changed · 4 unchanged"), "{backend:?}");
    }
}

#[test]
fn an_expiry_given_as_a_day_says_which_instant_that_is() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let form = [("name", "eve"), ("role", "member"), ("expires_at", "2999-01-01")];
    let created = boss.post("/admin/accounts", &form).expect(303);
    let page = boss.get(created.location()).expect(200).page();
    assert!(page.shows("It expires on 2999-01-01 00:00:00 UTC"), "{}", page.text());
    let text = "name,expires_at\nbob,2999-04-05\n";
    let checked = check(&boss, text).expect(200);
    assert!(checked.page().shows("2999-04-05T00:00:00Z"), "{}", checked.text());
}
