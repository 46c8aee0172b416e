//! TLS towards directories: rustls with the certificates of the source's CA file, or of the system.

use super::error::{DirectoryError, DirectoryStep};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::{Arc, OnceLock};

/// The TLS settings of a source; certificates are read at the first use.
pub(super) struct TlsSettings {
    ca_file: Option<String>,
    made: OnceLock<Arc<ClientConfig>>,
}

impl TlsSettings {
    pub(super) fn new(ca_file: Option<String>) -> Self {
        Self {
            ca_file,
            made: OnceLock::new(),
        }
    }

    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, DirectoryError> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let ca_file = self.ca_file.clone();
        let made = tokio::task::spawn_blocking(move || make_config(ca_file.as_deref()))
            .await
            .map_err(|error| DirectoryError::new(DirectoryStep::Tls, error.to_string()))??;
        Ok(self.made.get_or_init(|| made).clone())
    }
}

fn make_config(ca_file: Option<&str>) -> Result<Arc<ClientConfig>, DirectoryError> {
    let fault = |words: String| DirectoryError::new(DirectoryStep::Tls, words);
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| fault(format!("the CA file {path} cannot be read: {error}")))?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(fault(format!("the CA file {path} contains no certificate")));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(fault("the system has no CA certificates".to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
