//! Accounts of live sessions, cached by id.

use super::{Epoch, event_streams::EventStreams};
use crate::domain::account::{Account, AccountId};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// A cache of accounts. An entry is removed when its row changes.
pub struct AccountCache {
    by_id: Cache<AccountId, Arc<Account>>,
    epoch: Epoch,
    streams: Arc<EventStreams>,
}

impl AccountCache {
    pub(super) fn new(capacity: usize, epoch: Epoch, streams: Arc<EventStreams>) -> Self {
        Self {
            by_id: Cache::new(capacity),
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
            self.by_id.remove(&account.id);
        }
        account
    }

    /// Removes an account whose row changed.
    pub fn forget(&self, id: AccountId) {
        self.epoch.advance();
        self.by_id.remove(&id);
        self.streams.wake_account(id);
    }

    pub(super) fn forget_all(&self) {
        self.epoch.advance();
        self.by_id.clear();
    }
}
