//! Accounts of live sessions, cached by id.

use super::{Epoch, event_streams::EventStreams};
use crate::domain::account::{Account, AccountId};
use quick_cache::sync::Cache;
use std::{collections::HashSet, sync::Arc};

/// Maximum number of accounts that are kept as they were before their row changed.
const MAX_FORMER: usize = 10_000;

/// A cache of accounts. An entry is removed when its row changes.
pub struct AccountCache {
    by_id: Cache<AccountId, Arc<Account>>,
    /// Accounts that were removed because their row changed, as they were known.
    former: Cache<AccountId, Arc<Account>>,
    epoch: Epoch,
    streams: Arc<EventStreams>,
}

impl AccountCache {
    pub(super) fn new(capacity: usize, epoch: Epoch, streams: Arc<EventStreams>) -> Self {
        Self {
            by_id: Cache::new(capacity),
            former: Cache::new(capacity.min(MAX_FORMER)),
            epoch,
            streams,
        }
    }

    /// Returns the cached account.
    pub fn get(&self, id: AccountId) -> Option<Arc<Account>> {
        self.by_id.get(&id)
    }

    /// Caches a row that was read after `epoch` was taken, unless something was invalidated
    /// meanwhile.
    pub fn remember(&self, account: Account, epoch: u64) -> Arc<Account> {
        let account = Arc::new(account);
        self.by_id.insert(account.id, account.clone());
        if self.epoch.current() != epoch {
            self.retire(account.id);
        }
        account
    }

    /// Returns the account as it was last known, even if its row changed since: enough to hold an
    /// end of sessions that is checked before it is written, and for nothing else.
    pub fn last_known(&self, id: AccountId) -> Option<Arc<Account>> {
        self.by_id.get(&id).or_else(|| self.former.get(&id))
    }

    /// Removes an account from what is trusted, and keeps what was known of it.
    fn retire(&self, id: AccountId) {
        if let Some((_, account)) = self.by_id.remove(&id) {
            self.former.insert(id, account);
        }
    }

    /// Removes an account whose row changed.
    pub fn forget(&self, id: AccountId) {
        self.forget_many(&HashSet::from([id]));
    }

    /// Removes accounts whose rows changed.
    pub(super) fn forget_many(&self, ids: &HashSet<AccountId>) {
        self.epoch.advance();
        ids.iter().for_each(|id| self.retire(*id));
        self.streams.wake_accounts(ids);
    }

    pub(super) fn forget_all(&self) {
        self.epoch.advance();
        let known: Vec<_> = self.by_id.iter().map(|(id, _)| id).collect();
        known.into_iter().for_each(|id| self.retire(id));
    }
}
