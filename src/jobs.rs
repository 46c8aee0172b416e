//! What happens by itself: activity is flushed, refusals that were counted are written, ended sessions are marked, accounts expire,
//! locks that ran out are said so, pins are renewed, letters are sent, the audit is sealed, old rows go. Each job is bounded per run;
//! several instances may run the same job, since every write is conditional.

use crate::flows::{
    Ctx, FlowError, access, accounts, applications, audit, email_change, lockouts, mail, notices, password_reset,
    policy, refusals, retention, sessions,
};
use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

/// Running jobs; they stop when told, each after what it is at.
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Jobs {
    pub fn start(ctx: &Ctx) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            every(
                Duration::from_secs(1),
                "activity flush",
                ctx,
                &stopped,
                |ctx| async move { access::flush_activity(&ctx).await.map(drop) },
            ),
            every(
                Duration::from_secs(5),
                "notes of forwarded requests",
                ctx,
                &stopped,
                |ctx| async move { applications::flush_seen(&ctx).await },
            ),
            every(
                Duration::from_secs(1),
                "policy confirmation",
                ctx,
                &stopped,
                |ctx| async move { policy::settle(&ctx).await.map(drop) },
            ),
            every(
                Duration::from_secs(3),
                "session sweep",
                ctx,
                &stopped,
                |ctx| async move {
                    access::write_kept_endings(&ctx).await?;
                    sessions::sweep(&ctx).await.map(drop)
                },
            ),
            every(
                Duration::from_secs(5),
                "lockout settlement",
                ctx,
                &stopped,
                |ctx| async move { lockouts::settle_due(&ctx).await.map(drop) },
            ),
            every(
                // Each minute's within seconds of its end.
                Duration::from_secs(5),
                "counted refusals",
                ctx,
                &stopped,
                |ctx| async move { refusals::write_over(&ctx).await },
            ),
            every(
                Duration::from_secs(5),
                "account expiry",
                ctx,
                &stopped,
                |ctx| async move { accounts::expire_due(&ctx).await.map(drop) },
            ),
            every(Duration::from_secs(1), "mail", ctx, &stopped, |ctx| async move {
                password_reset::answer_requests(&ctx).await?;
                notices::tell_lockouts(&ctx).await?;
                mail::send_due(&ctx).await.map(drop)
            }),
            every(Duration::from_secs(30), "pins", ctx, &stopped, |ctx| async move {
                policy::publish_pins(&ctx).await
            }),
            every(Duration::from_secs(60), "notices", ctx, &stopped, |ctx| async move {
                notices::tell_expiring(&ctx).await?;
                notices::send_digest(&ctx).await.map(drop)
            }),
            every(Duration::from_secs(60), "audit seal", ctx, &stopped, |ctx| async move {
                audit::seals::seal_due(&ctx).await.map(drop)
            }),
            every(Duration::from_secs(60), "retention", ctx, &stopped, |ctx| async move {
                retention::remove_old(&ctx).await?;
                access::forget_old_handovers(&ctx).await?;
                password_reset::forget_old(&ctx).await?;
                email_change::forget_old(&ctx).await?;
                notices::forget_old(&ctx).await?;
                policy::forget_old_drafts(&ctx).await
            }),
        ];
        Self { stop, tasks }
    }

    /// Tells the jobs to stop and waits for them.
    pub async fn stop(self) {
        // Fails only when every job has ended already.
        self.stop.send(true).ok();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a job ended badly");
            }
        }
    }
}

fn every<F, R>(
    interval: Duration,
    name: &'static str,
    ctx: &Ctx,
    stopped: &watch::Receiver<bool>,
    job: F,
) -> JoinHandle<()>
where
    F: Fn(Ctx) -> R + 'static,
    R: Future<Output = Result<(), FlowError>> + 'static,
{
    let (ctx, mut stopped) = (ctx.clone(), stopped.clone());
    actix_web::rt::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = Failing::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => match AssertUnwindSafe(job(ctx.clone())).catch_unwind().await {
                    Ok(Ok(())) => failing.over(name),
                    Ok(Err(error)) => failing.tell(name, &error),
                    Err(_) => tracing::error!(job = name, "a job panicked and will be tried again"),
                },
                // Also when the sender is gone.
                _ = stopped.changed() => return,
            }
        }
    })
}

/// What was told of a job that fails: the same is told once, until it is over.
#[derive(Default)]
struct Failing(Option<String>);

impl Failing {
    fn tell(&mut self, name: &'static str, error: &FlowError) {
        let kind = match error {
            // However the database words it, it is one loss.
            FlowError::Unavailable(_) => String::new(),
            FlowError::HashingBusy(_) | FlowError::NotFound | FlowError::Internal(_) => error.to_string(),
        };
        if self.0.as_ref() != Some(&kind) {
            tracing::warn!(job = name, %error, "a job failed and will be tried until it works");
            self.0 = Some(kind);
        }
    }

    fn over(&mut self, name: &'static str) {
        if self.0.take().is_some() {
            tracing::info!(job = name, "a job works again");
        }
    }
}
