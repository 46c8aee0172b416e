//! The context of every flow: the parts of this instance, the initiator of an action, and the
//! errors of flows.

use super::performed_form::PerformedForm;
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        audit::{AuditEntry, AuditRecord, repeated::count_refusals},
        session::SessionId,
        time::Timestamp,
    },
    hashing::{Hasher, HashingBusyError},
    live::{LiveState, policy::PolicyInForce, sessions::LiveSession},
    mail::Mailer,
    random::{Random, bytes32},
    second_factor::FactorKeys,
    security_log::SecurityLog,
    store::{Conn, Store, StoreError, audit as audit_rows, sessions},
};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};
use uuid::Uuid;

/// The context of every flow; cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// The threads that hash passwords.
    pub hasher: Hasher,
    /// The way in which emails leave.
    pub mailer: Mailer,
    /// The memory of this instance.
    pub live: Arc<LiveState>,
    /// The operator's settings.
    pub config: Arc<Config>,
    /// The security log file, if one is configured.
    pub security_log: Option<Arc<SecurityLog>>,
    /// Keys that seal authenticator secrets and digest recovery codes.
    pub factor_keys: Arc<FactorKeys>,
    /// The form that the flow performs, if it may be sent twice.
    pub(crate) form: Option<PerformedForm>,
}

/// The reason why a flow failed; expected refusals are results, not errors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FlowError {
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// An end of sessions that holds here already and is written as soon as the database answers.
    #[error("the database did not accept the end of the sessions: {0}")]
    EndHeld(String),
    #[error(transparent)]
    HashingBusy(#[from] HashingBusyError),
    /// A source of identities does not answer, so that nothing is known about a password.
    #[error("the source {0} does not answer")]
    SourceDown(String),
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
            // The message without the sentence around it, which this type adds.
            StoreError::Unavailable(words) => Self::Unavailable(words),
        }
    }
}

impl Ctx {
    /// Returns the time by this instance's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the policy in this instance's memory, which applies to pages.
    /// [`Ctx::current_policy`] also checks that it is up to date.
    pub fn in_force(&self) -> Arc<PolicyInForce> {
        self.live.policy_at(self.now())
    }

    /// Makes an ID that sorts by time, and within one instant in the order of creation. It is
    /// public, never a secret.
    pub fn new_id(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        self::id(now, random)
    }

    /// Makes an ID for a request, unique among all instances. Its random part is drawn once per
    /// process and a counter makes it unique, because reading random bytes costs as much as judging
    /// a request.
    pub fn request_id(&self, now: Timestamp) -> Uuid {
        static DRAWN: OnceLock<[u8; 10]> = OnceLock::new();
        let drawn = DRAWN.get_or_init(|| {
            let mut random = [0; 10];
            self.random.fill(&mut random);
            random
        });
        self::id(now, *drawn)
    }

    /// Returns 32 fresh random bytes.
    pub fn random_bytes(&self) -> [u8; 32] {
        bytes32(self.random.as_ref())
    }

    /// Returns a salt for a password hash.
    pub fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        salt
    }

    /// Writes an audit event in the action's own transaction, and its line in the security log. An
    /// error rolls the action back.
    pub fn record(&self, c: &mut Conn, now: Timestamp, entry: &AuditEntry) -> Result<(), StoreError> {
        let id = self.audit_id(now);
        audit_rows::insert(c, id, now, entry)?;
        self.tell(id, now, entry)
    }

    /// Does the same as [`Ctx::record`] for several events, in order and in one statement.
    pub fn record_all(&self, c: &mut Conn, now: Timestamp, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let rows: Vec<_> = entries.iter().map(|entry| (self.audit_id(now), now, entry)).collect();
        audit_rows::insert_many(c, rows.iter().copied())?;
        rows.into_iter()
            .try_for_each(|(id, at, entry)| self.tell(id, at, entry))
    }

    /// Makes an ID for an audit entry; seals depend on the order of IDs.
    fn audit_id(&self, now: Timestamp) -> Uuid {
        self.new_id(self.live.after_seal(now))
    }

    /// Finds a session in memory, otherwise in the database; nothing is judged.
    pub(super) async fn find_session(&self, id: SessionId) -> Result<Option<Arc<LiveSession>>, FlowError> {
        if self.live.freshness.is_fresh()
            && let Some(session) = self.live.sessions.get_by_id(id)
        {
            return Ok(Some(session));
        }
        let epoch = self.live.epoch();
        let row = self.read(move |r| Ok(sessions::find(r.connection, id)?)).await?;
        Ok(row.map(|row| self.live.sessions.remember(row, epoch)))
    }

    /// Updates metrics and the security log.
    fn tell(&self, id: Uuid, now: Timestamp, entry: &AuditEntry) -> Result<(), StoreError> {
        // Labels contain no names or addresses, because anyone with access to metrics could read
        // them.
        let reason = entry.reason.clone().unwrap_or_default();
        metrics::counter!("nightlatch_events_total", "event" => entry.event.as_str(), "reason" => reason)
            .increment(count_refusals(&entry.detail));
        if let Some(log) = &self.security_log {
            log.write(&AuditRecord::new(id, now, entry).to_json())
                .map_err(|error| StoreError::Unavailable(format!("security log: {error}")))?;
        }
        Ok(())
    }
}

/// Makes a version 7 UUID for this time.
fn id(now: Timestamp, mut random: [u8; 10]) -> Uuid {
    /// The number of IDs made in this process; 26 bits of it lead the random part of version 7 (RFC
    /// 9562, 6.2, method 1).
    static MADE: AtomicU32 = AtomicU32::new(0);
    let counter = MADE.fetch_add(1, Ordering::Relaxed);
    // The version takes the upper half of the first byte, the variant two bits of the third.
    random[0] = (counter >> 22) as u8 & 0x0f;
    random[1] = (counter >> 14) as u8;
    random[2] = (counter >> 8) as u8 & 0x3f;
    random[3] = counter as u8;
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.as_micros() / 1000).unwrap_or(0), &random).into_uuid()
}
