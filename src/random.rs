//! The only caller of the operating system's randomness.

/// A source of random bytes for tokens, IDs and passwords.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// Returns 32 bytes for a session token or a one-time password.
pub fn bytes32(random: &dyn Random) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    bytes
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::expect_used, reason = "without randomness nothing may be made at all")]
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness no token may be made: stopping the request is the only safe answer.
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
