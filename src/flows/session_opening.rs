//! The only place that opens sessions. The same steps apply to every way to sign in: access to the
//! application, replaced sessions, the limit, the account's times, known networks, notifications
//! and the audit.

use super::{Ctx, FlowError, Initiator, Write, notifications::SignInNotification, session_tokens::new_token};
use crate::{
    domain::{
        account::Account,
        application::Application,
        audit::{Actor, AuditEntry, Event},
        client::Client,
        factor::Proofs,
        network,
        password::ChangeReason,
        secret::{self, Secret},
        session::{Binding, EndReason, Session, SessionId, surplus},
        time::Timestamp,
    },
    live::policy::PolicyInForce,
    store::{StoreError, accounts, sessions},
};
use std::sync::Arc;

/// The place where a session will be valid, and the form of its cookie.
pub struct SessionTarget {
    /// The live session of the same browser, which ends when the new one begins.
    pub replaces: Option<SessionId>,
    /// The form in which the cookie will be issued (`http::session_cookie`).
    pub cookie_form: String,
    /// The host for which it will be valid, as tokens store it.
    pub host: String,
    /// The application on whose page the user signs in; a user without access gets no session
    /// there.
    pub entering: Option<Arc<Application>>,
}

/// A request to open a session: the account, the origin and the target.
pub(super) struct SessionRequest<'a> {
    /// The account, with its row locked. The caller has decided that it may sign in.
    pub(super) account: Account,
    /// The proofs of the sign-in.
    pub(super) proofs: Proofs,
    pub(super) must_change: Option<ChangeReason>,
    pub(super) client: &'a Client,
    pub(super) target: &'a SessionTarget,
    pub(super) in_force: &'a PolicyInForce,
}

/// An opened session.
pub struct OpenedSession {
    /// Its account.
    pub account: Account,
    /// Its ID.
    pub session: SessionId,
    /// When it was opened.
    pub signed_in_at: Timestamp,
    /// Its first token, for the cookie.
    pub token: Secret,
    /// The reason why the password must be changed before anything else.
    pub must_change: Option<ChangeReason>,
    /// The proofs of the sign-in.
    pub proofs: Proofs,
}

/// The result of a [`SessionRequest`].
pub(super) enum SessionOpening {
    Opened(Box<OpenedSession>),
    /// The account has no access to the application.
    NotAllowed,
}

impl Write<'_> {
    /// Opens a session: row, token, limit, replaced session, account's times, known network,
    /// notification, audit. From here on the account is the initiator of the write.
    pub(super) fn open_session(&mut self, request: SessionRequest<'_>) -> Result<SessionOpening, FlowError> {
        let account = &request.account;
        self.initiator.actor = Actor::Account {
            id: account.id,
            name: account.name.clone(),
        };
        if let Some(application) = request.barring_application() {
            let denial = denial_entry(&self.initiator, application);
            self.record(&denial)?;
            return Ok(SessionOpening::NotAllowed);
        }
        let (session, token) = self.ctx.new_session(&request, self.now);
        self.initiator.session = Some(session.id);
        self.end_replaced(request.target.replaces)?;
        self.end_surplus(account, request.in_force)?;
        sessions::insert(self.connection, &session)?;
        self.notify_sign_in(&SignInNotification {
            account,
            client: request.client,
        })?;
        let network = network::known_network(request.client.ip).to_string();
        accounts::record_sign_in(self.connection, account.id, &network, self.now)?;
        let proofs = self.ctx.sign_in_detail(&request);
        let entries = [
            self.entry(Event::SignInAccepted)
                .with_account(account.id, &account.name)
                .with_detail(proofs),
            self.entry(Event::SessionOpened).with_account(account.id, &account.name),
        ];
        self.record_all(&entries)?;
        let opened = OpenedSession {
            session: session.id,
            signed_in_at: session.signed_in_at,
            token,
            must_change: request.must_change,
            proofs: request.proofs,
            account: request.account,
        };
        self.remember_session(session);
        Ok(SessionOpening::Opened(Box::new(opened)))
    }

    /// Takes the rows that an accepted sign-in may change, in the one order that all writes keep:
    /// administrators, accounts, sessions, counters. Administrators only where the last of them
    /// might expire: else every sign-in would wait for every other one.
    pub(super) fn lock_owners(
        &mut self,
        account: Option<&Account>,
        replaces: Option<SessionId>,
        administrators: bool,
    ) -> Result<(), StoreError> {
        if administrators {
            accounts::lock_administrators(self.connection)?;
        }
        let Some(id) = replaces else { return Ok(()) };
        let Some(replaced) = sessions::find(self.connection, id)? else {
            return Ok(());
        };
        let mut owners = vec![replaced.account_id];
        owners.extend(account.map(|account| account.id));
        owners.sort();
        owners
            .into_iter()
            .try_for_each(|id| sessions::lock_account_sessions(self.connection, id))
    }

    /// Ends the browser's previous session.
    fn end_replaced(&mut self, replaces: Option<SessionId>) -> Result<(), StoreError> {
        let Some(id) = replaces else { return Ok(()) };
        if let Some(replaced) = sessions::find(self.connection, id)? {
            let owner = accounts::find(self.connection, replaced.account_id)?;
            let name = owner.map(|owner| owner.name).unwrap_or_default();
            self.end_session(&replaced, &name, EndReason::SignedOut)?;
        }
        Ok(())
    }

    /// Ends the account's sessions beyond the limit, so that one more fits.
    fn end_surplus(&mut self, account: &Account, in_force: &PolicyInForce) -> Result<(), StoreError> {
        let limit = in_force.effective(account.role, &[], None).concurrent_limit;
        if limit == 0 {
            return Ok(());
        }
        let mut live = sessions::list_live_of_account(self.connection, account.id)?;
        live.retain(|session| self.ctx.is_live(in_force, account, session, self.now));
        let others: Vec<_> = live
            .iter()
            .map(|session| (session.id, self.ctx.life_of(session).last_active_at))
            .collect();
        for id in surplus(&others, limit) {
            if let Some(session) = live.iter().find(|session| session.id == id) {
                self.end_session(session, &account.name, EndReason::SessionLimit)?;
            }
        }
        Ok(())
    }
}

impl SessionRequest<'_> {
    /// Returns the application to be entered if the account has no access to it.
    fn barring_application(&self) -> Option<&Application> {
        let (role, groups) = (self.account.role, &self.account.groups);
        let entering = self.target.entering.as_deref();
        entering.filter(|application| !application.admits(role, groups))
    }
}

impl Ctx {
    /// Returns what the audit says about an accepted sign-in: its proofs, and the source that
    /// proved the identity.
    fn sign_in_detail(&self, request: &SessionRequest<'_>) -> serde_json::Value {
        let mut detail = serde_json::json!({ "factors": request.proofs.to_json() });
        let sources = self.live.sources();
        if let Some(live) = request.account.source.and_then(|id| sources.by_id(id)) {
            detail["source"] = live.source.name.as_str().into();
        }
        detail
    }

    /// Creates a session with its first token in memory; nothing is written.
    fn new_session(&self, request: &SessionRequest<'_>, now: Timestamp) -> (Session, Secret) {
        let ip = network::canonical(request.client.ip);
        let token = secret::token(self.random_bytes());
        let entering = request.target.entering.iter();
        let session = Session {
            id: SessionId(self.new_id(now)),
            account_id: request.account.id,
            signed_in_at: now,
            last_active_at: now,
            last_seen_at: now,
            ip,
            signed_in_ip: ip,
            binding: Binding::at_sign_in(ip, request.client.user_agent.as_deref()),
            applications: entering.map(|entered| entered.name.clone()).collect(),
            ended_at: None,
            end_reason: None,
            ended_by: None,
            end_cause: None,
            proved_at: now,
            proofs: request.proofs,
            devices: Vec::new(),
            tokens: vec![new_token(
                &token,
                &request.target.host,
                &request.target.cookie_form,
                now,
            )],
        };
        (session, token)
    }
}

/// Creates the event `access.denied`: a sign-in on the page of an application without access.
fn denial_entry(initiator: &Initiator, application: &Application) -> AuditEntry {
    let entry = initiator.entry(Event::AccessDenied);
    entry.at_application(Some(&application.name)).failed("role")
}
