//! What the environment fixes: servers publish their pins, so that the command line and other instances see them.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{
        policy::Pins,
        time::{Span, Timestamp},
    },
    store::{Conn, StoreError, policies},
};

/// Pins of servers that have not renewed them for so long are of servers that are gone.
pub const PINS_LIVE: Span = Span::from_secs(120);

/// Publishes this server's pins.
pub async fn publish_pins(ctx: &Ctx) -> Result<(), FlowError> {
    let (pins, _) = ctx.live.environment();
    let (instance, now) = (ctx.store.writer().to_owned(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| policies::publish_pins(c, &instance, &pins, now))
        .await?)
}

/// This server goes: its pins no longer hold for others.
pub async fn withdraw_pins(ctx: &Ctx) -> Result<(), FlowError> {
    let instance = ctx.store.writer().to_owned();
    Ok(ctx.store.write(move |c| policies::withdraw_pins(c, &instance)).await?)
}

/// What the environment fixes, here and on the servers that run.
pub async fn pins_in_force(ctx: &Ctx) -> Result<Pins, FlowError> {
    let flow = ctx.clone();
    Ok(ctx.store.read(move |c| flow.pins_in_force(c)).await?)
}

impl Ctx {
    /// This process's pins and those that other servers published lately.
    pub(in crate::flows) fn pins_in_force(&self, c: &mut Conn) -> Result<Pins, StoreError> {
        let (mut pins, _) = self.live.environment();
        for (_, published) in policies::pins(c, self.pins_fresh_since())? {
            for (key, value) in published {
                pins.entry(key).or_insert(value);
            }
        }
        Ok(pins)
    }

    /// Pins renewed since are of servers that run.
    pub fn pins_fresh_since(&self) -> Timestamp {
        self.now().saturating_sub(PINS_LIVE)
    }
}
