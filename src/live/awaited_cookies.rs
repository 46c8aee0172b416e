//! Sign-ins whose cookie has not come back yet. If the browser requests the sign-in page instead,
//! it did not keep the cookie.

use crate::domain::{
    session::SessionId,
    time::{Span, Timestamp},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How long a cookie is awaited. The browser follows the redirect at once.
const WITHIN: Span = Span::from_secs(15);
/// Most sign-ins that are awaited; further ones are not added.
const MAX_AWAITED: usize = 1_000;

/// Address and user agent of a browser.
type Browser = (IpAddr, Option<String>);

/// Recent sign-ins whose cookie has not been seen.
#[derive(Debug, Default)]
pub struct PendingCookies {
    sign_ins: Mutex<HashMap<Browser, (SessionId, Timestamp)>>,
    /// Their number, so that most requests need no lock.
    count: AtomicUsize,
}

impl PendingCookies {
    /// Waits for the cookie of a session that was just opened in a browser.
    pub fn await_cookie(&self, ip: IpAddr, user_agent: Option<&str>, session: SessionId, now: Timestamp) {
        let mut sign_ins = self.sign_ins();
        sign_ins.retain(|_, (_, since)| now.since(*since) <= WITHIN);
        if sign_ins.len() < MAX_AWAITED {
            sign_ins.insert((ip, user_agent.map(str::to_owned)), (session, now));
        }
        self.count.store(sign_ins.len(), Ordering::Release);
    }

    /// Records that the cookie of a session came back.
    pub fn note_came(&self, session: SessionId) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut sign_ins = self.sign_ins();
        sign_ins.retain(|_, (awaited, _)| *awaited != session);
        self.count.store(sign_ins.len(), Ordering::Release);
    }

    /// Takes a lost cookie: returns whether a browser has just signed in and did not keep the
    /// cookie. It is true once for each sign-in, because another browser of the same kind behind
    /// the same address must not learn of it.
    pub fn take_lost(&self, ip: IpAddr, user_agent: Option<&str>, now: Timestamp) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut sign_ins = self.sign_ins();
        let awaited = sign_ins.remove(&(ip, user_agent.map(str::to_owned)));
        self.count.store(sign_ins.len(), Ordering::Release);
        awaited.is_some_and(|(_, since)| now.since(since) <= WITHIN)
    }

    fn sign_ins(&self) -> MutexGuard<'_, HashMap<Browser, (SessionId, Timestamp)>> {
        self.sign_ins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
