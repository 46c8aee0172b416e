//! One computation of argon2id, in memory that its thread reuses.

use super::HashCost;
use crate::domain::password::normalize;
use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};

/// Length of a hash, in bytes.
const OUTPUT_BYTES: usize = 32;

/// The memory of one hashing thread. A fresh allocation for each hash would leave the allocator
/// with many of them after a burst.
#[derive(Default)]
pub(super) struct Workspace {
    blocks: Vec<Block>,
}

impl Workspace {
    /// Returns the argon2id PHC string of a password in its normal form, so that the same
    /// characters typed on another keyboard are the same password.
    #[expect(
        clippy::expect_used,
        reason = "fails on a salt or output of impossible length only; both are constants"
    )]
    pub(super) fn hash(&mut self, cost: HashCost, password: &str, salt: &[u8]) -> String {
        let password = normalize(password);
        self.try_hash(cost, &password, salt).expect("a 16-byte salt is valid")
    }

    fn try_hash(&mut self, cost: HashCost, password: &str, salt: &[u8]) -> Option<String> {
        let params = cost.params();
        let mut output = [0; OUTPUT_BYTES];
        let memory = self.memory(&params)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory)
            .ok()?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(Output::new(&output).ok()?),
        };
        Some(hash.to_string())
    }

    /// Checks the normal form of a password, then the password as typed, at the cost of `stored`:
    /// hashes from before passwords were normalized keep working. The second check depends only on
    /// the typed text, so that it reveals nothing about the account.
    pub(super) fn verify(&mut self, password: &str, stored: &str) -> bool {
        let normal = normalize(password);
        self.matches(&normal, stored) || (normal != password && self.matches(password, stored))
    }

    fn matches(&mut self, password: &str, stored: &str) -> bool {
        self.try_verify(password, stored).unwrap_or_else(|| {
            tracing::error!("a stored password hash cannot be read");
            false
        })
    }

    fn try_verify(&mut self, password: &str, stored: &str) -> Option<bool> {
        let stored = PasswordHash::new(stored).ok()?;
        let (salt, expected) = (stored.salt.as_ref()?, stored.hash.as_ref()?);
        let algorithm = Algorithm::new(stored.algorithm.as_str()).ok()?;
        let version = match stored.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::default(),
        };
        let params = Params::try_from(&stored).ok()?;
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..expected.len())?;
        let memory = self.memory(&params)?;
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
            .ok()?;
        // `Output` compares in constant time.
        Some(*expected == Output::new(output).ok()?)
    }

    /// Returns as much memory as a hash of that cost needs.
    fn memory(&mut self, params: &Params) -> Option<&mut [Block]> {
        let blocks = params.block_count();
        if self.blocks.len() < blocks {
            self.blocks = vec![Block::new(); blocks];
        }
        self.blocks.get_mut(..blocks)
    }

    /// Frees the memory. Returns false if there was none.
    pub(super) fn release(&mut self) -> bool {
        !std::mem::take(&mut self.blocks).is_empty()
    }
}

#[cfg(test)]
mod tests;
