//! Somebody who signs in with several browsers, signs out and changes the password.

use super::{
    SeededNumbers,
    browser::{Browser, SessionState, send_form, sign_in},
};
use crate::harness::{client::Client, server::PASSWORD};
use reqwest::Method;

/// Most live sessions.
const MAX_LIVE: usize = 4;
/// Most browsers that are remembered.
const MAX_BROWSERS: usize = 12;

/// A person, and what must be true of the account.
pub(super) struct Person {
    pub name: &'static str,
    /// Password changes so far.
    pub changes: i64,
    password: String,
    /// The password that was asked for without an answer, and the browser that asked.
    asked: Option<(String, usize)>,
    browsers: Vec<Browser>,
    base: String,
}

impl Person {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            changes: 0,
            password: PASSWORD.to_owned(),
            asked: None,
            browsers: Vec::new(),
            base: String::new(),
        }
    }

    /// Does one thing. Returns whether it was acknowledged.
    pub fn act(&mut self, numbers: &mut SeededNumbers) -> bool {
        let live: Vec<usize> = (0..self.browsers.len())
            .filter(|index| self.browsers[*index].state == SessionState::Live)
            .collect();
        let act = numbers.below(4);
        if live.is_empty() || (act == 0 && live.len() < MAX_LIVE) {
            return self.sign_in();
        }
        let chosen = live[usize::try_from(numbers.below(live.len() as u64)).unwrap()];
        match act {
            1 => self.change_password(chosen),
            2 => self.visit(chosen),
            _ => self.sign_out(chosen),
        }
    }

    fn sign_in(&mut self) -> bool {
        let signed_in = sign_in(&self.base, self.name, &self.password);
        let acknowledged = signed_in.is_some();
        self.browsers.extend(signed_in);
        acknowledged
    }

    fn visit(&mut self, index: usize) -> bool {
        let browser = &mut self.browsers[index];
        let Some(answer) = browser.client.try_send(Method::GET, "/", None) else {
            // A new cookie may have been on its way.
            browser.state = SessionState::Unknown;
            return false;
        };
        answer.expect(200);
        true
    }

    fn sign_out(&mut self, index: usize) -> bool {
        let browser = &mut self.browsers[index];
        let acknowledged = send_form(&browser.client.thief(), "/logout", &[]).is_some();
        browser.end(acknowledged);
        acknowledged
    }

    fn change_password(&mut self, index: usize) -> bool {
        let new = format!("quiet lantern orchard {}", self.changes);
        let form = [
            ("current_password", self.password.as_str()),
            ("new_password", new.as_str()),
            ("new_password_again", new.as_str()),
        ];
        let acknowledged = send_form(&self.browsers[index].client, "/password", &form).is_some();
        match acknowledged {
            true => self.password_changed(new, index),
            false => self.asked = Some((new, index)),
        }
        acknowledged
    }

    fn password_changed(&mut self, new: String, index: usize) {
        self.password = new;
        self.changes += 1;
        for (other, browser) in self.browsers.iter_mut().enumerate() {
            if other != index {
                browser.state = SessionState::Ended;
            }
        }
    }

    /// Compares the account with the model, and learns what was unknown.
    pub fn settle(&mut self, base: &str) {
        base.clone_into(&mut self.base);
        let browsers = std::mem::take(&mut self.browsers);
        self.browsers = browsers.into_iter().map(|browser| browser.at(base)).collect();
        if let Some((new, index)) = self.asked.take() {
            match Client::new(base).sign_in(self.name, &new).status() {
                303 => {
                    self.password_changed(new, index);
                    // Its new cookie was on its way.
                    self.browsers.remove(index);
                }
                422 => {}
                other => panic!("a sign-in is answered {other}"),
            }
        }
        assert!(self.sign_in(), "{} signs in with the password of the model", self.name);
        self.browsers.iter_mut().for_each(Browser::settle);
        let surplus = self.browsers.len().saturating_sub(MAX_BROWSERS);
        self.browsers.drain(..surplus);
    }
}
