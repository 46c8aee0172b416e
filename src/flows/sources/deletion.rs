//! Deleting a source. Its accounts stay, disabled, because nothing else proves who they are.

use super::{Ctx, FlowError, Initiator, SourceOutcome, SourceRollback, find_editable, settle};
use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        reset::LinkKind,
        session::EndReason,
        source::{IdentitySource, SourceId, SourceName},
    },
    flows::{Write, patience::with_long_patience},
    store::{StoreError, accounts, event_streams, sessions, sources},
};

/// Number of accounts in one write, so that other writes do not wait long.
const BATCH: i64 = 200;

/// The result of deleting a source.
#[derive(Debug, PartialEq, Eq)]
pub enum SourceDeletion {
    /// It is gone; this many accounts were disabled.
    Deleted { disabled: usize },
    /// It has so many enabled accounts, which were not to be disabled.
    HasAccounts(i64),
    /// There is no such source.
    Unknown,
    /// The configuration file sets this source.
    InFile,
}

/// Deletes a source. If it has enabled accounts, it is refused unless `disable_accounts` is set:
/// then the source is disabled first, its accounts are disabled and their sessions end, two hundred
/// in one write.
pub async fn delete(
    ctx: &Ctx,
    initiator: &Initiator,
    name: &str,
    disable_accounts: bool,
) -> Result<SourceDeletion, FlowError> {
    let Ok(name) = SourceName::parse(name) else {
        return Ok(SourceDeletion::Unknown);
    };
    let Some(id) = ctx.read_source_id(name).await? else {
        return Ok(SourceDeletion::Unknown);
    };
    let mut disabled = 0;
    if disable_accounts {
        let closed = ctx.write_at(ctx.now(), initiator, move |w| {
            let old = find_editable(w.connection, id)?;
            let new = IdentitySource {
                enabled: false,
                ..old.clone()
            };
            if new != old {
                sources::update(w.connection, &new, w.now)?;
                w.record_source_change(&old, &new, false)?;
            }
            Ok(())
        });
        match settle(ctx, closed.await).await? {
            SourceOutcome::Done => {}
            SourceOutcome::InFile => return Ok(SourceDeletion::InFile),
            SourceOutcome::Unknown | SourceOutcome::Faulty(_) => return Ok(SourceDeletion::Unknown),
        }
        let mut after = None;
        loop {
            let batch = ctx.write(initiator, move |w| Ok(w.disable_accounts_of(id, after)?));
            let (last, number) = with_long_patience(batch).await?;
            disabled += number;
            if last.is_none() {
                break;
            }
            after = last;
        }
    }
    let deleted = ctx.write_at(ctx.now(), initiator, move |w| {
        Ok(match w.delete_source(id)? {
            Some(accounts) => SourceDeletion::HasAccounts(accounts),
            None => SourceDeletion::Deleted { disabled },
        })
    });
    let deletion = match deleted.await {
        Ok(deletion) => deletion,
        Err(SourceRollback::Refused(SourceOutcome::InFile)) => SourceDeletion::InFile,
        Err(SourceRollback::Refused(_)) => SourceDeletion::Unknown,
        Err(SourceRollback::Failed(error)) => return Err(error),
    };
    if matches!(deletion, SourceDeletion::Deleted { .. }) {
        ctx.reload_sources().await?;
    }
    Ok(deletion)
}

impl Write<'_> {
    /// Deletes a source, or returns how many enabled accounts it has.
    fn delete_source(&mut self, id: SourceId) -> Result<Option<i64>, SourceRollback> {
        let old = find_editable(self.connection, id)?;
        let enabled = accounts::count_enabled_of_source(self.connection, id)?;
        if enabled > 0 {
            return Ok(Some(enabled));
        }
        sources::delete(self.connection, id)?;
        event_streams::delete(self.connection, id)?;
        let entry = self.entry(Event::SourceDeleted);
        self.record(&entry.with_detail(serde_json::json!({
            "source": old.name.as_str(), "kind": old.kind().as_str(), "title": old.title,
            "settings": old.definition.texts(),
        })))?;
        Ok(None)
    }

    /// Disables the next accounts of a source. Returns the last one, if there may be more, and how
    /// many were disabled.
    fn disable_accounts_of(
        &mut self,
        id: SourceId,
        after: Option<AccountId>,
    ) -> Result<(Option<AccountId>, usize), StoreError> {
        let found = accounts::list_of_source(self.connection, id, after, BATCH)?;
        let last = found.last().map(|account| account.id);
        let mut number = 0;
        for account in found.into_iter().filter(|account| account.disabled_at.is_none()) {
            self.disable_account_of_source(account)?;
            number += 1;
        }
        Ok((last, number))
    }

    fn disable_account_of_source(&mut self, account: Account) -> Result<(), StoreError> {
        sessions::lock_account_sessions(self.connection, account.id)?;
        self.void_links(account.id, &[LinkKind::Reset])?;
        self.end_account_sessions(&account, EndReason::AccountDisabled)?;
        // Read again, because ending its sessions changed the account.
        let current = accounts::find(self.connection, account.id)?.unwrap_or(account);
        let disabled = Account {
            disabled_at: Some(self.now),
            ..current
        };
        accounts::update(self.connection, &disabled)?;
        self.forget_account(disabled.id);
        let entry = self
            .entry(Event::AccountDisabled)
            .with_account(disabled.id, &disabled.name);
        self.record(&entry.with_detail(serde_json::json!({ "why": "its source was deleted" })))
    }
}
