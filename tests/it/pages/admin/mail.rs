//! The page of emails: what waits, what was refused and why, trying again and taking back.

use crate::{
    harness::{
        server::{Backend, TestServer, eventually},
        smtp::{Manner, SmtpServer},
    },
    pages::kit::{NOBODY, between},
};
use nightlatch::{
    domain::account::Role,
    flows::accounts::{self, CreateOutcome, NewAccount, NewPassword},
};

fn invite(server: &TestServer, name: &str) {
    let new = NewAccount {
        name: name.to_owned(),
        display_name: String::new(),
        email: format!("{name}@example.org"),
        role: Role::Member,
        groups: Vec::new(),
        expires_at: None,
        password: NewPassword::Invitation,
    };
    let created = server.run(accounts::create(&server.ctx, &crate::harness::server::operator(), new));
    assert!(matches!(created, Ok(CreateOutcome::Created { invited: true, .. })));
}

#[test]
fn emails_show_with_the_servers_words_and_are_tried_again_or_taken_back() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let smtp = SmtpServer::start(Manner::Recipient("451 4.7.1 <b>greylisted</b>"));
        let server = TestServer::on(backend).env("NIGHTLATCH_SMTP_URL", &smtp.url()).start();
        let admin = server.admin("boss");
        assert!(
            admin.get("/admin/mail").expect(200).text().contains("No emails yet"),
            "{backend:?}"
        );
        invite(&server, "eve");
        let shows = |words: &str| admin.get("/admin/mail").expect(200).text().contains(words);
        eventually("the refusal shows", || shows("greylisted"));
        let page = admin.get("/admin/mail").expect(200);
        assert!(!page.text().contains("<b>greylisted"), "{backend:?}: as text");
        assert!(!page.text().contains("token="), "{backend:?}: nothing of what it says");
        assert!(page.text().contains("Retrying"), "{backend:?}");
        assert!(
            admin.get("/admin").expect(200).text().contains("href=\"/admin/mail\""),
            "{backend:?}"
        );
        let id = between(page.text(), "name=\"id\" value=\"", "\"")[0].to_owned();
        smtp.behave(Manner::Takes);
        admin.post("/admin/mail", &[("id", &id), ("act", "retry")]).expect(303);
        eventually("it is sent", || shows("taken as 4711"));
        admin
            .post("/admin/mail", &[("id", &id), ("act", "discard")])
            .expect(303);
        assert!(shows("Nothing to cancel"), "{backend:?}");
        smtp.behave(Manner::Recipient("550 5.1.1 no such user"));
        invite(&server, "bob");
        eventually("it is given up", || shows("link expired"));
        let overview = admin.get("/admin").expect(200);
        assert!(overview.text().contains("/admin/mail?state=given_up"), "{backend:?}");
        let given_up = admin.get("/admin/mail?state=given_up").expect(200);
        let id = between(given_up.text(), "name=\"id\" value=\"", "\"")[0].to_owned();
        admin
            .post(
                "/admin/mail",
                &[("id", &id), ("act", "discard"), ("back", "state=given_up")],
            )
            .expect(303);
        assert!(
            admin
                .get("/admin/mail?state=given_up")
                .text()
                .contains("Nothing matches"),
            "{backend:?}"
        );
        admin
            .post("/admin/mail", &[("id", NOBODY), ("act", "retry")])
            .expect(404);
        server.advance(601);
        admin
            .post("/admin/mail", &[("id", NOBODY), ("act", "retry")])
            .expect(404);
        let asked = admin
            .post("/admin/mail", &[("id", &id), ("act", "discard")])
            .expect(403);
        assert!(
            asked.text().contains("step_up_password"),
            "{backend:?}: the password comes first"
        );
        admin.sign_in("boss", crate::harness::server::PASSWORD).expect(303);
        admin.post("/admin/mail", &[("id", &id), ("act", "burn")]).expect(400);
    }
}
