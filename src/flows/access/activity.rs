//! Activity: kept in memory, written in batches, and written immediately if another instance could
//! otherwise end the session.

use crate::{
    domain::{
        policy::effective::{EffectivePolicy, IdleTimeout},
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError},
    live::sessions::LiveSession,
    store::{StoreError, sessions},
};

/// How long activity may be unwritten, in seconds (the flush job runs every second).
const FLUSH_SECS: i64 = 5;

/// Returns whether the session is so close to an idle end that another instance, which knows only
/// the stored instant, could end it. The activity is then written before the response
/// (docs/architecture.md, Consistency).
pub(super) fn near_its_end(session: &LiveSession, policy: &EffectivePolicy, now: Timestamp) -> bool {
    let (stored_active, stored_seen) = session.stored();
    policy.lifetimes.iter().any(|rule| match rule.idle {
        IdleTimeout::Never => false,
        IdleTimeout::After(idle) => now.since(stored_active) >= slack(idle),
        IdleTimeout::WindowOpen => now.since(stored_seen) >= slack(policy.window_close_grace),
    })
}

/// Returns idle − 2F with F = min(5 s, idle / 10). With an idle timeout so short that a flush may
/// be too late, activity is always written immediately.
fn slack(idle: Span) -> Span {
    let flush = (FLUSH_SECS * 1_000_000).min(idle.as_micros() / 10);
    if flush < 1_000_000 {
        Span::ZERO
    } else {
        Span::from_micros(idle.as_micros() - 2 * flush)
    }
}

pub(super) async fn write_through(ctx: &Ctx, session: &LiveSession) -> Result<(), FlowError> {
    let life = session.life();
    let touch = [(session.id(), life.last_active_at, life.last_seen_at)];
    let write = ctx
        .store
        .write(move |connection| sessions::touch_many(connection, &touch).map(|()| touch));
    let touch = write.await?;
    ctx.live.sessions.mark_written(&touch);
    Ok(())
}

/// Writes all activity that is only in memory. Called by the flush job and at shutdown.
pub async fn flush_activity(ctx: &Ctx) -> Result<usize, FlowError> {
    let moved = ctx.live.sessions.unwritten_addresses();
    if !moved.is_empty() {
        let rows = moved.clone();
        ctx.store
            .write(move |connection| {
                rows.iter()
                    .try_for_each(|(id, ip)| sessions::set_ip(connection, *id, *ip))
            })
            .await?;
        ctx.live.sessions.mark_addresses_written(&moved);
    }
    let touches = ctx.live.sessions.unwritten();
    for batch in touches.chunks(500) {
        let batch = batch.to_vec();
        let live = ctx.live.clone();
        ctx.store
            .write(move |connection| {
                sessions::touch_many(connection, &batch)?;
                Ok::<_, StoreError>(batch)
            })
            .await
            .map(|batch| live.sessions.mark_written(&batch))?;
    }
    Ok(touches.len())
}
