//! One writer at a time on SQLite: writers take turns in the order in which they arrive. A writer
//! may leave something for the next one, which then holds it together with the turn.
//!
//! The turn is passed through a channel without a buffer: either the next writer has received it,
//! or its holder still has it. A writer that stops waiting at that moment therefore cannot lose
//! what was left for it.

use super::StoreError;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    mem,
    sync::mpsc::{self, SendError, SyncSender},
    time::Duration,
};

/// The queue of writers; `L` is what one may leave for the next.
pub(super) struct WriteGate<L>(Mutex<WriterQueue<L>>);

struct WriterQueue<L> {
    taken: bool,
    waiting: VecDeque<SyncSender<Option<L>>>,
}

/// The turn to write; given to the next writer when dropped.
pub(super) struct WriteTurn<'a, L>(&'a WriteGate<L>);

impl<L> Default for WriteGate<L> {
    fn default() -> Self {
        let (taken, waiting) = (false, VecDeque::new());
        Self(Mutex::new(WriterQueue { taken, waiting }))
    }
}

impl<L> WriteGate<L> {
    /// Waits for the turn for at most `wait`; returns it with what the previous writer left.
    pub(super) fn wait_for_turn(&self, wait: Duration) -> Result<(WriteTurn<'_, L>, Option<L>), StoreError> {
        let mut queue = self.0.lock();
        if !queue.taken {
            queue.taken = true;
            return Ok((WriteTurn(self), None));
        }
        let (next, place) = mpsc::sync_channel(0);
        queue.waiting.push_back(next);
        drop(queue);
        match place.recv_timeout(wait) {
            Ok(left) => Ok((WriteTurn(self), left)),
            Err(_) => Err(StoreError::Unavailable("other writes take too long".into())),
        }
    }

    /// Hands the turn to the longest waiter. If nobody waits, a turn with something to leave stays
    /// with its holder, and any other ends.
    fn hand_over(&self, mut left: Option<L>) -> Result<(), Option<L>> {
        loop {
            let mut queue = self.0.lock();
            let Some(next) = queue.waiting.pop_front() else {
                queue.taken = left.is_some();
                return Err(left);
            };
            drop(queue);
            match next.send(left) {
                Ok(()) => return Ok(()),
                // It has stopped waiting.
                Err(SendError(returned)) => left = returned,
            }
        }
    }
}

#[cfg(test)]
impl<L> WriteGate<L> {
    /// Waits until this many writers have queued.
    pub(super) fn await_waiting(&self, number: usize) {
        while self.0.lock().waiting.len() < number {
            std::thread::yield_now();
        }
    }
}

impl<'a, L> WriteTurn<'a, L> {
    /// Hands the turn and `left` to the next writer; returns both if nobody waits.
    pub(super) fn leave(self, left: L) -> Result<(), (WriteTurn<'a, L>, L)> {
        match self.0.hand_over(Some(left)) {
            Err(Some(left)) => Err((self, left)),
            Ok(()) | Err(None) => {
                mem::forget(self);
                Ok(())
            }
        }
    }
}

impl<L> Drop for WriteTurn<'_, L> {
    fn drop(&mut self) {
        // An error means that nobody waits: the turn has ended.
        self.0.hand_over(None).ok();
    }
}

#[cfg(test)]
mod tests;
