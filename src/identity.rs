//! Communication with directories and identity providers: what they state about a person, and
//! whether it can be trusted. This layer stores nothing in the database; `flows` decides what
//! happens next.

pub mod ldap;
pub mod oidc;

/// Returns the description of a failed connection. The TLS library describes the most frequent
/// fault of a certificate that was made by hand in its own terms.
fn describe_certificate_fault(words: String) -> String {
    match words.contains("CaUsedAsEndEntity") {
        true => "the server presents the certificate of an authority (CA:TRUE) as its own".to_owned(),
        false => words,
    }
}
