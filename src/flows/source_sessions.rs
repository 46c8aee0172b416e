//! The live sessions of a source's accounts. They outlive a change of its rules, and its being
//! switched off.

use super::{Ctx, FlowError, Initiator, patience::with_long_patience};
use crate::{
    domain::{
        account::Role,
        session::{EndReason, SessionFilter, SessionListState},
        source::{SourceId, SourceName},
    },
    live::held_ends::HeldScope,
    store::accounts,
};

/// How many sessions of a source's accounts are live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceSessions {
    /// All of them.
    pub sessions: i64,
    /// The accounts to which they belong.
    pub accounts: i64,
    /// Those of administrators.
    pub administrators: i64,
}

/// Counts the live sessions of a source's accounts. `FlowError::NotFound`: there is no source with
/// this name.
pub async fn count_source_sessions(ctx: &Ctx, name: &str) -> Result<SourceSessions, FlowError> {
    let (source, _) = ctx.named_source(name).await?;
    ctx.read(move |r| {
        let mut count = SourceSessions::default();
        for live in accounts::count_live_sessions(r.connection, source)? {
            count.sessions += live.sessions;
            count.accounts += live.accounts;
            if live.role == Role::Administrator {
                count.administrators += live.sessions;
            }
        }
        Ok(count)
    })
    .await
}

/// Ends the live sessions of a source's accounts and returns their number. `FlowError::NotFound`:
/// there is no source with this name.
pub async fn end_source_sessions(ctx: &Ctx, initiator: &Initiator, name: &str) -> Result<usize, FlowError> {
    let (_, name) = ctx.named_source(name).await?;
    ctx.end_sessions_of_source(initiator, &name, EndReason::Revoked).await
}

impl Ctx {
    /// Finds a source.
    async fn named_source(&self, name: &str) -> Result<(SourceId, SourceName), FlowError> {
        let sources = self.current_sources().await?;
        let source = &sources.by_name(name).ok_or(FlowError::NotFound)?.source;
        Ok((source.id, source.name.clone()))
    }

    /// Ends the live sessions of a source's accounts, page by page, and returns their number. If
    /// the database fails meanwhile, the rest ends later.
    pub(super) async fn end_sessions_of_source(
        &self,
        initiator: &Initiator,
        source: &SourceName,
        reason: EndReason,
    ) -> Result<usize, FlowError> {
        let filter = SessionFilter {
            source: Some(source.as_str().to_owned()),
            state: SessionListState::Active,
            ..SessionFilter::default()
        };
        let scope = HeldScope::Matching {
            filter: Box::new(filter),
            keep: None,
        };
        with_long_patience(self.end_now(self.new_end(initiator, scope, reason))).await
    }
}
