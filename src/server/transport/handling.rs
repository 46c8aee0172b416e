//! The requests of one connection in the application, and the part of a body that it has not read.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
};

/// Bytes of a body that are passed on before the application reads them.
const READ_AHEAD: usize = 32 * 1024;

/// Counts the requests of one connection that the application has started to answer, and the bytes
/// of the current body that it has not read.
#[derive(Clone, Default)]
pub struct RequestTracker(Rc<Counts>);

#[derive(Default)]
struct Counts {
    begun: Cell<u64>,
    finished: Cell<u64>,
    unread: Cell<usize>,
    /// Whether the application reads no more of the current body, so that the library discards it.
    is_discarded: Cell<bool>,
    /// Wakes the connection when the application reads again.
    reader: RefCell<Option<Waker>>,
}

/// Marks a request that is being answered, until it is dropped.
pub struct HandlingMark(RequestTracker);

impl RequestTracker {
    /// Counts a request that the application starts to answer.
    pub fn begin(&self) -> HandlingMark {
        self.0.begun.set(self.0.begun.get() + 1);
        HandlingMark(self.clone())
    }

    /// Returns how many requests the application has started to answer.
    pub fn begun(&self) -> u64 {
        self.0.begun.get()
    }

    /// Returns whether a request is in the application.
    pub fn is_active(&self) -> bool {
        self.0.begun.get() > self.0.finished.get()
    }

    /// Records that a new request begins: nothing of its body has been passed on.
    pub fn begin_body(&self) {
        self.0.unread.set(0);
        self.0.is_discarded.set(false);
    }

    /// Records bytes of the body that were passed on.
    pub fn note_passed(&self, count: usize) {
        self.0.unread.set(self.0.unread.get() + count);
    }

    /// Records bytes of the body that the application read.
    pub fn note_read(&self, count: usize) {
        self.0.unread.set(self.0.unread.get().saturating_sub(count));
        self.wake_reader();
    }

    /// Records that the application has read all that was passed on. The encoding of a body takes
    /// bytes that the application never sees.
    pub fn note_all_read(&self) {
        self.0.unread.set(0);
        self.wake_reader();
    }

    /// Records that the application reads no more of the body.
    pub fn discard_body(&self) {
        self.0.is_discarded.set(true);
        self.wake_reader();
    }

    /// Returns whether more of the body may be passed on; otherwise the task is woken when it may.
    /// A body that is discarded is passed on in portions, between which the library empties its
    /// buffer.
    pub fn may_pass(&self, cx: &Context<'_>) -> bool {
        if self.0.unread.get() < READ_AHEAD {
            return true;
        }
        if self.0.is_discarded.get() {
            self.0.unread.set(0);
            cx.waker().wake_by_ref();
        } else {
            self.0.reader.replace(Some(cx.waker().clone()));
        }
        false
    }

    fn wake_reader(&self) {
        let may_pass = self.0.unread.get() < READ_AHEAD || self.0.is_discarded.get();
        if may_pass && let Some(reader) = self.0.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for HandlingMark {
    fn drop(&mut self) {
        let counts = &self.0.0;
        counts.finished.set(counts.finished.get() + 1);
    }
}

#[cfg(test)]
mod tests;
