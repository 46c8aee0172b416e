//! Turns of jobs about one source: of several instances one does the work within an interval.

use super::{Ctx, FlowError};
use crate::{
    domain::time::{Span, Timestamp},
    store::meta,
};

impl Ctx {
    /// Returns whether this instance has the turn now: none began one within the interval. `key`
    /// names the work and the source.
    pub(super) async fn take_turn(&self, key: String, every: Span) -> Result<bool, FlowError> {
        let now = self.now();
        let last = {
            let key = key.clone();
            self.read(move |r| Ok(meta::get(r.connection, &key)?)).await?
        };
        let begun = last.as_deref().and_then(|text| text.parse().ok());
        let begun = begun.map(Timestamp::from_micros);
        // A clock that was set back must not stop the work.
        if begun.is_some_and(|begun| begun <= now && now < begun.saturating_add(every)) {
            return Ok(false);
        }
        let turn = move |w: &mut super::Write<'_>| {
            let text = now.as_micros().to_string();
            Ok(meta::replace(w.connection, &key, last.as_deref(), &text)?)
        };
        self.write_as_system(turn).await
    }
}
