//! The cost of checking a password for an unknown name: the same as for an account, so that the
//! time does not reveal whether the account exists.

use super::HashCost;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The costs of accounts' hashes. Each name without an account gets one of them, always the same.
///
/// After the configured cost was raised, accounts have hashes of both costs until their owners sign
/// in. Names without an account follow in the same proportion; the installation's key determines
/// which. A name moves to the new cost once, as an account does.
#[derive(Debug, Clone)]
pub struct DecoyCosts {
    /// The installation's key: without it no one can tell the cost of a name without an account.
    key: String,
    /// The costs, cheapest first, each with its number of accounts; never empty.
    counted: Vec<(HashCost, u64)>,
}

impl DecoyCosts {
    /// Gives every name this cost.
    pub fn all_at(cost: HashCost) -> Self {
        Self {
            key: String::new(),
            counted: vec![(cost, 1)],
        }
    }

    /// Creates the costs from the counted accounts; `configured` if there are none yet.
    pub fn new(key: String, mut counted: Vec<(HashCost, u64)>, configured: HashCost) -> Self {
        counted.retain(|(_, accounts)| *accounts > 0);
        counted.sort_unstable();
        if counted.is_empty() {
            counted.push((configured, 1));
        }
        Self { key, counted }
    }

    /// Counts one account of the cost `old` as one of the cost `new`.
    pub(super) fn move_account(&mut self, old: HashCost, new: HashCost) {
        for (cost, accounts) in &mut self.counted {
            if *cost == old {
                *accounts = accounts.saturating_sub(1);
            }
        }
        match self.counted.iter_mut().find(|(cost, _)| *cost == new) {
            Some((_, accounts)) => *accounts += 1,
            None => self.counted.push((new, 1)),
        }
        self.counted.retain(|(_, accounts)| *accounts > 0);
        self.counted.sort_unstable();
    }

    /// Returns the cost of a name without an account.
    pub fn cost_for(&self, name_key: &str) -> HashCost {
        let accounts: u64 = self.counted.iter().map(|(_, accounts)| accounts).sum();
        let digest = self.digest(name_key);
        let drawn = u64::from_be_bytes([0, 0, digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]]);
        // The name's place among all accounts, cheapest first.
        let place = (u128::from(drawn) * u128::from(accounts)) >> 48;
        let mut passed = 0;
        for (cost, accounts) in &self.counted {
            passed += u128::from(*accounts);
            if place < passed {
                return *cost;
            }
        }
        self.counted.last().map_or(HashCost::FLOOR, |(cost, _)| *cost)
    }

    /// Returns a hash of that cost that matches no password: its output was not computed.
    pub(super) fn hash_for(&self, name_key: &str) -> String {
        const SALT: &str = "BwcHBwcHBwcHBwcHBwcHBw";
        const OUTPUT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        format!("{}{SALT}${OUTPUT}", self.cost_for(name_key).phc_prefix())
    }

    /// Returns eight digits that distinguish names and that only this installation can derive.
    pub(super) fn mark_of(&self, name_key: &str) -> String {
        let digest = self.digest(&format!("mark {name_key}"));
        HEXLOWER.encode(&digest[..4])
    }

    fn digest(&self, name_key: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.key.as_bytes());
        digest.update(name_key);
        digest.finalize().into()
    }
}
