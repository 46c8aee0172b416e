//! The signature of a request.

use super::*;

/// The sample of `docs/audit-shipping.md`, made with OpenSSL.
#[test]
fn the_signature_is_that_of_the_documentation() {
    let secret = Secret::new("an example secret of 32 characters".to_owned());
    let signature = sign(&secret, 1_796_120_430, b"[]");
    assert_eq!(
        signature,
        "476dedae6b55ecf72f0e2b518e717d6ed3aef2a3757c028b526b548e30a6f61d"
    );
    assert!(include_str!("../../../docs/audit-shipping.md").contains(&signature));
}
