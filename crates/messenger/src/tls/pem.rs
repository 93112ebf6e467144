use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// The bytes of a file, with its name for complaints.
pub(super) struct Pem<'a> {
    pub path: &'a Path,
    pub bytes: &'a [u8],
}

impl Pem<'_> {
    /// The certificates of the file, one at least.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.bytes).collect();
        match found {
            Ok(found) if found.is_empty() => Err(self.unsound("there is no certificate in it")),
            Ok(found) => Ok(found),
            Err(_) => Err(self.unsound("a certificate in it is not PEM")),
        }
    }

    /// The first private key of the file.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.bytes)
            .map_err(|_| self.unsound("there is no private key in it that can be used"))
    }

    /// The certificates of the file as authorities.
    pub fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.unsound(&error.to_string()))?;
        }
        Ok(roots)
    }

    pub fn unsound(&self, why: &str) -> TlsError {
        TlsError::Unsound { path: self.path.to_owned(), why: why.to_owned() }
    }
}
