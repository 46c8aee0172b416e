//! `/admin/policy/explain`: the worked examples, whose session it is, real sessions, and faults
//! that keep what was typed.

use crate::{
    harness::{
        client::Client,
        server::{Backend, TestServer},
    },
    pages::kit::{NOBODY, between, draft},
};
use nightlatch::{
    domain::{
        account::Role,
        policy::Scope,
        session::{SessionFilter, SessionId},
        time::Span,
    },
    flows::{accounts::AccountAction, policy, sessions},
};

const EXPLAIN: &str = "/admin/policy/explain";

/// IBM's worked example.
fn ibm(server: &TestServer) {
    server.policy(&[("auth.idle_session_timeout", "0.5h"), ("session.renewal_period", "2h")]);
    server.policy_in(
        &Scope::Administrators,
        &[
            ("auth.idle_session_timeout", "0.25h"),
            ("session.renewal_period", "0.1h"),
        ],
    );
}

fn only_session(server: &TestServer, account: &str) -> SessionId {
    let filter = SessionFilter {
        limit: 100,
        ..SessionFilter::default()
    };
    let list = server.run(sessions::list(&server.ctx, filter)).unwrap();
    let mut of = list.items.iter().filter(|view| view.row.account_name == account);
    of.next().expect("a session").row.session.id
}

/// Returns the text of the page's verdict, without tags.
fn verdict(client: &Client, query: &str) -> String {
    let page = client.get(&format!("{EXPLAIN}?{query}")).expect(200);
    let html = between(page.text(), "<p class=\"verdict\">", "</p>")[0].to_owned();
    let text: String = html
        .split('<')
        .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
}

#[test]
fn the_worked_examples_come_out_as_written() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        ibm(&server);
        let day = server.now().to_rfc3339()[..10].to_owned();
        let at = |query: &str| verdict(&boss, &format!("signed_in={day}+08:00&{query}"));
        says(
            &at("role=member&active="),
            &["Ends 08:30", "No activity for 30 minutes", "Idle timeout", "Everyone"],
        );
        says(&at("active=08:00-08:10,08:41"), &["Ends 08:40", "idle"]);
        says(
            &at("active=08:00-17:00"),
            &["Ends 10:30", "session.renewal_period", "Everyone"],
        );
        says(
            &at("role=administrator&active=08:00-17:00"),
            &["Ends 08:15", "Administrators", "renewal"],
        );
        says(&at("account=boss&active=08:00-17:00"), &["Ends 08:15"]);
        server.account("ada", Role::Member);
        says(&at("account=Ada&active=08:00-17:00"), &["Ends 10:30"]);
    }
}

#[test]
fn the_picture_and_its_list_tell_the_same_and_need_no_style_or_script() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    ibm(&server);
    let page = boss
        .get(&format!("{EXPLAIN}?signed_in=08:00&active=08:00-17:00"))
        .expect(200);
    let svg = between(page.text(), "<svg class=\"explain\"", "</svg>")[0];
    says(svg, &["role=\"img\"", "<title", "<desc", "width=\"100%\""]);
    assert!(
        !page.text().contains("style="),
        "the content security policy allows none"
    );
    let listed = between(
        between(page.text(), "<ol class=\"events\">", "</ol>")[0],
        "<li",
        "</li>",
    )
    .len();
    assert_eq!(between(svg, "<circle", "/>").len(), listed);
    assert_eq!(listed, 7, "signed in, four leases, the end, the refusal");
    says(
        between(svg, "<desc", "</desc>")[0],
        &["The lease of 30 minutes ends and is renewed.", "Ends (renewal)."],
    );
}

#[test]
fn a_fault_stands_at_its_field_and_everything_typed_is_kept() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let page = boss
        .get(&format!(
            "{EXPLAIN}?signed_in=soon&active=08:00-%3Cb%3E&every=0&move=09:00&pause=09:00-09:40"
        ))
        .expect(422);
    for field in ["signed_in", "active", "every", "move"] {
        says(
            page.text(),
            &[&format!("id=\"{field}-fault\""), &format!("href=\"#{field}\"")],
        );
    }
    says(
        page.text(),
        &["value=\"soon\"", "08:00-&#60;b&#62;", "value=\"09:00-09:40\""],
    );
    assert!(!page.text().contains("<svg class=\"explain\""));
    let nobody = boss.get(&format!("{EXPLAIN}?account=nobody")).expect(422);
    says(
        nobody.text(),
        &["There is no account with that name.", "value=\"nobody\""],
    );
}

#[test]
fn a_live_session_is_explained_from_its_own_facts() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "15m"), ("session.ttl", "1h")]);
        let (boss, ada) = (server.admin("boss"), server.member("ada"));
        server.advance(300);
        ada.get("/").expect(200);
        server.advance(120);
        let later = |secs| server.now().saturating_add(Span::from_secs(secs)).to_rfc3339();
        let id = only_session(&server, "ada").0;
        let page = boss.get(&format!("{EXPLAIN}?session={id}")).expect(200);
        let (idle, ttl) = (later(900 - 120), later(3_600 - 420));
        says(
            page.text(),
            &[
                "ada, a member",
                "The current state of the session.",
                &idle,
                &ttl,
                "at the latest",
            ],
        );
        let list = boss.get("/admin/sessions").expect(200);
        let detail = boss.get(&format!("/admin/sessions/{id}")).expect(200);
        for page in [list, detail] {
            says(page.text(), &[&format!("href=\"{EXPLAIN}?session={id}\"")]);
        }
        // Used from now on, it lasts as long as it may.
        let active = format!("{EXPLAIN}?session={id}&every=5m&active={}-{}", later(60), later(9_000));
        let active = boss.get(&active).expect(200);
        says(active.text(), &["absolute lifetime of 1 hour is over"]);
        ada.post("/logout", &[]).expect(303);
        let over = boss.get(&format!("{EXPLAIN}?session={id}")).expect(200);
        says(
            over.text(),
            &[
                "This session has ended",
                "signed out",
                "in force when it ended",
                "Last activity.",
            ],
        );
    }
}

#[test]
fn an_unknown_session_is_not_found() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    boss.get(&format!("{EXPLAIN}?session={NOBODY}")).expect(404);
    boss.get(&format!("{EXPLAIN}?session=what")).expect(404);
    server.member("ada").get(EXPLAIN).expect(403);
}

#[test]
fn an_account_that_cannot_sign_in_is_shown_as_such() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let ada = server.account("ada", Role::Member);
    server.act(ada, AccountAction::Disable);
    let page = boss.get(&format!("{EXPLAIN}?account=ada")).expect(200);
    says(page.text(), &["This account is disabled: it cannot sign in."]);
}

#[test]
fn every_value_says_where_it_comes_from_and_which_lifetime_binds() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_POLICY__SESSION__WINDOW_CLOSE_GRACE", "60")
        .start();
    let boss = server.admin("boss");
    server.policy(&[
        ("auth.idle_session_timeout", "1h"),
        ("session.session_validation_mode", "strict"),
    ]);
    server.policy_in(
        &Scope::Application("wiki".into()),
        &[("auth.idle_session_timeout", "10m")],
    );
    let page = boss.get(&format!("{EXPLAIN}?app=wiki")).expect(200);
    let rows = between(page.text(), "<tbody>", "</tbody>");
    says(
        rows[0],
        &[
            "Set for Everyone",
            "Set for Application wiki",
            "Decides",
            "From strict",
            "Pinned by environment",
        ],
    );
    says(rows[1], &["Default", "session.http_only"]);
    assert_eq!(rows[0].matches("auth.idle_session_timeout</code>").count(), 2);
}

#[test]
fn a_draft_is_explained_beside_the_policy_in_force_to_its_author_alone() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    ibm(&server);
    let base = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    let review = draft(&boss, base, &[("auth.idle_session_timeout", "1h")]).expect(303);
    let id = review.location().split("draft=").nth(1).unwrap().to_owned();
    let link = format!("{EXPLAIN}?draft={id}");
    says(boss.get(review.location()).expect(200).text(), &[&link]);
    let page = boss.get(&format!("{link}&signed_in=08:00&active=")).expect(200);
    let verdicts = between(page.text(), "<p class=\"verdict\">", "</p>");
    says(verdicts[0], &["08:30"]);
    says(verdicts[1], &["09:00", "1 hour"]);
    says(
        page.text(),
        &[
            "Current policy",
            "Your draft",
            &format!("name=\"draft\" value=\"{id}\""),
        ],
    );
    server.admin("other").get(&link).expect(404);
}
