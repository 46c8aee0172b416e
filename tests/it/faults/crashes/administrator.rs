//! An administrator who saves the policy, ends Bob's sessions, and disables and enables Eve.

use super::{
    SeededNumbers,
    browser::{Browser, SessionState, send_form, sign_in},
};
use crate::harness::{
    client::Client,
    server::{PASSWORD, TestDatabase, TestServer},
};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::policy::in_force,
};
use reqwest::Method;

const LIVE_SESSIONS_OF_BOB: &str =
    "sessions JOIN accounts a ON a.id = sessions.account_id WHERE a.name = 'bob' AND ended_at IS NULL";

const RECORDED_REVISIONS: &str = "audit WHERE event = 'policy.changed'";

/// The administrator, and what must be true of the policy, of Bob and of Eve.
pub(super) struct Administrator {
    client: Client,
    base: String,
    /// The newest revision of the policy, and whether another one was asked for without an answer.
    revision: i64,
    asked_revision: bool,
    /// How many more revisions are recorded than the number of the newest one says.
    recorded_at_start: i64,
    bob: AccountId,
    bobs: Option<Browser>,
    eve: AccountId,
    eves: Option<Browser>,
    /// Whether Eve is disabled; `None`: an act was not acknowledged.
    disabled: Option<bool>,
}

impl Administrator {
    pub fn new(server: &TestServer) -> Self {
        server.account("boss", Role::Administrator);
        let revision = server.run(in_force(&server.ctx)).unwrap().revision.revision;
        Self {
            client: server.anyone(),
            base: String::new(),
            revision,
            asked_revision: false,
            recorded_at_start: server.database.count(RECORDED_REVISIONS) - revision,
            bob: server.account("bob", Role::Member),
            bobs: None,
            eve: server.account("eve", Role::Member),
            eves: None,
            disabled: Some(false),
        }
    }

    /// Does one thing. Returns whether it was acknowledged.
    pub fn act(&mut self, numbers: &mut SeededNumbers, database: &TestDatabase) -> bool {
        match numbers.below(3) {
            0 => self.save_policy().is_some(),
            1 => self.end_bobs_sessions(database),
            _ => self.switch_eve(),
        }
    }

    fn save_policy(&mut self) -> Option<()> {
        let (base, hours) = (self.revision.to_string(), format!("{}h", 100 + self.revision % 200));
        let form = [
            ("base", base.as_str()),
            ("scope", "everyone"),
            ("session.ttl", hours.as_str()),
        ];
        let drafted = send_form(&self.client, "/admin/policy", &form)?;
        let review = self.client.try_send(Method::GET, drafted.location(), None)?;
        let page = review.expect(200).page();
        let (draft, base) = (
            page.form_with("base").field("draft"),
            page.form_with("base").field("base"),
        );
        let form = [("draft", draft.as_str()), ("base", base.as_str())];
        self.asked_revision = true;
        send_form(&self.client, "/admin/policy/review", &form)?;
        self.asked_revision = false;
        self.revision += 1;
        Some(())
    }

    /// Signs Bob in, or ends his session.
    fn end_bobs_sessions(&mut self, database: &TestDatabase) -> bool {
        let Some(bobs) = self.bobs.as_mut().filter(|browser| browser.state == SessionState::Live) else {
            self.bobs = sign_in(&self.base, "bob", PASSWORD);
            return self.bobs.is_some();
        };
        let page = format!("/admin/accounts/{}", self.bob.0);
        let acknowledged = send_form(&self.client, &page, &[("act", "end-sessions")]).is_some();
        bobs.end(acknowledged);
        if acknowledged {
            assert_eq!(database.count(LIVE_SESSIONS_OF_BOB), 0, "acknowledged as ended");
        }
        acknowledged
    }

    /// Signs Eve in, disables her, or enables her again.
    fn switch_eve(&mut self) -> bool {
        let disabled = self.disabled == Some(true);
        let is_live = |browser: &Browser| browser.state == SessionState::Live;
        if !disabled && !self.eves.as_ref().is_some_and(is_live) {
            self.eves = sign_in(&self.base, "eve", PASSWORD);
            return self.eves.is_some();
        }
        let act = if disabled { "enable" } else { "disable" };
        let page = format!("/admin/accounts/{}", self.eve.0);
        let acknowledged = send_form(&self.client, &page, &[("act", act)]).is_some();
        self.disabled = acknowledged.then_some(!disabled);
        if let Some(browser) = self.eves.as_mut().filter(|_| !disabled) {
            browser.end(acknowledged);
        }
        acknowledged
    }

    /// Compares everything with the model, and learns what was unknown.
    pub fn settle(&mut self, base: &str, database: &TestDatabase) {
        base.clone_into(&mut self.base);
        self.client = Client::new(base);
        self.client.sign_in("boss", PASSWORD).expect(303);
        self.settle_policy(database);
        self.bobs = self.bobs.take().map(|browser| browser.at(base));
        self.bobs.iter_mut().for_each(Browser::settle);

        let found = database.count("accounts WHERE name = 'eve' AND disabled_at IS NOT NULL") == 1;
        assert_eq!(found, self.disabled.unwrap_or(found), "Eve is disabled");
        self.disabled = Some(found);
        self.eves = self.eves.take().map(|browser| browser.at(base));
        if let Some(browser) = &mut self.eves {
            let was_asked = browser.state == SessionState::Unknown;
            browser.settle();
            let ended = browser.state == SessionState::Ended;
            assert!(ended || !found, "a disabled account has no session");
            assert!(!was_asked || ended == found, "disabled as a whole or not at all");
        }
        let events = |code: &str| database.count(&format!("audit WHERE event = '{code}'"));
        let balance = events("account.disabled") - events("account.enabled");
        assert_eq!(balance, i64::from(found), "every change is recorded");
        let signs_in = Client::new(base).sign_in("eve", PASSWORD).status() == 303;
        assert_eq!(signs_in, !found, "only an enabled account signs in");
    }

    fn settle_policy(&mut self, database: &TestDatabase) {
        let newest = |revision: i64| database.count(&format!("policies WHERE revision >= {revision}"));
        if std::mem::take(&mut self.asked_revision) {
            self.revision += newest(self.revision + 1);
        }
        assert_eq!(newest(self.revision), 1, "the newest revision is {}", self.revision);
        let recorded = database.count(RECORDED_REVISIONS) - self.revision;
        assert_eq!(recorded, self.recorded_at_start, "every revision is recorded");
    }
}
