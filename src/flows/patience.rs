//! How long an action waits for the database in total, so that a response always comes in time.

use crate::store;
use std::time::Duration;

/// How long one response waits for the database; with everything else it comes within five seconds.
const ANSWER: Duration = Duration::from_millis(3_500);
/// The same limit for actions on many accounts or sessions.
const LONG_ACT: Duration = Duration::from_secs(600);

/// Runs the work for one response. When its time for the database is used up, further calls fail,
/// and the response is 503.
pub async fn answer_in_time<T>(work: impl Future<Output = T>) -> T {
    store::with_patience(ANSWER, work).await
}

/// Runs an action on many accounts or sessions, which may take longer.
pub(super) async fn with_long_patience<T>(work: impl Future<Output = T>) -> T {
    store::with_patience(LONG_ACT, work).await
}
