//! Activity: kept in memory, written in batches, and written at once when another instance could otherwise end the session.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{
        policy::effective::{EffectivePolicy, Idle},
        time::{Span, Timestamp},
    },
    live::sessions::LiveSession,
    store::{StoreError, sessions},
};

/// Activity counts as possibly unwritten for so long, in seconds (the flush job runs every second).
const FLUSH_SECS: i64 = 5;

/// Close enough to an idle end that another instance, which knows only the stored instant, could end the session:
/// then the touch is written before the answer (architecture.md, Activity).
pub(super) fn near_its_end(session: &LiveSession, policy: &EffectivePolicy, now: Timestamp) -> bool {
    let (stored_active, stored_seen) = session.stored();
    policy.lifetimes.iter().any(|rule| match rule.idle {
        Idle::Never => false,
        Idle::After(idle) => now.since(stored_active) >= slack(idle),
        Idle::WindowOpen => now.since(stored_seen) >= slack(policy.window_close_grace),
    })
}

/// idle − 2F, F = min(5 s, idle / 10); an idle time that short that a flush may come too late is written through always.
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
    ctx.store.write(move |c| sessions::touch_many(c, &touch)).await?;
    ctx.live.sessions.written(&touch);
    Ok(())
}

/// Writes all activity that is only in memory yet; called by the flush job and at the end.
pub async fn flush_activity(ctx: &Ctx) -> Result<usize, FlowError> {
    let moved = ctx.live.sessions.moved();
    if !moved.is_empty() {
        let rows = moved.clone();
        ctx.store
            .write(move |c| rows.iter().try_for_each(|(id, ip)| sessions::set_ip(c, *id, *ip)))
            .await?;
        ctx.live.sessions.moved_written(&moved);
    }
    let touches = ctx.live.sessions.unwritten();
    for batch in touches.chunks(500) {
        let batch = batch.to_vec();
        let live = ctx.live.clone();
        ctx.store
            .write(move |c| {
                sessions::touch_many(c, &batch)?;
                Ok::<_, StoreError>(batch)
            })
            .await
            .map(|batch| live.sessions.written(&batch))?;
    }
    Ok(touches.len())
}
