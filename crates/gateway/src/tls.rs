//! The gateway's own certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::door::ALPN;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, or not PEM.
    #[error("`{}` cannot be read as PEM: {reason}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong; never its content.
        reason: String,
    },
    /// Key and certificate do not fit, or are of a kind that TLS does not know.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// A server configuration for TLS 1.2 and 1.3 from a certificate chain and its key, both PEM.
///
/// # Errors
/// As [`TlsError`] says.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |path: &Path, error: rustls_pki_types::pem::Error| TlsError::Pem {
        path: path.to_owned(),
        reason: match error {
            rustls_pki_types::pem::Error::Io(error) => error.kind().to_string(),
            rustls_pki_types::pem::Error::NoItemsFound => "nothing of the expected kind is in it".to_owned(),
            _ => "malformed".to_owned(),
        },
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem(certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| pem(key, error))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}
