//! TLS towards receivers: rustls with the certificates of the target's CA file, or of the system.

use super::ShippingFault;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::sync::Arc;

/// Makes the settings of a connection. `identity`: files with our own certificate and its key.
pub(super) async fn make_config(
    ca_file: Option<String>,
    identity: Option<(String, String)>,
) -> Result<ClientConfig, ShippingFault> {
    let made = tokio::task::spawn_blocking(move || read_config(ca_file.as_deref(), identity.as_ref()));
    made.await
        .map_err(|error| ShippingFault::Tls(error.to_string()))?
        .map_err(ShippingFault::Tls)
}

/// Makes the settings of a client that opens no TLS connection: it trusts nobody.
pub(super) fn make_unused_config() -> Result<ClientConfig, ShippingFault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ShippingFault::Tls(error.to_string()))?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn read_config(ca_file: Option<&str>, identity: Option<&(String, String)>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let (certificates, place) = match ca_file {
        Some(path) => (read_certificates(path)?, format!("the CA file {path}")),
        None => (rustls_native_certs::load_native_certs().certs, "the system".to_owned()),
    };
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(format!("{place} has no usable CA certificates"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("the key {key} cannot be read: {error}"))?;
    builder
        .with_client_auth_cert(read_certificates(certificate)?, secret)
        .map_err(|error| format!("the certificate {certificate} cannot be used: {error}"))
}

fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("the file {path} cannot be read: {error}"))
}
