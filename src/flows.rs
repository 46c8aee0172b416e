//! The things people do, one file each. A flow reads the facts, lets the domain decide, and makes one write:
//! the act, its audit event and its announcement stand or fall together.

pub mod access;
pub mod accounts;
pub mod audit;
pub mod lockouts;
pub mod login;
pub mod logout;
pub mod overview;
pub mod password_change;
pub mod policy;
pub mod sessions;
pub mod setup;

use crate::{
    clock::Clock,
    config::Config,
    domain::{
        account::{self, AccountId, ExpiryFacts, ExpiryRule},
        audit::{Actor, Entry, Event, Origin, Outcome},
        policy::effective::AccountPolicy,
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    hashing::{Hasher, HashingBusyError},
    live::{Live, policy::InForce},
    random::{Random, bytes32},
    security_log::SecurityLog,
    store::{
        Conn, Store, StoreError,
        accounts::{Account, count_usable_administrators},
        audit as audit_rows, changes,
        changes::ChangeKind,
        sessions::Session,
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use uuid::Uuid;

/// What every flow works with; cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub hasher: Hasher,
    pub live: Arc<Live>,
    pub config: Arc<Config>,
    pub security_log: Option<Arc<SecurityLog>>,
}

/// Who does it, and from where.
#[derive(Debug, Clone)]
pub struct Acting {
    pub actor: Actor,
    pub origin: Origin,
    pub session: Option<SessionId>,
}

impl Acting {
    /// The program itself: jobs and rules.
    pub fn system() -> Self {
        Self {
            actor: Actor::System,
            origin: Origin::default(),
            session: None,
        }
    }

    /// The acting account, when it is one.
    pub fn account_id(&self) -> Option<AccountId> {
        match &self.actor {
            Actor::Account { id, .. } => Some(*id),
            Actor::Anonymous | Actor::System | Actor::Cli { .. } => None,
        }
    }

    /// Name shown in revisions and lists.
    pub fn name(&self) -> String {
        match &self.actor {
            Actor::Account { name, .. } => name.clone(),
            Actor::Anonymous => "anonymous".to_owned(),
            Actor::System => "system".to_owned(),
            Actor::Cli { user } => format!("cli:{user}"),
        }
    }
}

/// Why a flow could not be carried out at all; expected refusals are verdicts.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error(transparent)]
    HashingBusy(#[from] HashingBusyError),
    #[error("not found")]
    NotFound,
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::NotFound,
            error @ (StoreError::Conflict(_) | StoreError::Corrupt(_) | StoreError::Config(_)) => {
                Self::Internal(error.to_string())
            }
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl Ctx {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The policy as this instance knows it; governs pages. [`policy::current`] is the one that doubts.
    pub fn in_force(&self) -> Arc<InForce> {
        self.live.policy()
    }

    /// An id that sorts by time, and within one instant in the order of making: public, never a secret.
    pub fn new_id(&self, now: Timestamp) -> Uuid {
        /// Made in this process so far; 26 bits of it lead the random part of version 7 (RFC 9562, 6.2, method 1).
        static MADE: AtomicU32 = AtomicU32::new(0);
        let mut random = [0; 10];
        self.random.fill(&mut random);
        let counter = MADE.fetch_add(1, Ordering::Relaxed);
        // The version takes the upper half of the first byte, the variant two bits of the third.
        random[0] = (counter >> 22) as u8 & 0x0f;
        random[1] = (counter >> 14) as u8;
        random[2] = (counter >> 8) as u8 & 0x3f;
        random[3] = counter as u8;
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.as_micros() / 1000).unwrap_or(0), &random)
            .into_uuid()
    }

    /// 32 fresh random bytes.
    pub fn random_bytes(&self) -> [u8; 32] {
        bytes32(self.random.as_ref())
    }

    /// A salt for a password hash.
    pub fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        salt
    }

    /// Writes an audit event in the act's own transaction, and its line in the security log. An error undoes the act.
    pub fn record(&self, c: &mut Conn, now: Timestamp, entry: &Entry) -> Result<(), StoreError> {
        let id = self.new_id(now);
        audit_rows::insert(c, id, now, entry)?;
        // No names or addresses in labels: they would be for everybody who may read metrics.
        let reason = entry.reason.clone().unwrap_or_default();
        metrics::counter!("nightlatch_events_total", "event" => entry.event.as_str(), "reason" => reason).increment(1);
        if let Some(log) = &self.security_log {
            log.write(&audit_rows::AuditRow::new(id, now, entry).to_json())
                .map_err(|error| StoreError::Unavailable(format!("security log: {error}")))?;
        }
        Ok(())
    }

    /// Ends one session inside a write: row, account's clock, audit, announcement. False: it had ended before.
    fn end_in(&self, c: &mut Conn, now: Timestamp, end: &Ending<'_>) -> Result<bool, StoreError> {
        let session = end.session;
        let by = end.acting.account_id().is_some().then(|| end.acting.name());
        if !crate::store::sessions::end(c, session.id, end.reason, end.at, by.as_deref())? {
            return Ok(false);
        }
        crate::store::accounts::set_last_session_ended(c, session.account_id, end.at)?;
        changes::announce(c, ChangeKind::Account, &session.account_id.0.to_string())?;
        changes::announce(c, ChangeKind::Session, &session.id.0.to_string())?;
        let entry = Entry {
            event: Event::SessionEnded,
            actor: end.acting.actor.clone(),
            account: Some((Some(session.account_id), end.account_name.to_owned())),
            session: Some(session.id),
            origin: end.acting.origin.clone(),
            application: None,
            outcome: Outcome::Success,
            reason: Some(end.reason.as_str().to_owned()),
            detail: end.detail.clone(),
        };
        self.record(c, now, &entry)?;
        Ok(true)
    }

    /// After the write that ended sessions: this instance's memory follows.
    fn forget_ended(&self, ended: &[SessionId], reason: EndReason) {
        for id in ended {
            self.live.sessions.end(*id, reason);
            self.live.sessions.forget(*id);
        }
    }

    /// Whether an account has expired, decided inside a write or read.
    fn expiry_facts(&self, c: &mut Conn, account: &Account, has_live_session: bool) -> Result<ExpiryFacts, StoreError> {
        let is_last_administrator = account.role == account::Role::Administrator
            && account.disabled_at.is_none()
            && account.expired_at.is_none()
            && count_usable_administrators(c, Some(account.id))? == 0;
        Ok(ExpiryFacts {
            role: account.role,
            created_at: account.created_at,
            activated_at: account.activated_at,
            has_live_session,
            last_sign_in_at: account.last_sign_in_at,
            last_session_ended_at: account.last_session_ended_at,
            expires_at: account.expires_at,
            is_last_administrator,
        })
    }

    /// Expires the account if a rule says so: row, its sessions, audit, announcement. Inside a write that holds the administrators' lock.
    fn expire_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &mut Account,
        policy: &AccountPolicy,
    ) -> Result<Option<ExpiryRule>, StoreError> {
        if account.expired_at.is_some() || account.disabled_at.is_some() {
            return Ok(None);
        }
        let in_force = self.in_force();
        let sessions = crate::store::sessions::live_of_account(c, account.id)?;
        let live: Vec<&Session> = sessions
            .iter()
            .filter(|session| self.is_live(&in_force, account, session, now))
            .collect();
        let facts = self.expiry_facts(c, account, !live.is_empty())?;
        let facts = self.with_unswept_end(facts, &in_force, account, &sessions, now);
        let Some(rule) = account::expired_at(&facts, policy, now) else {
            return Ok(None);
        };
        account.expired_at = Some(now);
        account.expired_by = Some(rule.code().to_owned());
        crate::store::accounts::update(c, account)?;
        changes::announce(c, ChangeKind::Account, &account.id.0.to_string())?;
        for session in &sessions {
            let ending = Ending {
                session,
                account_name: &account.name,
                reason: EndReason::AccountExpired,
                at: now,
                acting: &Acting::system(),
                detail: serde_json::Value::Null,
            };
            self.end_in(c, now, &ending)?;
        }
        let entry = Entry {
            event: Event::AccountExpired,
            actor: Actor::System,
            account: Some((Some(account.id), account.name.clone())),
            session: None,
            origin: Origin::default(),
            application: None,
            outcome: Outcome::Success,
            reason: Some(rule.code().to_owned()),
            detail: serde_json::Value::Null,
        };
        self.record(c, now, &entry)?;
        Ok(Some(rule))
    }

    /// A session that its rule ended, but that no sweep has marked yet, counts as ended at that instant.
    fn with_unswept_end(
        &self,
        mut facts: ExpiryFacts,
        in_force: &InForce,
        account: &Account,
        sessions: &[Session],
        now: Timestamp,
    ) -> ExpiryFacts {
        let unswept = sessions
            .iter()
            .filter_map(|session| self.ended_by_rule(in_force, account, session, now))
            .map(|(at, _)| at)
            .max();
        facts.last_session_ended_at = facts.last_session_ended_at.max(unswept);
        facts
    }

    /// When and why a rule ended a session that no one has marked as ended, `None` while it lives.
    /// Never before the save that brought the rule.
    fn ended_by_rule(
        &self,
        in_force: &InForce,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> Option<(Timestamp, EndReason)> {
        let policy = in_force.effective(account.role, &session.applications, None);
        let life = self.life_of(session);
        let end = crate::domain::session::ends_at(&life, &policy)?;
        (now > end.at).then(|| (end.at.max(in_force.since.min(now)), end.reason))
    }

    fn is_live(&self, in_force: &InForce, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.ended_by_rule(in_force, account, session, now).is_none()
    }

    /// The row's clock facts, with the activity that this instance has not written yet.
    fn life_of(&self, session: &Session) -> crate::domain::session::LifeFacts {
        let stored = session.life();
        match self.live.sessions.get_by_id(session.id) {
            Some(known) => {
                let known = known.life();
                crate::domain::session::LifeFacts {
                    signed_in_at: stored.signed_in_at,
                    last_active_at: stored.last_active_at.max(known.last_active_at),
                    last_seen_at: stored.last_seen_at.max(known.last_seen_at),
                }
            }
            None => stored,
        }
    }
}

/// One session's end, as it is written.
struct Ending<'a> {
    session: &'a Session,
    account_name: &'a str,
    reason: EndReason,
    at: Timestamp,
    acting: &'a Acting,
    detail: serde_json::Value,
}
