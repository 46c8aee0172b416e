//! The cost of a hash.

use argon2::{Algorithm, Params, PasswordHash};

/// The cost of a hash. OWASP's first recommendation for argon2id is the default and the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
}

impl HashCost {
    /// The minimum: m = 19456 KiB, t = 2, p = 1.
    pub const FLOOR: Self = Self {
        memory_kib: 19_456,
        iterations: 2,
    };

    /// Returns the cost of a stored hash; `None`: it is not an argon2id hash.
    pub fn from_hash(stored: &str) -> Option<Self> {
        let parsed = PasswordHash::new(stored).ok()?;
        let params = Params::try_from(&parsed).ok()?;
        (parsed.algorithm.as_str() == Algorithm::Argon2id.as_str()).then_some(Self {
            memory_kib: params.m_cost(),
            iterations: params.t_cost(),
        })
    }

    /// Returns the prefix of PHC strings with this cost.
    pub fn phc_prefix(self) -> String {
        format!("$argon2id$v=19$m={},t={},p=1$", self.memory_kib, self.iterations)
    }

    pub(super) fn params(self) -> Params {
        Params::new(self.memory_kib, self.iterations, 1, None).unwrap_or_default()
    }

    /// Returns the memory that is filled, in KiB, which determines the time of a hash.
    pub(super) fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.iterations)
    }
}
