//! The transactions of flows. The rows, audit events and emails of one action are committed
//! together or not at all; this instance's memory is updated after the commit.

use super::context::{Ctx, FlowError};
use crate::{
    domain::{
        account::AccountId,
        audit::{AuditEntry, Event, Initiator},
        session::{EndReason, Session, SessionId},
        time::Timestamp,
    },
    store::{Conn, StoreError},
};

/// A connection for reading, with the instant at which the facts are judged.
pub(super) struct Read<'c> {
    pub(super) connection: &'c mut Conn,
    pub(super) ctx: &'c Ctx,
    pub(super) now: Timestamp,
}

/// The write transaction of one action: its connection, its instant and its initiator.
pub(super) struct Write<'c> {
    pub(super) connection: &'c mut Conn,
    pub(super) ctx: &'c Ctx,
    /// The instant of all rows that are written.
    pub(super) now: Timestamp,
    /// The initiator, named in audit events, revisions and ended sessions.
    pub(super) initiator: Initiator,
    memory: MemoryUpdate,
}

/// Updates of this instance's memory after the commit, besides the changes that `store` announces
/// to every instance.
struct MemoryUpdate {
    /// The epoch when the transaction began: rows read before a later invalidation are not stored.
    epoch: u64,
    opened: Vec<Session>,
    ended: Vec<(SessionId, EndReason)>,
    sessions: Vec<SessionId>,
    accounts: Vec<AccountId>,
}

impl MemoryUpdate {
    fn from_epoch(epoch: u64) -> Self {
        Self {
            epoch,
            opened: Vec::new(),
            ended: Vec::new(),
            sessions: Vec::new(),
            accounts: Vec::new(),
        }
    }

    fn apply(self, ctx: &Ctx) {
        for session in self.opened {
            ctx.live.sessions.remember(session, self.epoch);
        }
        for (id, reason) in self.ended {
            ctx.forget_ended(id, reason);
        }
        for id in self.sessions {
            ctx.live.sessions.forget(id);
        }
        for id in self.accounts {
            ctx.live.accounts.forget(id);
        }
    }
}

impl Ctx {
    /// Reads facts in one blocking task, at the current instant.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look_up: impl FnOnce(&mut Read<'_>) -> Result<T, FlowError> + Send + 'static,
    ) -> Result<T, FlowError> {
        let (ctx, now) = (self.clone(), self.now());
        let read = move |connection: &mut Conn| {
            let ctx = &ctx;
            look_up(&mut Read { connection, ctx, now })
        };
        self.store.read(read).await
    }

    /// Performs an action of `initiator` in one write transaction at the current instant: committed
    /// on `Ok`, rolled back on `Err`.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        initiator: &Initiator,
        act: impl FnOnce(&mut Write<'_>) -> Result<T, FlowError> + Send + 'static,
    ) -> Result<T, FlowError> {
        self.write_at(self.now(), initiator, act).await
    }

    /// Does the same as [`Ctx::write`] for automatic actions.
    pub(super) async fn write_as_system<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Write<'_>) -> Result<T, FlowError> + Send + 'static,
    ) -> Result<T, FlowError> {
        self.write(&Initiator::system(), act).await
    }

    /// Does the same as [`Ctx::write`] for an action that was judged at an earlier instant. An
    /// error of another type can carry a refusal that rolls back what was written so far.
    pub(super) async fn write_at<T, E>(
        &self,
        now: Timestamp,
        initiator: &Initiator,
        act: impl FnOnce(&mut Write<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (ctx, initiator) = (self.clone(), initiator.clone());
        let memory = MemoryUpdate::from_epoch(self.live.epoch());
        let write = move |connection: &mut Conn| -> Result<(T, MemoryUpdate), E> {
            let mut write = Write {
                connection,
                ctx: &ctx,
                now,
                initiator,
                memory,
            };
            let form = ctx.form_of::<T>();
            form.map_or(Ok(()), |form| write.claim_form(form))?;
            let done = act(&mut write)?;
            form.map_or(Ok(()), |form| write.keep_form(form, &done))?;
            Ok((done, write.memory))
        };
        let (done, memory) = self.store.write(write).await?;
        memory.apply(self);
        Ok(done)
    }
}

impl Write<'_> {
    /// Returns the same connection for reading; it sees the transaction's writes.
    pub(super) fn as_read(&mut self) -> Read<'_> {
        Read {
            connection: self.connection,
            ctx: self.ctx,
            now: self.now,
        }
    }

    /// Performs a part of the action for another initiator: the effects of a rule belong to the
    /// system, whoever's request triggered them.
    pub(super) fn on_behalf_of<T>(&mut self, other: Initiator, part: impl FnOnce(&mut Self) -> T) -> T {
        let initiator = std::mem::replace(&mut self.initiator, other);
        let done = part(self);
        self.initiator = initiator;
        done
    }

    /// Creates an audit event of the initiator, to be completed and [recorded](Write::record).
    pub(super) fn entry(&self, event: Event) -> AuditEntry {
        self.initiator.entry(event)
    }

    /// Writes an audit event and its line in the security log. An error rolls the action back.
    pub(super) fn record(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.ctx.record(self.connection, self.now, entry)
    }

    /// Writes audit events in order, in one statement.
    pub(super) fn record_all(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        self.ctx.record_all(self.connection, self.now, entries)
    }

    /// Stores an opened session in this instance's memory.
    pub(super) fn remember_session(&mut self, session: Session) {
        self.memory.opened.push(session);
    }

    /// Stores the end of a session: after the commit this instance refuses it without a query.
    pub(super) fn note_ended(&mut self, session: SessionId, reason: EndReason) {
        self.memory.ended.push((session, reason));
    }

    /// Makes this instance read the session again after the commit.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        self.memory.sessions.push(session);
    }

    /// Makes this instance read the account again after the commit.
    pub(super) fn forget_account(&mut self, account: AccountId) {
        self.memory.accounts.push(account);
    }
}
