//! Encrypted connections. A certificate is always verified: there is no mode that takes any.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::port::LogError;

/// The connector that trusts the authorities of this file, or those of the system.
pub(super) fn connector(ca_file: Option<&Path>, is_used: bool) -> Result<MakeRustlsConnect, LogError> {
    let roots = match ca_file {
        _ if !is_used => RootCertStore::empty(),
        Some(path) => from_file(path)?,
        None => from_system(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| LogError::Unavailable(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn from_file(path: &Path) -> Result<RootCertStore, LogError> {
    let failed = |what: &str| LogError::Unavailable(format!("postgres.ca_file {}: {what}", path.display()));
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(&error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(&error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("holds no certificate")) } else { Ok(roots) }
}

/// A system without any is no error: then no certificate is trusted, and the handshake says so.
fn from_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
