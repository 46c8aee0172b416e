//! Background jobs: they write activity and counted refusals, mark ended sessions, expire accounts,
//! record the end of locks, renew pins, send emails, seal and ship the audit log and remove old
//! rows. Each job is bounded per run. Several instances may run the same job, because every write
//! is conditional.

use crate::flows::{
    Ctx, FlowError, access, accounts, applications, audit, decoys, email_change, factors, forget_old_forms, lockouts,
    mail, notices, password_reset, policy, providers, refusals, retention, security_events, sessions, source_sync,
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

/// The running jobs.
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Jobs {
    /// Starts all jobs.
    pub fn start(ctx: &Ctx) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut jobs = JobList {
            ctx,
            stopped,
            tasks: Vec::new(),
        };
        jobs.add_writing();
        jobs.add_settling();
        jobs.add_sending();
        jobs.add_cleaning();
        Self {
            stop,
            tasks: jobs.tasks,
        }
    }

    /// Asks the jobs to stop and waits until each has finished its current run.
    pub async fn stop(self) {
        // Fails only if every job has ended already.
        self.stop.send(true).ok();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a job ended with an error");
            }
        }
    }
}

/// The jobs while they are started.
struct JobList<'a> {
    ctx: &'a Ctx,
    stopped: watch::Receiver<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl JobList<'_> {
    /// Adds the jobs that write data from memory.
    fn add_writing(&mut self) {
        self.add(1, "activity flush", async |ctx| {
            access::flush_activity(ctx).await.map(drop)
        });
        self.add(5, "forwarded requests", applications::flush_seen);
        // Each minute's counts are written within seconds of its end.
        self.add(5, "counted refusals", refusals::write_over);
        self.add(30, "pins", policy::publish_pins);
    }

    /// Adds the jobs that mark what has ended.
    fn add_settling(&mut self) {
        self.add(1, "policy confirmation", async |ctx| {
            policy::settle(ctx).await.map(drop)
        });
        self.add(1, "held session ends", async |ctx| {
            access::write_kept_ends(ctx).await.map(drop)
        });
        self.add(1, "event streams", async |ctx| {
            ctx.live.streams.wake_due(ctx.now());
            Ok(())
        });
        self.add(3, "session sweep", async |ctx| sessions::sweep(ctx).await.map(drop));
        self.add(5, "lockout settlement", async |ctx| {
            lockouts::settle_due(ctx).await.map(drop)
        });
        self.add(5, "account expiry", async |ctx| {
            accounts::expire_due(ctx).await.map(drop)
        });
        self.add(5, "second factors required", factors::note_requirements);
        self.add(10, "directories", source_sync::sync_due);
        self.add(5, "security events", security_events::poll_due);
    }

    /// Adds the jobs that send email.
    fn add_sending(&mut self) {
        self.add(1, "mail", async |ctx| {
            password_reset::answer_requests(ctx).await?;
            notices::notify_lockouts(ctx).await?;
            mail::send_due(ctx).await.map(drop)
        });
        self.add(60, "notifications", async |ctx| {
            notices::notify_expiring(ctx).await?;
            notices::send_digest(ctx).await.map(drop)
        });
    }

    /// Adds the jobs that seal and ship the audit log and remove old rows.
    fn add_cleaning(&mut self) {
        let live = self.ctx.live.clone();
        self.add_when(
            "decoy costs",
            async move || decoys::next_refresh(&live).await,
            async |ctx| decoys::refresh(ctx).await,
        );
        self.add(20, "write-ahead log", retention::empty_log);
        self.add(60, "audit seal", async |ctx| {
            audit::seals::seal_due(ctx).await.map(drop)
        });
        for shipper in audit::shipping::make_shippers(self.ctx) {
            let ship = async move |ctx: &Ctx| audit::shipping::ship_due(ctx, &shipper).await;
            self.add(1, "audit shipping", ship);
        }
        self.add(60, "retention", async |ctx| {
            retention::remove_old(ctx).await?;
            access::forget_old_handovers(ctx).await?;
            password_reset::forget_old(ctx).await?;
            email_change::forget_old(ctx).await?;
            notices::forget_old(ctx).await?;
            factors::forget_old(ctx).await?;
            forget_old_forms(ctx).await?;
            providers::forget_old(ctx).await?;
            source_sync::forget_old(ctx).await?;
            policy::forget_old_drafts(ctx).await
        });
    }

    /// Runs a job every `secs` seconds, measured from the end of its previous run, until the jobs
    /// stop.
    fn add(&mut self, secs: u64, name: &'static str, job: impl AsyncFn(&Ctx) -> Result<(), FlowError> + 'static) {
        let mut ticks = tokio::time::interval(Duration::from_secs(secs));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let due = async move || {
            ticks.tick().await;
        };
        self.add_when(name, due, job);
    }

    /// Runs a job each time `due` returns, until the jobs stop.
    fn add_when(
        &mut self,
        name: &'static str,
        mut due: impl AsyncFnMut() + 'static,
        job: impl AsyncFn(&Ctx) -> Result<(), FlowError> + 'static,
    ) {
        let (ctx, mut stopped) = (self.ctx.clone(), self.stopped.clone());
        self.tasks.push(actix_web::rt::spawn(async move {
            let mut failure = LoggedFailure::default();
            loop {
                tokio::select! {
                    () = due() => match AssertUnwindSafe(job(&ctx)).catch_unwind().await {
                        Ok(Ok(())) => failure.log_recovery(name),
                        Ok(Err(error)) => failure.log(name, &error),
                        Err(_) => tracing::error!(job = name, "a job panicked and will be retried"),
                    },
                    // Also when the sender is gone.
                    _ = stopped.changed() => return,
                }
            }
        }));
    }
}

/// The last failure of a job, so that the same failure is logged once until it is over.
#[derive(Default)]
struct LoggedFailure(Option<String>);

impl LoggedFailure {
    fn log(&mut self, name: &'static str, error: &FlowError) {
        let kind = match error {
            // All failures of the database count as one, whatever their message.
            FlowError::Unavailable(_) | FlowError::EndHeld(_) => String::new(),
            FlowError::HashingBusy(_) | FlowError::SourceDown(_) | FlowError::NotFound | FlowError::Internal(_) => {
                error.to_string()
            }
        };
        if self.0.as_ref() != Some(&kind) {
            tracing::warn!(job = name, %error, "a job failed and will be retried until it succeeds");
            self.0 = Some(kind);
        }
    }

    fn log_recovery(&mut self, name: &'static str) {
        if self.0.take().is_some() {
            tracing::info!(job = name, "a job succeeds again");
        }
    }
}
