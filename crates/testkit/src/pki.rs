//! A certificate authority for loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::folder::Folder;

/// An authority of its own key, which nobody trusts but who is told to.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key and its authority, as PEM text.
pub struct Leaf {
    /// The authority's certificate.
    pub ca: String,
    /// The leaf's certificate.
    pub cert: String,
    /// The leaf's private key, PKCS #8.
    pub key: String,
}

/// The same as files, in a folder that goes with the last clone.
#[derive(Debug, Clone)]
pub struct Files {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The leaf's certificate.
    pub cert: PathBuf,
    /// The leaf's private key, PKCS #8; readable by its owner only.
    pub key: PathBuf,
    _dir: Option<Arc<Folder>>,
}

impl Authority {
    /// An authority of this common name, valid from yesterday for ten years.
    ///
    /// # Errors
    /// The random source failed.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(3650);
        Ok(Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate for these host names and addresses, valid from yesterday for a year.
    ///
    /// # Errors
    /// A name that no certificate can carry.
    pub fn leaf(&self, names: &[&str]) -> Result<Leaf> {
        let now = OffsetDateTime::now_utc();
        self.leaf_valid(names, now - Duration::days(1), now + Duration::days(365))
    }

    /// As [`Authority::leaf`], but its time is over since yesterday.
    ///
    /// # Errors
    /// As [`Authority::leaf`].
    pub fn expired_leaf(&self, names: &[&str]) -> Result<Leaf> {
        let now = OffsetDateTime::now_utc();
        self.leaf_valid(names, now - Duration::days(30), now - Duration::days(1))
    }

    fn leaf_valid(&self, names: &[&str], from: OffsetDateTime, to: OffsetDateTime) -> Result<Leaf> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name.push(DnType::CommonName, names.first().map_or("leaf", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = from;
        params.not_after = to;
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf { ca: self.pem(), cert: cert.pem(), key: key.serialize_pem() })
    }
}

impl Leaf {
    /// Writes the three files into a temporary folder of their own.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self) -> Result<Files> {
        let dir = Folder::new("chaperone-pki-")?;
        let mut files = self.write_to(dir.path())?;
        files._dir = Some(Arc::new(dir));
        Ok(files)
    }

    /// Writes `ca.crt`, `tls.crt` and `tls.key` into a folder that exists.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_to(&self, dir: &Path) -> Result<Files> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let (ca, cert, key) = (dir.join("ca.crt"), dir.join("tls.crt"), dir.join("tls.key"));
        fs::write(&ca, &self.ca).with_context(|| format!("cannot write `{}`", ca.display()))?;
        fs::write(&cert, &self.cert)?;
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&key)?;
        std::io::Write::write_all(&mut file, self.key.as_bytes())?;
        Ok(Files { ca, cert, key, _dir: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_with_their_last_clone() {
        let files = Authority::new("CA").unwrap().leaf(&["localhost", "127.0.0.1"]).unwrap().write().unwrap();
        let clone = files.clone();
        drop(files);
        assert!(fs::read_to_string(&clone.key).unwrap().contains("PRIVATE KEY"));
        let path = clone.key.clone();
        drop(clone);
        assert!(!path.exists());
    }
}
