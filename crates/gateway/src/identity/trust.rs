//! Whose certificates lead to a peer that is the right one.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be used as certificates to trust: {why}", .path.display())]
pub struct TrustError {
    path: PathBuf,
    why: String,
}

/// The certificates in a file (PEM), or the system's where there is no file.
///
/// # Errors
/// A file that cannot be read, is not PEM, or holds no certificate. A system without certificates is no error here: it
/// reaches nobody, and says so when it tries.
pub fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let unusable = |why: String| TrustError { path: path.to_owned(), why };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unusable(e.to_string()))? {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds none".to_owned()));
    }
    Ok(roots)
}
