//! `/admin/policy/review`: drafts on top of what others saved meanwhile, and saves that undo
//! themselves.

use crate::{
    harness::{
        client::Client,
        server::{Backend, PASSWORD, TestServer, eventually},
    },
    pages::kit::{at_once, between, draft, save, save_reviewed},
};
use nightlatch::{
    domain::{policy::Key, time::Span},
    flows::policy::{self, in_force},
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

fn revision(server: &TestServer) -> i64 {
    server.run(in_force(&server.ctx)).unwrap().revision.revision
}

fn number(server: &TestServer, key: Key) -> String {
    let policy = &server.run(in_force(&server.ctx)).unwrap().in_force.policy;
    policy
        .value(key, nightlatch::domain::account::Role::Member, None)
        .0
        .to_string()
}

/// The newest revision, whether or not it is in force.
fn newest(server: &TestServer) -> nightlatch::domain::policy::Revision {
    server.run(policy::revisions(&server.ctx, None, 1)).unwrap().remove(0)
}

#[test]
fn nothing_is_in_force_before_the_review_is_saved_and_the_reason_is_kept() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let before = revision(&server);
        let review = draft(&boss, before, &[("session.ttl", "2h")]).expect(303);
        assert_eq!(revision(&server), before, "{backend:?}");
        let page = boss.get(review.location()).expect(200);
        for word in ["Absolute lifetime", "session.ttl", "2 weeks", "2 hours", "Everyone"] {
            assert!(page.text().contains(word), "{backend:?} {word}");
        }
        // The draft waits: the editor shows it, and continues it.
        assert!(
            boss.get("/admin/policy").expect(200).text().contains(review.location()),
            "{backend:?}"
        );
        save_reviewed(&boss, review.location(), &[("reason", "as agreed")]).expect(303);
        assert_eq!(newest(&server).reason, "as agreed", "{backend:?}");
        boss.get(review.location()).expect(404);
    }
}

#[test]
fn a_draft_is_its_authors_alone() {
    let server = TestServer::start();
    let (boss, other) = (server.admin("boss"), server.admin("other"));
    let review = draft(&boss, revision(&server), &[("session.ttl", "2h")]).expect(303);
    other.get(review.location()).expect(404);
    let id = review.location().rsplit('=').next().unwrap().to_owned();
    let base = revision(&server).to_string();
    other
        .post("/admin/policy/review", &[("draft", &id), ("base", &base)])
        .expect(404);
    other
        .post("/admin/policy/review/discard", &[("draft", &id)])
        .expect(404);
    other
        .post("/admin/policy/review/resolve", &[("draft", &id), ("base", &base)])
        .expect(404);
    boss.post("/admin/policy/review/discard", &[("draft", &id)]).expect(303);
    boss.get(review.location()).expect(404);
}

#[test]
fn edits_of_several_scopes_gather_in_one_draft() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let base = revision(&server);
    let first = draft(&boss, base, &[("session.ttl", "2h")]).expect(303);
    let id = first.location().rsplit('=').next().unwrap().to_owned();
    let form = [
        ("base", &*base.to_string()),
        ("scope", "administrators"),
        ("draft", &id),
        ("session.ttl", "1h"),
    ];
    let second = boss.post("/admin/policy", &form).expect(303);
    assert_eq!(second.location(), first.location());
    // The editor shows what was typed, in each scope.
    let everyone = boss
        .get(&format!("/admin/policy?scope=everyone&draft={id}"))
        .expect(200);
    assert!(everyone.text().contains("value=\"2 hours\""));
    save_reviewed(&boss, first.location(), &[]).expect(303);
    assert_eq!(newest(&server).changes.len(), 2);
    assert_eq!(revision(&server), base + 1);
}

#[test]
fn edits_that_do_not_overlap_are_merged() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let review = draft(&boss, revision(&server), &[("auth.idle_session_timeout", "17m")]).expect(303);
        server.policy(&[("session.ttl", "3h")]);
        let page = boss.get(review.location()).expect(200);
        assert!(
            page.text().contains("saved revision 2 in the meantime") && page.text().contains("3 hours"),
            "{backend:?}"
        );
        save_reviewed(&boss, review.location(), &[]).expect(303);
        assert_eq!(number(&server, Key::SessionTtl), "10800", "{backend:?}");
        assert_eq!(number(&server, Key::AuthIdleSessionTimeout), "1020", "{backend:?}");
    }
}

#[test]
fn a_save_reviewed_on_an_older_revision_is_reviewed_again() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let base = revision(&server);
        let review = draft(&boss, base, &[("auth.idle_session_timeout", "17m")]).expect(303);
        let id = review.location().rsplit('=').next().unwrap().to_owned();
        server.policy(&[("session.ttl", "3h")]);
        let form = [("draft", id.as_str()), ("base", &*base.to_string()), ("reason", "mine")];
        let stale = boss.post("/admin/policy/review", &form).expect(409);
        assert!(
            stale.text().contains("value=\"mine\""),
            "{backend:?} the reason is kept"
        );
        assert_eq!(
            between(stale.text(), "name=\"base\" value=\"", "\"")[0],
            (base + 1).to_string()
        );
        assert_eq!(revision(&server), base + 1, "{backend:?}");
        save_reviewed(&boss, review.location(), &[]).expect(303);
    }
}

#[test]
fn conflicts_are_shown_and_can_be_decided_either_way() {
    for backend in BOTH {
        for (side, expected) in [("mine", "7200"), ("theirs", "10800")] {
            let server = TestServer::on(backend).start();
            let boss = server.admin("boss");
            let edits = [("session.ttl", "2h"), ("auth.idle_session_timeout", "17m")];
            let review = draft(&boss, revision(&server), &edits).expect(303);
            let id = review.location().rsplit('=').next().unwrap().to_owned();
            server.policy(&[("session.ttl", "3h")]);
            let base = revision(&server).to_string();
            let page = boss.get(review.location()).expect(200);
            assert!(page.text().contains("Changed by both"), "{backend:?}");
            // Undecided it cannot be saved.
            boss.post("/admin/policy/review", &[("draft", &id), ("base", &base)])
                .expect(409);
            let answer = [("draft", id.as_str()), ("base", &base), ("session.ttl@everyone", side)];
            boss.post("/admin/policy/review/resolve", &answer).expect(303);
            save_reviewed(&boss, review.location(), &[]).expect(303);
            assert_eq!(number(&server, Key::SessionTtl), expected, "{backend:?} {side}");
            assert_eq!(
                number(&server, Key::AuthIdleSessionTimeout),
                "1020",
                "{backend:?} {side}"
            );
        }
    }
}

#[test]
fn one_of_several_saves_on_the_same_base_wins() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let tabs: Vec<Client> = (0..8).map(|_| boss.thief()).collect();
        let base = revision(&server);
        let forms: Vec<String> = (0..8)
            .map(|index| {
                let review = draft(&tabs[index], base, &[("session.ttl", &format!("{}h", index + 1))]).expect(303);
                review.location().rsplit('=').next().unwrap().to_owned()
            })
            .collect();
        let mut statuses = at_once(8, |index| {
            let form = [("draft", forms[index].as_str()), ("base", &*base.to_string())];
            tabs[index].post("/admin/policy/review", &form).status()
        });
        statuses.sort();
        assert_eq!(statuses[0], 303, "{backend:?} {statuses:?}");
        assert!(
            statuses[1..].iter().all(|status| *status == 409),
            "{backend:?} {statuses:?}"
        );
        assert_eq!(revision(&server), base + 1, "{backend:?}");
    }
}

/// Saves something harmless that is to be confirmed; its revision.
fn provisional(server: &TestServer, boss: &Client) -> i64 {
    let before = revision(server);
    save(boss, before, &[("session.ttl", "2h")], &[("provisional", "on")]).expect(303);
    before + 1
}

#[test]
fn a_provisional_save_governs_at_once_and_undoes_itself_after_sixty_seconds() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let saved = provisional(&server, &boss);
        assert_eq!(number(&server, Key::SessionTtl), "7200", "{backend:?} at once");
        assert!(
            boss.get("/admin/sessions")
                .expect(200)
                .text()
                .contains(&format!("Keep revision {saved}")),
            "{backend:?} every administrator is asked"
        );
        server.advance(60);
        assert_eq!(number(&server, Key::SessionTtl), "7200", "{backend:?} its last instant");
        server.advance(1);
        // Every request gets the previous policy, whatever is written.
        assert_eq!(number(&server, Key::SessionTtl), "1209600", "{backend:?}");
        eventually("it is written down", || newest(&server).kind == "reverted");
        let events = server.events();
        let place = |code: &str| events.iter().position(|event| event.starts_with(code));
        assert!(place("policy.changed").is_some(), "{backend:?} {events:?}");
        assert!(place("policy.reverted").is_some(), "{backend:?} {events:?}");
        assert_eq!(newest(&server).revision, saved + 1, "{backend:?}");
        assert!(
            !boss.get("/admin").expect(200).text().contains("Keep revision"),
            "{backend:?}"
        );
    }
}

#[test]
fn any_administrator_keeps_it_once_and_then_it_stays() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (boss, other) = (server.admin("boss"), server.admin("other"));
        let saved = provisional(&server, &boss);
        let form = [("revision", saved.to_string())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.member("ada").post("/admin/policy/confirm", &form).expect(403);
        other.post("/admin/policy/confirm", &form).expect(303);
        server.advance(3600);
        assert_eq!(number(&server, Key::SessionTtl), "7200", "{backend:?}");
        assert_eq!(newest(&server).revision, saved, "{backend:?}");
        assert!(
            server
                .events()
                .iter()
                .any(|event| event.starts_with("policy.confirmed")),
            "{backend:?}"
        );
        // Neither undone nor kept a second time.
        boss.post("/admin/policy/undo", &form).expect(303);
        assert_eq!(newest(&server).revision, saved, "{backend:?}");
    }
}

#[test]
fn it_is_undone_at_once_on_demand_and_cannot_be_kept_after_that() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let saved = provisional(&server, &boss).to_string();
        boss.post("/admin/policy/undo", &[("revision", &saved)]).expect(303);
        assert_eq!(number(&server, Key::SessionTtl), "1209600", "{backend:?}");
        boss.post("/admin/policy/confirm", &[("revision", &saved)]).expect(303);
        server.advance(61);
        assert_eq!(number(&server, Key::SessionTtl), "1209600", "{backend:?}");
        assert!(
            !server
                .events()
                .iter()
                .any(|event| event.starts_with("policy.confirmed")),
            "{backend:?}"
        );
    }
}

#[test]
fn nothing_else_is_saved_while_a_save_waits() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let saved = provisional(&server, &boss);
        let held = draft(&boss, saved, &[("session.concurrent_user_session_limit", "3")]).expect(303);
        let page = boss.get(held.location()).expect(200);
        assert!(page.text().contains("is waiting to be kept"), "{backend:?}");
        save_reviewed(&boss, held.location(), &[]).expect(409);
        assert_eq!(newest(&server).revision, saved, "{backend:?}");
        server.advance(61);
        eventually("it is undone", || newest(&server).revision > saved);
        // Based on the restored policy: the draft was made on the revision that was reverted.
        save_reviewed(&boss, held.location(), &[]).expect(303);
        assert_eq!(number(&server, Key::SessionTtl), "1209600", "{backend:?}");
        assert_eq!(
            number(&server, Key::SessionConcurrentUserSessionLimit),
            "3",
            "{backend:?}"
        );
    }
}

#[test]
fn a_crash_between_save_and_confirmation_undoes_it() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let saved = provisional(&server, &boss);
        let (database, clock) = (server.database.clone(), server.clock.clone());
        server.stop();
        clock.advance(Span::from_secs(61));
        let server = TestServer::beside(&database).clock(&clock).start();
        let boss = boss.at(&server.base);
        boss.get("/admin").expect(200);
        assert_eq!(number(&server, Key::SessionTtl), "1209600", "{backend:?}");
        eventually("it is written down", || newest(&server).revision == saved + 1);
        assert_eq!(newest(&server).kind, "reverted", "{backend:?}");
    }
}

#[test]
fn a_save_that_ends_ones_own_session_is_provisional_by_itself() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let before = revision(&server);
        server.advance(3600);
        boss.get("/admin").expect(200);
        let review = draft(&boss, before, &[("session.ttl", "30m")]).expect(303);
        let page = boss.get(review.location()).expect(200);
        assert!(page.text().contains("Your own session ends"), "{backend:?}");
        let asked = save_reviewed(&boss, review.location(), &[]);
        boss.confirm(&asked, PASSWORD).expect(303);
        assert!(newest(&server).confirm_by.is_some(), "{backend:?}");
        boss.get("/admin").expect(303);
        server.advance(61);
        // Ended sessions stay ended; a new one lives under the old policy.
        boss.get("/admin").expect(303);
        assert_eq!(number(&server, Key::SessionTtl), "1209600", "{backend:?}");
        server.signed_in("boss").get("/admin").expect(200);
    }
}

#[test]
fn a_harmless_save_is_for_good() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    save(&boss, revision(&server), &[("password.min_length", "14")], &[]).expect(303);
    assert_eq!(newest(&server).confirm_by, None);
    assert!(newest(&server).confirmed);
}

#[test]
fn a_lock_that_would_meet_the_saver_is_a_risk() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for _ in 0..2 {
            server.anyone().sign_in("boss", "wrong").expect(422);
        }
        let edits = [
            ("auth.login_lock_out_at_failure", "on"),
            ("auth.login_failure_limit", "2"),
        ];
        let review = draft(&boss, revision(&server), &edits).expect(303);
        let page = boss.get(review.location()).expect(200);
        assert!(page.text().contains("refuse your next sign-in"), "{backend:?}");
    }
}

#[test]
fn a_review_warns_of_what_it_changes_and_not_of_what_stands_already() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("auth.idle_session_timeout", "90")]);
    let review = |fields: &[(&str, &str)]| {
        let made = draft(&boss, revision(&server), fields).expect(303);
        boss.get(made.location()).expect(200)
    };
    assert!(
        !review(&[("session.ttl", "13 days")])
            .text()
            .contains("Worth a second look")
    );
    assert!(
        review(&[("auth.idle_session_timeout", "80")])
            .text()
            .contains("Worth a second look")
    );
}
