//! Actions that a form may submit twice: they happen once, and both responses show the result. A
//! long action continues when its page is left.
use crate::{
    flows::{Ctx, FlowError},
    http::visitor::Admin,
    live::long_actions::{LongAction, StartedAction},
};
use actix_web::rt;
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a response waits for an action before it redirects to a progress page.
const PATIENCE: Duration = Duration::from_secs(3);

/// A requested action.
pub enum Once<T> {
    /// It is done.
    Done {
        result: Arc<Result<T, FlowError>>,
        /// Whether this request was waiting when the action was done; false: it was done before.
        is_waiting: bool,
    },
    /// It takes longer.
    Running,
}

/// Performs the visitor's action with this key, or waits for its result if it was started before. A
/// failed action can be tried again.
pub async fn run_once<T, F>(
    ctx: &Ctx,
    admin: &Admin,
    (key, title): (Uuid, &str),
    act: impl FnOnce(Arc<LongAction>) -> F,
) -> Once<T>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<T, FlowError>> + 'static,
{
    let owner = admin.0.account;
    let begun = match ctx.live.long_actions.begin(owner, key, title, ctx.now()) {
        StartedAction::Known(known) => known,
        StartedAction::New(begun) => {
            let (work, ctx, act) = (act(begun.clone()), ctx.clone(), begun.clone());
            // In a task of its own, because the client may disconnect meanwhile.
            rt::spawn(async move {
                let panicked = |_| Err(FlowError::Internal("an act panicked".to_owned()));
                let result = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked);
                if let Err(error) = &result {
                    tracing::warn!(%error, "a requested action failed");
                    ctx.live.long_actions.forget(owner, key);
                }
                act.finish(Arc::new(result));
            });
            begun
        }
    };
    join(&begun).await
}

/// Waits for an action that was started before.
pub async fn join<T: Send + Sync + 'static>(act: &LongAction) -> Once<T> {
    let is_late = act.result().is_some();
    let result = act.wait(PATIENCE).await;
    match result.and_then(|result| result.downcast().ok()) {
        Some(result) => Once::Done {
            result,
            is_waiting: !is_late,
        },
        None => Once::Running,
    }
}
