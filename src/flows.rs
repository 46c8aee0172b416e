//! The things people do, one file each. A flow reads the facts, lets the domain decide, and makes one write:
//! the act, its audit event and its announcement stand or fall together. What several flows do inside their writes are methods of
//! [`Ctx`]: `attempts` (guesses at a password), `current_password` (asking for it again), `endings` (of sessions and accounts),
//! `mailed_links` (when they die) and [`Ctx::post`] (letters).

pub mod access;
pub mod accounts;
pub mod applications;
mod attempts;
pub mod audit;
mod current_password;
pub mod email_change;
mod endings;
pub mod explain;
pub mod lockouts;
pub mod login;
pub mod logout;
pub mod mail;
mod mailed_links;
pub mod notices;
pub mod overview;
pub mod password_change;
pub mod password_reset;
pub mod policy;
pub mod posture;
pub mod preview;
pub mod refusals;
pub mod replay;
pub mod restore;
pub mod retention;
pub mod rows;
pub mod sessions;
pub mod setup;
pub mod step_up;

use crate::{
    clock::Clock,
    config::Config,
    domain::{
        account::AccountId,
        audit::{Actor, Entry, Origin, repeated::stands_for},
        session::SessionId,
        time::Timestamp,
    },
    hashing::{Hasher, HashingBusyError},
    live::{Live, policy::InForce},
    mail::Mailer,
    random::{Random, bytes32},
    security_log::SecurityLog,
    store::{Conn, Store, StoreError, audit as audit_rows},
};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};
use uuid::Uuid;

/// Rows of one kind that one run of a job removes at most, so that what waits behind it does not wait long.
const PURGED: i64 = 1_000;

/// What every flow works with; cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub hasher: Hasher,
    pub mailer: Mailer,
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
            // In its own words: the sentence around them is ours.
            StoreError::Unavailable(words) => Self::Unavailable(words),
        }
    }
}

impl Ctx {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The policy as this instance knows it; governs pages. [`Ctx::current_policy`] is the one that doubts.
    pub fn in_force(&self) -> Arc<InForce> {
        self.live.policy_at(self.now())
    }

    /// An id that sorts by time, and within one instant in the order of making: public, never a secret.
    pub fn new_id(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        self::id(now, random)
    }

    /// A number for a request, different among all instances. Its random part is drawn once for this process, and the counter
    /// makes the difference: asking the system for bytes costs as much as judging a request.
    pub fn request_id(&self, now: Timestamp) -> Uuid {
        static DRAWN: OnceLock<[u8; 10]> = OnceLock::new();
        let drawn = DRAWN.get_or_init(|| {
            let mut random = [0; 10];
            self.random.fill(&mut random);
            random
        });
        self::id(now, *drawn)
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
        self.tell(id, now, entry)
    }

    /// As [`Ctx::record`], in their order and in one statement.
    pub fn record_all(&self, c: &mut Conn, now: Timestamp, entries: &[Entry]) -> Result<(), StoreError> {
        let rows: Vec<_> = entries.iter().map(|entry| (self.new_id(now), now, entry)).collect();
        audit_rows::insert_many(c, rows.iter().copied())?;
        rows.into_iter()
            .try_for_each(|(id, at, entry)| self.tell(id, at, entry))
    }

    /// Metrics and the security log.
    fn tell(&self, id: Uuid, now: Timestamp, entry: &Entry) -> Result<(), StoreError> {
        // No names or addresses in labels: they would be for everybody who may read metrics.
        let reason = entry.reason.clone().unwrap_or_default();
        metrics::counter!("nightlatch_events_total", "event" => entry.event.as_str(), "reason" => reason)
            .increment(stands_for(&entry.detail));
        if let Some(log) = &self.security_log {
            log.write(&audit_rows::AuditRow::new(id, now, entry).to_json())
                .map_err(|error| StoreError::Unavailable(format!("security log: {error}")))?;
        }
        Ok(())
    }
}

/// Version 7 of this time.
fn id(now: Timestamp, mut random: [u8; 10]) -> Uuid {
    /// Made in this process so far; 26 bits of it lead the random part of version 7 (RFC 9562, 6.2, method 1).
    static MADE: AtomicU32 = AtomicU32::new(0);
    let counter = MADE.fetch_add(1, Ordering::Relaxed);
    // The version takes the upper half of the first byte, the variant two bits of the third.
    random[0] = (counter >> 22) as u8 & 0x0f;
    random[1] = (counter >> 14) as u8;
    random[2] = (counter >> 8) as u8 & 0x3f;
    random[3] = counter as u8;
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.as_micros() / 1000).unwrap_or(0), &random).into_uuid()
}
