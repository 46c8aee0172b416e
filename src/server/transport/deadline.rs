//! A point in time by which a client must have done its part.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// A deadline, running or stopped.
#[derive(Default)]
pub struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Starts it, unless it is running.
    pub fn start(&mut self, after: Duration) {
        self.0.get_or_insert_with(|| Box::pin(sleep(after)));
    }

    /// Stops it.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Returns whether it has passed; otherwise the task is woken when it does.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.0 {
            Some(timer) => timer.as_mut().poll(cx) == Poll::Ready(()),
            None => false,
        }
    }
}
