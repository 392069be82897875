//! TLS to the database: always verified, and what of it the log-in is bound to.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::signature_algorithm::SignatureAlgorithm;

use super::target::TargetError;

pub(super) fn roots_of_file(path: PathBuf) -> Result<RootCertStore, TargetError> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = match certificates {
        Ok(certificates) => certificates,
        Err(source) => return Err(TargetError::Roots { path, source: Some(source) }),
    };
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(TargetError::Roots { path, source: None });
    }
    Ok(roots)
}

pub(super) fn roots_of_system() -> Result<RootCertStore, TargetError> {
    let mut roots = RootCertStore::empty();
    // a certificate that cannot be loaded is one authority less: what it signed will not be trusted
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TargetError::SystemRoots) } else { Ok(roots) }
}

pub(super) fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, TargetError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // the log-in is bound to the certificate of *this* handshake, so each connection has a full one; PostgreSQL does
    // not resume sessions anyway
    config.resumption = Resumption::disabled();
    // PostgreSQL 17 and later want to see it; others ignore it
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Arc::new(config))
}

/// The `tls-server-end-point` binding of a certificate (RFC 5929, 4.1): its hash by the hash of its own signature, but
/// SHA-256 in the place of MD5 and SHA-1. `None` where a signature has no hash of its own (Ed25519).
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(&parsed)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

fn hash_of(certificate: &X509Certificate<'_>) -> Option<&'static digest::Algorithm> {
    const SHA384: [&str; 3] = ["1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3", "2.16.840.1.101.3.4.2.2"];
    const SHA512: [&str; 3] = ["1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4", "2.16.840.1.101.3.4.2.3"];
    const SHA256: [&str; 7] = [
        "1.2.840.113549.1.1.11",  // RSA with SHA-256
        "1.2.840.10045.4.3.2",    // ECDSA with SHA-256
        "2.16.840.1.101.3.4.2.1", // SHA-256, of RSASSA-PSS
        "1.2.840.113549.1.1.4",   // RSA with MD5
        "1.2.840.113549.1.1.5",   // RSA with SHA-1
        "1.2.840.10045.4.1",      // ECDSA with SHA-1
        "1.3.14.3.2.26",          // SHA-1, of RSASSA-PSS
    ];
    let signature = &certificate.signature_algorithm;
    let oid = match SignatureAlgorithm::try_from(signature) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => parameters.hash_algorithm_oid().to_id_string(),
        _ => signature.algorithm.to_id_string(),
    };
    let is_in = |list: &[&str]| list.contains(&oid.as_str());
    if is_in(&SHA256) {
        Some(&digest::SHA256)
    } else if is_in(&SHA384) {
        Some(&digest::SHA384)
    } else if is_in(&SHA512) {
        Some(&digest::SHA512)
    } else {
        None
    }
}
