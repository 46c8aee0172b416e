//! Settings pinned by the environment: servers publish their pins, so that the command line and
//! other instances see them.

use crate::{
    domain::{
        policy::Pins,
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError, Read},
    store::{StoreError, policies},
};

/// Pins that were not renewed for this long belong to servers that have stopped.
pub const PINS_LIVE: Span = Span::from_secs(120);

/// Publishes this server's pins.
pub async fn publish_pins(ctx: &Ctx) -> Result<(), FlowError> {
    let pins = ctx.live.environment().pins;
    let (instance, now) = (ctx.store.writer().to_owned(), ctx.now());
    let publish = ctx
        .store
        .write(move |connection| policies::publish_pins(connection, &instance, &pins, now));
    Ok(publish.await?)
}

/// Withdraws the pins of this server when it stops: they no longer apply to others.
pub async fn withdraw_pins(ctx: &Ctx) -> Result<(), FlowError> {
    let instance = ctx.store.writer().to_owned();
    let withdraw = ctx
        .store
        .write(move |connection| policies::withdraw_pins(connection, &instance));
    Ok(withdraw.await?)
}

/// Returns the pins of this process and of the running servers.
pub async fn pins_in_force(ctx: &Ctx) -> Result<Pins, FlowError> {
    ctx.read(|r| Ok(r.pins_in_force()?)).await
}

impl Read<'_> {
    /// Returns this process's pins and those that other servers published recently.
    pub(in crate::flows) fn pins_in_force(&mut self) -> Result<Pins, StoreError> {
        let mut pins = self.ctx.live.environment().pins;
        for (_, published) in policies::list_pins(self.connection, self.ctx.pins_fresh_since())? {
            for (key, value) in published {
                pins.entry(key).or_insert(value);
            }
        }
        Ok(pins)
    }
}

impl Ctx {
    /// Returns the instant since which running servers have renewed their pins.
    pub fn pins_fresh_since(&self) -> Timestamp {
        self.now().saturating_sub(PINS_LIVE)
    }
}
