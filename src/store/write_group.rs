//! Group commit on SQLite. A commit waits for the disk, which takes longer than everything else
//! that a write does. Writes that wait for their turn at the same moment therefore share one
//! transaction: each is a savepoint of it, leaves it open for the next writer, and has its answer
//! when the last one has committed it. A writer that is alone commits immediately, as before.
//!
//! Every write runs on its own thread and only the transaction changes hands, so that a write can
//! borrow from its caller, and a panic stays with the caller who caused it.

use super::{
    Conn, StoreError, conn,
    transaction::{perform, roll_back, wait_until},
    write_gate::{WriteGate, WriteTurn},
};
use std::{
    panic::{self, AssertUnwindSafe},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

/// Maximum number of writes in one transaction.
const MAX_WRITES: usize = 32;
/// No write joins a transaction that has been open for longer, because the first one waits for the
/// last one.
/// (Tests must not depend on the speed of the machine.)
const MAX_OPEN_TIME: Duration = Duration::from_millis(if cfg!(test) { 60_000 } else { 10 });

/// An open transaction of several writes.
pub(super) struct WriteGroup {
    conn: Conn,
    begun: Instant,
    /// Whether a write that succeeded is in it.
    holds_writes: bool,
    /// Whether SQLite has ended it early, as it does when the disk is full: nothing of it is left.
    ended_early: bool,
    /// Everyone who waits for its end.
    waiting: Vec<Sender<Result<(), StoreError>>>,
}

/// Runs `f` in a transaction that other writers may share: it takes effect with theirs, and an
/// error or a panic of `f` undoes only what `f` wrote. The answer comes after the commit. This
/// applies to errors too, because `f` may have judged by what others wrote before it.
pub(super) fn write<T, E: From<StoreError>>(
    gate: &WriteGate<WriteGroup>,
    deadline: Instant,
    checkout: impl FnOnce() -> Result<Conn, StoreError>,
    f: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    let (turn, left) = gate.wait_for_turn(wait_until(deadline)?)?;
    let mut group = match left {
        Some(group) => group,
        None => WriteGroup::begin(checkout()?)?,
    };
    let done = group.run(deadline, f);
    let ended = group.leave_or_end(turn);
    match done {
        Ok(done) => ended.map_err(E::from).and(done),
        Err(panicked) => panic::resume_unwind(panicked),
    }
}

impl WriteGroup {
    fn begin(mut conn: Conn) -> Result<Self, StoreError> {
        conn::begin(conn.db())?;
        Ok(Self {
            conn,
            begun: Instant::now(),
            holds_writes: false,
            ended_early: false,
            waiting: Vec::new(),
        })
    }

    fn run<T, E: From<StoreError>>(
        &mut self,
        deadline: Instant,
        f: impl FnOnce(&mut Conn) -> Result<T, E>,
    ) -> thread::Result<Result<T, E>> {
        let conn = &mut self.conn;
        if let Err(fault) = conn::begin_savepoint(conn.db()) {
            return Ok(Err(fault.into()));
        }
        let done = panic::catch_unwind(AssertUnwindSafe(|| perform(conn, deadline, f)));
        let succeeded = matches!(done, Ok(Ok(_)));
        let ended = if succeeded {
            conn::commit(conn.db())
        } else {
            conn.pending.clear();
            conn::rollback(conn.db())
        };
        self.holds_writes |= succeeded;
        self.ended_early = ended.is_err();
        done
    }

    /// Leaves the transaction to the next writer and waits for its end, or ends it.
    fn leave_or_end(mut self, turn: WriteTurn<'_, WriteGroup>) -> Result<(), StoreError> {
        if self.ended_early || self.waiting.len() >= MAX_WRITES - 1 || self.begun.elapsed() >= MAX_OPEN_TIME {
            return self.end();
        }
        let ended = self.wait_for_end();
        match turn.leave(self) {
            Ok(()) => ended.recv().unwrap_or_else(|_| Err(ended_early())),
            Err((_turn, group)) => group.end(),
        }
    }

    fn wait_for_end(&mut self) -> Receiver<Result<(), StoreError>> {
        let (tell, ended) = mpsc::channel();
        self.waiting.push(tell);
        ended
    }

    /// Commits, and tells everyone who waits for it whether that succeeded.
    fn end(mut self) -> Result<(), StoreError> {
        let ended = if self.holds_writes && !self.ended_early {
            // The reason concerns all writers of the group, not a single one.
            conn::commit(self.conn.db()).map_err(|fault| StoreError::Unavailable(format!("cannot commit: {fault}")))
        } else {
            roll_back(&mut self.conn);
            if self.holds_writes { Err(ended_early()) } else { Ok(()) }
        };
        self.conn.pooled.mark_used(ended.is_ok());
        // Gives the connection back before anyone is woken.
        drop(self.conn);
        for tell in self.waiting {
            // Its thread has ended if this fails.
            tell.send(ended.clone()).ok();
        }
        ended
    }
}

fn ended_early() -> StoreError {
    StoreError::Unavailable("the transaction of several writes ended early".into())
}

#[cfg(test)]
mod tests;
